"""What every search space must do; a new one is added to the table and runs the suite."""

from __future__ import annotations

import numpy as np
import pytest

from hasnas.errors import BadInputError
from hasnas.search_spaces import Macro
from hasnas.search_spaces.autosnn import AutoSNNSpace
from hasnas.search_spaces.hasnas import HASNASSpace
from hasnas.search_spaces.snasnet import CellSpace, SNASNetSpace
from hasnas.search_spaces.space import (
    ENUMERABLE,
    SPACES,
    SearchSpace,
    all_codes,
    contains,
    crossover,
    mutate,
    radices,
    sample,
    space_size,
)
from hasnas.search_spaces.spikenas_bench import SpikeNASBenchSpace

MACRO = Macro((1, 8, 8), classes=10, timesteps=3, channels=4, hidden=8, votes=1)
IMPLEMENTATIONS: dict[str, SearchSpace] = {
    "snasnet forward": SNASNetSpace(MACRO),
    "snasnet feedback": SNASNetSpace(MACRO, feedback=True),
    "spikenas_bench": SpikeNASBenchSpace(MACRO),
    "autosnn": AutoSNNSpace(MACRO),
    "hasnas": HASNASSpace(MACRO),
    "own cells": CellSpace(MACRO, shared=False, cells=3, operations=("none", "identity", "conv5x5")),
}


@pytest.fixture(params=IMPLEMENTATIONS)
def space(request: pytest.FixtureRequest) -> SearchSpace:
    return IMPLEMENTATIONS[request.param]


def drawn(space: SearchSpace) -> np.ndarray:
    return sample(space, np.random.default_rng(5), 200)


def test_size_is_the_product_of_the_choices(space: SearchSpace) -> None:
    assert space_size(space) == np.prod([len(gene.choices) for gene in space.genes], dtype=object)
    assert len({gene.label for gene in space.genes}) == len(space.genes)


def test_codes_survive_decoding_and_encoding(space: SearchSpace) -> None:
    for codes in drawn(space):
        architecture = space.decode(codes)
        assert space.encode(architecture) == tuple(codes)
        assert contains(space, architecture)


def test_canonical_codes_are_the_canonical_architecture(space: SearchSpace) -> None:
    codes = drawn(space)
    canonical, connected = space.canonical(codes)
    for before, after, alive in zip(codes, canonical, connected, strict=True):
        architecture = space.decode(before)
        assert alive == architecture.is_connected
        assert space.decode(after).canonical() == architecture.canonical()
        if alive:
            assert space.decode(after) == architecture.canonical()
    again, _ = space.canonical(canonical)
    np.testing.assert_array_equal(again, canonical)


def test_equal_canonical_codes_mean_equal_keys(space: SearchSpace) -> None:
    codes = drawn(space)[:60]
    canonical, connected = space.canonical(codes)
    keys = [space.decode(code).key for code in codes]
    for i in np.flatnonzero(connected):
        for j in np.flatnonzero(connected):
            assert (keys[i] == keys[j]) == (canonical[i] == canonical[j]).all()


def test_connected_architectures_expand(space: SearchSpace) -> None:
    codes = drawn(space)[:40]
    for code, alive in zip(codes, space.canonical(codes)[1], strict=True):
        if alive:
            assert space.decode(code).expand().parameter_count > 0


def test_sampling_depends_on_the_generator_alone(space: SearchSpace) -> None:
    np.testing.assert_array_equal(drawn(space), drawn(space))


def test_mutants_and_children_stay_inside(space: SearchSpace) -> None:
    rng = np.random.default_rng(0)
    parents = drawn(space)
    for first, second in zip(parents[:50], parents[50:100], strict=True):
        mutant = mutate(space, first, rng, 0.1)
        assert mutant != tuple(first)
        assert ((np.array(mutant) >= 0) & (np.array(mutant) < radices(space))).all()
        child = crossover(first, second, rng)
        assert all(code in pair for code, pair in zip(child, zip(first, second, strict=True), strict=True))


def test_enumeration_begins_with_distinct_architectures(space: SearchSpace) -> None:
    if space_size(space) > ENUMERABLE:
        with pytest.raises(BadInputError, match="too many to enumerate"):
            all_codes(space)
        return
    first = next(all_codes(space, chunk=1000))
    assert len(np.unique(first, axis=0)) == min(1000, space_size(space))


def test_codes_that_do_not_fit_are_refused(space: SearchSpace) -> None:
    good = list(drawn(space)[0])
    with pytest.raises(BadInputError, match="give one for each gene"):
        space.decode(good[:-1])
    with pytest.raises(BadInputError, match=space.genes[0].label):
        space.decode([99, *good[1:]])


def test_architectures_of_other_spaces_are_not_inside(space: SearchSpace) -> None:
    stranger = SNASNetSpace(Macro(channels=3)).decode((1, 1, 1, 1, 1, 1))
    assert not contains(space, stranger)


def test_whole_forward_space_has_no_repeated_codes() -> None:
    codes = np.concatenate(list(all_codes(IMPLEMENTATIONS["snasnet forward"], chunk=4096)))
    assert len(np.unique(codes, axis=0)) == len(codes) == 15_625


def test_registered_spaces_are_tested_here() -> None:
    tested = {type(space) for space in IMPLEMENTATIONS.values()}
    assert {SPACES.get(name) for name in SPACES.names()} <= tested
