"""Soft-LIF: a network of rates is trained in one pass per sample, then runs as the spiking network of the same weights.

Training sees smooth, noisy firing rates in place of every neuron and costs the same for any number of timesteps. Since
everything between neurons is linear (max pooling apart), the mean currents of the spiking network are the currents of
the rate network wherever rates are right.

Source: Hunsberger and Eliasmith, "Spiking Deep Networks with LIF Neurons", arXiv:1510.08829, 2015, and "Training
Spiking Deep Networks for Neuromorphic Hardware", arXiv:1611.05141, 2016. Theirs: the softened rate, noise in training,
the exchange of neurons afterwards. Ours: time counted in timesteps of the discrete neuron, its mean delay in place of
a refractory time, at most one spike per timestep, no synaptic filter, batch norm on currents.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from hasnas.errors import BadInputError
from hasnas.nas.config.training import RetrainSection
from hasnas.nas.data.samples import Splits
from hasnas.nas.training.evaluation import evaluate
from hasnas.nas.training.processes import Progress
from hasnas.nas.training.retrain import RetrainResult
from hasnas.nas.training.state import load_tensors
from hasnas.search_spaces.architecture import Architecture
from hasnas.search_spaces.graph import LayerGraph, Node
from hasnas.search_spaces.layers import PLIF, Neuron
from hasnas.search_spaces.lif_scan import replace_neurons
from hasnas.search_spaces.network import SpikingNetwork, initialise
from hasnas.search_spaces.neurons.modules import LearnedTauLIF

from .rates import firing_rate, membrane_time_constant, require_float_membranes, soft_rate
from .stages import Job, finish, run_stage


@dataclass(frozen=True)
class SoftLIFSettings:
    """How neurons are softened.

    Args:
        gamma: width of the softened threshold, as a share of the threshold; 0.03 as published, 0 for exact rates,
            which have no bounded slope and are for evaluation.
        noise: standard deviation of the Gaussian noise on the rates of active neurons in training, in spikes per
            timestep; the published 10 Hz at timesteps of 1 ms are 0.01.
        refractory: timesteps added to every interval between spikes; half a step is the mean delay of a neuron that
            fires at the end of timesteps.

    Raises:
        BadInputError: naming the field, if a value is out of range.
    """

    gamma: float = 0.03
    noise: float = 0.01
    refractory: float = 0.5

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not 0 <= value < math.inf:
                raise BadInputError(f"soft_lif.{name} is {value}; give 0 or a positive number")


class SoftLIF(nn.Module):
    """Firing rates in place of spikes; takes the place of LIF, PLIF and IF modules in a `SpikingNetwork`.

    A PLIF module's parameter is taken over, so that the time constant is learned here as well.

    Args:
        node: of the graph.
        module: that it replaces.
        settings: how to soften.

    Raises:
        BadInputError: for neurons that have no rate in closed form.
    """

    def __init__(self, node: Node, module: nn.Module, settings: SoftLIFSettings) -> None:
        super().__init__()
        operation = node.operation
        if not isinstance(operation, Neuron) or not operation.closed_form_rate:
            raise BadInputError(
                f"layer '{node.name}': {type(operation).__name__} neurons have no rate in closed form; "
                "use lif, plif or if neurons, or train by surrogate gradients"
            )
        if operation.threshold <= operation.reset:
            raise BadInputError(f"layer '{node.name}': threshold {operation.threshold} is not above reset")
        self.reset_potential = operation.reset
        self.threshold = operation.threshold - operation.reset
        self.tau = operation.tau
        self.settings = settings
        if isinstance(module, LearnedTauLIF):
            self.w = module.w

    def rate(self, x: Tensor) -> Tensor:
        """Spikes per timestep under the constant current `x`, without noise."""
        shifted = x if math.isinf(self.tau) else x - self.reset_potential
        gamma, refractory = self.settings.gamma * self.threshold, self.settings.refractory
        learned = self._parameters.get("w")
        if gamma == 0:
            tau = self.tau if learned is None else 1 / float(learned.sigmoid())
            return firing_rate(shifted, tau, self.threshold, refractory)
        # 1 / tau = sigmoid(w) gives tau_rc = -1 / ln(1 - sigmoid(w)) = 1 / softplus(w).
        constant = membrane_time_constant(self.tau) if learned is None else 1 / functional.softplus(learned)
        return soft_rate(shifted, constant, self.threshold, gamma, refractory)

    def multi_step_forward(self, x: Tensor) -> Tensor:
        """Rates for currents of any shape, noisy in training."""
        rate = self.rate(x)
        if not (self.training and self.settings.noise):
            return rate
        active = x > (0 if math.isinf(self.tau) else self.threshold + self.reset_potential)
        return rate + self.settings.noise * torch.randn_like(rate) * active

    single_step_forward = multi_step_forward

    def reset(self) -> None:
        """Nothing to do: rates have no state."""


class RateNetwork(SpikingNetwork):
    """A graph's network with rates in place of spikes: one pass per sample, whatever the number of timesteps.

    Parameters and buffers have the names and shapes of the spiking network's. Sequences are averaged over time.

    Args:
        graph: of a network without feedback.
        make: gives the module that stands for a layer of neurons.

    Raises:
        BadInputError: for graphs with feedback, or with membranes of few bits.
    """

    def __init__(self, graph: LayerGraph, make: Callable[[Node, nn.Module], nn.Module]) -> None:
        if any(link.delay for link in graph.connections):
            raise BadInputError("the network has feedback, so no rates that one pass gives; train it by 'surrogate'")
        require_float_membranes(graph)
        super().__init__(replace(graph, timesteps=1))
        replace_neurons(self, make)

    def run(self, x: Tensor) -> dict[str, Tensor]:
        """See `SpikingNetwork.run`, at a single timestep."""
        return super().run(x.mean(0, keepdim=True) if x.dim() == 5 else x)


def soft_lif_network(graph: LayerGraph, settings: SoftLIFSettings | None = None) -> RateNetwork:
    """The network of firing rates of a graph.

    >>> from hasnas.search_spaces import Architecture, Edge, Genotype, Macro
    >>> cell = Genotype(2, (Edge(0, 1, "conv3x3"),))
    >>> macro = Macro((1, 8, 8), classes=3, timesteps=50, channels=4, hidden=0, votes=1, tau=8.0)
    >>> soft_lif_network(Architecture((cell,), macro).expand())(torch.rand(5, 1, 8, 8)).shape
    torch.Size([5, 3])
    """
    chosen = settings or SoftLIFSettings()
    return RateNetwork(graph, lambda node, module: SoftLIF(node, module, chosen))


def start_weights(network: SpikingNetwork, seed: int) -> None:
    """Draw a network's weights as those of every network are drawn; learned time constants start at the graph's."""
    initialise(network, seed)
    for node in network.graph.nodes:
        if isinstance(node.operation, PLIF):
            with torch.no_grad():
                network.get_parameter(f"{node.name}.w").fill_(-math.log(node.operation.tau - 1))


def retrain(
    architecture: Mapping[str, Any],
    splits: Splits,
    settings: RetrainSection,
    seed: int,
    checkpoint_directory: Path,
    progress: Progress | None = None,
    *,
    soft_lif: SoftLIFSettings | None = None,
) -> RetrainResult:
    """Train an architecture as a network of rates, and hand over the spiking network of the same weights.

    Epochs are judged, and the best is chosen, by the rate network; the result's merit is that of the
    spiking network at the architecture's timesteps.

    Args:
        architecture: its JSON form; without feedback.
        splits: the data; the test split is not touched.
        settings: how to train.
        seed: decides weights, order, dropout and noise.
        checkpoint_directory: made if absent; the state is kept in `soft_lif/`, the result in `best.safetensors`.
        progress: called after every epoch, with its number from 1 and its metrics.
        soft_lif: how neurons are softened.

    Raises:
        BadInputError: for networks without rates, or if the directory holds another training.
        TrainingDivergedError: if a loss or gradient is no longer finite.
    """
    chosen = soft_lif or SoftLIFSettings()
    job = Job(dict(architecture), splits, settings, seed, Path(checkpoint_directory), progress)
    with torch.random.fork_rng():
        rates = soft_lif_network(Architecture.from_json(architecture).expand(), chosen)
    if not chosen.gamma:
        raise BadInputError("soft_lif.gamma is 0; training needs a softened threshold, give a positive width")
    start_weights(rates, seed)
    stage = run_stage("soft_lif", rates, job, {"soft_lif": asdict(chosen)})
    spiking = job.network()
    load_tensors(spiking, stage.state, "the rate network")
    return finish(job, stage.state, stage.history, (stage.best.epoch, evaluate(spiking, splits.validation)))


def has_rates(graph: LayerGraph) -> bool:
    """Whether a graph can be trained as a network of rates.

    It has no feedback, and only neurons whose rate has a closed form.
    """
    neurons = [node.operation for node in graph.nodes if isinstance(node.operation, Neuron)]
    unknown = any(not item.closed_form_rate or item.membrane_bits for item in neurons)
    return not unknown and not any(link.delay for link in graph.connections)
