"""Scaling the input currents of neurons without changing what the network of numbers computes elsewhere.

Values that linear layers pass on to each other (sums, pools, shortcuts) share one scale. A scale goes into the weights
that produce the values, and is taken out again of the weights that read them; neurons keep their thresholds.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from hasnas.errors import BadInputError
from hasnas.search_spaces.graph import LayerGraph
from hasnas.search_spaces.layers import BatchNorm, Conv2d, Input, Linear, Neuron
from hasnas.search_spaces.network import SpikingNetwork

WEIGHTED = Conv2d | Linear | BatchNorm


@dataclass(frozen=True)
class CurrentGroup:
    """Values of one scale.

    Args:
        producers: layers with weights that make them.
        readers: layers with weights that take them in.
        neurons: layers of neurons that they drive.
    """

    producers: tuple[str, ...]
    readers: tuple[str, ...]
    neurons: tuple[str, ...]


def current_groups(graph: LayerGraph) -> tuple[CurrentGroup, ...]:
    """The groups that drive neurons, in the order of their first neurons.

    Raises:
        BadInputError: for graphs with feedback, or if inputs or spikes that no weights scale drive neurons.
    """
    for link in graph.connections:
        if link.delay:
            raise BadInputError(f"'{link.source}' feeds back into '{link.target}'; thresholds cannot be balanced")
    group_of: dict[str, int] = {}
    members: list[list[str]] = []
    for node in graph.nodes:
        sources = [link.source for link in graph.inputs(node.name)]
        merged = [node.name]
        if not isinstance(node.operation, WEIGHTED | Neuron | Input):
            for number in sorted({group_of[source] for source in sources}):
                merged += members[number]
                members[number] = []
        members.append(merged)
        for name in merged:
            group_of[name] = len(members) - 1
    found: dict[int, CurrentGroup] = {}
    for node in graph.nodes:
        if isinstance(node.operation, Neuron):
            number = group_of[graph.inputs(node.name)[0].source]
            found.setdefault(number, _group(graph, members[number]))
    return tuple(found.values())


def _group(graph: LayerGraph, members: list[str]) -> CurrentGroup:
    inside = set(members)
    readers = [link.target for link in graph.connections if link.source in inside and link.target not in inside]
    driven = tuple(name for name in readers if isinstance(graph.node(name).operation, Neuron))
    producers = tuple(name for name in members if isinstance(graph.node(name).operation, WEIGHTED))
    for name in members:
        if isinstance(graph.node(name).operation, Input | Neuron):
            raise BadInputError(
                f"'{name}' reaches the neurons of '{driven[0]}' through no weights; their threshold cannot be balanced"
            )
    return CurrentGroup(producers, tuple(name for name in readers if name not in driven), driven)


@torch.no_grad()
def scale_currents(network: SpikingNetwork, group: CurrentGroup, factor: float) -> None:
    """Multiply a group's values by a factor; layers that read them give what they gave before, in evaluation mode.

    Args:
        network: changed in place.
        group: of its graph.
        factor: positive.

    Raises:
        BadInputError: if the factor is not a positive number.
    """
    if not 0 < factor < float("inf"):
        raise BadInputError(f"the neurons of '{group.neurons[0]}' cannot be scaled by {factor}; they got no current")
    for name in group.producers:
        module = network.get_submodule(name)
        module.weight.mul_(factor)  # type: ignore[operator]
        if module.bias is not None:
            module.bias.mul_(factor)  # type: ignore[operator]
    for name in group.readers:
        _read_scaled(network.get_submodule(name), factor)


@torch.no_grad()
def scale_spikes(network: SpikingNetwork, neurons: str, size: float) -> None:
    """Let the layers that read a layer of neurons take each spike for a number.

    Args:
        network: changed in place.
        neurons: name of the layer of neurons.
        size: the number, positive.

    Raises:
        BadInputError: if its spikes are added to other values before any weights, which may have another scale.
    """
    graph, reached = network.graph, {neurons}
    readers = []
    for node in graph.nodes:
        sources = {link.source for link in graph.inputs(node.name)}
        if not sources & reached:
            continue
        if isinstance(node.operation, WEIGHTED):
            readers.append(node.name)
        elif sources <= reached:
            reached.add(node.name)
        else:
            raise BadInputError(f"'{node.name}' adds the spikes of '{neurons}' to other values; use other operations")
    for name in readers:
        _read_scaled(network.get_submodule(name), 1 / size)


def _read_scaled(module: nn.Module, factor: float) -> None:
    """Make a layer give for inputs times `factor` what it gave for the inputs.

    Batch norm's statistics are scaled rather than its weight, so that it may also take them anew afterwards.
    """
    if isinstance(module, nn.BatchNorm2d):
        module.running_mean.mul_(factor)  # type: ignore[union-attr]
        module.running_var.mul_(factor**2)  # type: ignore[union-attr]
    else:
        module.weight.div_(factor)  # type: ignore[operator]
