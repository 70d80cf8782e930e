"""Where tiles lie and how packets travel between them: a mesh with XY routing, or a tree with tiles at its leaves."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Literal, NamedTuple, get_args

import numpy as np
from numba import njit
from numpy.typing import NDArray

from hasnas.errors import BadInputError, nearest

TopologyKind = Literal["mesh", "tree"]
_MESH = 0


class Topology(NamedTuple):
    """Tiles and the links between their routers, as plain numbers for compiled code.

    Args:
        kind: 0 a mesh, 1 a tree.
        width: tiles in a row of a mesh; branches of a tree's node.
        height: rows of a mesh; levels of links in a tree.
        tiles: how many.
        links: how many, each direction its own.
    """

    kind: int
    width: int
    height: int
    tiles: int
    links: int

    @property
    def farthest(self) -> int:
        """Hops between the two tiles that are farthest apart."""
        return self.width + self.height - 2 if self.kind == _MESH else 2 * self.height


def mesh(width: int, height: int) -> Topology:
    """Tiles in rows; packets go along the row first, then along the column.

    >>> mesh(3, 2).tiles, mesh(3, 2).farthest
    (6, 3)
    """
    if min(width, height) < 1:
        raise BadInputError(f"a mesh of {width} x {height} has no tile; give both at least 1")
    return Topology(_MESH, width, height, width * height, 4 * width * height)


def tree(branches: int, levels: int) -> Topology:
    """Tiles at the leaves; packets go up to the first common node, then down.

    >>> tree(4, 2).tiles, tree(4, 2).farthest
    (16, 4)
    """
    if branches < 2 or levels < 1:
        raise BadInputError(f"a tree of {branches} branches and {levels} levels: give at least 2 and 1")
    nodes = sum(branches**level for level in range(1, levels + 1))
    return Topology(1, branches, levels, branches**levels, 2 * nodes)


def topology_for(tiles: int, kind: str = "mesh") -> Topology:
    """The smallest mesh (nearly square) or tree of four branches that has so many tiles.

    Raises:
        BadInputError: for an unknown kind.

    >>> topology_for(7).tiles, topology_for(7, "tree").tiles
    (9, 16)
    """
    if kind not in get_args(TopologyKind):
        raise BadInputError(f"unknown topology '{kind}'{nearest(kind, get_args(TopologyKind))}")
    if kind == "tree":
        return tree(4, max(1, math.ceil(math.log(max(tiles, 1), 4) - 1e-9)))
    width = math.ceil(math.sqrt(max(tiles, 1)))
    return mesh(width, math.ceil(max(tiles, 1) / width))


@njit(cache=True, nogil=True)
def hops(topology: Topology, one: int, other: int) -> int:
    """Links between two tiles."""
    if topology.kind == 0:
        width = topology.width
        return abs(one % width - other % width) + abs(one // width - other // width)
    count = 0
    while one != other:
        one, other, count = one // topology.width, other // topology.width, count + 2
    return count


@lru_cache(maxsize=4)
def distances(topology: Topology) -> NDArray[np.int16]:
    """Hops between every two tiles, shape `[tiles, tiles]`; shared, so not to be changed."""
    found = np.empty((topology.tiles, topology.tiles), np.int16)
    _fill_distances(topology, found)
    return found


@njit(cache=True, nogil=True)
def _fill_distances(topology: Topology, found: NDArray[np.int16]) -> None:
    for one in range(topology.tiles):
        for other in range(topology.tiles):
            found[one, other] = hops(topology, one, other)


@njit(cache=True, nogil=True)
def route(topology: Topology, one: int, other: int, links: NDArray[np.int64]) -> int:
    """Write the links from one tile to another, in order, into `links`; how many there are."""
    width, count = topology.width, 0
    if topology.kind == 0:
        while one % width != other % width:
            step = 1 if other % width > one % width else -1
            links[count] = 4 * one + (0 if step > 0 else 1)
            one, count = one + step, count + 1
        while one != other:
            step = width if other > one else -width
            links[count] = 4 * one + (2 if step > 0 else 3)
            one, count = one + step, count + 1
        return count
    total = hops(topology, one, other)
    first, nodes = 0, topology.tiles  # links of a level stand together: those of the leaves first
    while one != other:
        links[count] = 2 * (first + one)
        links[total - 1 - count] = 2 * (first + other) + 1
        one, other, count = one // width, other // width, count + 1
        first, nodes = first + nodes, nodes // width
    return total


def places_on_chip(topology: Topology) -> NDArray[np.float64]:
    """Where each tile lies, in tiles, shape `[tiles, 2]`: rows of a mesh; leaves of a tree that share a node together.

    >>> places_on_chip(tree(4, 2))[:5].tolist()
    [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0], [0.0, 2.0]]
    """
    if topology.kind == _MESH:
        return np.stack(np.divmod(np.arange(topology.tiles), topology.width), axis=1).astype(float)
    side = math.ceil(math.sqrt(topology.width))  # the branches of a node fill a square
    places, tile = np.zeros((topology.tiles, 2)), np.arange(topology.tiles)
    for level in range(topology.height):
        places += np.stack(np.divmod(tile % topology.width, side), axis=1) * float(side**level)
        tile = tile // topology.width
    return places
