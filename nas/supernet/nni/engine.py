"""NNI's execution engine for us: models are collected, evaluated in batches by one function, and told in order."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

from hasnas.errors import HasnasError

from .environment import require_nni

require_nni()

from nni.nas.execution import ExecutionEngine  # noqa: E402
from nni.nas.execution.event import FinalMetricEvent, TrainingEndEvent  # noqa: E402
from nni.nas.space import ExecutableModelSpace, ModelStatus  # noqa: E402

EvaluateModels = Callable[[list[ExecutableModelSpace]], Sequence[float | None]]


class BatchEngine(ExecutionEngine):
    """Runs submitted models in batches whose size has nothing to do with the number of workers.

    `submit_models` returns at once until a batch is full; then it evaluates the batch and dispatches each model's
    events in the order of submission. So what a strategy sees depends on the batch size alone.

    Args:
        limit: models that may be submitted in all; None for no limit.
        batch: models of a batch; None never evaluates, results then come by `finish`.
        evaluate: the values of a batch's models, larger is better, None where the evaluation failed.
    """

    def __init__(self, limit: int | None = None, batch: int | None = None, evaluate: EvaluateModels | None = None):
        super().__init__()
        self.limit, self.batch, self._evaluate = limit, batch, evaluate
        self._models: list[ExecutableModelSpace] = []
        self.waiting: list[ExecutableModelSpace] = []

    def submit_models(self, *models: ExecutableModelSpace) -> None:
        """Take models in; evaluate when a batch is full or the last model has come."""
        for model in models:
            model.status = ModelStatus.Training
            self._models.append(model)
            self.waiting.append(model)
            if len(self.waiting) == self.batch or not self.budget_available():
                self.flush()

    def flush(self) -> None:
        """Evaluate what has been collected, full batch or not."""
        if self._evaluate is None or not self.waiting:
            return
        batch = list(self.waiting)
        values = list(self._evaluate(batch))
        if len(values) != len(batch):
            raise HasnasError(f"{len(batch)} candidates were evaluated to {len(values)} values; return one for each")
        for model, value in zip(batch, values, strict=True):
            self.finish(model, value)

    def finish(self, model: ExecutableModelSpace, value: float | None) -> None:
        """Tell a model's value; NNI takes Python floats only, and a NaN would spoil its tournaments."""
        self.waiting.remove(model)
        failed = value is None or not math.isfinite(value)
        if value is not None and not failed:
            self.dispatch_model_event(FinalMetricEvent(model, float(value)))
        self.dispatch_model_event(TrainingEndEvent(model, ModelStatus.Failed if failed else ModelStatus.Trained))

    def wait_models(self, *models: ExecutableModelSpace) -> None:
        """Evaluate the rest."""
        self.flush()

    def list_models(self, status: ModelStatus | None = None) -> Iterable[ExecutableModelSpace]:
        """All models submitted so far, or those with a status."""
        return [model for model in self._models if status is None or model.status == status]

    def idle_worker_available(self) -> bool:
        """Always: batches, not workers, decide when models run."""
        return True

    def budget_available(self) -> bool:
        """Whether more models may be submitted."""
        return self.limit is None or len(self._models) < self.limit

    def shutdown(self) -> None:
        """Nothing is held open."""
