"""NSGA-II on value and cost, steady state: survivors of everything told so far are the parents of the next batch."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from hasnas.nas.pareto import non_dominated
from hasnas.search_spaces.space import crossover, mutate

from .random_search import RandomSearch
from .strategy import CodesOfOne, SearchProblem

FloatArray = NDArray[np.float64]
# Children without one that is new and feasible before a random member is taken instead.
PATIENCE = 200


class NSGA2:
    """Elitist evolution by non-dominated rank and crowding distance, with constraint domination.

    Candidates outside the budget are never proposed. Those whose told cost turns out above `limit` lose against every
    one within it, and against those that break it by less. Without told costs the value alone counts.

    Args:
        problem: the space, the budget, the settings (`population`, `mutation`) and the seed.
        cost: key of the told costs, to be kept low.
        limit: largest cost of interest.

    Source: Deb et al., "A fast and elitist multiobjective genetic algorithm: NSGA-II", IEEE TEC 2002.
    """

    def __init__(self, problem: SearchProblem, cost: str = "energy_j", limit: float = np.inf) -> None:
        self.problem, self.cost, self.limit = problem, cost, limit
        self._generator = np.random.default_rng(problem.seed)
        self._random_members = RandomSearch(problem)
        self._proposed: set[CodesOfOne] = set()
        self._told: dict[CodesOfOne, tuple[float, float]] = {}

    def ask(self, count: int) -> list[CodesOfOne]:
        """See `Strategy.ask`."""
        parents = self._survivors()
        proposed: list[CodesOfOne] = []
        while len(proposed) < count:
            young = len(self._proposed) < self.problem.settings.population or len(parents) < 2
            candidate = None if young else self._child(parents)
            candidate = candidate or self._stranger()
            if candidate is None:
                break
            self._proposed.add(candidate)
            proposed.append(candidate)
        return proposed

    def tell(self, codes: CodesOfOne, value: float | None, costs: Mapping[str, float]) -> None:
        """See `Strategy.tell`."""
        if value is not None and np.isfinite(value):
            self._told[tuple(codes)] = (float(value), float(costs.get(self.cost, 0.0)))

    def _survivors(self) -> list[CodesOfOne]:
        """Told candidates from best to worst, as many as the population holds."""
        if not self._told:
            return []
        codes = list(self._told)
        objectives = np.array([self._told[key] for key in codes])
        violation = np.maximum(objectives[:, 1] / self.limit - 1, 0.0)
        rank, crowding = ranks_and_crowding(objectives, (True, False))
        order = np.lexsort([-crowding, rank, violation])
        return [codes[index] for index in order[: self.problem.settings.population]]

    def _child(self, parents: list[CodesOfOne]) -> CodesOfOne | None:
        """A new feasible child of two tournament winners; parents come sorted, so the lower index wins."""
        space, rng = self.problem.space, self._generator
        for _ in range(PATIENCE):
            first, second = (int(rng.integers(len(parents), size=2).min()) for _ in range(2))
            raw = mutate(space, crossover(parents[first], parents[second], rng), rng, self.problem.settings.mutation)
            canonical, admitted = self.problem.admissible(np.array([raw], np.int16))
            child = tuple(int(code) for code in canonical[0])
            if admitted[0] and child not in self._proposed:
                return child
        return None

    def _stranger(self) -> CodesOfOne | None:
        """A random member that was not proposed, or None if there is none left."""
        while drawn := self._random_members.ask(1):
            if drawn[0] not in self._proposed:
                return drawn[0]
        return None


def ranks_and_crowding(objectives: FloatArray, maximize: tuple[bool, ...]) -> tuple[NDArray[np.int64], FloatArray]:
    """Front that each point belongs to, 0 the best, and its crowding distance within that front.

    The crowding distance sums, over the objectives, the gap between a point's neighbours relative to the front's range;
    the ends of a front are infinitely far from others.

    >>> ranks_and_crowding(np.array([[3.0, 3.0], [2.0, 2.0], [1.0, 1.0], [1.0, 4.0]]), (True, False))[0].tolist()
    [0, 0, 0, 1]
    """
    rank = np.full(len(objectives), -1)
    crowding = np.zeros(len(objectives))
    level = 0
    while (rank < 0).any():
        left = np.flatnonzero(rank < 0)
        front = left[non_dominated(objectives[left], maximize)]
        if len(front) == 0:
            front = left
        rank[front] = level
        for column in objectives[front].T:
            order = np.argsort(column, kind="stable")
            span = max(float(np.ptp(column)), 1e-12)
            gaps = np.full(len(front), np.inf)
            gaps[order[1:-1]] = (column[order[2:]] - column[order[:-2]]) / span
            crowding[front] += gaps
        level += 1
    return rank, crowding
