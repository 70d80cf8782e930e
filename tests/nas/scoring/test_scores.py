"""What every score must do, and the values that can be worked out by hand."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch

from hasnas.conformance.score import SPACES, codes_of
from hasnas.errors import BadInputError
from hasnas.nas.scoring import BASELINES, DEFAULT_SCORE, SCORES, ScoreResult, ScoringTask
from hasnas.nas.scoring.cell_arrays import cell_arrays
from hasnas.nas.scoring.counters import Counts, longest_path, path_counts
from hasnas.nas.scoring.isometry import gradient_gains
from hasnas.nas.scoring.mean_field import InputStatistics, propagate
from hasnas.nas.scoring.score import share_below
from hasnas.search_spaces import Architecture, Edge, Genotype, Macro
from hasnas.search_spaces.network import build_network
from hasnas.search_spaces.snasnet import CellSpace
from hasnas.search_spaces.space import sample

pytestmark = pytest.mark.slow

def test_baselines_and_default_are_registered() -> None:
    assert {*BASELINES, DEFAULT_SCORE} <= set(SCORES.names())
    with pytest.raises(BadInputError, match="did you mean 'depth'"):
        SCORES.get("dept")


def test_order_puts_nan_and_infinite_scores_last() -> None:
    total = np.array([np.nan, 1.0, -np.inf, 3.0, 1.0])
    assert ScoreResult(total).order().tolist() == [3, 1, 4, 2, 0]


def test_counts_against_all_paths_one_by_one() -> None:
    space = SPACES["thresholds"]
    codes = sample(space, np.random.default_rng(1), 200)
    cells, _ = cell_arrays(space, codes)
    counts = Counts(space, codes)
    inner = [path for size in range(3) for path in product((1, 2), repeat=size) if path in ((), (1,), (2,), (1, 2))]
    for index, row in enumerate(codes):
        edges = dict(zip(space.pairs, space.canonical(row[None])[0][0], strict=True))
        ways = [list(zip((0, *path), (*path, 3), strict=True)) for path in inner]
        convs = [sum(edges[pair] > 1 for pair in way) for way in ways if all(edges[pair] for pair in way)]
        assert counts.paths[index] == len(convs)
        assert counts.depth[index] == max(convs, default=-1)
        assert counts.mean_path_depth[index] == pytest.approx(np.mean(convs) if convs else 0.0)
    np.testing.assert_array_equal(path_counts(cells[0]).sum(axis=1), counts.paths)
    np.testing.assert_array_equal(longest_path(cells[0], cells[0].conv.astype(float)), counts.depth)


def test_parameters_are_those_of_the_network() -> None:
    space = SPACES["feedback"]
    codes = codes_of("feedback")
    counted = Counts(space, codes).parameters
    for row, count, alive in zip(codes, counted, space.canonical(codes)[1], strict=True):
        if alive:
            assert count == space.decode(row).expand().parameter_count


def test_shares_of_a_reference_set() -> None:
    reference = np.array([0.0, 1.0, 1.0, 2.0])
    np.testing.assert_allclose(share_below(np.array([-1.0, 1.0, 5.0]), reference), [0, 0.5, 1])


@pytest.mark.parametrize("operation", ["conv3x3_t0.5", "conv3x3_t1.0", "conv3x3_t1.5"])
def test_gradient_gain_against_backpropagation(operation: str) -> None:
    """Random gradients at a cell's output, independent over time and place, go back through its only convolution."""
    macro = Macro((3, 16, 16), classes=2, timesteps=5, channels=24, hidden=0, votes=1, static_input=False)
    genotype = Genotype(2, (Edge(0, 1, operation),))
    space = CellSpace(macro, cells=2, nodes=2, operations=("none", operation))
    architecture = Architecture((genotype, genotype), macro)
    field = propagate(space, np.array([[1]]), InputStatistics(0.0, static_share=0.0))
    frames = torch.randn(5, 12, 3, 16, 16, generator=torch.Generator().manual_seed(3))
    network = build_network(architecture.expand(), seed=0).train()
    values = network.run(frames)
    edge = f"cell1.0_1.{operation.replace('.', '_')}.norm"
    values["stem.norm"].retain_grad()
    gradient = torch.randn(values[edge].shape, generator=torch.Generator().manual_seed(5))
    values[edge].backward(gradient)
    measured = float(values["stem.norm"].grad.square().mean() / gradient.square().mean())
    assert float(gradient_gains(field.cells[0], macro)[0, 0, 1]) == pytest.approx(measured, rel=0.2)


def test_a_kernel_that_sees_no_neighbour_adds_no_depth():
    macro = Macro((3, 256, 256), classes=3, timesteps=3, channels=4, hidden=0, votes=1)
    space = CellSpace(macro, operations=("none", "identity", "conv1x1", "conv3x3", "conv5x5"))
    chains = np.array([[choice, 0, 0, choice, 0, choice] for choice in (2, 3, 4)])
    one, three, five = SCORES.get("isometric_depth")()(ScoringTask(space), chains).total
    assert one == 0
    assert five == pytest.approx(three * (24 / 25) / (8 / 9), rel=0.01)  # but for the edges of the maps
    ranked = SCORES.get(DEFAULT_SCORE)()(ScoringTask(space), chains).total
    assert ranked[0] < ranked[1] < ranked[2]
