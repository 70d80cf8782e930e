"""Situations of users, each tried by a command in a folder of its own; a Markdown table, beside an older version.

What `data_situations.py` and `model_situations.py` share.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

SECONDS = 60  # of the processor, for one situation; a first simulation is compiled in 20
BASE = """
name: b
seed: 0
dataset: DATASET
space: {name: snasnet, macro: {channels: 4, timesteps: 2, hidden: 0, votes: 1, dropout: 0.0}}
hardware: rram-32nm
screen: {sample: 64}
supernet: {epochs: 1}
search: {evaluations: 6, batch: 2, population: 4, sample: 2}
retrain: {top: 1, epochs: 1}
"""
IDLE = ["supernet.enabled=false", "search.enabled=false", "retrain.enabled=false", "export.enabled=false"]


@dataclass(frozen=True)
class Situation:
    """Something that happens to people.

    Args:
        kind: of the field trials; "own" after it says that the case is not one of theirs.
        name: what happens.
        make: writes files into a folder.
        right: pattern of the right answer: exit code and text.
        commands: command lines; by default `validate b.yaml`. The answer is that of the last.
        dataset: section of `b.yaml`.
        probe: Python instead of commands; what it returns is the answer.
    """

    kind: str
    name: str
    make: Callable[[Path], object]
    right: str
    commands: list[list[str]] = field(default_factory=lambda: [["validate", "b.yaml"]])
    dataset: str = "{name: arrays, root: d}"
    probe: Callable[[Path], str] | None = None


class LateError(BaseException):
    """The time is up."""


def ring(number: int, frame: FrameType | None) -> None:
    """What the alarm does."""
    raise LateError


def command(arguments: list[str]) -> str:
    """Exit code and what was said, on one line; a traceback is called one."""
    from hasnas.nas.cli import run_command

    out, err = io.StringIO(), io.StringIO()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = run_command(arguments)
    except LateError:
        raise
    except BaseException as error:
        return f"traceback: {type(error).__name__}: {error}"
    return f"{code} " + " / ".join(line for line in (out.getvalue() + err.getvalue()).splitlines() if line.strip())


def answer(situation: Situation) -> str:
    """What the version that can be imported here says, in a folder of its own."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "b.yaml").write_text(BASE.replace("DATASET", situation.dataset))
        os.chdir(folder)
        os.environ["HASNAS_CACHE"] = str(folder / "cache")
        os.environ["HASNAS_DATA_ROOT"] = str(folder / "none")
        signal.signal(signal.SIGPROF, ring)
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        try:
            situation.make(folder)
            if situation.probe is not None:
                said = situation.probe(folder)
            else:
                said = [command(arguments) for arguments in situation.commands][-1]
        except LateError:
            said = f"no answer within {SECONDS} s of processor time"
        except Exception as error:
            kind = type(error).__name__
            said = f"refused: {error}" if kind == "BadInputError" else f"{kind}: {error}"
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
        os.chdir("/")
        libraries = sysconfig.get_path("purelib")
        for start in (f"{folder}/", place, f"{os.environ['PYTHONPATH']}/", f"{libraries}/"):
            said = said.replace(start, "")
        return said


def answers(script: str, tree: Path, only: str) -> list[str]:
    """The answers of the version in a tree, each from a fresh folder, all from one process."""
    environment = {**os.environ, "PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1"}
    worker = [sys.executable, str(Path(script).resolve()), "--worker", "--only", only]
    done = subprocess.run(worker, env=environment, capture_output=True, text=True, cwd="/", check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return [str(said) for said in json.loads(done.stdout.splitlines()[-1])]


def short(said: str, length: int = 150) -> str:
    """An answer that fits a cell of a Markdown table, whatever it holds."""
    plain = said.replace("|", "/").replace("hasnas: error: ", "")
    plain = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in plain)
    return plain if len(plain) <= length else plain[: length - 1] + "…"


def main(script: str, situations: Sequence[Situation], description: str) -> int:
    """Print the table; the number of wrong answers of today's version."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--before", type=Path, help="a checkout of an older version")
    parser.add_argument("--only", default="", help="situations whose kind or name holds this text")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    chosen = [one for one in situations if arguments.only in f"{one.kind} {one.name}"]
    if arguments.worker:
        print(json.dumps([answer(situation) for situation in chosen]))
        return 0
    now = answers(script, Path(script).resolve().parents[2], arguments.only)
    before = answers(script, arguments.before, arguments.only) if arguments.before else [""] * len(now)
    right = [re.search(situation.right, new) is not None for situation, new in zip(chosen, now, strict=True)]
    was = [re.search(situation.right, old) is not None for situation, old in zip(chosen, before, strict=True)]
    print("| kind | situation | before | now | right |\n|---|---|---|---|---|")
    for situation, old, new, well, then in zip(chosen, before, now, right, was, strict=True):
        said = ("" if not arguments.before else "yes" if then else "no") + " → " + ("yes" if well else "**no**")
        print(f"| {situation.kind} | {situation.name} | {short(old, 110)} | {short(new)} | {said} |")
    own = sum(situation.kind.endswith("own") for situation in chosen)
    print(f"\n{sum(right)} of {len(chosen)} answers are right ({own} are of our own invention); before: {sum(was)}.")
    return len(chosen) - sum(right)
