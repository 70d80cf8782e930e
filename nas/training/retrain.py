"""Retraining from scratch: architecture, data and seed give a trained network; killed at any moment, it resumes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hasnas.nas.config.plugins import TRAINING_METHODS
from hasnas.nas.config.training import RetrainSection, SurrogateSection
from hasnas.nas.data.needs import DataReference, Needs
from hasnas.nas.data.samples import Splits, batches, load_splits
from hasnas.nas.history.checkpoint import save_checkpoint
from hasnas.search_spaces.architecture import Architecture
from hasnas.search_spaces.network import SpikingNetwork, build_network

from .devices import placed
from .evaluation import evaluate, measure_activity
from .folders import ACTIVITY_FILE as ACTIVITY_FILE
from .folders import BEST_FILE as BEST_FILE
from .folders import EPOCHS_FILE, write_activity
from .folders import LAST_FILE as LAST_FILE
from .folders import retrain_directory as retrain_directory
from .initialisation import threshold_batch_norm
from .loop import EpochRecord, training_loss
from .processes import Job, Progress, is_launched, process_number, train_in_processes
from .record import StoredTraining, identity_of
from .state import derived_seed, load_tensors
from .surrogates import TunedWidths, apply_surrogates


@dataclass(frozen=True, eq=False)
class RetrainResult:
    """A trained network and how it came about.

    Args:
        state_dict: parameters and buffers after the best epoch.
        history: one record for each epoch.
        best_epoch: the epoch that `retrain.kept_epoch` chose by its merit on validation samples, from 1.
        merit: that merit, see `EpochRecord`.
        checkpoint: the file that holds `state_dict`.
    """

    state_dict: dict[str, Tensor]
    history: tuple[EpochRecord, ...]
    best_epoch: int
    merit: float
    checkpoint: Path

    def network(self, architecture: Mapping[str, Any]) -> SpikingNetwork:
        """The trained network, in evaluation mode."""
        with torch.random.fork_rng():
            trained = SpikingNetwork(Architecture.from_json(architecture).expand())
        load_tensors(trained, self.state_dict, str(self.checkpoint))
        return placed(trained.eval())


def retrain(
    architecture: Mapping[str, Any],
    splits: Splits,
    settings: RetrainSection,
    seed: int,
    checkpoint_directory: Path,
    progress: Progress | None = None,
) -> RetrainResult:
    """Train an architecture from freshly drawn weights.

    The state is stored after every epoch; called again with the same arguments, it goes on where it stopped and ends
    bit for bit where the undisturbed training ends.

    Args:
        architecture: its JSON form.
        splits: the data; the test split is not touched.
        settings: how to train.
        seed: decides weights, order and dropout.
        checkpoint_directory: made if absent; `last.safetensors` is the state, `best.safetensors` the result.
        progress: called after every epoch, also those restored, with its number from 1 and its metrics.

    Raises:
        BadInputError: if the directory holds another training, or nothing sound.
        TrainingDivergedError: if a loss or gradient is no longer finite; the last good state stays stored.
    """
    network, tuned = build_for_training(architecture, splits, settings, seed)
    directory = Path(checkpoint_directory)
    directory.mkdir(parents=True, exist_ok=True)
    identity = identity_of(architecture, settings, seed)
    training = StoredTraining(network, settings, identity, directory / LAST_FILE)

    def report(record: EpochRecord) -> None:
        if progress:
            progress(record.epoch, record.metrics())

    training.restore()
    for record in training.history:
        report(record)
    if training.goes_on() and is_launched(settings):
        training.train(splits, seed, report)
    elif training.goes_on():
        done, job = len(training.history), Job(architecture, settings, seed, str(directory))
        train_in_processes(retrain, job, splits, lambda epoch, metrics: _pass_on(progress, epoch, metrics, done))
        training.restore()
    return _result(training, directory / BEST_FILE, splits, tuned)


def _result(training: StoredTraining, path: Path, splits: Splits, tuned: TunedWidths | None) -> RetrainResult:
    """Store the best state by itself and hand it over."""
    epoch, merit = training.best_epoch, training.best_record().merit
    meta = {**training.identity, "epoch": epoch, "merit": merit}
    if tuned is not None:
        meta["surrogate_widths"] = tuned.widths
    if not process_number(training.settings):
        save_checkpoint(path, training.best, {**meta, "normalisation": asdict(splits.normalisation)})
    return RetrainResult(training.best, tuple(training.history), epoch, merit, path)


def _pass_on(progress: Progress | None, epoch: int, metrics: Mapping[str, float], done: int) -> None:
    if progress and epoch > done:
        progress(epoch, metrics)


def build_for_training(
    architecture: Mapping[str, Any], splits: Splits, settings: RetrainSection, seed: int
) -> tuple[SpikingNetwork, TunedWidths | None]:
    """A network with fresh weights, batch norm and surrogates as the settings say, and the widths that were tuned.

    Tuning takes a batch of the train split that the seed draws.
    """
    with torch.random.fork_rng():  # torch's own initialisation draws from the global generator; ours comes after it
        network = build_network(Architecture.from_json(architecture).expand(), seed)
    if settings.batch_norm == "threshold":
        threshold_batch_norm(network)
    return network, with_surrogates(network, splits, settings, seed)


def with_surrogates(
    network: SpikingNetwork, splits: Splits, settings: RetrainSection, seed: int
) -> TunedWidths | None:
    """Give a network's neurons the surrogates of the settings; the widths that were tuned, if any were."""
    if settings.surrogate == SurrogateSection():
        return None
    generator = torch.Generator().manual_seed(derived_seed(seed, "surrogates", 0))
    inputs, targets = next(batches(splits.train, settings.batch_size, generator))
    regression = splits.train.is_regression
    return apply_surrogates(
        network, settings.surrogate, inputs, lambda outputs: training_loss(outputs, targets, settings, regression)
    )


@dataclass(frozen=True)
class RetrainTask:
    """A training as plain data, to send to another process.

    Args:
        architecture: its JSON form.
        data: the samples.
        settings: how to train.
        seed: decides weights, order and dropout.
        checkpoint_directory: see `retrain`.
    """

    architecture: Mapping[str, Any]
    data: DataReference
    settings: RetrainSection
    seed: int
    checkpoint_directory: str

    @property
    def needs(self) -> Needs:
        """See `Travels`."""
        return Needs(self.data.key, self.settings.files, self.checkpoint_directory, self.settings.devices)


@dataclass(frozen=True)
class RetrainOutcome:
    """What a training gave, as plain data.

    Args:
        merit: of the best epoch, see `EpochRecord`.
        test_accuracy: of the same weights, on samples that decided nothing.
        best_epoch: number of that epoch, from 1.
        activity: `measure_activity` on the validation split.
        history: one record for each epoch.
        checkpoint: file with the weights.
    """

    merit: float
    test_accuracy: float
    best_epoch: int
    activity: dict[str, float]
    history: tuple[EpochRecord, ...]
    checkpoint: str


def note_epochs(directory: Path) -> Progress:
    """Appends each epoch to a file, where the process that shows progress finds it; see `EPOCHS_FILE`."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / EPOCHS_FILE

    def note(epoch: int, metrics: Mapping[str, float]) -> None:
        with suppress(OSError), path.open("a", encoding="utf-8") as file:  # a view stops no training
            file.write(json.dumps({"epoch": epoch, "metrics": dict(metrics)}) + "\n")

    return note


def run_retrain_task(task: RetrainTask, progress: Progress | None = None) -> RetrainOutcome:
    """Load the data, train, and evaluate once on the test split; takes and gives plain data.

    The measured activity is also written beside the checkpoints, as `activity.json`.

    Raises:
        BadInputError, TrainingDivergedError: as `load_splits` and `retrain`.
    """
    splits = load_splits(*task.data.key)
    directory = Path(task.checkpoint_directory)
    train = TRAINING_METHODS.get(task.settings.method)
    noted = progress or note_epochs(directory)
    result = train(task.architecture, splits, task.settings, task.seed, directory, noted)
    network = result.network(task.architecture)
    activity = measure_activity(network, splits.validation)
    write_activity(directory, activity)
    return RetrainOutcome(
        result.merit,
        evaluate(network, splits.test),
        result.best_epoch,
        activity,
        result.history,
        str(result.checkpoint),
    )
