"""Scores of one forward pass: SAHD in its published forms, measured balance and noise sensitivity.

Batch norm is by the batch at every timestep. Neurons that several convolutions share run once and count as often as
they are read; candidates share whatever they have in common.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from hasnas.nas.training.devices import placed, precision_on
from hasnas.nas.training.parts import autocast
from hasnas.search_spaces.graph import LayerGraph
from hasnas.search_spaces.layers import BatchNorm, Conv2d, Neuron
from hasnas.search_spaces.network import SpikingNetwork, build_network

from .arithmetic import chosen
from .network_scores import NetworkScore, Parts
from .score import ScoringTask
from .shared_forward import SharedForward, Weights, supports

FloatArray = NDArray[np.float64]
SILENT = 1e-4
NOISE_SEED = 0x5EED0000


def readers(graph: LayerGraph) -> dict[str, int]:
    """How many convolutions read each layer of neurons, at least 1 for neurons read by anything else."""
    counts = {node.name: 0 for node in graph.nodes if isinstance(node.operation, Neuron)}
    for link in graph.connections:
        if link.source in counts and isinstance(graph.node(link.target).operation, Conv2d):
            counts[link.source] += 1
    return {name: max(count, 1) for name, count in counts.items()}


class TimestepNorm(nn.Module):
    """Batch norm by the batch at every timestep, of maps whose timesteps are folded into the batch.

    Args:
        batch: samples.
    """

    def __init__(self, batch: int) -> None:
        super().__init__()
        self.batch = batch

    def forward(self, x: Tensor) -> Tensor:
        """`[T * B, C, H, W]`, normalised step by step."""
        steps = [functional.batch_norm(step, None, None, training=True) for step in x.split(self.batch)]
        return torch.cat(steps)


def stepped_norms(network: SpikingNetwork, batch: int) -> SpikingNetwork:
    """The network with batch norms as they are when it is stepped through time, for batches of this size."""
    for node in network.graph.nodes:
        if isinstance(node.operation, BatchNorm):
            network._modules_by_node[node.name] = TimestepNorm(batch)
    return network


class ForwardScore(NetworkScore):
    """A score made of one statistic of each layer of neurons in a forward pass, with batch norm at every timestep.

    Candidates without feedback share what they have in common (`shared_forward`); the others run one by one, and so do
    all if `shared` is false, which is slow and needs no trust.

    Args:
        arithmetic: numbers of the shared convolutions, one of `ARITHMETICS`; the fastest of this machine unless given.
        shared: whether to share.
        weights: by parameter name, taken instead of drawn ones.
    """

    def __init__(
        self, arithmetic: str | None = None, shared: bool = True, weights: Mapping[str, Tensor] | None = None
    ) -> None:
        self.arithmetic, self.shared, self.given = arithmetic, shared, dict(weights or {})
        self._weights: Weights | None = None

    def wanted(self, graph: LayerGraph) -> dict[str, int]:
        """Layers of neurons to look at, and how often each counts."""
        return readers(graph)

    def batches(self, task: ScoringTask) -> list[Tensor]:
        """The batches to run."""
        return [task.inputs]

    @abstractmethod
    def statistic(self, spikes: list[Tensor]) -> FloatArray:
        """What is kept of a layer's spikes `[T, B, ...]`, one tensor for each batch; zeros and ones of any type."""

    @abstractmethod
    def combine(self, found: list[tuple[str, int, FloatArray]], timesteps: int) -> Parts:
        """The parts of the score from name, count and statistic of each wanted layer."""

    def all_parts(self, graphs: list[LayerGraph], task: ScoringTask) -> Iterator[tuple[int, Parts]]:
        """See `NetworkScore.all_parts`."""
        # The shared forward pass is compiled for processors; a GPU runs networks one by one.
        shared = self.shared and task.inputs.device.type == "cpu"
        sharing = [index for index, graph in enumerate(graphs) if shared and supports(graph)]
        yield from self._shared_parts(graphs, sharing, task)
        kept = set(sharing)
        for index, graph in enumerate(graphs):
            if index not in kept:
                yield index, self.parts(placed(build_network(graph, task.seed).train()), task)

    def parts(self, network: SpikingNetwork, task: ScoringTask) -> Parts:
        """See `NetworkScore.parts`."""
        network.load_state_dict({**network.state_dict(), **self._fitting(network)})
        batches = self.batches(task)
        stepped_norms(network, batches[0].shape[-4])
        device = batches[0].device
        with torch.no_grad(), autocast(device, precision_on(device, "auto")):
            values = [network.run(batch) for batch in batches]
        wanted = self.wanted(network.graph)
        found = [(name, count, self.statistic([run[name] for run in values])) for name, count in wanted.items()]
        return self.combine(found, network.graph.timesteps)

    def _fitting(self, network: SpikingNetwork) -> dict[str, Tensor]:
        return {name: value for name, value in self.given.items() if name in network.state_dict()}

    def _shared_parts(
        self, graphs: list[LayerGraph], indices: list[int], task: ScoringTask
    ) -> Iterator[tuple[int, Parts]]:
        if not indices:
            return
        # Layers are drawn and made ready once for all candidates that this score will ever see.
        if self._weights is None or self._weights.seed != task.seed:
            self._weights = Weights(task.seed, self.given)
        weights, kind = self._weights, chosen(self.arithmetic)
        shared = [graphs[index] for index in indices]
        runs = [SharedForward(shared, batch, weights, kind) for batch in self.batches(task)]
        known: dict[int, FloatArray] = {}
        with torch.no_grad():
            for turns in zip(*(run.order() for run in runs), strict=True):
                graph, names = shared[turns[0]], runs[0].names[turns[0]]
                found = []
                for name, count in self.wanted(graph).items():
                    number = names[name]
                    if number not in known:
                        known[number] = self.statistic([run.spikes(number) for run in runs])
                    found.append((name, count, known[number]))
                yield indices[turns[0]], self.combine(found, graph.timesteps)


def hamming_kernel(spikes: Tensor, normalised: bool) -> FloatArray:
    """Similarity of samples by the sparsity-aware Hamming distance of their spikes.

        K = N - a d,    d = n_i + n_j - 2 x_i . x_j,    E = r_i (1 - r_j) + (1 - r_i) r_j

    with a = 0.5 / (E + 1e-3) as first published, or 0.5 / (E N + 1e-3) as in the released code's last commit. The
    distance needs one matrix product; of whole numbers it is exact, in single precision up to 2^24 neurons.

    Args:
        spikes: zeros and ones, `[B, N]`.
        normalised: the second form.

    Source: Kim et al., ECCV 2022; released code of SNASNet.

    >>> hamming_kernel(torch.tensor([[1.0, 0.0], [1.0, 0.0]]), False).round(3).tolist()
    [[2.0, 2.0], [2.0, 2.0]]
    """
    neurons = spikes.shape[1]
    together = spikes_together(spikes)
    counts = np.diag(together)
    rates = counts / neurons
    distance = counts[:, None] + counts - 2 * together
    expected = rates[:, None] * (1 - rates) + (1 - rates)[:, None] * rates
    scale = 0.5 / (expected * (neurons if normalised else 1) + 1e-3)
    return neurons - scale * distance


def spikes_together(spikes: Tensor) -> FloatArray:
    """How many neurons fire in both of two samples, `[B, B]`."""
    if spikes.dtype == torch.uint8 and spikes.shape[1] % 8 == 0 and len(spikes) % 8 == 0:
        whole = spikes.view(torch.int8)
        return torch._int_mm(whole, whole.T).double().cpu().numpy()
    single = spikes.float()
    return (single @ single.T).double().cpu().numpy()


class _Sahd(ForwardScore):
    """Log determinant of the sparsity-aware Hamming kernel over all layers of neurons and timesteps."""

    normalised = False
    summed = False

    def statistic(self, spikes: list[Tensor]) -> FloatArray:
        """See `ForwardScore.statistic`."""
        return np.sum([hamming_kernel(step.flatten(1), self.normalised) for step in spikes[0]], axis=0)

    def combine(self, found: list[tuple[str, int, FloatArray]], timesteps: int) -> Parts:
        """See `ForwardScore.combine`."""
        calls = timesteps * sum(count for _, count, _ in found)
        kernel = np.sum([count * kernel for _, count, kernel in found], axis=0)
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


class MeasuredBalance(ForwardScore):
    """Minus the standard deviation of log firing rate before the cells' convolutions, in one forward pass."""

    def wanted(self, graph: LayerGraph) -> dict[str, int]:
        """See `ForwardScore.wanted`."""
        return {name: count for name, count in readers(graph).items() if name.startswith("cell")}

    def statistic(self, spikes: list[Tensor]) -> FloatArray:
        """See `ForwardScore.statistic`."""
        return np.array(spikes[0].float().mean().item())

    def combine(self, found: list[tuple[str, int, FloatArray]], timesteps: int) -> Parts:
        """See `ForwardScore.combine`."""
        logs = [np.log(max(float(rate), SILENT)) for _, count, rate in found for _ in range(count)]
        if not logs:
            return {"balance": -np.inf, "mean_rate": 0.0}
        return {"balance": -float(np.std(logs)), "mean_rate": float(np.exp(np.mean(logs)))}


class NoiseSensitivity(ForwardScore):
    """Share of spikes behind the first cell that flip when noise of a tenth of the input's spread is added."""

    noise = 0.1

    def wanted(self, graph: LayerGraph) -> dict[str, int]:
        """See `ForwardScore.wanted`."""
        names = [node.name for node in graph.nodes if node.name in ("reduction1.lif", "head.lif")]
        return {names[0]: 1}

    def batches(self, task: ScoringTask) -> list[Tensor]:
        """See `ForwardScore.batches`."""
        # Inputs drawn with the same seed would be scaled instead of disturbed.
        generator = torch.Generator().manual_seed(task.seed + NOISE_SEED)
        noise = torch.randn(task.inputs.shape, generator=generator).to(task.inputs) * task.inputs.std() * self.noise
        return [task.inputs, task.inputs + noise]

    def statistic(self, spikes: list[Tensor]) -> FloatArray:
        """See `ForwardScore.statistic`."""
        clean, noisy = spikes
        return np.array([(clean != noisy).float().mean().item(), torch.maximum(clean, noisy).float().mean().item()])

    def combine(self, found: list[tuple[str, int, FloatArray]], timesteps: int) -> Parts:
        """See `ForwardScore.combine`."""
        flips, active = found[0][2]
        return {"flips": float(flips), "relative": float(flips) / max(float(active), SILENT)}
