"""Better clusters from given ones: Kernighan-Lin between two clusters, and moves to any cluster; compiled.

Both lower the global spikes of the hypergraph, keep every crossbar within its limits, and never end worse.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from .cluster_state import Net, State, gain_of_move, move
from .spike_graph import Ids


@njit(cache=True, nogil=True)
def exchange(net: Net, state: State, pair: Ids, members: Ids, rows: int, columns: int, patience: int) -> int:
    """One Kernighan-Lin pass between two clusters.

    The best neuron moves, even at a loss, and is locked; a crossbar may overflow meanwhile by one column and some
    rows. In the end everything after the best state in which both fit is undone.

    Args:
        net: the graph.
        state: the clusters; changed in place.
        pair: two clusters.
        members: neurons of the two.
        rows: of a crossbar.
        columns: of a crossbar.
        patience: moves without a new best state after which the pass stops.

    Returns:
        Global spikes saved, 0 or more.
    """
    locked = np.zeros(len(members), np.bool_)
    moved = np.empty(len(members), np.int64)
    saved, best_saved, best_count, count = 0, 0, 0, 0
    slack = rows + rows // 4 + 1
    while count < len(members) and count - best_count < patience:
        chosen, chosen_gain = -1, 0
        for index in range(len(members)):
            neuron = members[index]
            if locked[index]:
                continue
            to = pair[1] if state.cluster[neuron] == pair[0] else pair[0]
            if state.columns[to] > columns:
                continue
            gain, new_rows = gain_of_move(net, state, neuron, to)
            if state.rows[to] + new_rows <= slack and (chosen < 0 or gain > chosen_gain):
                chosen, chosen_gain = index, gain
        if chosen < 0:
            break
        neuron = members[chosen]
        move(net, state, neuron, pair[1] if state.cluster[neuron] == pair[0] else pair[0])
        locked[chosen], moved[count] = True, neuron
        count, saved = count + 1, saved + chosen_gain
        fits = max(state.columns[pair[0]], state.columns[pair[1]]) <= columns
        if saved > best_saved and fits and max(state.rows[pair[0]], state.rows[pair[1]]) <= rows:
            best_saved, best_count = saved, count
    for index in range(count - 1, best_count - 1, -1):
        move(net, state, moved[index], pair[1] if state.cluster[moved[index]] == pair[0] else pair[0])
    return best_saved


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
    near = np.empty(len(state.rows), np.int64)
    seen = np.full(len(state.rows), -1, np.int64)
    total = 0
    for neuron in order:
        count = _neighbours(net, state, neuron, near, seen)
        best, best_gain = -1, 0
        for to in near[:count]:
            if state.columns[to] == columns:
                continue
            gain, new_rows = gain_of_move(net, state, neuron, to)
            if gain > best_gain and state.rows[to] + new_rows <= rows:
                best, best_gain = to, gain
        if best >= 0:
            move(net, state, neuron, best)
            total += best_gain
    return total


@njit(cache=True, nogil=True)
def _neighbours(net: Net, state: State, neuron: int, near: NDArray[np.int64], seen: NDArray[np.int64]) -> int:
    """Other clusters that hold an input or an output of a neuron, or share an input with it; how many there are."""
    seen[state.cluster[neuron]] = neuron
    count = _reached(net, state, neuron, neuron, near, seen, 0)
    for at in range(net.in_offsets[neuron], net.in_offsets[neuron + 1]):
        source = net.sources[at]
        count = _reached(net, state, source, neuron, near, seen, count)
        home = state.cluster[source]
        if home >= 0 and seen[home] != neuron:
            seen[home] = neuron
            near[count] = home
            count += 1
    return count


@njit(cache=True, nogil=True)
def _reached(
    net: Net, state: State, axon: int, neuron: int, near: NDArray[np.int64], seen: NDArray[np.int64], count: int
) -> int:
    start = net.offsets[axon]
    for pin in range(start, start + state.pins[axon]):
        cluster = state.pin_cluster[pin]
        if seen[cluster] != neuron:
            seen[cluster] = neuron
            near[count] = cluster
            count += 1
    return count
