"""What a figure is worth: how sure it is, and what it must be better than."""

import pytest

from hasnas.nas.history.quality import CLASSIFICATION, REGRESSION
from hasnas.nas.history.worth import DataFacts, data_facts, interval, interval_of, warnings_on, worth_of

TEN = DataFacts("classification", 10, 1150, 288, 359, 0.1, (0.104, 0.103), "ab")
LOPSIDED = DataFacts("classification", 2, 900, 100, 400, 0.5, (0.9, 0.9), "ab")
VALUES = DataFacts("regression", 2, 900, 100, 400, None, (1.5, 1.6), "ab")
RATES = {"firing_rate": 0.1, "firing_rate/stem.lif": 0.2, "firing_rate/cell1.a": 0.1, "firing_rate/head.lif": 0.05}


@pytest.mark.parametrize(
    "right, count, expected",
    # Newcombe, Two-sided confidence intervals for the single proportion, Statistics in Medicine 17, 1998, table I.
    [(81, 263, (0.2553, 0.3662)), (15, 148, (0.0624, 0.1605)), (0, 20, (0.0, 0.1611)), (1, 29, (0.0061, 0.1718))],
)
def test_intervals_are_those_of_the_literature(right: int, count: int, expected: tuple[float, float]):
    assert interval(right / count, count) == pytest.approx(expected, abs=5e-5)


def test_a_working_network_gets_no_warning():
    metrics = RATES | {"test_accuracy": 0.9}
    assert warnings_on(metrics, CLASSIFICATION, TEN) == []
    assert warnings_on(metrics, CLASSIFICATION, None) == []
    worth = worth_of(metrics, CLASSIFICATION, TEN)
    assert worth["test_interval"] == pytest.approx([0.865, 0.927], abs=1e-3)
    assert worth["samples"] == {"train": 1150, "validation": 288, "test": 359}
    assert worth["blind"] == {"constant": 0.103, "chance": 0.1}


@pytest.mark.parametrize(
    "rates, told",
    [
        ({name: 0.0 for name in RATES}, "no neuron fires, so that the answer does not depend on the input"),
        ({"firing_rate/head.lif": 0.0}, "head.lif never fires, so that the answer does not depend on the input"),
        ({"firing_rate/cell1.a": 0.0}, "1 of 3 layers of neurons never fire (cell1.a)"),
        ({"firing_rate/cell1.a": 0.999}, "1 of 3 layers of neurons fire at every step (cell1.a)"),
    ],
)
def test_layers_that_say_nothing_are_named(rates: dict[str, float], told: str):
    (warning,) = warnings_on(RATES | rates | {"test_accuracy": 0.9}, CLASSIFICATION, TEN)
    assert told in warning


@pytest.mark.parametrize(
    "facts, figure, told",
    [
        (TEN, 0.12, "no better than the most frequent class (10.3%)"),
        (TEN, 0.15, None),
        (LOPSIDED, 0.91, "no better than the most frequent class (90.0%)"),
        (LOPSIDED, 0.94, None),
        (DataFacts("classification", 10, 9, 3, 4, 0.1, (0.1, 0.25), "ab"), 1.0, "tested on 4 samples only"),
    ],
)
def test_an_accuracy_must_beat_an_answer_that_looks_at_nothing(facts: DataFacts, figure: float, told: str | None):
    warnings = warnings_on(RATES | {"test_accuracy": figure}, CLASSIFICATION, facts)
    assert (told is None and not warnings) or any(told in warning for warning in warnings)


def test_an_error_must_be_below_that_of_the_best_constant():
    assert warnings_on({"test_mean_absolute_error": 1.2}, REGRESSION, VALUES) == []
    (warning,) = warnings_on({"test_mean_absolute_error": 1.7}, REGRESSION, VALUES)
    assert "no better than the best constant answer (mean absolute error 1.6)" in warning
    assert interval_of({"test_mean_absolute_error": 1.2}, REGRESSION, VALUES) is None


def test_the_facts_are_those_of_the_last_start():
    events = [{"event": "start"}, {"event": "start", "details": {"data": TEN.to_json()}}, {"event": "end"}]
    assert data_facts(events) == TEN
    assert data_facts(events[:1]) is None
