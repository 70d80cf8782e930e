"""What a placement costs, kept up to date while tiles change places; compiled.

Figures are kept only where they count, because they cost time: packets times hops, the hops of the longest flow, the
packets on the busiest link; and what follows from how much each tile is warmed by all: mean and largest temperature,
leakage, and wear, the inverse of the lifetime.
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
Floats = NDArray[np.float64]
FIGURES = 7
HOPS, WORST, BUSIEST, MEAN_K, PEAK_K, LEAKAGE, WEAR = range(FIGURES)


class Heat(NamedTuple):
    """What crossbars give off, and what it does to them.

    Args:
        power_w: of each cluster, shape `[clusters]`.
        kernel: kelvin by which a tile warms for each watt of another, shape `[tiles, tiles]`.
        peak_k: temperature of each cluster's hottest cell on a chip that is cool otherwise, shape `[clusters]`.
        leakage_w: of each cluster there, shape `[clusters]`.
        wear: of the cell that is worn out first there, the inverse of its life, shape `[clusters]`.
        worn_k: temperature of that cell while it is driven, shape `[clusters]`.
        leakage_per_k: leakage goes as `exp(leakage_per_k * T)`.
        endurance_k: endurance goes as `exp(endurance_k / T)`.
    """

    power_w: Floats
    kernel: Floats
    peak_k: Floats
    leakage_w: Floats
    wear: Floats
    worn_k: Floats
    leakage_per_k: float
    endurance_k: float


def no_heat(clusters: int, tiles: int) -> Heat:
    """Clusters that give off nothing."""
    nothing = np.zeros(clusters)
    return Heat(nothing, np.zeros((tiles, tiles)), nothing, nothing, nothing, np.ones(clusters), 0.0, 0.0)


class Flows(NamedTuple):
    """Flows of cluster `i` are at `offsets[i]:offsets[i + 1]`, both what it sends and what it receives.

    Args:
        offsets: shape `[clusters + 1]`.
        other: the cluster at the other end, shape `[2 flows]`.
        packets: shape `[2 flows]`.
        sends: whether the flow leaves cluster `i`, shape `[2 flows]`.
        heat: of the clusters.
    """

    offsets: Ints
    other: Ids
    packets: Ints
    sends: NDArray[np.bool_]
    heat: Heat


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
        warmer_k: kelvin by which all crossbars together warm each tile, shape `[tiles]`.
    """

    tile_of: Ids
    cluster_on: Ids
    packet_hops: Ints
    by_hops: Ints
    load: Ints
    links: Ints
    distance: NDArray[np.int16]
    warmer_k: Floats


def flows_of(traffic: Traffic, heat: Heat | None = None) -> Flows:
    """The flows of each cluster; without `heat` all are cool."""
    owner = np.concatenate([traffic.sources, traffic.destinations])
    other = np.concatenate([traffic.destinations, traffic.sources])
    order = np.argsort(owner, kind="stable")
    sends = np.arange(len(owner)) < len(traffic.sources)
    offsets = np.searchsorted(owner[order], np.arange(traffic.clusters + 1))
    packets = np.concatenate([traffic.packets, traffic.packets])
    warm = no_heat(traffic.clusters, 1) if heat is None else heat
    return Flows(offsets.astype(np.int64), other[order].astype(np.int32), packets[order], sends[order], warm)


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
        np.zeros(topology.tiles),
    )
    load_placement(flows, topology, places, tiles.astype(np.int32), weights)
    return places


@njit(cache=True, nogil=True)
def heat_counts(weights: Weights) -> bool:
    """Whether any figure of heat has a weight."""
    return weights[MEAN_K] > 0 or weights[PEAK_K] > 0 or weights[LEAKAGE] > 0 or weights[WEAR] > 0


@njit(cache=True, nogil=True)
def _warm(warmer_k: Floats, kernel: Floats, tile: int, power_w: float) -> None:
    for other in range(len(warmer_k)):
        warmer_k[other] += power_w * kernel[tile, other]


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
    places.warmer_k[:] = 0
    if heat_counts(weights):
        for cluster in range(len(tiles)):
            _warm(places.warmer_k, flows.heat.kernel, tiles[cluster], flows.heat.power_w[cluster])
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
    count_hops, count_links, total = weights[WORST] > 0, weights[BUSIEST] > 0, 0
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
    if heat_counts(weights):
        kernel, power_w = flows.heat.kernel, flows.heat.power_w
        moved = (power_w[second] if second >= 0 else 0.0) - (power_w[first] if first >= 0 else 0.0)
        _warm(places.warmer_k, kernel, one, moved)
        _warm(places.warmer_k, kernel, other, -moved)
    if first >= 0:
        places.tile_of[first] = other
    if second >= 0:
        places.tile_of[second] = one
    if first >= 0:
        _count_cluster(flows, topology, places, first, -1, 1, weights, False)
    if second >= 0:
        _count_cluster(flows, topology, places, second, first, 1, weights, False)


@njit(cache=True, nogil=True)
def longest_way(places: Places) -> int:
    """Hops of the longest flow, where flows are counted by their hops."""
    longest = len(places.by_hops) - 1
    while longest > 0 and places.by_hops[longest] == 0:
        longest -= 1
    return longest


@njit(cache=True, nogil=True)
def cost(flows: Flows, places: Places, weights: Weights) -> float:
    """Weighted sum of the figures."""
    total = weights[HOPS] * places.packet_hops[0]
    if weights[WORST] > 0:
        total += weights[WORST] * longest_way(places)
    if weights[BUSIEST] > 0:
        total += weights[BUSIEST] * places.load.max()
    if heat_counts(weights):
        mean, peak, leakage, wear = heat_figures(flows, places)
        total += weights[MEAN_K] * mean + weights[PEAK_K] * peak + weights[LEAKAGE] * leakage + weights[WEAR] * wear
    return total


@njit(cache=True, nogil=True)
def heat_figures(flows: Flows, places: Places) -> tuple[float, float, float, float]:
    """Mean warming and largest temperature in kelvin, leakage in watts, and the inverse of the life."""
    heat = flows.heat
    mean, peak, leakage, wear = 0.0, 0.0, 0.0, 0.0
    for cluster in range(len(places.tile_of)):
        warmer = places.warmer_k[places.tile_of[cluster]]
        mean += warmer
        peak = max(peak, heat.peak_k[cluster] + warmer)
        leakage += heat.leakage_w[cluster] * np.exp(heat.leakage_per_k * warmer)
        worn_k = heat.worn_k[cluster]
        wear = max(wear, heat.wear[cluster] * np.exp(heat.endurance_k * (1 / worn_k - 1 / (worn_k + warmer))))
    return mean / max(len(places.tile_of), 1), peak, leakage, wear
