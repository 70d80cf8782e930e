"""How candidates are evaluated during the search: plain tasks that any process can run."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hasnas.cim_estimator.nonideal import load_nonideal
from hasnas.files import read_json, write_atomic
from hasnas.nas.budget.measured import TRAINING_SECONDS
from hasnas.nas.config.multi_fidelity import Rung
from hasnas.nas.config.training import RetrainSection
from hasnas.nas.data.needs import DataReference, Needs
from hasnas.nas.data.samples import Splits, batches, load_splits
from hasnas.nas.history.checkpoint import load_checkpoint
from hasnas.nas.history.quality import Quality, quality_of_task
from hasnas.nas.history.worth import RATE_PREFIX
from hasnas.nas.imperfect_chips import evaluate_on_chips
from hasnas.nas.supernet.sharing import inherit
from hasnas.nas.training.devices import placed
from hasnas.nas.training.evaluation import evaluate, firing_rates, measure_activity, recalibrate_batch_norm
from hasnas.nas.training.methods import TRAINING_METHODS
from hasnas.nas.training.rungs import train_to_rung
from hasnas.search_spaces.architecture import Architecture
from hasnas.search_spaces.graph import LayerGraph
from hasnas.search_spaces.network import SpikingNetwork

from .mapped import MappingReference, mapping_metrics

SECONDS_FILE = "seconds.json"
INPUT_RATE_PREFIX = "input_rate/"


@dataclass(frozen=True)
class DeviceReference:
    """On which imperfect chips a network is tried.

    Args:
        device: preset or YAML file of device non-ideality.
        chips: number of chips; their seed is the run's.
    """

    device: str
    chips: int


def _chips(device: DeviceReference | None) -> tuple[str, ...]:
    """The file that may describe them."""
    return () if device is None else (device.device,)


@dataclass(frozen=True)
class InheritedTask:
    """Evaluate a candidate with the supernet's weights.

    Args:
        architecture: its JSON form.
        data: the samples.
        supernet: file with the supernet's weights.
        calibration_batches: training batches that set the batch norm.
        batch_size: samples in each of them.
        seed: of the run; fixes which training samples these are, the same for all candidates.
        device: imperfect chips, or None for perfect ones.
        mapping: how it is mapped, or None if it is not.
    """

    architecture: Mapping[str, Any]
    data: DataReference
    supernet: str
    calibration_batches: int
    batch_size: int
    seed: int
    device: DeviceReference | None = None
    mapping: MappingReference | None = None

    @property
    def needs(self) -> Needs:
        """See `Travels`."""
        return Needs(self.data.key, (self.supernet, *_chips(self.device)))


@lru_cache(maxsize=1)
def splits_of(data: DataReference) -> Splits:
    """The samples, read once in each process."""
    return load_splits(*data.key)


@lru_cache(maxsize=1)
def _supernet_state(path: str) -> dict[str, Tensor]:
    return load_checkpoint(path)[0]


@lru_cache(maxsize=1)
def _calibration_inputs(data: DataReference, count: int, batch_size: int, seed: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [inputs for inputs, _ in islice(batches(splits_of(data).train, batch_size, generator, 2), count)]


def evaluate_inherited(task: InheritedTask) -> dict[str, float]:
    """Quality on validation samples and firing rates of a candidate with inherited weights.

    Batch norm takes the statistics of the candidate's own path, on a copy and on the same training batches for all.

    Returns:
        `validation_accuracy` (or `validation_mean_absolute_error`), `firing_rate` (mean over neurons' layers) and one
        `firing_rate/<layer>` each.
    """
    network = placed(inherit(_supernet_state(task.supernet), Architecture.from_json(task.architecture)))
    inputs = _calibration_inputs(task.data, task.calibration_batches, task.batch_size, task.seed)
    calibrated = recalibrate_batch_norm(network, inputs)
    return score(calibrated, splits_of(task.data), task.device, task.seed, mapping=task.mapping)


@dataclass(frozen=True)
class BriefTask:
    """Evaluate a candidate by a short training of its own.

    Args:
        architecture: its JSON form.
        data: the samples; test samples are not touched.
        settings: how to train.
        seed: decides weights, order and dropout.
        checkpoint_directory: where an interrupted training goes on.
        device: imperfect chips, or None for perfect ones.
        timed: whether to tell how long the training took; equal runs then differ.
        mapping: how it is mapped, or None if it is not.
    """

    architecture: Mapping[str, Any]
    data: DataReference
    settings: RetrainSection
    seed: int
    checkpoint_directory: str
    device: DeviceReference | None = None
    timed: bool = False
    mapping: MappingReference | None = None

    @property
    def needs(self) -> Needs:
        """See `Travels`."""
        files = (*self.settings.files, *_chips(self.device))
        return Needs(self.data.key, files, self.checkpoint_directory, self.settings.devices)


def evaluate_briefly(task: BriefTask) -> dict[str, float]:
    """What `evaluate_inherited` returns, after a short training from scratch."""
    splits = splits_of(task.data)
    train = TRAINING_METHODS.get(task.settings.method)
    began, folder = time.perf_counter(), Path(task.checkpoint_directory)
    result = train(task.architecture, splits, task.settings, task.seed, folder)
    took = {TRAINING_SECONDS: _seconds(folder, time.perf_counter() - began)} if task.timed else {}
    network = result.network(task.architecture)
    return {**score(network, splits, task.device, task.seed, mapping=task.mapping), **took}


def _seconds(folder: Path, seconds: float) -> float:
    """How long a training took; one that an earlier candidate shared, with another chip, is only restored."""
    path = folder / SECONDS_FILE
    if not path.exists():
        write_atomic(path, json.dumps(seconds) + "\n")
    return float(read_json(path))


@dataclass(frozen=True)
class TrainedTask:
    """Try a trained network on hardware.

    Args:
        architecture: its JSON form.
        weights: checkpoint with its weights.
        data: the samples.
        seed: of the imperfect chips and of the recipe.
        device: imperfect chips, or None for perfect ones.
        mapping: how it is mapped, or None if it is not.
    """

    architecture: Mapping[str, Any]
    weights: str
    data: DataReference
    seed: int
    device: DeviceReference | None = None
    mapping: MappingReference | None = None

    @property
    def needs(self) -> Needs:
        """See `Travels`."""
        return Needs(self.data.key, (self.weights, *_chips(self.device)))


def evaluate_trained(task: TrainedTask) -> dict[str, float]:
    """Quality over imperfect chips and figures as mapped of a network that was trained, on validation samples."""
    network = SpikingNetwork(Architecture.from_json(task.architecture).expand())
    network.load_state_dict(load_checkpoint(task.weights)[0])
    return hardware_metrics(placed(network.eval()), splits_of(task.data), task.seed, task.device, task.mapping)


@dataclass(frozen=True)
class RungTask:
    """Train a candidate up to a rung, on from where it stands, and evaluate it there.

    Args:
        architecture: its JSON form.
        data: the samples; test samples are not touched.
        settings: how to train; `epochs` are those of the last rung there is.
        seed: decides weights, order, dropout, and which samples are a share of them.
        checkpoint_directory: where the training goes on.
        rungs: up to the one that is meant.
        dead_rate: how far from 0 or 1 the rate of a silent or saturated layer is at most.
        device: imperfect chips, or None for perfect ones.
        mapping: how it is mapped, or None if it is not.
    """

    architecture: Mapping[str, Any]
    data: DataReference
    settings: RetrainSection
    seed: int
    checkpoint_directory: str
    rungs: tuple[Rung, ...]
    dead_rate: float = 0.0
    device: DeviceReference | None = None
    mapping: MappingReference | None = None

    @property
    def needs(self) -> Needs:
        """See `Travels`."""
        return Needs(self.data.key, (*self.settings.files, *_chips(self.device)), self.checkpoint_directory)


@dataclass(frozen=True)
class RungOutcome:
    """What a rung gave, as plain data.

    Args:
        metrics: what `evaluate_inherited` returns, measured with the rung's timesteps.
        activity: `measure_activity` on validation samples.
        epochs: that the candidate was trained for so far.
        dead: why it was given up, one line; empty if it was not.
    """

    metrics: dict[str, float]
    activity: dict[str, float]
    epochs: int
    dead: str


def evaluate_rung(task: RungTask) -> RungOutcome:
    """Train up to the last of the task's rungs, or until nothing reaches the output any more, and evaluate."""
    folder = Path(task.checkpoint_directory)
    result = train_to_rung(
        task.architecture, splits_of(task.data), task.settings, task.seed, folder, task.rungs, task.dead_rate
    )
    activity = measure_activity(result.network, result.splits.validation)
    metrics = score(result.network, result.splits, task.device, task.seed, activity, task.mapping)
    return RungOutcome(metrics, activity, result.epochs, result.dead)


def score(
    network: SpikingNetwork,
    splits: Splits,
    device: DeviceReference | None = None,
    seed: int = 0,
    activity: Mapping[str, float] | None = None,
    mapping: MappingReference | None = None,
) -> dict[str, float]:
    """What the search is told of a network, measured on validation samples; the activity may be known already."""
    activity = measure_activity(network, splits.validation) if activity is None else activity
    quality = quality_of_splits(splits)
    found = {quality.validation: quality.figure(evaluate(network, splits.validation))}
    on_hardware = hardware_metrics(network, splits, seed, device, mapping)
    return {**found, **on_hardware, **rate_metrics(network.graph, activity)}


def hardware_metrics(
    network: SpikingNetwork,
    splits: Splits,
    seed: int,
    device: DeviceReference | None,
    mapping: MappingReference | None,
) -> dict[str, float]:
    """What `device_metrics` and `mapping_metrics` tell, as far as they are asked for."""
    on_chips = {} if device is None else device_metrics(network, splits, device, seed)
    return {**on_chips, **({} if mapping is None else mapping_metrics(network, splits, mapping, seed))}


def device_metrics(network: SpikingNetwork, splits: Splits, device: DeviceReference, seed: int) -> dict[str, float]:
    """The mean over chips, e.g. `device_accuracy`, with `device_accuracy_std` and `device_accuracy_worst`."""
    quality = quality_of_splits(splits)
    found = evaluate_on_chips(
        network, splits.validation, load_nonideal(device.device), device.chips, seed, calibration=splits.train.inputs
    )
    spread = {f"{quality.device}_std": found.std, f"{quality.device}_worst": quality.figure(found.worst)}
    return {quality.device: quality.figure(found.mean), **spread}


def quality_of_splits(splits: Splits) -> Quality:
    """By what networks on some data are judged."""
    return quality_of_task("regression" if splits.train.is_regression else "classification", splits.train.place)


def input_rate_metrics(graph: LayerGraph, activity: Mapping[str, float]) -> dict[str, float]:
    """The rates from which a network is priced: `input_rate/<name>`, with the names under which `lower` takes them."""
    spikes = firing_rates(graph, activity)
    return {INPUT_RATE_PREFIX + name: rate for name, rate in activity.items() if name not in spikes}


def rate_metrics(graph: LayerGraph, activity: Mapping[str, float]) -> dict[str, float]:
    """Mean firing rate of the layers of neurons, and each layer's own."""
    rates = firing_rates(graph, activity)
    mean = sum(rates.values()) / len(rates)
    return {"firing_rate": mean, **{RATE_PREFIX + name: rate for name, rate in rates.items()}}
