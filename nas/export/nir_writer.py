"""A deployed network as a file in the Neuromorphic Intermediate Representation (NIR).

How this project's networks are written down, so that other tools compute the same spikes:

- One timestep is `TIMESTEP_S`. A LIF has r = 1 and tau in seconds; its discrete form is v <- v + (x - v) dt / tau. An
  IF has r = 1 / dt, so that v <- v + r x dt = v + x. There is no primitive with an adaptive threshold.
- Every reader knows `Conv2d` and `Affine`; Norse and sinabs know no average pools, sinabs no `Linear`, and none of
  those two a convolution in groups; nir takes all kernels for square. So average pools, grouped convolutions (a
  stand-alone batch norm is one) and kernels along a line (as the middle row of square ones) are written as the dense
  square convolutions that they are, unless a pool's kernel would have over `MOST_DENSE` values, and layers without a
  bias with one of zeros.
- Sums are 1 x 1 convolutions (of vectors: `Affine`) by the identity with several incoming edges: NIR adds what arrives
  at a node. A value that is added twice passes through a second such node.
- The metadata's `layers` name the layers as trained that a node stands for, where NIR does not say: groups, lines,
  batch norms, pools, sums, votes, learned time constants. This project's reader builds and prices those.
- A feedback edge is a plain edge that closes a loop; in discrete time it acts one timestep later, with zero before.
  Readers built on nirtorch cut a loop where a node meets an input that is not computed yet; nodes are therefore stored
  in the order of execution. Where a delayed edge closes no loop, or is all that reaches its target, that would not be
  understood, and a `Delay` node says it explicitly.
- NIR's neurons have float membranes. Where the network's lie in registers of few bits, the metadata say how many by
  layer (`membrane_bits`), which this project's reader follows; other tools compute float ones, so their spikes differ.
- Weights are stored in double precision; those of few bits lie on their levels, and the metadata say how many bits.
  Computed so, a file gives the outputs of the network computed so; in single precision a membrane within rounding of
  its threshold may spike a timestep apart, about once in a thousand samples.
- The answer of the network is the mean of the output over its timesteps; a static input is repeated at each.

Source: Pedersen et al., Neuromorphic Intermediate Representation, Nature Communications 2024; package nir 1.0.8.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, from_numpy
from torch.nn import functional

from hasnas import __version__
from hasnas.files import write_atomic
from hasnas.search_spaces.graph import Connection, LayerGraph, Node
from hasnas.search_spaces.layers import (
    Add,
    AvgPool2d,
    Conv2d,
    Flatten,
    Input,
    Linear,
    Neuron,
    Output,
    SumPool2d,
    layer_to_json,
    pair,
)
from hasnas.search_spaces.nir.primitives import TIMESTEP_S, mean_kernel

from .deploy import Deployed
from .target import NotExpressibleError

if TYPE_CHECKING:
    import nir

MOST_DENSE = 2**22
"""Values of an average pool's dense kernel, 32 MiB, beyond which the pool is written as `AvgPool2d`."""
FLOAT_MEMBRANES = (
    "NIR has no word for membranes of few bits: the file's metadata name their bits, and tools that do not read them "
    "compute float membranes and other spikes"
)


def write_nir(path: Path | str, deployed: Deployed) -> None:
    """Write a network as a NIR file.

    Raises:
        NotExpressibleError: if it holds a layer that NIR has no word for.
        BadInputError: if the file cannot be written.
    """
    write_atomic(path, nir_bytes(deployed))


def nir_bytes(deployed: Deployed) -> bytes:
    """The content of a network's NIR file.

    Raises:
        NotExpressibleError: if it holds a layer that NIR has no word for.
    """
    import nir

    buffer = io.BytesIO()
    with _ordered_groups():
        nir.write(buffer, to_nir(deployed))
    return buffer.getvalue()


def to_nir(deployed: Deployed) -> nir.NIRGraph:
    """A network as NIR's graph object, nodes in the order of execution.

    Raises:
        NotExpressibleError: if it holds a layer that NIR has no word for.
    """
    import nir

    graph = deployed.graph
    nodes: dict[str, Any] = {}
    edges: list[tuple[str, str]] = []
    recurrent: list[tuple[str, str]] = []
    for node in graph.nodes:
        nodes[node.name] = _primitive(node, deployed, _shape_before(graph, node))
    for link in graph.connections:
        route = _route(link, graph, nodes, edges)
        edges.extend(route)
        if link.delay and _is_understood_as_recurrent(link, graph):
            recurrent.append(route[-1])
    metadata = {
        "generator": f"hasnas {__version__}",
        "timestep_s": TIMESTEP_S,
        "timesteps": graph.timesteps,
        "static_input": graph.takes_static,
        "readout": "mean of the output over all timesteps",
        "recurrent_edges": json.dumps(recurrent),
        "recurrent_edge_semantics": "the source's value of the timestep before; zero at the first timestep",
    }
    metadata["layers"] = json.dumps(_layers_as_trained(deployed, nodes))
    for quantity in ("weight_bits", "membrane_bits"):
        bits = {node.name: getattr(node.operation, quantity, 0) for node in graph.nodes}
        if any(bits.values()):
            metadata[quantity] = json.dumps({name: count for name, count in bits.items() if count})
    return nir.NIRGraph(_in_order(nodes, edges), edges, metadata=metadata)


def _layers_as_trained(deployed: Deployed, primitives: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """By primitive, the layers that it stands for, where it does not say so itself."""
    listed: dict[str, list[dict[str, Any]]] = {}
    for node in deployed.graph.nodes:
        layers = deployed.origins.get(node.name, (node,))
        counts = isinstance(node.operation, Input) and node.operation.largest_count > 0
        if layers != (node,) or isinstance(node.operation, Conv2d | Linear | AvgPool2d) or counts:
            listed[node.name] = [
                {"name": layer.name, "kind": type(layer.operation).__name__, **layer_to_json(layer.operation)}
                for layer in layers
            ]
    graph = {node.name: node for node in deployed.graph.nodes}
    for name, primitive in primitives.items():
        is_sum = name not in graph or isinstance(graph[name].operation, Add)
        if is_sum and type(primitive).__name__ != "Delay":
            listed[name] = [{"name": name, "kind": "Add"}]
    return listed


def _route(
    link: Connection, graph: LayerGraph, nodes: dict[str, Any], edges: list[tuple[str, str]]
) -> list[tuple[str, str]]:
    """The edges that stand for a connection; what has to lie between its ends is added to `nodes`."""
    import nir

    source = graph.node(link.source)
    if link.delay and not _is_understood_as_recurrent(link, graph):
        between: Any = nir.Delay(np.full(source.shape, TIMESTEP_S))
    elif (link.source, link.target) in edges or link.source == link.target:
        between = _sum_of(source)
    else:
        return [(link.source, link.target)]
    number = 1
    while (name := f"{link.source}.to.{link.target}.{number}") in nodes:
        number += 1
    nodes[name] = between
    return [(link.source, name), (name, link.target)]


def _in_order(nodes: dict[str, Any], edges: list[tuple[str, str]]) -> dict[str, Any]:
    """The nodes in the order of execution: those between two layers, which come last, right behind their sources."""
    order = list(nodes)
    for name in [name for name in order if ".to." in name]:
        source = next(source for source, target in edges if target == name)
        order.remove(name)
        order.insert(order.index(source) + 1, name)
    return {name: nodes[name] for name in order}


def _is_understood_as_recurrent(link: Connection, graph: LayerGraph) -> bool:
    """Whether a reader that cuts loops at values not computed yet delays exactly this connection."""
    has_other = any(not other.delay for other in graph.inputs(link.target))
    return has_other and _reaches(graph, link.target, link.source)


def _reaches(graph: LayerGraph, start: str, goal: str) -> bool:
    """Whether a value passes from `start` to `goal` within a timestep."""
    reached = {start}
    for node in graph.nodes:
        if any(not link.delay and link.source in reached for link in graph.inputs(node.name)):
            reached.add(node.name)
    return goal in reached


def _primitive(node: Node, deployed: Deployed, before: tuple[int, ...]) -> Any:
    """The NIR primitive of a layer."""
    import nir

    match node.operation:
        case Input():
            return nir.Input(np.array(node.shape))
        case Output():
            return nir.Output(np.array(node.shape))
        case Conv2d(_, _, _, stride, padding, groups, _):
            weight = dense_kernel(deployed.tensors[f"{node.name}.weight"], groups)
            weight, around = square_kernel(weight, pair(padding))
            bias = _bias_of(node, deployed, len(weight))
            return nir.Conv2d((before[1], before[2]), weight.numpy(), pair(stride), around, 1, 1, bias)
        case Linear():
            matrix = deployed.tensors[f"{node.name}.weight"].numpy()
            return nir.Affine(matrix, _bias_of(node, deployed, len(matrix)))
        case Neuron():
            word = node.operation.to_nir(node.shape, TIMESTEP_S)
            if word is not None:
                return word
        case AvgPool2d(kernel, stride, padding):
            if isinstance(node.operation, SumPool2d):
                return nir.SumPool2d(*(np.array(pair(sides)) for sides in (kernel, stride, padding)))
            return _pool(before, pair(kernel), pair(stride), pair(padding))
        case Flatten():
            # Counted from the end, so that readers agree whether or not they carry a batch axis.
            return nir.Flatten(np.array(before), -len(before), -1)
        case Add():
            return _sum_of(node)
    kind = node.operation.described if isinstance(node.operation, Neuron) else type(node.operation).__name__
    raise NotExpressibleError(
        f"layer '{node.name}': NIR has no word for {kind}; export as json and safetensors instead"
    )


def _pool(before: tuple[int, ...], window: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int]) -> Any:
    """An average pool as the convolution that it is; as a pool where its kernel would be huge, or cannot be square."""
    import nir

    channels, height, width = before
    if channels**2 * max(window) ** 2 <= MOST_DENSE:
        kernel, around = square_kernel(from_numpy(mean_kernel(channels, window)), padding)
        if kernel.shape[2] == kernel.shape[3]:
            return nir.Conv2d((height, width), kernel.numpy(), stride, around, 1, 1, np.zeros(channels))
    return nir.AvgPool2d(np.array(window), np.array(stride), np.array(padding))


def _sum_of(node: Node) -> Any:
    """A primitive that hands on the sum of what arrives."""
    import nir

    if len(node.shape) == 1:
        return nir.Affine(np.eye(node.shape[0]), np.zeros(node.shape[0]))
    channels, height, width = node.shape
    return nir.Conv2d((height, width), mean_kernel(channels, (1, 1)), 1, 0, 1, 1, np.zeros(channels))


def _bias_of(node: Node, deployed: Deployed, outputs: int) -> NDArray[np.float64]:
    bias = deployed.tensors.get(f"{node.name}.bias")
    return np.zeros(outputs) if bias is None else bias.numpy()


def _shape_before(graph: LayerGraph, node: Node) -> tuple[int, ...]:
    links = graph.inputs(node.name)
    return graph.node(links[0].source).shape if links else node.shape


def dense_kernel(weight: Tensor, groups: int) -> Tensor:
    """The kernel of an ungrouped convolution that computes the same.

    Args:
        weight: `[C_out, C_in / groups, k, k]`.
        groups: number of groups.

    Returns:
        `[C_out, C_in, k, k]`, zero between groups.

    >>> import torch
    >>> dense_kernel(torch.tensor([2.0, 3.0]).reshape(2, 1, 1, 1), groups=2)[:, :, 0, 0].tolist()
    [[2.0, 0.0], [0.0, 3.0]]
    """
    if groups == 1:
        return weight
    outputs, inputs, *window = weight.shape
    dense = weight.new_zeros(outputs, inputs * groups, *window)
    for group in range(groups):
        rows = slice(group * outputs // groups, (group + 1) * outputs // groups)
        dense[rows, group * inputs : (group + 1) * inputs] = weight[rows]
    return dense


def square_kernel(weight: Tensor, padding: tuple[int, int]) -> tuple[Tensor, tuple[int, int]]:
    """The square kernel of a convolution that computes the same, zero around the given one, and its padding.

    Args:
        weight: `[C_out, C_in, height, width]`.
        padding: zeros beside the map, down and across.

    >>> import torch
    >>> weight, padding = square_kernel(torch.ones(1, 1, 1, 3), (0, 1))
    >>> weight[0, 0].tolist(), padding
    ([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0], [0.0, 0.0, 0.0]], (1, 1))
    """
    side = max(weight.shape[2:])
    more = [side - own for own in weight.shape[2:]]
    if any(count % 2 for count in more):
        return weight, padding
    down, across = (count // 2 for count in more)
    return functional.pad(weight, (across, across, down, down)), (padding[0] + down, padding[1] + across)


@contextmanager
def _ordered_groups() -> Iterator[None]:
    """HDF5 groups that keep the order in which their members were made; otherwise readers see them sorted by name."""
    import h5py

    settings = h5py.get_config()
    before = settings.track_order
    settings.track_order = True
    try:
        yield
    finally:
        settings.track_order = before
