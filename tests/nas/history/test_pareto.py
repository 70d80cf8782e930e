"""The front against its definition, the hypervolume against counting cells."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hasnas.errors import BadInputError
from hasnas.nas.history.pareto import hypervolume, non_dominated

POINTS = st.integers(1, 4).flatmap(
    lambda objectives: arrays(np.int8, st.tuples(st.integers(0, 12), st.just(objectives)), elements=st.integers(0, 5))
)


def dominates(first: np.ndarray, second: np.ndarray) -> bool:
    return bool((first <= second).all() and (first < second).any())


@given(POINTS)
def test_the_front_is_what_nobody_dominates(points: np.ndarray):
    expected = [not any(dominates(other, point) for other in points) for point in points]
    assert non_dominated(points, [False] * points.shape[1]).tolist() == expected
    assert non_dominated(-points.astype(float), [True] * points.shape[1]).tolist() == expected


def test_nan_is_never_on_the_front_and_dominates_nothing():
    values = [[0.9, 5.0], [np.nan, 0.0], [0.8, np.nan], [0.9, 5.0]]
    assert non_dominated(values, (True, False)).tolist() == [True, False, False, True]
    assert not non_dominated([[np.nan, np.nan]], (True, False)).any()


def test_infinite_costs_are_compared_like_others():
    assert non_dominated([[0.5, np.inf], [0.5, 1.0]], (True, False)).tolist() == [False, True]


@settings(deadline=None)
@given(POINTS)
def test_the_hypervolume_counts_the_dominated_cells(points: np.ndarray):
    objectives = points.shape[1]
    cells = itertools.product(range(6), repeat=objectives)
    expected = sum(any((point <= cell).all() for point in points) for cell in map(np.array, cells))
    assert hypervolume(points, [6] * objectives, [False] * objectives) == expected


def test_the_hypervolume_of_mixed_directions_by_hand():
    # Accuracy above 0.5 and energy below 10: 0.4 x 2, and 0.3 x 3 more.
    points = [[0.9, 8.0], [0.8, 5.0], [0.95, 10.0], [0.4, 1.0], [np.nan, 1.0]]
    assert hypervolume(points, (0.5, 10.0), (True, False)) == pytest.approx(0.4 * 2 + 0.3 * 3)
    assert hypervolume([], (0.5, 10.0), (True, False)) == 0.0


def test_directions_must_match_the_objectives():
    with pytest.raises(BadInputError, match="3 directions"):
        non_dominated([[1.0, 2.0]], (True, False, False))
