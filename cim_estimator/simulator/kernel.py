"""Cores and barriers, event by event; compiled. `interpreter.py` says the same in plain Python and is the oracle."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .calendar import (
    ARGUMENT,
    MOMENT,
    NOTHING,
    PRIORITIES,
    PRIORITY_BITS,
    adapt,
    compiled,
    inlined,
    needs_other_days,
    pop,
)
from .network import (
    AFTER,
    ARRIVE,
    AT_PHASE,
    BUSY_CORES,
    CREDIT,
    DELIVERED,
    DONE,
    EMIT,
    ENDED,
    EVENTS,
    FREE_PACKET,
    FULL,
    HEAD,
    LATENCY,
    LENGTH,
    NEXT_EMISSION,
    NODE,
    OUTSTANDING,
    PHASE,
    QUEUE,
    READ,
    SENT_AT,
    STEP,
    TICK,
    TIMER,
    UNIT,
    WAKE,
    WAKING,
    WORST,
    WRITE,
    Network,
    advance,
    join,
    leave_queue,
    note,
    schedule,
    serve,
)  # fmt: skip
from .routes import ORDINAL, Routes

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class Entry(IntEnum):
    """Kinds of entries of the log, and what their numbers mean.

    SENT       cluster, unit
    HOP        channel, unit; the packet starts to take it
    DELIVERED  cluster, unit; from another cluster
    READ       cluster, spikes that the read gave rise to
    PHASE      phase, timestep
    """

    SENT = 0
    HOP = 1
    DELIVERED = 2
    READ = 3
    PHASE = 4


# Columns of `State.cores`: whether it is reading, whether something arrived, timers to answer; then what is counted.
READING, DIRTY, DUE, RECEIVED, WRITTEN, READS, SYNOPS, FIRED = range(8)
# Places of `Chip.settings`.
LINKS, CLUSTERS, BARRIER, COMPUTES, STEPS, PERIOD, WRITE_TICKS, SYNC_TICKS, EMIT_TICKS, PHASES, LIMIT = range(11)
# Columns of `Units.numbers`.
KIND, CLUSTER, STATIC, FAN_IN = range(4)
# Rows of `Units.floats`.
BIAS, LATE, TAU, THRESHOLD, RESET, SOFT, BETA, FADE, REGISTER, LEVELS, SYNAPSE = range(11)
# Rows of `State.sums`; the first two are what arrived for this timestep and for the next, by turns.
STATIC_SUM, MEMBRANE, ADAPTATION, TOTAL, TO_SEND, CURRENT = 2, 3, 4, 5, 6, 7
# Values of `Kind` and `Entry`, as plain numbers for compiled code.
_NEURON, _MAXIMUM, _OUTPUT = 1, 3, 4
_SENT, _DELIVERED, _READ, _PHASE = 0, 2, 3, 4


class Chip(NamedTuple):
    """Times of the cores.

    Args:
        read_ticks: of each core, `[clusters]`.
        settings: see the names of its places.
    """

    read_ticks: Ints
    settings: Ints


class Units(NamedTuple):
    """Units and what reaches them, by cluster.

    Args:
        numbers: kind, cluster, whether static, synapses that reach it; `[units, 4]`.
        floats: biases and neuron parameters, `[11, units]`.
        groups: first group of synapses of each unit: those into one cluster, in the order of its destinations.
        first_synapse: the synapses of a group are at `[group]:[group + 1]`.
        targets, delays: of synapses, `[synapses, 2]`.
        weights: of synapses, `[synapses]`.
        pairs: cluster, first and end in `order`, of each phase and cluster; `[pairs, 3]`.
        first_pair: the pairs of a phase are at `[phase]:[phase + 1]`.
        order: units by phase and cluster, `[computing units]`.
        members: the pairs of a cluster are `members[first_member[cluster]:first_member[cluster + 1]]`.
        first_member: see `members`.
    """

    numbers: Ints
    floats: Floats
    groups: Ints
    first_synapse: Ints
    targets: Ints
    weights: Floats
    pairs: Ints
    first_pair: Ints
    order: Ints
    members: Ints
    first_member: Ints


class State(NamedTuple):
    """What cores remember.

    Args:
        cores: `[clusters, 8]`.
        sums: see the names of its rows, `[8, units]`.
        counts: arrivals at maxima by turns, `[2, units]`.
        raster: spikes of each unit by timestep, `[steps, units]`.
    """

    cores: Ints
    sums: Floats
    counts: Ints
    raster: Ints


class Source(NamedTuple):
    """What is sent in, in order of moment; see `program.Emissions`."""

    moments: Ints
    units: Ints
    values: Floats


@inlined
def send(
    net: Network, chip: Chip, routes: Routes, units: Units, state: State, unit: int, value: float, time: int
) -> None:
    """A unit sends a value: a packet for each of its roots goes into its core's outbox."""
    cluster, group = units.numbers[unit, CLUSTER], routes.group_of[unit]
    note(net, time, _SENT, cluster, unit)
    if group < 0:
        return
    queue = chip.settings[LINKS] + chip.settings[CLUSTERS] + cluster
    for place in range(routes.first_root[group], routes.first_root[group + 1]):
        packet = net.numbers[FREE_PACKET]
        if packet == NOTHING:
            net.numbers[FULL] = 1
            return
        net.numbers[FREE_PACKET] = net.packets[packet, AFTER]
        net.packets[packet, NODE], net.packets[packet, UNIT] = routes.roots[place], unit
        net.packets[packet, SENT_AT], net.packets[packet, QUEUE] = time, queue
        net.values[packet] = value
        net.numbers[OUTSTANDING] += 1
        if join(net, queue, packet):
            advance(net, queue, time)


@inlined
def arrive(net: Network, chip: Chip, routes: Routes, units: Units, state: State, packet: int, time: int) -> None:
    """A packet reaches the end of its channel: a router, or a core."""
    queue, numbers = net.packets[packet, QUEUE], net.numbers
    empty = join(net, queue, packet)
    if net.nodes[net.packets[packet, NODE], ORDINAL] < 0:
        if empty:
            advance(net, queue, time)
        return
    cluster = queue - chip.settings[LINKS]
    state.cores[cluster, RECEIVED] += 1
    if units.numbers[net.packets[packet, UNIT], CLUSTER] != cluster:
        latency = time - net.packets[packet, SENT_AT]
        numbers[DELIVERED] += 1
        numbers[LATENCY] += latency
        numbers[WORST] = max(numbers[WORST], latency)
        note(net, time, _DELIVERED, cluster, net.packets[packet, UNIT])
    if empty:
        schedule(net, time + chip.settings[WRITE_TICKS], WRITE, cluster)


@inlined
def take_in(net: Network, chip: Chip, units: Units, state: State, packet: int) -> int:
    """Let a packet's value act on the units of the cluster that it reached; how many synapses it took."""
    unit, value = net.packets[packet, UNIT], net.values[packet]
    group = units.groups[unit] + net.nodes[net.packets[packet, NODE], ORDINAL]
    step, static = net.numbers[STEP], units.numbers[unit, STATIC]
    first, end = units.first_synapse[group], units.first_synapse[group + 1]
    for synapse in range(first, end):
        target = units.targets[synapse, 0]
        turn = (step + units.targets[synapse, 1]) & 1
        if units.numbers[target, KIND] == _MAXIMUM:
            if state.counts[turn, target] == 0 or value > state.sums[turn, target]:
                state.sums[turn, target] = value
            state.counts[turn, target] += 1
        else:
            charge = units.weights[synapse] * value
            if static:
                state.sums[STATIC_SUM, target] += charge
            if not static or not chip.settings[BARRIER]:
                state.sums[turn, target] += charge
    return end - first


@inlined
def write(net: Network, chip: Chip, routes: Routes, units: Units, state: State, cluster: int, time: int) -> None:
    """A core has noted the packet at the head of its inbox."""
    queue, numbers = chip.settings[LINKS] + cluster, net.numbers
    packet = net.channels[queue, HEAD]
    leave_queue(net, queue, time)
    state.cores[cluster, WRITTEN] += 1
    if chip.settings[COMPUTES]:
        state.cores[cluster, SYNOPS] += take_in(net, chip, units, state, packet)
    net.packets[packet, AFTER] = numbers[FREE_PACKET]
    numbers[FREE_PACKET] = packet
    numbers[OUTSTANDING] -= 1
    if net.channels[queue, LENGTH] > 0:
        schedule(net, time + chip.settings[WRITE_TICKS], WRITE, cluster)
    if chip.settings[BARRIER]:
        end_phase_if_quiet(net, chip, time)
    elif chip.settings[COMPUTES]:
        state.cores[cluster, DIRTY] = 1
        if not state.cores[cluster, READING]:
            start_read(net, chip, units, state, cluster, time)


@inlined
def end_phase_if_quiet(net: Network, chip: Chip, time: int) -> None:
    """The barrier falls when no core computes and no packet is under way."""
    if net.numbers[OUTSTANDING] == 0 and net.numbers[BUSY_CORES] == 0:
        schedule(net, time + chip.settings[SYNC_TICKS], PHASE, 0)


@inlined
def fire(net: Network, units: Units, state: State, unit: int) -> float:
    """1 if a neuron is above its threshold, and it is reset; else 0."""
    floats, sums = units.floats, state.sums
    v = sums[MEMBRANE, unit]
    if floats[REGISTER, unit] > 0:
        levels = floats[LEVELS, unit]
        v = min(max(np.rint(v / floats[REGISTER, unit]), -levels), levels - 1) * floats[REGISTER, unit]
    fired = v - floats[THRESHOLD, unit] - floats[BETA, unit] * sums[ADAPTATION, unit] >= 0
    if fired:
        v = v - floats[THRESHOLD, unit] if floats[SOFT, unit] > 0 else floats[RESET, unit]
        state.cores[units.numbers[unit, CLUSTER], FIRED] += 1
        state.raster[min(max(net.numbers[TICK], 0), len(state.raster) - 1), unit] += 1
    sums[MEMBRANE, unit] = v
    return 1.0 if fired else 0.0


@inlined
def update(net: Network, units: Units, state: State, unit: int) -> float:
    """What a unit sends at the end of a timestep's input; 0 is not sent."""
    sums, floats, step = state.sums, units.floats, net.numbers[STEP]
    kind, turn = units.numbers[unit, KIND], step & 1
    x = sums[turn, unit]
    sums[turn, unit] = 0.0
    if kind == _MAXIMUM:
        arrived = state.counts[turn, unit]
        state.counts[turn, unit] = 0
        x = max(x, 0.0) if arrived < units.numbers[unit, FAN_IN] else x
    else:
        x += sums[STATIC_SUM, unit] + floats[BIAS, unit] + (floats[LATE, unit] if step > 0 else 0.0)
    if kind == _OUTPUT:
        sums[TOTAL, unit] += x
        return 0.0
    if kind != _NEURON:
        return 0.0 if units.numbers[unit, STATIC] and step > 0 else x
    if floats[SYNAPSE, unit] > 0:
        sums[CURRENT, unit] += (x - sums[CURRENT, unit]) / floats[SYNAPSE, unit]
        x = sums[CURRENT, unit]
    v, tau = sums[MEMBRANE, unit], floats[TAU, unit]
    sums[MEMBRANE, unit] = v + (x - (v - floats[RESET, unit])) / tau if tau > 0 else v + x
    spike = fire(net, units, state, unit)
    sums[ADAPTATION, unit] = floats[FADE, unit] * sums[ADAPTATION, unit] + spike
    return spike


@inlined
def answer(net: Network, units: Units, state: State, unit: int, due: bool) -> float:
    """What a unit sends in free-running mode: it adds what arrived at once; leak and bias come with its timer."""
    sums, floats = state.sums, units.floats
    kind = units.numbers[unit, KIND]
    x = sums[0, unit] + sums[1, unit]
    arrived = state.counts[0, unit] + state.counts[1, unit]
    if kind == _MAXIMUM:
        x = max(sums[0, unit] if state.counts[0, unit] else 0.0, sums[1, unit] if state.counts[1, unit] else 0.0)
        state.counts[0, unit] = state.counts[1, unit] = 0
        sums[0, unit] = sums[1, unit] = 0.0
        if due:
            sums[MEMBRANE, unit] = 0.0
        risen = x - sums[MEMBRANE, unit]
        if arrived == 0 or risen <= 0:
            return 0.0
        sums[MEMBRANE, unit] = x
        return risen
    sums[0, unit] = sums[1, unit] = 0.0
    if due and net.numbers[TICK] == 0:
        x += floats[BIAS, unit]
    elif due and not units.numbers[unit, STATIC]:
        x += floats[BIAS, unit] + floats[LATE, unit] + sums[STATIC_SUM, unit]
    if kind == _OUTPUT:
        sums[TOTAL, unit] += x
        return 0.0
    if kind != _NEURON:
        return x
    if floats[SYNAPSE, unit] > 0:
        x /= floats[SYNAPSE, unit]
        if due:  # what is left of the current acts once more
            sums[CURRENT, unit] -= sums[CURRENT, unit] / floats[SYNAPSE, unit]
        kept = sums[CURRENT, unit] if due else 0.0
        sums[CURRENT, unit] += x
        x += kept
    v, tau = sums[MEMBRANE, unit], floats[TAU, unit]
    if due:
        v -= (v - floats[RESET, unit]) / tau if tau > 0 else 0.0
        sums[ADAPTATION, unit] *= floats[FADE, unit]
    sums[MEMBRANE, unit] = v + (x / tau if tau > 0 else x)
    spike = fire(net, units, state, unit)
    sums[ADAPTATION, unit] += spike
    return spike


@compiled
def start_read(net: Network, chip: Chip, units: Units, state: State, cluster: int, time: int) -> None:
    """A free-running core reads its crossbar with the rows that were noted so far."""
    core = state.cores[cluster]
    due = core[DUE] > 0
    core[DIRTY] = 0
    core[DUE] -= 1 if due else 0
    core[READING] = 1
    core[READS] += 1
    for member in range(units.first_member[cluster], units.first_member[cluster + 1]):
        pair = units.members[member]
        for place in range(units.pairs[pair, 1], units.pairs[pair, 2]):
            unit = units.order[place]
            state.sums[TO_SEND, unit] = answer(net, units, state, unit, due)
    schedule(net, time + chip.read_ticks[cluster], READ, cluster)


@compiled
def read_free(net: Network, chip: Chip, routes: Routes, units: Units, state: State, cluster: int, time: int) -> None:
    """A free-running core has read: its spikes leave, and it reads again if more arrived."""
    sent = 0
    for member in range(units.first_member[cluster], units.first_member[cluster + 1]):
        pair = units.members[member]
        for place in range(units.pairs[pair, 1], units.pairs[pair, 2]):
            unit = units.order[place]
            if state.sums[TO_SEND, unit] != 0.0:
                sent += 1
                send(net, chip, routes, units, state, unit, state.sums[TO_SEND, unit], time)
    note(net, time, _READ, cluster, sent)
    state.cores[cluster, READING] = 0
    if state.cores[cluster, DIRTY] or state.cores[cluster, DUE] > 0:
        start_read(net, chip, units, state, cluster, time)


@compiled
def read_in_phase(net: Network, chip: Chip, routes: Routes, units: Units, state: State, pair: int, time: int) -> None:
    """A core has read for the units of one phase."""
    cluster, sent = units.pairs[pair, 0], 0
    state.cores[cluster, READS] += 1
    for place in range(units.pairs[pair, 1], units.pairs[pair, 2]):
        unit = units.order[place]
        value = update(net, units, state, unit)
        if value != 0.0:
            sent += 1
            send(net, chip, routes, units, state, unit, value, time)
    note(net, time, _READ, cluster, sent)
    net.numbers[BUSY_CORES] -= 1
    end_phase_if_quiet(net, chip, time)


@compiled
def next_phase(net: Network, chip: Chip, units: Units, state: State, time: int) -> None:
    """The barrier has fallen: the cores of the next phase begin, or the sample is done."""
    numbers, settings = net.numbers, chip.settings
    numbers[AT_PHASE] += 1
    if numbers[AT_PHASE] >= settings[PHASES]:
        numbers[AT_PHASE] = 0
        numbers[STEP] += 1
        numbers[TICK] = numbers[STEP]
    if numbers[STEP] == settings[STEPS]:
        numbers[DONE] = 1
        return
    phase = numbers[AT_PHASE]
    note(net, time, _PHASE, phase, numbers[STEP])
    if phase == 0:
        numbers[BUSY_CORES] = 1
        schedule(net, time + settings[EMIT_TICKS], EMIT, 0)
        return
    first, end = units.first_pair[phase], units.first_pair[phase + 1]
    numbers[BUSY_CORES] = end - first
    for pair in range(first, end):
        schedule(net, time + chip.read_ticks[units.pairs[pair, 0]], READ, pair)
    if first == end:
        end_phase_if_quiet(net, chip, time)


@compiled
def emit(net: Network, chip: Chip, routes: Routes, units: Units, source: Source, state: State, time: int) -> None:
    """What sources send now: all of this timestep, or all of this moment."""
    numbers, barrier = net.numbers, chip.settings[BARRIER]
    place = numbers[NEXT_EMISSION]
    if not barrier and place < len(source.moments):
        now = source.moments[place]
    else:
        now = numbers[STEP]
    while place < len(source.moments) and source.moments[place] == now and not numbers[FULL]:
        send(net, chip, routes, units, state, source.units[place], source.values[place], time)
        place += 1
    numbers[NEXT_EMISSION] = place
    if barrier:
        numbers[BUSY_CORES] = 0
        end_phase_if_quiet(net, chip, time)
    elif place < len(source.moments):
        schedule(net, source.moments[place] * chip.settings[PERIOD], EMIT, 0)


@compiled
def tick(net: Network, chip: Chip, units: Units, state: State, time: int) -> None:
    """The cores' timers: a timestep is over for all of them, whatever has arrived."""
    net.numbers[TICK] += 1
    for cluster in range(chip.settings[CLUSTERS]):
        if units.first_member[cluster] < units.first_member[cluster + 1]:
            state.cores[cluster, DUE] += 1
            if not state.cores[cluster, READING]:
                start_read(net, chip, units, state, cluster, time)
    if net.numbers[TICK] + 1 < chip.settings[STEPS]:
        schedule(net, time + chip.settings[PERIOD], TIMER, 0)


@compiled
def run_sample(net: Network, chip: Chip, routes: Routes, units: Units, source: Source, state: State) -> None:
    """Run one sample from rest until nothing happens any more; what happened is in `state`."""
    numbers, event = net.numbers, net.events.event
    if chip.settings[BARRIER]:
        numbers[AT_PHASE] = -1
        schedule(net, 0, PHASE, 0)
    else:
        numbers[TICK] = -1
        if chip.settings[COMPUTES]:
            schedule(net, 0, TIMER, 0)
        if len(source.moments) > 0:
            schedule(net, source.moments[0] * chip.settings[PERIOD], EMIT, 0)
    place = pop(net.events)
    while place != NOTHING and not numbers[FULL] and event[place, MOMENT] >> PRIORITY_BITS <= chip.settings[LIMIT]:
        time, kind = event[place, MOMENT] >> PRIORITY_BITS, event[place, MOMENT] & (PRIORITIES - 1)
        argument = event[place, ARGUMENT]
        numbers[EVENTS] += 1
        numbers[ENDED] = time
        if kind == ARRIVE:
            arrive(net, chip, routes, units, state, argument, time)
        elif kind == WRITE:
            write(net, chip, routes, units, state, argument, time)
        elif kind == WAKE:
            net.channels[argument, WAKING] = 0
            serve(net, argument, time)
        elif kind == CREDIT:
            serve(net, argument, time)
        elif kind == READ:
            if chip.settings[BARRIER]:
                read_in_phase(net, chip, routes, units, state, argument, time)
            else:
                read_free(net, chip, routes, units, state, argument, time)
        elif kind == TIMER:
            tick(net, chip, units, state, time)
        elif kind == PHASE:
            next_phase(net, chip, units, state, time)
        else:
            emit(net, chip, routes, units, source, state, time)
        if needs_other_days(net.events):
            adapt(net.events)
        place = pop(net.events)
    if place != NOTHING and not numbers[FULL]:
        numbers[ENDED] = chip.settings[LIMIT]
