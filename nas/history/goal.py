"""What a search wants: high quality or a high score, low costs; and which of its trials are the best compromises."""

from __future__ import annotations

import math
from array import array
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hasnas.errors import BadInputError
from hasnas.nas.budget.costs import Cost, cost_called, costs_of_fields
from hasnas.nas.budget.measured import JUDGED
from hasnas.nas.budget.measured import SCORE_PREFIX as SCORE_PREFIX
from hasnas.search_spaces.architecture import Architecture
from hasnas.search_spaces.functions import function_key

from .pareto import non_dominated
from .quality import CLASSIFICATION, Quality, find_quality
from .trial import Trial

# A training-free search writes its score under SCORE_PREFIX, and what that is made of under this.
PART_PREFIX = "score part/"


@dataclass(frozen=True)
class Goal:
    """What candidates of a search are ranked by, as views show it.

    Args:
        score: name of the training-free score; without one it is the quality on validation samples.
        quality: by which networks are judged once they are trained.
        objectives: what the config names, if it names anything; the front is then over them.

    >>> Goal("depth").metric, Goal("depth").show(2.0), Goal().label, Goal().show(0.5)
    ('score/depth', '2', 'validation accuracy', '50.00%')
    """

    score: str | None = None
    quality: Quality = CLASSIFICATION
    objectives: tuple[str, ...] = ()

    @property
    def metric(self) -> str:
        """Its key among the metrics of a trial."""
        return self.quality.validation if self.score is None else SCORE_PREFIX + self.score

    @property
    def label(self) -> str:
        """Its name on an axis."""
        return f"validation {self.quality.name}" if self.score is None else self.score

    @property
    def sign(self) -> int:
        """1 where more is better, -1 where less is."""
        return self.quality.sign if self.score is None else 1

    def show(self, value: float | None) -> str:
        """A value as people read it; empty if there is none."""
        if self.score is None:
            return self.quality.show(value)
        return "" if value is None or not math.isfinite(value) else f"{value:.4g}"


def goal_of(trials: Sequence[Trial]) -> Goal:
    """What the searched ones among some trials are ranked by, and all of them once they are trained."""
    searched = (trial for trial in trials if trial.stage == "search" and trial.metrics)
    metrics = next((trial.metrics for trial in searched), {})
    score = next((name.removeprefix(SCORE_PREFIX) for name in metrics if name.startswith(SCORE_PREFIX)), None)
    return Goal(score, quality_of(trials) or CLASSIFICATION)


def quality_of(trials: Sequence[Trial]) -> Quality | None:
    """By what some trials are judged; `None` while none of them is trained."""
    return next((found for trial in trials if (found := find_quality(trial.metrics))), None)


def score_metrics(name: str, total: float, parts: Mapping[str, float]) -> dict[str, float]:
    """The metrics of a candidate that was scored.

    >>> score_metrics("trainability", 2.5, {"balance": 0.5})
    {'score/trainability': 2.5, 'score part/balance': 0.5}
    """
    return {SCORE_PREFIX + name: total, **{PART_PREFIX + part: value for part, value in parts.items()}}


def merit(metrics: Mapping[str, float]) -> float:
    """What counts, more being better: the quality on imperfect chips, else on validation samples, else a score.

    >>> merit({"validation_accuracy": 0.9, "device_accuracy": 0.8}), merit({"score/depth": 2.0})
    (0.8, 2.0)
    >>> merit({"validation_mean_absolute_error": 0.25})
    -0.25
    """
    quality = find_quality(metrics) or CLASSIFICATION
    figure = metrics.get(quality.device, metrics.get(quality.validation))
    if figure is not None:
        return quality.figure(figure)
    return next((value for name, value in metrics.items() if name.startswith(SCORE_PREFIX)), math.nan)


def costs_of_trials(trials: Sequence[Trial]) -> tuple[Cost, ...]:
    """The costs that some trials hold: the standard ones and those that their config names, but for the quality."""
    return _priced({field for trial in trials for field in trial.costs})


def _priced(fields: Collection[str]) -> tuple[Cost, ...]:
    return tuple(cost for cost in costs_of_fields(fields) if cost not in JUDGED)


class Candidates:
    """What the trials that may be on a front are compared by: columns of numbers, as the trials may be very many."""

    def __init__(self) -> None:
        self._places, self._merits = array("Q"), array("d")
        self._columns: dict[str, array[float]] = {}

    def add(self, place: int, metrics: Mapping[str, float], costs: Mapping[str, float]) -> None:
        """Take up a trial: where it stands among all, and what is known of it."""
        value = merit(metrics)
        self._merits.append(value if math.isfinite(value) else math.nan)
        for name, cost in costs.items():
            column = self._columns.get(name)
            if column is None:
                column = self._columns[name] = array("d", [math.nan]) * len(self._places)
            column.append(cost)
        self._places.append(place)
        if len(costs) < len(self._columns):
            for column in self._columns.values():
                if len(column) < len(self._places):
                    column.append(math.nan)

    def values(self, costs: Sequence[Cost]) -> NDArray[np.float64]:
        """See `objective_values`."""
        unknown = array("d", [math.nan]) * len(self._places)
        columns = [self._merits, *(self._columns.get(cost.field, unknown) for cost in costs)]
        return np.array(columns, float).reshape(1 + len(costs), len(self._places)).T

    def best(self, objectives: Sequence[str] = ()) -> list[int]:
        """Where those stand that are beaten by no other, in the named objectives, or by merit and every cost."""
        costs = tuple(map(cost_called, objectives)) or _priced(self._columns)
        values = self.values(costs)[:, bool(objectives) :]
        mask = non_dominated(values, (True, *(cost.more_is_better for cost in costs))[bool(objectives) :])
        return [self._places[row] for row in np.flatnonzero(mask).tolist()]


def objective_values(trials: Sequence[Trial], costs: Sequence[Cost]) -> NDArray[np.float64]:
    """Merit and the C costs of each trial, `[N, 1 + C]`; NaN where one is unknown, or a merit infinite."""
    candidates = Candidates()
    for place, trial in enumerate(trials):
        candidates.add(place, trial.metrics, trial.costs)
    return candidates.values(costs)


def front(trials: Sequence[Trial], objectives: Sequence[str] = ()) -> list[Trial]:
    """The trials that are done, keep to the budget and are beaten by no other, the best merit first.

    They are compared by the named objectives; without any by merit and every cost they were priced by. Of several that
    compute the same function, with the same training on the same chip, only the best is listed.

    Equal merits are ordered by id, so that the order is the same in every run.
    """
    candidates = Candidates()
    for place, trial in enumerate(trials):
        if trial.state == "done" and not trial.verdict:
            candidates.add(place, trial.metrics, trial.costs)
    return distinct([trials[place] for place in candidates.best(objectives)])


def distinct(trials: Iterable[Trial]) -> list[Trial]:
    """Trials, the best merit first; of several that compute the same function, equally trained, only the best."""
    listed: dict[object, Trial] = {}
    for trial in sorted(trials, key=rank):
        listed.setdefault((trial.stage, _function(trial), tuple(trial.choices.items())), trial)
    return list(listed.values())


def _function(trial: Trial) -> str:
    """The function that a trial's network computes; its own key where the architecture is of an outside kind."""
    try:
        return function_key(Architecture.from_json(trial.architecture))
    except BadInputError:
        return trial.key


def rank(trial: Trial) -> tuple[float, int]:
    """Sorting key that puts the best trial first; a merit that is unknown or infinite comes last."""
    value = merit(trial.metrics)
    return -value if math.isfinite(value) else math.inf, trial.id
