"""What is connected to what, and by which weight: layers between two layers of neurons, multiplied out.

A layer without neurons is a sparse matrix [outputs, inputs]. Between two layers of neurons stand products of such
matrices: an average pool in front of a convolution, a depthwise convolution in front of a pointwise one. A synapse
exists where the layers connect, also where its weight is zero: it takes a cell.

Values travel as packets, too, where no neurons stand between: sums of crossbars that a further crossbar or an average
reads, and what is fed back without meeting neurons. Such layers count as neurons that send whatever is not zero;
multiplied out, a few of them in a row would make windows as wide as the map.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, eye

from hasnas.errors import BadInputError
from hasnas.search_spaces.graph import LayerGraph, Node
from hasnas.search_spaces.layers import (
    Add,
    AvgPool2d,
    BatchNorm,
    Conv2d,
    Dropout,
    Flatten,
    Input,
    Linear,
    MaxPool2d,
    Neuron,
    Output,
    Sides,
    SumPool2d,
    Vote,
    pair,
)

Weights = NDArray[np.float32]


@dataclass(frozen=True)
class Synapses:
    """All synapses from one layer of neurons to another.

    Args:
        source: layer of neurons, or the input.
        target: layer of neurons, or the output.
        weights: shape `[neurons of target, neurons of source]`.
    """

    source: str
    target: str
    weights: csr_matrix


def synapses_of(graph: LayerGraph, tensors: Mapping[str, Weights], by_channel: bool = False) -> Iterator[Synapses]:
    """The synapses of a deployed network, target by target; those of loops stand with the others.

    Args:
        graph: as deployed, see `hasnas.nas.export.deploy`.
        tensors: `<layer>.weight` of its layers.
        by_channel: whether a channel of maps is one neuron; its weight is then the mean magnitude over the kernel.

    Raises:
        BadInputError: for a layer that is not of a deployed network.
    """
    layers = sending_layers(graph)
    walk = _Walk(graph, tensors, by_channel, frozenset(layers))
    for node in graph.nodes:
        if (node.name in layers and not isinstance(node.operation, Input)) or isinstance(node.operation, Output):
            yield from (Synapses(source, node.name, weights) for source, weights in walk.into(node).items())
            walk.forget_all_but_readers_after(node.name)


def sending_layers(graph: LayerGraph) -> tuple[str, ...]:
    """Layers whose values are sent as packets: inputs, neurons, and what a crossbar gives that is read as a value."""
    fed_back, readers = _fed_back(graph), {node.name: list[Node]() for node in graph.nodes}
    for link in graph.connections:
        readers[link.source].append(graph.node(link.target))
    found: list[str] = []
    summed: set[str] = set()  # layers whose values come out of crossbars
    for node in graph.nodes:
        if isinstance(node.operation, Input | Neuron) or node.name in fed_back:
            found.append(node.name)
            continue
        sources = {link.source for link in graph.inputs(node.name)}
        if not (_on_crossbar(node) or sources & summed):
            continue
        if any(_reads_values(graph, reader) for reader in readers[node.name]):
            found.append(node.name)
        else:
            summed.add(node.name)
    return tuple(found)


def _on_crossbar(node: Node) -> bool:
    operation = node.operation
    by_element = isinstance(operation, Conv2d) and operation.kernel_size == 1 and operation.groups > 1
    return isinstance(operation, Conv2d | Linear) and not by_element


def _reads_values(graph: LayerGraph, node: Node) -> bool:
    """Whether a layer weighs or averages what it reads; an average in front of neurons alone is part of their sum."""
    if isinstance(node.operation, AvgPool2d | MaxPool2d):
        behind = [graph.node(link.target).operation for link in graph.connections if link.source == node.name]
        strides, windows = pair(node.operation.stride), pair(node.operation.kernel_size)
        apart = all(stride >= window for stride, window in zip(strides, windows, strict=True))
        return not (apart and all(isinstance(operation, Neuron) for operation in behind))
    return _on_crossbar(node) or isinstance(node.operation, Vote)


def _fed_back(graph: LayerGraph) -> set[str]:
    """Layers whose values come back to them a timestep later without meeting neurons."""
    import networkx as nx

    silent = {node.name for node in graph.nodes if not isinstance(node.operation, Input | Neuron)}
    links = [link for link in graph.connections if {link.source, link.target} <= silent]
    loops = nx.DiGraph()
    loops.add_edges_from((link.source, link.target) for link in links)
    part = {name: number for number, names in enumerate(nx.strongly_connected_components(loops)) for name in names}
    return {link.source for link in links if link.delay and part[link.source] == part[link.target]}


def size_of(node: Node, by_channel: bool) -> int:
    """Neurons of a layer."""
    return node.shape[0] if by_channel else node.size


class _Walk:
    """What each layer hears of the layers of neurons before it; matrices are kept while somebody may ask for them."""

    def __init__(
        self, graph: LayerGraph, tensors: Mapping[str, Weights], by_channel: bool, senders: frozenset[str]
    ) -> None:
        self.graph, self.tensors, self.by_channel, self.senders = graph, tensors, by_channel, senders
        self.known: dict[str, dict[str, csr_matrix]] = {}
        position = {node.name: index for index, node in enumerate(graph.nodes)}
        self.last = {name: 0 for name in position}
        for link in graph.connections:
            self.last[link.source] = max(self.last[link.source], position[link.target])
        self.position = position

    def arriving(self, name: str) -> dict[str, csr_matrix]:
        """By layer of neurons, what a layer's inputs are as a sum over that layer."""
        found: dict[str, csr_matrix] = {}
        for link in self.graph.inputs(name):
            for source, weights in self._result(link.source).items():
                found[source] = found[source] + weights if source in found else weights
        return found

    def into(self, node: Node) -> dict[str, csr_matrix]:
        """By layer of neurons, what a sending layer sums; neurons and outputs sum what comes as it is."""
        arriving = self.arriving(node.name)
        return arriving if isinstance(node.operation, Neuron | Output) else self._through(node, arriving)

    def forget_all_but_readers_after(self, name: str) -> None:
        """Drop the matrices of layers that nobody behind `name` reads."""
        self.known = {kept: found for kept, found in self.known.items() if self.last[kept] > self.position[name]}

    def _result(self, name: str) -> dict[str, csr_matrix]:
        if name not in self.known:
            node = self.graph.node(name)
            if name in self.senders:
                return {name: eye(size_of(node, self.by_channel), dtype=np.float32, format="csr")}
            self.known[name] = self._through(node, self.arriving(name))
        return self.known[name]

    def _through(self, node: Node, arriving: dict[str, csr_matrix]) -> dict[str, csr_matrix]:
        operation = node.operation
        if isinstance(operation, Add | Dropout) or (isinstance(operation, Flatten) and not self.by_channel):
            return arriving
        shape = self.graph.node(self.graph.inputs(node.name)[0].source).shape
        matrix = layer_matrix(node, shape, self.tensors.get(f"{node.name}.weight"), self.by_channel)
        return {source: (matrix @ weights).tocsr() for source, weights in arriving.items()}


def layer_matrix(
    node: Node,
    shape: tuple[int, ...],
    weight: NDArray[np.floating] | None,
    by_channel: bool = False,
    dtype: type[np.floating] = np.float32,
) -> csr_matrix:
    """A layer without neurons as a matrix `[outputs, inputs]`; a maximum pool counts as the sum of its window.

    Args:
        node: the layer.
        shape: of its input.
        weight: of convolutions and fully connected layers.
        by_channel: whether a channel is one neuron.
        dtype: of the matrix.

    Raises:
        BadInputError: for a layer that has no such matrix, or whose weight is missing.
    """
    match node.operation:
        case Conv2d() as conv:
            kernel = _needed(node, weight, dtype)
            if by_channel:
                mean = np.abs(kernel).mean(axis=(2, 3))
                return _windows(node, shape, 1, 0, mean[:, :, None, None], conv.groups, flat=True)
            return _windows(node, shape, conv.stride, conv.padding, kernel, conv.groups)
        case Linear():
            return _dense(_needed(node, weight, dtype))
        case AvgPool2d(_, stride, padding) | MaxPool2d(_, stride, padding):
            averages = isinstance(node.operation, AvgPool2d) and not isinstance(node.operation, SumPool2d)
            share = 1 / node.operation.places if averages else 1.0
            if by_channel:
                return eye(shape[0], dtype=np.float32, format="csr")
            kernel = np.full((shape[0], 1, *pair(node.operation.kernel_size)), share, dtype)
            return _windows(node, shape, stride, padding, kernel, shape[0])
        case Flatten():
            channel = np.repeat(np.arange(shape[0]), node.size // shape[0])
            ones = np.ones(node.size, np.float32)
            return csr_matrix((ones, (np.arange(node.size), channel)), (node.size, shape[0]))
        case Vote(votes):
            return _dense(np.repeat(np.eye(node.size, dtype=np.float32), votes, axis=1) / np.float32(votes))
        case BatchNorm():
            raise BadInputError(f"layer '{node.name}' is a batch norm by itself; deploy the network first")
    raise BadInputError(f"layer '{node.name}' ({type(node.operation).__name__}) has no synapses")


def _needed(node: Node, weight: NDArray[np.floating] | None, dtype: type[np.floating]) -> NDArray[np.floating]:
    if weight is None:
        raise BadInputError(f"the weights lack tensor '{node.name}.weight'; they belong to another network")
    return np.asarray(weight, dtype)


def _dense(weight: NDArray[np.floating]) -> csr_matrix:
    outputs, inputs = weight.shape
    ends = np.tile(np.arange(inputs, dtype=np.int32), outputs)
    return csr_matrix((weight.ravel(), ends, np.arange(outputs + 1) * inputs), weight.shape)


def _windows(
    node: Node,
    shape: tuple[int, ...],
    stride: Sides,
    padding: Sides,
    kernel: NDArray[np.floating],
    groups: int,
    flat: bool = False,
) -> csr_matrix:
    """A convolution: output (o, y, x) hears input (i, y * stride + dy - padding, x * stride + dx - padding)."""
    height, width = (1, 1) if flat else shape[1:]
    rows, columns = (1, 1) if flat else node.shape[1:]
    outputs, ins = kernel.shape[0], kernel.shape[1]
    (down, across), (above, beside) = pair(stride), pair(padding)
    out_of_group = outputs // groups
    o, i, dy, dx = (axis.ravel() for axis in np.indices(kernel.shape, np.int32))
    channel = i + (o // out_of_group) * ins
    y, x = (axis.ravel() for axis in np.indices((rows, columns), np.int32))
    at_y = y[:, None] * down + dy - above  # [positions, taps]
    at_x = x[:, None] * across + dx - beside
    inside = (at_y >= 0) & (at_y < height) & (at_x >= 0) & (at_x < width)
    output = (o * (rows * columns) + np.arange(rows * columns, dtype=np.int32)[:, None])[inside]
    source = (channel * (height * width) + at_y * width + at_x)[inside]
    values = np.broadcast_to(kernel.ravel(), inside.shape)[inside]
    return csr_matrix((values, (output, source)), (outputs * rows * columns, shape[0] * height * width))
