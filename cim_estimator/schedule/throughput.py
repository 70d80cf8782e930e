"""What a dataflow graph guarantees: iterations in a unit of time, and how long one takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hasnas.errors import BadInputError

from .cycle_ratio import max_cycle_ratio
from .dataflow import DataflowGraph
from .firings import Firings, unfold


@dataclass(frozen=True)
class Guarantee:
    """What self-timed execution, every firing as soon as its tokens are there, reaches whatever else happens.

    Args:
        repetition_vector: firings of each actor in an iteration.
        max_cycle_ratio: time between two iterations in the long run; infinite in a deadlock, 0 without a cycle.
        throughput: iterations in a unit of time, `1 / max_cycle_ratio`; infinite where nothing bounds it.
        latency: time of one iteration that starts from the initial tokens with nothing else under way; infinite in a
            deadlock.
        critical_actors: actors on the cycle that bounds the throughput, in order; empty without one.
        critical_channels: channels on it, in order, without those that are the order on a tile.
        deadlock: whether that cycle can never start.
    """

    repetition_vector: dict[str, int]
    max_cycle_ratio: float
    throughput: float
    latency: float
    critical_actors: tuple[str, ...]
    critical_channels: tuple[str, ...]
    deadlock: bool

    def refuse_deadlock(self, name: str) -> None:
        """Complain about a graph that cannot run.

        Raises:
            BadInputError: in a deadlock; the cycle is named.
        """
        if self.deadlock:
            cycle = " -> ".join((*self.critical_actors, self.critical_actors[0]))
            raise BadInputError(
                f"{name} is deadlocked: {cycle} wait for each other for ever; put initial tokens on one of "
                f"the channels {', '.join(self.critical_channels)}"
            )


def guarantee(graph: DataflowGraph) -> Guarantee:
    """The throughput that a graph guarantees on as many resources as it can use.

    Raises:
        BadInputError: if its rates are inconsistent.

    >>> from .dataflow import Actor, Channel
    >>> loop = (Channel("ab", "a", "b"), Channel("ba", "b", "a", initial_tokens=2))
    >>> found = guarantee(DataflowGraph((Actor("a", 3.0), Actor("b", 5.0)), loop))
    >>> found.max_cycle_ratio, found.latency, found.critical_actors
    (4.0, 8.0, ('a', 'b'))
    """
    return guarantee_of(graph, unfold(graph))


def guarantee_of(graph: DataflowGraph, firings: Firings) -> Guarantee:
    """The same for firings that wait for more than their graph says, as those in a static order do."""
    count = len(firings.actor)
    time = firings.time[firings.source]
    found = max_cycle_ratio(count, firings.source, firings.target, time, firings.delay)
    actors = _without_repetition([graph.actors[int(n)].name for n in firings.actor[firings.source[found.edges]]])
    channels = [graph.channels[int(number)].name for number in firings.channel[found.edges] if number >= 0]
    deadlock = bool(np.isinf(found.ratio))
    return Guarantee(
        repetition_vector=graph.repetition_vector,
        max_cycle_ratio=found.ratio,
        throughput=np.inf if found.ratio == 0 else 1 / found.ratio,
        latency=np.inf if deadlock else float(np.max(_ends_of_one_iteration(firings))),
        critical_actors=tuple(_rotated(actors)),
        critical_channels=tuple(dict.fromkeys(channels)),
        deadlock=deadlock,
    )


def _without_repetition(names: Sequence[str]) -> list[str]:
    return [name for place, name in enumerate(names) if len(names) == 1 or name != names[place - 1]] or list(names[:1])


def _rotated(names: list[str]) -> list[str]:
    """A cycle told from its first name on, so that it reads alike wherever the search came upon it."""
    start = names.index(min(names)) if names else 0
    return names[start:] + names[:start]


def _ends_of_one_iteration(firings: Firings) -> NDArray[np.float64]:
    """When each firing of the first iteration ends: the longest path of edges without delay, `[N]`."""
    now = firings.delay == 0
    source, target = firings.source[now], firings.target[now]
    waits = np.bincount(target, minlength=len(firings.actor))
    order = np.argsort(source, kind="stable")
    first = np.searchsorted(source[order], np.arange(len(firings.actor) + 1))
    start = np.zeros(len(firings.actor))
    ready = np.flatnonzero(waits == 0).tolist()
    while ready:
        node = ready.pop()
        followers = target[order[first[node] : first[node + 1]]]
        np.maximum.at(start, followers, start[node] + firings.time[node])
        np.subtract.at(waits, followers, 1)
        ready.extend(np.unique(followers[waits[followers] == 0]).tolist())
    return start + firings.time


def self_timed_starts(firings: Firings, iterations: int) -> NDArray[np.float64]:
    """Start of every firing in each iteration when all fire as early as they can, `[iterations, N]`.

    The plain max-plus recursion, start = max over what is waited for of its start plus its time; what `guarantee` says
    is tested against the growth of these.

    Raises:
        BadInputError: if firings of one iteration wait for each other.
    """
    count = len(firings.actor)
    starts = np.zeros((iterations, count))
    for iteration in range(iterations):
        for _ in range(count + 1):
            before = starts[iteration].copy()
            there = firings.delay <= iteration
            source, target, delay = firings.source[there], firings.target[there], firings.delay[there]
            np.maximum.at(starts[iteration], target, starts[iteration - delay, source] + firings.time[source])
            if np.array_equal(before, starts[iteration]):
                break
        else:
            raise BadInputError("firings of one iteration wait for each other; the graph is deadlocked")
    return starts
