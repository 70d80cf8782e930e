"""Random search: the baseline that every other strategy has to beat."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping

import numpy as np

from hasnas.search_spaces.space import Codes, codes_at, sample, space_size

from .strategy import CodesOfOne, SearchProblem

DRAWS = 1024
# Spaces up to this size are drawn without replacement, so that their end is known exactly.
ENUMERABLE = 1 << 20
# Draws of DRAWS codes in a row that bring nothing before a larger space counts as exhausted.
PATIENCE = 256


class RandomSearch:
    """Draws architectures uniformly as drawn, keeps those that are connected, feasible and new.

    Args:
        problem: the space, the budget, and the seed.
    """

    def __init__(self, problem: SearchProblem) -> None:
        self.problem = problem
        self._ends = space_size(problem.space) <= ENUMERABLE
        self._drawn = _draws(problem)
        self._seen: set[CodesOfOne] = set()
        self._queue: list[CodesOfOne] = []

    def ask(self, count: int) -> list[CodesOfOne]:
        """See `Strategy.ask`."""
        barren = 0
        while len(self._queue) < count and barren < PATIENCE:
            drawn = next(self._drawn, None)
            if drawn is None:
                break
            unseen = self._unseen(drawn)
            found = unseen[self.problem.admissible(unseen)[1]]
            self._queue += [tuple(row) for row in found.tolist()]
            barren = 0 if len(found) or self._ends else barren + 1
        proposed, self._queue = self._queue[:count], self._queue[count:]
        return proposed

    def beside(self, proposed: Container[CodesOfOne]) -> CodesOfOne | None:
        """The next member that is not among those proposed otherwise; None if there is none left."""
        while drawn := self.ask(1):
            if drawn[0] not in proposed:
                return drawn[0]
        return None

    def tell(self, codes: CodesOfOne, value: float | None, costs: Mapping[str, float]) -> None:
        """Random search does not learn."""

    def _unseen(self, drawn: Codes) -> Codes:
        """The canonical codes that were not drawn before, each once; known ones are not priced again."""
        canonical, _ = self.problem.space.canonical(drawn)
        fresh = []
        for row in canonical.tolist():
            codes = tuple(row)
            if codes not in self._seen:
                self._seen.add(codes)
                fresh.append(codes)
        return np.array(fresh, canonical.dtype).reshape(len(fresh), canonical.shape[1])


def _draws(problem: SearchProblem) -> Iterator[Codes]:
    """Codes as drawn, in chunks; ends where the space does, if it is small enough."""
    rng = np.random.default_rng(problem.seed)
    size = space_size(problem.space)
    if size <= ENUMERABLE:
        order = rng.permutation(size)
        for start in range(0, size, DRAWS):
            yield codes_at(problem.space, order[start : start + DRAWS])
        return
    while True:
        yield sample(problem.space, rng, DRAWS)
