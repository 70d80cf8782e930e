"""A training between its epochs, in memory and in one file: stopped at any moment, it goes on where it was."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from hasnas.errors import BadInputError
from hasnas.nas.config.training import RetrainSection
from hasnas.nas.data.samples import Split, Splits
from hasnas.nas.history.checkpoint import has_checkpoint, load_checkpoint, save_checkpoint
from hasnas.search_spaces.network import SpikingNetwork

from .loop import EpochRecord, TrainingDivergedError, TrainingLoop, run_loop
from .processes import process_number
from .state import BEST, MODEL, load_tensors, optimizer_tensors, restore_optimizer, with_prefix, without_prefix


def identity_of(architecture: Mapping[str, Any], settings: RetrainSection, seed: int) -> dict[str, Any]:
    """What a stored training must agree with, as plain data."""
    return _plain({"architecture": dict(architecture), "settings": settings.to_json(), "seed": seed})


def standard_error(share: float, samples: int) -> float:
    """Of a share of right answers among so many; two right and two wrong ones are added, so that 1 has one as well.

    Source: Agresti and Coull, The American Statistician 52, 1998.

    >>> round(standard_error(1.0, 96), 3)
    0.014
    """
    counted = samples + 4
    likely = (share * samples + 2) / counted
    return math.sqrt(likely * (1 - likely) / counted)


@dataclass(eq=False)
class StoredTraining:
    """A training that is stored after every epoch.

    Args:
        network: trained in place.
        settings: how to train.
        identity: what a stored state must agree with; plain data, kept in the file.
        path: the file, which holds everything: weights, the best ones, the optimizer's memory and the history.
        history: one record for each epoch that was finished.
        best: parameters and buffers after the epoch that `retrain.kept_epoch` chooses.
        best_epoch: number of that epoch, from 1; 0 before the first.
        judged_from: epochs at the beginning whose merits do not count, as they are of other data.
    """

    network: SpikingNetwork
    settings: RetrainSection
    identity: Mapping[str, Any]
    path: Path
    history: list[EpochRecord] = field(default_factory=list)
    best: dict[str, Tensor] = field(default_factory=dict)
    best_epoch: int = 0
    judged_from: int = 0
    _restored: dict[str, Tensor] = field(default_factory=dict)

    def restore(self) -> None:
        """Load what is stored, if anything is.

        Raises:
            BadInputError: if it belongs to another training, or is damaged.
        """
        if not has_checkpoint(self.path):
            return
        tensors, meta = load_checkpoint(self.path)
        for name, value in _plain(self.identity).items():
            if meta.get(name) != value:
                raise BadInputError(
                    f"{self.path} belongs to a training with another {name}; use another directory or delete this one"
                )
        load_tensors(self.network, without_prefix(MODEL, tensors), str(self.path))
        try:
            self.history = [EpochRecord(**record) for record in meta["history"]]
        except TypeError as error:
            raise BadInputError(f"{self.path} is of another version of hasnas ({error}); delete it") from error
        self.best, self.best_epoch = without_prefix(BEST, tensors), meta["best_epoch"]
        self.judged_from = meta.get("judged_from", 0)
        self._restored = tensors

    def goes_on(self) -> bool:
        """Whether there are epochs left, and hope for them."""
        done, patience = len(self.history), self.settings.patience
        return done < self.settings.epochs and (patience is None or done - self._highest() < patience)

    def best_record(self) -> EpochRecord:
        """The record of the best epoch."""
        return self.history[self.best_epoch - 1]

    def train(
        self,
        splits: Splits,
        seed: int,
        report: Callable[[EpochRecord], None],
        until: int | None = None,
        hopeful: Callable[[], bool] = lambda: True,
    ) -> None:
        """Train from the present state until the settings say that it is enough.

        Args:
            splits: train and validation are used.
            seed: decides everything random.
            report: called with the record of each epoch once it is stored.
            until: number of the epoch after which to stop; the step sizes are those of the whole training. Null is
                its end.
            hopeful: asked after each epoch, the network being in evaluation mode; if it is not, training stops.

        Raises:
            TrainingDivergedError: if a loss or gradient is no longer finite; the last good state stays stored.
        """
        last = self.settings.epochs if until is None else until

        def after_epoch(record: EpochRecord) -> bool:
            self._add(record, loop, splits.validation)
            report(record)
            return len(self.history) < last and self.goes_on() and hopeful()

        loop = TrainingLoop(self.network, splits, self.settings, seed, len(self.history), after_epoch)
        self._restore_loop(loop)
        try:
            run_loop(loop, last - len(self.history), self.settings)
        except TrainingDivergedError as error:
            kept = f"the state after epoch {len(self.history)} is in {self.path}"
            raise TrainingDivergedError(f"{error}; {kept if self.history else 'no epoch was finished'}") from error

    def _restore_loop(self, loop: TrainingLoop) -> None:
        tensors, self._restored = self._restored, {}  # needed once, and large
        if tensors:
            restore_optimizer(loop.optimizer, self.network, tensors)
            if loop.average is not None:
                loop.average.restore(tensors)

    def _highest(self) -> int:
        """Number of the epoch of the largest merit, the later of equals; 0 before the first."""
        counted = range(self.judged_from, len(self.history))
        return max(counted, key=lambda index: (self.history[index].merit, index), default=-1) + 1

    def _keeps(self, record: EpochRecord, validation: Split) -> bool:
        """Whether the newest epoch is the one to return, by what is known so far."""
        if self.settings.kept_epoch == "last":
            return True
        highest = self.history[self._highest() - 1].merit
        within = self.settings.kept_epoch == "within_error" and not validation.is_regression
        return record.merit >= highest - (standard_error(highest, len(validation)) if within else 0.0)

    def _add(self, record: EpochRecord, loop: TrainingLoop, validation: Split) -> None:
        """Note an epoch and store everything; the best state travels along, so that one file is the whole truth."""
        self.history.append(record)
        if self._keeps(record, validation):
            self.best, self.best_epoch = _copied(loop.judged_state()), len(self.history)
        if process_number(self.settings):
            return
        tensors = {
            **with_prefix(MODEL, _copied(self.network.state_dict())),
            **with_prefix(BEST, self.best),
            **optimizer_tensors(loop.optimizer, self.network),
            **({} if loop.average is None else loop.average.tensors()),
        }
        history = [asdict(item) for item in self.history]
        judged = {"best_epoch": self.best_epoch, "judged_from": self.judged_from}
        save_checkpoint(self.path, tensors, {**self.identity, "history": history, **judged})


def _plain(data: Mapping[str, Any]) -> dict[str, Any]:
    return dict(json.loads(json.dumps(dict(data))))


def _copied(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().cpu().clone() for name, value in state.items()}
