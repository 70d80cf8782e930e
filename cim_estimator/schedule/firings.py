"""A dataflow graph unfolded: one node for each firing of an iteration, one edge for each firing that waits for another.

The firing j of a channel's target, which takes the tokens up to (j + 1) c, waits for the firing of the source that puts
the last of them in: number ceil(((j + 1) c - d) / p) - 1 with d initial tokens; negative numbers are firings of earlier
iterations. All tokens before the last are there by then, since firings of one actor end in the order of their start.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .dataflow import DataflowGraph

Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Firings:
    """Firings of one iteration and what they wait for.

    Args:
        actor: actor of each firing, `[N]`.
        time: how long it takes, `[N]`.
        source: firing that an edge starts from, `[E]`.
        target: firing that waits for it, `[E]`.
        delay: iterations by which the source lies earlier, `[E]`; 0 or more.
        channel: channel that an edge comes from, `[E]`; -1 for the order on a tile.
    """

    actor: Integers
    time: NDArray[np.float64]
    source: Integers
    target: Integers
    delay: Integers
    channel: Integers

    def with_edges(self, source: Integers, target: Integers, delay: Integers) -> Firings:
        """The same firings with further edges that no channel stands for."""
        return Firings(
            self.actor,
            self.time,
            np.concatenate([self.source, source]),
            np.concatenate([self.target, target]),
            np.concatenate([self.delay, delay]),
            np.concatenate([self.channel, np.full(len(source), -1)]),
        )


def unfold(graph: DataflowGraph) -> Firings:
    """The firings of one iteration, actor by actor.

    Raises:
        BadInputError: if the graph is inconsistent.

    >>> from .dataflow import Actor, Channel
    >>> loop = (Channel("ab", "a", "b", 3, 2), Channel("ba", "b", "a", 2, 3, 6))
    >>> graph = DataflowGraph((Actor("a", 2), Actor("b", 3)), loop)
    >>> found = unfold(graph)
    >>> [(int(s), int(t), int(d)) for s, t, d in zip(found.source, found.target, found.delay)]
    [(0, 2, 0), (1, 3, 0), (1, 4, 0), (3, 0, 1), (4, 1, 1)]
    """
    counts = np.array(list(graph.repetition_vector.values()), np.int64)
    first = np.concatenate([[0], np.cumsum(counts)])
    edges = [_edges(graph, number, counts, first) for number in range(len(graph.channels))]
    columns = np.concatenate(edges, axis=1) if edges else np.empty((4, 0), np.int64)
    times = np.array([actor.execution_time for actor in graph.actors], float)
    actor = np.repeat(np.arange(len(counts)), counts)
    return Firings(actor, times[actor], *columns)


def _edges(graph: DataflowGraph, number: int, counts: Integers, first: Integers) -> Integers:
    """`[4, firings of the target]`: source, target, delay and channel."""
    channel = graph.channels[number]
    source, target = graph.index[channel.source], graph.index[channel.target]
    firing = np.arange(counts[target])
    last_token = (firing + 1) * channel.consumption - channel.initial_tokens
    producer = -((-last_token) // channel.production) - 1
    iteration, producer = np.divmod(producer, counts[source])
    rows = (first[source] + producer, first[target] + firing, -iteration, np.full(len(firing), number))
    return np.stack(rows)
