"""The networks that a run trained from scratch, each with its trainings: one for every seed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

from .goal import front, rank
from .quality import Quality
from .trial import State, Trial

STAGE = "retrain"
SHORT_KEY = 8
BASELINE_PREFIX = "baseline "  # begins the stage of trainings that returned networks are compared with


@dataclass(frozen=True, eq=False)
class RetrainedNetwork:
    """A network and what became of its trainings.

    Its figures and costs are means over the trainings that ended. It is over the budget if any of them is by its
    measured activity: which one is deployed must not decide whether the network fits.

    Args:
        trials: one for each training so far, in the order of the seeds.
        asked: trainings that the config asks for.
    """

    trials: tuple[Trial, ...]
    asked: int = 1

    @property
    def key(self) -> str:
        """Key of the canonical architecture."""
        return self.trials[0].key

    @property
    def finished(self) -> tuple[Trial, ...]:
        """The trainings that did not fail."""
        return tuple(trial for trial in self.trials if trial.state != "failed")

    @property
    def fits(self) -> bool:
        """Whether a training ended, and every one that did keeps to the budget."""
        return bool(self.finished) and all(trial.state == "done" for trial in self.finished)

    @property
    def seeds(self) -> int:
        """How many trainings there are to be."""
        return max(self.asked, len(self.trials))

    @property
    def counted(self) -> str:
        """How many of the seeds the figures are of, for people."""
        return counted(len(self.finished), self.seeds)

    @property
    def best(self) -> Trial:
        """The training with the best validation result, which is the one that is exported; the first of equals."""
        return min(self.finished, key=rank)

    @property
    def summary(self) -> Trial:
        """The best training with the means over all: what the network is ranked and listed by."""
        ended = self.finished
        verdict = {name: max(trial.verdict.get(name, 0.0) for trial in ended) for name in _names(ended, "verdict")}
        means = {field: {name: self.mean(name) for name in _names(ended, field)} for field in ("metrics", "costs")}
        state: State = "done" if self.fits else "infeasible"
        return replace(self.best, state=state, verdict=verdict, metrics=means["metrics"], costs=means["costs"])

    def mean(self, name: str) -> float:
        """Mean of a metric or cost; NaN if no training has it."""
        values = self._values(name)
        if not values:
            return math.nan
        return values[0] if len(set(values)) == 1 else fmean(values)

    def deviation(self, name: str) -> float:
        """Standard deviation of a metric or cost, of a sample (n - 1); NaN of fewer than two trainings.

        >>> trials = [Trial(i, "retrain", "ab", (), {}, i, "done", {"test_accuracy": i / 4}) for i in range(3)]
        >>> network = RetrainedNetwork(tuple(trials))
        >>> network.mean("test_accuracy"), network.deviation("test_accuracy")
        (0.25, 0.25)
        """
        values, mean = self._values(name), self.mean(name)
        if len(values) < 2:
            return math.nan
        return math.hypot(*(value - mean for value in values)) / math.sqrt(len(values) - 1)

    def to_json(self, quality: Quality) -> dict[str, Any]:
        """The trainings as plain data: mean and standard deviation, and what each of them reached.

        Returns:
            `seeds` (how many there are to be), `trained` (how many ended), `chosen_seed` and `chosen_by` (the weights
            that are exported, and the figure they were chosen by), `mean` and `std` for each figure (`std` is `None`
            of one training), and `each` (trial, seed, state, and its figures or why it failed).
        """
        figures = (quality.validation, quality.test)
        spread = {name: {"mean": _known(self.mean(name)), "std": _known(self.deviation(name))} for name in figures}
        judged = quality.device if quality.device in self.best.metrics else quality.validation
        return {
            "seeds": self.seeds,
            "trained": len(self.finished),
            "chosen_seed": self.best.seed,
            "chosen_by": judged,
            **spread,
            "each": [_training(trial, (*figures, quality.device)) for trial in self.trials],
        }

    def _values(self, name: str) -> list[float]:
        found = ({**trial.metrics, **trial.costs}.get(name) for trial in self.finished)
        return [value for value in found if value is not None]


def counted(ended: int, asked: int) -> str:
    """How many trainings a mean is of.

    >>> counted(3, 3), counted(2, 3)
    ('3', '2 of 3')
    """
    return str(ended) if ended == asked else f"{ended} of {asked}"


def retrained_networks(trials: Iterable[Trial], asked: int = 1, stage: str = STAGE) -> list[RetrainedNetwork]:
    """The networks among some trials that were trained from scratch, in the order of their first training.

    Args:
        trials: of a run, of any stage.
        asked: trainings of each network that the config asks for.
        stage: of the trainings: those of the search's networks, or those of a baseline.
    """
    groups: dict[str, list[Trial]] = {}
    for trial in trials:
        if trial.stage == stage:
            groups.setdefault(trial.key, []).append(trial)
    return [RetrainedNetwork(tuple(group), asked) for group in groups.values()]


def returned_networks(trials: Iterable[Trial], asked: int = 1, stage: str = STAGE) -> list[RetrainedNetwork]:
    """Retrained networks that keep to the budget, the winner (the best mean on validation samples) first."""
    networks = retrained_networks(trials, asked, stage)
    return sorted((one for one in networks if one.fits), key=lambda one: rank(one.summary))


def training_names(trainings: Iterable[tuple[str, str, int]], asked: int = 1) -> list[str]:
    """What people call trainings from scratch: by their kind, the rank of the network, and its short key.

    Args:
        trainings: stage, key and seed of each, in the order in which they are done: the best network first.
        asked: trainings of each network that the config asks for.

    >>> training_names([("retrain", "b26abaa9a174", 0), ("retrain", "6c43f0df6c3c", 0), ("baseline chain", "b1", 0)])
    ['retrained 1 b26abaa9', 'retrained 2 6c43f0df', 'chain 1 b1']
    >>> training_names([("retrain", "ab", 0), ("retrain", "ab", 1)], asked=2)
    ['retrained 1 ab, seed 0', 'retrained 1 ab, seed 1']
    """
    ranks: dict[str, dict[str, int]] = {}
    names = []
    for stage, key, seed in trainings:
        known = ranks.setdefault(stage, {})
        rank_of_network = known.setdefault(key, len(known) + 1)
        kind = "retrained" if stage == STAGE else stage.removeprefix(BASELINE_PREFIX)
        name = f"{kind} {rank_of_network} {key[:SHORT_KEY]}"
        names.append(name if asked == 1 else f"{name}, seed {seed}")
    return names


def of_baselines(trials: Iterable[Trial]) -> list[Trial]:
    """The trainings of networks that the returned ones are compared with."""
    return [trial for trial in trials if trial.stage.startswith(BASELINE_PREFIX)]


def returned_front(
    trials: Iterable[Trial], asked: int = 1, objectives: Sequence[str] = ()
) -> list[RetrainedNetwork]:
    """Those of them that no other one beats in the objectives of `front`, by their means."""
    networks = {network.key: network for network in returned_networks(trials, asked)}
    best = front([network.summary for network in networks.values()], objectives)
    return [networks[trial.key] for trial in best]


def _training(trial: Trial, figures: Sequence[str]) -> dict[str, Any]:
    found = {name: _known(trial.metrics[name]) for name in figures if name in trial.metrics}
    reason = {"message": trial.message} if trial.state == "failed" else {}
    return {"trial": trial.id, "seed": trial.seed, "state": trial.state, **found, **reason}


def _names(trials: Sequence[Trial], field: str) -> dict[str, None]:
    """What their metrics, costs or verdicts are called, in the order in which they come."""
    trees: list[Mapping[str, float]] = [getattr(trial, field) for trial in trials]
    return dict.fromkeys(name for tree in trees for name in tree)


def _known(value: float) -> float | None:
    """JSON has no word for infinity."""
    return value if math.isfinite(value) else None
