"""Pareto fronts: which candidates no other beats, and how much of the objective space they cover."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hasnas.errors import BadInputError


def non_dominated(values: ArrayLike, maximize: Sequence[bool]) -> NDArray[np.bool_]:
    """Which points no other point dominates.

    A point dominates another if it is at least as good in every objective and better in one. Equal points do not
    dominate each other. A point with a NaN is never on the front and dominates nothing.

    Args:
        values: `[N, M]` objective values.
        maximize: for each objective whether larger is better.

    Returns:
        Mask `[N]`.

    >>> non_dominated([[0.9, 5.0], [0.8, 1.0], [0.7, 2.0], [np.nan, 0.0]], maximize=(True, False)).tolist()
    [True, True, False, False]
    """
    costs = _as_costs(values, maximize)
    mask = np.zeros(len(costs), bool)
    left = np.flatnonzero(~np.isnan(costs).any(axis=1))
    # Only the order of values counts, so their ranks will do; who has the least sum of ranks is dominated by nobody.
    ranks = np.stack([np.unique(column, return_inverse=True)[1] for column in costs.T], axis=1)
    left = left[np.argsort(ranks[left].sum(axis=1), kind="stable")]
    while len(left):
        mask[left[0]] = True
        point, others = ranks[left[0]], ranks[left]
        equal = (others == point).all(axis=1)
        mask[left[equal]] = True
        left = left[(others < point).any(axis=1)]
    return mask


def hypervolume(values: ArrayLike, reference: Sequence[float], maximize: Sequence[bool]) -> float:
    """Volume of the objective space that is dominated by the points and better than a reference point, exactly.

    Args:
        values: `[N, M]` objective values; points with a NaN, and points not better than the reference, add nothing.
        reference: the worst value of interest for each objective.
        maximize: for each objective whether larger is better.

    Returns:
        The volume, in the product of the objectives' units.

    >>> hypervolume([[1.0, 3.0], [2.0, 1.0]], reference=(4.0, 4.0), maximize=(False, False))
    7.0
    """
    return attained_volume([values], reference, maximize)


def attained_volume(
    sets: Sequence[ArrayLike], reference: Sequence[float], maximize: Sequence[bool], count: int = 1
) -> float:
    """Volume better than a reference point that at least `count` of several sets of points dominate, exactly.

    Args:
        sets: values `[N_r, M]` of each set, see `hypervolume`.
        reference: the worst value of interest for each objective.
        maximize: for each objective whether larger is better.
        count: how many sets must reach a place for it to count.

    >>> sets = [[[1.0, 3.0]], [[2.0, 1.0]]]
    >>> [attained_volume(sets, (4.0, 4.0), (False, False), count) for count in (1, 2)]
    [7.0, 2.0]
    """
    corner = _as_costs([list(reference)], maximize)[0]
    inside = []
    for values in sets:
        costs = _as_costs(values, maximize)
        inside.append(_front(costs[(costs < corner).all(axis=1)]))
    return _volume(inside, corner, count)


def _as_costs(values: ArrayLike, maximize: Sequence[bool]) -> NDArray[np.float64]:
    """Values `[N, M]` with the sign that makes smaller better everywhere."""
    array = np.asarray(values, float)
    if array.size == 0:
        return np.empty((0, len(maximize)))
    if array.ndim != 2 or array.shape[1] != len(maximize):
        raise BadInputError(f"objectives of shape {array.shape} but {len(maximize)} directions; give [N, objectives]")
    return np.where(np.asarray(maximize, bool), -array, array)


def _volume(sets: Sequence[NDArray[np.float64]], corner: NDArray[np.float64], count: int) -> float:
    """Sweep along the last objective: each slab is a volume of one dimension less."""
    if sum(len(costs) > 0 for costs in sets) < count:
        return 0.0
    if len(corner) == 1:
        reached = sorted(float(costs.min()) for costs in sets if len(costs))
        return float(corner[0]) - reached[count - 1]
    levels = np.unique(np.concatenate([costs[:, -1] for costs in sets]))
    total = 0.0
    for level, depth in zip(levels, np.diff(np.append(levels, corner[-1])), strict=True):
        reached_here = [_front(costs[costs[:, -1] <= level, :-1]) for costs in sets]
        total += depth * _volume(reached_here, corner[:-1], count)
    return float(total)


def _front(costs: NDArray[np.float64]) -> NDArray[np.float64]:
    """The points that matter, each once."""
    unique = np.unique(costs, axis=0)
    return unique[non_dominated(unique, (False,) * unique.shape[1])]
