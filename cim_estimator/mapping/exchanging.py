"""Kernighan-Lin between two clusters: the best neuron moves, even at a loss; then all after the best state is undone.

Gains are kept up to date instead of being worked out anew: a move changes only those of neurons that share an input of
which one cluster had one synapse, or none, or gets one or none.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from .cluster_state import Net, State, move
from .spike_graph import Ids, Ints


class Pair(NamedTuple):
    """Two clusters by themselves, with their neurons and inputs numbered from 0.

    Args:
        side: 0 or 1 of each neuron, shape `[neurons]`.
        in_offsets: the inputs of neuron `i` are at `in_offsets[i]:in_offsets[i + 1]`.
        inputs: shape `[synapses]`.
        out_offsets: the neurons that hear input `i` are at `out_offsets[i]:out_offsets[i + 1]`.
        hearers: shape `[synapses]`.
        spikes: of each input, shape `[inputs]`.
        home: side that an input is in, -1 for neither, shape `[inputs]`.
        synapses: of each input on each side, shape `[inputs, 2]`.
        as_input: number that a neuron has as an input, -1 if nobody here hears it, shape `[neurons]`.
        hears_itself: shape `[neurons]`.
        own_spikes: of each neuron, shape `[neurons]`.
    """

    side: Ids
    in_offsets: Ints
    inputs: Ids
    out_offsets: Ints
    hearers: Ids
    spikes: Ints
    home: Ids
    synapses: Ids
    as_input: Ids
    hears_itself: NDArray[np.bool_]
    own_spikes: Ints


@njit(cache=True, nogil=True)
def exchange(
    net: Net, state: State, pair: Ids, members: Ids, rows: int, columns: int, patience: int, number: Ids
) -> int:
    """One Kernighan-Lin pass between two clusters.

    A crossbar may overflow meanwhile by one column and some rows. In the end everything after the best state in which
    both fit is undone.

    Args:
        net: the graph.
        state: the clusters; changed in place.
        pair: two clusters.
        members: neurons of the two.
        rows: of a crossbar.
        columns: of a crossbar.
        patience: moves without a new best state after which the pass stops.
        number: room, -1 for every neuron of the graph; left as it was.

    Returns:
        Global spikes saved, 0 or more.
    """
    both = _pair_of(net, state, pair, members, number)
    gain, needed = _gains(both)  # of moving to the other side, own axon left out; rows that it needs there
    used_rows, used_columns = np.zeros(2, np.int64), np.zeros(2, np.int64)
    for side in range(2):
        used_rows[side], used_columns[side] = (both.synapses[:, side] > 0).sum(), (both.side == side).sum()
    slack = rows + rows // 4 + 1
    locked, moved = np.zeros(len(members), np.bool_), np.empty(len(members), np.int64)
    saved, best_saved, best_count, count = 0, 0, 0, 0
    while count < len(members) and count - best_count < patience:
        chosen, chosen_gain = -1, 0
        for index in range(len(members)):
            to = 1 - both.side[index]
            if locked[index] or used_columns[to] > columns or used_rows[to] + needed[index] > slack:
                continue
            whole = gain[index] + _own_gain(both, index)
            if chosen < 0 or whole > chosen_gain:
                chosen, chosen_gain = index, whole
        if chosen < 0:
            break
        locked[chosen], moved[count] = True, chosen
        _move(both, chosen, gain, needed, used_rows)
        used_columns[both.side[chosen]] += 1
        used_columns[1 - both.side[chosen]] -= 1
        count, saved = count + 1, saved + chosen_gain
        if saved > best_saved and used_columns.max() <= columns and used_rows.max() <= rows:
            best_saved, best_count = saved, count
    for index in moved[:best_count]:
        neuron = members[index]
        move(net, state, neuron, pair[1] if state.cluster[neuron] == pair[0] else pair[0])
    return best_saved


@njit(cache=True, nogil=True)
def _pair_of(net: Net, state: State, pair: Ids, members: Ids, number: Ids) -> Pair:
    synapses = 0
    for neuron in members:
        synapses += net.in_offsets[neuron + 1] - net.in_offsets[neuron]
    in_offsets, inputs = np.zeros(len(members) + 1, np.int64), np.empty(synapses, np.int32)
    axons, found, at = np.empty(synapses, np.int32), 0, 0
    side, loops = np.empty(len(members), np.int32), np.zeros(len(members), np.bool_)
    own_spikes = np.empty(len(members), np.int64)
    for index, neuron in enumerate(members):
        side[index] = state.cluster[neuron] == pair[1]
        own_spikes[index] = net.spikes[neuron]
        for synapse in range(net.in_offsets[neuron], net.in_offsets[neuron + 1]):
            axon = net.sources[synapse]
            if number[axon] < 0:
                number[axon] = found
                axons[found] = axon
                found += 1
            inputs[at] = number[axon]
            loops[index] = loops[index] or axon == neuron
            at += 1
        in_offsets[index + 1] = at
    as_input = np.empty(len(members), np.int32)
    for index, neuron in enumerate(members):
        as_input[index] = number[neuron]
    spikes, home = np.empty(found, np.int64), np.empty(found, np.int32)
    for index in range(found):
        axon = axons[index]
        number[axon] = -1
        spikes[index] = net.spikes[axon]
        cluster = state.cluster[axon]
        home[index] = 0 if cluster == pair[0] else (1 if cluster == pair[1] else -1)
    count, out_offsets = np.zeros((found, 2), np.int32), np.zeros(found + 1, np.int64)
    for index in range(len(members)):
        for at in range(in_offsets[index], in_offsets[index + 1]):
            count[inputs[at], side[index]] += 1
            out_offsets[inputs[at] + 1] += 1
    for index in range(found):
        out_offsets[index + 1] += out_offsets[index]
    hearers, filled = np.empty(synapses, np.int32), out_offsets[:-1].copy()
    for index in range(len(members)):
        for at in range(in_offsets[index], in_offsets[index + 1]):
            hearers[filled[inputs[at]]] = index
            filled[inputs[at]] += 1
    return Pair(side, in_offsets, inputs, out_offsets, hearers, spikes, home, count, as_input, loops, own_spikes)


@njit(cache=True, nogil=True)
def _gains(both: Pair) -> tuple[Ints, Ints]:
    gain, needed = np.zeros(len(both.side), np.int64), np.zeros(len(both.side), np.int64)
    for index in range(len(both.side)):
        for at in range(both.in_offsets[index], both.in_offsets[index + 1]):
            axon = both.inputs[at]
            if axon != both.as_input[index]:
                gain[index] += _through(both, axon, both.side[index])
            needed[index] += both.synapses[axon, 1 - both.side[index]] == 0
    return gain, needed


@njit(cache=True, nogil=True)
def _through(both: Pair, axon: int, side: int) -> int:
    """Spikes that an input no longer sends here, less those it sends there, if one that hears it leaves this side."""
    leaves = both.synapses[axon, side] == 1 and both.home[axon] != side
    enters = both.synapses[axon, 1 - side] == 0 and both.home[axon] != 1 - side
    return both.spikes[axon] * (int(leaves) - int(enters))


@njit(cache=True, nogil=True)
def _own_gain(both: Pair, index: int) -> int:
    """Spikes of its own axon that a neuron saves by going to the other side."""
    axon, side = both.as_input[index], both.side[index]
    if axon < 0:
        return 0
    here = both.synapses[axon, side] - int(both.hears_itself[index])
    return both.own_spikes[index] * (int(both.synapses[axon, 1 - side] > 0) - int(here > 0))


@njit(cache=True, nogil=True)
def _move(both: Pair, index: int, gain: Ints, needed: Ints, used_rows: Ints) -> None:
    side = both.side[index]
    other = 1 - side
    both.side[index] = other
    for at in range(both.in_offsets[index], both.in_offsets[index + 1]):
        axon = both.inputs[at]
        before_0, before_1 = _through(both, axon, 0), _through(both, axon, 1)
        both.synapses[axon, side] -= 1
        both.synapses[axon, other] += 1
        emptied, begun = both.synapses[axon, side] == 0, both.synapses[axon, other] == 1
        used_rows[side] -= emptied
        used_rows[other] += begun
        change_0, change_1 = _through(both, axon, 0) - before_0, _through(both, axon, 1) - before_1
        if change_0 == 0 and change_1 == 0 and not emptied and not begun:
            continue
        _tell(both, axon, change_0, change_1, gain)
        for synapse in range(both.out_offsets[axon], both.out_offsets[axon + 1]):
            hearer = both.hearers[synapse]
            if both.side[hearer] == side:
                needed[hearer] -= begun
            else:
                needed[hearer] += emptied
    axon = both.as_input[index]
    if axon >= 0:  # its home moves with it
        before_0, before_1 = _through(both, axon, 0), _through(both, axon, 1)
        both.home[axon] = other
        _tell(both, axon, _through(both, axon, 0) - before_0, _through(both, axon, 1) - before_1, gain)


@njit(cache=True, nogil=True)
def _tell(both: Pair, axon: int, change_0: int, change_1: int, gain: Ints) -> None:
    for synapse in range(both.out_offsets[axon], both.out_offsets[axon + 1]):
        hearer = both.hearers[synapse]
        if both.as_input[hearer] != axon:
            gain[hearer] += change_1 if both.side[hearer] else change_0
