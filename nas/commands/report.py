"""A run as a page, and as figures for a paper."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hasnas.files import make_directory, write_atomic
from hasnas.nas.tracking.report.data import collect
from hasnas.nas.tracking.report.page import REPORT_FILE, render_report


@dataclass(frozen=True)
class Written:
    """What `hasnas report` wrote.

    Args:
        page: the report.
        figures: files for a paper.
        missing: a line for each figure that the run has nothing for.
    """

    page: Path
    figures: tuple[Path, ...] = ()
    missing: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {"report": str(self.page), "figures": [*map(str, self.figures)], "missing": [*self.missing]}


def write_page(runs: Sequence[Path], output: Path | None = None, paper: Path | None = None) -> Written:
    """Write the report of a run, beside others on the same data.

    Args:
        runs: the run, and the others.
        output: the page; by default `report.html` in the run's directory.
        paper: a folder for figures as PDF and SVG.

    Raises:
        BadInputError: if a directory holds no run, a ledger is damaged, the runs cannot be compared, or a file cannot
            be written.
    """
    data = collect(runs[0], runs[1:])
    if paper is not None:
        make_directory(paper)  # before anything is written
    page = output or runs[0] / REPORT_FILE
    write_atomic(page, render_report(data, page.parent))
    if paper is None:
        return Written(page)
    from hasnas.nas.tracking.report.paper import write_figures

    figures, missing = write_figures(data, paper)
    return Written(page, tuple(figures), tuple(missing))
