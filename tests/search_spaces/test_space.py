"""Numbers of architectures, and how parents are mixed."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from hasnas.errors import BadInputError
from hasnas.search_spaces import Macro
from hasnas.search_spaces.autosnn import AutoSNNSpace
from hasnas.search_spaces.searched_macro import with_searched_macro
from hasnas.search_spaces.snasnet import CellSpace, SNASNetSpace
from hasnas.search_spaces.space import (
    ENUMERABLE,
    Gene,
    all_codes,
    codes_at,
    crossover,
    mutate,
    radices,
    sample,
    size_text,
    space_size,
)

MACRO = Macro((1, 16, 16), timesteps=2, channels=4, final_pool=1)
# Genes of 3, 3, 3, 2 and 4 choices.
MIXED = with_searched_macro(
    AutoSNNSpace(MACRO, cells=3, operations=("conv3x3",)), {"neuron": ["lif", "if"], "channels": [2, 4, 6, 8]}
)


def test_numbers_are_codes_of_mixed_radices_the_first_varying_slowest() -> None:
    assert sorted(radices(MIXED).tolist()) == [2, 3, 3, 3, 4]
    assert space_size(MIXED) == 216
    weights = np.append(np.cumprod(radices(MIXED)[:0:-1])[::-1], 1)
    whole = np.concatenate(list(all_codes(MIXED, chunk=50)))
    assert whole.shape == (216, 5)
    np.testing.assert_array_equal(whole @ weights, np.arange(216))
    np.testing.assert_array_equal(codes_at(MIXED, np.array([0, 1, 215]))[0], [0] * 5)
    np.testing.assert_array_equal(codes_at(MIXED, np.array([1, 215]))[1], radices(MIXED) - 1)


def test_enumeration_in_any_chunks_is_the_same() -> None:
    for chunk in (1, 7, 216, 1000):
        parts = list(all_codes(MIXED, chunk=chunk))
        assert len(parts) == -(-216 // chunk)
        np.testing.assert_array_equal(np.concatenate(parts), codes_at(MIXED, np.arange(216)))


def test_a_child_has_half_of_each_parent() -> None:
    first, second = np.zeros(40, int), np.ones(40, int)
    children = np.array([crossover(first, second, np.random.default_rng(seed)) for seed in range(200)])
    assert children.mean() == pytest.approx(0.5, abs=0.03)
    assert children.mean(axis=0).min() > 0.3
    assert children.mean(axis=0).max() < 0.7


def test_drawn_codes_are_uniform_over_the_choices() -> None:
    drawn = sample(MIXED, np.random.default_rng(0), 6000)
    for column, count in zip(drawn.T, radices(MIXED), strict=True):
        np.testing.assert_allclose(np.bincount(column, minlength=count) / 6000, 1 / count, atol=0.03)


def test_a_mutant_differs_in_as_many_genes_as_the_probability_says() -> None:
    space = CellSpace(replace(MACRO), cells=2, shared=False)
    old = tuple(sample(space, np.random.default_rng(1), 1)[0].tolist())
    for probability in (0.0, 0.5):
        changed = [
            sum(a != b for a, b in zip(old, mutate(space, old, np.random.default_rng(seed), probability), strict=True))
            for seed in range(400)
        ]
        # Of 12 genes of five choices a redrawn one is the same in a fifth of the cases; one change at least.
        assert np.mean(changed) == pytest.approx(max(1, 12 * probability * 4 / 5), rel=0.06)
        assert min(changed) == 1


def test_forced_changes_reach_every_gene_and_choice() -> None:
    old = (0,) * 5
    forced = [mutate(MIXED, old, np.random.default_rng(seed), 0.0) for seed in range(400)]
    for gene, count in enumerate(radices(MIXED)):
        assert {mutant[gene] for mutant in forced} == set(range(count))


@pytest.mark.parametrize("size, text", [(10**15 - 1, "999,999,999,999,999"), (10**15, "about 10^15")])
def test_sizes_read_well(size: int, text: str) -> None:
    assert size_text(size) == text


@dataclass(frozen=True)
class Grid(CellSpace):
    """A space of any genes."""

    own: tuple[Gene, ...] = ()

    @property
    def genes(self) -> tuple[Gene, ...]:  # type: ignore[override]
        return self.own


def test_what_is_just_small_enough_is_enumerated() -> None:
    genes = tuple(Gene(f"gene{number}", tuple("0123456789")) for number in range(9))
    most = Grid(MACRO, own=genes)
    assert space_size(most) == ENUMERABLE
    np.testing.assert_array_equal(next(all_codes(most, chunk=11))[10], [0] * 7 + [1, 0])
    with pytest.raises(BadInputError, match="2,000,000,000 architectures, too many to enumerate"):
        all_codes(Grid(MACRO, own=(*genes, Gene("one more", ("0", "1")))))


def test_neurons_without_leak_have_no_time_constant() -> None:
    space = with_searched_macro(SNASNetSpace(Macro()), {"tau": [2.0, 4.0], "neuron": ["lif", "if"]})
    codes = np.array([[0, 0, 3, 0, 0, 0, tau, neuron] for tau in (0, 1) for neuron in (0, 1)])
    canonical, alive = space.canonical(codes)
    assert alive.all()
    assert canonical[:, 6:].tolist() == [[0, 0], [0, 1], [1, 0], [0, 1]]
    assert [space.decode(row).macro.tau for row in canonical] == [2.0, 2.0, 4.0, 2.0]


def test_channels_that_a_max_pool_keeps_have_no_growth():
    space = with_searched_macro(CellSpace(MACRO), {"reduction": ["conv_avg_pool", "max_pool"], "growth": [2, 1, 1.5]})
    drawn = np.array([[0, 0, 3, 0, 0, 0, 0, 2], [0, 0, 3, 0, 0, 0, 1, 2]])
    canonical, connected = space.canonical(drawn)
    assert connected.all()
    assert canonical[:, -2:].tolist() == [[0, 2], [1, 0]]
    assert [space.decode(row).macro.cell_channels(2) for row in canonical.tolist()] == [(4, 6), (4, 4)]
