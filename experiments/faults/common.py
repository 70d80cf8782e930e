"""What the fault scripts share: a small run, commands in forks, what must not differ, and one figure line.

Every script prints as its last line `{"fault": "E1", "figure": ..., "bar": ..., "met": ...}`, ends with exit code 0
only if the bar is met, and takes `--quick`. `all_faults.py` runs them one after another.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import multiprocessing
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

CONFIG = """
name: tiny
dataset: {name: digits, subset: {train: 40, test: 10}}
space: {name: snasnet, macro: {channels: 2, timesteps: 2, hidden: 0, votes: 1, final_pool: 4, dropout: 0.0}}
hardware: rram-32nm
screen: {sample: 64}
supernet: {epochs: 1, batch_size: 32}
search: {strategy: random, evaluations: 1, calibration_batches: 1}
retrain: {top: 1, epochs: 1, batch_size: 32}
"""


def arguments(description: str | None, seed: bool = False) -> argparse.ArgumentParser:
    """The options that all of them have; what the script and its forks compute, they compute in one thread."""
    os.environ["OMP_NUM_THREADS"] = "1"
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="a short version, of seconds")
    if seed:
        parser.add_argument("--seed", type=int, default=0)
    return parser


def told(fault: str, figure: Mapping[str, Any], bar: str, met: bool) -> int:
    """Print the figure of a fault; the exit code."""
    print(json.dumps({"fault": fault, "figure": figure, "bar": bar, "met": met}), flush=True)
    return 0 if met else 1


def command(directory: Path, *options: str) -> tuple[str, str]:
    """What `conversation` returns, of all that was said only the last line."""
    code, said = conversation(directory, *options)
    return code, (said.strip().splitlines() or [""])[-1]


def conversation(directory: Path, *options: str) -> tuple[str, str]:
    """The search of `tiny.yaml` beside a directory, as a user types it: exit code or "traceback", and what was said."""
    from hasnas.nas.cli import run_command

    config, said = str(directory.parent / "tiny.yaml"), io.StringIO()
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            code = str(run_command(["search", config, "--run-dir", str(directory), *options]))
    except BaseException as error:
        return "traceback", f"{type(error).__name__}: {error}"
    return code, said.getvalue()


def without_pictures() -> None:
    """Write the views, but draw nothing in them, which takes most of the time of a small run.

    For scripts that stop a run amid any of its writes; the others have no views (`tracking: []`).
    """
    import matplotlib.figure

    matplotlib.figure.Figure.draw = lambda *_: None  # type: ignore[method-assign]


def traces(directory: Path) -> dict[str, Any]:
    """What must not depend on what happened on the way: history, table, exported files."""
    from hasnas.nas.history.ledger import read_ledger
    from hasnas.nas.history.trial import VOLATILE_FIELDS

    trials = [one.to_record() for one in read_ledger(directory / "ledger.jsonl").trials]
    found = {"ledger": json.dumps([{k: v for k, v in one.items() if k not in VOLATILE_FIELDS} for one in trials])}
    for path in [directory / "pareto.csv", *sorted((directory / "export").rglob("*.*"))]:
        found[str(path.relative_to(directory))] = path.read_bytes()
    report = directory / "report.html"
    found["report"] = str(report.exists() and report.stat().st_size > 1000)
    return found


def differences(directory: Path, expected: Mapping[str, Any]) -> list[str]:
    """Names of what is not as it should be; of the problem, where it cannot be read."""
    try:
        found = traces(directory)
    except OSError as problem:
        return [str(problem)]
    return [name for name in sorted({*expected, *found}) if found.get(name) != expected.get(name)]


def begin_fork(function: Callable[..., Any], *given: Any) -> tuple[Any, Any]:
    """Start a function in a fork: the process, and the end of a pipe on which its answer comes."""
    ours, theirs = multiprocessing.Pipe(duplex=False)

    def run() -> None:
        theirs.send(function(*given))
        theirs.close()

    process = multiprocessing.get_context("fork").Process(target=run)
    process.start()
    theirs.close()
    return process, ours


def forked(function: Callable[..., Any], *given: Any, seconds: float = 120) -> Any:
    """The answer of a function, run in a fork: nothing that happens there stays. None if it hangs or dies."""
    process, pipe = begin_fork(function, *given)
    answer = None
    with contextlib.suppress(EOFError):
        answer = pipe.recv() if pipe.poll(seconds) else None
    if answer is None:
        process.kill()
    process.join()
    return answer
