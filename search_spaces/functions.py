"""Which architectures compute the same function: identities are no layers, and the names of nodes mean nothing."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from .architecture import Architecture
from .cells import Edge, Genotype
from .operations import IDENTITY, operation_named

INPUT = -1
Terms = Mapping[int, int]


@dataclass(frozen=True)
class CellFunction:
    """What a cell computes: calls of operations, each on a sum of the input and of other calls' results.

    Args:
        calls: operation of each call with the timesteps until its result arrives (0 or 1).
        inputs: for each call the terms of the sum it reads: call (or `INPUT`) -> how often it is added.
        output: terms of the cell's result.
    """

    calls: list[tuple[str, int]] = field(default_factory=list)
    inputs: list[Terms] = field(default_factory=list)
    output: Terms = field(default_factory=dict)

    @staticmethod
    def of(genotype: Genotype, timesteps: int | None = None) -> CellFunction:
        """The function of a cell in samples of `timesteps` (see `Genotype.canonical`).

        An identity that acts at once only passes its sum on. Calls without weights that read the same sum are one.

        >>> chain = Genotype(4, (Edge(0, 1, "identity"), Edge(1, 3, "conv3x3")))
        >>> CellFunction.of(chain).calls, CellFunction.of(chain).inputs, CellFunction.of(chain).output
        ([('conv3x3', 0)], [{-1: 1}], {0: 1})
        """
        live = genotype.canonical(timesteps).edges
        layers = [edge for edge in live if edge.delay or edge.operation != IDENTITY]
        number = {edge: index for index, edge in enumerate(layers)}
        sums: list[Counter[int]] = [Counter() for _ in range(genotype.nodes)]
        sums[0][INPUT] = 1
        for edge in layers:
            if edge.delay:
                sums[edge.target][number[edge]] += 1
        for edge in live:  # by rising source, so that a sum is complete when it is passed on
            if not edge.delay and edge in number:
                sums[edge.target][number[edge]] += 1
            elif not edge.delay:
                sums[edge.target].update(sums[edge.source])
        return _shared(layers, sums)

    def key(self) -> str:
        """A hash that is the same whatever the order of the calls: colours refined by what each reads and who reads it.

        Source: Weisfeiler & Leman, "A reduction of a graph to a canonical form", 1968; two functions of one key are
        taken for equal.
        """
        colours = {INPUT: "input", **{call: str(what) for call, what in enumerate(self.calls)}}
        for _ in range(len(self.calls) + 1):
            fresh = {INPUT: colours[INPUT]}
            for call, terms in enumerate(self.inputs):
                readers = [(colours[other], read[call]) for other, read in enumerate(self.inputs) if call in read]
                told = sorted((colours[term], count) for term, count in terms.items())
                fresh[call] = _hash(colours[call], told, sorted(readers), self.output.get(call, 0))
            colours = fresh
        output = sorted((colours[term], count) for term, count in self.output.items())
        return _hash(sorted(colours.values()), output)


def function_key(architecture: Architecture) -> str:
    """Equal for architectures that compute the same function with the same weights, however their cells are drawn.

    >>> from hasnas.search_spaces.macro import Macro
    >>> drawn = [(Edge(0, 3, "conv1x1"),), (Edge(0, 2, "conv1x1"), Edge(2, 3, "identity"))]
    >>> len({function_key(Architecture((Genotype(4, edges),) * 2, Macro())) for edges in drawn})
    1
    """
    macro = architecture.macro
    cells = [_cell_key(genotype, macro.timesteps) for genotype in architecture.genotypes]
    return _hash(cells, json.dumps(architecture.to_json()["macro"], sort_keys=True))


@lru_cache(maxsize=65536)
def _cell_key(genotype: Genotype, timesteps: int) -> str:
    return CellFunction.of(genotype, timesteps).key()


def _shared(layers: list[Edge], sums: list[Counter[int]]) -> CellFunction:
    """The calls that the output depends on, numbered anew; calls without weights on equal sums become one."""
    merged: dict[int, int] = {}
    while True:
        read = {call: _renamed(sums[edge.source], merged) for call, edge in enumerate(layers) if call not in merged}
        alike: dict[object, int] = {}
        before = len(merged)
        for call, terms in read.items():
            edge = layers[call]
            if operation_named(edge.operation).parameters(2) == 0:
                first = alike.setdefault((edge.operation, edge.delay, frozenset(terms.items())), call)
                if first != call:
                    merged[call] = first
        if len(merged) == before:
            break
    output = _renamed(sums[-1], merged)
    needed, waiting = set[int](), [call for call in output if call != INPUT]
    while waiting:
        call = waiting.pop()
        if call not in needed:
            needed.add(call)
            waiting += [term for term in read[call] if term != INPUT]
    place = {INPUT: INPUT, **{call: index for index, call in enumerate(sorted(needed))}}
    return CellFunction(
        [(layers[call].operation, layers[call].delay) for call in sorted(needed)],
        [{place[term]: count for term, count in read[call].items()} for call in sorted(needed)],
        {place[term]: count for term, count in output.items()},
    )


def _renamed(terms: Terms, merged: Mapping[int, int]) -> dict[int, int]:
    found: Counter[int] = Counter()
    for term, count in terms.items():
        while term in merged:
            term = merged[term]
        found[term] += count
    return dict(found)


def _hash(*parts: object) -> str:
    return hashlib.blake2b(repr(parts).encode(), digest_size=8).hexdigest()
