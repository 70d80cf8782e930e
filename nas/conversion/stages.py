"""Trainings that are parts of a longer route: each is stored after every epoch and resumes like a retraining."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hasnas.errors import BadInputError
from hasnas.nas.checkpoint import has_checkpoint, load_checkpoint, save_checkpoint
from hasnas.nas.data import Splits
from hasnas.nas.training.folders import BEST_FILE, LAST_FILE
from hasnas.nas.training.loop import EpochRecord, TrainingLoop, run_loop
from hasnas.nas.training.processes import Progress
from hasnas.nas.training.retrain import RetrainResult
from hasnas.nas.training.settings import RetrainSettings
from hasnas.nas.training.state import (
    BEST,
    MODEL,
    load_tensors,
    optimizer_tensors,
    restore_optimizer,
    with_prefix,
    without_prefix,
)
from hasnas.search_spaces.architecture import Architecture
from hasnas.search_spaces.network import SpikingNetwork


@dataclass(frozen=True, eq=False)
class Job:
    """What a training method was asked for; fields as the arguments of `hasnas.nas.training.retrain.retrain`."""

    architecture: Mapping[str, Any]
    splits: Splits
    settings: RetrainSettings
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
        plain = {"architecture": dict(self.architecture), "settings": self.settings.to_json(), "seed": self.seed}
        return json.loads(json.dumps(plain))

    def report(self, history: tuple[EpochRecord, ...]) -> None:
        """Tell the caller about epochs that were restored."""
        for record in history if self.progress else ():
            self.progress(record.epoch, record.metrics())  # type: ignore[misc]


@dataclass(frozen=True, eq=False)
class Stage:
    """A finished stage.

    Args:
        state: parameters and buffers after the epoch with the highest validation accuracy.
        history: its epochs, numbered on from those of the stages before.
        best: the record of that epoch, the later of equals.
    """

    state: dict[str, Tensor]
    history: tuple[EpochRecord, ...]
    best: EpochRecord


class _Store:
    """The stored state of a stage."""

    def __init__(self, path: Path, identity: Mapping[str, Any]) -> None:
        self.path, self.identity = path, json.loads(json.dumps(identity))
        self.history: list[EpochRecord] = []
        self.best: dict[str, Tensor] = {}
        self.best_epoch = 0

    def restore(self, network: SpikingNetwork) -> dict[str, Tensor]:
        """Load what there is into the network; gives the optimizer's part."""
        if not has_checkpoint(self.path):
            return {}
        tensors, meta = load_checkpoint(self.path)
        for name, value in self.identity.items():
            if meta.get(name) != value:
                raise BadInputError(
                    f"{self.path} belongs to a training with another {name}; use another directory or delete this one"
                )
        load_tensors(network, without_prefix(MODEL, tensors), str(self.path))
        self.history = [EpochRecord(**record) for record in meta["history"]]
        self.best, self.best_epoch = without_prefix(BEST, tensors), meta["best_epoch"]
        return tensors

    def add(self, record: EpochRecord, loop: TrainingLoop) -> None:
        """Note an epoch and store everything."""
        self.history.append(record)
        if not self.best or record.validation_accuracy >= self.history[self.best_epoch - 1].validation_accuracy:
            self.best, self.best_epoch = _copied(loop.judged_state()), len(self.history)
        tensors = {
            **with_prefix(MODEL, _copied(loop.network.state_dict())),
            **with_prefix(BEST, self.best),
            **optimizer_tensors(loop.optimizer, loop.network),
            **({} if loop.average is None else loop.average.tensors()),
        }
        history = [asdict(item) for item in self.history]
        save_checkpoint(self.path, tensors, {**self.identity, "history": history, "best_epoch": self.best_epoch})

    def goes_on(self, settings: RetrainSettings) -> bool:
        """Whether there are epochs left, and hope for them."""
        done = len(self.history)
        return done < settings.epochs and (settings.patience is None or done - self.best_epoch < settings.patience)


def _copied(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().cpu().clone() for name, value in state.items()}


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
    store = _Store(folder / LAST_FILE, {**job.identity(), "method": dict(method)})
    tensors = store.restore(network)

    def renumbered(record: EpochRecord) -> EpochRecord:
        return replace(record, epoch=record.epoch + done_before)

    def after_epoch(record: EpochRecord) -> bool:
        store.add(record, loop)
        job.report((renumbered(record),))
        return store.goes_on(job.settings)

    job.report(tuple(renumbered(record) for record in store.history))
    if store.goes_on(job.settings):
        loop = TrainingLoop(network, job.splits, job.settings, job.seed, len(store.history), after_epoch)
        if tensors:
            restore_optimizer(loop.optimizer, network, tensors)
            if loop.average is not None:
                loop.average.restore(tensors)
        run_loop(loop, job.settings.epochs - len(store.history), job.settings)
    history = tuple(renumbered(record) for record in store.history)
    return Stage(store.best, history, history[store.best_epoch - 1])


def finish(
    job: Job, state: dict[str, Tensor], history: tuple[EpochRecord, ...], best: tuple[int, float]
) -> RetrainResult:
    """Store what is deployed as a retraining stores it, and hand it over.

    Args:
        job: what was asked for.
        state: of the spiking network.
        history: of all stages.
        best: number of the chosen epoch, and the validation accuracy of the spiking network.
    """
    path = job.directory / BEST_FILE
    chosen = {"epoch": best[0], "validation_accuracy": best[1]}
    meta = {**job.identity(), **chosen, "normalisation": asdict(job.splits.normalisation)}
    save_checkpoint(path, state, meta)
    return RetrainResult(state, history, best[0], best[1], path)
