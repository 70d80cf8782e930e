"""LayerGraph: layers with shapes and delays. What is deployed, priced, exported and drawn reads this."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from hasnas.errors import BadInputError, nearest
from hasnas.files import check_listed, read_json

from .layers import (
    Add,
    Dropout,
    Input,
    Neuron,
    Operation,
    Output,
    layer_from_json,
    layer_to_json,
    parameter_count,
)

GRAPH_VERSION = 1
GRAPH_FILE = "graph.json"


@dataclass(frozen=True)
class Node:
    """A named operation and the shape of its result, without time and batch."""

    name: str
    operation: Operation
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """Elements of the result."""
        result = 1
        for side in self.shape:
            result *= side
        return result

    @property
    def parameter_count(self) -> int:
        """Trainable parameters of the operation."""
        return parameter_count(self.operation)


@dataclass(frozen=True)
class Connection:
    """The result of `source` reaches `target`, `delay` timesteps later (0 or 1; zeros before the first arrives)."""

    source: str
    target: str
    delay: int = 0


@dataclass(frozen=True)
class LayerGraph:
    """A network as a graph of layers.

    Args:
        nodes: in an order in which every delay-0 connection points forward.
        connections: several into one node are summed only by `Add`; other operations take exactly one.
        timesteps: T of a sample.

    Raises:
        BadInputError: for unknown or repeated names, a loop without delay, missing or surplus inputs.

    >>> graph = LayerGraph((Node("input", Input(), (1, 4, 4)), Node("output", Output(), (1, 4, 4))),
    ...                    (Connection("input", "output"),), timesteps=2)
    >>> LayerGraph.from_json(graph.to_json()) == graph
    True
    """

    nodes: tuple[Node, ...]
    connections: tuple[Connection, ...]
    timesteps: int

    def __post_init__(self) -> None:
        if self.timesteps < 1:
            raise BadInputError(f"timesteps is {self.timesteps}; give at least 1")
        position = {node.name: index for index, node in enumerate(self.nodes)}
        if len(position) != len(self.nodes):
            raise BadInputError("two layers of a graph share a name; name each once")
        for link in self.connections:
            for end in (link.source, link.target):
                if end not in position:
                    raise BadInputError(f"connection {link.source}->{link.target}: no layer '{end}' in the graph")
            if link.delay not in (0, 1):
                raise BadInputError(f"connection {link.source}->{link.target}: delay {link.delay} is not 0 or 1")
            if not link.delay and position[link.source] >= position[link.target]:
                raise BadInputError(f"connection {link.source}->{link.target} points backward without a delay")
        for node in self.nodes:
            self._check_arity(node)

    def _check_arity(self, node: Node) -> None:
        count = len(self.inputs(node.name))
        if isinstance(node.operation, Input):
            fits = count == 0
        elif isinstance(node.operation, Add):
            fits = count >= 1
        else:
            fits = count == 1
        if not fits:
            raise BadInputError(f"layer '{node.name}' ({type(node.operation).__name__}) has {count} inputs")

    @cached_property
    def _by_name(self) -> dict[str, Node]:
        return {node.name: node for node in self.nodes}

    @cached_property
    def _incoming(self) -> dict[str, tuple[Connection, ...]]:
        incoming: dict[str, list[Connection]] = {node.name: [] for node in self.nodes}
        for link in self.connections:
            incoming[link.target].append(link)
        return {name: tuple(links) for name, links in incoming.items()}

    def node(self, name: str) -> Node:
        """The node called `name`.

        Raises:
            BadInputError: if there is none.
        """
        if name not in self._by_name:
            raise BadInputError(f"no layer '{name}' in the graph{nearest(name, self._by_name)}")
        return self._by_name[name]

    def inputs(self, name: str) -> tuple[Connection, ...]:
        """Connections that end at `name`."""
        return self._incoming[name]

    @cached_property
    def entry(self) -> Node:
        """The layer that takes the samples."""
        return next(node for node in self.nodes if isinstance(node.operation, Input))

    @property
    def takes_static(self) -> bool:
        """Whether a sample is shown as it is at every timestep; otherwise it has a frame for each."""
        return self.entry.name in self.static_nodes

    @property
    def parameter_count(self) -> int:
        """Trainable parameters of the whole network."""
        return sum(node.parameter_count for node in self.nodes)

    @cached_property
    def static_nodes(self) -> frozenset[str]:
        """Layers whose result is the same at every timestep: they depend on a static input through no neuron."""
        static: set[str] = set()
        for node in self.nodes:
            links = self.inputs(node.name)
            if isinstance(node.operation, Input):
                fixed = node.operation.static
            else:
                stateless = not isinstance(node.operation, Neuron | Dropout | Output)
                fixed = stateless and all(link.source in static and not link.delay for link in links)
            if fixed:
                static.add(node.name)
        return frozenset(static)

    @cached_property
    def recurrent_groups(self) -> tuple[tuple[str, ...], ...]:
        """Layers in the order to run them, those that feed back into each other together.

        A group of one runs over all timesteps at once; a larger one must be stepped through time.
        """
        return _ordered_components([node.name for node in self.nodes], self.connections)

    @cached_property
    def structure(self) -> str:
        """A hash of what the last layer depends on, whatever the layers are called (Weisfeiler-Lehman refinement)."""
        own = {node.name: f"{node.operation}{node.shape}" for node in self.nodes}
        labels = dict(own)
        for _ in self.nodes:
            arriving = {name: sorted((labels[link.source], link.delay) for link in self.inputs(name)) for name in own}
            texts = {name: f"{own[name]}{arriving[name]}" for name in own}
            labels = {name: hashlib.blake2b(text.encode(), digest_size=8).hexdigest() for name, text in texts.items()}
        return labels[self.nodes[-1].name]

    @cached_property
    def key(self) -> str:
        """A hash of the plain data; `structure` is the same whatever the layers are called."""
        return hashlib.blake2b(json.dumps(self.to_json(), sort_keys=True).encode(), digest_size=8).hexdigest()

    def to_text(self) -> str:
        """The content of the JSON file."""
        return json.dumps(self.to_json(), indent=1) + "\n"

    @staticmethod
    def load(path: Path | str) -> LayerGraph:
        """Read the JSON file.

        Raises:
            BadInputError: naming the file, if it cannot be read or understood.
        """
        check_listed(path)
        data = read_json(path)
        try:
            return LayerGraph.from_json(data)
        except BadInputError as error:
            raise BadInputError(f"{path}: {error}") from error
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise BadInputError(f"{path} holds no graph of layers; problem at {error}") from error

    def to_json(self) -> dict[str, Any]:
        """Plain data, read back by `from_json`."""
        return {
            "version": GRAPH_VERSION,
            "timesteps": self.timesteps,
            "nodes": [
                {
                    "name": node.name,
                    "kind": type(node.operation).__name__,
                    "shape": list(node.shape),
                    **layer_to_json(node.operation),
                }
                for node in self.nodes
            ],
            "connections": [[link.source, link.target, link.delay] for link in self.connections],
        }

    @staticmethod
    def from_json(data: dict[str, Any]) -> LayerGraph:
        """A graph from plain data.

        Raises:
            BadInputError: if the data are of another version or do not describe a graph.
        """
        if data.get("version") != GRAPH_VERSION:
            raise BadInputError(f"graph has version {data.get('version')!r}; this release reads {GRAPH_VERSION}")
        nodes = tuple(
            Node(item["name"], layer_from_json(item), tuple(int(side) for side in item["shape"]))
            for item in data["nodes"]
        )
        links = tuple(Connection(source, target, delay) for source, target, delay in data["connections"])
        return LayerGraph(nodes, links, int(data["timesteps"]))


def _ordered_components(names: list[str], links: tuple[Connection, ...]) -> tuple[tuple[str, ...], ...]:
    """Strongly connected components over all links, ordered along the links; names keep their order inside each."""
    import networkx as nx

    position = {name: index for index, name in enumerate(names)}
    graph = nx.DiGraph()
    graph.add_nodes_from(names)
    graph.add_edges_from((link.source, link.target) for link in links)
    condensed = nx.condensation(graph)
    members = {number: sorted(data["members"], key=position.__getitem__) for number, data in condensed.nodes.items()}
    order = nx.lexicographical_topological_sort(condensed, key=lambda number: position[members[number][0]])
    return tuple(tuple(members[number]) for number in order)
