"""Firing rates as a term of the loss: spikes cost energy, so training may be told to use fewer."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from hasnas.nas.config.training import RegularisationSection
from hasnas.search_spaces.graph import LayerGraph
from hasnas.search_spaces.layers import Conv2d, Linear, Neuron


def rate_penalty(graph: LayerGraph, rates: Mapping[str, Tensor], settings: RegularisationSection) -> Tensor:
    """What the loss gains from spikes, differentiable through the surrogate.

        count "spikes":      P = w mean_l max(0, r_l - r*)^2
        count "operations":  P = w max(0, sum_l s_l r_l - r*)^2

    with the firing rate r_l of layer l, the target r*, the weight w, and the share s_l of the synaptic operations that
    the spikes of layer l cause: multiply-accumulates of the layers that it feeds, at every timestep, as the estimator
    counts them (multiply-accumulates times share of active inputs).

    Args:
        graph: the layers.
        rates: spikes per neuron and timestep of every layer of neurons.
        settings: w, r* and the count.

    Source: the mean squared excess as in Bellec et al., NeurIPS 2018 (rate regularisation of LSNNs), one-sided.
    """
    names = [node.name for node in graph.nodes if isinstance(node.operation, Neuron) and node.name in rates]
    stacked = torch.stack([rates[name] for name in names])
    if settings.count == "spikes":
        return settings.rate_weight * (stacked - settings.rate_target).clamp(min=0).square().mean()
    shares = operation_shares(graph)
    weights = torch.tensor([shares[name] for name in names], dtype=stacked.dtype, device=stacked.device)
    return settings.rate_weight * ((weights * stacked).sum() - settings.rate_target).clamp(min=0).square()


def operation_shares(graph: LayerGraph) -> dict[str, float]:
    """Share of each layer of neurons in the synaptic operations that all spikes would cause if every neuron fired.

    Spikes reach convolutions and fully connected layers directly or through pooling, adding, flattening and dropout;
    a sum of several spike trains is shared out equally among them.
    """
    operations = dict.fromkeys((node.name for node in graph.nodes if isinstance(node.operation, Neuron)), 0.0)
    for node in graph.nodes:
        if isinstance(node.operation, Conv2d | Linear):
            sources = _neurons_before(graph, graph.inputs(node.name)[0].source)
            for name in sources:
                operations[name] += multiply_accumulates(graph, node.name) / len(sources)
    total = sum(operations.values()) or 1.0
    return {name: count / total for name, count in operations.items()}


def multiply_accumulates(graph: LayerGraph, name: str) -> int:
    """Multiply-accumulates of a convolution or fully connected layer for one evaluation with every input active."""
    node = graph.node(name)
    match node.operation:
        case Conv2d() as conv:
            return conv.in_channels // conv.groups * conv.places * node.size
        case Linear() as linear:
            return linear.in_features * linear.out_features
    return 0


def _neurons_before(graph: LayerGraph, name: str) -> list[str]:
    """Layers of neurons whose spikes reach a layer's output without passing other weights."""
    found: set[str] = set()
    waiting, seen = [name], {name}
    while waiting:
        current = waiting.pop()
        operation = graph.node(current).operation
        if isinstance(operation, Neuron):
            found.add(current)
        elif not isinstance(operation, Conv2d | Linear):
            sources = {link.source for link in graph.inputs(current)} - seen
            seen |= sources
            waiting += sorted(sources)
    return sorted(found)
