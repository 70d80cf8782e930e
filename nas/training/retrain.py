"""Retraining from scratch: architecture, data and seed give a trained network; killed at any moment, it resumes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hasnas.datasets.frames import Framing
from hasnas.errors import BadInputError
from hasnas.files import write_atomic
from hasnas.nas.checkpoint import has_checkpoint, load_checkpoint, save_checkpoint
from hasnas.nas.conversion import TRAINING_METHODS
from hasnas.nas.data import Splits, batches, load_splits
from hasnas.search_spaces.architecture import Architecture
from hasnas.search_spaces.network import SpikingNetwork, build_network

from .evaluation import evaluate, measure_activity
from .folders import ACTIVITY_FILE as ACTIVITY_FILE
from .folders import BEST_FILE as BEST_FILE
from .folders import LAST_FILE as LAST_FILE
from .folders import retrain_directory as retrain_directory
from .initialisation import threshold_batch_norm
from .loop import EpochRecord, TrainingDivergedError, TrainingLoop, run_loop, training_loss
from .processes import Job, Progress, is_launched, process_number, train_in_processes
from .settings import RetrainSettings, SurrogateSettings
from .state import (
    BEST,
    MODEL,
    derived_seed,
    load_tensors,
    optimizer_tensors,
    restore_optimizer,
    with_prefix,
    without_prefix,
)
from .surrogates import TunedWidths, apply_surrogates


@dataclass(frozen=True, eq=False)
class RetrainResult:
    """A trained network and how it came about.

    Args:
        state_dict: parameters and buffers after the best epoch.
        history: one record for each epoch.
        best_epoch: the epoch with the highest validation accuracy, from 1; the later of equals.
        validation_accuracy: that accuracy.
        checkpoint: the file that holds `state_dict`.
    """

    state_dict: dict[str, Tensor]
    history: tuple[EpochRecord, ...]
    best_epoch: int
    validation_accuracy: float
    checkpoint: Path

    def network(self, architecture: Mapping[str, Any]) -> SpikingNetwork:
        """The trained network, in evaluation mode."""
        with torch.random.fork_rng():
            trained = SpikingNetwork(Architecture.from_json(architecture).expand())
        load_tensors(trained, self.state_dict, str(self.checkpoint))
        return trained.eval()


def retrain(
    architecture: Mapping[str, Any],
    splits: Splits,
    settings: RetrainSettings,
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
    normalisation = asdict(splits.normalisation)
    training = _Training(network, dict(architecture), settings, seed, Path(checkpoint_directory), normalisation, tuned)
    training.directory.mkdir(parents=True, exist_ok=True)
    tensors = training.restore()
    for record in training.history:
        if progress:
            progress(record.epoch, record.metrics())
    if not training.goes_on():
        return training.result()
    if not is_launched(settings):
        done = len(training.history)
        job = Job(architecture, settings, seed, str(training.directory))
        train_in_processes(job, splits, lambda epoch, metrics: _pass_on(progress, epoch, metrics, done))
        training.restore()
        return training.result()

    def after_epoch(record: EpochRecord) -> bool:
        training.finish_epoch(record, loop)
        if progress:
            progress(record.epoch, record.metrics())
        return training.goes_on()

    loop = TrainingLoop(network, splits, settings, seed, len(training.history), after_epoch)
    if tensors:
        restore_optimizer(loop.optimizer, network, tensors)
        if loop.average is not None:
            loop.average.restore(tensors)
    try:
        run_loop(loop, settings.epochs - len(training.history), settings)
    except TrainingDivergedError as error:
        kept = f"the state after epoch {len(training.history)} is in {training.directory / LAST_FILE}"
        raise TrainingDivergedError(f"{error}; {kept if training.history else 'no epoch was finished'}") from error
    return training.result()


def _pass_on(progress: Progress | None, epoch: int, metrics: Mapping[str, float], done: int) -> None:
    if progress and epoch > done:
        progress(epoch, metrics)


def build_for_training(
    architecture: Mapping[str, Any], splits: Splits, settings: RetrainSettings, seed: int
) -> tuple[SpikingNetwork, TunedWidths | None]:
    """A network with fresh weights, batch norm and surrogates as the settings say, and the widths that were tuned.

    Tuning takes a batch of the train split that the seed draws.
    """
    with torch.random.fork_rng():  # torch's own initialisation draws from the global generator; ours comes after it
        network = build_network(Architecture.from_json(architecture).expand(), seed)
    if settings.batch_norm == "threshold":
        threshold_batch_norm(network)
    if settings.surrogate == SurrogateSettings():
        return network, None
    generator = torch.Generator().manual_seed(derived_seed(seed, "surrogates", 0))
    inputs, targets = next(batches(splits.train, settings.batch_size, generator))
    regression = splits.train.is_regression
    return network, apply_surrogates(
        network, settings.surrogate, inputs, lambda outputs: training_loss(outputs, targets, settings, regression)
    )


@dataclass
class _Training:
    """The state of a training between epochs, in memory and on disk."""

    network: SpikingNetwork
    architecture: dict[str, Any]
    settings: RetrainSettings
    seed: int
    directory: Path
    normalisation: dict[str, Any]
    tuned: TunedWidths | None = None
    history: list[EpochRecord] = field(default_factory=list)
    best: dict[str, Tensor] = field(default_factory=dict)
    best_epoch: int = 0

    def identity(self) -> dict[str, Any]:
        """What a stored state must agree with."""
        plain = {"architecture": self.architecture, "settings": self.settings.to_json(), "seed": self.seed}
        return json.loads(json.dumps(plain))

    def restore(self) -> dict[str, Tensor]:
        """Load the stored state, if there is one; returns all of its tensors."""
        path = self.directory / LAST_FILE
        if not has_checkpoint(path):
            return {}
        tensors, meta = load_checkpoint(path)
        for name, value in self.identity().items():
            if meta.get(name) != value:
                raise BadInputError(
                    f"{path} belongs to a training with another {name}; use another directory or delete this one"
                )
        load_tensors(self.network, without_prefix(MODEL, tensors), str(path))
        self.history = [EpochRecord(**record) for record in meta["history"]]
        self.best, self.best_epoch = without_prefix(BEST, tensors), meta["best_epoch"]
        return tensors

    def goes_on(self) -> bool:
        """Whether there are epochs left, and hope for them."""
        done, patience = len(self.history), self.settings.patience
        return done < self.settings.epochs and (patience is None or done - self.best_epoch < patience)

    def finish_epoch(self, record: EpochRecord, loop: TrainingLoop) -> None:
        """Note an epoch and store everything; the best state travels along, so that one file is the whole truth."""
        self.history.append(record)
        if not self.best_epoch or record.validation_accuracy >= self._accuracy(self.best_epoch):
            self.best, self.best_epoch = _copied(loop.judged_state()), record.epoch
        if process_number(self.settings):
            return
        average = {} if loop.average is None else loop.average.tensors()
        tensors = {
            **with_prefix(MODEL, _copied(self.network.state_dict())),
            **with_prefix(BEST, self.best),
            **optimizer_tensors(loop.optimizer, self.network),
            **average,
        }
        meta = {**self.identity(), "history": [asdict(item) for item in self.history], "best_epoch": self.best_epoch}
        save_checkpoint(self.directory / LAST_FILE, tensors, meta)

    def result(self) -> RetrainResult:
        """Store the best state by itself and hand it over."""
        accuracy, path = self._accuracy(self.best_epoch), self.directory / BEST_FILE
        meta = {**self.identity(), "epoch": self.best_epoch, "validation_accuracy": accuracy}
        if self.tuned is not None:
            meta["surrogate_widths"] = self.tuned.widths
        if not process_number(self.settings):
            save_checkpoint(path, self.best, {**meta, "normalisation": self.normalisation})
        return RetrainResult(self.best, tuple(self.history), self.best_epoch, accuracy, path)

    def _accuracy(self, epoch: int) -> float:
        return self.history[epoch - 1].validation_accuracy


def _copied(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().cpu().clone() for name, value in state.items()}


@dataclass(frozen=True)
class RetrainTask:
    """A training as plain data, to send to another process.

    Args:
        architecture: its JSON form.
        dataset: name of the dataset.
        root: folder that holds the datasets' files, `None` for the default one.
        validation_share: part of the train split held out.
        split_seed: seed of that draw.
        settings: how to train.
        seed: decides weights, order and dropout.
        checkpoint_directory: see `retrain`.
        framing: how event recordings become frames; None takes the dataset's own way.
    """

    architecture: Mapping[str, Any]
    dataset: str
    root: str | None
    validation_share: float
    split_seed: int
    settings: RetrainSettings
    seed: int
    checkpoint_directory: str
    framing: Framing | None = None


@dataclass(frozen=True)
class RetrainOutcome:
    """What a training gave, as plain data.

    Args:
        validation_accuracy: of the best epoch.
        test_accuracy: of the same weights, on samples that decided nothing.
        best_epoch: number of that epoch, from 1.
        activity: `measure_activity` on the validation split.
        history: one record for each epoch.
        checkpoint: file with the weights.
    """

    validation_accuracy: float
    test_accuracy: float
    best_epoch: int
    activity: dict[str, float]
    history: tuple[EpochRecord, ...]
    checkpoint: str


def run_retrain_task(task: RetrainTask, progress: Progress | None = None) -> RetrainOutcome:
    """Load the data, train, and evaluate once on the test split; takes and gives plain data.

    The measured activity is also written beside the checkpoints, as `activity.json`.

    Raises:
        BadInputError, TrainingDivergedError: as `load_splits` and `retrain`.
    """
    root = None if task.root is None else Path(task.root)
    splits = load_splits(task.dataset, root, task.validation_share, task.split_seed, task.framing)
    directory = Path(task.checkpoint_directory)
    train = TRAINING_METHODS.get(task.settings.method)
    result = train(task.architecture, splits, task.settings, task.seed, directory, progress)
    network = result.network(task.architecture)
    activity = measure_activity(network, splits.validation)
    write_atomic(directory / ACTIVITY_FILE, json.dumps(activity, indent=1) + "\n")
    return RetrainOutcome(
        result.validation_accuracy,
        evaluate(network, splits.test),
        result.best_epoch,
        activity,
        result.history,
        str(result.checkpoint),
    )
