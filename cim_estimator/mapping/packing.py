"""Clusters that fit, built from nothing: in a given order, or by growing each around what it shares; compiled."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from .cluster_state import Net
from .spike_graph import Ids


@njit(cache=True, nogil=True)
def next_fit(net: Net, order: NDArray[np.int64], rows: int, columns: int) -> Ids:
    """Fill one crossbar after another in this order of neurons; a neuron that no longer fits opens the next.

    Args:
        net: the graph.
        order: neurons with fan-in.
        rows: of a crossbar.
        columns: of a crossbar.

    Returns:
        Cluster of each neuron, -1 for those not in `order`, shape `[neurons]`.
    """
    clusters = np.full(len(net.spikes), np.int32(-1), np.int32)
    seen = np.full(len(net.spikes), -1, np.int64)
    current, used_rows, used_columns = 0, 0, 0
    for neuron in order:
        new = 0
        for at in range(net.in_offsets[neuron], net.in_offsets[neuron + 1]):
            new += seen[net.sources[at]] != current
        if used_columns == columns or used_rows + new > rows:
            current, used_rows, used_columns = current + 1, 0, 0
            new = net.in_offsets[neuron + 1] - net.in_offsets[neuron]
        for at in range(net.in_offsets[neuron], net.in_offsets[neuron + 1]):
            seen[net.sources[at]] = current
        clusters[neuron] = current
        used_rows, used_columns = used_rows + new, used_columns + 1
    return clusters


@njit(cache=True, nogil=True)
def grow(net: Net, order: NDArray[np.int64], part: Ids, rows: int, columns: int) -> Ids:
    """Grow crossbars: the next neuron is the one with the largest share of its spikes within the cluster already.

    Args:
        net: the graph.
        order: neurons with fan-in, from which clusters start; those of a part stand together.
        part: clusters do not cross from part to part, shape `[neurons]`.
        rows: of a crossbar.
        columns: of a crossbar.

    Returns:
        Cluster of each neuron, -1 for those not in `order`, shape `[neurons]`.
    """
    neurons = len(net.spikes)
    clusters = np.full(neurons, np.int32(-1), np.int32)
    weight = net.spikes.astype(np.float64) + 1e-3  # silent axons count a little: they take rows
    total = weight.copy()  # of its own axon and of its inputs
    for neuron in range(neurons):
        for at in range(net.in_offsets[neuron], net.in_offsets[neuron + 1]):
            total[neuron] += weight[net.sources[at]]
    shared = np.zeros(neurons)  # what it has in common with the cluster
    common = np.zeros(neurons, np.int64)  # inputs it has in common
    touched = np.empty(neurons, np.int64)
    is_touched = np.zeros(neurons, np.bool_)
    is_row = np.full(neurons, -1, np.int64)
    current, used_rows, used_columns, count, at_seed = 0, 0, 0, 0, 0
    current_part = part[order[0]] if len(order) else 0
    while at_seed < len(order):
        best = -1
        if used_columns < columns:
            best = _best(net, clusters, touched[:count], shared, total, common, rows - used_rows, part, current_part)
        if best < 0:  # nothing near fits: an unconnected neuron if there is room, else a new cluster
            while at_seed < len(order) and clusters[order[at_seed]] >= 0:
                at_seed += 1
            if at_seed == len(order):
                break
            best = order[at_seed]
            fan_in = net.in_offsets[best + 1] - net.in_offsets[best]
            new_part = part[best] != current_part
            if used_columns == columns or used_rows + fan_in - common[best] > rows or new_part:
                current_part = part[best]
                for index in range(count):
                    shared[touched[index]], common[touched[index]], is_touched[touched[index]] = 0.0, 0, False
                current, used_rows, used_columns, count = current + 1, 0, 0, 0
        clusters[best] = current
        used_columns += 1
        if is_row[best] != current:  # what it reaches would hear it without a packet
            count = _share(net, best, part, weight[best], 0, shared, common, touched, is_touched, count)
        for at in range(net.in_offsets[best], net.in_offsets[best + 1]):
            source = net.sources[at]
            if is_row[source] != current:
                is_row[source] = current
                used_rows += 1
                new_weight = 0.0 if clusters[source] == current else weight[source]
                count = _share(net, source, part, new_weight, 1, shared, common, touched, is_touched, count)
            if net.in_offsets[source + 1] > net.in_offsets[source]:
                shared[source] += weight[source]
                count = _touch(source, touched, is_touched, count)
    return clusters


@njit(cache=True, nogil=True)
def _share(
    net: Net,
    source: int,
    part: Ids,
    weight: float,
    row: int,
    shared: NDArray[np.float64],
    common: NDArray[np.int64],
    touched: NDArray[np.int64],
    is_touched: NDArray[np.bool_],
    count: int,
) -> int:
    """Tell what an axon reaches that the cluster has it; how many neurons are touched now."""
    for to in range(net.offsets[source], net.offsets[source + 1]):
        near = net.destinations[to]
        shared[near] += weight
        common[near] += row
        count = _touch(near, touched, is_touched, count)
    return count


@njit(cache=True, nogil=True)
def _touch(neuron: int, touched: NDArray[np.int64], is_touched: NDArray[np.bool_], count: int) -> int:
    if not is_touched[neuron]:
        is_touched[neuron] = True
        touched[count] = neuron
        count += 1
    return count


@njit(cache=True, nogil=True)
def _best(
    net: Net,
    clusters: Ids,
    touched: NDArray[np.int64],
    shared: NDArray[np.float64],
    total: NDArray[np.float64],
    common: NDArray[np.int64],
    rows_left: int,
    part: Ids,
    current_part: int,
) -> int:
    best, best_share, best_new = -1, -1.0, 0
    for neuron in touched:
        if clusters[neuron] >= 0 or part[neuron] != current_part:
            continue
        new = net.in_offsets[neuron + 1] - net.in_offsets[neuron] - common[neuron]
        if new > rows_left:
            continue
        share = min(shared[neuron] / total[neuron], 1.0)
        better = share > best_share or (share == best_share and (new < best_new or (new == best_new and neuron < best)))
        if better:
            best, best_share, best_new = neuron, share, new
    return best
