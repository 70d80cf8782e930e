from __future__ import annotations

import numpy as np
import pytest
from nni.nas.execution.event import ModelEvent, ModelEventType
from nni.nas.space import ExecutableModelSpace, ModelStatus

from hasnas.errors import HasnasError
from hasnas.nas.supernet.nni.engine import BatchEngine

pytestmark = pytest.mark.slow


def models(count: int) -> list[ExecutableModelSpace]:
    return [ExecutableModelSpace(ModelStatus.Frozen) for _ in range(count)]


def test_batches_have_the_size_of_the_settings_and_events_the_order_of_submission():
    sizes: list[int] = []
    ended: list[tuple[ExecutableModelSpace, float | None, int]] = []

    def evaluate(batch: list[ExecutableModelSpace]) -> list[float]:
        sizes.append(len(batch))
        return [float(index) for index in range(len(batch))]

    def listen(event: ModelEvent) -> None:
        ended.append((event.model, event.model.metric, len(sizes)))

    engine = BatchEngine(limit=7, batch=3, evaluate=evaluate)
    engine.register_model_event_callback(ModelEventType.TrainingEnd, listen)
    submitted = models(7)
    for model in submitted:
        assert engine.budget_available()
        assert engine.idle_worker_available()
        engine.submit_models(model)
    assert not engine.budget_available()
    assert sizes == [3, 3, 1]
    assert [entry[0] for entry in ended] == submitted
    assert [entry[1:] for entry in ended] == [(0, 1), (1, 1), (2, 1), (0, 2), (1, 2), (2, 2), (0, 3)]
    assert list(engine.list_models(ModelStatus.Trained)) == submitted


def test_waiting_evaluates_the_rest():
    engine = BatchEngine(batch=4, evaluate=lambda batch: [1.0] * len(batch))
    first, second = models(2)
    engine.submit_models(first, second)
    assert first.metric is None
    engine.wait_models()
    assert (first.metric, second.status) == (1.0, ModelStatus.Trained)
    engine.shutdown()


@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), np.float32("nan")])
def test_failures_end_without_a_metric(value: float | None):
    engine = BatchEngine(batch=1, evaluate=lambda batch: [value])
    (model,) = models(1)
    engine.submit_models(model)
    assert (model.metric, model.status) == (None, ModelStatus.Failed)
    assert list(engine.list_models()) == [model]


def test_a_missing_value_is_noticed():
    engine = BatchEngine(batch=2, evaluate=lambda batch: [1.0])
    with pytest.raises(HasnasError, match="2 candidates were evaluated to 1 values"):
        engine.submit_models(*models(2))
