"""Training by spike responses: gradients reach back through response kernels, over all timesteps at once.

A neuron of the spike response model has the membrane potential

    u(t) = (eps * x)(t) + (nu * s)(t),     s(t) = 1 where u(t) >= threshold

with `*` a causal convolution, x its input current, eps the response to it and nu the refractory response to the
neuron's own spikes. Errors are assigned back in time by the correlation with eps, weighted by a probability density of
a spike's change; the refractory response carries none.

Source: Shrestha and Orchard, "SLAYER: Spike Layer Error Reassignment in Time", NeurIPS 2018, arXiv:1810.08646. Theirs:
the model, its alpha-shaped kernels, the density rho(u) = exp(-|u - threshold| / width) / width, credit through eps
alone. Ours: time in timesteps, convolution as a matrix over T, and the choice of the graph's own neurons: their
exponential response, reset as declared in the forward pass, so that what is trained is what is deployed. The loss is
the repository's, on the mean output over time, in place of target spike counts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hasnas.errors import BadInputError, nearest
from hasnas.nas.config.training import RetrainSection
from hasnas.nas.data.samples import Splits
from hasnas.nas.training.evaluation import evaluate
from hasnas.nas.training.processes import Progress
from hasnas.nas.training.retrain import RetrainResult
from hasnas.nas.training.state import load_tensors
from hasnas.search_spaces.architecture import Architecture
from hasnas.search_spaces.graph import LayerGraph, Node
from hasnas.search_spaces.layers import IF, LIF
from hasnas.search_spaces.lif_scan import replace_neurons
from hasnas.search_spaces.network import SpikingNetwork

from .rates import require_float_membranes
from .soft_lif import start_weights
from .stages import Job, finish, run_stage

RESPONSES = ("membrane", "alpha")


@dataclass(frozen=True)
class SpikeResponseSettings:
    """Kernels and density.

    Args:
        response: `"membrane"` is the graph's own neurons, `"alpha"` the published kernels.
        time_constant: tau_s of the alpha response, in timesteps.
        refractory_time: tau_r of the alpha-shaped refractory response, in timesteps.
        refractory_scale: its depth in units of the threshold.
        width: of the density, in units of the threshold.
        height: factor of the density.

    Raises:
        BadInputError: naming the field, if a value is out of range.
    """

    response: str = "membrane"
    time_constant: float = 2.0
    refractory_time: float = 1.0
    refractory_scale: float = 2.0
    width: float = 1.0
    height: float = 1.0

    def __post_init__(self) -> None:
        if self.response not in RESPONSES:
            raise BadInputError(f"spike_response.response is '{self.response}'{nearest(self.response, RESPONSES)}")
        for name, value in asdict(self).items():
            if name != "response" and not (0 < value < math.inf or (name == "refractory_scale" and value == 0)):
                raise BadInputError(f"spike_response.{name} is {value}; give a positive number")


def alpha_kernel(timesteps: int, time_constant: float) -> Tensor:
    """k(t) = t / tau e^(1 - t / tau), with its peak 1 at t = tau; `[T]`, double precision.

    >>> alpha_kernel(4, 1.0)
    tensor([0.0000, 1.0000, 0.7358, 0.4060], dtype=torch.float64)
    """
    time = torch.arange(timesteps, dtype=torch.float64) / time_constant
    return time * torch.exp(1 - time)


def membrane_kernel(timesteps: int, operation: LIF | IF) -> Tensor:
    """Response of the graph's neurons to a current: (1 / tau) (1 - 1 / tau)^t, or 1 without leak; `[T]`, double."""
    if isinstance(operation, IF):
        return torch.ones(timesteps, dtype=torch.float64)
    decay = 1 - 1 / operation.tau
    return decay ** torch.arange(timesteps, dtype=torch.float64) / operation.tau


def causal_convolution(x: Tensor, kernel: Tensor) -> Tensor:
    """y(t) = sum over s <= t of k(t - s) x(s).

    Args:
        x: `[T, ...]`.
        kernel: k, `[T]`.

    >>> causal_convolution(torch.tensor([1.0, 0.0, 2.0]), torch.tensor([0.0, 1.0, 0.5])).tolist()
    [0.0, 1.0, 0.5]
    """
    steps = torch.arange(len(x), device=x.device)
    lags = steps.unsqueeze(1) - steps
    matrix = torch.where(lags >= 0, kernel.to(x)[lags.clamp_min(0)], 0.0)
    return (matrix @ x.flatten(1)).view(x.shape) if x.dim() > 1 else matrix @ x


class _Density(torch.autograd.Function):
    """Given spikes in the forward pass; the density of a spike's change in the backward pass."""

    @staticmethod
    def forward(ctx: Any, distance: Tensor, spikes: Tensor, width: float, height: float) -> Tensor:
        ctx.save_for_backward(distance)
        ctx.width, ctx.height = width, height
        return spikes.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        (distance,) = ctx.saved_tensors
        density = ctx.height / ctx.width * torch.exp(-distance.abs() / ctx.width)
        return gradients[0] * density, None, None, None


class SpikeResponse(nn.Module):
    """A layer of neurons of the spike response model; takes the place of LIF and IF modules in a `SpikingNetwork`.

    Args:
        node: of the graph.
        module: that it replaces; computes the spikes of the membrane response.
        settings: kernels and density.

    Raises:
        BadInputError: for neurons without a fixed linear response.
    """

    def __init__(self, node: Node, module: nn.Module, settings: SpikeResponseSettings) -> None:
        super().__init__()
        operation = node.operation
        if not isinstance(operation, LIF | IF) or operation.reset != 0:
            raise BadInputError(f"layer '{node.name}' has no fixed response kernel; use lif or if neurons, reset 0")
        self.operation, self.settings, self.neurons = operation, settings, module

    def multi_step_forward(self, x: Tensor) -> Tensor:
        """Spikes of currents `[T, ...]`."""
        threshold = self.operation.threshold
        with torch.no_grad():
            spikes, potential = self._deployed(x) if self.settings.response == "membrane" else self._alpha(x)
        if not torch.is_grad_enabled():
            return spikes
        charged = causal_convolution(x, self._kernel(len(x)))
        # The value is the potential itself; the gradient is that of the response alone.
        distance = charged - charged.detach() + potential - threshold
        width = self.settings.width * threshold
        return _Density.apply(distance, spikes, width, self.settings.height)

    def reset(self) -> None:
        """Put the neurons at rest."""
        self.neurons.reset()  # type: ignore[operator]

    def _kernel(self, timesteps: int) -> Tensor:
        if self.settings.response == "alpha":
            return alpha_kernel(timesteps, self.settings.time_constant)
        return membrane_kernel(timesteps, self.operation)

    def _deployed(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Spikes of the graph's neurons, and the potentials that decided on them."""
        self.reset()
        spikes, potentials = [], []
        tau = self.operation.tau if isinstance(self.operation, LIF) else 1.0
        before = torch.zeros_like(x[0])
        for current in x:
            spikes.append(self.neurons.single_step_forward(current))  # type: ignore[operator]
            leak = before / tau if isinstance(self.operation, LIF) else 0.0
            potentials.append(before - leak + current / tau)
            before = self.neurons.v  # type: ignore[assignment]
        self.reset()
        return torch.stack(spikes), torch.stack(potentials)

    def _alpha(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Spikes and potentials under the published kernels."""
        settings = self.settings
        refractory = -settings.refractory_scale * self.operation.threshold
        response = refractory * alpha_kernel(len(x), settings.refractory_time).to(x)
        potential = causal_convolution(x, self._kernel(len(x)))
        spikes = torch.zeros_like(x)
        for step in range(len(x)):
            spikes[step] = potential[step] >= self.operation.threshold
            later = response[1 : len(x) - step].view(-1, *[1] * (x.dim() - 1))
            potential[step + 1 :] += later * spikes[step]
        return spikes, potential


def spike_response_network(graph: LayerGraph, settings: SpikeResponseSettings | None = None) -> SpikingNetwork:
    """A graph's network whose neurons assign credit through their responses.

    Raises:
        BadInputError: for networks with feedback, and neurons without a fixed linear response, as those with
            membranes of few bits.
    """
    chosen = settings or SpikeResponseSettings()
    if any(link.delay for link in graph.connections):
        raise BadInputError("the network has feedback, and responses are computed over all timesteps; use 'surrogate'")
    require_float_membranes(graph)
    network = SpikingNetwork(graph)
    replace_neurons(network, lambda node, module: SpikeResponse(node, module, chosen))
    return network


def retrain(
    architecture: Mapping[str, Any],
    splits: Splits,
    settings: RetrainSection,
    seed: int,
    checkpoint_directory: Path,
    progress: Progress | None = None,
    *,
    spike_response: SpikeResponseSettings | None = None,
) -> RetrainResult:
    """Train an architecture from freshly drawn weights, with credit through spike responses.

    With the membrane response the trained network is the deployed one. With alpha kernels the epochs are judged with
    these kernels, and the result's merit is that of the graph's own neurons, which differ.

    Args:
        architecture: its JSON form; without feedback, of LIF or IF neurons.
        splits: the data; the test split is not touched.
        settings: how to train; surrogates play no part.
        seed: decides weights, order and dropout.
        checkpoint_directory: made if absent; the state is kept in `spike_response/`, the result in `best.safetensors`.
        progress: called after every epoch, with its number from 1 and its metrics.
        spike_response: kernels and density; by default the graph's own neurons and the density of the settings.

    Raises:
        BadInputError: for networks without fixed responses, or if the directory holds another training.
        TrainingDivergedError: if a loss or gradient is no longer finite.
    """
    section = settings.spike_response
    chosen = spike_response or SpikeResponseSettings(width=section.width, height=section.height)
    job = Job(dict(architecture), splits, settings, seed, Path(checkpoint_directory), progress)
    with torch.random.fork_rng():
        network = spike_response_network(Architecture.from_json(architecture).expand(), chosen)
    start_weights(network, seed)
    stage = run_stage("spike_response", network, job, {"spike_response": asdict(chosen)})
    merit = stage.best.merit
    if chosen.response != "membrane":
        deployed = job.network()
        load_tensors(deployed, stage.state, "the network of spike responses")
        merit = evaluate(deployed, splits.validation)
    return finish(job, stage.state, stage.history, (stage.best.epoch, merit))
