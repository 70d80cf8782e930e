"""Which clusters each axon reaches, kept up to date while neurons move; compiled.

An axon costs its spikes times the clusters that it reaches besides the one its neuron is in. An input from outside has
no cluster here (-1): it is handed in at one of the clusters that it reaches, so that one of them is free; that is a
constant and leaves every difference as it is.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from .spike_graph import Ids, Ints, SpikeGraph


class Net(NamedTuple):
    """A graph as plain arrays: destinations by source, and sources by destination."""

    offsets: Ints
    destinations: Ids
    in_offsets: Ints
    sources: Ids
    spikes: Ints


class State(NamedTuple):
    """Clusters of neurons, synapses of each axon in each cluster, and what each cluster takes.

    Args:
        cluster: of each neuron, -1 for an input from outside, shape `[neurons]`.
        pin_cluster: clusters that axon `i` reaches, from `offsets[i]` on, in no order, shape `[synapses]`.
        pin_count: its synapses there, shape `[synapses]`.
        pins: how many clusters each axon reaches, shape `[neurons]`.
        rows: distinct inputs of each cluster, shape `[clusters]`.
        columns: neurons with fan-in of each cluster, shape `[clusters]`.
    """

    cluster: Ids
    pin_cluster: Ids
    pin_count: Ids
    pins: Ids
    rows: Ints
    columns: Ints


def net_of(graph: SpikeGraph) -> Net:
    """The arrays of a graph as compiled code takes them; those that are mapped from a file are read."""
    in_offsets, sources = graph.incoming
    arrays = graph.offsets, graph.destinations, in_offsets, sources, graph.spikes
    kinds = np.int64, np.int32, np.int64, np.int32, np.int64
    return Net(*(np.require(np.asarray(a), kind, ["C", "A", "W"]) for a, kind in zip(arrays, kinds, strict=True)))


def state_of(net: Net, clusters: NDArray[np.integer], count: int) -> State:
    """The state in which neurons with fan-in are in these clusters."""
    inputs = np.diff(net.in_offsets) == 0
    cluster = np.where(inputs, -1, clusters).astype(np.int32)
    synapses, neurons = len(net.destinations), len(net.spikes)
    state = State(
        cluster,
        np.empty(synapses, np.int32),
        np.empty(synapses, np.int32),
        np.zeros(neurons, np.int32),
        np.zeros(count, np.int64),
        np.bincount(cluster[~inputs], minlength=count).astype(np.int64),
    )
    _fill(net, state)
    return state


@njit(cache=True, nogil=True)
def _fill(net: Net, state: State) -> None:
    for source in range(len(net.spikes)):
        for at in range(net.offsets[source], net.offsets[source + 1]):
            _add_pin(net, state, source, state.cluster[net.destinations[at]])


@njit(cache=True, nogil=True)
def _add_pin(net: Net, state: State, source: int, cluster: int) -> None:
    start, size = net.offsets[source], state.pins[source]
    for at in range(start, start + size):
        if state.pin_cluster[at] == cluster:
            state.pin_count[at] += 1
            return
    state.pin_cluster[start + size] = cluster
    state.pin_count[start + size] = 1
    state.pins[source] = size + 1
    state.rows[cluster] += 1


@njit(cache=True, nogil=True)
def _remove_pin(net: Net, state: State, source: int, cluster: int) -> None:
    start = net.offsets[source]
    last = start + state.pins[source] - 1
    for at in range(start, last + 1):
        if state.pin_cluster[at] == cluster:
            state.pin_count[at] -= 1
            if state.pin_count[at] == 0:
                state.pin_cluster[at], state.pin_count[at] = state.pin_cluster[last], state.pin_count[last]
                state.pins[source] -= 1
                state.rows[cluster] -= 1
            return


@njit(cache=True, nogil=True)
def synapses_in(net: Net, state: State, source: int, cluster: int) -> int:
    """Synapses of an axon in a cluster."""
    start = net.offsets[source]
    for at in range(start, start + state.pins[source]):
        if state.pin_cluster[at] == cluster:
            return state.pin_count[at]
    return 0


@njit(cache=True, nogil=True)
def move(net: Net, state: State, neuron: int, to: int) -> None:
    """Put a neuron with fan-in into another cluster."""
    old = state.cluster[neuron]
    for at in range(net.in_offsets[neuron], net.in_offsets[neuron + 1]):
        source = net.sources[at]
        _remove_pin(net, state, source, old)  # first, so that an axon never needs more slots than synapses
        _add_pin(net, state, source, to)
    state.cluster[neuron] = to
    state.columns[old] -= 1
    state.columns[to] += 1


@njit(cache=True, nogil=True)
def external_spikes(net: Net, state: State) -> int:
    """Spikes times the clusters that they must be carried to."""
    total = 0
    for source in range(len(net.spikes)):
        start = net.offsets[source]
        home, reached = state.cluster[source], state.pins[source]
        inside = 0
        for at in range(start, start + reached):
            inside += state.pin_cluster[at] == home
        if home < 0 and reached > 0:
            inside = 1
        total += net.spikes[source] * (reached - inside)
    return total
