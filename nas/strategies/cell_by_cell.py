"""Cells optimised one after the other, each with the others held: HASNAS's way to build an architecture."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hasnas.search_spaces.space import Codes, SearchSpace, radices

from .random_search import RandomSearch
from .strategy import CodesOfOne, SearchProblem

# Sweeps over all cells that the evaluations are divided among; a later one sees the cells that the others became.
SWEEPS = 2
# Candidates whose neighbours are tried.
PARENTS = 5
# Children that are priced together at least, and how often, before a random member is taken instead.
LITTER, PATIENCE = 16, 32


class CellByCell:
    """Optimises the genes of one cell after the other within the budget, each with the best of the others.

    It starts from minimal cells: one convolution, where that is connected and feasible. The first cell evolves while
    the others stay minimal, the best candidate is kept, then comes the second cell, and so on; after the last one the
    first is taken up again. Within a cell, random choices are followed by neighbours of the best: one gene is changed.
    A space whose cells are all equal is one cell.

    HASNAS names three steps (operations are optimised, an architecture is developed, a hardware-aware search meets the
    limits on memory, area, latency and energy), and its cells differ. Minimal cells as the start, the search within a
    cell, and more than one sweep are ours: a score that the weakest cell decides says nothing of the others before it.

    Args:
        problem: the space, the budget, the settings (`evaluations`, `population`) and the seed.

    Source: Putra and Shafique, "HASNAS: A Hardware-Aware Spiking Neural Architecture Search Framework for Neuromorphic
    Compute-in-Memory Systems", arXiv 2407.00641, 2024.
    """

    spreads_over_evaluations = True

    def __init__(self, problem: SearchProblem) -> None:
        self.problem = problem
        self.cells = cells_of(problem.space)
        self._generator = np.random.default_rng(problem.seed)
        self._random_members = RandomSearch(problem)
        self._proposed: set[CodesOfOne] = set()
        self._told: dict[CodesOfOne, float] = {}
        self._anchor: CodesOfOne = ()
        self._family: list[CodesOfOne] | None = None
        self._phase, self._left, self._young = -1, 0, 0

    def ask(self, count: int) -> list[CodesOfOne]:
        """See `Strategy.ask`."""
        proposed: list[CodesOfOne] = []
        while len(proposed) < count and (found := self._some(count - len(proposed))):
            self._proposed.update(found)
            proposed += found
        return proposed

    def tell(self, codes: CodesOfOne, value: float | None, costs: Mapping[str, float]) -> None:
        """See `Strategy.tell`."""
        self._family = None
        if value is not None and np.isfinite(value):
            self._told[tuple(codes)] = float(value)

    @property
    def cell(self) -> int:
        """Number of the cell that is optimised now, from 0."""
        return max(self._phase, 0) % len(self.cells)

    def _some(self, wanted: int) -> list[CodesOfOne]:
        """New candidates, at most as many as are wanted; none if the region holds no other."""
        if not self._anchor:
            self._anchor = minimal_member(self.problem)
            self._begin_phase()
            return [self._anchor] if self._anchor else []
        # A cell without new choices is left for the next one; a full round of those leaves random members.
        for _ in range(len(self.cells) + 1):
            if self._left <= 0:
                self._begin_phase()
            if children := self._children(min(wanted, self._left)):
                self._left -= len(children)
                return children
            self._left = 0
        return self._unseen()

    def _begin_phase(self) -> None:
        """Hold the best candidate so far and free the next cell."""
        self._phase += 1
        self._family = None
        if self._told:
            self._anchor = max(self._told, key=lambda codes: self._told[codes])
        share = self.problem.settings.evaluations // (SWEEPS * len(self.cells))
        self._left = max(share, 1) if len(self.cells) > 1 else self.problem.settings.evaluations
        self._young = min(self.problem.settings.population, self._left // 2)

    def _children(self, wanted: int) -> list[CodesOfOne]:
        """New feasible candidates that differ from the anchor in the free cell alone, at most as many as are wanted."""
        family, size = self._parents(), max(LITTER, 2 * wanted)
        for attempt in range(PATIENCE):
            # Where the neighbours of the best are known, those of the others follow.
            parents = family[:PARENTS] if attempt < PATIENCE // 2 else family
            litter = self._drawn(size) if len(family) < max(self._young, 2) else self._bred(parents, size)
            canonical, admitted = self.problem.admissible(litter)
            rows = dict.fromkeys(tuple(row) for row in canonical[admitted].tolist())
            if new := [row for row in rows if row not in self._proposed]:
                return new[:wanted]
        return []

    def _parents(self) -> list[CodesOfOne]:
        """Told candidates that differ from the anchor in the free cell alone, the best first."""
        if self._family is None:
            free = set(self.cells[self.cell])
            held = [(gene, code) for gene, code in enumerate(self._anchor) if gene not in free]
            found = [codes for codes in self._told if all(codes[gene] == code for gene, code in held)]
            found.sort(key=lambda codes: -self._told[codes])
            self._family = found[: max(self.problem.settings.population, 2)]
        return self._family

    def _drawn(self, size: int) -> Codes:
        """The anchor with a random free cell, `[size, genes]`."""
        genes = self.cells[self.cell]
        litter = np.tile(np.array(self._anchor, np.int16), (size, 1))
        litter[:, genes] = self._generator.integers(0, radices(self.problem.space)[genes], (size, len(genes)))
        return litter

    def _bred(self, parents: list[CodesOfOne], size: int) -> Codes:
        """Parents, the better ones more often, with another choice for one gene of the free cell, `[size, genes]`."""
        rng, genes, sizes = self._generator, np.array(self.cells[self.cell]), radices(self.problem.space)
        chosen = rng.integers(len(parents), size=(size, 2)).min(axis=1)
        litter = np.array(parents, np.int16)[chosen]
        changed = genes[rng.integers(len(genes), size=size)]
        shift = rng.integers(1, np.maximum(sizes[changed], 2))
        litter[np.arange(size), changed] = (litter[np.arange(size), changed] + shift) % sizes[changed]
        return litter

    def _unseen(self) -> list[CodesOfOne]:
        """A random member that was not proposed, if there is one left."""
        drawn = self._random_members.beside(self._proposed)
        return [] if drawn is None else [drawn]


def cells_of(space: SearchSpace) -> list[list[int]]:
    """The genes of each cell: those whose labels agree up to the first slash.

    >>> from hasnas.search_spaces import Macro
    >>> from hasnas.search_spaces.snasnet import CellSpace
    >>> cells_of(CellSpace(Macro(), nodes=3, shared=False))
    [[0, 1, 2], [3, 4, 5]]
    """
    cells: dict[str, list[int]] = {}
    for number, gene in enumerate(space.genes):
        cells.setdefault(gene.label.split("/")[0], []).append(number)
    return list(cells.values())


def minimal_member(problem: SearchProblem) -> CodesOfOne:
    """A member of the feasible region whose cells hold one convolution each, or as little as the region allows.

    A random member is simplified cell by cell, so that every step stays inside; no codes if the region is empty.
    """
    found = RandomSearch(problem).ask(1)
    if not found:
        return ()
    member = np.array(found[0], np.int16)
    for genes in cells_of(problem.space):
        options = np.tile(member, (1 + sum(len(problem.space.genes[gene].choices) - 1 for gene in genes), 1))
        options[:, genes] = _single_choices(problem.space, genes)
        canonical, admitted = problem.admissible(options)
        if admitted.any():
            member = canonical[int(np.argmax(admitted))]
    return tuple(int(code) for code in member)


def _single_choices(space: SearchSpace, genes: list[int]) -> Codes:
    """Cells with at most one gene that is not 0: single convolutions first, then none, then the others."""
    rows, order = [[0] * len(genes)], [1]
    for place, gene in enumerate(genes):
        for code, choice in enumerate(space.genes[gene].choices[1:], start=1):
            rows.append([code if other == place else 0 for other in range(len(genes))])
            order.append(0 if choice.startswith("conv") else 2)
    return np.array(rows, np.int16)[np.argsort(order, kind="stable")]
