"""Actors on tiles: each tile fires one actor at a time, in an order that repeats with every iteration."""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hasnas.errors import BadInputError, nearest

from .dataflow import DataflowGraph
from .firings import Firings, Integers, unfold
from .throughput import Guarantee, guarantee_of


@dataclass(frozen=True, eq=False)
class Schedule:
    """A static order and what it guarantees.

    Args:
        orders: tile -> actors in the order of their firings in one iteration.
        guarantee: throughput and latency on these tiles.
    """

    orders: dict[int, tuple[str, ...]]
    guarantee: Guarantee


def schedule(graph: DataflowGraph, tile_of: Mapping[str, int]) -> Schedule:
    """A static order for actors on tiles, by list scheduling; the longest way to the end of the iteration goes first.

    Args:
        graph: what runs.
        tile_of: actor -> tile, for every actor.

    Raises:
        BadInputError: if an actor has no tile or is unknown, or the graph is inconsistent or deadlocked.

    >>> from .dataflow import Actor, Channel
    >>> graph = DataflowGraph((Actor("a", 2.0), Actor("b", 3.0)), (Channel("ab", "a", "b"),))
    >>> found = schedule(graph, {"a": 0, "b": 0})
    >>> found.orders, found.guarantee.max_cycle_ratio, schedule(graph, {"a": 0, "b": 1}).guarantee.max_cycle_ratio
    ({0: ('a', 'b')}, 5.0, 3.0)
    """
    _check_tiles(graph, tile_of)
    firings = unfold(graph)
    guarantee_of(graph, firings).refuse_deadlock(graph.name)
    tiles = np.array([tile_of[actor.name] for actor in graph.actors])[firings.actor]
    sequences = _list_schedule(firings, tiles)
    ordered = firings.with_edges(*_order_edges(list(sequences.values())))
    names = {tile: tuple(graph.actors[int(firings.actor[n])].name for n in row) for tile, row in sequences.items()}
    return Schedule(names, guarantee_of(graph, ordered))


def _check_tiles(graph: DataflowGraph, tile_of: Mapping[str, int]) -> None:
    for name in tile_of:
        if name not in graph.index:
            raise BadInputError(f"a tile for '{name}'{nearest(name, graph.index)}")
    lacking = [actor.name for actor in graph.actors if actor.name not in tile_of]
    if lacking:
        raise BadInputError(f"actor '{lacking[0]}' has no tile; bind every actor")


def _list_schedule(firings: Firings, tiles: Integers) -> dict[int, list[int]]:
    """Firings of each tile in the order they start; ties by urgency, then by number."""
    count = len(firings.actor)
    now = firings.delay == 0
    followers: list[list[int]] = [[] for _ in range(count)]
    waits = np.zeros(count, np.int64)
    for source, target in zip(firings.source[now].tolist(), firings.target[now].tolist(), strict=True):
        followers[source].append(target)
        waits[target] += 1
    urgency = _time_to_end(firings, followers, waits)
    ready: dict[int, list[tuple[float, int]]] = {int(tile): [] for tile in np.unique(tiles)}
    for node in np.flatnonzero(waits == 0).tolist():
        heapq.heappush(ready[int(tiles[node])], (-urgency[node], node))
    order: dict[int, list[int]] = {tile: [] for tile in ready}
    running: list[tuple[float, int]] = []
    busy: set[int] = set()
    time = 0.0
    while True:
        for tile in sorted(set(ready) - busy):
            if ready[tile]:
                _, node = heapq.heappop(ready[tile])
                order[tile].append(node)
                busy.add(tile)
                heapq.heappush(running, (time + float(firings.time[node]), node))
        if not running:
            return order
        time, _ = running[0]
        while running and running[0][0] == time:
            _, node = heapq.heappop(running)
            busy.discard(int(tiles[node]))
            for follower in followers[node]:
                waits[follower] -= 1
                if not waits[follower]:
                    heapq.heappush(ready[int(tiles[follower])], (-urgency[follower], follower))


def _time_to_end(firings: Firings, followers: list[list[int]], waits: Integers) -> list[float]:
    """From the start of each firing to the end of the last one that depends on it in the same iteration."""
    order, left = np.flatnonzero(waits == 0).tolist(), waits.copy()
    for node in order:  # grows while it is walked
        for follower in followers[node]:
            left[follower] -= 1
            if not left[follower]:
                order.append(follower)
    longest = firings.time.tolist()
    for node in reversed(order):
        longest[node] += max((longest[follower] for follower in followers[node]), default=0.0)
    return longest


def _order_edges(sequences: list[list[int]]) -> tuple[Integers, Integers, Integers]:
    """Every firing waits for the one before it on its tile, the first for the last one of the iteration before."""
    source = [node for row in sequences for node in row]
    target = [node for row in sequences for node in (*row[1:], row[0])]
    delay = [step for row in sequences for step in (*([0] * (len(row) - 1)), 1)]
    return np.array(source, np.int64), np.array(target, np.int64), np.array(delay, np.int64)
