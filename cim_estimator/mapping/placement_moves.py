"""Searches among placements: hill climbing, simulated annealing and a particle swarm; compiled."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from .placement_state import WORST, Flows, Places, Weights, cost, hops_saved, load_placement, longest_way, swap
from .spike_graph import Ids, Ints
from .topology import Topology

MOST_ENTRIES = 2**24  # of the table of hops: 128 MiB
RARE = 4
"""The table of hops pays where fewer than this many times n / 2 swaps of a round over n tiles were kept.

With d neighbours of a cluster a round looks up 2 d of them for each of n (n - 1) / 2 swaps, and a swap that is kept
changes 2 d rows of n entries: at equal costs the table would pay below n / 2 kept swaps. But the entries of a row lie
one after another, so that processors change four or more at a time, and the neighbours lie anywhere.
"""


@njit(cache=True, nogil=True)
def climb(
    flows: Flows, topology: Topology, places: Places, weights: Weights, order: NDArray[np.int64], moves: int
) -> int:
    """Try every swap of two tiles, keep those that help, and go round until a round keeps none.

    Where only hops count, or the longest way as well, most swaps are seen to be no help without being made. Once few
    are kept, a table holds what each cluster would cost on each tile: a swap then takes four of its entries, and
    keeping one changes the rows of the two clusters' neighbours.

    Args:
        flows: packets between clusters.
        topology: the tiles.
        places: where to start; changed in place.
        weights: of the figures.
        order: every tile, in the order of trying.
        moves: most swaps to try.

    Returns:
        Swaps tried.
    """
    best, tried, improved = cost(flows, places, weights), 0, True
    foreseen = weights[WORST + 1 :].max() == 0
    longest = longest_way(places) if weights[WORST] > 0 else -1
    table = np.zeros((0, topology.tiles), np.int64)
    small, few = len(places.tile_of) * topology.tiles <= MOST_ENTRIES, RARE * len(order) // 2
    while improved and tried < moves:
        improved, kept, known = False, 0, len(table) > 0
        for at in range(len(order)):
            for after in range(at + 1, len(order)):
                one, other = order[at], order[after]
                first, second = places.cluster_on[one], places.cluster_on[other]
                if first < 0 and second < 0:
                    continue
                tried += 1
                saved = 1
                if foreseen:
                    saved = _most_saved(table, places, one, other) if known else hops_saved(flows, places, one, other)
                if saved > 0 or (longest >= 0 and not _stays_long(flows, places, one, other, longest)):
                    swap(flows, topology, places, one, other, weights)
                    now = cost(flows, places, weights)
                    if now < best * (1 - 1e-12):
                        best, improved, kept = now, True, kept + 1
                        if longest >= 0:
                            longest = longest_way(places)
                        if known:
                            _move_in_table(table, flows, places, first, one, other)
                            _move_in_table(table, flows, places, second, other, one)
                    else:
                        swap(flows, topology, places, one, other, weights)
                if tried >= moves:
                    return tried
        if foreseen and small and kept < few and not known:
            table = _table_of_hops(flows, places)
    return tried


@njit(cache=True, nogil=True)
def _stays_long(flows: Flows, places: Places, one: int, other: int, longest: int) -> bool:
    """Whether some flow keeps the longest way, whatever two tiles do."""
    left = places.by_hops[longest]
    for tile in (one, other):
        cluster = places.cluster_on[tile]
        if cluster >= 0:
            away = places.distance[tile]
            for at in range(flows.offsets[cluster], flows.offsets[cluster + 1]):
                left -= away[places.tile_of[flows.other[at]]] == longest
    return left > 0


@njit(cache=True, nogil=True)
def _table_of_hops(flows: Flows, places: Places) -> Ints:
    """Packets times hops of each cluster if it alone were on each tile, shape `[clusters, tiles]`."""
    table = np.zeros((len(places.tile_of), len(places.cluster_on)), np.int64)
    for cluster in range(len(table)):
        for at in range(flows.offsets[cluster], flows.offsets[cluster + 1]):
            away = places.distance[places.tile_of[flows.other[at]]]
            for tile in range(len(away)):
                table[cluster, tile] += flows.packets[at] * away[tile]
    return table


@njit(cache=True, nogil=True)
def _most_saved(table: Ints, places: Places, one: int, other: int) -> int:
    """Packets times hops that a swap saves at most; less where the two clusters send each other packets."""
    first, second = places.cluster_on[one], places.cluster_on[other]
    saved = 0
    if first >= 0:
        saved += table[first, one] - table[first, other]
    if second >= 0:
        saved += table[second, other] - table[second, one]
    return saved


@njit(cache=True, nogil=True)
def _move_in_table(table: Ints, flows: Flows, places: Places, cluster: int, one: int, other: int) -> None:
    """What a cluster costs its neighbours on `other`, instead of on `one`; there may be none."""
    if cluster < 0:
        return
    before, after = places.distance[one], places.distance[other]
    for at in range(flows.offsets[cluster], flows.offsets[cluster + 1]):
        row, packets = table[flows.other[at]], flows.packets[at]
        for tile in range(len(row)):
            row[tile] += packets * (after[tile] - before[tile])


@njit(cache=True, nogil=True)
def anneal(
    flows: Flows,
    topology: Topology,
    places: Places,
    weights: Weights,
    draws: NDArray[np.float64],
    hot: float,
    cold: float,
) -> Ids:
    """Swap random tiles; a worse placement is kept with probability `exp(-difference / temperature)`.

    Args:
        flows: packets between clusters.
        topology: the tiles.
        places: where to start; changed in place.
        weights: of the figures.
        draws: three numbers in [0, 1) for each swap, shape `[swaps, 3]`.
        hot: temperature at the first swap.
        cold: temperature at the last; it falls geometrically.

    Returns:
        The best placement met: tile of each cluster.
    """
    now = cost(flows, places, weights)
    best, best_tiles = now, places.tile_of.copy()
    for step in range(len(draws)):
        temperature = hot * (cold / hot) ** (step / max(len(draws) - 1, 1))
        one, other = int(draws[step, 0] * topology.tiles), int(draws[step, 1] * topology.tiles)
        if one == other or (places.cluster_on[one] < 0 and places.cluster_on[other] < 0):
            continue
        swap(flows, topology, places, one, other, weights)
        then = cost(flows, places, weights)
        if then <= now or draws[step, 2] < np.exp((now - then) / temperature):
            now = then
            if now < best:
                best, best_tiles = now, places.tile_of.copy()
        else:
            swap(flows, topology, places, one, other, weights)
    return best_tiles


@njit(cache=True, nogil=True)
def fly(
    flows: Flows,
    topology: Topology,
    places: Places,
    weights: Weights,
    swarm: Ids,
    draws: NDArray[np.float64],
    pull: tuple[float, float, float],
) -> Ids:
    """A particle swarm whose velocities are swaps.

    In every round each particle brings some clusters to where its own best placement has them, some to where the
    swarm's best has them, and some to random tiles.

    Args:
        flows: packets between clusters.
        topology: the tiles.
        places: room to evaluate in.
        weights: of the figures.
        swarm: placements to start from, shape `[particles, clusters]`; changed in place.
        draws: numbers in [0, 1), shape `[rounds, particles, clusters, 2]`.
        pull: probabilities to follow a particle's own best, the swarm's best, and chance.

    Returns:
        The best placement met: tile of each cluster.
    """
    particles, clusters = swarm.shape
    own, own_cost = swarm.copy(), np.empty(particles)
    for particle in range(particles):
        load_placement(flows, topology, places, swarm[particle], weights)
        own_cost[particle] = cost(flows, places, weights)
    best = own[own_cost.argmin()].copy()
    best_cost = own_cost.min()
    for step in range(len(draws)):
        for particle in range(particles):
            load_placement(flows, topology, places, swarm[particle], weights)
            for cluster in range(clusters):
                chance, where = draws[step, particle, cluster]
                if chance < pull[0]:
                    to = own[particle, cluster]
                elif chance < pull[0] + pull[1]:
                    to = best[cluster]
                elif chance < pull[0] + pull[1] + pull[2]:
                    to = int(where * topology.tiles)
                else:
                    continue
                if to != places.tile_of[cluster]:
                    swap(flows, topology, places, places.tile_of[cluster], to, weights)
            swarm[particle] = places.tile_of
            now = cost(flows, places, weights)
            if now < own_cost[particle]:
                own_cost[particle], own[particle] = now, swarm[particle]
                if now < best_cost:
                    best_cost, best = now, swarm[particle].copy()
    return best
