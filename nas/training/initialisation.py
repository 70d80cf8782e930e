"""What happens to fresh weights before training: the scale of batch norm in front of neurons."""

from __future__ import annotations

import math

import torch
from torch import nn

from hasnas.search_spaces.graph import LayerGraph
from hasnas.search_spaces.layers import Add, BatchNorm, Conv2d, Linear, Neuron
from hasnas.search_spaces.network import SpikingNetwork


@torch.no_grad()
def threshold_batch_norm(network: SpikingNetwork) -> None:
    """Start batch norm at the scale that the neurons behind it need.

        y = gamma (x - mean) / deviation + beta,    gamma = alpha V_th at the start, alpha = 1 / sqrt(n)

    with the threshold V_th of the next neurons on the way, and n summands where branches are added before them, so that
    their sum has the deviation V_th. The scale is trained as usual; statistics are taken over timesteps as well as
    samples and pixels, as everywhere in this package. A batch norm that no neuron follows stays at 1.

    Args:
        network: changed in place.

    Source: Zheng et al., "Going Deeper With Directly-Trained Larger Spiking Neural Networks", AAAI 2021 (tdBN); there
    alpha V_th is a fixed factor before gamma = 1, which is the same network at the start.
    """
    for name, scale in threshold_scales(network.graph).items():
        norm = network.get_submodule(name)
        if isinstance(norm, nn.BatchNorm2d):
            norm.weight.fill_(scale)


def threshold_scales(graph: LayerGraph) -> dict[str, float]:
    """alpha V_th for every batch norm that neurons follow."""
    scales: dict[str, float] = {}
    for node in graph.nodes:
        if isinstance(node.operation, BatchNorm):
            scale = _scale_after(graph, node.name)
            if scale is not None:
                scales[node.name] = scale
    return scales


def _scale_after(graph: LayerGraph, name: str) -> float | None:
    """The scale that the first neurons behind a layer ask of it; None where weights or the output come first."""
    for link in graph.connections:
        if link.source != name:
            continue
        operation = graph.node(link.target).operation
        if isinstance(operation, Neuron):
            return float(getattr(operation, "threshold", 1.0))
        if isinstance(operation, Conv2d | Linear | BatchNorm) or link.delay:
            continue
        after = _scale_after(graph, link.target)
        if after is not None:
            summands = len(graph.inputs(link.target)) if isinstance(operation, Add) else 1
            return after / math.sqrt(summands)
    return None
