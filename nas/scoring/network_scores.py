"""Scores that run each candidate once with random weights: published ones for comparison, and measured rates.

Candidates with the same canonical codes are run once. Networks are in training mode (batch norm by the batch) without
dropout; neurons that several convolutions share run once and count as often as they are read.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from hasnas.errors import BadInputError
from hasnas.search_spaces.graph import (
    Add,
    AvgPool2d,
    BatchNorm,
    Conv2d,
    Dropout,
    Input,
    LayerGraph,
    Linear,
    Neuron,
    Output,
)
from hasnas.search_spaces.network import SpikingNetwork, build_network
from hasnas.search_spaces.space import Codes

from .score import ScoreResult, ScoringTask

FloatArray = NDArray[np.float64]
Parts = Mapping[str, float]
SILENT = 1e-4
NOISE_SEED = 0x5EED0000


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
        canonical, connected = task.space.canonical(np.asarray(codes))
        known: dict[tuple[int, ...], Parts] = {}
        rows: list[Parts] = []
        for row, alive in zip(canonical.tolist(), connected, strict=True):
            key = tuple(row)
            if alive and key not in known:
                architecture = task.space.decode(key)
                still = replace(architecture, macro=replace(architecture.macro, dropout=0.0))
                known[key] = self.parts(build_network(still.expand(), task.seed).train(), task)
            rows.append(known[key] if alive else {})
        names = list(next(iter(known.values()), {"total": 0.0}))
        table = {name: np.array([parts.get(name, -np.inf) for parts in rows], float) for name in names}
        total = table[names[0]]
        return ScoreResult(np.where(np.isnan(total), -np.inf, total), table)

    @abstractmethod
    def parts(self, network: SpikingNetwork, task: ScoringTask) -> Parts:
        """Named parts of the score of one network, the total first."""


def readers(graph: LayerGraph) -> dict[str, int]:
    """How many convolutions read each layer of neurons, at least 1 for neurons read by anything else."""
    counts = {node.name: 0 for node in graph.nodes if isinstance(node.operation, Neuron)}
    for link in graph.connections:
        if link.source in counts and isinstance(graph.node(link.target).operation, Conv2d):
            counts[link.source] += 1
    return {name: max(count, 1) for name, count in counts.items()}


def hamming_kernel(spikes: Tensor, normalised: bool) -> FloatArray:
    """Similarity of samples by the sparsity-aware Hamming distance of their spikes.

        K = N - a d,    d = n_i + n_j - 2 x_i . x_j,    E = r_i (1 - r_j) + (1 - r_i) r_j

    with a = 0.5 / (E + 1e-3) as first published, or 0.5 / (E N + 1e-3) as in the released code's last commit. The
    distance needs one matrix product, exact in single precision up to 2^24 neurons.

    Args:
        spikes: zeros and ones, `[B, N]`.
        normalised: the second form.

    Source: Kim et al., ECCV 2022; released code of SNASNet.

    >>> hamming_kernel(torch.tensor([[1.0, 0.0], [1.0, 0.0]]), False).round(3).tolist()
    [[2.0, 2.0], [2.0, 2.0]]
    """
    neurons = spikes.shape[1]
    together = (spikes @ spikes.T).double().numpy()
    counts = np.diag(together)
    rates = counts / neurons
    distance = counts[:, None] + counts - 2 * together
    expected = rates[:, None] * (1 - rates) + (1 - rates)[:, None] * rates
    scale = 0.5 / (expected * (neurons if normalised else 1) + 1e-3)
    return neurons - scale * distance


class _Sahd(NetworkScore):
    """Log determinant of the sparsity-aware Hamming kernel over all layers of neurons and timesteps."""

    normalised = False
    summed = False

    def parts(self, network: SpikingNetwork, task: ScoringTask) -> Parts:
        """See `NetworkScore.parts`."""
        with torch.no_grad():
            values = network.run(task.inputs)
        kernel, calls = np.zeros(()), 0
        for name, weight in readers(network.graph).items():
            for step in values[name]:
                kernel = kernel + weight * hamming_kernel(step.flatten(1), self.normalised)
                calls += weight
        sign, mean = np.linalg.slogdet(kernel / calls)
        mean = float(mean) if sign else -np.inf
        total = mean + len(kernel) * np.log(calls)
        return {"sum": total, "mean": mean} if self.summed else {"mean": mean, "sum": total}


class SahdMean(_Sahd):
    """SAHD as first published: the kernel is averaged over layers and timesteps."""


class SahdSum(_Sahd):
    """SAHD with the kernels summed; it mostly counts convolutions."""

    summed = True


class SahdNormalisedMean(_Sahd):
    """SAHD as in the released code's last commit, averaged."""

    normalised = True


class SahdNormalisedSum(_Sahd):
    """SAHD as in the released code's last commit, summed."""

    normalised, summed = True, True


class MeasuredBalance(NetworkScore):
    """Minus the standard deviation of log firing rate before the cells' convolutions, in one forward pass."""

    def parts(self, network: SpikingNetwork, task: ScoringTask) -> Parts:
        """See `NetworkScore.parts`."""
        with torch.no_grad():
            values = network.run(task.inputs)
        logs = [
            np.log(max(float(values[name].mean()), SILENT))
            for name, count in readers(network.graph).items()
            if name.startswith("cell")
            for _ in range(count)
        ]
        if not logs:
            return {"balance": -np.inf, "mean_rate": 0.0}
        return {"balance": -float(np.std(logs)), "mean_rate": float(np.exp(np.mean(logs)))}


class NoiseSensitivity(NetworkScore):
    """Share of spikes before the reduction that flip when noise of a tenth of the input's spread is added."""

    noise = 0.1

    def parts(self, network: SpikingNetwork, task: ScoringTask) -> Parts:
        """See `NetworkScore.parts`."""
        # Inputs drawn with the same seed would be scaled instead of disturbed.
        generator = torch.Generator().manual_seed(task.seed + NOISE_SEED)
        noise = torch.randn(task.inputs.shape, generator=generator) * task.inputs.std() * self.noise
        names = {node.name for node in network.graph.nodes}
        last = "reduction1.lif" if "reduction1.lif" in names else "head.lif"
        with torch.no_grad():
            clean, noisy = network.run(task.inputs)[last], network.run(task.inputs + noise)[last]
        active = float(torch.maximum(clean, noisy).mean())
        flips = float((clean != noisy).double().mean())
        return {"flips": flips, "relative": flips / max(active, SILENT)}


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
    for node in graph.nodes:
        links = [values[link.source] for link in graph.inputs(node.name) if not link.delay]
        match node.operation:
            case Input():
                value = torch.ones(1, *node.shape, dtype=torch.float64)
            case Add():
                value = sum(links[1:], start=links[0]) if links else torch.zeros(1, *node.shape, dtype=torch.float64)
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
        loss = functional.cross_entropy(network(inputs), torch.as_tensor(targets))
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
        axis = 0 if task.space.macro.static_input else 1
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
        samples = gradient if task.space.macro.static_input else gradient.transpose(0, 1)
        rows = samples.flatten(1).double()
        rows = rows - rows.mean(1, keepdim=True)
        scale = rows.norm(dim=1, keepdim=True)
        if float(scale.min()) == 0:
            return {"jacobian": -np.inf}
        eigenvalues = torch.linalg.eigvalsh((rows / scale) @ (rows / scale).T).clamp_min(0) + 1e-5
        return {"jacobian": -float((eigenvalues.log() + 1 / eigenvalues).sum())}
