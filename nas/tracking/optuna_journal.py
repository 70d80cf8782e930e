"""Optuna's journal as a view of the ledger, for `optuna-dashboard` and `optuna.load_study`."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from hasnas.errors import BadInputError
from hasnas.files import unwritable
from hasnas.nas.budget.budget import Budget, Verdict
from hasnas.nas.budget.costs import cost_called
from hasnas.nas.history.goal import PART_PREFIX, SCORE_PREFIX, Goal
from hasnas.nas.history.returned import training_names
from hasnas.nas.history.trial import Trial
from hasnas.search_spaces.space import Gene

from .search_curves import costs_on_curves
from .tracker import TrackedRun

try:
    import optuna
    from optuna.distributions import BaseDistribution, CategoricalDistribution
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend
    from optuna.study import StudyDirection
    from optuna.trial import FrozenTrial, TrialState, create_trial
except ImportError as error:
    raise BadInputError(f"tracking: optuna needs its package ({error}); pip install 'hasnas[optuna]'") from error

JOURNAL_FILE = "optuna.journal"
LOCKED_FOR_S = 1.0  # and longer only by a process that was killed
RETRAINED = ", retrained"  # ends the name of the second study
NUMBER = "trial"  # the attribute that holds the number in the ledger


class OptunaJournal:
    """Writes `optuna.journal` beside the ledger: `optuna-dashboard RUN/optuna.journal`.

    The study with the run's name holds the candidates of the search, one with `, retrained` behind it the trainings
    from scratch. Parameters are the genes by their labels, values the objectives that the config names (or else the
    score or quality alone, of trainings the quality). What broke the budget is pruned, what failed has failed;
    attributes hold key, costs, metrics and verdict, and learning curves are intermediate values where there is one
    objective. A trial begins when the one before it ended, which is not quite so where several are evaluated at a time.

    A resumed run goes on in the file as far as it agrees with the ledger, and else writes it anew.

    Args:
        run: what is to be shown.

    Raises:
        BadInputError: if the file cannot be written.
    """

    def __init__(self, run: TrackedRun) -> None:
        self._run, self._path = run, run.directory / JOURNAL_FILE
        name, search = run.config.name, run.config.search
        # Trainings are judged by their quality, whatever their candidates were ranked by.
        self._goals = {study: Goal(score, run.quality, search.objectives)
                       for study, score in ((name, search.score), (name + RETRAINED, None))}  # fmt: skip
        self._epochs: dict[str, dict[int, float]] = {}
        self._retrained: list[Trial] = []
        self._ended = 0.0
        self._distributions = {gene.label: _distribution(gene) for gene in run.genes}
        verbosity = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.WARNING)  # or it tells of each study that it makes
        try:
            known = self._begin()
            for place, trial in enumerate(run.trials):
                self._add(trial, write=place >= known)
        except OSError as error:
            raise unwritable(self._path, error) from error
        finally:
            optuna.logging.set_verbosity(verbosity)

    def on_trial(self, trial: Trial) -> None:
        """See `Tracker.on_trial`."""
        self._add(trial)

    def on_epoch(self, stage: str, epoch: int, metrics: Mapping[str, float]) -> None:
        """See `Tracker.on_epoch`."""
        value = metrics.get(self._run.quality.validation, math.nan)
        if math.isfinite(value):
            self._epochs.setdefault(stage, {}).setdefault(epoch, value)

    def close(self) -> None:
        """See `Tracker.close`; every trial is in the file as soon as it is told."""

    def _begin(self) -> int:
        """How many of the run's first trials the file holds; one that holds anything else is written anew."""
        self._free_lock()
        if self._path.exists() and not self._path.read_bytes().endswith(b"\n"):
            self._path.unlink()  # torn by a crash
        try:
            self._open()
            known = self._known()
        except (ValueError, TypeError, LookupError, AssertionError, optuna.exceptions.OptunaError):  # no journal
            known = None
        if known is None:
            self._path.unlink()
            self._open()
        return known or 0

    def _free_lock(self) -> None:
        """Remove a lock that a killed process has left, for which Optuna would wait; a dashboard's lasts milliseconds.

        Only one process writes to a run, and it is this one.
        """
        lock = self._path.with_name(self._path.name + ".lock")
        until = time.monotonic() + LOCKED_FOR_S
        while lock.is_symlink() or lock.exists():
            if time.monotonic() > until:
                lock.unlink(missing_ok=True)
                return
            time.sleep(0.05)

    def _open(self) -> None:
        """The studies in the file; made where there are none."""
        storage = JournalStorage(JournalFileBackend(str(self._path.absolute())))
        there, self._studies = optuna.get_all_study_names(storage), {}
        for name, goal in self._goals.items():
            if name in there:
                self._studies[name] = optuna.load_study(study_name=name, storage=storage)
                continue
            upward = _objectives(goal).values()
            directions = [StudyDirection.MAXIMIZE if up else StudyDirection.MINIMIZE for up in upward]
            self._studies[name] = optuna.create_study(storage=storage, study_name=name, directions=directions)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                self._studies[name].set_metric_names(list(_objectives(goal)))

    def _known(self) -> int | None:
        """How many of the run's first trials the file holds; None if it holds others."""
        held = [trial for study in self._studies.values() for trial in study.get_trials(deepcopy=False)]
        numbers = [(trial.user_attrs.get(NUMBER), trial.user_attrs.get("key")) for trial in held]
        expected = [(trial.id, trial.key) for trial in self._run.trials[: len(held)]]
        names = {name: study.metric_names for name, study in self._studies.items()}
        agrees = numbers == expected and names == {name: list(_objectives(goal)) for name, goal in self._goals.items()}
        return len(held) if agrees else None

    def _add(self, trial: Trial, write: bool = True) -> None:
        name, called, curve = self._run.config.name, "", dict[int, float]()
        if trial.stage != "search":
            name += RETRAINED
            self._retrained.append(trial)
            keys = [(one.stage, one.key, one.seed) for one in self._retrained]
            called = training_names(keys, self._run.config.retrain.seeds)[-1]
            curve = self._epochs.get(called, {})
        if write:
            made = self._frozen(trial, self._goals[name], called, curve)
            self._studies[name].add_trial(made)
        self._ended = max(self._ended, trial.time)

    def _frozen(self, trial: Trial, goal: Goal, called: str, curve: Mapping[int, float]) -> FrozenTrial:
        """A trial as Optuna keeps it."""
        values, state = _values(trial, goal), TrialState.COMPLETE
        if trial.state != "done":
            state = TrialState.PRUNED if trial.state == "infeasible" else TrialState.FAIL
        elif not all(map(math.isfinite, values)):
            state = TrialState.FAIL
        genes = self._run.genes if len(trial.codes) == len(self._run.genes) else ()
        made = create_trial(
            state=state,
            values=values if state == TrialState.COMPLETE else None,
            params={gene.label: _choice(gene, code) for gene, code in zip(genes, trial.codes, strict=False)},
            distributions={gene.label: self._distributions[gene.label] for gene in genes},
            user_attrs=self._attributes(trial, called),
            system_attrs={"constraints": self._constraints(trial)},
            intermediate_values=dict(curve) if len(values) == 1 else {},
        )
        made.datetime_complete = datetime.fromtimestamp(trial.time)
        made.datetime_start = datetime.fromtimestamp(min(self._ended or trial.time, trial.time))
        return made

    def _constraints(self, trial: Trial) -> list[float]:
        """By how much each limit is exceeded, as a share of it: at most 0 where it is kept."""
        limits = self._run.config.budget.limits.items()
        known = Budget({name: limit for name, limit in limits if cost_called(name).field in trial.costs})
        ratios = {**known.verdict(trial.costs).ratios, **trial.verdict}
        return [ratio - 1 for ratio in ratios.values() if math.isfinite(ratio)]

    def _attributes(self, trial: Trial, called: str) -> dict[str, Any]:
        shown = (self._run.quality.validation, self._run.quality.test, self._run.quality.device, "firing_rate")
        metrics = {
            name: value
            for name, value in trial.metrics.items()
            if (name in shown or name.startswith((SCORE_PREFIX, PART_PREFIX))) and math.isfinite(value)
        }
        priced = costs_on_curves(trial, self._run.config.shown_costs)
        costs = {name: value for name, value in priced.items() if math.isfinite(value)}
        told = {"network": called} if called else {}
        told |= {"message": trial.message} if trial.message else {}
        verdict = Verdict(trial.verdict).describe() if trial.verdict else "fits" if trial.costs else "not priced"
        return {NUMBER: trial.id, "key": trial.key, "seed": trial.seed, **told, "verdict": verdict, **metrics, **costs}


def _objectives(goal: Goal) -> dict[str, bool]:
    """Name of each objective -> whether more is better."""
    named = {cost.name: cost.more_is_better for cost in map(cost_called, goal.objectives)}
    return named or {goal.label: goal.sign > 0}


def _values(trial: Trial, goal: Goal) -> list[float]:
    """What a trial reaches of each."""
    named = [trial.costs.get(cost_called(name).field, math.nan) for name in goal.objectives]
    return named or [trial.metrics.get(goal.metric, math.nan)]


def _distribution(gene: Gene) -> BaseDistribution:
    return CategoricalDistribution(_choices(gene))


def _choice(gene: Gene, code: int) -> str | float:
    return _choices(gene)[code]


def _choices(gene: Gene) -> Sequence[str | float]:
    """Numbers where a gene has some, so that plots have an axis; else what people read."""
    return gene.choices if gene.values is None else gene.values
