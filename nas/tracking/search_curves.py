"""Curves of a search over its evaluations, a candidate at a time: none is looked at again for the next."""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Sequence
from statistics import median

import numpy as np
from numpy.typing import NDArray

from hasnas.nas.budget.costs import ENERGY, Cost, cost_called
from hasnas.nas.budget.measured import JUDGED
from hasnas.nas.history.goal import PART_PREFIX, SCORE_PREFIX, merit, objective_values, rank
from hasnas.nas.history.trial import Trial

from .run_facts import RunFacts

RECENT = 20
FIRST = 16  # feasible candidates that say what is bad where no limit does


class SearchCurves:
    """What has been seen of a search so far.

    Args:
        facts: of the run.
    """

    def __init__(self, facts: RunFacts) -> None:
        self._facts = facts
        self.leader: Trial | None = None
        self._searched = self._within = 0
        self._broken: Counter[str] = Counter()
        self._recent: deque[float] = deque(maxlen=RECENT)
        self._front = _GrowingFront(facts)
        self._volumes = [_GrowingVolume(facts, cost) for cost in volume_costs(facts)]

    @property
    def feasible_share(self) -> float:
        """Share of the candidates that kept to the budget; NaN before the first."""
        return self._within / self._searched if self._searched else math.nan

    @property
    def broken(self) -> dict[str, float]:
        """Limit -> share of the candidates that broke it, for those that were broken."""
        return {name: count / self._searched for name, count in sorted(self._broken.items())}

    def add(self, trial: Trial) -> dict[str, float]:
        """The points of the curves with one more candidate, by tag; those that are not known are NaN."""
        goal, quality = self._facts.goal, self._facts.goal.quality
        self._searched += 1
        self._within += not trial.verdict
        self._broken.update(list(trial.verdict))
        if trial.state == "done" and not trial.verdict:
            self.leader = min(self.leader or trial, trial, key=rank)
            for volume in self._volumes:
                volume.add(trial)
            self._front.add(trial)
        value = trial.metrics.get(goal.metric, math.nan)
        if math.isfinite(value):
            self._recent.append(value)
        points = {f"search/{goal.label}": value, f"search/validation {quality.name}": self._validation(trial)}
        points |= {"search/firing rate": trial.metrics.get("firing_rate", math.nan)}
        if self.leader is not None:
            points[best_tag(self._facts)] = self.leader.metrics.get(goal.metric, math.nan)
        if self._recent:
            points[recent_tag(self._facts)] = median(self._recent)
        points["search/feasible share"] = self.feasible_share
        points["search/networks on the front"] = float(len(self._front)) if self._within else math.nan
        points |= {volume.tag: volume.share for volume in self._volumes}
        points |= {f"rejected/{name}": share for name, share in self.broken.items()}
        priced = {f"cost/{name}": value for name, value in costs_on_curves(trial, self._facts.costs).items()}
        return {**points, **_parts(trial), **_choices(trial), **priced}

    def _validation(self, trial: Trial) -> float:
        return trial.metrics.get(self._facts.goal.quality.validation, math.nan)


def best_tag(facts: RunFacts) -> str:
    """Tag of the curve of the best feasible candidate so far."""
    return f"search/best {facts.goal.label}"


def recent_tag(facts: RunFacts) -> str:
    """Tag of the median of the last candidates."""
    return f"search/median {facts.goal.label} of the last {RECENT}"


def volume_costs(facts: RunFacts) -> list[Cost]:
    """The costs of which each has a curve of hypervolume: those among the objectives, or else the energy."""
    named = [cost_called(name) for name in facts.goal.objectives]
    wanted = [cost for cost in named if cost not in JUDGED and not cost.more_is_better]
    return wanted or [cost for cost in facts.costs if cost == ENERGY]


def volume_tag(facts: RunFacts, cost: Cost) -> str:
    """Tag of the curve of hypervolume of a cost."""
    return f"search/hypervolume, {facts.goal.label} and {cost.name}"


class _GrowingFront:
    """The candidates that no other one beats."""

    def __init__(self, facts: RunFacts) -> None:
        named = [cost_called(name) for name in facts.goal.objectives]
        self._named = bool(named)
        self._costs = tuple(named) or tuple(cost for cost in facts.costs if cost not in JUDGED)
        signs = [-1.0, *(-1.0 if cost.more_is_better else 1.0 for cost in self._costs)]
        self._signs = np.array(signs[self._named :])
        self._losses: NDArray[np.float64] = np.empty((0, len(self._signs)))

    def add(self, trial: Trial) -> None:
        losses = objective_values([trial], self._costs)[0, self._named :] * self._signs
        known, there = self._losses, (self._losses <= losses).all(axis=1)
        if np.isnan(losses).any() or (there & (known < losses).any(axis=1)).any():
            return
        beaten = (losses <= known).all(axis=1) & (losses < known).any(axis=1)
        self._losses = np.vstack([known[~beaten], losses])

    def __len__(self) -> int:
        return len(np.unique(self._losses, axis=0))


class _GrowingVolume:
    """How much of the plane of merit and one cost is better than what is bad: a share of what there can be.

    Bad is a cost at its limit, and of accuracies what a blind answer reaches; where there is no such value, the worst
    of the first feasible candidates, so that the curve begins after these.
    """

    def __init__(self, facts: RunFacts, cost: Cost) -> None:
        goal = facts.goal
        self.tag = volume_tag(facts, cost)
        self._field = cost.field
        limit = facts.budget.limits.get(cost.name)
        accuracy = goal.score is None and goal.quality.task == "classification"
        self._highest: float | None = limit
        self._lowest: float | None = None if not accuracy else 0.0 if facts.data is None else facts.data.blind[0]
        self._best = goal.quality.best if goal.score is None else None
        self._points: list[tuple[float, float]] = []

    def add(self, trial: Trial) -> None:
        point = trial.costs.get(self._field, math.nan), merit(trial.metrics)
        if not all(map(math.isfinite, point)):
            return
        self._points.append(point)
        if not self._known and len(self._points) == FIRST:
            self._settle(self._points)
        if self._known:
            self._points = _staircase(self._points)

    @property
    def _known(self) -> bool:
        return self._highest is not None and self._lowest is not None

    def _settle(self, first: Sequence[tuple[float, float]]) -> None:
        costs, merits = zip(*first, strict=True)
        self._highest = max(costs) if self._highest is None else self._highest
        self._lowest = min(merits) if self._lowest is None else self._lowest
        self._best = max(merits) if self._best is None else self._best

    @property
    def share(self) -> float:
        if self._highest is None or self._lowest is None:
            return math.nan
        area, reached = 0.0, self._lowest
        for cost, value in self._points:
            if value > reached and cost < self._highest:
                area += (value - reached) * (self._highest - cost)
                reached = value
        whole = self._highest * ((self._best or 0.0) - self._lowest)
        return area / whole if whole > 0 else math.nan


def _staircase(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Of points (cost, merit) those that no cheaper one reaches, the cheapest first."""
    kept: list[tuple[float, float]] = []
    for cost, value in sorted(points, key=lambda point: (point[0], -point[1])):
        if not kept or value > kept[-1][1]:
            kept.append((cost, value))
    return kept


def costs_on_curves(trial: Trial, costs: Sequence[Cost]) -> dict[str, float]:
    """Costs of a trial by the names of their curves, in their units; NaN where one is unknown."""
    return {cost.curve[0]: trial.costs.get(cost.field, math.nan) * cost.curve[1] for cost in costs}


def _parts(trial: Trial) -> dict[str, float]:
    """What a score is made of, and scores that are not the one that ranks."""
    found = {f"score/{name.removeprefix(PART_PREFIX)}": value for name, value in trial.metrics.items()
             if name.startswith(PART_PREFIX)}  # fmt: skip
    scores = {name: value for name, value in trial.metrics.items() if name.startswith(SCORE_PREFIX)}
    return found | (scores if len(scores) > 1 else {})


def _choices(trial: Trial) -> dict[str, float]:
    """What was chosen of chip and training, where it is a number."""
    numbers = {name: value for name, value in trial.choices.items() if isinstance(value, int | float)}
    return {f"chosen/{name}": float(value) for name, value in numbers.items()}
