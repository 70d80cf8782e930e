"""The fronts of several runs in one table: what each covers, what it attains, and which run is ahead where."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hasnas.errors import BadInputError, nearest
from hasnas.nas.budget.costs import COSTS, ENERGY, cost_called
from hasnas.nas.budget.measured import ACCURACY, DEVICE_ACCURACY, SCORE
from hasnas.nas.config.run import RunConfig
from hasnas.nas.history.comparison import FrontComparison, segments
from hasnas.nas.history.goal import goal_of
from hasnas.nas.history.returned import returned_networks
from hasnas.nas.history.run_config import nothing_returned
from hasnas.nas.history.stored_run import StoredRun
from hasnas.nas.history.trial import Trial

from .aligned import align

QUALITY, DEVICE, TEST = ACCURACY.name, DEVICE_ACCURACY.name, "test_accuracy"


@dataclass(frozen=True)
class Axis:
    """One objective of a comparison.

    Args:
        name: what people call it in a config.
        key: its name in tables of SI units.
        value: metrics and costs of a trial -> its value, NaN if they do not tell it.
        more_is_better: whether a front keeps it high.
        show: a value as people read it.
        read: a value as people write it.
        unit: SI unit of its values, `"1"` for a share or a count.
    """

    name: str
    key: str
    value: Callable[[Mapping[str, float]], float]
    more_is_better: bool
    show: Callable[[float], str]
    read: Callable[[str], float]
    unit: str = "1"

    def of(self, trial: Trial) -> float:
        """Its value of a trial; NaN if there is none."""
        return self.value({**trial.metrics, **trial.costs})


@dataclass(frozen=True, eq=False)
class ComparedRuns:
    """The fronts that `hasnas compare` found.

    Args:
        labels: of the runs.
        axes: the objectives.
        trials: of each run those that were compared: they ended, keep to the run's budget and have every objective.
        comparison: of their values.
    """

    labels: tuple[str, ...]
    axes: tuple[Axis, ...]
    trials: tuple[tuple[Trial, ...], ...]
    comparison: FrontComparison

    def to_json(self) -> dict[str, Any]:
        """Plain data, in SI units.

        Returns:
            `objectives` (name, key, unit, more_is_better); `reference` and `ideal` (name -> value); `runs` (run,
            candidates, front, hypervolume, its `share` of the box between ideal and reference, `attains`: share of the
            joint front); `dominates` (run -> run -> share of the second's front that the first dominates);
            `attainment` (for 1, 2, ... runs, the share of the box that at least as many attain); `joint_front` (its
            values, and the runs that attain it), by the last objective.
        """
        found, names = self.comparison, [axis.name for axis in self.axes]
        runs = [
            {
                "run": label,
                "candidates": len(trials),
                "front": [self._member(trials[row]) for row in rows],
                "hypervolume": float(volume),
                "share": found.share(float(volume)),
                "attains": float(attains),
            }
            for label, trials, rows, volume, attains in zip(
                self.labels, self.trials, found.fronts, found.volumes, found.attains, strict=True
            )
        ]
        return {
            "objectives": [
                {"name": axis.name, "key": axis.key, "unit": axis.unit, "more_is_better": axis.more_is_better}
                for axis in self.axes
            ],
            "reference": dict(zip(names, map(float, found.reference), strict=True)),
            "ideal": dict(zip(names, map(float, found.ideal), strict=True)),
            "runs": runs,
            "dominates": {
                label: dict(zip(self.labels, row, strict=True))
                for label, row in zip(self.labels, found.dominates.tolist(), strict=True)
            },
            "attainment": [
                {"runs": count, "share": found.share(float(volume))}
                for count, volume in enumerate(found.attainment, start=1)
            ],
            "joint_front": [
                {**dict(zip(names, values, strict=True)), "runs": [self.labels[run] for run in np.flatnonzero(column)]}
                for values, column in zip(found.joint.tolist(), found.attained.T, strict=True)
            ],
        }

    def _member(self, trial: Trial) -> dict[str, Any]:
        return {"id": trial.id, "key": trial.key, **{axis.name: axis.of(trial) for axis in self.axes}}

    def describe(self) -> str:
        """The same as text for people."""
        found = self.comparison
        best = (f"BEST {axis.name.upper()}" for axis in self.axes)
        rows = [("RUN", "CANDIDATES", "FRONT", "HYPERVOLUME", "ATTAINS", *best)]
        for number, label in enumerate(self.labels):
            extremes = [
                max(column) if axis.more_is_better else min(column)
                for axis, column in zip(self.axes, found.points[number].T.tolist(), strict=True)
            ]
            counts = str(len(self.trials[number])), str(len(found.fronts[number]))
            shares = f"{found.share(float(found.volumes[number])):.4f}", f"{found.attains[number]:.1%}"
            shown = (axis.show(value) for axis, value in zip(self.axes, extremes, strict=True))
            rows.append((label, *counts, *shares, *shown))
        lines = [
            align(rows),
            f"hypervolume: share of the box from {self._point(found.ideal)} to the reference point "
            f"{self._point(found.reference)}",
            f"attains: share of the joint front's {len(found.joint)} points",
        ]
        if len(self.labels) > 1:
            lines += ["", *self._domination(), "", *self._attainment(), "", *self._where()]
        return "\n".join(lines)

    def _point(self, values: Sequence[float]) -> str:
        shown = (f"{axis.name} {axis.show(value)}" for axis, value in zip(self.axes, values, strict=True))
        return "(" + ", ".join(shown) + ")"

    def _domination(self) -> list[str]:
        rows = [("DOMINATES", *self.labels)]
        for number, (label, shares) in enumerate(zip(self.labels, self.comparison.dominates.tolist(), strict=True)):
            rows.append((label, *("-" if at == number else f"{share:.1%}" for at, share in enumerate(shares))))
        return [*align(rows).splitlines(), "a row's run is better than that share of a column's front"]

    def _attainment(self) -> list[str]:
        found, everyone = self.comparison, len(self.labels)
        shares = [f"{count}: {found.share(float(v)):.4f}" for count, v in enumerate(found.attainment, start=1)]
        return [f"hypervolume that at least so many of the {everyone} runs attain: " + ", ".join(shares)]

    def _where(self) -> list[str]:
        """Who is ahead along the joint front."""
        found, last = self.comparison, self.axes[-1]
        rows = [("AHEAD", f"{last.name.upper()} FROM", "TO", *(axis.name.upper() for axis in self.axes[:-1]))]
        for first, end, runs in segments(found.attained):
            ends = found.joint[first], found.joint[end]
            shown = tuple(
                axis.show(values[0]) if values[0] == values[1] else f"{axis.show(values[0])} ... {axis.show(values[1])}"
                for axis, values in zip(self.axes[:-1], np.array(ends).T.tolist(), strict=False)
            )
            names = " = ".join(self.labels[run] for run in runs)
            rows.append((names, last.show(float(ends[0][-1])), last.show(float(ends[1][-1])), *shown))
        return align(rows).splitlines()


def compare_runs(
    runs: Sequence[StoredRun], objectives: Sequence[str] | None = None, reference: Mapping[str, str] | None = None
) -> ComparedRuns:
    """Compare the fronts of runs on the same data.

    Args:
        runs: as they were read.
        objectives: at least two names of costs or of what is measured: `accuracy` (the mean absolute error of a
            regression), `score`, `device_accuracy`, and `test_accuracy`, for which retrained networks are compared; by
            default what the first run looks for.
        reference: name of an objective -> the worst value of interest; for all of them, or none.

    Raises:
        BadInputError: if a run is given twice, a name is unknown, or a run has no candidate with these objectives.
    """
    if len({run.directory.resolve() for run in runs}) < len(runs):
        raise BadInputError("a run is given twice; name each run once")
    _check_alike(runs)
    names = tuple(objectives) if objectives else _objectives_of(runs[0].config)
    evaluated = [_evaluated(run, TEST in names) for run in runs]  # before objectives are asked of what is not there
    axes = _axes(names, [trial for run in runs for trial in run.trials])
    chosen = tuple(_comparable(run, trials, axes) for run, trials in zip(runs, evaluated, strict=True))
    points = tuple(np.array([[axis.of(trial) for axis in axes] for trial in trials]) for trials in chosen)
    comparison = FrontComparison(points, tuple(axis.more_is_better for axis in axes), _reference(reference, axes))
    return ComparedRuns(_labels([run.directory for run in runs]), axes, chosen, comparison)


def read_reference(text: str | None) -> dict[str, str] | None:
    """`name=value,name=value` as a mapping.

    Raises:
        BadInputError: if a part has no value.

    >>> read_reference("accuracy=0.5,energy=2 uJ")
    {'accuracy': '0.5', 'energy': '2 uJ'}
    """
    if text is None:
        return None
    found = {}
    for part in text.split(","):
        name, equals, value = part.partition("=")
        if not equals or not value.strip():
            raise BadInputError(f"--reference {part}: write NAME=VALUE, e.g. energy='2 uJ'")
        found[name.strip()] = value.strip()
    return found


def _labels(paths: Sequence[Path]) -> tuple[str, ...]:
    """The directories' names, or the whole paths of those that share theirs."""
    names = [path.resolve().name for path in paths]
    return tuple(name if names.count(name) == 1 else str(path) for name, path in zip(names, paths, strict=True))


def _check_alike(runs: Sequence[StoredRun]) -> None:
    first, name = runs[0].directory, runs[0].config.dataset.name
    for run in runs:
        if run.config.dataset.name != name:
            raise BadInputError(
                f"{run.directory} is on {run.config.dataset.name}, {first} on {name}; compare runs on the same data"
            )


def _evaluated(run: StoredRun, tested: bool) -> list[Trial]:
    """The candidates of a run that were evaluated; if `tested`, the networks that it returned."""
    if tested:
        found = [network.summary for network in returned_networks(run.trials, run.config.retrain.seeds)]
        if not found:
            raise nothing_returned(run.directory)
        return found
    found = [trial for trial in run.trials if trial.stage == "search" and trial.state == "done"]
    if not found:
        failed = sum(trial.state == "failed" for trial in run.trials)
        why = run.contents.damage or (f"{failed} failed" if failed else f"hasnas status {run.directory}")
        raise BadInputError(
            f"{run.directory} holds no candidate that was evaluated ({why}); leave it out, or go on with it"
        )
    return found


def _objectives_of(config: RunConfig) -> tuple[str, ...]:
    """What a run looks for; where its config names one objective or none, energy beside it or beside the quality."""
    found = config.search.objectives or (QUALITY if config.search.score is None else SCORE.name,)
    return found if len(found) > 1 else tuple(dict.fromkeys([*found, ENERGY.name, ACCURACY.name]))[:2]


def _axes(names: Sequence[str], trials: Sequence[Trial]) -> tuple[Axis, ...]:
    if len(set(names)) < len(names):
        raise BadInputError(f"--objectives {','.join(names)}: name each once")
    if len(names) < 2:
        raise BadInputError(f"--objectives {','.join(names)}: a front needs at least two, e.g. accuracy,energy")
    return tuple(_axis(name, trials) for name in names)


def _axis(name: str, trials: Sequence[Trial]) -> Axis:
    goal = goal_of(trials)
    quality = goal.quality
    judged = {QUALITY: quality.validation, DEVICE: quality.device, TEST: quality.test}
    if name in judged:
        key = judged[name]
        return Axis(name, key, lambda known: known.get(key, math.nan), quality.sign > 0, quality.show, _number(name))
    if name.isidentifier() and name not in COSTS.names():
        raise BadInputError(f"--objectives: unknown '{name}'{nearest(name, [TEST, *COSTS.names()])}")
    cost = cost_called(name)
    if cost is SCORE and goal.score is None:
        raise BadInputError("--objectives: these runs rank candidates by accuracy, not by a score; take accuracy")
    key = goal.metric if cost is SCORE else cost.field
    read = _number(name) if cost is SCORE else cost.parse  # a score may be zero and less
    return Axis(name, key, cost.value, cost.more_is_better, cost.show, read, cost.unit)


def _number(name: str) -> Callable[[str], float]:
    def read(text: str) -> float:
        try:
            found = float(text)
        except ValueError:
            found = math.nan
        if not math.isfinite(found):
            raise BadInputError(f"'{text}' is no number; for {name} give one, e.g. 0.5")
        return found

    return read


def _comparable(run: StoredRun, candidates: Sequence[Trial], axes: Sequence[Axis]) -> tuple[Trial, ...]:
    found = tuple(
        trial
        for trial in candidates
        if not trial.verdict and all(math.isfinite(axis.of(trial)) for axis in axes)
    )
    if not found:
        wanted = ", ".join(axis.name for axis in axes)
        told = f"{run.directory} holds no candidate within its budget that has {wanted}"
        if not any(trial.metrics for trial in candidates):
            raise BadInputError(f"{told}, and none of which anything was measured; leave it out, or go on with it")
        other = f"hasnas compare {run.directory} --objectives A,B"
        raise BadInputError(f"{told}; compare by what it measured: {other}")
    return found


def _reference(given: Mapping[str, str] | None, axes: Sequence[Axis]) -> tuple[float, ...] | None:
    if not given:
        return None
    names = [axis.name for axis in axes]
    for name in given:
        if name not in names:
            raise BadInputError(f"--reference: '{name}' is not compared{nearest(name, names)}")
    missing = [name for name in names if name not in given]
    if missing:
        raise BadInputError(f"--reference lacks {missing[0]}; give a value for each of {', '.join(names)}")
    return tuple(_read(axis, given[axis.name]) for axis in axes)


def _read(axis: Axis, text: str) -> float:
    try:
        return axis.read(text)
    except BadInputError as error:
        raise BadInputError(f"--reference {axis.name}: {error}") from error
