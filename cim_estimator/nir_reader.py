"""Reads a network in the Neuromorphic Intermediate Representation (NIR) as a workload, without torch."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hasnas.errors import BadInputError

from .workload.workload import LayerSpec, Workload

_NEURONS = ("LIF", "IF", "CubaLIF", "LI", "CubaLI", "I", "Threshold")
_SILENT = ("Flatten", "Output", "Delay")
_SPIKE_BITS = 1
Shape = tuple[int, ...]
Edge = tuple[str, str]


def read_nir(path: Path | str, timesteps: int | None = None, input_bits: int = 8) -> Workload:
    """The workload of a NIR file.

    Edges that meet at a node are summed, as NIR defines. An edge that closes a loop, or passes a `Delay` node, acts one
    timestep later. Shapes that the file leaves open follow from those before them.

    Args:
        path: the file.
        timesteps: T of a sample, for files that do not say.
        input_bits: bits of the network's input values; 1 for spikes.

    Returns:
        The layers; the bits of their weights where the file's metadata name them, else as the hardware says.

    Raises:
        BadInputError: if the file cannot be read, or holds a node that cannot be priced; file and node are named.
    """
    import nir

    try:
        graph = nir.read(str(path), type_check=False)
    except FileNotFoundError as error:
        raise BadInputError(f"cannot read {path}: there is no such file; check the path") from error
    except Exception as error:  # h5py and nir raise whatever comes: OSError, KeyError, ValueError, AssertionError
        raise BadInputError(f"{path} is not a readable NIR file ({error}); export it anew") from error
    if not isinstance(graph, nir.NIRGraph):
        raise BadInputError(f"{path} holds a single NIR node; give a graph with an input and an output")
    try:
        return nir_workload(graph, timesteps, input_bits)
    except BadInputError as error:
        raise BadInputError(f"{path}: {error}") from error


def nir_workload(graph: Any, timesteps: int | None = None, input_bits: int = 8) -> Workload:
    """The workload of a NIR graph; see `read_nir`."""
    metadata = graph.metadata or {}
    steps = timesteps or int(np.asarray(metadata.get("timesteps", 0)).reshape(()))
    if steps < 1:
        raise BadInputError("the file does not say how many timesteps a sample has; pass timesteps=...")
    static = bool(np.asarray(metadata.get("static_input", False)).reshape(()))
    walk = _Walk(graph.nodes, _edges(graph), steps, input_bits, static)
    walk.bits = {quantity: bits_of(metadata, quantity) for quantity in ("weight_bits", "membrane_bits")}
    layers = walk.layers()
    if not layers:
        raise BadInputError("the graph has no layer that costs anything; is it the right file?")
    return Workload.from_layers(layers, steps)


def bits_of(metadata: Mapping[str, Any], quantity: str) -> dict[str, int]:
    """Bits of weights or membranes by layer, as this project's files say in their metadata; empty if a file does not.

    Args:
        metadata: of the graph.
        quantity: `"weight_bits"` or `"membrane_bits"`.

    Raises:
        BadInputError: if the entry is not a mapping of names to whole numbers.

    >>> bits_of({"weight_bits": '{"conv": 4}'}, "weight_bits")
    {'conv': 4}
    """
    text = str(np.asarray(metadata.get(quantity, "{}")).reshape(()))
    try:
        return {str(name): int(bits) for name, bits in json.loads(text).items()}
    except (AttributeError, TypeError, ValueError) as error:
        raise BadInputError(f'metadata {quantity} is {text!r:.60}; write it like {{"conv": 4}}') from error


@dataclass(frozen=True)
class _Edges:
    """Who feeds whom: at once, and one timestep later."""

    now: Mapping[str, tuple[str, ...]]
    later: Mapping[str, tuple[str, ...]]
    order: tuple[str, ...]


@dataclass
class _Value:
    """What leaves a node."""

    shape: Shape
    bits: int
    level: int
    static: bool


def _edges(graph: Any) -> _Edges:
    listed = json.loads(str(np.asarray((graph.metadata or {}).get("recurrent_edges", "[]")).reshape(())))
    delayed = {(source, target) for source, target in listed}
    delayed |= {edge for edge in graph.edges if type(graph.nodes.get(edge[0])).__name__ == "Delay"}
    for edge in graph.edges:
        for name in edge:
            if name not in graph.nodes:
                raise BadInputError(f"an edge names the node '{name}', which does not exist")
    sources: dict[str, list[str]] = {name: [] for name in graph.nodes}
    for source, target in graph.edges:
        sources[target].append(source)
    order = _order(graph.nodes, sources, delayed)
    place = {name: index for index, name in enumerate(order)}
    later = {edge for edge in graph.edges if edge in delayed or place[edge[0]] >= place[edge[1]]}
    return _Edges(
        {name: tuple(source for source in sources[name] if (source, name) not in later) for name in order},
        {name: tuple(source for source in sources[name] if (source, name) in later) for name in order},
        order,
    )


def _order(nodes: Mapping[str, Any], sources: Mapping[str, list[str]], delayed: set[Edge]) -> tuple[str, ...]:
    """Execution order; where a loop does not say which edge waits, the first waiting node goes ahead of its inputs."""
    waiting = {name: {source for source in sources[name] if (source, name) not in delayed} for name in nodes}
    order: list[str] = []
    while waiting:
        ready = [name for name, needed in waiting.items() if not needed & waiting.keys()]
        if not ready:
            reached = [name for name in waiting if any(source in order for source in sources[name])]
            ready = [(reached or list(waiting))[0]]
        order.extend(ready)
        for name in ready:
            del waiting[name]
    return tuple(order)


class _Walk:
    """Walks the graph in execution order and writes one layer for each node that costs something."""

    def __init__(self, nodes: Mapping[str, Any], edges: _Edges, steps: int, input_bits: int, static: bool) -> None:
        self.nodes, self.edges, self.steps = nodes, edges, steps
        self.input_bits, self.static = input_bits, static
        self.bits: dict[str, dict[str, int]] = {}
        self.values: dict[str, _Value] = {}
        self.written: list[LayerSpec] = []

    def layers(self) -> list[LayerSpec]:
        """The layers in the order of execution."""
        for name in self.edges.order:
            kind = type(self.nodes[name]).__name__
            if kind == "Input":
                shape = _shape(self.nodes[name].input_type["input"])
                self.values[name] = _Value(shape, self.input_bits, 0, self.static)
            elif self.edges.now[name] or self.edges.later[name]:
                self.values[name] = self._after(name, kind, self._arriving(name))
        return self.written

    def _arriving(self, name: str) -> _Value:
        """What reaches a node: its inputs summed."""
        present = [self.values[source] for source in self.edges.now[name] if source in self.values]
        if not present:
            raise BadInputError(f"node '{name}' is reached by feedback only; its input's shape is unknown")
        first = present[0]
        operands = len(present) + len(self.edges.later[name])
        if operands == 1:
            return first
        level = max(value.level for value in present) + 1
        static = all(value.static for value in present) and not self.edges.later[name]
        summed = _Value(first.shape, max(value.bits for value in present), level, static)
        channels, height, width = _map(first.shape)
        self._write(
            f"{name}.sum", "add", summed, in_channels=operands * channels, out_channels=channels,
            in_size=(height, width), out_size=(height, width), delay=len(self.edges.later[name]),
        )  # fmt: skip
        return _Value(first.shape, 8, level, static)

    def _after(self, name: str, kind: str, before: _Value) -> _Value:
        node = self.nodes[name]
        here = _Value(before.shape, before.bits, before.level + 1, before.static)
        if kind in _SILENT:
            shape = (math.prod(before.shape),) if kind == "Flatten" else before.shape
            return _Value(shape, before.bits, before.level, before.static and kind != "Delay")
        if kind in _NEURONS:
            here.static = False
            self._pointwise(name, "lif", here)
            return _Value(before.shape, _SPIKE_BITS, here.level, False)
        if kind == "Scale":
            self._pointwise(name, "scale", here)
            return _Value(before.shape, 8, here.level, here.static)
        if kind in ("Affine", "Linear"):
            return self._matrix(name, node, here)
        if kind in ("AvgPool2d", "SumPool2d"):
            return self._pool(name, node, here)
        if kind == "Conv2d":
            return self._convolution(name, node, here)
        known = "Input, Output, Conv2d, Affine, Linear, Scale, AvgPool2d, SumPool2d, Flatten, Delay, neurons"
        raise BadInputError(f"node '{name}' is a {kind}, which cannot be priced; known: {known}")

    def _pointwise(self, name: str, kind: str, here: _Value) -> None:
        channels, height, width = _map(here.shape)
        size = (height, width)
        self._write(name, kind, here, in_channels=channels, out_channels=channels, in_size=size, out_size=size)

    def _matrix(self, name: str, node: Any, here: _Value) -> _Value:
        outputs, inputs = np.asarray(node.weight).shape
        if math.prod(here.shape) != inputs:
            raise BadInputError(f"node '{name}' takes {inputs} values, but {math.prod(here.shape)} arrive")
        self._write(
            name, "linear", here, in_channels=inputs, out_channels=outputs, biases=outputs if _has_bias(node) else 0
        )
        return _Value((outputs,), 8, here.level, here.static)

    def _convolution(self, name: str, node: Any, here: _Value) -> _Value:
        outputs, per_group, height, width = np.asarray(node.weight).shape
        if height != width:
            raise BadInputError(f"node '{name}' has a kernel of {height} x {width}; only square kernels can be priced")
        inputs, size = here.shape[0], here.shape[1:]
        groups = int(np.asarray(node.groups).reshape(()))
        if len(here.shape) != 3 or inputs != per_group * groups:
            raise BadInputError(f"node '{name}' takes {per_group * groups} channels, but {here.shape} arrives")
        stride, dilation = _side(name, node.stride), _side(name, node.dilation)
        after = tuple(
            _output_side(side, height, stride, node.padding, dilation, axis) for axis, side in enumerate(size)
        )
        self._write(
            name, "conv", here, in_channels=inputs, out_channels=outputs, kernel_size=height, stride=stride,
            groups=groups, in_size=(size[0], size[1]), out_size=(after[0], after[1]),
            biases=outputs if _has_bias(node) else 0,
        )  # fmt: skip
        return _Value((outputs, *after), 8, here.level, here.static)

    def _pool(self, name: str, node: Any, here: _Value) -> _Value:
        window, stride = _side(name, node.kernel_size), _side(name, node.stride)
        if window == 1 and stride == 1:  # a plain sum of what arrives
            return _Value(here.shape, here.bits, here.level - 1, here.static)
        channels, *size = here.shape
        after = tuple(_output_side(side, window, stride, node.padding, 1, axis) for axis, side in enumerate(size))
        self._write(
            name, "pool", here, in_channels=channels, out_channels=channels, kernel_size=window, stride=stride,
            in_size=(size[0], size[1]), out_size=(after[0], after[1]),
        )  # fmt: skip
        bits = math.ceil(math.log2(window**2 + 1)) if here.bits == _SPIKE_BITS else here.bits
        return _Value((channels, *after), bits, here.level, here.static)

    def _write(self, name: str, kind: str, here: _Value, **geometry: Any) -> None:
        runs = 1 if here.static else self.steps
        spec = {"name": name, "evaluations": runs, "input_bits": here.bits, "level": here.level, **geometry}
        spec |= {quantity: by_name.get(name, 0) for quantity, by_name in self.bits.items()}
        self.written.append(LayerSpec(kind, **spec))


def _map(shape: Shape) -> tuple[int, int, int]:
    return (shape[0], shape[1], shape[2]) if len(shape) == 3 else (math.prod(shape), 1, 1)


def _shape(value: Any) -> Shape:
    return tuple(int(side) for side in np.asarray(value).reshape(-1))


def _side(name: str, value: Any) -> int:
    sides = {int(side) for side in np.asarray(value).reshape(-1)}
    if len(sides) != 1:
        raise BadInputError(f"node '{name}' has sides {sorted(sides)}; only square windows can be priced")
    return sides.pop()


def _output_side(side: int, window: int, stride: int, padding: Any, dilation: int, axis: int) -> int:
    if isinstance(padding, str):
        return -(-side // stride) if padding == "same" else (side - dilation * (window - 1) - 1) // stride + 1
    around = np.asarray(padding).reshape(-1)
    pad = int(around[axis % len(around)])
    return (side + 2 * pad - dilation * (window - 1) - 1) // stride + 1


def _has_bias(node: Any) -> bool:
    bias = getattr(node, "bias", None)
    return bias is not None and bool(np.any(np.asarray(bias) != 0))
