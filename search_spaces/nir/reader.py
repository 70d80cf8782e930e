"""A NIR file as a LayerGraph with weights: the one reader, for prices and for networks that run.

Edges that meet at a node are summed, as NIR defines. Files of this project name in their metadata what NIR has no word
for: `layers` (the layers as trained that a node stands for, such as a convolution with its batch norm, or a vote),
`weight_bits`, `membrane_bits` and `recurrent_edges`. Of other tools' files everything is read that can be laid out;
what their neurons do beyond the layers of this project is told, changes no price, and cannot be run.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hasnas.errors import BadInputError, one_line
from hasnas.files import check_listed
from hasnas.search_spaces.graph import Connection, LayerGraph, Node
from hasnas.search_spaces.layers import (
    PLIF,
    Add,
    BatchNorm,
    Conv2d,
    Flatten,
    Linear,
    Operation,
    pair,
)

from .checks import check_edges, check_named, timestep_of
from .metadata import bits_of, layers_as_trained, listed, middle, single, whole
from .primitives import TIMESTEP_S, Context, Shape, layer_of
from .stored import check_stored, unknown_node
from .wiring import Pass, Wiring, wire

EPSILON = 1e-5  # torch.nn.BatchNorm2d's default, which the networks use
Arrays = dict[str, NDArray[Any]]
REMEMBERING = ("LIF", "IF", "CubaLIF")


@dataclass(frozen=True)
class NirNetwork:
    """What a NIR file holds.

    Args:
        graph: its layers, as trained where the file says so.
        tensors: weights in double precision, named as in a network's `state_dict`.
        ignored: what the file says beyond these layers; it changes no price, but the network cannot be run.
    """

    graph: LayerGraph
    tensors: Mapping[str, NDArray[Any]]
    ignored: tuple[str, ...] = ()


def read_nir(path: Path | str, timesteps: int | None = None, timestep_s: float | None = None) -> NirNetwork:
    """The layers and weights of a NIR file.

    Args:
        path: the file.
        timesteps: T of a sample, for files that do not say.
        timestep_s: duration of a timestep, for files that do not say; what most tools assume unless given.

    Raises:
        BadInputError: if the file cannot be read, or holds a node that cannot be laid out; file and node are named.
    """
    import nir

    check_listed(path)
    check_stored(path)
    try:
        found = nir.read(str(path), type_check=False)
    except FileNotFoundError as error:
        raise BadInputError(f"cannot read {path}: there is no such file; check the path") from error
    except Exception as error:  # h5py and nir raise whatever comes: OSError, KeyError, ValueError, AssertionError
        told = unknown_node(path) or str(error) or type(error).__name__
        raise BadInputError(f"{path} is not a readable NIR file ({told}); export it anew") from error
    if not isinstance(found, nir.NIRGraph):
        raise BadInputError(f"{path} holds a single NIR node; give a graph with an input and an output")
    try:
        return nir_network(found, timesteps, timestep_s)
    except BadInputError as error:
        raise BadInputError(f"{path}: {error}") from error
    except (ValueError, TypeError, IndexError, KeyError, OverflowError, AttributeError, RecursionError) as error:
        told = one_line(str(error))
        raise BadInputError(f"{path} holds arrays of kinds that no NIR file has ({told}); export it anew") from error


def nir_network(found: Any, timesteps: int | None = None, timestep_s: float | None = None) -> NirNetwork:
    """The layers and weights of a NIR graph; see `read_nir`."""
    metadata = dict(found.metadata) if isinstance(found.metadata, Mapping) else {}
    check_edges(found)
    steps = timesteps or whole(metadata, "timesteps")
    if steps < 1:
        raise BadInputError("the file does not say how many timesteps a sample has; pass timesteps=...")
    recurrent = [tuple(pair) if isinstance(pair, list) else () for pair in listed(metadata, "recurrent_edges", list)]
    if not all(len(pair) == 2 and all(isinstance(end, str) for end in pair) for pair in recurrent):
        raise BadInputError('metadata recurrent_edges holds no pairs; write it like [["from", "to"]]')
    if timestep_s is not None:
        if not timestep_s > 0:
            raise BadInputError(f"timestep_s is {timestep_s}; give seconds above 0")
        metadata = {"timestep_s": timestep_s, **metadata}
    ends = {end for pair in recurrent for end in pair}
    wiring = wire(found, recurrent)
    check_named("recurrent_edges", ends, wiring.nodes)
    reader = _Reader(wiring, metadata)
    reader.read()
    return NirNetwork(reader.graph(steps), reader.tensors, tuple(reader.ignored))


@dataclass
class _Reader:
    """Walks the nodes in execution order; each becomes one layer or more, or hands on what arrives."""

    wiring: Wiring
    metadata: Mapping[str, Any]
    nodes: list[Node] = field(default_factory=list)
    links: list[Connection] = field(default_factory=list)  # from a node of the file to a layer
    inner: list[Connection] = field(default_factory=list)  # between layers of one node
    tensors: Arrays = field(default_factory=dict)
    ignored: list[str] = field(default_factory=list)
    shapes: dict[str, Shape] = field(default_factory=dict)  # of what leaves a node of the file
    last: dict[str, str] = field(default_factory=dict)  # a node of the file -> its last layer
    handed: dict[str, tuple[str, int]] = field(default_factory=dict)  # a node that hands on -> from where, how late

    def __post_init__(self) -> None:
        self.listed = listed(self.metadata, "layers", dict)
        for name, items in self.listed.items():
            if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
                raise BadInputError(f"metadata layers: '{name}' is {items!r:.60}; export the file anew")
        check_named("layers", self.listed, self.wiring.nodes)
        self.has_lines = any(type(node).__name__ == "Conv1d" for node in self.wiring.nodes.values())
        self.bits = {quantity: bits_of(self.metadata, quantity) for quantity in ("weight_bits", "membrane_bits")}
        for quantity, told in self.bits.items():
            check_named(quantity, told, self.wiring.nodes)
        self.timestep_s = timestep_of(single(self.metadata, "timestep_s", TIMESTEP_S))
        self.reached = _reached(self.wiring)
        self.static = single(self.metadata, "static_input", False)
        if self.static not in (True, False):
            raise BadInputError(f"metadata static_input is {self.static!r:.60}; write true or false")

    def read(self) -> None:
        """Take all nodes."""
        for name, node in self.wiring.nodes.items():
            if type(node).__name__ == "Delay" and np.ndim(node.delay) in (1, 3):
                self.shapes[name] = np.shape(node.delay)
        for source, target in self.wiring.guessed:
            if self._is_the_same_anywhere(source, target):
                continue
            self.ignored.append(
                f"the loop through '{target}' does not say where it takes a timestep, so it cannot be run; it is "
                f"priced as if '{source}' reached '{target}' one timestep later"
            )
        for name, node in self.wiring.nodes.items():
            kind = type(node).__name__
            arriving = [(source, late) for source, late in self.wiring.arriving[name] if self._is_known(source)]
            if kind == "Input":
                self._take(name, node, ())
            elif not arriving or name not in self.reached:
                self.ignored.append(f"node '{name}' is connected to no input: it is left out")
            else:
                self._take_connected(name, node, arriving)
        self._check_sums()
        kinds = [type(node).__name__ for node in self.wiring.nodes.values()]
        if kinds.count("Input") != 1 or kinds.count("Output") != 1:
            counts = f"{kinds.count('Input')} inputs and {kinds.count('Output')} outputs"
            self.ignored.append(f"the graph has {counts}; only one of each can be run")

    def _check_sums(self) -> None:
        """What meets at a node must have one shape, also what comes back later."""
        for name in self.wiring.nodes:
            sources = [
                source for source, _ in self.wiring.arriving[name] if source in self.shapes and self._is_known(source)
            ]
            if len({math.prod(self.shapes[source]) for source in sources}) > 1:
                told = ", ".join(f"{list(self.shapes[source])} from '{source}'" for source in sources)
                raise BadInputError(f"what meets at node '{name}' has no one shape: {told}; export it anew")

    def _is_the_same_anywhere(self, source: str, target: str) -> bool:
        """Whether a loop computes the same wherever its timestep lies: what leaves each node is nothing for nothing.

        The edge closes a chain of which one node is neurons and all others are weights without bias.
        """
        chain, name = [source], source
        while name != target:
            before = [one for one, late in self.wiring.arriving[name] if not late]
            if len(before) != 1 or len(chain) > len(self.wiring.nodes):
                return False
            chain += before
            name = before[0]
        nodes = [self.wiring.nodes[name] for name in chain]
        remembers = [type(node).__name__ in REMEMBERING for node in nodes]
        silent = [isinstance(node, Pass) or _is_without_bias(node) for node in nodes]
        return sum(remembers) == 1 and all(map(operator.or_, remembers, silent))

    def graph(self, timesteps: int) -> LayerGraph:
        """All layers, once all are known; the output under the name that networks look for."""
        links = [self._from_layer(link) for link in self.links] + self.inner
        results = [name for name, node in self.wiring.nodes.items() if type(node).__name__ == "Output"]
        result = results[0] if len(results) == 1 else "output"
        swap = {result: "output", "output": result}
        nodes = [Node(swap.get(node.name, node.name), node.operation, node.shape) for node in self.nodes]
        renamed = [Connection(swap.get(a.source, a.source), swap.get(a.target, a.target), a.delay) for a in links]
        if result != "output":
            for name in [name for name in self.tensors if name.startswith("output.")]:
                self.tensors[result + name.removeprefix("output")] = self.tensors.pop(name)
        return LayerGraph(tuple(nodes), tuple(renamed), timesteps)

    def _is_known(self, source: str) -> bool:
        """Whether anything of an input reaches a node, now or later."""
        return source in self.reached

    def _from_layer(self, link: Connection) -> Connection:
        """A connection from the layer that its source stands for, past the nodes that only hand on."""
        source, delay = link.source, link.delay
        while source in self.handed:
            source, later = self.handed[source]
            delay += later
        if delay > 1:
            self.ignored.append(
                f"what reaches '{link.target}' waits {delay} timesteps, which cannot be run; it is priced as one"
            )
        return Connection(self.last.get(source, source), link.target, min(delay, 1))

    def _take_connected(self, name: str, node: Any, arriving: list[tuple[str, bool]]) -> None:
        present = [self.shapes[source] for source, _ in arriving if source in self.shapes]
        before = present[0] if present else _shape_told(name, node)
        kind = type(node).__name__
        if kind == "Delay":
            self._note_delay(name, node)
        hands_on = kind == "Delay" or self._is_sum(name, node)
        if len(arriving) == 1 and hands_on and not (self._is_sum(name, node) and self._is_late(arriving[0])):
            self.handed[name], self.shapes[name] = (arriving[0][0], int(kind == "Delay") + arriving[0][1]), before
            return
        if len(arriving) > 1 or hands_on:
            summed = f"{name}.sum" if kind == "Delay" or not hands_on else name
            self._add(summed, Add(), before)
            self.links += [Connection(source, summed, int(late)) for source, late in arriving]
            self.shapes[name] = before
            if hands_on:
                self.last[name] = summed
                if kind == "Delay":
                    self.handed[name] = (summed, 1)
                return
            self.inner.append(Connection(summed, self._take(name, node, before)))
            return
        first = self._take(name, node, before)
        self.links += [Connection(source, first, int(late)) for source, late in arriving]

    def _is_late(self, entry: tuple[str, bool]) -> bool:
        """Whether the only thing that arrives comes a timestep late, which makes even a sum of one a layer."""
        return entry[1] or type(self.wiring.nodes[entry[0]]).__name__ == "Delay"

    def _is_sum(self, name: str, node: Any) -> bool:
        """Whether a node only hands on the sum of what arrives."""
        kinds = [item.get("kind") for item in self.listed.get(name, ())]
        if isinstance(node, Pass) or kinds == ["Add"]:
            return True
        if type(node).__name__ not in ("AvgPool2d", "SumPool2d"):
            return False
        sides = [np.asarray(getattr(node, key)).reshape(-1).tolist() for key in ("kernel_size", "stride", "padding")]
        return [set(each) for each in sides] == [{1}, {1}, {0}]

    def _note_delay(self, name: str, node: Any) -> None:
        steps = np.asarray(node.delay, float) / self.timestep_s
        if not np.allclose(steps, 1.0):
            self.ignored.append(
                f"node '{name}' delays by {steps.flat[0]:g} timesteps, which cannot be run; it is priced as one"
            )

    def _take(self, name: str, node: Any, before: Shape) -> str:
        """Add the layers that a node stands for; returns the name of the first."""
        bits = [self.bits[quantity].get(name, 0) for quantity in ("weight_bits", "membrane_bits")]
        context = Context(self.timestep_s, bool(self.static), bits[0], bits[1], self.has_lines, self.ignored.append)
        operation, shape = layer_of(name, node, before, context)
        if isinstance(operation, Linear) and len(before) > 1:
            flat = self._add(f"{name}.flatten", Flatten(), (math.prod(before),))
            self.inner.append(Connection(flat, name))
        else:
            flat = name
        items = self.listed.get(name)
        layers = [(name, operation)] if items is None else layers_as_trained(name, items, operation, node)
        for number, (own, layer) in enumerate(layers):
            self._add(own, layer, shape)
            if number:
                self.inner.append(Connection(layers[number - 1][0], own))
        self.shapes[name], self.last[name] = shape, layers[-1][0]
        self._store(layers, node)
        return layers[0][0] if flat == name else flat

    def _add(self, name: str, operation: Operation, shape: Shape) -> str:
        self.nodes.append(Node(name, operation, shape))
        return name

    def _store(self, layers: list[tuple[str, Operation]], node: Any) -> None:
        """Weights of a node, for the layers it stands for."""
        name, operation = layers[0]
        if isinstance(operation, PLIF):
            tau = float(np.asarray(node.tau, float).flat[0]) / self.timestep_s
            self.tensors[f"{name}.w"] = np.array(-math.log(tau - 1))
        if isinstance(operation, BatchNorm):
            factors = getattr(node, "scale", None)
            weight = _diagonal(node.weight) if factors is None else _one_a_channel(factors, operation.channels)
            self._store_norm(name, weight, getattr(node, "bias", np.zeros(operation.channels)))
        if not isinstance(operation, Conv2d | Linear):
            return
        weight, bias = np.array(node.weight, np.float64), np.asarray(getattr(node, "bias", 0.0), np.float64)
        if weight.ndim == 3:
            weight = weight[:, :, None]  # along a line, as of one row
        if isinstance(operation, Conv2d):
            weight = middle(weight, pair(operation.kernel_size))
        groups = operation.groups if isinstance(operation, Conv2d) else 1
        self.tensors[f"{name}.weight"] = grouped_kernel(weight, groups) if weight.shape[1] > _fan(operation) else weight
        norms = [own for own, layer in layers[1:] if isinstance(layer, BatchNorm)]
        if operation.bias:
            self.tensors[f"{name}.bias"] = np.zeros(len(weight)) if norms else np.array(bias)
        for number, own in enumerate(norms):
            self._store_norm(own, np.ones(len(weight)), np.zeros_like(bias) if number else bias)

    def _store_norm(self, name: str, weight: NDArray[Any], bias: NDArray[Any]) -> None:
        """A batch norm that multiplies and adds as told: its statistics are those of a standard normal value."""
        channels = len(weight)
        values = {"weight": weight, "bias": np.array(bias, np.float64), "running_mean": np.zeros(channels)}
        values |= {"running_var": np.full(channels, 1 - EPSILON), "num_batches_tracked": np.array(0)}
        self.tensors |= {f"{name}.{quantity}": value for quantity, value in values.items()}


def _reached(wiring: Wiring) -> frozenset[str]:
    """Nodes to which a way leads from an input."""
    targets: dict[str, list[str]] = {}
    for target, arriving in wiring.arriving.items():
        for source, _ in arriving:
            targets.setdefault(source, []).append(target)
    waiting = [name for name, node in wiring.nodes.items() if type(node).__name__ == "Input"]
    reached = set(waiting)
    while waiting:
        new = [target for target in targets.get(waiting.pop(), ()) if target not in reached]
        reached.update(new)
        waiting += new
    return frozenset(reached)


def _is_without_bias(node: Any) -> bool:
    """Whether a node only weighs what arrives."""
    weighs = type(node).__name__ in ("Affine", "Linear", "Conv1d", "Conv2d")
    return weighs and not np.any(np.asarray(getattr(node, "bias", 0.0)))


def _fan(operation: Conv2d | Linear) -> int:
    """Inputs of one output, at one place of the kernel."""
    if isinstance(operation, Conv2d):
        return operation.in_channels // operation.groups
    return operation.in_features


def grouped_kernel(weight: NDArray[Any], groups: int) -> NDArray[Any]:
    """The kernel `[C_out, C_in / groups, k, k]` of a grouped convolution whose dense form is `[C_out, C_in, k, k]`.

    >>> grouped_kernel(np.diag([2.0, 3.0])[:, :, None, None], 2).ravel().tolist()
    [2.0, 3.0]
    """
    outputs, inputs = weight.shape[0] // groups, weight.shape[1] // groups
    parts = [
        weight[group * outputs : (group + 1) * outputs, group * inputs : (group + 1) * inputs]
        for group in range(groups)
    ]
    return np.concatenate(parts)


def _diagonal(weight: Any) -> NDArray[np.float64]:
    """The factor of each channel of a 1 x 1 convolution that only scales."""
    dense = np.array(weight, np.float64)[:, :, 0, 0]
    return dense[:, 0] if dense.shape[1] == 1 else np.diag(dense).copy()


def _one_a_channel(factors: Any, channels: int) -> NDArray[np.float64]:
    flat = np.asarray(factors, np.float64).reshape(-1)
    return np.full(channels, flat[0]) if flat.size % channels else flat.reshape(channels, -1)[:, 0].copy()


def _shape_told(name: str, node: Any) -> Shape:
    """The shape of a node that is reached by what is not computed yet, where the node says it."""
    for quantity in ("v_threshold", "v_leak", "r"):
        shape = np.shape(getattr(node, quantity, 0))
        if len(shape) in (1, 3):
            return tuple(int(side) for side in shape)
    weight = np.shape(getattr(node, "weight", 0))
    if len(weight) == 2:
        return (int(weight[1]),)
    raise BadInputError(f"node '{name}' is reached by feedback only; its input's shape is unknown")
