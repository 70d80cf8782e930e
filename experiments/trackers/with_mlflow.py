"""A search that MLflow shows: one run of MLflow for the search, one more for each network that is trained from scratch.

    pip install mlflow
    python -m hasnas.experiments.trackers.with_mlflow hasnas/experiments/digits.yaml runs/digits
    mlflow ui --backend-store-uri sqlite:///mlflow.db

`mlflow-skinny` is enough to log to a server (`MLFLOW_TRACKING_URI`). A resumed run goes on with the runs of MLflow that
it has begun, whose numbers stand in their tags.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping

import mlflow

import hasnas
from hasnas.nas.config.plugins import TRACKERS
from hasnas.nas.history.returned import training_names
from hasnas.nas.history.trial import Trial
from hasnas.nas.tracking import TrackedRun

OF_LAYERS = ("firing_rate/", "input_rate/")  # more curves than anybody reads


@TRACKERS.register("mlflow")
class MLflowTracker:
    """Tells MLflow of a run; MLflow overwrites what it is told twice under the same step.

    Args:
        run: what is to be shown.
    """

    def __init__(self, run: TrackedRun) -> None:
        self._run, self._client = run, mlflow.MlflowClient()
        name = run.config.name
        known = self._client.get_experiment_by_name(name)
        self._experiment = known.experiment_id if known else self._client.create_experiment(name)
        self._retrained: list[Trial] = []
        self._search = self._of("search")
        if "seed" not in self._client.get_run(self._search).data.params:
            for key, value in {"seed": run.config.seed, "strategy": run.config.search.strategy,
                               **run.config.budget.to_text()}.items():  # fmt: skip
                self._client.log_param(self._search, key, value)
        for trial in run.trials:
            self.on_trial(trial)

    def on_trial(self, trial: Trial) -> None:
        """A trial of the search is a step; one of a training ends its run."""
        if trial.stage == "search":
            return self._log(self._search, trial.id, {**trial.metrics, **trial.costs})
        self._retrained.append(trial)
        keys = [(one.stage, one.key, one.seed) for one in self._retrained]
        run = self._of(training_names(keys, self._run.config.retrain.seeds)[-1])
        self._log(run, 0, {**trial.metrics, **trial.costs})
        self._client.set_tag(run, "state", trial.state)
        self._client.set_terminated(run, "FAILED" if trial.state == "failed" else "FINISHED")

    def on_epoch(self, stage: str, epoch: int, metrics: Mapping[str, float]) -> None:
        """An epoch is a step of its training."""
        self._log(self._of(stage), epoch, {f"epoch/{name}": value for name, value in metrics.items()})

    def close(self) -> None:
        """End the search's run."""
        self._client.set_terminated(self._search)

    def _of(self, name: str) -> str:
        """MLflow's run of a name in this run directory; made where there is none."""
        tags = {"directory": str(self._run.directory.resolve()), "mlflow.runName": name}
        query = " and ".join(f"tags.`{key}` = '{value}'" for key, value in tags.items())
        found = self._client.search_runs([self._experiment], query, max_results=1)
        run = found[0] if found else self._client.create_run(self._experiment, tags=tags)
        return str(run.info.run_id)

    def _log(self, run: str, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            if math.isfinite(value) and not name.startswith(OF_LAYERS):
                self._client.log_metric(run, name, value, step=step)


if __name__ == "__main__":
    hasnas.search(sys.argv[1], {"tracking": ["tensorboard", "report", "mlflow"]}, sys.argv[2])
