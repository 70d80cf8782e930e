"""Conversion with balanced thresholds, then surrogate gradients: fine-tuning of a network that fires from the start.

Source: Rathi, Srinivasan, Panda and Roy, "Enabling Deep Spiking Neural Networks with Hybrid Conversion and Spike Timing
Dependent Backpropagation", ICLR 2020, arXiv:2005.01807. Theirs: a network of rectified linear units is trained, each
layer's threshold is set to the largest current that reaches it while the layers before it already spike (0.7 of it in
the released code), and a few epochs of gradients through spikes follow. Ours: weights are scaled instead of thresholds,
so that the graph's thresholds stay as declared, and spikes are scaled back, as batch norm and biases need it; batch
norm takes the statistics of spikes; a percentile in place of the maximum; leak and hard reset as declared; the
repository's own loop and surrogates in place of surrogates of spike timing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hasnas.errors import BadInputError
from hasnas.nas.config.training import RetrainSection
from hasnas.nas.data.samples import Split, Splits, batches
from hasnas.nas.training.evaluation import evaluate, evaluating
from hasnas.nas.training.loop import training_loss
from hasnas.nas.training.processes import Progress
from hasnas.nas.training.retrain import RetrainResult
from hasnas.nas.training.state import derived_seed, load_tensors
from hasnas.nas.training.surrogates import apply_surrogates
from hasnas.search_spaces.architecture import Architecture
from hasnas.search_spaces.graph import LayerGraph, Node
from hasnas.search_spaces.layers import Neuron
from hasnas.search_spaces.network import SpikingNetwork
from hasnas.search_spaces.neurons.modules import LearnedTauLIF

from .rescaling import current_groups, scale_currents, scale_spikes
from .soft_lif import RateNetwork, start_weights
from .stages import Job, finish, run_stage


@dataclass(frozen=True)
class ThresholdBalanceSettings:
    """How thresholds are balanced, and for how long the spiking network is trained afterwards.

    Args:
        percentile: of the largest currents of neurons over time, 0 to 100; 100 is the maximum, as published, which
            leaves leaky neurons with few timesteps nearly silent.
        factor: threshold for each unit of that current; 0.7 in the released code.
        calibration_samples: from the train split; 512 in the released code.
        fine_tuning_epochs: of the spiking network; 0 leaves it as converted.
        fine_tuning_rate: its largest step size, as a share of the first training's.

    Raises:
        BadInputError: naming the field, if a value is out of range.
    """

    percentile: float = 90.0
    factor: float = 0.7
    calibration_samples: int = 512
    fine_tuning_epochs: int = 5
    fine_tuning_rate: float = 0.25

    def __post_init__(self) -> None:
        self._check("percentile", 0 < self.percentile <= 100, "more than 0 and at most 100")
        self._check("factor", 0 < self.factor < math.inf, "a positive number")
        self._check("calibration_samples", self.calibration_samples >= 1, "at least 1")
        self._check("fine_tuning_epochs", self.fine_tuning_epochs >= 0, "0 or more")
        self._check("fine_tuning_rate", 0 < self.fine_tuning_rate < math.inf, "a positive number")

    def _check(self, name: str, fits: bool, wanted: str) -> None:
        if not fits:
            raise BadInputError(f"threshold_balance.{name} is {getattr(self, name)}; give {wanted}")


class RectifiedUnits(nn.Module):
    """Rectified linear units in place of a layer of neurons."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        if isinstance(module, LearnedTauLIF):
            # The learned time constant of PLIF neurons travels along, so that states can be exchanged.
            self.w = module.w

    def multi_step_forward(self, x: Tensor) -> Tensor:
        """max(0, x)."""
        return x.relu()

    single_step_forward = multi_step_forward

    def reset(self) -> None:
        """Nothing to do: there is no state."""


def rectified_network(graph: LayerGraph) -> RateNetwork:
    """A graph's network with rectified linear units in place of spikes."""
    return RateNetwork(graph, lambda _, module: RectifiedUnits(module))


def firing_current(node: Node) -> float:
    """Constant current at which neurons fire at every timestep: tau times the threshold, without leak the threshold.

    >>> from hasnas.search_spaces.layers import LIF
    >>> firing_current(Node("lif", LIF(tau=4.0, threshold=0.5), (8,)))
    2.0
    """
    operation = node.operation
    if isinstance(operation, Neuron):
        return operation.firing_current
    raise BadInputError(f"layer '{node.name}' has no neurons")


def balance_thresholds(
    network: SpikingNetwork, inputs: Tensor, settings: ThresholdBalanceSettings | None = None
) -> dict[str, float]:
    """Scale weights so that the largest currents make neurons fire at every timestep, and spikes mean what units gave.

        theta = factor * percentile over neurons and samples of max over t of x(t)
        x <- x tau V / theta,     weights that read the spikes <- weights * theta

    with V the declared threshold (tau is 1 without leak), so that a neuron without leak fires at the rate x / theta.
    Layers are balanced in order, each with the spikes of those before it and batch norm on their statistics, so that
    neurons that a leak or few timesteps keep silent do not silence what follows. Layers of neurons that share their
    currents share the scale, chosen for the one that needs the largest theta.

    Args:
        network: with the weights of a trained network of rectified linear units; changed in place.
        inputs: a batch for calibration, as the network takes it.
        settings: percentile and factor.

    Returns:
        theta of each layer of neurons.

    Raises:
        BadInputError: for networks with feedback, neurons that no weights drive, or that no current reaches.
    """
    chosen = settings or ThresholdBalanceSettings()
    found: dict[str, float] = {}
    with evaluating(network):
        for group in current_groups(network.graph):
            values = _run_recalibrated(network, inputs)
            shares = {name: _share(network, name, values, chosen) for name in group.neurons}
            strongest = max(shares, key=shares.__getitem__)
            if not shares[strongest] > 0:
                raise BadInputError(
                    f"no current reaches the neurons of '{strongest}': those before are silent; lower "
                    "threshold_balance.percentile or factor, or use more timesteps"
                )
            scale_currents(network, group, 1 / shares[strongest])
            for name in group.neurons:
                found[name] = shares[strongest] * firing_current(network.graph.node(name))
                scale_spikes(network, name, found[name])
        _run_recalibrated(network, inputs)
    return found


def _run_recalibrated(network: SpikingNetwork, inputs: Tensor) -> dict[str, Tensor]:
    """Results of all layers, with batch norm on the statistics of this batch, which it keeps."""
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0
        norm.train()
    values = network.run(inputs)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        norm.eval()
    return values


def _share(
    network: SpikingNetwork, name: str, values: Mapping[str, Tensor], settings: ThresholdBalanceSettings
) -> float:
    """theta of a layer, as a share of the current that makes it fire at every timestep."""
    node = network.graph.node(name)
    current = values[network.graph.inputs(name)[0].source]
    peak = current if current.dim() == len(node.shape) + 1 else current.amax(0)
    return settings.factor * percentile(peak, settings.percentile) / firing_current(node)


def percentile(values: Tensor, percent: float) -> float:
    """The smallest value that at least `percent` of all values do not exceed.

    >>> percentile(torch.arange(10.0), 90.0), percentile(torch.arange(10.0), 100.0)
    (8.0, 9.0)
    """
    count = values.numel()
    return float(values.flatten().kthvalue(max(1, math.ceil(percent / 100 * count))).values)


def retrain(
    architecture: Mapping[str, Any],
    splits: Splits,
    settings: RetrainSection,
    seed: int,
    checkpoint_directory: Path,
    progress: Progress | None = None,
    *,
    threshold_balance: ThresholdBalanceSettings | None = None,
) -> RetrainResult:
    """Train an architecture with rectified linear units, convert it, and fine-tune it by surrogate gradients.

    Args:
        architecture: its JSON form; without feedback.
        splits: the data; the test split is not touched.
        settings: how to train, both times; epochs are those of the first training.
        seed: decides weights, order and dropout.
        checkpoint_directory: made if absent; the states are kept in `rectified/` and `fine_tuning/`, the result in
            `best.safetensors`.
        progress: called after every epoch, numbered through, with its metrics; accuracies of the first epochs are those
            of the network of rectified linear units.
        threshold_balance: how to convert, and how long to fine-tune; by default as the settings say.

    Raises:
        BadInputError: for networks with feedback, or if the directory holds another training.
        TrainingDivergedError: if a loss or gradient is no longer finite.
    """
    section = settings.threshold_balance
    chosen = threshold_balance or ThresholdBalanceSettings(
        section.percentile, section.factor, fine_tuning_epochs=section.fine_tuning_epochs
    )
    job = Job(dict(architecture), splits, settings, seed, Path(checkpoint_directory), progress)
    with torch.random.fork_rng():
        rectified = rectified_network(Architecture.from_json(architecture).expand())
    start_weights(rectified, seed)
    first = run_stage("rectified", rectified, job, {})
    spiking = job.network()
    load_tensors(spiking, first.state, "the network of rectified linear units")
    balance_thresholds(spiking, _calibration(splits.train, chosen, seed), chosen)
    if not chosen.fine_tuning_epochs:
        merit = evaluate(spiking, splits.validation)
        return finish(job, _state(spiking), first.history, (first.best.epoch, merit))
    rate = settings.learning_rate * chosen.fine_tuning_rate
    tuning = settings.with_changes({"epochs": chosen.fine_tuning_epochs, "learning_rate": rate})
    inputs, targets = next(batches(splits.train, settings.batch_size))
    apply_surrogates(spiking, settings.surrogate, inputs, lambda outputs: training_loss(outputs, targets, settings))
    method = {"threshold_balance": asdict(chosen)}
    second = run_stage("fine_tuning", spiking, replace(job, settings=tuning), method, len(first.history))
    history = first.history + second.history
    return finish(job, second.state, history, (second.best.epoch, second.best.merit))


def _calibration(train: Split, settings: ThresholdBalanceSettings, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(derived_seed(seed, "calibration", 0))
    return next(batches(train, settings.calibration_samples, generator))[0]


def _state(network: SpikingNetwork) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in network.state_dict().items()}
