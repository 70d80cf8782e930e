"""Several runs beside each other: settings that differ, budgets, times, returned networks, and their fronts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hasnas.nas.budget.budget import describe_limits
from hasnas.nas.budget.costs import cost_called
from hasnas.nas.config.differing import differing_settings
from hasnas.nas.history.layout import STAGES
from hasnas.nas.history.stored_run import StoredRun

from .aligned import align
from .compare import ComparedRuns, compare_runs
from .status import quality_of_status, status_of

SHARED = ("state", "budget", "trials", "feasible_share", "returned", "damage")
SHOWN = 60  # characters of a setting in a table


@dataclass(frozen=True, eq=False)
class RunsSideBySide:
    """What `hasnas compare` found.

    Args:
        fronts: of the runs.
        statuses: of each, see `run_status`.
        settings: dotted key -> its value in each run, of those that differ.
    """

    fronts: ComparedRuns
    statuses: tuple[Mapping[str, Any], ...]
    settings: Mapping[str, Sequence[Any]]

    def to_json(self) -> dict[str, Any]:
        """Plain data, in SI units.

        Returns:
            What `ComparedRuns.to_json` says, each entry of `runs` also with `state`, `budget`, `trials`,
            `feasible_share`, `returned` and `damage` as `hasnas status --json` has them, and `seconds` (stage ->
            working time, and `total`); and `settings` (key -> run -> value, of those that differ).
        """
        tree = self.fronts.to_json()
        for run, status in zip(tree["runs"], self.statuses, strict=True):
            run |= {name: status[name] for name in SHARED}
            run["seconds"] = _seconds(status)
        tree["settings"] = {
            key: dict(zip(self.fronts.labels, values, strict=True)) for key, values in self.settings.items()
        }
        return tree

    def describe(self) -> str:
        """The same as text for people, a column a run."""
        facts = [(name.upper(), *cells) for name, *cells in self.facts()]
        return f"{align([('', *self.fronts.labels), *facts, *self.setting_rows()])}\n\n{self.fronts.describe()}"

    def setting_rows(self) -> list[tuple[str, ...]]:
        """The settings that differ, each with a text for every run."""
        return [(key, *map(_setting, values)) for key, values in self.settings.items()]

    def facts(self) -> list[tuple[str, ...]]:
        """What is told of the runs, each with a text for every run; rows in which no run has anything are left out."""
        shares = [status["feasible_share"] for status in self.statuses]
        facts = [
            ("state", [status["state"] for status in self.statuses]),
            ("damage", [status["damage"] or "" for status in self.statuses]),
            ("budget", [describe_limits(status["budget"]) for status in self.statuses]),
            ("fits", ["" if share is None else f"{share:.1%} of the space" for share in shares]),
            ("trials", [str(status["trials"]["total"]) for status in self.statuses]),
        ]
        seconds = [_seconds(status) for status in self.statuses]
        for stage in (*STAGES, "total"):
            facts.append((f"time, {stage}", [f"{spent[stage]:.1f} s" if spent[stage] else "" for spent in seconds]))
        best = [status["returned"][0] if status["returned"] else {} for status in self.statuses]
        facts.append(("returned", [str(network.get("key", "")) for network in best]))
        for split in ("validation", "test"):
            facts.append((f"its {split}", [_figure(*pair, split) for pair in zip(self.statuses, best, strict=True)]))
        names = dict.fromkeys(name for status in self.statuses for name in status["costs"])
        for cost in map(cost_called, names):
            values = [network.get(cost.field) for network in best]
            facts.append((f"its {cost.name}", ["" if value is None else cost.show(value) for value in values]))
        return [(name, *cells) for name, cells in facts if any(cells)]


def runs_side_by_side(
    runs: Sequence[StoredRun], objectives: Sequence[str] | None = None, reference: Mapping[str, str] | None = None
) -> RunsSideBySide:
    """Compare runs on the same data.

    Args:
        runs: as they were read.
        objectives: of the fronts, see `compare_runs`.
        reference: name of an objective -> the worst value of interest.

    Raises:
        BadInputError: if the fronts cannot be compared.
    """
    fronts = compare_runs(runs, objectives, reference)
    settings = differing_settings([run.config for run in runs])
    return RunsSideBySide(fronts, tuple(map(status_of, runs)), settings)


def _seconds(status: Mapping[str, Any]) -> dict[str, float]:
    spent = {stage["stage"]: float(stage["seconds"]) for stage in status["stages"]}
    return {**spent, "total": round(sum(spent.values()), 3)}


def _figure(status: Mapping[str, Any], network: Mapping[str, Any], split: str) -> str:
    quality = quality_of_status(status)
    return quality.show(network.get(getattr(quality, split)))


def _setting(value: Any) -> str:
    text = "" if value is None else str(value)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 3]}..."
