"""How candidates are evaluated during the search: plain tasks that any process can run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hasnas.nas.checkpoint import load_checkpoint
from hasnas.nas.data import Splits, batches, load_splits
from hasnas.nas.nni_engine.sharing import inherit
from hasnas.nas.training.evaluation import evaluate, firing_rates, measure_activity, recalibrate_batch_norm
from hasnas.nas.training.retrain import retrain
from hasnas.nas.training.settings import RetrainSettings
from hasnas.search_spaces.architecture import Architecture
from hasnas.search_spaces.network import SpikingNetwork

RATE_PREFIX = "firing_rate/"


@dataclass(frozen=True)
class DataReference:
    """Which samples to use; small enough to send to a worker.

    Args:
        dataset: name of the dataset.
        root: folder that holds the datasets' files, `None` for the default one.
        validation_share: part of the train split held out.
        seed: seed of that draw.
    """

    dataset: str
    root: str | None
    validation_share: float
    seed: int


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
    """

    architecture: Mapping[str, Any]
    data: DataReference
    supernet: str
    calibration_batches: int
    batch_size: int
    seed: int


@lru_cache(maxsize=1)
def splits_of(data: DataReference) -> Splits:
    """The samples, read once in each process."""
    root = None if data.root is None else Path(data.root)
    return load_splits(data.dataset, root, data.validation_share, data.seed)


@lru_cache(maxsize=1)
def _supernet_state(path: str) -> dict[str, Tensor]:
    return load_checkpoint(path)[0]


@lru_cache(maxsize=1)
def _calibration_inputs(data: DataReference, count: int, batch_size: int, seed: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [inputs for inputs, _ in islice(batches(splits_of(data).train, batch_size, generator), count)]


def evaluate_inherited(task: InheritedTask) -> dict[str, float]:
    """Validation accuracy and firing rates of a candidate with inherited weights.

    Batch norm takes the statistics of the candidate's own path, on a copy and on the same training batches for all.

    Returns:
        `validation_accuracy`, `firing_rate` (mean over neurons' layers) and one `firing_rate/<layer>` each.
    """
    network = inherit(_supernet_state(task.supernet), Architecture.from_json(task.architecture))
    inputs = _calibration_inputs(task.data, task.calibration_batches, task.batch_size, task.seed)
    return score(recalibrate_batch_norm(network, inputs), splits_of(task.data))


@dataclass(frozen=True)
class BriefTask:
    """Evaluate a candidate by a short training of its own.

    Args:
        architecture: its JSON form.
        data: the samples; test samples are not touched.
        settings: how to train.
        seed: decides weights, order and dropout.
        checkpoint_directory: where an interrupted training goes on.
    """

    architecture: Mapping[str, Any]
    data: DataReference
    settings: RetrainSettings
    seed: int
    checkpoint_directory: str


def evaluate_briefly(task: BriefTask) -> dict[str, float]:
    """What `evaluate_inherited` returns, after a short training from scratch."""
    splits = splits_of(task.data)
    result = retrain(task.architecture, splits, task.settings, task.seed, Path(task.checkpoint_directory))
    return score(result.network(task.architecture), splits)


def score(network: SpikingNetwork, splits: Splits) -> dict[str, float]:
    """What the search is told of a network, measured on validation samples."""
    activity = measure_activity(network, splits.validation)
    return {"validation_accuracy": evaluate(network, splits.validation), **rate_metrics(network, activity)}


def rate_metrics(network: SpikingNetwork, activity: Mapping[str, float]) -> dict[str, float]:
    """Mean firing rate of the layers of neurons, and each layer's own."""
    rates = firing_rates(network.graph, activity)
    mean = sum(rates.values()) / len(rates)
    return {"firing_rate": mean, **{RATE_PREFIX + name: rate for name, rate in rates.items()}}
