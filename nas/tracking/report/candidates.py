"""The trials of a run as columns, as the page's explorer takes them: short, whatever their number."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from hasnas.nas.budget.costs import ENERGY
from hasnas.nas.budget.measured import QUALITIES
from hasnas.nas.history.trial import Trial
from hasnas.nas.tracking.figures import axis_unit

from .data import ReportData

FITS, OVER, FAILED = "fits", "over budget", "failed"


class Listed:
    """Values that are written once and named by their places.

    >>> listed = Listed()
    >>> [listed.place(value) for value in "aba"], listed.values
    ([0, 1, 0], ['a', 'b'])
    """

    def __init__(self) -> None:
        self._places: dict[Hashable, int] = {}

    def place(self, value: Hashable) -> int:
        """Where a value stands; a new one at the end."""
        return self._places.setdefault(value, len(self._places))

    @property
    def values(self) -> list[Any]:
        """All of them, in the order in which they came."""
        return list(self._places)


def candidates(data: ReportData) -> dict[str, Any]:
    """Columns over the trials, as plain data.

    Returns:
        `axes`: what a trial can be placed by, each with `name`, `unit`, `share` (whether it is one), `more` (whether
        more is better; None where neither is), `limit` or None, and `values`, in `unit`; `start`, two to begin with;
        `stages`, `verdicts` (state and names of the limits that are broken), `operations`, `cells` (nodes, then source,
        target and operation of each edge) and `choices`, that `trials` refer to by their places; `trials` with `id`,
        `key`, `stage`, `verdict`, `cells`, `choices` and `front`, the places of those on the search's front.
    """
    trials = data.trials
    axes = _axes(data)
    stages, verdicts, operations, cells, choices = Listed(), Listed(), Listed(), Listed(), Listed()
    listed = {
        "id": [trial.id for trial in trials],
        "key": [trial.key for trial in trials],
        "stage": [stages.place(trial.stage) for trial in trials],
        "verdict": [verdicts.place(_verdict(trial)) for trial in trials],
        "cells": [[cells.place(cell) for cell in _cells(trial, operations)] for trial in trials],
        "choices": [choices.place(", ".join(f"{k} {v}" for k, v in trial.choices.items())) for trial in trials],
    }
    best = {network["id"] for network in data.status["front"]}
    listed["front"] = [row for row, trial in enumerate(trials) if trial.stage == "search" and trial.id in best]
    names = [axis["name"] for axis in axes]
    across = ENERGY.name if ENERGY.name in names else next((cost.name for cost in data.costs if cost.name in names), "")
    return {
        "axes": axes,
        "start": [names.index(across) if across else len(names) - 1, 0],
        "stages": stages.values,
        "verdicts": verdicts.values,
        "operations": operations.values,
        "cells": cells.values,
        "choices": choices.values,
        "trials": listed,
    }


def _axes(data: ReportData) -> list[dict[str, Any]]:
    """What at least one trial has, the goal of the search first and the order of proposal last."""
    quality, goal = data.quality, data.goal
    measured = [(goal.metric, goal.label, goal.score is None)]
    if goal.score is not None:
        measured.append((quality.validation, f"validation {quality.name}", True))
    measured.append((quality.test, f"test {quality.name}", True))
    measured.append((quality.device, f"{quality.name} on imperfect chips", True))
    axes = []
    for metric, name, judged in measured:
        sign = quality.sign if judged else 1
        values = [trial.metrics.get(metric, math.nan) for trial in data.trials]
        axes.append(_axis(name, "", values, sign > 0, share=judged and quality.task == "classification"))
    for cost in data.costs:
        if cost not in QUALITIES:
            values = [cost.value({**trial.metrics, **trial.costs}) for trial in data.trials]
            largest = max((value for value in values if math.isfinite(value)), default=0.0)
            factor, unit = (1.0, "") if cost.whole else axis_unit(cost, largest)
            limit = data.status["budget"].get(cost.name)
            scaled = [value / factor for value in values]
            axes.append(_axis(cost.name, unit, scaled, cost.more_is_better, None if limit is None else limit / factor))
    rates = [trial.metrics.get("firing_rate", math.nan) for trial in data.trials]
    axes.append(_axis("firing rate", "spikes per neuron and timestep", rates, None))
    axes.append(_axis("trial", "", [float(trial.id) for trial in data.trials], None))
    return [axis for axis in axes if any(value is not None for value in axis["values"])]


def _axis(
    name: str, unit: str, values: Sequence[float], more: bool | None, limit: float | None = None, share: bool = False
) -> dict[str, Any]:
    short = [float(f"{value:.5g}") if math.isfinite(value) else None for value in values]
    return {"name": name, "unit": unit, "share": share, "more": more, "limit": limit, "values": short}


def _verdict(trial: Trial) -> tuple[str, tuple[str, ...]]:
    """How a trial ended, and the limits that it breaks."""
    state = FAILED if trial.state == "failed" else OVER if trial.verdict else FITS
    return state, tuple(trial.verdict)


def _cells(trial: Trial, operations: Listed) -> list[tuple[int, ...]]:
    """Cells as numbers; none where a network is not made of cells."""
    return [_cell(cell, operations) for cell in trial.architecture.get("cells", [])]


def _cell(cell: Mapping[str, Any], operations: Listed) -> tuple[int, ...]:
    edges = [(source, target, operations.place(operation)) for source, target, operation in cell["edges"]]
    return cell["nodes"], *(number for edge in edges for number in edge)
