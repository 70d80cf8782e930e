"""Who feeds whom in a NIR graph: parts that are graphs themselves are taken apart, loops are cut where they wait."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from hasnas.errors import BadInputError

Edge = tuple[str, str]


class Pass:
    """The entry or exit of a part: hands on what arrives."""


@dataclass(frozen=True)
class Wiring:
    """Nodes in an order in which every edge that acts at once points forward.

    Args:
        nodes: by name, in that order.
        arriving: by name, the sources of the edges that end there, each with whether it acts one timestep later.
        guessed: edges that close a loop of which the file does not say where it waits; they act one timestep later.
    """

    nodes: Mapping[str, Any]
    arriving: Mapping[str, tuple[tuple[str, bool], ...]]
    guessed: tuple[Edge, ...]


def wire(graph: Any, recurrent: Iterable[Edge]) -> Wiring:
    """The wiring of a NIR graph.

    Args:
        graph: the `NIRGraph`.
        recurrent: edges that are known to act one timestep later; those behind a `Delay` node do, too.

    Raises:
        BadInputError: if an edge names a node that does not exist.
    """
    nodes, edges = _taken_apart(graph)
    sources: dict[str, list[str]] = {name: [] for name in nodes}
    for source, target in edges:
        for name in (source, target):
            if name not in nodes:
                raise BadInputError(f"an edge names the node '{name}', which does not exist")
        sources[target].append(source)
    late = set(recurrent) | {edge for edge in edges if type(nodes[edge[0]]).__name__ == "Delay"}
    order = _order(sources, late)
    place = {name: index for index, name in enumerate(order)}
    guessed = tuple(edge for edge in edges if edge not in late and place[edge[0]] >= place[edge[1]])
    # What waits in a Delay node is counted there, not a second time at the edge behind it.
    waits = (set(recurrent) | set(guessed)) - {edge for edge in edges if type(nodes[edge[0]]).__name__ == "Delay"}
    arriving = {name: tuple((source, (source, name) in waits) for source in sources[name]) for name in order}
    return Wiring({name: nodes[name] for name in order}, arriving, guessed)


def _taken_apart(graph: Any) -> tuple[dict[str, Any], list[Edge]]:
    """Nodes and edges without parts that are graphs: their nodes get the part's name in front."""
    nodes: dict[str, Any] = {}
    edges: list[Edge] = list(graph.edges)
    for name, node in graph.nodes.items():
        if type(node).__name__ != "NIRGraph":
            nodes[name] = node
            continue
        inner, inside = _taken_apart(node)
        ends = {"Input": [], "Output": []}  # type: dict[str, list[str]]
        for part, each in inner.items():
            kind, own = type(each).__name__, f"{name}.{part}"
            ends.get(kind, []).append(own)
            if own in nodes or own in graph.nodes:
                raise BadInputError(f"two nodes are called '{own}'; rename one")
            nodes[own] = Pass() if kind in ends else each
        if any(len(found) != 1 for found in ends.values()):
            raise BadInputError(f"the part '{name}' has not one input and one output; write its layers out")
        (entry,), (leave,) = ends["Input"], ends["Output"]
        edges = [(leave if source == name else source, entry if target == name else target) for source, target in edges]
        edges += [(f"{name}.{source}", f"{name}.{target}") for source, target in inside]
    return nodes, edges


def _order(sources: Mapping[str, list[str]], late: set[Edge]) -> list[str]:
    """Execution order, the file's own where that is one.

    Where a loop does not say which edge waits, the first node that is reached goes ahead of its inputs.
    """
    waiting = {name: {each for each in found if (each, name) not in late} for name, found in sources.items()}
    order: list[str] = []
    while waiting:
        ready = (name for name, needed in waiting.items() if not needed & waiting.keys())
        reached = (name for name in waiting if any(source in order for source in sources[name]))
        name = next(ready, None) or next(reached, None) or next(iter(waiting))
        order.append(name)
        del waiting[name]
    return order
