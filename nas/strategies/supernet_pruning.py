"""Search by removal: a space that still holds every choice loses the least important one, again and again."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from hasnas.search_spaces.space import Codes, radices

from .random_search import RandomSearch
from .strategy import CodesOfOne, SearchProblem

# Share of a pass that is spent on all choices before the first one is removed.
WARM = 0.2
# Share of the choices that a later pass does without from its start.
KNOWN = 0.5
# Told candidates made of the choices that are left; with fewer, all told ones count.
ENOUGH = 10
# Members that each side of a comparison is credited with at the mean of all: few members say little.
PRIOR = 1.0
# Draws that are priced together, and how often, before the space that is left counts as exhausted.
LITTER, PATIENCE = 32, 16


class SupernetPruning:
    """Starts with every choice of every gene and removes them one by one, until each gene has one left.

    Candidates are drawn from the choices that are left. The importance of a choice is how far candidates with it rank
    above those without it; the least important one goes, but never one that the feasible region cannot do without.
    Removals are spread over the `evaluations` after a first fifth. When nothing new is left, another pass begins with
    the better half of all choices by what is known.

    LightSNN masks each operation of each edge of the supernet in turn, scores what remains with a sparsity-aware
    Hamming distance, and drops the operation of each edge whose removal leaves the highest score, until a single path
    is left. Ours removes one choice at a time over all genes; as a mask of a supernet is no candidate, it estimates the
    effect of a removal from candidates with and without the choice, so that any value will do: a score or an accuracy.

    Args:
        problem: the space, the budget, the settings (`evaluations`) and the seed.

    Source: Abdennadher et al., "LightSNN: Lightweight Architecture Search for Sparse and Accurate Spiking Neural
    Networks", 2025, and its public code.
    """

    spreads_over_evaluations = True

    def __init__(self, problem: SearchProblem) -> None:
        self.problem = problem
        self.sizes = radices(problem.space)
        self._generator = np.random.default_rng(problem.seed)
        self._random_members = RandomSearch(problem)
        # Proposed candidate -> the codes it was drawn with, dead choices included.
        self._proposed: dict[CodesOfOne, CodesOfOne] = {}
        self._told: dict[CodesOfOne, float] = {}
        self._queue: list[tuple[CodesOfOne, CodesOfOne]] = []
        self._begin_pass()

    def ask(self, count: int) -> list[CodesOfOne]:
        """See `Strategy.ask`."""
        proposed: list[CodesOfOne] = []
        while len(proposed) < count and (candidate := self._next()) is not None:
            proposed.append(candidate)
        return proposed

    def tell(self, codes: CodesOfOne, value: float | None, costs: Mapping[str, float]) -> None:
        """See `Strategy.tell`; what failed counts as worse than all else."""
        self._told[tuple(codes)] = float(value) if value is not None and np.isfinite(value) else -np.inf

    @property
    def allowed(self) -> tuple[tuple[int, ...], ...]:
        """The choices of each gene that are left."""
        return tuple(tuple(np.flatnonzero(row).tolist()) for row in self._allowed)

    def _begin_pass(self) -> None:
        widest = int(self.sizes.max())
        self._allowed: NDArray[np.bool_] = np.arange(widest) < self.sizes[:, None]
        self._kept = np.zeros_like(self._allowed)
        self._removed, self._began = 0, len(self._proposed)
        self._queue.clear()

    def _next(self) -> CodesOfOne | None:
        if not self._proposed:  # nothing is removed from an empty region
            return self._unseen()
        while self._removed < self._due() and self._remove():
            pass
        while (candidate := self._member()) is None:
            if not self._remove():
                self._begin_pass()
                return self._unseen()
        return candidate

    def _due(self) -> int:
        """Choices that should be gone by now."""
        length, total = self.problem.settings.evaluations, int((self.sizes - 1).sum())
        done = len(self._proposed) - self._began
        if self._began == 0:
            share = (done / length - WARM) / (1 - WARM)
        else:
            share = KNOWN + (1 - KNOWN) * done / length
        return int(np.clip(np.ceil(share * total), 0, total))

    def _member(self) -> CodesOfOne | None:
        """A feasible candidate of the choices that are left that was not proposed."""
        for _ in range(PATIENCE):
            while self._queue:
                candidate, raw = self._queue.pop()
                if candidate not in self._proposed:
                    self._proposed[candidate] = raw
                    return candidate
            drawn = self._drawn(LITTER)
            canonical, admitted = self.problem.admissible(drawn)
            pairs = zip(canonical[admitted].tolist(), drawn[admitted].tolist(), strict=True)
            self._queue = [(tuple(row), tuple(raw)) for row, raw in pairs if tuple(row) not in self._proposed]
            if not self._queue and self._allowed.sum(axis=1).max() == 1:
                break
        return None

    def _drawn(self, count: int, allowed: NDArray[np.bool_] | None = None) -> Codes:
        """Codes drawn uniformly from the choices that are left, `[count, genes]`."""
        left = self._allowed if allowed is None else allowed
        keys = np.where(left, self._generator.random((count, *left.shape)), -1.0)
        return keys.argmax(axis=2).astype(np.int16)

    def _remove(self) -> bool:
        """Remove the least important choice that can go; whether there was one."""
        importance = self._importance()
        free = self._allowed & ~self._kept & (self._allowed.sum(axis=1) > 1)[:, None]
        for flat in np.argsort(np.where(free, importance, np.inf), axis=None, kind="stable")[: int(free.sum())]:
            gene, choice = np.unravel_index(flat, free.shape)
            if self._can_go(int(gene), int(choice)):
                self._allowed[gene, choice] = False
                self._removed += 1
                self._queue = [pair for pair in self._queue if pair[1][gene] != choice]
                return True
            self._kept[gene, choice] = True
        return False

    def _can_go(self, gene: int, choice: int) -> bool:
        """Whether what is left without a choice still holds a feasible candidate."""
        left = self._allowed.copy()
        left[gene, choice] = False
        if self._inside(left).any():
            return True
        return any(self.problem.admissible(self._drawn(LITTER, left))[1].any() for _ in range(PATIENCE))

    def _inside(self, allowed: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Which told candidates are made of allowed choices, as proposed or as drawn."""
        genes = np.arange(len(self.sizes))
        told, drawn = (
            np.array(rows, np.int16).reshape(len(self._told), len(genes))
            for rows in (list(self._told), [self._proposed.get(codes, codes) for codes in self._told])
        )
        return np.logical_or(allowed[genes, told].all(axis=1), allowed[genes, drawn].all(axis=1))

    def _importance(self) -> NDArray[np.float64]:
        """Mean rank of candidates with each choice over that of those without it, `[genes, choices]`.

        Only candidates made of choices that are left count, as long as there are enough.
        """
        if not self._told:
            return np.zeros(self._allowed.shape)
        codes, values = np.array(list(self._told), np.int16), np.array(list(self._told.values()))
        inside = self._inside(self._allowed)
        if inside.sum() >= ENOUGH:
            codes, values = codes[inside], values[inside]
        ranks = rankdata(values) / len(values)
        centred = ranks - ranks.mean()
        holds = codes[:, :, None] == np.arange(self._allowed.shape[1])
        counts, sums = holds.sum(axis=0), (holds * centred[:, None, None]).sum(axis=0)
        return sums / (counts + PRIOR) + sums / (len(codes) - counts + PRIOR)

    def _unseen(self) -> CodesOfOne | None:
        """A random member that was not proposed, or None if there is none left."""
        drawn = self._random_members.beside(self._proposed)
        if drawn is not None:
            self._proposed[drawn] = drawn
        return drawn
