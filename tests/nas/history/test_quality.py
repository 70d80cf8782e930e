"""What the figure of a task is called, and how it is written."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hasnas.nas.history.quality import CLASSIFICATION, LOCATION, QUALITIES, REGRESSION, Quality, find_quality

EITHER = pytest.mark.parametrize("quality", QUALITIES.values(), ids=QUALITIES)


@EITHER
@given(merit=st.floats(-1e6, 1.0))
def test_a_figure_turned_twice_is_the_merit(quality: Quality, merit: float):
    assert quality.figure(quality.figure(merit)) == merit


@EITHER
def test_a_quality_is_found_by_any_of_its_metrics(quality: Quality):
    for name in (quality.validation, quality.device):
        assert find_quality({name: 0.5, "firing_rate": 0.1}) is quality
    assert find_quality({"score/depth": 2.0, "firing_rate": 0.1}) is None


@EITHER
def test_what_is_unknown_is_shown_as_nothing(quality: Quality):
    for unknown in (None, math.nan, -math.inf):
        assert quality.show(unknown) == quality.show_alone(unknown) == ""


@EITHER
def test_the_best_merit_is_a_perfect_figure(quality: Quality):
    assert quality.show(quality.figure(quality.best)) in ("100.00%", "-0", "0")


def test_the_ledger_of_a_classification_keeps_its_names():
    names = CLASSIFICATION.validation, CLASSIFICATION.test, CLASSIFICATION.device
    assert names == ("validation_accuracy", "test_accuracy", "device_accuracy")
    epoch = {"loss": 0.5, "merit": 0.9}
    assert CLASSIFICATION.of_epoch(epoch) == {"loss": 0.5, "validation_accuracy": 0.9}
    assert REGRESSION.of_epoch(epoch) == {"loss": 0.5, "validation_mean_absolute_error": -0.9}
    assert LOCATION.of_epoch(epoch) == {"loss": 0.5, "validation_mean_distance": -0.9}
    assert LOCATION.show_alone(0.3) == "distance 0.3"
