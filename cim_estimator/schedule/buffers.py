"""How much room the channels need: the trade-off between buffer space and throughput, exactly.

Source: Stuijk, Geilen & Basten, "Throughput-buffering trade-off exploration for cyclo-static and synchronous dataflow
graphs", IEEE Transactions on Computers 57(10), 2008. There all channels that block something grow in turn; here it is
enough to grow those on one critical cycle, since no larger room elsewhere can speed that cycle up.
"""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass

from hasnas.errors import BadInputError

from .dataflow import Channel, DataflowGraph, space_of
from .throughput import Guarantee, guarantee

MOST_TRIED = 20_000


@dataclass(frozen=True)
class Storage:
    """Room for tokens and what it buys.

    Args:
        total: tokens that all channels have room for together.
        capacities: tokens for each channel.
        throughput: iterations in a unit of time.
    """

    total: int
    capacities: dict[str, int]
    throughput: float


def smallest_capacity(channel: Channel) -> int:
    """The least room with which a channel can work at all: p + c - g + (d mod g), g = gcd(p, c), and at least d.

    >>> smallest_capacity(Channel("x", "a", "b", production=3, consumption=2))
    4
    """
    shared = math.gcd(channel.production, channel.consumption)
    least = channel.production + channel.consumption - shared + channel.initial_tokens % shared
    return max(least, channel.initial_tokens)


def trade_off(graph: DataflowGraph, most_tried: int = MOST_TRIED) -> list[Storage]:
    """The least room for each throughput that can be had, from the slowest to the fastest.

    Channels from an actor to itself keep their tokens and count nothing.

    Args:
        graph: in which every actor fires one at a time or is bound by a cycle, so that its throughput is finite.
        most_tried: combinations after which to give up.

    Raises:
        BadInputError: if the graph is inconsistent, deadlocked, without a bound on its throughput, or too large for an
            exact answer.

    >>> from .dataflow import Actor
    >>> pair = DataflowGraph((Actor("a", 1.0), Actor("b", 1.0)), (Channel("ab", "a", "b"),)).one_firing_at_a_time()
    >>> [(storage.total, storage.throughput) for storage in trade_off(pair)]
    [(1, 0.5), (2, 1.0)]
    """
    unbounded = guarantee(graph)
    unbounded.refuse_deadlock(graph.name)
    if math.isinf(unbounded.throughput):
        raise BadInputError(f"{graph.name}: nothing bounds its throughput; let each actor fire one at a time")
    channels = [channel for channel in graph.channels if channel.source != channel.target]
    start = tuple(smallest_capacity(channel) for channel in channels)
    waiting, seen, front = [(sum(start), start)], {start}, list[Storage]()
    tried = 0
    while waiting:
        total, room = heapq.heappop(waiting)
        capacities = {channel.name: size for channel, size in zip(channels, room, strict=True)}
        found = guarantee(graph.with_capacities(capacities))
        if not found.deadlock and (not front or found.throughput > front[-1].throughput * (1 + 1e-12)):
            if front and front[-1].total == total:
                front.pop()
            front.append(Storage(total, capacities, found.throughput))
        if not found.deadlock and found.throughput >= unbounded.throughput * (1 - 1e-12):
            return front
        tried += 1
        if tried > most_tried:
            raise BadInputError(
                f"{graph.name}: more than {most_tried:,} combinations of buffer sizes; merge actors or channels first"
            )
        for larger in _grown(channels, room, found):
            if larger not in seen:
                seen.add(larger)
                heapq.heappush(waiting, (sum(larger), larger))
    raise BadInputError(f"{graph.name}: no buffer sizes reach the throughput without bounds")


def _grown(channels: list[Channel], room: tuple[int, ...], found: Guarantee) -> list[tuple[int, ...]]:
    """Room with one of the channels whose space is critical a step larger; smaller steps change nothing."""
    larger = []
    for place, channel in enumerate(channels):
        if space_of(channel.name) in found.critical_channels:
            step = math.gcd(channel.production, channel.consumption)
            larger.append((*room[:place], room[place] + step, *room[place + 1 :]))
    return larger
