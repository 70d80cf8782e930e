"""Classes that do not see node numbers, and features of them."""

from __future__ import annotations

import numpy as np
import pytest

from hasnas.nas.scoring.graph_features import canonical_classes, graph_features
from hasnas.search_spaces import Macro
from hasnas.search_spaces.snasnet import CellSpace, SNASNetSpace
from hasnas.search_spaces.space import all_codes, sample
from hasnas.search_spaces.spikenas_bench import SpikeNASBenchSpace

SPACE = SpikeNASBenchSpace(Macro())


def test_spikenas_bench_has_5425_classes() -> None:
    codes = np.concatenate(list(all_codes(SPACE)))
    assert len(np.unique(canonical_classes(SPACE, codes))) == 5425


@pytest.mark.parametrize(
    "first, second",
    [
        ((2, 0, 1, 0, 3, 0), (0, 2, 1, 0, 0, 3)),  # through node 1 or node 2
        ((2, 0, 0, 1, 0, 3), (2, 0, 0, 0, 3, 0)),  # an identity between
        ((2, 4, 0, 0, 3, 0), (2, 0, 0, 0, 3, 0)),  # a dead edge
        ((2, 0, 0, 0, 0, 0), (0, 0, 0, 3, 4, 0)),  # no path at all
    ],
)
def test_the_same_cell_drawn_differently(first: tuple[int, ...], second: tuple[int, ...]) -> None:
    one, two = canonical_classes(SPACE, np.array([first, second]))
    assert one == two


@pytest.mark.parametrize(
    "first, second",
    [
        ((2, 0, 1, 0, 3, 0), (3, 0, 1, 0, 2, 0)),  # thresholds in another order
        ((2, 2, 0, 0, 1, 1), (2, 0, 0, 1, 1, 1)),  # two equal convolutions, one convolution twice
        ((2, 0, 1, 0, 3, 0), (2, 0, 0, 0, 3, 0)),  # with and without the input beside
    ],
)
def test_different_cells(first: tuple[int, ...], second: tuple[int, ...]) -> None:
    one, two = canonical_classes(SPACE, np.array([first, second]))
    assert one != two


def test_feedback_tells_cells_apart() -> None:
    space = SNASNetSpace(Macro(), feedback=True)
    labels = space.choices
    back = labels.index("feedback:conv3x3")
    forward = labels.index("conv3x3")
    codes = np.array([[forward, 0, 0, 0, forward, 0], [forward, back, 0, forward, forward, 0]])
    codes = np.vstack([codes, [[forward, 0, back, 0, forward, 0]]])
    assert len(np.unique(canonical_classes(space, codes))) == 3


@pytest.mark.parametrize(
    "space",
    [SPACE, SNASNetSpace(Macro(), feedback=True), CellSpace(Macro(), shared=False, operations=("none", "conv5x5"))],
)
def test_features_of_any_space(space: CellSpace) -> None:
    codes = sample(space, np.random.default_rng(0), 50)
    features = graph_features(space, codes)
    assert np.isfinite(features).all()
    np.testing.assert_array_equal(features, graph_features(space, space.canonical(codes)[0]))
    np.testing.assert_array_equal(features[7:8], graph_features(space, codes[7:8]))


def test_features_by_hand() -> None:
    features = graph_features(SPACE, np.array([[2, 0, 1, 0, 4, 0]]))[0]
    connected, by_type, operators, convs, paths = features[0], features[1:4], features[4], features[5], features[6:11]
    assert connected == 1
    assert by_type.tolist() == [1, 0, 1]
    assert (operators, convs) == (2, 2)
    assert paths.tolist() == [1, 0, 1, 0, 2]
