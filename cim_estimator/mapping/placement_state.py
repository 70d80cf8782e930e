"""What a placement costs, kept up to date while tiles change places; compiled.

Three figures are kept: packets times hops, the hops of the longest flow, and the packets on the busiest link. The
latter two are kept only where they count, because they cost time.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from .clusters import Traffic
from .spike_graph import Ids, Ints
from .topology import Topology, distances, route

Weights = NDArray[np.float64]
FIGURES = 3


class Flows(NamedTuple):
    """Flows of cluster `i` are at `offsets[i]:offsets[i + 1]`, both what it sends and what it receives.

    Args:
        offsets: shape `[clusters + 1]`.
        other: the cluster at the other end, shape `[2 flows]`.
        packets: shape `[2 flows]`.
        sends: whether the flow leaves cluster `i`, shape `[2 flows]`.
    """

    offsets: Ints
    other: Ids
    packets: Ints
    sends: NDArray[np.bool_]


class Places(NamedTuple):
    """A placement and its figures.

    Args:
        tile_of: tile of each cluster, shape `[clusters]`.
        cluster_on: cluster on each tile, -1 where none is, shape `[tiles]`.
        packet_hops: one number, shape `[1]`.
        by_hops: number of flows that take so many hops, shape `[farthest + 1]`.
        load: packets on each link, shape `[links]`.
        links: room for one route, shape `[farthest + 1]`.
        distance: hops between tiles, shape `[tiles, tiles]`.
    """

    tile_of: Ids
    cluster_on: Ids
    packet_hops: Ints
    by_hops: Ints
    load: Ints
    links: Ints
    distance: NDArray[np.int16]


def flows_of(traffic: Traffic) -> Flows:
    """The flows of each cluster."""
    owner = np.concatenate([traffic.sources, traffic.destinations])
    other = np.concatenate([traffic.destinations, traffic.sources])
    order = np.argsort(owner, kind="stable")
    sends = np.arange(len(owner)) < len(traffic.sources)
    offsets = np.searchsorted(owner[order], np.arange(traffic.clusters + 1))
    packets = np.concatenate([traffic.packets, traffic.packets])
    return Flows(offsets.astype(np.int64), other[order].astype(np.int32), packets[order], sends[order])


def places_of(flows: Flows, topology: Topology, tiles: Ids, weights: Weights) -> Places:
    """The state of a placement."""
    places = Places(
        np.empty(len(tiles), np.int32),
        np.empty(topology.tiles, np.int32),
        np.zeros(1, np.int64),
        np.zeros(topology.farthest + 1, np.int64),
        np.zeros(topology.links, np.int64),
        np.zeros(topology.farthest + 1, np.int64),
        distances(topology),
    )
    load_placement(flows, topology, places, tiles.astype(np.int32), weights)
    return places


@njit(cache=True, nogil=True)
def load_placement(flows: Flows, topology: Topology, places: Places, tiles: Ids, weights: Weights) -> None:
    """Put every cluster where `tiles` says, and count anew."""
    places.cluster_on[:] = -1
    places.tile_of[:] = tiles
    for cluster in range(len(tiles)):
        places.cluster_on[tiles[cluster]] = cluster
    places.packet_hops[0] = 0
    places.by_hops[:] = 0
    places.load[:] = 0
    for cluster in range(len(tiles)):
        _count_cluster(flows, topology, places, cluster, -1, 1, weights, True)


@njit(cache=True, nogil=True)
def _count_cluster(
    flows: Flows,
    topology: Topology,
    places: Places,
    cluster: int,
    besides: int,
    sign: int,
    weights: Weights,
    sent_only: bool,
) -> None:
    other, packets, sends, tile_of = flows.other, flows.packets, flows.sends, places.tile_of
    by_hops, row = places.by_hops, places.distance[tile_of[cluster]]
    count_hops, count_links, total = weights[1] > 0, weights[2] > 0, 0
    for at in range(flows.offsets[cluster], flows.offsets[cluster + 1]):
        if other[at] == besides or (sent_only and not sends[at]):
            continue
        distance = row[tile_of[other[at]]]
        total += packets[at] * distance
        if count_hops:
            by_hops[distance] += sign
        if count_links:
            _count_links(topology, places, cluster, other[at], sends[at], sign * packets[at])
    places.packet_hops[0] += sign * total


@njit(cache=True, nogil=True)
def _count_links(topology: Topology, places: Places, cluster: int, other: int, sends: bool, packets: int) -> None:
    here, there = places.tile_of[cluster], places.tile_of[other]
    if not sends:
        here, there = there, here
    for link in range(route(topology, here, there, places.links)):
        places.load[places.links[link]] += packets


@njit(cache=True, nogil=True)
def hops_saved(flows: Flows, places: Places, one: int, other: int) -> int:
    """Packets times hops that are saved if two tiles change what is on them; nothing is changed."""
    to, packets, tile_of = flows.other, flows.packets, places.tile_of
    from_one, from_other = places.distance[one], places.distance[other]
    first, second = places.cluster_on[one], places.cluster_on[other]
    saved = 0
    if first >= 0:
        for at in range(flows.offsets[first], flows.offsets[first + 1]):
            if to[at] != second:
                saved += packets[at] * (from_one[tile_of[to[at]]] - from_other[tile_of[to[at]]])
    if second >= 0:
        for at in range(flows.offsets[second], flows.offsets[second + 1]):
            if to[at] != first:
                saved += packets[at] * (from_other[tile_of[to[at]]] - from_one[tile_of[to[at]]])
    return saved


@njit(cache=True, nogil=True)
def swap(flows: Flows, topology: Topology, places: Places, one: int, other: int, weights: Weights) -> None:
    """Let two tiles change what is on them; one may be empty. Doing it twice undoes it."""
    first, second = places.cluster_on[one], places.cluster_on[other]
    if first >= 0:
        _count_cluster(flows, topology, places, first, -1, -1, weights, False)
    if second >= 0:
        _count_cluster(flows, topology, places, second, first, -1, weights, False)
    places.cluster_on[one], places.cluster_on[other] = second, first
    if first >= 0:
        places.tile_of[first] = other
    if second >= 0:
        places.tile_of[second] = one
    if first >= 0:
        _count_cluster(flows, topology, places, first, -1, 1, weights, False)
    if second >= 0:
        _count_cluster(flows, topology, places, second, first, 1, weights, False)


@njit(cache=True, nogil=True)
def cost(places: Places, weights: Weights) -> float:
    """Weighted sum of the three figures."""
    total = weights[0] * places.packet_hops[0]
    if weights[1] > 0:
        worst = len(places.by_hops) - 1
        while worst > 0 and places.by_hops[worst] == 0:
            worst -= 1
        total += weights[1] * worst
    if weights[2] > 0:
        total += weights[2] * places.load.max()
    return total
