"""Routers, links and queues, event by event; compiled.

Every channel (a link, or the way into a core) ends in a queue of finite room. A packet at the head of a queue asks for
the channels that its route goes on with; a channel takes those who asked first, as soon as it is free and there is room
at its end, and then the packet's place in its own queue is free. With several ways on, a copy goes along each, and the
place is held until the last has left. What leaves a core waits in an outbox without bounds.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .calendar import NOTHING, Calendar, inlined, push
from .routes import CHANNEL, END, FIRST

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

# Events; of those at one time the lower number comes first.
WAKE, CREDIT, WRITE, READ, TIMER, PHASE, EMIT, ARRIVE = range(8)
# Columns of `Network.channels`: ticks for which a packet takes it, ticks until it arrives, room at the end; packets in
# the queue, first and last of them, places taken or promised, when the channel is free, whether a wake-up is on its
# way, first and last who wait for it; then what is counted.
(TAKES, DELAY, ROOM, LENGTH, HEAD, TAIL, TAKEN, FREE_AT, WAKING, WAITER, LAST_WAITER, PASSED, WAITED,
 LONGEST) = range(14)  # fmt: skip
# Columns of `Network.packets`: node of its route, unit, when it was sent, the next in its queue, copies to come, queue.
NODE, UNIT, SENT_AT, AFTER, PENDING, QUEUE = range(6)
# Columns of `Network.waiters`: packet, the node it wants to reach, since when, the next.
PACKET, CHILD, SINCE, FOLLOWING = range(4)
# Places of `Network.numbers`.
(FREE_PACKET, FREE_WAITER, OUTSTANDING, BUSY_CORES, STEP, AT_PHASE, NEXT_EMISSION, LOGGED, FULL, ENDED, DELIVERED,
 LATENCY, WORST, EVENTS, TICK, DONE, LOGS) = range(17)  # fmt: skip


class Network(NamedTuple):
    """What is under way, and where it may go.

    Args:
        events: what is to happen.
        channels: links, then the ways into cores, then the cores' outboxes, whose rows hold a queue only;
            `[channels + clusters, 14]`.
        nodes: of the routes, see `Routes`.
        packets: `[room, 6]`.
        values: what packets carry, `[room]`.
        waiters: `[room, 4]`.
        log: time, kind, component, number; `[room, 4]`.
        numbers: see the names of its places.
    """

    events: Calendar
    channels: Ints
    nodes: Ints
    packets: Ints
    values: Floats
    waiters: Ints
    log: Ints
    numbers: Ints


@inlined
def note(net: Network, time: int, kind: int, component: int, number: int) -> None:
    """Write into the log, if there is one."""
    if net.numbers[LOGS]:
        place = net.numbers[LOGGED]
        if place == len(net.log):
            net.numbers[FULL] = 1
        else:
            net.log[place, 0], net.log[place, 1] = time, kind
            net.log[place, 2], net.log[place, 3] = component, number
            net.numbers[LOGGED] = place + 1


@inlined
def schedule(net: Network, time: int, kind: int, argument: int) -> None:
    """Put an event in."""
    if not push(net.events, time, kind, argument):
        net.numbers[FULL] = 1


@inlined
def leave_queue(net: Network, queue: int, time: int) -> None:
    """The head of a queue is gone; who waits for room there is told."""
    channels = net.channels
    channels[queue, HEAD] = net.packets[channels[queue, HEAD], AFTER]
    channels[queue, LENGTH] -= 1
    full = channels[queue, TAKEN] == channels[queue, ROOM]
    channels[queue, TAKEN] -= 1
    if full and channels[queue, WAITER] != NOTHING:
        schedule(net, time, CREDIT, queue)


@inlined
def grant(net: Network, packet: int, child: int, time: int, since: int) -> bool:
    """Let a packet take the channel to a node; whether that was its last copy, so that it left its queue."""
    packets, channels = net.packets, net.channels
    channel = net.nodes[child, CHANNEL]
    channels[channel, TAKEN] += 1
    channels[channel, FREE_AT] = time + channels[channel, TAKES]
    channels[channel, PASSED] += 1
    channels[channel, WAITED] += time - since
    note(net, time, 1, channel, packets[packet, UNIT])
    packets[packet, PENDING] -= 1
    left = packets[packet, PENDING] == 0
    copy = packet
    if left:
        leave_queue(net, packets[packet, QUEUE], time)
    else:
        copy = net.numbers[FREE_PACKET]
        if copy == NOTHING:
            net.numbers[FULL] = 1
            copy = 0
        else:
            net.numbers[FREE_PACKET] = packets[copy, AFTER]
        packets[copy, UNIT], packets[copy, SENT_AT] = packets[packet, UNIT], packets[packet, SENT_AT]
        net.values[copy] = net.values[packet]
        net.numbers[OUTSTANDING] += 1
    packets[copy, NODE], packets[copy, QUEUE] = child, channel
    schedule(net, time + channels[channel, DELAY], ARRIVE, copy)
    return left


@inlined
def wait(net: Network, channel: int, packet: int, child: int, time: int) -> None:
    """Join those who wait for a channel."""
    channels, waiters = net.channels, net.waiters
    waiter = net.numbers[FREE_WAITER]
    if waiter == NOTHING:
        net.numbers[FULL] = 1
        return
    net.numbers[FREE_WAITER] = waiters[waiter, FOLLOWING]
    waiters[waiter, PACKET], waiters[waiter, CHILD] = packet, child
    waiters[waiter, SINCE], waiters[waiter, FOLLOWING] = time, NOTHING
    if channels[channel, WAITER] == NOTHING:
        channels[channel, WAITER] = waiter
    else:
        waiters[channels[channel, LAST_WAITER], FOLLOWING] = waiter
    channels[channel, LAST_WAITER] = waiter
    if channels[channel, FREE_AT] > time and not channels[channel, WAKING]:
        channels[channel, WAKING] = 1
        schedule(net, channels[channel, FREE_AT], WAKE, channel)


@inlined
def advance(net: Network, queue: int, time: int) -> None:
    """A new head of a queue asks for its channels, and after it the next, until one must wait."""
    channels = net.channels
    moving = True
    while moving and channels[queue, LENGTH] > 0 and not net.numbers[FULL]:
        moving = False
        packet = channels[queue, HEAD]
        first, end = net.nodes[net.packets[packet, NODE], FIRST], net.nodes[net.packets[packet, NODE], END]
        net.packets[packet, PENDING] = end - first
        for child in range(first, end):
            channel = net.nodes[child, CHANNEL]
            free = channels[channel, WAITER] == NOTHING and channels[channel, FREE_AT] <= time
            if free and channels[channel, TAKEN] < channels[channel, ROOM]:
                moving = grant(net, packet, child, time, time)
            else:
                wait(net, channel, packet, child, time)


@inlined
def serve(net: Network, channel: int, time: int) -> None:
    """A channel that is free, or whose end has room again, takes those who wait."""
    channels, waiters = net.channels, net.waiters
    while (
        channels[channel, WAITER] != NOTHING
        and channels[channel, FREE_AT] <= time
        and channels[channel, TAKEN] < channels[channel, ROOM]
        and not net.numbers[FULL]
    ):
        waiter = channels[channel, WAITER]
        channels[channel, WAITER] = waiters[waiter, FOLLOWING]
        packet = waiters[waiter, PACKET]
        queue = net.packets[packet, QUEUE]
        left = grant(net, packet, waiters[waiter, CHILD], time, waiters[waiter, SINCE])
        waiters[waiter, FOLLOWING] = net.numbers[FREE_WAITER]
        net.numbers[FREE_WAITER] = waiter
        if left:
            advance(net, queue, time)
    if channels[channel, WAITER] != NOTHING and channels[channel, FREE_AT] > time and not channels[channel, WAKING]:
        channels[channel, WAKING] = 1
        schedule(net, channels[channel, FREE_AT], WAKE, channel)


@inlined
def join(net: Network, queue: int, packet: int) -> bool:
    """Put a packet at the end of a queue; whether the queue was empty."""
    channels = net.channels
    net.packets[packet, AFTER] = NOTHING
    empty = channels[queue, LENGTH] == 0
    if empty:
        channels[queue, HEAD] = packet
    else:
        net.packets[channels[queue, TAIL], AFTER] = packet
    channels[queue, TAIL] = packet
    channels[queue, LENGTH] += 1
    channels[queue, LONGEST] = max(channels[queue, LONGEST], channels[queue, LENGTH])
    return empty
