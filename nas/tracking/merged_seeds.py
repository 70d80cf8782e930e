"""Runs of one config and several seeds, as a job array makes them: medians and spread over seeds, the front of all."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from hasnas.errors import BadInputError
from hasnas.files import csv_text, make_directory, write_atomic
from hasnas.nas.budget.costs import cost_called
from hasnas.nas.history.stored_run import read_run
from hasnas.nas.history.trial import Trial

from .aligned import align
from .side_by_side import RunsSideBySide, runs_side_by_side
from .status import quality_of_status

# What may differ between the runs: where and by what they were run, and where their files lay.
ELSEWHERE = ("seed", "versions", "executor", "ray", "device", "dataset.root", "supernet.from")
Show = Callable[[float], str]


@dataclass(frozen=True)
class Figure:
    """One figure of every run.

    Args:
        name: what it is.
        values: one for each run, NaN where there is none.
        show: a value as people read it.
    """

    name: str
    values: tuple[float, ...]
    show: Show

    @property
    def summary(self) -> dict[str, float]:
        """Median, least, greatest and standard deviation over the runs that have it; empty if none has.

        >>> Figure("test", (0.5, 0.75, math.nan), str).summary
        {'median': 0.625, 'least': 0.5, 'greatest': 0.75, 'deviation': 0.1767766952966369, 'runs': 2}
        """
        known = [value for value in self.values if math.isfinite(value)]
        if not known:
            return {}
        deviation = statistics.stdev(known) if len(known) > 1 else 0.0
        ends = {"least": min(known), "greatest": max(known)}
        return {"median": statistics.median(known), **ends, "deviation": deviation, "runs": len(known)}


@dataclass(frozen=True, eq=False)
class MergedSeeds:
    """What `hasnas merge` found.

    Args:
        runs: beside each other, in the order of their seeds.
    """

    runs: RunsSideBySide

    @property
    def seeds(self) -> tuple[int, ...]:
        """Of the runs."""
        return tuple(int(status["seed"]) for status in self.runs.statuses)

    @cached_property
    def figures(self) -> tuple[Figure, ...]:
        """Hypervolume (as a share), best value of each objective, then what the best returned network reaches."""
        fronts, statuses = self.runs.fronts, self.runs.statuses
        shares = tuple(fronts.comparison.share(float(volume)) for volume in fronts.comparison.volumes)
        found = [Figure("hypervolume", shares, "{:.4f}".format)]
        for number, axis in enumerate(fronts.axes):
            best = max if axis.more_is_better else min
            values = tuple(best(points[:, number].tolist()) for points in fronts.comparison.points)
            found.append(Figure(f"best {axis.name}", values, axis.show))
        returned = [status["returned"][0] if status["returned"] else {} for status in statuses]
        # One that has trained nothing yet does not know by what its networks will be judged.
        quality = quality_of_status(next((status for status in statuses if status["task"]), statuses[0]))
        for split in ("validation", "test"):
            values = _column(returned, getattr(quality, split))
            found.append(Figure(f"returned {split}", values, quality.show))
        for cost in map(cost_called, dict.fromkeys(name for status in statuses for name in status["costs"])):
            found.append(Figure(f"returned {cost.name}", _column(returned, cost.field), cost.show))
        seconds = tuple(float(sum(stage["seconds"] for stage in status["stages"])) for status in statuses)
        found.append(Figure("time", seconds, "{:.1f} s".format))
        return tuple(figure for figure in found if figure.summary)

    def front(self) -> Iterator[tuple[int, Trial]]:
        """Seed and trial of all on the front of all runs, the best by the last objective first."""
        fronts = self.runs.fronts
        for values in fronts.comparison.joint.tolist():
            for seed, trials, points, rows in zip(
                self.seeds, fronts.trials, fronts.comparison.points, fronts.comparison.fronts, strict=True
            ):
                yield from ((seed, trials[row]) for row in rows.tolist() if points[row].tolist() == values)

    def to_json(self) -> dict[str, Any]:
        """Plain data, in SI units.

        Returns:
            `seeds` (seed, run, state, and each figure that it has); `figures` (name -> median, least, greatest,
            deviation, runs); `front` (seed, id, key and the objectives, of all runs together).
        """
        return {
            "seeds": [
                {"seed": seed, "run": status["run"], "state": status["state"]}
                | {one.name: one.values[row] for one in self.figures if math.isfinite(one.values[row])}
                for row, (seed, status) in enumerate(zip(self.seeds, self.runs.statuses, strict=True))
            ],
            "figures": {figure.name: figure.summary for figure in self.figures},
            "front": [
                {"seed": seed, "id": trial.id, "key": trial.key}
                | {axis.name: axis.of(trial) for axis in self.runs.fronts.axes}
                for seed, trial in self.front()
            ],
        }

    def seed_rows(self) -> list[tuple[str, ...]]:
        """A line a run for people, under a header."""
        rows: list[tuple[str, ...]] = [("SEED", "RUN", "STATE", *(figure.name.upper() for figure in self.figures))]
        for row, (seed, label) in enumerate(zip(self.seeds, self.runs.fronts.labels, strict=True)):
            shown = (_shown(figure.show, figure.values[row]) for figure in self.figures)
            rows.append((str(seed), label, str(self.runs.statuses[row]["state"]), *shown))
        return rows

    def summary_rows(self) -> list[tuple[str, ...]]:
        """A line a figure for people, under a header."""
        rows: list[tuple[str, ...]] = [("OVER SEEDS", "MEDIAN", "LEAST", "GREATEST", "DEVIATION", "RUNS")]
        for figure in self.figures:
            told = figure.summary
            shown = (figure.show(told[name]) for name in ("median", "least", "greatest", "deviation"))
            rows.append((figure.name, *shown, str(int(told["runs"]))))
        return rows

    def front_rows(self) -> list[tuple[str, ...]]:
        """A line a candidate of the front of all, for people, under a header."""
        axes = self.runs.fronts.axes
        rows: list[tuple[str, ...]] = [("FRONT OF ALL", "SEED", "TRIAL", *(axis.name.upper() for axis in axes))]
        for seed, trial in self.front():
            rows.append((trial.key, str(seed), str(trial.id), *(axis.show(axis.of(trial)) for axis in axes)))
        return rows

    def describe(self) -> str:
        """The same as text for people."""
        return "\n\n".join(align(rows) for rows in (self.summary_rows(), self.seed_rows(), self.front_rows()))

    def write(self, directory: Path) -> list[Path]:
        """`merged.json`, `seeds.csv`, `front.csv` and `fronts.png` into a directory, made if it is absent.

        Raises:
            BadInputError: if it cannot be written to.
        """
        from .figures import fronts, to_png

        tree = self.to_json()
        names = ["seed", "run", "state", *(figure.name for figure in self.figures)]
        of_front = ["seed", "id", "key", *(axis.name for axis in self.runs.fronts.axes)]
        files: dict[str, str | bytes] = {
            "merged.json": json.dumps(tree, indent=2) + "\n",
            "seeds.csv": csv_text([names, *([one.get(name, "") for name in names] for one in tree["seeds"])]),
            "front.csv": csv_text([of_front, *([one[name] for name in of_front] for one in tree["front"])]),
            "fronts.png": to_png(fronts(self.runs.fronts)),
        }
        make_directory(directory)
        for name, content in files.items():
            write_atomic(directory / name, content)
        return [directory / name for name in files]


def merge_seeds(runs: Sequence[Path], objectives: Sequence[str] | None = None) -> MergedSeeds:
    """Merge runs of one config that differ by their seeds alone; those that stopped or still run are taken as they are.

    Args:
        runs: run directories.
        objectives: of the fronts, see `compare_runs`.

    Raises:
        BadInputError: if they differ in what decides a result, or two have one seed.
    """
    read = [read_run(run) for run in runs]
    found = runs_side_by_side(read, objectives)
    for key, values in found.settings.items():
        if not any(key == one or key.startswith(f"{one}.") for one in ELSEWHERE):
            other = next(row for row, value in enumerate(values) if value != values[0])
            raise BadInputError(
                f"{runs[other]} has {key} = {values[other]}, {runs[0]} has {values[0]}; merge runs that differ by "
                "their seeds alone, and put others side by side with: hasnas compare"
            )
    seeds = [int(status["seed"]) for status in found.statuses]
    for row, seed in enumerate(seeds):
        if seed in seeds[:row]:
            raise BadInputError(f"{runs[row]} and {runs[seeds.index(seed)]} have the same seed {seed}; leave one out")
    if seeds != sorted(seeds):
        order = sorted(range(len(runs)), key=lambda row: seeds[row])
        return MergedSeeds(runs_side_by_side([read[row] for row in order], objectives))
    return MergedSeeds(found)


def _column(networks: Sequence[Mapping[str, Any]], name: str) -> tuple[float, ...]:
    return tuple(math.nan if network.get(name) is None else float(network[name]) for network in networks)


def _shown(show: Show, value: float) -> str:
    return show(value) if math.isfinite(value) else ""
