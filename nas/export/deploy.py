"""What is left of a trained network when it is deployed.

Weights are quantised, batch norm is folded, dropout is gone, the vote is a fixed matrix, learned time constants are
fixed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from hasnas.errors import BadInputError
from hasnas.search_spaces.graph import Connection, LayerGraph, Node
from hasnas.search_spaces.layers import BatchNorm, Conv2d, Dropout, Linear, Neuron, Operation, Vote
from hasnas.search_spaces.network import SpikingNetwork
from hasnas.search_spaces.nir.reader import EPSILON
from hasnas.search_spaces.quantization import quantise


@dataclass(frozen=True)
class Deployed:
    """A graph without training-time layers, and its weights.

    Args:
        graph: convolutions, fully connected layers, neurons, pools and sums only.
        tensors: `<layer>.weight` and `<layer>.bias`, float64, so that folding loses nothing.
        origins: layer -> the layers as trained that it stands for, where these are others.
    """

    graph: LayerGraph
    tensors: dict[str, Tensor]
    origins: Mapping[str, tuple[Node, ...]] = field(default_factory=dict)

    def network(self, dtype: torch.dtype = torch.float32) -> SpikingNetwork:
        """The graph as a module with these weights, in evaluation mode."""
        with torch.random.fork_rng():
            network = SpikingNetwork(self.graph).to(dtype)
        floats = {name: tensor.to(dtype) for name, tensor in self.tensors.items() if tensor.is_floating_point()}
        network.load_state_dict({**self.tensors, **floats})
        return network.eval()

    @property
    def has_short_membranes(self) -> bool:
        """Whether membranes lie in registers of few bits."""
        return any(getattr(node.operation, "membrane_bits", 0) for node in self.graph.nodes)

    def with_float_membranes(self) -> Deployed:
        """The same with float membranes, as tools compute it that know no others."""
        nodes = []
        for node in self.graph.nodes:
            operation = node.operation
            if isinstance(operation, Neuron):
                operation = operation.with_membrane_bits(0)
            nodes.append(replace(node, operation=operation))
        return replace(self, graph=replace(self.graph, nodes=tuple(nodes)))


def deploy(graph: LayerGraph, state: Mapping[str, Tensor]) -> Deployed:
    """Fold a trained network into what a chip or another tool runs.

    With batch norm's y = (x - m) / sqrt(v + eps) * g + b, a layer W x + c before it becomes

        W' = s W,    c' = s (c - m) + b,    s = g / sqrt(v + eps)

    in double precision. A batch norm that follows no layer of its own becomes a 1 x 1 convolution of one channel to
    one channel. The mean over votes becomes a fixed fully connected layer.

    Weights of few bits are quantised first, as in training, and folded then: s only scales the levels of a column, so
    the cells hold the same codes as before, W' has as many levels as W, and quantising W' again changes nothing. Batch
    norms that become layers and the vote keep float weights.

    Args:
        graph: the network as trained.
        state: its `state_dict`.

    Raises:
        BadInputError: if the state lacks a tensor of the graph.
    """
    builder = _Builder(graph, {name: tensor.detach().cpu().double() for name, tensor in state.items()})
    for node in graph.nodes:
        builder.add(node)
    deployed = LayerGraph(tuple(builder.nodes), builder.connections(), graph.timesteps)
    origins = {name: tuple(layers) for name, layers in builder.origins.items()}
    return Deployed(deployed, builder.tensors, origins)


@dataclass
class _Builder:
    graph: LayerGraph
    state: Mapping[str, Tensor]
    nodes: list[Node] = field(default_factory=list)
    tensors: dict[str, Tensor] = field(default_factory=dict)
    origins: dict[str, list[Node]] = field(default_factory=dict)
    gone: dict[str, Connection] = field(default_factory=dict)  # a layer that disappears -> the only input it had

    def add(self, node: Node) -> None:
        match node.operation:
            case BatchNorm() if self._follows_a_layer_of_its_own(node):
                self._fold_into_source(node)
            case BatchNorm() if len(node.shape) == 1:
                raise BadInputError(
                    f"layer '{node.name}' is a batch norm of vectors that follows no Linear of its own, which no "
                    "crossbar holds; put it behind one"
                )
            case BatchNorm(channels):
                scale, shift = self._affine(node.name)
                kernel = Conv2d(channels, channels, 1, groups=channels, bias=True)
                self._keep(node, kernel, scale.reshape(channels, 1, 1, 1), shift)
            case Dropout() | Vote(1, span=0):
                self.gone[node.name] = self.graph.inputs(node.name)[0]
            case Vote(votes, span):
                classes = node.shape[0]
                matrix = torch.eye(classes, dtype=torch.float64).repeat_interleave(votes, dim=1) * (span or 1) / votes
                bias = torch.full((classes,), -span / 2, dtype=torch.float64) if span else None
                self._keep(node, Linear(classes * votes, classes, bias=bool(span)), matrix, bias)
            case Neuron():
                self._keep(node, node.operation.fixed(lambda name: self._tensor(f"{node.name}.{name}")))
            case Conv2d(bias=bias, weight_bits=bits) | Linear(bias=bias, weight_bits=bits):
                weight = quantise(self._tensor(f"{node.name}.weight"), bits)
                self._keep(node, node.operation, weight, self._tensor(f"{node.name}.bias") if bias else None)
            case _:
                self._keep(node, node.operation)

    def _keep(self, node: Node, operation: Operation, weight: Tensor | None = None, bias: Tensor | None = None) -> None:
        self.nodes.append(replace(node, operation=operation))
        self.origins[node.name] = [node]
        for quantity, tensor in (("weight", weight), ("bias", bias)):
            if tensor is not None:
                self.tensors[f"{node.name}.{quantity}"] = tensor

    def connections(self) -> tuple[Connection, ...]:
        """The connections between the layers that are left, once all layers are known."""
        links = (link for node in self.nodes for link in self.graph.inputs(node.name))
        return tuple(self._from_what_is_left(link) for link in links)

    def _from_what_is_left(self, link: Connection) -> Connection:
        while link.source in self.gone:
            before = self.gone[link.source]
            link = Connection(before.source, link.target, before.delay + link.delay)
        return link

    def _follows_a_layer_of_its_own(self, node: Node) -> bool:
        link = self.graph.inputs(node.name)[0]
        readers = [other for other in self.graph.connections if other.source == link.source]
        follows_layer = isinstance(self.graph.node(link.source).operation, Conv2d | Linear)
        return follows_layer and len(readers) == 1 and not link.delay

    def _fold_into_source(self, node: Node) -> None:
        self.gone[node.name] = self.graph.inputs(node.name)[0]
        source = self.gone[node.name].source
        self.origins[source].append(node)
        scale, shift = self._affine(node.name)
        weight = self.tensors[f"{source}.weight"]
        bias = self.tensors.get(f"{source}.bias", torch.zeros_like(shift))
        self.tensors[f"{source}.weight"] = weight * scale.reshape(-1, *[1] * (weight.ndim - 1))
        self.tensors[f"{source}.bias"] = bias * scale + shift
        index = next(number for number, kept in enumerate(self.nodes) if kept.name == source)
        layer = self.nodes[index].operation
        assert isinstance(layer, Conv2d | Linear)  # for the type checker: the caller looked
        self.nodes[index] = replace(self.nodes[index], operation=replace(layer, bias=True))

    def _affine(self, name: str) -> tuple[Tensor, Tensor]:
        """Factor and offset of a batch norm."""
        gain, offset, mean, variance = (
            self._tensor(f"{name}.{quantity}") for quantity in ("weight", "bias", "running_mean", "running_var")
        )
        scale = gain / torch.sqrt(variance + EPSILON)
        return scale, offset - mean * scale

    def _tensor(self, name: str) -> Tensor:
        if name not in self.state:
            raise BadInputError(f"the weights lack tensor '{name}'; they belong to another architecture")
        return self.state[name]
