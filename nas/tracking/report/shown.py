"""Figures and costs as the tables of a report show them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from hasnas.nas.budget.costs import Cost
from hasnas.nas.history.quality import Quality
from hasnas.nas.history.returned import RetrainedNetwork
from hasnas.nas.history.trial import Trial
from hasnas.nas.tracking.html import Markup, Text, details, element, table
from hasnas.nas.tracking.status_text import choice_rows

MOST_ROWS = 200  # of a table that could be as long as a run


def mean_shown(network: RetrainedNetwork, name: str, quality: Quality) -> str:
    """A figure of a network over its trainings."""
    return quality.show_mean(network.mean(name), network.deviation(name))


def costs_of_trial(trial: Trial, costs: Sequence[Cost]) -> list[str]:
    """What a trial costs, a cell for each cost."""
    return [cost.show(trial.costs.get(cost.field, math.nan)) for cost in costs]


def costs_of(tree: Mapping[str, Any], costs: Sequence[Cost]) -> list[str]:
    """The same of plain data by the costs' fields."""
    return [cost.show(math.nan if tree[cost.field] is None else tree[cost.field]) for cost in costs]


def percent(share: float | None, digits: int = 2) -> str:
    """A share as people read it; empty if it is not known.

    >>> percent(0.125, 1), percent(None)
    ('12.5%', '')
    """
    return "" if share is None or not math.isfinite(share) else f"{share:.{digits}%}"


def choices(networks: Mapping[str, Mapping[str, Any]]) -> list[Text]:
    """A table with chips and trainings of networks, where these are searched."""
    header, rows = choice_rows(networks)
    shown: list[list[Text]] = [[*row] for row in rows]
    return [table(["network", *header], shown)] if header else []


def folded(title: str, header: Sequence[Text], rows: Sequence[Sequence[Text]], *more: Text) -> Markup:
    """A table that opens on a click, cut where it is very long."""
    left = len(rows) - MOST_ROWS
    rest = [element("p", f"and {left:,} more, see the ledger.", css="note")] if left > 0 else []
    return details(f"{title} ({len(rows):,})", table(header, rows[:MOST_ROWS]), *rest, *more)
