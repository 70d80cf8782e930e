"""Looking at runs on the command line: status, single trials, comparisons, the report, runs of several seeds."""

from __future__ import annotations

from pathlib import Path

import typer

from . import completion
from .options import AS_JSON, tell, tell_json

RUN = typer.Argument(..., metavar="RUN", help="A run directory.", autocompletion=completion.runs)


def status(run: Path = RUN, as_json: bool = AS_JSON) -> None:
    """Show stages, trials, front and returned networks."""
    print_status(run, as_json)


def show(
    run: Path = RUN,
    trial: str = typer.Argument(..., metavar="TRIAL", help="Its number, or the key of a network or its beginning."),
    as_json: bool = AS_JSON,
) -> None:
    """Show a trial: what was drawn, costs beside the limits, verdict, scores, seed, time."""
    from hasnas.nas.opened_run import open_run

    found = open_run(run).show(trial)
    told = "\n\n".join(one.describe() for one in found)
    tell_json([one.to_json() for one in found]) if as_json else tell(told)


def compare(
    runs: list[Path] = typer.Argument(
        ..., metavar="RUN...", help="Run directories, on the same data.", autocompletion=completion.runs
    ),
    objectives: str | None = typer.Option(None, "--objectives", metavar="A,B", help="E.g. accuracy,energy,area."),
    reference: str | None = typer.Option(
        None, "--reference", metavar="A=X,B=Y", help="The worst values of interest, e.g. accuracy=0.5,energy='2 uJ'."
    ),
    as_json: bool = AS_JSON,
    plot: Path | None = typer.Option(None, "--plot", metavar="FILE.png", help="Draw the fronts."),
) -> None:
    """Put runs side by side: differing settings, budgets, times, returned networks, fronts, who is ahead where."""
    from hasnas.files import write_atomic
    from hasnas.nas.history.stored_run import read_run
    from hasnas.nas.tracking.compare import read_reference
    from hasnas.nas.tracking.side_by_side import runs_side_by_side

    names = None if objectives is None else [name.strip() for name in objectives.split(",")]
    found = runs_side_by_side([*map(read_run, runs)], names, read_reference(reference))
    if plot is not None:
        from hasnas.nas.tracking.figures import fronts, to_png

        write_atomic(plot, to_png(fronts(found.fronts)))
    tell_json(found.to_json()) if as_json else tell(found.describe())


def report(
    runs: list[Path] = typer.Argument(..., metavar="RUN...", help="A run, and others on the same data beside it."),
    output: Path | None = typer.Option(
        None, "-o", "--output", metavar="FILE.html", help="By default report.html in the first run."
    ),
    paper: Path | None = typer.Option(None, "--figures", metavar="DIR", help="Also draw figures as PDF and SVG."),
    as_json: bool = AS_JSON,
) -> None:
    """Write a run as one page that opens offline: budgets, explorer, costs, sources, times, beside other runs."""
    from .report import write_page

    written = write_page(runs, output, paper)
    for line in written.missing:
        tell(f"not drawn: {line}", err=True)
    told = "\n".join(map(str, [written.page, *written.figures]))
    tell_json(written.to_json()) if as_json else tell(told)


def merge(
    runs: list[Path] = typer.Argument(..., metavar="RUN...", help="Run directories of one config and several seeds."),
    output: Path | None = typer.Option(None, "-o", "--output", metavar="DIR", help="Write tables and a picture there."),
    objectives: str | None = typer.Option(None, "--objectives", metavar="A,B", help="E.g. accuracy,energy,area."),
    as_json: bool = AS_JSON,
) -> None:
    """Merge runs that differ by their seeds: medians and spread over seeds, and the front of all."""
    from hasnas.nas.tracking.merged_seeds import merge_seeds

    found = merge_seeds(runs, None if objectives is None else [name.strip() for name in objectives.split(",")])
    tell_json(found.to_json()) if as_json else tell(found.describe())
    for path in [] if output is None else found.write(output):
        tell(path, err=True)


def list_runs(
    directory: Path = typer.Argument(Path("runs"), metavar="[DIR]", help="Where the runs are."), as_json: bool = AS_JSON
) -> None:
    """List the runs in a directory."""
    from hasnas.nas.tracking.status import list_runs as found_runs
    from hasnas.nas.tracking.status_text import describe_runs

    runs = found_runs(directory)
    tell_json(runs) if as_json else tell(describe_runs(runs) or f"no run in {directory}")


def print_status(run: Path, as_json: bool) -> None:
    """Show how a run stands."""
    from hasnas.nas.tracking.status import run_status
    from hasnas.nas.tracking.status_text import describe_status

    found = run_status(run)
    tell_json(found) if as_json else tell(describe_status(found))
