"""Scores that run each candidate once with random weights: published ones for comparison, and measured rates.

Candidates with the same canonical codes are run once. Networks are in training mode (batch norm by the batch) without
dropout. Scores of spikes alone are in `forward_scores`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hasnas.errors import BadInputError
from hasnas.nas.training.devices import current_device, device_of, placed
from hasnas.nas.training.losses import task_loss
from hasnas.search_spaces.architecture import Architecture
from hasnas.search_spaces.graph import LayerGraph
from hasnas.search_spaces.layers import Add, AvgPool2d, BatchNorm, Conv2d, Dropout, Input, Linear, Neuron, Output
from hasnas.search_spaces.network import SpikingNetwork, build_network
from hasnas.search_spaces.space import Codes

from .score import ScoreResult, ScoringTask

FloatArray = NDArray[np.float64]
Parts = Mapping[str, float]


class NetworkScore(ABC):
    """A score of one network at a time; the first part is the total."""

    needs_targets = False

    def __call__(self, task: ScoringTask, codes: Codes) -> ScoreResult:
        """See `Score`.

        Raises:
            BadInputError: if the task has no inputs, or no targets where a loss is needed.
        """
        if task.inputs is None or (self.needs_targets and task.targets is None):
            wanted = "inputs and targets" if self.needs_targets else "inputs"
            raise BadInputError(f"score {type(self).__name__} runs networks; give a batch of {wanted}")
        task = _on_this_device(task)
        canonical, connected = task.space.canonical(np.asarray(codes))
        keys = sorted({tuple(row) for row, alive in zip(canonical.tolist(), connected, strict=True) if alive})
        known = dict(self.each({key: task.space.decode(key) for key in keys}, task))
        rows = [
            known[tuple(row)] if alive else {} for row, alive in zip(canonical.tolist(), connected, strict=True)
        ]
        names = list(next(iter(known.values()), {"total": 0.0}))
        table = {name: np.array([parts.get(name, -np.inf) for parts in rows], float) for name in names}
        total = table[names[0]]
        return ScoreResult(np.where(np.isnan(total), -np.inf, total), table)

    def each(
        self, architectures: Mapping[tuple[int, ...], Architecture], task: ScoringTask
    ) -> Iterator[tuple[tuple[int, ...], Parts]]:
        """Key and parts of each connected architecture as soon as they are known, in any order."""
        keys = list(architectures)
        graphs = [_without_dropout(one).expand() for one in architectures.values()]
        for index, parts in self.all_parts(graphs, task):
            yield keys[index], parts

    def all_parts(self, graphs: list[LayerGraph], task: ScoringTask) -> Iterator[tuple[int, Parts]]:
        """Position and parts of each network, in any order."""
        for index, graph in enumerate(graphs):
            yield index, self.parts(placed(build_network(graph, task.seed).train()), task)

    @abstractmethod
    def parts(self, network: SpikingNetwork, task: ScoringTask) -> Parts:
        """Named parts of the score of one network, the total first."""


def _on_this_device(task: ScoringTask) -> ScoringTask:
    device = current_device()
    targets = None if task.targets is None else torch.as_tensor(task.targets).to(device)
    return replace(task, inputs=task.inputs.to(device), targets=targets)


def _without_dropout(architecture: Architecture) -> Architecture:
    return replace(architecture, macro=replace(architecture.macro, dropout=0.0))


class Synflow(NetworkScore):
    """Log of sum |w dR/dw| for the sum R of the outputs of the linear network with weights |w|, on an input of ones.

    Neurons, batch norms and feedback are left out.

    Source: Tanaka et al., NeurIPS 2020.
    """

    def parts(self, network: SpikingNetwork, task: ScoringTask) -> Parts:
        """See `NetworkScore.parts`."""
        network = network.double()
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.abs_()
        weights = [parameter for parameter in network.parameters() if parameter.dim() > 1]
        gradients = torch.autograd.grad(_linear_output(network), weights, allow_unused=True)
        flows = [(w * g).sum() for w, g in zip(weights, gradients, strict=True) if g is not None]
        return {"log_flow": float(torch.log(torch.stack(flows).sum().detach()))}


def _linear_output(network: SpikingNetwork) -> Tensor:
    graph = network.graph
    values: dict[str, Tensor] = {}
    start = torch.zeros((), dtype=torch.float64, device=device_of(network))
    for node in graph.nodes:
        links = [values[link.source] for link in graph.inputs(node.name) if not link.delay]
        match node.operation:
            case Input():
                value = start.new_ones(1, *node.shape)
            case Add():
                value = sum(links[1:], start=links[0]) if links else start.new_zeros(1, *node.shape)
            case Neuron() | BatchNorm() | Dropout() | Output():
                value = links[0]
            case Conv2d() | Linear() | AvgPool2d():
                value = network._modules_by_node[node.name](links[0])
            case _:
                value = network._evaluate(node, links)
        values[node.name] = value
    return values["output"].sum()


class _Gradients(NetworkScore):
    """A score of the gradients of the loss at the weights of the convolutions."""

    needs_targets = True

    def gradients(self, network: SpikingNetwork, inputs: Tensor, targets: Any) -> list[tuple[Tensor, Tensor]]:
        """Weight and gradient of each convolution."""
        weights = [m.weight for m in network.modules() if isinstance(m, nn.Conv2d)]
        wanted = torch.as_tensor(targets)
        loss = task_loss(network(inputs), wanted, wanted.is_floating_point())
        found = torch.autograd.grad(loss, weights)
        return list(zip(weights, found, strict=True))


class Snip(_Gradients):
    """Sum of |w dL/dw| over the convolutions.

    Source: Lee et al., ICLR 2019.
    """

    def parts(self, network: SpikingNetwork, task: ScoringTask) -> Parts:
        """See `NetworkScore.parts`."""
        pairs = self.gradients(network, task.inputs, task.targets)
        norm = sum(float(gradient.square().sum()) for _, gradient in pairs) ** 0.5
        return {"snip": sum(float((w.detach() * g).abs().sum()) for w, g in pairs), "gradient_norm": norm}


class ZiCo(_Gradients):
    """Sum over layers of log of the sum of mean |g| over the spread of g, between two halves of the batch.

    Source: Li et al., ICLR 2023.
    """

    def parts(self, network: SpikingNetwork, task: ScoringTask) -> Parts:
        """See `NetworkScore.parts`."""
        half = len(task.targets) // 2
        axis = task.inputs.dim() - 4
        inputs = torch.split(task.inputs, half, dim=axis)[:2]
        targets = torch.split(torch.as_tensor(task.targets), half)[:2]
        first, second = (self.gradients(network, x, y) for x, y in zip(inputs, targets, strict=True))
        total = 0.0
        for (_, one), (_, two) in zip(first, second, strict=True):
            mean, spread = (one.abs() + two.abs()) / 2, (one - two).abs() / 2
            quotient = float((mean / spread.clamp_min(1e-12))[spread > 0].sum())
            total += float(np.log(max(quotient, 1e-12)))
        return {"zico": total}


class JacobianCovariance(NetworkScore):
    """How little the gradients at the input of different samples have in common: -sum(log(l + k) + 1 / (l + k)).

    l are the eigenvalues of the correlation matrix of the samples' gradients, k = 1e-5.

    Source: Mellor et al., "Neural architecture search without training" (first version, 2020).
    """

    def parts(self, network: SpikingNetwork, task: ScoringTask) -> Parts:
        """See `NetworkScore.parts`."""
        inputs = task.inputs.clone().requires_grad_(True)
        gradient = torch.autograd.grad(network(inputs).sum(), inputs)[0]
        samples = gradient if gradient.dim() == 4 else gradient.transpose(0, 1)
        rows = samples.flatten(1).double()
        rows = rows - rows.mean(1, keepdim=True)
        scale = rows.norm(dim=1, keepdim=True)
        if float(scale.min()) == 0:
            return {"jacobian": -np.inf}
        eigenvalues = torch.linalg.eigvalsh((rows / scale) @ (rows / scale).T).clamp_min(0) + 1e-5
        return {"jacobian": -float((eigenvalues.log() + 1 / eigenvalues).sum())}
