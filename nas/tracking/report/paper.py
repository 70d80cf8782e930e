"""The figures of a report for a paper: vectors, as PDF and SVG."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hasnas.files import make_directory, write_atomic
from hasnas.nas.tracking import figures

from .data import ReportData

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMS = ("pdf", "svg")


def write_figures(data: ReportData, folder: Path) -> tuple[list[Path], list[str]]:
    """Draw what the run tells: front, search progress, costs by component, accuracy on imperfect chips, fronts of runs.

    Args:
        data: of the run.
        folder: where the files go; it is made.

    Returns:
        The files, and a line for each figure that the run has nothing for.

    Raises:
        BadInputError: if the folder cannot be written to.
    """
    drawn, missing = _drawn(data)
    paths = []
    make_directory(folder)
    for name, figure in drawn.items():
        for form in FORMS:
            path = folder / f"{name}.{form}"
            write_atomic(path, figures.to_vector(figure, form))
            paths.append(path)
    return paths, missing


def _drawn(data: ReportData) -> tuple[dict[str, Figure], list[str]]:
    """Name of a file -> its figure; and what is missing."""
    status, drawn, missing = data.status, dict[str, "Figure"](), list[str]()
    if any(trial.stage == "search" for trial in data.trials):
        limits, objectives = status["budget"], status["objectives"]
        drawn["front"] = figures.quality_against_costs(data.trials, limits, data.costs, objectives)
        drawn["progress"] = figures.progress(data.trials)
    else:
        missing.append("front, progress: no candidate has been evaluated yet")
    priced = next((network.costs for network in data.returned if network.costs), None)
    if priced is not None:
        drawn["costs"] = figures.energy_by_layer(priced)
    else:
        missing.append("costs: no network has been returned yet whose layers could be priced")
    if networks := data.on_chips:
        drawn["chips"] = figures.on_chips(networks, data.quality.name)
    else:
        missing.append("chips: accuracy on imperfect chips was not measured; set nonideal.device, e.g. rram-typical")
    if data.others is not None:
        drawn["fronts"] = figures.fronts(data.others.fronts)
    return drawn, missing
