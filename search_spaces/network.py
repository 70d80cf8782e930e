"""LayerGraph -> a spiking torch module on [T, B, C, H, W]."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from hasnas.errors import BadInputError

from .graph import Connection, LayerGraph, Node
from .layers import (
    Add,
    AvgPool2d,
    BatchNorm,
    Conv2d,
    Dropout,
    Flatten,
    Linear,
    MaxPool2d,
    Neuron,
    Operation,
    SumPool2d,
    Vote,
    pair,
)
from .lowering import lower, rate_name
from .neurons.modules import LearnedTauLIF, SteppedNeurons
from .pooling import OverlappingAvgPool2d
from .quantization import QuantisedConv2d, QuantisedLinear


class SpikingNetwork(nn.Module):
    """The deployed network: parameters are named after the graph's nodes, neurons start and end every sample at rest.

    Layers that depend on a static input alone are computed once; layers without feedback see all timesteps as one
    batch; layers of a recurrent group are stepped through time, with zeros where a delayed value has not arrived yet.

    Args:
        graph: the layers.

    Shape:
        input `[B, C, H, W]` where the graph's input is static, else `[T, B, C, H, W]`; output `[B, classes]`.
    """

    def __init__(self, graph: LayerGraph) -> None:
        super().__init__()
        self.graph = graph
        for group in graph.recurrent_groups:
            if len(group) > 1 and any(isinstance(graph.node(name).operation, Dropout) for name in group):
                raise BadInputError(f"dropout inside the feedback loop {group[0]} ...; move it out of the loop")
        self._modules_by_node: dict[str, nn.Module] = {}
        for node in graph.nodes:
            module = module_for(node.operation)
            if module is not None:
                attach(self, node.name, module)
                self._modules_by_node[node.name] = module
        neurons = [node.name for node in graph.nodes if isinstance(node.operation, Neuron)]
        self._neurons = [self._modules_by_node[name] for name in neurons]

    def forward(self, x: Tensor) -> Tensor:
        """Mean over time of the output, `[B, classes]`."""
        return self.steps(x).mean(0)

    def steps(self, x: Tensor) -> Tensor:
        """The output at every timestep, `[T, B, classes]`."""
        values = self.run(x)
        return self.at_every_step(values, "output")

    def run(self, x: Tensor) -> dict[str, Tensor]:
        """The result of every node: `[B, ...]` for static nodes, `[T, B, ...]` for all others.

        Raises:
            BadInputError: if the sample does not have the graph's shape and timesteps.
        """
        self.check_input(x)
        self.reset()
        values: dict[str, Tensor] = {}
        for group in self.graph.recurrent_groups:
            self.run_group(group, values, x)
        self.reset()
        return values

    def run_group(self, group: tuple[str, ...], values: dict[str, Tensor], x: Tensor) -> None:
        """Compute one recurrent group of the graph; its neurons go on from the state they are in.

        Args:
            group: one of `graph.recurrent_groups`.
            values: results of the nodes it needs, as `run` gives them; its own are added.
            x: the sample batch, for the input node.
        """
        if len(group) > 1 or self._feeds_itself(group[0]):
            self._run_stepped(group, values)
        else:
            self._run_folded(self.graph.node(group[0]), values, x)

    def reset(self) -> None:
        """Put every neuron at rest."""
        for node in self._neurons:
            node.reset()  # type: ignore[operator]

    @torch.no_grad()
    def activity(self, x: Tensor) -> dict[str, float]:
        """How busy each layer is on a batch.

        Returns:
            For every layer that has a price the share of its input values that are not zero, for every layer of neurons
            its firing rate under its name and the share of inputs behind `INPUTS`, all per evaluation: see `lower`.
        """
        values, priced = self.run(x), set(lower(self.graph).names)
        rates: dict[str, float] = {}
        for node in self.graph.nodes:
            if node.name not in priced:
                continue
            if isinstance(node.operation, Neuron):
                rates[node.name] = share_active([values[node.name]])
            links = self.graph.inputs(node.name)
            alike = [link.delay for link in links] == [0] * len(links)
            rates[rate_name(node)] = share_active(
                [values[link.source] if alike else self._arriving(values, link) for link in links]
            )
        return rates

    def _arriving(self, values: Mapping[str, Tensor], link: Connection) -> Tensor:
        """What a connection hands on at every timestep."""
        return _delayed(self.at_every_step(values, link.source), link.delay)

    def check_input(self, x: Tensor) -> None:
        """Refuse a sample batch that does not have the graph's shape and timesteps.

        Raises:
            BadInputError: if so.
        """
        entry, static = self.graph.entry, self.graph.takes_static
        wanted = ("B", *entry.shape) if static else (self.graph.timesteps, "B", *entry.shape)
        fits = x.dim() == len(wanted) and tuple(x.shape[-len(entry.shape) :]) == entry.shape
        if not fits or (not static and x.shape[0] != self.graph.timesteps):
            raise BadInputError(f"a sample batch has shape {tuple(x.shape)}; the network takes {list(wanted)}")

    def at_every_step(self, values: Mapping[str, Tensor], name: str) -> Tensor:
        """The result of a node as `[T, B, ...]`, also where a static input makes it the same at every timestep."""
        value = values[name]
        if name in self.graph.static_nodes:
            return value.unsqueeze(0).expand(self.graph.timesteps, *value.shape)
        return value

    def _feeds_itself(self, name: str) -> bool:
        return any(link.source == name for link in self.graph.inputs(name))

    def _run_folded(self, node: Node, values: dict[str, Tensor], x: Tensor) -> None:
        links = self.graph.inputs(node.name)
        if not links:
            values[node.name] = x
            return
        if node.name in self.graph.static_nodes:
            result = self._evaluate(node, [values[link.source] for link in links])
        elif isinstance(node.operation, Neuron):
            module = self._modules_by_node[node.name]
            result = module.multi_step_forward(self.at_every_step(values, links[0].source))  # type: ignore[operator]
        elif isinstance(node.operation, Dropout):
            result = self._dropout(self.at_every_step(values, links[0].source), node.operation.probability)
        else:
            arriving = [self._arriving(values, link) for link in links]
            folded = self._evaluate(node, [value.flatten(0, 1) for value in arriving])
            result = folded.unflatten(0, (self.graph.timesteps, -1))
        values[node.name] = result

    def _run_stepped(self, group: tuple[str, ...], values: dict[str, Tensor]) -> None:
        members = set(group)
        history: dict[str, list[Tensor]] = {name: [] for name in group}
        outside = {
            link.source: self.at_every_step(values, link.source)
            for name in group
            for link in self.graph.inputs(name)
            if link.source not in members
        }
        some = next(iter(outside.values()))
        for step in range(self.graph.timesteps):
            for name in group:
                arriving = [
                    (history[link.source] if link.source in members else outside[link.source])[step - link.delay]
                    for link in self.graph.inputs(name)
                    if step >= link.delay
                ]
                node = self.graph.node(name)
                silence = [some.new_zeros(some.shape[1], *node.shape)]
                history[name].append(self._step(node, arriving or silence))
        values.update({name: torch.stack(steps) for name, steps in history.items()})

    def _step(self, node: Node, arriving: list[Tensor]) -> Tensor:
        if isinstance(node.operation, Neuron):
            return self._modules_by_node[node.name].single_step_forward(arriving[0])  # type: ignore[operator]
        return self._evaluate(node, arriving)

    def _evaluate(self, node: Node, arriving: list[Tensor]) -> Tensor:
        match node.operation:
            case Add():
                return sum(arriving[1:], start=arriving[0])
            case Flatten():
                return arriving[0].flatten(1)
            case Vote(group_size) as vote:
                decoded: Tensor = vote.decode(arriving[0].unflatten(1, (-1, group_size)).mean(2))
                return decoded
        module = self._modules_by_node.get(node.name)
        return arriving[0] if module is None else module(arriving[0])

    def _dropout(self, x: Tensor, probability: float) -> Tensor:
        """One mask for a whole sample, as SpikingJelly's dropout: a value that is dropped is dropped at every step."""
        if not self.training or probability == 0:
            return x
        return x * functional.dropout(torch.ones_like(x[0]), probability)


def _delayed(value: Tensor, delay: int) -> Tensor:
    return torch.cat([torch.zeros_like(value[:1]), value[:-1]]) if delay else value


def share_active(values: list[Tensor]) -> float:
    """Share of values that are not zero, the mean over tensors.

    >>> share_active([torch.tensor([0.0, 2.0]), torch.tensor([0.0, 0.0, 0.0])])
    0.25
    """
    return sum(float((value != 0).double().mean()) for value in values) / len(values)


class Norm(nn.BatchNorm2d):
    """A batch norm of maps `[B, C, H, W]` or vectors `[B, C]`.

    >>> Norm(3)(torch.zeros(2, 3)).shape, Norm(3)(torch.zeros(2, 3, 4, 4)).shape
    (torch.Size([2, 3]), torch.Size([2, 3, 4, 4]))
    """

    def _check_input_dim(self, input: Tensor) -> None:
        if input.dim() not in (2, 4):
            raise ValueError(f"expected vectors or maps, got {input.dim()} axes")


def module_for(operation: Operation) -> nn.Module | None:
    """The torch module of an operation; None for those that need none."""
    match operation:
        case Conv2d() if operation.weight_bits:
            return QuantisedConv2d(operation)
        case Linear() if operation.weight_bits:
            return QuantisedLinear(operation)
        case Conv2d(inputs, outputs, kernel, stride, padding, groups, bias):
            return nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=bias)
        case Linear(inputs, outputs, bias):
            return nn.Linear(inputs, outputs, bias)
        case BatchNorm(channels):
            return Norm(channels)
        case SumPool2d(kernel, stride, padding):
            return nn.AvgPool2d(kernel, stride, padding, divisor_override=1)
        case AvgPool2d(kernel, stride, padding):
            overlaps = any(step < side for step, side in zip(pair(stride), pair(kernel), strict=True))
            return (OverlappingAvgPool2d if overlaps else nn.AvgPool2d)(kernel, stride, padding)
        case MaxPool2d(kernel, stride, padding):
            return nn.MaxPool2d(kernel, stride, padding)
        case Neuron():
            return operation.module()
    return None


def attach(root: nn.Module, dotted: str, module: nn.Module) -> None:
    """Register a module under a dotted name, with plain containers in between."""
    *parents, last = dotted.split(".")
    for name in parents:
        if not hasattr(root, name):
            root.add_module(name, nn.Module())
        root = getattr(root, name)
    root.add_module(last, module)


def initialise(module: nn.Module, seed: int) -> None:
    """Draw all weights anew: uniform within 1/sqrt(fan in), batch norm at 1 and 0, biases at 0, learned tau at its
    initial value; biases of output neurons that are read by their rate let them fire at every second step.

    Each parameter has its own generator, seeded by the run's seed and the parameter's name, so that a layer starts
    from the same weights in every network that holds it.
    """
    for name, parameter in sorted(module.named_parameters()):
        generator = torch.Generator().manual_seed(_seed_of(name, seed))
        with torch.no_grad():
            if parameter.dim() > 1:
                bound = 1 / math.sqrt(parameter[0].numel())
                parameter.uniform_(-bound, bound, generator=generator)
            elif name.endswith("weight"):
                parameter.fill_(1.0)
            else:
                parameter.zero_()
    for child in module.modules():
        if isinstance(child, nn.BatchNorm2d):
            child.reset_running_stats()
        if isinstance(child, LearnedTauLIF | SteppedNeurons):
            child.initialise()
    if isinstance(module, SpikingNetwork):
        _let_outputs_fire(module)


def _let_outputs_fire(network: SpikingNetwork) -> None:
    """Give neurons that are read by their rate a current for a rate of 1/2, as silent ones would not learn.

    A neuron with v <- k v + g x fires at every second step for currents from 1 / (g (1 + k)) to 1 / g thresholds; it
    gets the middle of these.
    """
    graph = network.graph
    for node in graph.nodes:
        if isinstance(node.operation, Vote) and node.operation.span:
            neurons = graph.node(graph.inputs(node.name)[0].source)
            if isinstance(neurons.operation, Neuron) and (dynamics := neurons.operation.dynamics) is not None:
                lowest, highest = 1 / (dynamics.gain * (1 + dynamics.keep)), 1 / dynamics.gain
                layer = graph.inputs(neurons.name)[0].source
                with torch.no_grad():
                    network.get_parameter(f"{layer}.bias").fill_(neurons.operation.threshold * (lowest + highest) / 2)


def _seed_of(name: str, seed: int) -> int:
    digest = hashlib.blake2b(f"{seed}/{name}".encode(), digest_size=7).digest()
    return int.from_bytes(digest, "big")


def build_network(graph: LayerGraph, seed: int) -> SpikingNetwork:
    """A network with freshly drawn weights.

    >>> from hasnas.search_spaces import Architecture, Edge, Genotype, Macro
    >>> cell = Genotype(2, (Edge(0, 1, "conv3x3"),))
    >>> macro = Macro((1, 8, 8), classes=3, timesteps=2, channels=4, hidden=0, votes=1)
    >>> network = build_network(Architecture((cell, cell), macro).expand(), seed=0)
    >>> network(torch.rand(5, 1, 8, 8)).shape
    torch.Size([5, 3])
    """
    network = SpikingNetwork(graph)
    initialise(network, seed)
    return network
