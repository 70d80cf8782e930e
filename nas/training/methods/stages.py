"""Trainings that are parts of a longer route: each is stored after every epoch and resumes like a retraining."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hasnas.errors import BadInputError
from hasnas.nas.config.training import RetrainSection
from hasnas.nas.data.samples import Splits
from hasnas.nas.history.checkpoint import save_checkpoint
from hasnas.nas.training.folders import BEST_FILE, LAST_FILE
from hasnas.nas.training.loop import EpochRecord
from hasnas.nas.training.processes import Progress
from hasnas.nas.training.record import StoredTraining, identity_of
from hasnas.nas.training.retrain import RetrainResult
from hasnas.search_spaces.architecture import Architecture
from hasnas.search_spaces.network import SpikingNetwork


@dataclass(frozen=True, eq=False)
class Job:
    """What a training method was asked for; fields as the arguments of `hasnas.nas.training.retrain.retrain`."""

    architecture: Mapping[str, Any]
    splits: Splits
    settings: RetrainSection
    seed: int
    directory: Path
    progress: Progress | None = None

    def __post_init__(self) -> None:
        if self.settings.processes > 1:
            raise BadInputError(
                f"retrain.devices and retrain.nodes ask for {self.settings.processes} processes; conversion runs in "
                "one, use method 'surrogate' or set both to 1"
            )

    def network(self) -> SpikingNetwork:
        """The spiking network as it is deployed, with weights that mean nothing yet."""
        with torch.random.fork_rng():
            return SpikingNetwork(Architecture.from_json(self.architecture).expand())

    def identity(self) -> dict[str, Any]:
        """What a stored state must agree with."""
        return identity_of(self.architecture, self.settings, self.seed)

    def report(self, history: tuple[EpochRecord, ...]) -> None:
        """Tell the caller about epochs that were restored."""
        for record in history if self.progress else ():
            self.progress(record.epoch, record.metrics())  # type: ignore[misc]


@dataclass(frozen=True, eq=False)
class Stage:
    """A finished stage.

    Args:
        state: parameters and buffers after the epoch that `retrain.kept_epoch` chose.
        history: its epochs, numbered on from those of the stages before.
        best: the record of that epoch.
    """

    state: dict[str, Tensor]
    history: tuple[EpochRecord, ...]
    best: EpochRecord


def run_stage(name: str, network: SpikingNetwork, job: Job, method: Mapping[str, Any], done_before: int = 0) -> Stage:
    """Train a network by the repository's loop; stopped at any moment, it resumes.

    Args:
        name: of the stage; its state is kept in a folder of that name.
        network: trained in place, from the weights it has.
        job: what to train on and how.
        method: settings of the method as plain data; a stored state of others is refused.
        done_before: epochs of earlier stages, for numbering.

    Raises:
        BadInputError: if the folder holds another training.
        TrainingDivergedError: if a loss or gradient is no longer finite.
    """
    folder = job.directory / name
    folder.mkdir(parents=True, exist_ok=True)
    identity = {**job.identity(), "method": dict(method)}
    training = StoredTraining(network, job.settings, identity, folder / LAST_FILE)

    def renumbered(record: EpochRecord) -> EpochRecord:
        return replace(record, epoch=record.epoch + done_before)

    training.restore()
    job.report(tuple(renumbered(record) for record in training.history))
    if training.goes_on():
        training.train(job.splits, job.seed, lambda record: job.report((renumbered(record),)))
    history = tuple(renumbered(record) for record in training.history)
    return Stage(training.best, history, history[training.best_epoch - 1])


def finish(
    job: Job, state: dict[str, Tensor], history: tuple[EpochRecord, ...], best: tuple[int, float]
) -> RetrainResult:
    """Store what is deployed as a retraining stores it, and hand it over.

    Args:
        job: what was asked for.
        state: of the spiking network.
        history: of all stages.
        best: number of the chosen epoch, and the merit of the spiking network on validation samples.
    """
    path = job.directory / BEST_FILE
    chosen = {"epoch": best[0], "merit": best[1]}
    meta = {**job.identity(), **chosen, "normalisation": asdict(job.splits.normalisation)}
    save_checkpoint(path, state, meta)
    return RetrainResult(state, history, best[0], best[1], path)
