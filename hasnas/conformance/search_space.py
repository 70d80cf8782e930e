"""What every search space must do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from hasnas.cim_estimator import Activity, estimate_costs, load_hardware
from hasnas.errors import BadInputError
from hasnas.nas.budget.costs import Costs, known_costs
from hasnas.nas.budget.pricer import Pricer
from hasnas.nas.scoring import DEFAULT_SCORE, SCORES, ScoringTask
from hasnas.nas.scoring.graph_features import canonical_classes, graph_features
from hasnas.search_spaces import Architecture, Macro
from hasnas.search_spaces.cell_groups import cell_groups
from hasnas.search_spaces.lowering import lower
from hasnas.search_spaces.network import build_network
from hasnas.search_spaces.snasnet import SNASNetSpace
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

from .suite import Suite

MACRO = Macro((1, 8, 8), classes=10, timesteps=3, channels=4, hidden=8, votes=1)
HARDWARE = load_hardware("rram-32nm")


def drawn(space: SearchSpace) -> np.ndarray:
    """Codes of 200 architectures, connected or not."""
    return sample(space, np.random.default_rng(5), 200)


def connected(space: SearchSpace, count: int) -> np.ndarray:
    """Canonical codes of at most `count` connected ones."""
    canonical, alive = space.canonical(drawn(space))
    return canonical[alive][:count]


class CheckSearchSpace(Suite):
    """For names in `SPACES` (entry points `hasnas.search_spaces`)."""

    def build(self, name: str) -> SearchSpace:
        """The space that is tested; its networks take images `[1, 8, 8]` and give 10 classes."""
        return SPACES.get(name)(MACRO)

    @pytest.fixture
    def space(self, name: str) -> SearchSpace:
        """The space called `name`."""
        return self.build(name)

    def test_size_is_the_product_of_the_choices(self, space: SearchSpace) -> None:
        assert space_size(space) == np.prod([len(gene.choices) for gene in space.genes], dtype=object)
        assert len({gene.label for gene in space.genes}) == len(space.genes)

    def test_decoded_architectures_encode_to_the_same_codes(self, space: SearchSpace) -> None:
        for codes in drawn(space):
            architecture = space.decode(codes)
            assert space.encode(architecture) == tuple(codes)
            assert contains(space, architecture)

    def test_canonical_codes_are_the_canonical_architecture(self, space: SearchSpace) -> None:
        codes = drawn(space)
        canonical, alive = space.canonical(codes)
        for before, after, lives in zip(codes, canonical, alive, strict=True):
            architecture = space.decode(before)
            assert lives == architecture.is_connected
            assert space.decode(after).canonical() == architecture.canonical()
            if lives:
                assert space.decode(after) == architecture.canonical()
        again, _ = space.canonical(canonical)
        np.testing.assert_array_equal(again, canonical)

    def test_equal_canonical_codes_mean_equal_keys(self, space: SearchSpace) -> None:
        codes = drawn(space)[:60]
        canonical, alive = space.canonical(codes)
        keys = [space.decode(code).key for code in codes]
        for i in np.flatnonzero(alive):
            for j in np.flatnonzero(alive):
                assert (keys[i] == keys[j]) == (canonical[i] == canonical[j]).all()

    def test_connected_architectures_expand(self, space: SearchSpace) -> None:
        codes = drawn(space)[:40]
        for code, alive in zip(codes, space.canonical(codes)[1], strict=True):
            if alive:
                assert space.decode(code).expand().parameter_count > 0

    def test_prices_of_codes_are_those_of_graphs(self, space: SearchSpace) -> None:
        codes = connected(space, 20)
        costs = Pricer(space, HARDWARE, Activity.dense(), known_costs()).costs(codes)
        for index, code in enumerate(codes):
            totals = estimate_costs(lower(space.decode(code).expand()), HARDWARE, Activity.dense())
            assert costs.row(index) == pytest.approx(Costs.of(totals, costs.costs).row(0), rel=1e-9), code

    def test_every_candidate_is_in_one_group(self, space: SearchSpace) -> None:
        codes = drawn(space)
        groups = cell_groups(space, codes)
        assert sorted(np.concatenate([group.rows for group in groups]).tolist()) == list(range(len(codes)))
        for group in groups:
            for row, code in list(zip(group.rows, group.codes, strict=True))[:3]:
                assert group.space.decode(code) == space.decode(codes[row])
        assert [len(group.rows) for group in cell_groups(space, codes[:0])] == [0]

    def test_networks_run_and_come_back_from_json(self, space: SearchSpace, tmp_path: Path) -> None:
        for number, code in enumerate(connected(space, 3)):
            architecture = space.decode(code)
            architecture.save(tmp_path / f"{number}.json")
            again = Architecture.load(tmp_path / f"{number}.json")
            assert (again, again.key) == (architecture, architecture.key)
            assert build_network(again.expand(), seed=0)(torch.rand(2, 1, 8, 8)).shape == (2, 10)

    def test_scores_and_features_know_the_space(self, space: SearchSpace) -> None:
        codes = drawn(space)[:8]
        alive = space.canonical(codes)[1]
        total = SCORES.get(DEFAULT_SCORE)()(ScoringTask(space), codes).total
        np.testing.assert_array_equal(np.isfinite(total), alive)
        features, classes = graph_features(space, codes), canonical_classes(space, codes)
        assert np.isfinite(features).all()
        np.testing.assert_array_equal(classes > 0, alive)
        np.testing.assert_array_equal(features[5:7], graph_features(space, codes[5:7]))
        np.testing.assert_array_equal(classes[5:7], canonical_classes(space, codes[5:7]))

    def test_sampling_depends_on_the_generator_alone(self, space: SearchSpace) -> None:
        np.testing.assert_array_equal(drawn(space), drawn(space))

    def test_mutants_and_children_stay_inside(self, space: SearchSpace) -> None:
        rng = np.random.default_rng(0)
        parents = drawn(space)
        for first, second in zip(parents[:50], parents[50:100], strict=True):
            mutant = mutate(space, first, rng, 0.1)
            assert mutant != tuple(first)
            assert ((np.array(mutant) >= 0) & (np.array(mutant) < radices(space))).all()
            child = crossover(first, second, rng)
            assert all(code in pair for code, pair in zip(child, zip(first, second, strict=True), strict=True))

    def test_enumeration_begins_with_distinct_architectures(self, space: SearchSpace) -> None:
        if space_size(space) > ENUMERABLE:
            with pytest.raises(BadInputError, match="too many to enumerate"):
                all_codes(space)
            return
        first = next(all_codes(space, chunk=1000))
        assert len(np.unique(first, axis=0)) == min(1000, space_size(space))

    def test_codes_that_do_not_fit_are_refused(self, space: SearchSpace) -> None:
        good = list(drawn(space)[0])
        with pytest.raises(BadInputError, match="give one for each gene"):
            space.decode(good[:-1])
        with pytest.raises(BadInputError, match=space.genes[0].label):
            space.decode([99, *good[1:]])

    def test_architectures_of_other_spaces_are_not_inside(self, space: SearchSpace) -> None:
        foreign = SNASNetSpace(Macro(channels=3)).decode((1, 1, 1, 1, 1, 1))
        assert not contains(space, foreign)
        own = space.decode(connected(space, 1)[0])
        assert not contains(space, Architecture(own.genotypes[:-1], own.macro))
        assert not contains(space, Architecture(own.genotypes, replace(own.macro, tau=3.0)))
