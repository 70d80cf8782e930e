"""A search that Weights & Biases shows: its candidates, and the learning curves of what is trained from scratch.

    pip install wandb
    WANDB_MODE=offline python -m hasnas.experiments.trackers.with_wandb hasnas/experiments/digits.yaml runs/digits
    wandb sync wandb/offline-run-*

A resumed run goes on under the same id. W&B takes points in the order in which they come, so trials and epochs have an
axis each, and what it was told before is not told again.
"""

from __future__ import annotations

import hashlib
import math
import sys
from collections.abc import Mapping

import wandb

import hasnas
from hasnas.nas.config.plugins import TRACKERS
from hasnas.nas.history.trial import Trial
from hasnas.nas.tracking import TrackedRun

OF_LAYERS = ("firing_rate/", "input_rate/")  # more curves than anybody reads


@TRACKERS.register("wandb")
class WandbTracker:
    """Tells Weights & Biases of a run.

    Args:
        run: what is to be shown.
    """

    def __init__(self, run: TrackedRun) -> None:
        name = hashlib.sha256(str(run.directory.resolve()).encode()).hexdigest()[:16]
        self._wandb = wandb.init(
            project="hasnas", name=run.config.name, id=name, resume="allow", config=run.config.model_dump(mode="json")
        )
        self._wandb.define_metric("trial")
        self._wandb.define_metric("*", step_metric="trial")
        self._told = int(self._wandb.summary.get("trial", -1)) if self._wandb.resumed else -1
        for trial in run.trials:
            self.on_trial(trial)

    def on_trial(self, trial: Trial) -> None:
        """A trial is a point of each curve of its stage."""
        if trial.id > self._told:
            values = {**trial.metrics, **trial.costs}.items()
            known = {name: value for name, value in values if math.isfinite(value) and not name.startswith(OF_LAYERS)}
            self._wandb.log({"trial": trial.id, **{f"{trial.stage}/{name}": value for name, value in known.items()}})

    def on_epoch(self, stage: str, epoch: int, metrics: Mapping[str, float]) -> None:
        """An epoch is a point of its training's curves."""
        axis = f"{stage}/epoch"
        self._wandb.define_metric(axis)
        self._wandb.define_metric(f"{stage}/*", step_metric=axis)
        self._wandb.log({axis: epoch, **{f"{stage}/{name}": value for name, value in metrics.items()}})

    def close(self) -> None:
        """Bring everything to the disk."""
        self._wandb.finish()


if __name__ == "__main__":
    hasnas.search(sys.argv[1], {"tracking": ["tensorboard", "report", "wandb"]}, sys.argv[2])
