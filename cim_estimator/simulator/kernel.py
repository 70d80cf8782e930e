"""One sample on a chip, event by event; compiled. `interpreter.py` says the same in plain Python and is the oracle.

Every channel (a link, or the way into a core) ends in a queue of finite room. A packet at the head of a queue asks for
the channels that its route goes on with; a channel takes those who asked first, as soon as it is free and there is room
at its end, and then the packet's place in its own queue is free. With several ways on, a copy goes along each, and the
place is held until the last has left. What leaves a core waits in an outbox without bounds.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .calendar import NOTHING, PRIORITY_SHIFT, Calendar, compiled, inlined, pop, push
from .routes import CHANNEL, END, FIRST, ORDINAL, Routes

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

# Events; of those at one time the lower number comes first.
WAKE, CREDIT, WRITE, READ, TIMER, PHASE, EMIT, ARRIVE = range(8)


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


# Columns of `State.channels`: packets in the queue, first and last of them, places taken or promised, when the channel
# is free, whether a wake-up is on its way, first and last who wait for it; then what is counted.
LENGTH, HEAD, TAIL, TAKEN, FREE_AT, WAKING, WAITER, LAST_WAITER, PASSED, WAITED, LONGEST = range(11)
# Columns of `State.packets`: node of its route, unit, when it was sent, the next in its queue, copies to come, queue.
NODE, UNIT, SENT_AT, AFTER, PENDING, QUEUE = range(6)
# Columns of `State.waiters`: packet, the node it wants to reach, since when, the next.
PACKET, CHILD, SINCE, FOLLOWING = range(4)
# Columns of `State.cores`: whether it is reading, whether something arrived, timers to answer; then what is counted.
READING, DIRTY, DUE, RECEIVED, WRITTEN, READS, SYNOPS, FIRED = range(8)
# Places of `State.numbers`.
(FREE_PACKET, FREE_WAITER, OUTSTANDING, BUSY_CORES, STEP, AT_PHASE, NEXT_EMISSION, LOGGED, FULL, ENDED, DELIVERED,
 LATENCY, WORST, EVENTS, TICK, DONE) = range(16)  # fmt: skip
# Places of `Chip.settings`.
LINKS, CLUSTERS, BARRIER, COMPUTES, STEPS, PERIOD, WRITE_TICKS, SYNC_TICKS, EMIT_TICKS, PHASES, LOGS = range(11)
# Columns of `Units.numbers`.
KIND, CLUSTER, STATIC, FAN_IN = range(4)
# Rows of `Units.floats`.
BIAS, TAU, THRESHOLD, RESET, SOFT, BETA, FADE, REGISTER, LEVELS = range(9)
# Values of `Kind`, as plain numbers for compiled code.
_NEURON, _SUM, _MAXIMUM, _OUTPUT = 1, 2, 3, 4


class Chip(NamedTuple):
    """What does not change from sample to sample.

    Args:
        channels: ticks for which a packet takes each, ticks until it arrives, room at the end; `[channels, 3]`.
        read_ticks: of each core, `[clusters]`.
        settings: see the names of its places.
    """

    channels: Ints
    read_ticks: Ints
    settings: Ints


class Units(NamedTuple):
    """Units and what reaches them, by cluster.

    Args:
        numbers: kind, cluster, whether static, synapses that reach it; `[units, 4]`.
        floats: bias and neuron parameters, `[9, units]`.
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
    """What changes.

    Args:
        channels: queues and their counts; outboxes of cores follow the channels.
        packets: `[room, 6]`.
        values: what packets carry, `[room]`.
        waiters: `[room, 4]`.
        cores: `[clusters, 8]`.
        sums: what arrived for this timestep and for the next by turns, static input, membrane, adaptation, total of an
            output, what a read gave rise to; `[7, units]`.
        counts: arrivals at maxima by turns, `[2, units]`.
        raster: spikes of each unit by timestep, `[steps, units]`.
        log: time, kind, component, number; `[room, 4]`.
        numbers: see the names of its places.
    """

    channels: Ints
    packets: Ints
    values: Floats
    waiters: Ints
    cores: Ints
    sums: Floats
    counts: Ints
    raster: Ints
    log: Ints
    numbers: Ints


STATIC_SUM, MEMBRANE, ADAPTATION, TOTAL, TO_SEND = 2, 3, 4, 5, 6


class Source(NamedTuple):
    """What is sent in, in order of moment; see `program.Emissions`."""

    moments: Ints
    units: Ints
    values: Floats


@inlined
def note(chip: Chip, state: State, time: int, kind: int, component: int, number: int) -> None:
    """Write into the log, if there is one."""
    if chip.settings[LOGS]:
        place = state.numbers[LOGGED]
        if place == len(state.log):
            state.numbers[FULL] = 1
        else:
            state.log[place, 0], state.log[place, 1] = time, kind
            state.log[place, 2], state.log[place, 3] = component, number
            state.numbers[LOGGED] = place + 1


@inlined
def schedule(events: Calendar, state: State, time: int, kind: int, argument: int) -> None:
    """Put an event in."""
    if not push(events, time, kind, argument):
        state.numbers[FULL] = 1


@inlined
def leave_queue(events: Calendar, chip: Chip, state: State, queue: int, time: int) -> None:
    """The head of a queue is gone; who waits for room there is told."""
    channels = state.channels
    channels[queue, HEAD] = state.packets[channels[queue, HEAD], AFTER]
    channels[queue, LENGTH] -= 1
    if queue < len(chip.channels):
        full = channels[queue, TAKEN] == chip.channels[queue, 2]
        channels[queue, TAKEN] -= 1
        if full and channels[queue, WAITER] != NOTHING:
            schedule(events, state, time, CREDIT, queue)


@inlined
def grant(
    events: Calendar, chip: Chip, routes: Routes, state: State, packet: int, child: int, time: int, since: int
) -> bool:
    """Let a packet take the channel to a node; whether that was its last copy, so that it left its queue."""
    packets, channels = state.packets, state.channels
    channel = routes.nodes[child, CHANNEL]
    channels[channel, TAKEN] += 1
    channels[channel, FREE_AT] = time + chip.channels[channel, 0]
    channels[channel, PASSED] += 1
    channels[channel, WAITED] += time - since
    note(chip, state, time, 1, channel, packets[packet, UNIT])
    packets[packet, PENDING] -= 1
    left = packets[packet, PENDING] == 0
    copy = packet
    if left:
        leave_queue(events, chip, state, packets[packet, QUEUE], time)
    else:
        copy = state.numbers[FREE_PACKET]
        if copy == NOTHING:
            state.numbers[FULL] = 1
            copy = 0
        else:
            state.numbers[FREE_PACKET] = packets[copy, AFTER]
        packets[copy, UNIT], packets[copy, SENT_AT] = packets[packet, UNIT], packets[packet, SENT_AT]
        state.values[copy] = state.values[packet]
        state.numbers[OUTSTANDING] += 1
    packets[copy, NODE], packets[copy, QUEUE] = child, channel
    schedule(events, state, time + chip.channels[channel, 1], ARRIVE, copy)
    return left


@inlined
def wait(events: Calendar, state: State, channel: int, packet: int, child: int, time: int) -> None:
    """Join those who wait for a channel."""
    channels, waiters = state.channels, state.waiters
    waiter = state.numbers[FREE_WAITER]
    if waiter == NOTHING:
        state.numbers[FULL] = 1
        return
    state.numbers[FREE_WAITER] = waiters[waiter, FOLLOWING]
    waiters[waiter, PACKET], waiters[waiter, CHILD] = packet, child
    waiters[waiter, SINCE], waiters[waiter, FOLLOWING] = time, NOTHING
    if channels[channel, WAITER] == NOTHING:
        channels[channel, WAITER] = waiter
    else:
        waiters[channels[channel, LAST_WAITER], FOLLOWING] = waiter
    channels[channel, LAST_WAITER] = waiter
    if channels[channel, FREE_AT] > time and not channels[channel, WAKING]:
        channels[channel, WAKING] = 1
        schedule(events, state, channels[channel, FREE_AT], WAKE, channel)


@inlined
def advance(events: Calendar, chip: Chip, routes: Routes, state: State, queue: int, time: int) -> None:
    """A new head of a queue asks for its channels, and after it the next, until one must wait."""
    channels = state.channels
    moving = True
    while moving and channels[queue, LENGTH] > 0 and not state.numbers[FULL]:
        moving = False
        packet = channels[queue, HEAD]
        first, end = routes.nodes[state.packets[packet, NODE], FIRST], routes.nodes[state.packets[packet, NODE], END]
        state.packets[packet, PENDING] = end - first
        for place in range(first, end):
            child = routes.children[place]
            channel = routes.nodes[child, CHANNEL]
            free = channels[channel, WAITER] == NOTHING and channels[channel, FREE_AT] <= time
            if free and channels[channel, TAKEN] < chip.channels[channel, 2]:
                moving = grant(events, chip, routes, state, packet, child, time, time)
            else:
                wait(events, state, channel, packet, child, time)


@compiled
def serve(events: Calendar, chip: Chip, routes: Routes, state: State, channel: int, time: int) -> None:
    """A channel that is free, or whose end has room again, takes those who wait."""
    channels, waiters = state.channels, state.waiters
    while (
        channels[channel, WAITER] != NOTHING
        and channels[channel, FREE_AT] <= time
        and channels[channel, TAKEN] < chip.channels[channel, 2]
        and not state.numbers[FULL]
    ):
        waiter = channels[channel, WAITER]
        channels[channel, WAITER] = waiters[waiter, FOLLOWING]
        packet = waiters[waiter, PACKET]
        queue = state.packets[packet, QUEUE]
        left = grant(events, chip, routes, state, packet, waiters[waiter, CHILD], time, waiters[waiter, SINCE])
        waiters[waiter, FOLLOWING] = state.numbers[FREE_WAITER]
        state.numbers[FREE_WAITER] = waiter
        if left:
            advance(events, chip, routes, state, queue, time)
    if (
        channels[channel, WAITER] != NOTHING
        and channels[channel, FREE_AT] > time
        and not channels[channel, WAKING]
    ):
        channels[channel, WAKING] = 1
        schedule(events, state, channels[channel, FREE_AT], WAKE, channel)


@compiled
def join(state: State, queue: int, packet: int) -> bool:
    """Put a packet at the end of a queue; whether the queue was empty."""
    channels = state.channels
    state.packets[packet, AFTER] = NOTHING
    empty = channels[queue, LENGTH] == 0
    if empty:
        channels[queue, HEAD] = packet
    else:
        state.packets[channels[queue, TAIL], AFTER] = packet
    channels[queue, TAIL] = packet
    channels[queue, LENGTH] += 1
    channels[queue, LONGEST] = max(channels[queue, LONGEST], channels[queue, LENGTH])
    return empty


@compiled
def send(
    events: Calendar, chip: Chip, routes: Routes, units: Units, state: State, unit: int, value: float, time: int
) -> None:
    """A unit sends a value: a packet for each of its roots goes into its core's outbox."""
    cluster, group = units.numbers[unit, CLUSTER], routes.group_of[unit]
    note(chip, state, time, 0, cluster, unit)
    if group < 0:
        return
    queue = len(chip.channels) + cluster
    for place in range(routes.first_root[group], routes.first_root[group + 1]):
        packet = state.numbers[FREE_PACKET]
        if packet == NOTHING:
            state.numbers[FULL] = 1
            return
        state.numbers[FREE_PACKET] = state.packets[packet, AFTER]
        state.packets[packet, NODE], state.packets[packet, UNIT] = routes.roots[place], unit
        state.packets[packet, SENT_AT], state.packets[packet, QUEUE] = time, queue
        state.values[packet] = value
        state.numbers[OUTSTANDING] += 1
        if join(state, queue, packet):
            advance(events, chip, routes, state, queue, time)


@compiled
def arrive(events: Calendar, chip: Chip, routes: Routes, units: Units, state: State, packet: int, time: int) -> None:
    """A packet reaches the end of its channel: a router, or a core."""
    queue, numbers = state.packets[packet, QUEUE], state.numbers
    empty = join(state, queue, packet)
    if routes.nodes[state.packets[packet, NODE], ORDINAL] < 0:
        if empty:
            advance(events, chip, routes, state, queue, time)
        return
    cluster = queue - chip.settings[LINKS]
    state.cores[cluster, RECEIVED] += 1
    if units.numbers[state.packets[packet, UNIT], CLUSTER] != cluster:
        latency = time - state.packets[packet, SENT_AT]
        numbers[DELIVERED] += 1
        numbers[LATENCY] += latency
        numbers[WORST] = max(numbers[WORST], latency)
        note(chip, state, time, 2, cluster, state.packets[packet, UNIT])
    if empty:
        schedule(events, state, time + chip.settings[WRITE_TICKS], WRITE, cluster)


@compiled
def take_in(routes: Routes, chip: Chip, units: Units, state: State, packet: int) -> int:
    """Let a packet's value act on the units of the cluster that it reached; how many synapses it took."""
    unit, value = state.packets[packet, UNIT], state.values[packet]
    group = units.groups[unit] + routes.nodes[state.packets[packet, NODE], ORDINAL]
    step, static = state.numbers[STEP], units.numbers[unit, STATIC]
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


@compiled
def write(events: Calendar, chip: Chip, routes: Routes, units: Units, state: State, cluster: int, time: int) -> None:
    """A core has noted the packet at the head of its inbox."""
    queue, numbers = chip.settings[LINKS] + cluster, state.numbers
    packet = state.channels[queue, HEAD]
    leave_queue(events, chip, state, queue, time)
    state.cores[cluster, WRITTEN] += 1
    if chip.settings[COMPUTES]:
        state.cores[cluster, SYNOPS] += take_in(routes, chip, units, state, packet)
    state.packets[packet, AFTER] = numbers[FREE_PACKET]
    numbers[FREE_PACKET] = packet
    numbers[OUTSTANDING] -= 1
    if state.channels[queue, LENGTH] > 0:
        schedule(events, state, time + chip.settings[WRITE_TICKS], WRITE, cluster)
    if chip.settings[BARRIER]:
        end_phase_if_quiet(events, chip, state, time)
    elif chip.settings[COMPUTES]:
        state.cores[cluster, DIRTY] = 1
        if not state.cores[cluster, READING]:
            start_read(events, chip, units, state, cluster, time)


@inlined
def end_phase_if_quiet(events: Calendar, chip: Chip, state: State, time: int) -> None:
    """The barrier falls when no core computes and no packet is under way."""
    if state.numbers[OUTSTANDING] == 0 and state.numbers[BUSY_CORES] == 0:
        schedule(events, state, time + chip.settings[SYNC_TICKS], PHASE, 0)


@compiled
def fire(units: Units, state: State, unit: int) -> float:
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
        state.raster[min(max(state.numbers[TICK], 0), len(state.raster) - 1), unit] += 1
    sums[MEMBRANE, unit] = v
    return 1.0 if fired else 0.0


@compiled
def update(chip: Chip, units: Units, state: State, unit: int) -> float:
    """What a unit sends at the end of a timestep's input; 0 is not sent."""
    sums, floats, step = state.sums, units.floats, state.numbers[STEP]
    kind, turn = units.numbers[unit, KIND], step & 1
    x = sums[turn, unit]
    sums[turn, unit] = 0.0
    if kind == _MAXIMUM:
        arrived = state.counts[turn, unit]
        state.counts[turn, unit] = 0
        x = max(x, 0.0) if arrived < units.numbers[unit, FAN_IN] else x
    else:
        x += sums[STATIC_SUM, unit] + floats[BIAS, unit]
    if kind == _OUTPUT:
        sums[TOTAL, unit] += x
        return 0.0
    if kind != _NEURON:
        return 0.0 if units.numbers[unit, STATIC] and step > 0 else x
    v, tau = sums[MEMBRANE, unit], floats[TAU, unit]
    sums[MEMBRANE, unit] = v + (x - (v - floats[RESET, unit])) / tau if tau > 0 else v + x
    spike = fire(units, state, unit)
    sums[ADAPTATION, unit] = floats[FADE, unit] * sums[ADAPTATION, unit] + spike
    return spike


@compiled
def answer(units: Units, state: State, unit: int, due: bool) -> float:
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
    if due and state.numbers[TICK] == 0:
        x += floats[BIAS, unit]
    elif due and not units.numbers[unit, STATIC]:
        x += floats[BIAS, unit] + sums[STATIC_SUM, unit]
    if kind == _OUTPUT:
        sums[TOTAL, unit] += x
        return 0.0
    if kind != _NEURON:
        return x
    v, tau = sums[MEMBRANE, unit], floats[TAU, unit]
    if due:
        v -= (v - floats[RESET, unit]) / tau if tau > 0 else 0.0
        sums[ADAPTATION, unit] *= floats[FADE, unit]
    sums[MEMBRANE, unit] = v + (x / tau if tau > 0 else x)
    spike = fire(units, state, unit)
    sums[ADAPTATION, unit] += spike
    return spike


@compiled
def start_read(events: Calendar, chip: Chip, units: Units, state: State, cluster: int, time: int) -> None:
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
            state.sums[TO_SEND, unit] = answer(units, state, unit, due)
    schedule(events, state, time + chip.read_ticks[cluster], READ, cluster)


@compiled
def read_free(
    events: Calendar, chip: Chip, routes: Routes, units: Units, state: State, cluster: int, time: int
) -> None:
    """A free-running core has read: its spikes leave, and it reads again if more arrived."""
    sent = 0
    for member in range(units.first_member[cluster], units.first_member[cluster + 1]):
        pair = units.members[member]
        for place in range(units.pairs[pair, 1], units.pairs[pair, 2]):
            unit = units.order[place]
            if state.sums[TO_SEND, unit] != 0.0:
                sent += 1
                send(events, chip, routes, units, state, unit, state.sums[TO_SEND, unit], time)
    note(chip, state, time, 3, cluster, sent)
    state.cores[cluster, READING] = 0
    if state.cores[cluster, DIRTY] or state.cores[cluster, DUE] > 0:
        start_read(events, chip, units, state, cluster, time)


@compiled
def read_in_phase(
    events: Calendar, chip: Chip, routes: Routes, units: Units, state: State, pair: int, time: int
) -> None:
    """A core has read for the units of one phase."""
    cluster, sent = units.pairs[pair, 0], 0
    state.cores[cluster, READS] += 1
    for place in range(units.pairs[pair, 1], units.pairs[pair, 2]):
        unit = units.order[place]
        value = update(chip, units, state, unit)
        if value != 0.0:
            sent += 1
            send(events, chip, routes, units, state, unit, value, time)
    note(chip, state, time, 3, cluster, sent)
    state.numbers[BUSY_CORES] -= 1
    end_phase_if_quiet(events, chip, state, time)


@compiled
def next_phase(events: Calendar, chip: Chip, units: Units, state: State, time: int) -> None:
    """The barrier has fallen: the cores of the next phase begin, or the sample is done."""
    numbers, settings = state.numbers, chip.settings
    numbers[AT_PHASE] += 1
    if numbers[AT_PHASE] >= settings[PHASES]:
        numbers[AT_PHASE] = 0
        numbers[STEP] += 1
        numbers[TICK] = numbers[STEP]
    if numbers[STEP] == settings[STEPS]:
        numbers[DONE] = 1
        return
    phase = numbers[AT_PHASE]
    note(chip, state, time, 4, phase, numbers[STEP])
    if phase == 0:
        numbers[BUSY_CORES] = 1
        schedule(events, state, time + settings[EMIT_TICKS], EMIT, 0)
        return
    first, end = units.first_pair[phase], units.first_pair[phase + 1]
    numbers[BUSY_CORES] = end - first
    for pair in range(first, end):
        schedule(events, state, time + chip.read_ticks[units.pairs[pair, 0]], READ, pair)
    if first == end:
        end_phase_if_quiet(events, chip, state, time)


@compiled
def emit(
    events: Calendar, chip: Chip, routes: Routes, units: Units, source: Source, state: State, time: int
) -> None:
    """What sources send now: all of this timestep, or all of this moment."""
    numbers, barrier = state.numbers, chip.settings[BARRIER]
    place = numbers[NEXT_EMISSION]
    if not barrier and place < len(source.moments):
        now = source.moments[place]
    else:
        now = numbers[STEP]
    while place < len(source.moments) and source.moments[place] == now and not numbers[FULL]:
        send(events, chip, routes, units, state, source.units[place], source.values[place], time)
        place += 1
    numbers[NEXT_EMISSION] = place
    if barrier:
        numbers[BUSY_CORES] = 0
        end_phase_if_quiet(events, chip, state, time)
    elif place < len(source.moments):
        schedule(events, state, source.moments[place] * chip.settings[PERIOD], EMIT, 0)


@compiled
def tick(events: Calendar, chip: Chip, units: Units, state: State, time: int) -> None:
    """The cores' timers: a timestep is over for all of them, whatever has arrived."""
    state.numbers[TICK] += 1
    for cluster in range(chip.settings[CLUSTERS]):
        if units.first_member[cluster] < units.first_member[cluster + 1]:
            state.cores[cluster, DUE] += 1
            if not state.cores[cluster, READING]:
                start_read(events, chip, units, state, cluster, time)
    if state.numbers[TICK] + 1 < chip.settings[STEPS]:
        schedule(events, state, time + chip.settings[PERIOD], TIMER, 0)


@compiled
def run_sample(
    events: Calendar, chip: Chip, routes: Routes, units: Units, source: Source, state: State
) -> None:
    """Run one sample from rest until nothing happens any more; what happened is in `state`."""
    numbers, event = state.numbers, events.event
    if chip.settings[BARRIER]:
        numbers[AT_PHASE] = -1
        schedule(events, state, 0, PHASE, 0)
    else:
        numbers[TICK] = -1
        if chip.settings[COMPUTES]:
            schedule(events, state, 0, TIMER, 0)
        if len(source.moments) > 0:
            schedule(events, state, source.moments[0] * chip.settings[PERIOD], EMIT, 0)
    place = pop(events)
    while place != NOTHING and not numbers[FULL]:
        time, kind, argument = event[place, 0], event[place, 1] >> PRIORITY_SHIFT, event[place, 2]
        numbers[EVENTS] += 1
        numbers[ENDED] = time
        if kind == ARRIVE:
            arrive(events, chip, routes, units, state, argument, time)
        elif kind == WRITE:
            write(events, chip, routes, units, state, argument, time)
        elif kind == WAKE:
            state.channels[argument, WAKING] = 0
            serve(events, chip, routes, state, argument, time)
        elif kind == CREDIT:
            serve(events, chip, routes, state, argument, time)
        elif kind == READ:
            if chip.settings[BARRIER]:
                read_in_phase(events, chip, routes, units, state, argument, time)
            else:
                read_free(events, chip, routes, units, state, argument, time)
        elif kind == TIMER:
            tick(events, chip, units, state, time)
        elif kind == PHASE:
            next_phase(events, chip, units, state, time)
        else:
            emit(events, chip, routes, units, source, state, time)
        place = pop(events)
