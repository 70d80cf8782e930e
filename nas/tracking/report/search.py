"""How a run went: the budget, the candidates, rungs, and where the time went."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from hasnas.nas.budget.measured import TRAINING_SECONDS
from hasnas.nas.history.learned import learned_line
from hasnas.nas.history.trial import Trial
from hasnas.nas.tracking.html import Text, element, table
from hasnas.nas.tracking.rungs import HEADER, rung_cells

from .data import ReportData
from .drawings import Drawings
from .shown import choices, costs_of, folded, percent


def budget(data: ReportData) -> list[Text]:
    """Limits, and what share of the space each of them rejects."""
    screen = data.status["screen"] or {}
    rejected = screen.get("rejected_share", {})
    rows: list[list[Text]] = []
    for cost in data.costs:
        limit = data.status["budget"].get(cost.name)
        shown = "none" if limit is None else cost.show_limit(limit)
        rows.append([cost.name, shown, percent(rejected[cost.name], 1) if cost.name in rejected else "-"])
    parts: list[Text] = [element("h2", "Budget")]
    if screen:
        how = "every one" if screen["complete"] else f"a sample of {screen['priced']:,}"
        fit = f"{screen['feasible']:,} of {screen['connected']:,} connected architectures"
        parts.append(
            element("p", f"Priced before any training ({how}): {fit} fit ({percent(screen['feasible_share'], 1)}).")
        )
    return [*parts, table(["limit", "value", "share of the space it rejects"], rows)]


def search(data: ReportData, drawings: Drawings) -> list[Text]:
    """The candidates: counts, the explorer, front, rungs, and those that failed."""
    status, counts = data.status, data.status["trials"]
    line = f"{counts['done']:,} candidates done, {counts['infeasible']:,} over budget, {counts['failed']:,} failed."
    if status["score"] is not None:
        line += f" They were ranked by the score '{status['score']}', without training."
    if status["objectives"]:
        line += f" Objectives: {', '.join(status['objectives'])}."
    parts: list[Text] = [element("h2", "Search"), element("p", line)]
    if any(trial.stage == "search" for trial in data.trials):
        parts += drawings.search(data)
        costs, goal = data.costs, data.goal
        rows = [[item["key"], goal.show(item.get(goal.metric)), *costs_of(item, costs)] for item in status["front"]]
        header = ["network", goal.label, *(cost.name for cost in costs)]
        chosen = choices({item["key"]: item.get("choices", {}) for item in status["front"]})
        parts.append(folded("Pareto front of the search", header, rows, *chosen))
    if status["rungs"]:
        rungs: list[list[Text]] = [[*rung_cells(row, data.quality)] for row in status["rungs"]]
        parts += [element("h3", "Rungs of successive halving"), table([name.lower() for name in HEADER], rungs)]
    if status["learned"]:
        parts.append(element("p", f"Predictor: {learned_line(status['learned'])}."))
    failed = [trial for trial in data.trials if trial.state == "failed"]
    if failed:
        reasons = [[str(trial.id), trial.key, trial.message] for trial in failed]
        parts.append(folded("Failed candidates", ["trial", "network", "reason"], reasons))
    return parts


def times(data: ReportData, drawings: Drawings) -> list[Text]:
    """Where the time went."""
    # The export is what writes this page.
    before = [item for item in data.status["stages"] if item["stage"] != "export" and item["state"] != "off"]
    total = sum(item["seconds"] for item in before)
    rows = [[item["stage"], item["state"], *_time(item, total)] for item in before]
    rows.append(["total", "", *_time({"seconds": total}, total)])
    spent = {item["stage"]: item["seconds"] for item in before if item["seconds"]}
    shown = table(["stage", "state", "time", "share"], rows, {len(rows) - 1: "total"})
    parts: list[Text] = [element("h2", "Where the time went"), shown, *_each(data.trials)]
    return [*parts, *(drawings.times(spent) if spent else [])]


def _time(stage: Mapping[str, Any], total: float) -> tuple[str, str]:
    seconds = stage["seconds"]
    return (f"{seconds:.1f} s", percent(seconds / total, 1)) if seconds else ("", "")


def _each(trials: Sequence[Trial]) -> list[Text]:
    """What single candidates took, where that was measured."""
    seconds = [trial.metrics[TRAINING_SECONDS] for trial in trials if TRAINING_SECONDS in trial.metrics]
    if not seconds:
        return []
    middle = f"{median(seconds):.3g} s (median of {len(seconds):,})"
    line = f"Training a candidate took {middle}, at most {max(seconds):.3g} s."
    return [element("p", line, css="note")]
