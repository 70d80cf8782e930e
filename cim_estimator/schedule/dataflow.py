"""Synchronous dataflow graphs: actors that consume and produce fixed numbers of tokens each time they fire.

Clusters of a mapped network are actors, spikes are tokens. Source: Lee & Messerschmitt, "Synchronous Data Flow",
Proceedings of the IEEE 75(9), 1987.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property

from hasnas.errors import BadInputError, nearest

MOST_FIRINGS = 2_000_000  # in one iteration; the analyses hold one row for each


@dataclass(frozen=True)
class Actor:
    """What fires: a cluster on a crossbar.

    Args:
        name: unique in its graph.
        execution_time: of one firing, in the graph's unit of time.
    """

    name: str
    execution_time: float


@dataclass(frozen=True)
class Channel:
    """A queue of tokens between two actors.

    Args:
        name: unique in its graph.
        source: the actor that puts `production` tokens in at the end of each firing.
        target: the actor that takes `consumption` tokens out at the start of each firing.
        production: at least 1.
        consumption: at least 1.
        initial_tokens: tokens that lie in it at the start.
    """

    name: str
    source: str
    target: str
    production: int = 1
    consumption: int = 1
    initial_tokens: int = 0


@dataclass(frozen=True)
class DataflowGraph:
    """Actors and channels, checked when made.

    Raises:
        BadInputError: for repeated or unknown names, rates below 1, negative tokens or times.

    >>> graph = DataflowGraph((Actor("a", 2), Actor("b", 3)), (Channel("ab", "a", "b", production=3, consumption=2),))
    >>> graph.repetition_vector
    {'a': 2, 'b': 3}
    """

    actors: tuple[Actor, ...]
    channels: tuple[Channel, ...]
    name: str = "graph"

    def __post_init__(self) -> None:
        if not self.actors:
            raise BadInputError(f"{self.name} has no actor; give at least one")
        _refuse_repeated("actor", [actor.name for actor in self.actors])
        _refuse_repeated("channel", [channel.name for channel in self.channels])
        for actor in self.actors:
            if not (math.isfinite(actor.execution_time) and actor.execution_time >= 0):
                raise BadInputError(f"actor '{actor.name}' takes {actor.execution_time}; give a time of at least 0")
        for channel in self.channels:
            self._check(channel)

    def _check(self, channel: Channel) -> None:
        for end in (channel.source, channel.target):
            if end not in self.index:
                raise BadInputError(f"channel '{channel.name}' ends at '{end}'{nearest(end, self.index)}")
        if min(channel.production, channel.consumption) < 1:
            raise BadInputError(
                f"channel '{channel.name}' has the rates {channel.production} and {channel.consumption}; "
                "give at least 1 token a firing"
            )
        if channel.initial_tokens < 0:
            raise BadInputError(f"channel '{channel.name}' starts with {channel.initial_tokens} tokens; give 0 or more")

    @cached_property
    def index(self) -> dict[str, int]:
        """Actor -> its place among the actors."""
        return {actor.name: place for place, actor in enumerate(self.actors)}

    @cached_property
    def repetition_vector(self) -> dict[str, int]:
        """Firings of each actor in one iteration, after which every channel holds what it held before.

        The smallest whole q > 0 with q[source] * production = q[target] * consumption for every channel; parts of the
        graph that are not connected are counted each by itself.

        Raises:
            BadInputError: if there is none: the channel that contradicts the others is named; or if one iteration has
                more firings than can be analysed.
        """
        rates = self._relative_rates()
        vector: dict[str, int] = {}
        for members in self._connected(rates):
            scale = math.lcm(*(rates[name].denominator for name in members))
            counts = [int(rates[name] * scale) for name in members]
            shared = math.gcd(*counts)
            vector |= {name: count // shared for name, count in zip(members, counts, strict=True)}
        if sum(vector.values()) > MOST_FIRINGS:
            raise BadInputError(
                f"{self.name}: an iteration has {sum(vector.values()):,} firings, more than {MOST_FIRINGS:,}; "
                "use rates with larger common factors"
            )
        return {actor.name: vector[actor.name] for actor in self.actors}

    def _neighbours(self) -> dict[str, list[tuple[str, Fraction, Channel]]]:
        found: dict[str, list[tuple[str, Fraction, Channel]]] = {actor.name: [] for actor in self.actors}
        for channel in self.channels:
            ratio = Fraction(channel.production, channel.consumption)
            found[channel.source].append((channel.target, ratio, channel))
            found[channel.target].append((channel.source, 1 / ratio, channel))
        return found

    def _relative_rates(self) -> dict[str, Fraction]:
        neighbours, rates = self._neighbours(), dict[str, Fraction]()
        for actor in self.actors:
            if actor.name in rates:
                continue
            rates[actor.name], waiting = Fraction(1), [actor.name]
            while waiting:
                name = waiting.pop()
                for other, ratio, channel in neighbours[name]:
                    rate = rates[name] * ratio
                    if other not in rates:
                        rates[other] = rate
                        waiting.append(other)
                    elif rates[other] != rate:
                        raise BadInputError(
                            f"{self.name}: the rates of channel '{channel.name}' ({channel.source} "
                            f"{channel.production} -> {channel.consumption} {channel.target}) contradict those of "
                            "the other channels, so tokens would pile up or run out; mend its rates"
                        )
        return rates

    def _connected(self, rates: dict[str, Fraction]) -> list[list[str]]:
        neighbours, seen, parts = self._neighbours(), set[str](), list[list[str]]()
        for name in rates:
            if name in seen:
                continue
            part, waiting = [], [name]
            seen.add(name)
            while waiting:
                part.append(waiting.pop())
                fresh = dict.fromkeys(other for other, _, _ in neighbours[part[-1]] if other not in seen)
                seen.update(fresh)
                waiting.extend(fresh)
            parts.append(part)
        return parts

    def one_firing_at_a_time(self) -> DataflowGraph:
        """The graph in which no actor fires again before it has finished: a crossbar computes one thing at a time."""
        looped = {channel.source for channel in self.channels if channel.source == channel.target}
        taken = {channel.name for channel in self.channels}
        loops = [
            Channel(_unused(f"{actor.name} is busy", taken), actor.name, actor.name, 1, 1, 1)
            for actor in self.actors
            if actor.name not in looped
        ]
        return replace(self, channels=(*self.channels, *loops))

    def with_capacities(self, capacities: dict[str, int]) -> DataflowGraph:
        """The graph whose channels hold no more than so many tokens: space is a channel that runs backward.

        Args:
            capacities: channel -> tokens it has room for; channels that are not named stay unlimited.

        Raises:
            BadInputError: for an unknown channel, or a room smaller than the tokens that lie there at the start.
        """
        known = {channel.name: channel for channel in self.channels}
        spaces = []
        for name, capacity in capacities.items():
            if name not in known:
                raise BadInputError(f"no channel '{name}'{nearest(name, known)}")
            own = known[name]
            if capacity < own.initial_tokens:
                raise BadInputError(
                    f"channel '{name}' has room for {capacity} tokens but starts with {own.initial_tokens}; enlarge it"
                )
            room = capacity - own.initial_tokens
            spaces.append(Channel(space_of(name), own.target, own.source, own.consumption, own.production, room))
        return replace(self, channels=(*self.channels, *spaces))


def space_of(channel: str) -> str:
    """Name of the channel that stands for the free space of another one."""
    return f"space of {channel}"


def _refuse_repeated(what: str, names: Sequence[str]) -> None:
    repeated = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if repeated:
        raise BadInputError(f"two {what}s are called '{repeated[0]}'; name each once")


def _unused(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "'"
    taken.add(name)
    return name
