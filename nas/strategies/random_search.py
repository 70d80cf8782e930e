"""Random search: the baseline that every other strategy has to beat."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hasnas.search_spaces.space import sample

from .strategy import CodesOfOne, SearchProblem

DRAWS = 1024
# Draws of DRAWS codes in a row that bring nothing new before the feasible region counts as exhausted.
PATIENCE = 64


class RandomSearch:
    """Draws architectures uniformly as drawn, keeps those that are connected, feasible and new.

    Args:
        problem: the space, the budget, and the seed.
    """

    def __init__(self, problem: SearchProblem) -> None:
        self.problem = problem
        self._generator = np.random.default_rng(problem.seed)
        self._seen: set[CodesOfOne] = set()
        self._queue: list[CodesOfOne] = []

    def ask(self, count: int) -> list[CodesOfOne]:
        """See `Strategy.ask`."""
        barren = 0
        while len(self._queue) < count and barren < PATIENCE:
            barren = 0 if self._draw() else barren + 1
        proposed, self._queue = self._queue[:count], self._queue[count:]
        return proposed

    def tell(self, codes: CodesOfOne, value: float | None, costs: Mapping[str, float]) -> None:
        """Random search does not learn."""

    def _draw(self) -> int:
        """Draw once; the number of new candidates."""
        codes, admitted = self.problem.admissible(sample(self.problem.space, self._generator, DRAWS))
        before = len(self._queue)
        for row in codes[admitted].tolist():
            candidate = tuple(row)
            if candidate not in self._seen:
                self._seen.add(candidate)
                self._queue.append(candidate)
        return len(self._queue) - before
