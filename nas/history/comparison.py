"""Fronts beside each other: what each covers, what of the joint front it attains, which dominates which."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hasnas.errors import BadInputError

from .pareto import attained_volume, non_dominated

FloatArray = NDArray[np.float64]
MARGIN = 0.1  # of the range of all fronts, so that their ends cover something too


@dataclass(frozen=True, eq=False)
class FrontComparison:
    """R fronts beside each other.

    Args:
        points: of each front the candidates, `[N_r, M]`, in one unit for each objective, at least one for each.
        maximize: for each objective whether larger is better.
        given_reference: the worst value of interest for each objective; by default the worst on any front, made worse
            by a tenth of the range.

    Raises:
        BadInputError: if a front is empty or a value is not finite.

    >>> found = FrontComparison((np.array([[1.0, 3.0]]), np.array([[3.0, 1.0], [1.0, 4.0]])), (False, False))
    >>> [round(value, 3) for value in found.reference], found.attains.tolist(), found.dominates.tolist()
    ([3.2, 4.3], [0.5, 0.5], [[0.0, 0.5], [0.0, 0.0]])
    """

    points: tuple[FloatArray, ...]
    maximize: tuple[bool, ...]
    given_reference: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        for number, values in enumerate(self.points, start=1):
            if values.ndim != 2 or values.shape[1] != len(self.maximize) or not len(values):
                raise BadInputError(f"front {number} has shape {values.shape}; give [N, {len(self.maximize)}] values")
            if not np.isfinite(values).all():
                raise BadInputError(f"front {number} holds a value that is not finite; leave it out")

    @cached_property
    def fronts(self) -> tuple[NDArray[np.int64], ...]:
        """Of each run, the rows of its points that no other of its points dominates; equal ones once."""
        return tuple(self._front_rows(values) for values in self.points)

    @cached_property
    def joint(self) -> FloatArray:
        """The front of all runs together, by the last objective, the best first, `[J, M]`."""
        everything = np.concatenate([values[rows] for values, rows in zip(self.points, self.fronts, strict=True)])
        front = everything[self._front_rows(everything)]
        return front[np.lexsort(self._losses(front).T)]

    @cached_property
    def attained(self) -> NDArray[np.bool_]:
        """Which run has something at least as good in every objective as each point of the joint front, `[R, J]`."""
        targets = self._losses(self.joint)
        return np.stack([_any_as_good(self._losses(values), targets) for values in self.points])

    @property
    def attains(self) -> FloatArray:
        """Share of the joint front that each run attains, `[R]`."""
        return self.attained.mean(axis=1)

    @cached_property
    def dominates(self) -> FloatArray:
        """`[R, R]`: share of the column's front that a point of the row's is better than somewhere, worse nowhere."""
        fronts = [self._losses(values[rows]) for values, rows in zip(self.points, self.fronts, strict=True)]
        return np.array([[float(_any_better(one, other).mean()) for other in fronts] for one in fronts])

    @cached_property
    def reference(self) -> tuple[float, ...]:
        """The worst value of interest for each objective."""
        if self.given_reference is not None:
            return self.given_reference
        everything = np.concatenate([values[rows] for values, rows in zip(self.points, self.fronts, strict=True)])
        losses = self._losses(everything)
        worst, best = losses.max(axis=0), losses.min(axis=0)
        spread = np.where(worst > best, worst - best, np.maximum(np.abs(worst), 1e-30))
        return tuple(self._losses((worst + MARGIN * spread)[None])[0].tolist())

    @cached_property
    def ideal(self) -> tuple[float, ...]:
        """The best value of each objective on any front."""
        return tuple(self._losses(self._losses(self.joint).min(axis=0)[None])[0].tolist())

    @cached_property
    def box(self) -> float:
        """Volume between ideal and reference; 0 where the reference is not worse than the ideal."""
        sides = self._losses(np.array([self.reference]))[0] - self._losses(np.array([self.ideal]))[0]
        return float(np.prod(sides)) if (sides > 0).all() else 0.0

    @cached_property
    def volumes(self) -> FloatArray:
        """Hypervolume of each run, in the product of the objectives' units, `[R]`."""
        return np.array([attained_volume([values], self.reference, self.maximize) for values in self.points])

    @cached_property
    def attainment(self) -> FloatArray:
        """Volume that at least 1, 2, ... R of the runs attain, `[R]`."""
        everyone = [values[rows] for values, rows in zip(self.points, self.fronts, strict=True)]
        counts = range(1, len(everyone) + 1)
        return np.array([attained_volume(everyone, self.reference, self.maximize, count) for count in counts])

    def share(self, volume: float) -> float:
        """A volume as a share of the box between ideal and reference."""
        return volume / self.box if self.box else 0.0

    def _losses(self, values: FloatArray) -> FloatArray:
        return np.where(np.asarray(self.maximize), -values, values)

    def _front_rows(self, values: FloatArray) -> NDArray[np.int64]:
        _, first = np.unique(values, axis=0, return_index=True)
        rows = np.sort(first)
        return rows[non_dominated(values[rows], self.maximize)]


def segments(attained: NDArray[np.bool_]) -> list[tuple[int, int, tuple[int, ...]]]:
    """Stretches of a joint front with the same runs on it: first and last point, and the runs.

    Args:
        attained: `[R, J]`, the points in their order.

    >>> segments(np.array([[True, True, False], [False, False, True]]))
    [(0, 1, (0,)), (2, 2, (1,))]
    """
    found: list[tuple[int, int, tuple[int, ...]]] = []
    for number, column in enumerate(attained.T):
        runs = tuple(np.flatnonzero(column).tolist())
        if found and found[-1][2] == runs:
            found[-1] = (found[-1][0], number, runs)
        else:
            found.append((number, number, runs))
    return found


def _any_as_good(losses: FloatArray, targets: FloatArray) -> NDArray[np.bool_]:
    return np.array([bool((losses <= target).all(axis=1).any()) for target in targets])


def _any_better(losses: FloatArray, targets: FloatArray) -> NDArray[np.bool_]:
    return np.array(
        [bool(((losses <= target).all(axis=1) & (losses < target).any(axis=1)).any()) for target in targets]
    )
