"""What a search wants: high accuracy or a high score, low costs; and which of its trials are the best compromises."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .budget import COST_FIELDS
from .pareto import non_dominated
from .trial import Trial

ACCURACY = "validation_accuracy"
DEVICE_ACCURACY = "device_accuracy"
# A training-free search writes its score, and what that is made of, under these.
SCORE_PREFIX = "score/"
PART_PREFIX = "score part/"


@dataclass(frozen=True)
class Goal:
    """What candidates of a search are ranked by, as views show it.

    Args:
        score: name of the training-free score; without one it is the validation accuracy.

    >>> Goal("depth").metric, Goal("depth").show(2.0), Goal().label, Goal().show(0.5)
    ('score/depth', '2', 'validation accuracy', '50.00%')
    """

    score: str | None = None

    @property
    def metric(self) -> str:
        """Its key among the metrics of a trial."""
        return ACCURACY if self.score is None else SCORE_PREFIX + self.score

    @property
    def label(self) -> str:
        """Its name on an axis."""
        return ACCURACY.replace("_", " ") if self.score is None else self.score

    def show(self, value: float | None) -> str:
        """A value as people read it; empty if there is none."""
        if value is None or not math.isfinite(value):
            return ""
        return f"{value:.2%}" if self.score is None else f"{value:.4g}"


def goal_of(trials: Sequence[Trial]) -> Goal:
    """What the searched ones among some trials are ranked by."""
    searched = (trial for trial in trials if trial.stage == "search" and trial.metrics)
    metrics = next((trial.metrics for trial in searched), {})
    return Goal(next((name.removeprefix(SCORE_PREFIX) for name in metrics if name.startswith(SCORE_PREFIX)), None))


def score_metrics(name: str, total: float, parts: Mapping[str, float]) -> dict[str, float]:
    """The metrics of a candidate that was scored.

    >>> score_metrics("trainability", 2.5, {"balance": 0.5})
    {'score/trainability': 2.5, 'score part/balance': 0.5}
    """
    return {SCORE_PREFIX + name: total, **{PART_PREFIX + part: value for part, value in parts.items()}}


def merit(metrics: Mapping[str, float]) -> float:
    """What counts: accuracy as the mean over imperfect chips, else on validation samples, else a training-free score.

    >>> merit({"validation_accuracy": 0.9, "device_accuracy": 0.8}), merit({"score/depth": 2.0})
    (0.8, 2.0)
    """
    scores = (value for name, value in metrics.items() if name.startswith(SCORE_PREFIX))
    return metrics.get(DEVICE_ACCURACY, metrics.get(ACCURACY, next(scores, math.nan)))


def objective_values(trials: Sequence[Trial]) -> NDArray[np.float64]:
    """Merit and the five costs of each trial, `[N, 6]`; NaN where one is unknown, or a merit infinite."""
    rows = [
        [
            merit(trial.metrics) if math.isfinite(merit(trial.metrics)) else math.nan,
            *(trial.costs.get(field, math.nan) for field in COST_FIELDS.values()),
        ]
        for trial in trials
    ]
    return np.array(rows, float).reshape(len(rows), 1 + len(COST_FIELDS))


def front(trials: Sequence[Trial]) -> list[Trial]:
    """The trials that are done, keep to the budget and are beaten by no other, the best merit first.

    Equal merits are ordered by id, so that the order is the same in every run.
    """
    eligible = [trial for trial in trials if trial.state == "done" and not trial.verdict]
    mask = non_dominated(objective_values(eligible), (True, *(False for _ in COST_FIELDS)))
    return sorted((trial for trial, kept in zip(eligible, mask, strict=True) if kept), key=rank)


def rank(trial: Trial) -> tuple[float, int]:
    """Sorting key that puts the best trial first; a merit that is unknown or infinite comes last."""
    value = merit(trial.metrics)
    return -value if math.isfinite(value) else math.inf, trial.id
