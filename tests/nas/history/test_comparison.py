"""Fronts beside each other, against counting on a grid and against what is known of single points."""

import numpy as np
import pytest

from hasnas.errors import BadInputError
from hasnas.nas.history.comparison import FrontComparison
from hasnas.nas.history.pareto import attained_volume, hypervolume


def drawn(seed: int, objectives: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 6, (int(rng.integers(1, 7)), objectives)).astype(float) for _ in range(3)]


@pytest.mark.parametrize("objectives", [1, 2, 3, 4])
@pytest.mark.parametrize("seed", range(8))
def test_attained_volume_is_the_number_of_unit_cubes_that_so_many_sets_dominate(seed: int, objectives: int) -> None:
    sets, side = drawn(seed, objectives), 6
    cubes = np.stack(np.meshgrid(*[np.arange(side)] * objectives, indexing="ij"), axis=-1).reshape(-1, objectives)
    reached = sum((points[:, None] <= cubes).all(-1).any(0).astype(int) for points in sets)
    for count in (1, 2, 3):
        volume = attained_volume(sets, [float(side)] * objectives, [False] * objectives, count)
        assert volume == pytest.approx(int((reached >= count).sum()))


def test_the_volume_of_one_set_is_its_hypervolume_whichever_way_is_better() -> None:
    points = np.array([[0.9, 3.0], [0.5, 1.0], [0.2, 0.5], [0.1, 9.0]])
    found = FrontComparison((points, points[:2]), (True, False), (0.0, 4.0))
    turned = hypervolume(points * [-1, 1], (0.0, 4.0), (False, False))
    assert found.volumes[0] == pytest.approx(turned) == pytest.approx(0.9 * 1 + 0.5 * 2 + 0.2 * 0.5)
    assert found.attainment[1] == pytest.approx(found.volumes[1])
    assert found.attainment[0] == pytest.approx(found.volumes[0])


def test_shares_of_front_that_are_dominated_and_attained() -> None:
    better, worse = np.array([[1.0, 1.0]]), np.array([[2.0, 1.0], [0.5, 5.0]])
    aside = np.array([[1.0, 1.0], [4.0, 0.5]])
    found = FrontComparison((better, worse, aside), (False, False))
    assert found.dominates.tolist() == [[0, 0.5, 0], [0, 0, 0], [0, 0.5, 0]]
    assert found.joint.tolist() == [[4.0, 0.5], [1.0, 1.0], [0.5, 5.0]]
    assert found.attained.tolist() == [[False, True, False], [False, False, True], [True, True, False]]


def test_the_default_reference_lies_a_tenth_of_the_range_behind_the_worst() -> None:
    found = FrontComparison((np.array([[0.9, 10.0], [0.4, 5.0]]), np.array([[0.5, 30.0]])), (True, False))
    np.testing.assert_allclose(found.reference, (0.4 - 0.05, 30 + 2.5))
    np.testing.assert_allclose(found.ideal, (0.9, 5.0))
    assert 0 < found.share(float(found.volumes[1])) < found.share(float(found.volumes[0])) < 1


def test_a_single_point_covers_something_too() -> None:
    found = FrontComparison((np.array([[0.5, 2.0]]),), (True, False))
    assert found.share(float(found.volumes[0])) == pytest.approx(1)


@pytest.mark.parametrize("points", [np.empty((0, 2)), np.array([[1.0, np.nan]]), np.array([[1.0]])])
def test_what_cannot_be_compared_is_refused(points: np.ndarray) -> None:
    with pytest.raises(BadInputError, match="front 1"):
        FrontComparison((points,), (False, False))
