"""The run beside others: settings that differ, budgets, times, returned networks, and their fronts."""

from __future__ import annotations

from hasnas.nas.tracking.html import Text, details, element, table
from hasnas.nas.tracking.side_by_side import RunsSideBySide

from .drawings import Drawings


def compared(found: RunsSideBySide, drawings: Drawings) -> list[Text]:
    """What `hasnas compare` says, with the fronts drawn."""
    labels = found.fronts.labels
    facts: list[list[Text]] = [[*row] for row in (*found.facts(), *found.setting_rows())]
    return [
        element("h2", "Beside other runs"),
        table(["", *labels], facts, css="facing"),
        *drawings.fronts(found.fronts),
        details("Fronts: hypervolume, attainment, and who is ahead where", element("pre", found.fronts.describe())),
    ]
