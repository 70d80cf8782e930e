"""How the candidates of a search stood at each rung of successive halving, counted."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from hasnas.nas.history.goal import merit
from hasnas.nas.history.quality import Quality
from hasnas.nas.history.rung import RungRecord

HEADER = ("RUNG", "EPOCHS", "TIMESTEPS", "DATA", "CANDIDATES", "GIVEN UP", "OVER BUDGET", "BEST")


def counted_rungs(records: Sequence[RungRecord]) -> list[dict[str, Any]]:
    """One row for each rung that was reached, the cheapest first, as plain data.

    Args:
        records: of a run, in any order.

    Returns:
        `rung` (its number), `epochs`, `timesteps` and `data` (shares), `candidates` (how many were trained up to it),
        `failed`, `infeasible`, and `best` (the largest merit, `None` if there is none).

    >>> first = RungRecord(0, 0, "a", 1, 0.5, 0.25, "done", {"validation_accuracy": 0.5})
    >>> counted_rungs([first])[0]["best"]
    0.5
    """
    rows = []
    for number in sorted({record.rung for record in records}):
        reached = [record for record in records if record.rung == number]
        states = [record.state for record in reached]
        merits = [merit(record.metrics) for record in reached if math.isfinite(merit(record.metrics))]
        rows.append(
            {
                "rung": number,
                "epochs": max(record.epochs for record in reached),  # a network that falls silent stops earlier
                "timesteps": reached[0].timesteps,
                "data": reached[0].data,
                "candidates": len(reached),
                "failed": states.count("failed"),
                "infeasible": states.count("infeasible"),
                "best": max(merits, default=None),
            }
        )
    return rows


def rung_cells(row: Mapping[str, Any], quality: Quality) -> tuple[str, ...]:
    """A row as people read it, under `HEADER`."""
    best = "" if row["best"] is None else quality.show(quality.figure(row["best"]))
    shares = (f"{row['timesteps']:.0%}", f"{row['data']:.0%}")
    counts = (str(row[name]) for name in ("candidates", "failed", "infeasible"))
    return str(row["rung"]), str(row["epochs"]), *shares, *counts, best
