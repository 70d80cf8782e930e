"""`hasnas data`: the datasets on the command line."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import typer

from hasnas.errors import BadInputError

from . import completion
from .options import AS_JSON, HELP, ROOT, tell, tell_json

NAME = typer.Argument(..., metavar="NAME", help="One of hasnas data ls.", autocompletion=completion.datasets)
data_app = typer.Typer(help="The datasets.", context_settings=HELP)


@data_app.command("ls")
def list_data_command(root: Path | None = ROOT, as_json: bool = AS_JSON) -> None:
    """List the datasets and whether their files are there."""
    from hasnas.datasets.commands import list_datasets
    from hasnas.nas.tracking.aligned import align

    found = list_datasets(root)
    if as_json:
        tell_json([{"state": row.state, **asdict(row.card)} for row in found])
        return
    rows = [("NAME", "STATE", "INPUT", "CLASSES", "TITLE")]
    for row in found:
        card = row.card
        frames = [card.timesteps] if card.timesteps else []
        shape = "x".join(str(length or "?") for length in (*frames, *card.input_shape))
        rows.append((card.name, row.state, shape, str(card.outputs or "?"), card.title))
    tell(align(rows))


@data_app.command("prepare")
def prepare_data_command(name: str = NAME, root: Path | None = ROOT, as_json: bool = AS_JSON) -> None:
    """Download what is missing of a dataset, check it, and read it once."""
    from hasnas.datasets.commands import prepare
    from hasnas.nas.stages.progress import waiting

    with waiting(f"preparing {name}"):
        counts = prepare(name, root)
    if as_json:
        tell_json({"name": name, "samples": counts})
        return
    tell(f"{name}: " + ", ".join(f"{count:,} {split} samples" for split, count in counts.items()))


@data_app.command("check")
def check_data_command(name: str = NAME, root: Path | None = ROOT, as_json: bool = AS_JSON) -> None:
    """Compare a dataset's files with their published checksums, and read both splits."""
    from hasnas.datasets.commands import check
    from hasnas.nas.stages.progress import waiting
    from hasnas.nas.tracking.aligned import align

    with waiting(f"reading {name}"):
        findings = check(name, root)
    if as_json:
        tell_json([asdict(finding) for finding in findings])
    else:
        tell(align([("ok" if finding.good else "BAD", finding.what, finding.detail) for finding in findings]))
    if not all(finding.good for finding in findings):
        raise BadInputError(f"dataset '{name}' is not sound; see the lines marked BAD")


@data_app.command("preview")
def preview_data_command(
    name: str = NAME,
    path: Path = typer.Argument(..., metavar="FILE.png"),
    root: Path | None = ROOT,
    as_json: bool = AS_JSON,
) -> None:
    """Write a PNG sheet of samples of a dataset."""
    from hasnas.datasets.commands import preview
    from hasnas.nas.stages.progress import waiting

    with waiting(f"reading {name} and drawing {path}"):
        preview(name, path, root)
    if as_json:
        tell_json({"name": name, "path": path})
    else:
        tell(path)
