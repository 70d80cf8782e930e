"""What a search wants: high accuracy, low costs; and which of its trials are the best compromises."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from .budget import COST_FIELDS
from .pareto import non_dominated
from .trial import Trial

ACCURACY = "validation_accuracy"
DEVICE_ACCURACY = "device_accuracy"


def merit(metrics: Mapping[str, float]) -> float:
    """The accuracy that counts: the mean over imperfect chips where it was measured, else on validation samples.

    >>> merit({"validation_accuracy": 0.9, "device_accuracy": 0.8})
    0.8
    """
    return metrics.get(DEVICE_ACCURACY, metrics.get(ACCURACY, math.nan))


def objective_values(trials: Sequence[Trial]) -> NDArray[np.float64]:
    """Accuracy and the five costs of each trial, `[N, 6]`; NaN where one is unknown."""
    rows = [
        [merit(trial.metrics), *(trial.costs.get(field, math.nan) for field in COST_FIELDS.values())]
        for trial in trials
    ]
    return np.array(rows, float).reshape(len(rows), 1 + len(COST_FIELDS))


def front(trials: Sequence[Trial]) -> list[Trial]:
    """The trials that are done, keep to the budget and are beaten by no other, the most accurate first.

    Equal accuracies are ordered by id, so that the order is the same in every run.
    """
    eligible = [trial for trial in trials if trial.state == "done" and not trial.verdict]
    mask = non_dominated(objective_values(eligible), (True, *(False for _ in COST_FIELDS)))
    return sorted((trial for trial, kept in zip(eligible, mask, strict=True) if kept), key=rank)


def rank(trial: Trial) -> tuple[float, int]:
    """Sorting key that puts the best trial first; an unknown accuracy comes last."""
    accuracy = merit(trial.metrics)
    return -accuracy if math.isfinite(accuracy) else math.inf, trial.id
