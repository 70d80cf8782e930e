"""AutoSNN's space: a chain of spiking blocks, each a skip, a convolution block or a residual block."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from hasnas.errors import BadInputError

from .architecture import Architecture
from .cell_groups import CellGroup
from .macro import MAX_POOL, Macro
from .operations import IDENTITY, NONE, operation_named
from .snasnet import CellSpace
from .space import Codes, Gene, check_codes

SKIP, RESIDUAL = "skip", "residual"


@dataclass(frozen=True)
class AutoSNNSpace:
    """A chain of blocks, each with a gene of its own; 2 x 2 max pools after every second block but the last.

    Choices of a block on x, for each convolution f (LIF, convolution, batch norm): skip is x, a convolution block is
    f(x), a residual block is f2(f1(x)) + x with two convolutions of the same size. Every architecture is connected.

    Args:
        macro: what surrounds the blocks. Where its `reductions` are not set, it becomes the same macro with max pools
            after blocks 2, 4, ... (but not after the last).
        cells: number of blocks, each a cell of three nodes.
        operations: convolutions of the blocks, names from the operation table.

    Raises:
        BadInputError: if a convolution is unknown, repeated or none, or the pools leave no pixel.

    Source: Na et al., "AutoSNN: Towards Energy-Efficient Spiking Neural Networks", ICML 2022: five blocks of skip,
    spiking convolution block and spiking residual block with 3 x 3 or 5 x 5 kernels, max pools for reduction, channels
    kept. Stem and classifier are those of `Macro`.

    >>> space = AutoSNNSpace(Macro())
    >>> [gene.label for gene in space.genes], space.genes[0].choices
    (['block1', 'block2', 'block3', 'block4', 'block5'], ('skip', 'conv3x3', 'conv5x5', 'residual3x3', 'residual5x5'))
    >>> space.decode([0, 1, 3, 0, 4]).genotypes[2].edges
    (Edge(source=0, target=1, operation='conv3x3'), Edge(source=0, target=2, operation='identity'), \
Edge(source=1, target=2, operation='conv3x3'))
    """

    macro: Macro
    cells: int = 5
    operations: tuple[str, ...] = ("conv3x3", "conv5x5")
    name: ClassVar[str] = "autosnn"

    def __post_init__(self) -> None:
        object.__setattr__(self, "operations", tuple(self.operations))
        if self.cells < 1:
            raise BadInputError(f"space has {self.cells} blocks; give at least 1")
        for name in self.operations:
            if not operation_named(name).spiking:
                raise BadInputError(f"space.operations names '{name}', which is no convolution; blocks take those only")
        if not self.operations or len(set(self.operations)) != len(self.operations):
            raise BadInputError(f"space.operations is {self.operations}; name at least one convolution, each once")
        if self.macro.reductions is None:
            every_second = tuple(range(2, self.cells, 2))
            object.__setattr__(self, "macro", replace(self.macro, reduction=MAX_POOL, reductions=every_second))
        self.macro.map_sizes(self.cells)

    @cached_property
    def choices(self) -> tuple[str, ...]:
        """Choices of every gene."""
        residual = (RESIDUAL + name.removeprefix("conv") for name in self.operations)
        return (SKIP, *self.operations, *residual)

    @cached_property
    def genes(self) -> tuple[Gene, ...]:
        """One gene for each block."""
        return tuple(Gene(f"block{number + 1}", self.choices) for number in range(self.cells))

    @cached_property
    def cell_space(self) -> CellSpace:
        """The space of cells that the blocks are drawn in."""
        return CellSpace(
            self.macro, cells=self.cells, shared=False, nodes=3, operations=(NONE, IDENTITY, *self.operations)
        )

    @cached_property
    def _pairs_of_choice(self) -> NDArray[np.int16]:
        """Codes of the pairs (0, 1), (0, 2), (1, 2) of each choice, `[choices, 3]`."""
        convs = range(2, 2 + len(self.operations))
        rows = [[0, 1, 0], *([0, conv, 0] for conv in convs), *([conv, 1, conv] for conv in convs)]
        return np.array(rows, np.int16)

    def decode(self, codes: Sequence[int]) -> Architecture:
        """The architecture with these blocks."""
        plain = check_codes(self, codes)
        return self.cell_space.decode(self._pairs_of_choice[list(plain)].ravel().tolist())

    def encode(self, architecture: Architecture) -> tuple[int, ...]:
        """The codes of an architecture.

        Raises:
            BadInputError: if a cell is not one of the blocks or the macro is another.
        """
        pairs = np.array(self.cell_space.encode(architecture), np.int16).reshape(self.cells, 3)
        known = [tuple(row) for row in self._pairs_of_choice.tolist()]
        codes = []
        for number, row in enumerate(pairs.tolist(), start=1):
            if tuple(row) not in known:
                blocks = ", ".join(self.choices)
                raise BadInputError(f"cell {number} of the architecture is none of the blocks {blocks}")
            codes.append(known.index(tuple(row)))
        return tuple(codes)

    def canonical(self, codes: Codes) -> tuple[Codes, NDArray[np.bool_]]:
        """The codes as they are: no choice is ever dead, and every architecture is connected."""
        array = np.atleast_2d(np.asarray(codes))
        return array.copy(), np.ones(len(array), bool)

    def cell_groups(self, codes: Codes) -> list[CellGroup]:
        """One group: the blocks as cells of three nodes."""
        array = np.atleast_2d(np.asarray(codes))
        pairs = self._pairs_of_choice[array].reshape(len(array), 3 * self.cells)
        return [CellGroup(self.cell_space, pairs, np.arange(len(array)))]
