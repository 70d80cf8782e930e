"""Cell spaces on the SNASNet macro: every pair of nodes carries one operation, forward or, where allowed, feedback."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from hasnas.errors import BadInputError

from .architecture import Architecture
from .cells import Edge, Genotype, live_edges
from .macro import Macro
from .operations import NONE, CellOperation, operation_named
from .space import Codes, Gene, check_codes

FEEDBACK_PREFIX = "feedback:"


@dataclass(frozen=True)
class CellSpace:
    """Cells of `nodes` nodes on a fixed macro.

    A gene is an unordered pair of nodes. Its choices are the operations, and with `feedback` each operation other
    than none a second time as an edge that runs backward and acts one timestep later.

    Args:
        macro: what surrounds the cells.
        feedback: whether pairs may feed back.
        cells: number of cells, with a reduction between neighbours.
        shared: whether all cells have the same genotype.
        nodes: nodes of a cell.
        operations: names from the operation table; `none` comes first.

    Raises:
        BadInputError: if the operations are unknown, repeated or do not begin with `none`.

    >>> space = CellSpace(Macro(), operations=("none", "identity", "conv3x3"))
    >>> len(space.genes), space.genes[0].label
    (6, 'cell/0_1')
    """

    macro: Macro
    feedback: bool = False
    cells: int = 2
    shared: bool = True
    nodes: int = 4
    operations: tuple[str, ...] = (NONE, "identity", "conv1x1", "conv3x3", "avgpool3x3")

    def __post_init__(self) -> None:
        object.__setattr__(self, "operations", tuple(self.operations))
        for name in self.operations:
            operation_named(name)
        if self.operations[:1] != (NONE,) or len(set(self.operations)) != len(self.operations):
            raise BadInputError(f"space.operations is {self.operations}; begin with 'none' and name each once")
        if self.cells < 1 or self.nodes < 2:
            raise BadInputError(f"space has {self.cells} cells of {self.nodes} nodes; give at least 1 cell of 2 nodes")
        self.macro.map_sizes(self.cells)

    @cached_property
    def pairs(self) -> tuple[tuple[int, int], ...]:
        """Unordered pairs of nodes, lower first."""
        return tuple(combinations(range(self.nodes), 2))

    @cached_property
    def choices(self) -> tuple[str, ...]:
        """Choices of every gene."""
        backward = tuple(FEEDBACK_PREFIX + name for name in self.operations[1:]) if self.feedback else ()
        return self.operations + backward

    @cached_property
    def genes(self) -> tuple[Gene, ...]:
        """One gene for each pair, for each cell unless the cells are equal."""
        owners = ["cell"] if self.shared else [f"cell{index + 1}" for index in range(self.cells)]
        return tuple(Gene(f"{owner}/{low}_{high}", self.choices) for owner in owners for low, high in self.pairs)

    def decode(self, codes: Sequence[int]) -> Architecture:
        """The architecture with these choices, as drawn."""
        plain = check_codes(self, codes)
        genotypes = [
            self._genotype(plain[start : start + len(self.pairs)]) for start in range(0, len(plain), len(self.pairs))
        ]
        return Architecture(tuple(genotypes * self.cells if self.shared else genotypes), self.macro)

    def encode(self, architecture: Architecture) -> tuple[int, ...]:
        """The codes of an architecture.

        Raises:
            BadInputError: if it has another macro, other nodes, operations of its own or edges both ways in a pair.
        """
        distinct = set(architecture.genotypes)
        fits = len(architecture.genotypes) == self.cells and (len(distinct) == 1 or not self.shared)
        if architecture.macro != self.macro or not fits:
            raise BadInputError("the architecture has another macro or other cells than the space")
        cells = architecture.genotypes[:1] if self.shared else architecture.genotypes
        return tuple(code for genotype in cells for code in self._codes(genotype))

    def canonical(self, codes: Codes) -> tuple[Codes, NDArray[np.bool_]]:
        """Codes with dead genes at 0 (`none`), and which architectures have a path in every cell."""
        array = np.atleast_2d(np.asarray(codes))
        alive = np.empty(array.shape, bool)
        connected = np.ones(len(array), bool)
        for start in range(0, array.shape[1], len(self.pairs)):
            part = slice(start, start + len(self.pairs))
            alive[:, part] = self.live_pairs(array[:, part])
            connected &= alive[:, part].any(axis=1)
        return np.where(alive, array, 0).astype(array.dtype), connected

    def live_pairs(self, codes: Codes) -> NDArray[np.bool_]:
        """Which pairs of one cell carry a live edge, `[N, pairs]`."""
        drawn = np.zeros((len(codes), self.nodes, self.nodes), bool)
        present, backward = codes > 0, codes >= len(self.operations)
        for column, (low, high) in enumerate(self.pairs):
            drawn[:, low, high] = present[:, column] & ~backward[:, column]
            drawn[:, high, low] = backward[:, column]
        alive = live_edges(self.nodes, drawn, self.macro.timesteps)
        return np.stack([alive[:, low, high] | alive[:, high, low] for low, high in self.pairs], axis=1)

    def operation_of(self, choice: int) -> CellOperation:
        """The operation of a choice, whichever way it runs."""
        return operation_named(self.choices[choice].removeprefix(FEEDBACK_PREFIX))

    def _genotype(self, codes: Sequence[int]) -> Genotype:
        edges = []
        for (low, high), code in zip(self.pairs, codes, strict=True):
            name = self.operation_of(code).name
            edges.append(Edge(high, low, name) if code >= len(self.operations) else Edge(low, high, name))
        return Genotype(self.nodes, tuple(edges))

    def _codes(self, genotype: Genotype) -> list[int]:
        if genotype.nodes != self.nodes:
            raise BadInputError(f"the cell has {genotype.nodes} nodes, those of the space {self.nodes}")
        codes = dict.fromkeys(self.pairs, 0)
        for edge in genotype.edges:
            pair = (min(edge.source, edge.target), max(edge.source, edge.target))
            name = FEEDBACK_PREFIX * edge.delay + edge.operation
            if name not in self.choices or codes[pair]:
                raise BadInputError(f"edge {edge.source}->{edge.target} '{edge.operation}' is not of the space")
            codes[pair] = self.choices.index(name)
        return [codes[pair] for pair in self.pairs]


@dataclass(frozen=True)
class SNASNetSpace(CellSpace):
    """SNASNet's space: 4 nodes, one matrix for both cells, 5 operations; 5^6 forward, 9^6 with feedback.

    Source: Kim et al., "Neural Architecture Search for Spiking Neural Networks", ECCV 2022.

    >>> from hasnas.search_spaces.space import space_size
    >>> space_size(SNASNetSpace(Macro())), space_size(SNASNetSpace(Macro(), feedback=True))
    (15625, 531441)
    """

    name: ClassVar[str] = "snasnet"
