"""Better clusters from given ones: single neurons move to whichever cluster saves most global spikes; compiled."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from .cluster_state import Net, State, move, synapses_in
from .spike_graph import Ints


@njit(cache=True, nogil=True)
def sweep(net: Net, state: State, order: NDArray[np.int64], rows: int, columns: int) -> int:
    """Move each neuron to the cluster that saves most, where it fits; those that save nothing stay.

    Args:
        net: the graph.
        state: the clusters; changed in place.
        order: neurons with fan-in.
        rows: of a crossbar.
        columns: of a crossbar.

    Returns:
        Global spikes saved.
    """
    clusters = len(state.rows)
    near, seen = np.empty(clusters, np.int64), np.full(clusters, -1, np.int64)
    has, shared = np.zeros(clusters, np.int64), np.zeros(clusters, np.int64)
    total = 0
    for neuron in order:
        count, base = weigh_moves(net, state, neuron, near, seen, has, shared)
        fan_in = net.in_offsets[neuron + 1] - net.in_offsets[neuron]
        best, best_gain = -1, 0
        for to in near[:count]:
            fits = state.columns[to] < columns and state.rows[to] + fan_in - shared[to] <= rows
            if fits and has[to] + base > best_gain:
                best, best_gain = to, has[to] + base
        if best >= 0:
            move(net, state, neuron, best)
            total += best_gain
    return total


@njit(cache=True, nogil=True)
def weigh_moves(
    net: Net, state: State, neuron: int, near: Ints, seen: Ints, has: Ints, shared: Ints
) -> tuple[int, int]:
    """Walk once over what reaches a neuron and what it reaches.

    The gain of a move to cluster `c` is `has[c] + base`, and it takes `fan_in - shared[c]` further rows there.

    Args:
        net: the graph.
        state: the clusters.
        neuron: the one that may move.
        near: gets the other clusters that have something in common with it.
        seen: neuron for which a cluster was last met.
        has: gets the spikes that are delivered there already, or start there.
        shared: gets the inputs that have a row there already.

    Returns:
        How many clusters are near, and the base.
    """
    old = state.cluster[neuron]
    seen[old] = neuron
    count, base, loops = 0, 0, False
    for at in range(net.in_offsets[neuron], net.in_offsets[neuron + 1]):
        source = net.sources[at]
        home, spikes = state.cluster[source], net.spikes[source]
        itself = source == neuron
        loops = loops or itself
        leaves, at_home = False, home < 0 or itself or home == old
        start = net.offsets[source]
        for pin in range(start, start + state.pins[source]):
            cluster = state.pin_cluster[pin]
            if cluster == old:
                leaves = state.pin_count[pin] == 1
                continue
            count = _meet(cluster, neuron, near, seen, has, shared, count)
            has[cluster] += spikes
            shared[cluster] += 1
            at_home = at_home or cluster == home
        if not at_home:
            count = _meet(home, neuron, near, seen, has, shared, count)
            has[home] += spikes
        base -= spikes
        if leaves and (itself or home != old):
            base += spikes
    if not loops:
        start, spikes = net.offsets[neuron], net.spikes[neuron]
        for pin in range(start, start + state.pins[neuron]):
            cluster = state.pin_cluster[pin]
            if cluster != old:
                count = _meet(cluster, neuron, near, seen, has, shared, count)
                has[cluster] += spikes
        if synapses_in(net, state, neuron, old) > 0:
            base -= spikes
    return count, base


@njit(cache=True, nogil=True)
def _meet(cluster: int, neuron: int, near: Ints, seen: Ints, has: Ints, shared: Ints, count: int) -> int:
    if seen[cluster] == neuron:
        return count
    seen[cluster] = neuron
    near[count] = cluster
    has[cluster], shared[cluster] = 0, 0
    return count + 1
