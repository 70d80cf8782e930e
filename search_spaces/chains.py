"""Plain chains (VGG-style): convolutions one after another, without shortcuts: what anybody would draw by hand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from hasnas.errors import BadInputError

from .architecture import Architecture
from .cells import Edge, Genotype
from .macro import Macro
from .operations import IDENTITY

CONVOLUTION = "conv3x3"
DEEPEST = 4  # convolutions of a cell; VGG-19 has as many between two pools


def chain_cell(convolutions: int, nodes: int = 2) -> Genotype:
    """A cell of convolutions in a row, or of one identity.

    Args:
        convolutions: how many.
        nodes: of the cell at least; those that are not needed are left out between the last two convolutions.

    Raises:
        BadInputError: if the number is negative.

    >>> [(edge.source, edge.target) for edge in chain_cell(2, nodes=4).edges]
    [(0, 1), (1, 3)]
    """
    if convolutions < 0:
        raise BadInputError(f"a chain has {convolutions} convolutions; give 0 or more")
    size = max(convolutions + 1, nodes)
    places = [*range(max(convolutions, 1)), size - 1]
    name = CONVOLUTION if convolutions else IDENTITY
    return Genotype(size, tuple(Edge(low, high, name) for low, high in pairwise(places)))


def chain(depths: Sequence[int], macro: Macro, nodes: int = 2) -> Architecture:
    """The plain chain with so many convolutions in each cell.

    Args:
        depths: convolutions of each cell, from the input on.
        macro: what surrounds the cells.
        nodes: see `chain_cell`.
    """
    return Architecture(tuple(chain_cell(depth, nodes) for depth in depths), macro)


def chain_depths(cells: int, deepest: int = DEEPEST) -> Iterator[tuple[int, ...]]:
    """Convolutions of each cell of the chains that are drawn: all cells alike, or the first or last ones one deeper.

    >>> list(chain_depths(2, deepest=2))
    [(1, 1), (2, 2), (0, 1), (1, 0), (1, 2), (2, 1)]
    """
    yield from ((depth,) * cells for depth in range(1, deepest + 1))
    for depth in range(deepest):
        for after in range(1, cells):
            yield (depth,) * after + (depth + 1,) * (cells - after)
            yield (depth + 1,) * after + (depth,) * (cells - after)
