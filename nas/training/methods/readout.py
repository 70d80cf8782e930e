"""What a converted network does as time goes on: its accuracy and its synaptic operations after each timestep."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from hasnas.errors import BadInputError
from hasnas.nas.data.samples import Split, batches
from hasnas.nas.training.evaluation import evaluating
from hasnas.nas.training.state import load_tensors
from hasnas.search_spaces.graph import LayerGraph, Node
from hasnas.search_spaces.layers import Conv2d, Linear, pair
from hasnas.search_spaces.network import SpikingNetwork


@dataclass(frozen=True, eq=False)
class Readout:
    """Accuracy and work after each timestep, means over samples.

    Args:
        accuracy: share of samples that are right by the mean output so far, `[T]`.
        synaptic_operations: events so far times their fan-out, in layers that neurons drive, `[T]`.
        multiply_accumulates: of the same layers in one pass of a network of numbers.
        input_multiply_accumulates: of the layers that the input drives; both kinds of network do them once.
    """

    accuracy: NDArray[np.float64]
    synaptic_operations: NDArray[np.float64]
    multiply_accumulates: float
    input_multiply_accumulates: float

    def ratio(self, timesteps: int) -> float:
        """Synaptic operations of T timesteps for each multiply-accumulate that they stand for."""
        return float(self.synaptic_operations[timesteps - 1]) / self.multiply_accumulates


def fan_out(node: Node, before: tuple[int, ...]) -> Tensor:
    """Products that each input value of a layer enters, by position; borders count what is there.

    Args:
        node: a convolution or a fully connected layer.
        before: shape of its input.

    Returns:
        `[H, W]`, or `[1]` for a fully connected layer.

    >>> fan_out(Node("conv", Conv2d(1, 2, 3, padding=1), (2, 2, 3)), (1, 2, 3)).tolist()
    [[8.0, 12.0, 8.0], [8.0, 12.0, 8.0]]
    """
    operation = node.operation
    if isinstance(operation, Linear):
        return torch.tensor([float(operation.out_features)])
    assert isinstance(operation, Conv2d)
    reached = torch.zeros(1, 1, *before[1:], requires_grad=True)
    kernel = torch.ones(1, 1, *pair(operation.kernel_size))
    with torch.enable_grad():
        functional.conv2d(reached, kernel, stride=operation.stride, padding=operation.padding).sum().backward()
    assert reached.grad is not None
    return reached.grad[0, 0] * (operation.out_channels // operation.groups)


def read_out(network: SpikingNetwork, split: Split, timesteps: int, batch_size: int = 32) -> Readout:
    """Run a network for T timesteps, whatever its graph says, and see what it has after each.

    Args:
        network: on static samples; left as it is.
        split: the samples.
        timesteps: T.
        batch_size: samples at a time; all values of all timesteps are held at once.

    Raises:
        BadInputError: for regression, which has no right answers to count.
    """
    if split.is_regression:
        raise BadInputError("a readout counts right answers over time; it needs classes, and the targets are values")
    graph = replace(network.graph, timesteps=timesteps)
    with torch.random.fork_rng():
        longer = SpikingNetwork(graph)
    load_tensors(longer, network.state_dict(), "the network")
    layers = [node for node in graph.nodes if isinstance(node.operation, Conv2d | Linear)]
    fans = {node.name: fan_out(node, _before(graph, node).shape) for node in layers}
    driven = [node for node in layers if _before(graph, node).name not in graph.static_nodes]
    right, events = np.zeros(timesteps), np.zeros(timesteps)
    with evaluating(longer):
        for inputs, targets in batches(split, batch_size):
            values = longer.run(inputs)
            answers = values["output"].cumsum(0).argmax(2)
            right += (answers == targets).sum(1).double().numpy()
            for node in driven:
                events += _operations(values[_before(graph, node).name], fans[node.name]).numpy()
    products = {node.name: float(fans[node.name].sum()) * _before(graph, node).shape[0] for node in layers}
    once = sum(products[node.name] for node in layers if node not in driven)
    total = sum(products.values())
    samples = len(split)
    return Readout(right / samples, np.cumsum(events) / samples, total - once, once)


def _operations(values: Tensor, fans: Tensor) -> Tensor:
    """Synaptic operations of each timestep, summed over a batch; `values` is `[T, B, ...]`."""
    busy = (values != 0).flatten(0, 1)
    busy = busy.sum(1, keepdim=True) if fans.dim() == 1 else busy.sum(1).flatten(1)
    return (busy.double() @ fans.flatten().double()).unflatten(0, (len(values), -1)).sum(1)


def _before(graph: LayerGraph, node: Node) -> Node:
    return graph.node(graph.inputs(node.name)[0].source)
