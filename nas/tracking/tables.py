"""The Pareto front as a table that any program reads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hasnas.files import csv_text, write_atomic
from hasnas.nas.history.goal import costs_of_trials, front, goal_of
from hasnas.nas.history.returned import returned_front
from hasnas.nas.history.stored_run import read_run
from hasnas.nas.history.trial import Choice, Trial

PARETO_FILE = "pareto.csv"
NAMES = ("stage", "id", "key", "seed", "codes")


def write_pareto(run_directory: Path) -> Path:
    """Write `pareto.csv`: the front of the searched candidates, then that of the retrained networks, in SI units.

    Raises:
        BadInputError: if the directory holds no run or the directory is not writable.
    """
    run, path = read_run(run_directory), run_directory / PARETO_FILE
    text = pareto_csv(run.trials, run.config.search.objectives)
    if not path.exists() or path.read_bytes() != text.encode():
        write_atomic(path, text)
    return path


def pareto_csv(trials: Sequence[Trial], objectives: Sequence[str] = ()) -> str:
    """The text of `pareto.csv`, see `pareto_rows`."""
    return csv_text(pareto_rows(trials, objectives))


def pareto_rows(trials: Sequence[Trial], objectives: Sequence[str] = ()) -> list[list[Any]]:
    """The header and the rows of `pareto.csv`; within a stage the best network comes first.

    The fronts are over the named objectives; without any over merit and all costs.

    Where candidates were ranked by a training-free score, a column with its name comes before the others. A regression
    has `validation_mean_absolute_error` and `test_mean_absolute_error`, in the units of the targets.

    Costs that the budget or the search names beside the standard ones have columns of their own behind them.

    A retrained network has a row for each of its trainings that ended; whether it is on the front is decided by their
    means. Behind all others are the searched fields of chip and training, as `hardware/<field>` and `training/<field>`.

    >>> trial = Trial(0, "search", "ab", (1, 2), {}, 0, "done", {"validation_accuracy": 0.5}, {"energy_j": 1e-6})
    >>> print(*pareto_rows([trial])[0][:9])
    stage id key seed codes validation_accuracy test_accuracy parameters memory_bits
    """
    goal = goal_of(trials)
    common = goal.quality.validation, goal.quality.test, *(cost.field for cost in costs_of_trials(trials))
    scored = goal.score is not None
    chosen = list(dict.fromkeys(name for trial in trials for name in trial.choices))
    rows: list[list[Any]] = [[*NAMES, *([goal.label] if scored else []), *common, *chosen]]
    measured = [*([goal.metric] if scored else []), *common]
    searched = front([trial for trial in trials if trial.stage == "search"], objectives)
    retrained = [trial for network in returned_front(trials, objectives=objectives) for trial in network.finished]
    for trial in [*searched, *retrained]:
        values: dict[str, Choice] = {**trial.metrics, **trial.costs, **trial.choices}
        names = trial.stage, trial.id, trial.key, trial.seed, " ".join(str(code) for code in trial.codes)
        rows.append([*names, *(values.get(name, "") for name in [*measured, *chosen])])
    return rows
