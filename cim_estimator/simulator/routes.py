"""Where the packets of each neuron go: trees of channels, one for all its destinations, or one for each.

Channels are the links of the network, then one into each core. XY routes from one tile to several overlap at their
beginning and never join again, so together they are a tree.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hasnas.cim_estimator.mapping.topology import Topology, route

Ints = NDArray[np.int64]
CHANNEL, ORDINAL, FIRST, END = range(4)  # columns of `Routes.nodes`
_Branch = tuple[int, int, dict[int, "_Branch"]]  # channel, ordinal, children


class Routes(NamedTuple):
    """Trees of all neurons; those with the same home and destinations share theirs.

    Args:
        nodes: of each node: the channel that leads to it (-1 for a root), which of the destinations it is (-1 unless it
            is a core), and where its children begin and end in `children`; shape `[nodes, 4]`.
        children: nodes, shape `[nodes - roots]`.
        first_root: the roots of a group are at `first_root[group]:first_root[group + 1]`.
        roots: nodes; one a group with multicast, one a destination without.
        group_of: group of each unit, -1 where nothing leaves it, shape `[units]`.
    """

    nodes: Ints
    first_root: Ints
    roots: Ints
    group_of: Ints


def routes_of(
    clusters: Ints, destination_offsets: Ints, destinations: Ints, tiles: Ints, topology: Topology, multicast: bool
) -> Routes:
    """Routes of units to the clusters that they reach, their own included (it takes no link).

    Args:
        clusters: of each unit, shape `[units]`.
        destination_offsets: the clusters that unit `i` reaches are at `[i]:[i + 1]`, shape `[units + 1]`.
        destinations: clusters, ascending within a unit.
        tiles: of each cluster, shape `[clusters]`.
        topology: of the tiles.
        multicast: whether a spike travels once where its ways coincide.
    """
    forest, known = _Forest(topology, tiles), dict[tuple[int, bytes], int]()
    group_of = np.full(len(clusters), -1, np.int64)
    first_root, roots = [0], list[int]()
    wanted = np.ascontiguousarray(destinations, np.int64)
    for unit in range(len(clusters)):
        reached = wanted[destination_offsets[unit] : destination_offsets[unit + 1]]
        if not len(reached):
            continue
        key = int(clusters[unit]), reached.tobytes()
        if key not in known:
            known[key] = len(known)
            sets = [list(enumerate(reached.tolist()))] if multicast else [[one] for one in enumerate(reached.tolist())]
            roots += [forest.plant(int(clusters[unit]), ordered) for ordered in sets]
            first_root.append(len(roots))
        group_of[unit] = known[key]
    return Routes(forest.nodes(), np.array(first_root, np.int64), np.array(roots, np.int64), group_of)


class _Forest:
    """Trees as they grow."""

    def __init__(self, topology: Topology, tiles: Ints) -> None:
        self.topology, self.tiles = topology, tiles
        self.rows: list[tuple[int, int, int, int]] = []
        self.links = np.zeros(topology.farthest + 1, np.int64)
        self.ways: dict[tuple[int, int], list[int]] = {}

    def plant(self, home: int, ordered: list[tuple[int, int]]) -> int:
        """A tree from a cluster to others, given as (number, cluster); returns its root."""
        root: _Branch = (-1, -1, {})
        for ordinal, cluster in ordered:
            branch = root
            for channel in (*self._way(home, cluster), self.topology.links + cluster):
                leaf = channel >= self.topology.links
                branch = branch[2].setdefault(channel, (channel, ordinal if leaf else -1, {}))
        first, level = len(self.rows), [root]
        while level:
            following = [child for branch in level for child in branch[2].values()]
            end = len(self.rows) + len(level)
            for channel, ordinal, children in level:
                self.rows.append((channel, ordinal, end, end + len(children)))
                end += len(children)
            level = following
        return first

    def _way(self, home: int, cluster: int) -> list[int]:
        ends = int(self.tiles[home]), int(self.tiles[cluster])
        if ends not in self.ways:
            self.ways[ends] = self.links[: route(self.topology, *ends, self.links)].tolist()
        return self.ways[ends]

    def nodes(self) -> Ints:
        """`Routes.nodes`."""
        return np.array(self.rows, np.int64).reshape(-1, 4)
