"""The page as a whole: its parts one after another, its style, and the scripts inside it."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import os
import shlex
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from hasnas.errors import BadInputError
from hasnas.extras import how_to_install
from hasnas.files import read_text, write_atomic
from hasnas.nas.history.stored_run import read_run
from hasnas.nas.tracking.html import Text, details, element, render

from .compared import compared
from .costs import network
from .data import ReportData, collect, mark_of
from .drawings import BokehDrawings, Drawings, StillDrawings, bokeh_is_installed
from .networks import baselines, imperfect_chips, returned, winner
from .search import budget, search, times

REPORT_FILE = "report.html"
HERE = Path(__file__).parent


def write_report(run_directory: Path) -> Path:
    """Write `report.html` into a run directory.

    Raises:
        BadInputError: if the directory holds no run, the ledger is damaged, or the directory is not writable.
    """
    path = run_directory / REPORT_FILE
    write_atomic(path, render_report(collect(run_directory)))
    return path


def is_up_to_date(run_directory: Path) -> bool:
    """Whether the report of a run tells all that its ledger and its config do."""
    try:
        page, run = read_text(run_directory / REPORT_FILE), read_run(run_directory)
    except BadInputError:
        return False
    return _history(mark_of(run)) in page.partition("</head>")[0]


def _history(mark: str) -> str:
    return f'<meta name="history" content="{escape(mark)}">'


def render_report(data: ReportData, folder: Path | None = None, interactive: bool | None = None) -> str:
    """The page; equal data give equal text.

    Args:
        data: of the run.
        folder: where the page is to be; by default in the run directory.
        interactive: whether Bokeh draws; by default where it is installed.
    """
    wanted = bokeh_is_installed() if interactive is None else interactive
    bokeh = BokehDrawings() if wanted else None
    drawings: Drawings = bokeh or StillDrawings()
    run = Path(data.status["run"])
    beside = "" if folder is None or folder.resolve() == run.resolve() else f"{os.path.relpath(run, folder)}/"
    content = [*_heading(data, wanted), *winner(data), *returned(data, beside), *baselines(data), *budget(data)]
    content += [*search(data, drawings), *imperfect_chips(data, drawings), *times(data, drawings)]
    if data.others is not None:
        content += compared(data.others, drawings)
    for found in data.returned:
        content += network(found, drawings)
    content += _again(data)
    return _page(f"{data.status['name']}: hasnas report", data.mark, content, bokeh)


def _heading(data: ReportData, interactive: bool) -> list[Text]:
    status = data.status
    line = f"{status['dataset']} on {status['hardware']}, space {status['space']}, seed {status['seed']}"
    # A run writes this page before it ends, so that it is still running says nothing.
    state = "; the run was stopped before its end" if status["state"] == "stopped" else ""
    parts: list[Text] = [element("h1", status["name"]), element("p", f"{line}{state}.", css="note")]
    if not interactive:
        parts.append(element("p", f"For charts that answer to a pointer: {how_to_install('bokeh')}", css="note"))
    return parts


def _again(data: ReportData) -> list[Text]:
    """What makes the run, and this page, once more."""
    run = data.status["run"]
    others = [status["run"] for status in data.others.statuses[1:]] if data.others is not None else []
    lines = [
        f"hasnas search {shlex.quote(f'{run}/config.yaml')} --run-dir {shlex.quote(f'{run}-again')}",
        shlex.join(["hasnas", "report", run, *others, "-o", REPORT_FILE]),
    ]
    return [
        element("h2", "Make it again"),
        element("pre", "\n".join(lines)),
        details("The run's config.yaml, resolved", element("pre", data.config)),
    ]


def _page(title: str, mark: str, content: Sequence[Text], bokeh: BokehDrawings | None) -> str:
    """A page that needs no other file, loads nothing, and runs only the scripts that are named in its head."""
    body = "\n".join(render(item) for item in content)
    scripts, packed = [], ""
    if bokeh is not None:
        scripts = [_bokeh_script(), (HERE / "page.js").read_text(encoding="utf-8")]
        packed = f'<script type="text/plain" id="data">{_packed(bokeh)}</script>\n'
    allowed = " ".join(f"'sha256-{_digest(text)}'" for text in scripts) or "'none'"
    policy = f"default-src 'none'; style-src 'unsafe-inline'; img-src data: blob:; script-src {allowed}"
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{escape(title)}</title>\n'
        f"{_history(mark)}\n"
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        f"<style>\n{(HERE / 'page.css').read_text(encoding='utf-8')}</style>\n</head>\n<body>\n{body}\n{packed}"
        + "".join(f"<script>{text}</script>\n" for text in scripts)
        + "</body>\n</html>\n"
    )


def _bokeh_script() -> str:
    """Bokeh's own script, as its package brings it."""
    import bokeh

    path = Path(bokeh.__file__).parent / "server" / "static" / "js" / "bokeh.min.js"
    return path.read_text(encoding="utf-8")


def _packed(drawings: BokehDrawings) -> str:
    """What the page's script draws, small, and in letters that mean nothing to HTML."""
    tree: dict[str, Any] = {"charts": drawings.charts, "columns": drawings.columns}
    text = json.dumps(tree, separators=(",", ":"), allow_nan=False)
    return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
