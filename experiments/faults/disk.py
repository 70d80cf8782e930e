"""The n-th write, fsync and rename of a small run fail; once the disk is mended, the same command must end it well.

    python experiments/faults/disk.py [--each 40] [--out FILE.md]      # needs Linux and a C compiler

Of each kind of call all are tried that the small run makes in its directory, or `--each` of them, evenly spread: with
EIO once (a passing fault) and with ENOSPC from then on (a full disk). A case is recovered if the command, given again,
ends with exit code 0 and the ledger, table and exported files of an undisturbed run.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import errno
import io
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
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
KINDS = ("write", "fsync", "rename")
FAULTS = {"EIO once": (errno.EIO, 0), "ENOSPC until mended": (errno.ENOSPC, 1)}
SHIM = "HASNAS_FAILING_DISK"


def preloaded() -> ctypes.CDLL:
    """The failing disk; starts this script anew with it if it is not there."""
    if SHIM not in os.environ:
        library = Path(tempfile.mkdtemp(), "failing_disk.so")
        source = Path(__file__).with_name("failing_disk.c")
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl"], check=True)
        environment = {**os.environ, SHIM: str(library), "LD_PRELOAD": str(library), "OMP_NUM_THREADS": "1"}
        os.execve(sys.executable, [sys.executable, *sys.argv], environment)
    return ctypes.CDLL(os.environ[SHIM])


def command(directory: Path) -> tuple[str, str]:
    """The search as a user types it: exit code or "traceback", and the last line of what it said."""
    from hasnas.nas.cli import run_command

    told = io.StringIO()
    try:
        with contextlib.redirect_stdout(told), contextlib.redirect_stderr(told):
            code = str(run_command(["search", str(directory.parent / "tiny.yaml"), "--run-dir", str(directory)]))
    except BaseException as error:
        return "traceback", f"{type(error).__name__}: {error}"
    return code, (told.getvalue().strip().splitlines() or [""])[-1]


def traces(directory: Path) -> dict[str, Any]:
    """What must not depend on what happened on the way: history, table, exported files."""
    from hasnas.nas.history.ledger import read_ledger
    from hasnas.nas.history.trial import VOLATILE_FIELDS

    trials = [one.to_record() for one in read_ledger(directory / "ledger.jsonl").trials]
    found = {"ledger": json.dumps([{k: v for k, v in one.items() if k not in VOLATILE_FIELDS} for one in trials])}
    for path in [directory / "pareto.csv", *sorted((directory / "export").rglob("*.*"))]:
        found[str(path.relative_to(directory))] = path.read_bytes()
    found["report"] = str((directory / "report.html").stat().st_size > 1000)
    return found


def case(disk: ctypes.CDLL, folder: Path, kind: int, n: int, fault: str, expected: dict[str, Any]) -> dict[str, Any]:
    """One run with one fault, and the same command again."""
    directory = folder / "run"
    disk.disk_watch(str(directory).encode())
    error, lasting = FAULTS[fault]
    disk.disk_arm(kind, n, error, lasting)
    first, line = command(directory)
    disk.disk_mend()
    again, told = command(directory)
    try:
        found = traces(directory)
        different = [name for name in sorted({*expected, *found}) if found.get(name) != expected.get(name)]
    except OSError as problem:
        different = [str(problem)]
    good = again == "0" and not different
    leftover = [path.name for path in directory.rglob("*.tmp")]
    where = {"kind": KINDS[kind], "n": n, "fault": fault, "leftover": leftover}
    return {**where, "first": first, "line": line, "again": again, "told": told, "different": different, "good": good}


def forked(function: Any, *arguments: Any) -> Any:
    """The answer of a function, run in a fork: nothing that happens there stays."""
    ours, theirs = multiprocessing.Pipe(duplex=False)

    def run() -> None:
        theirs.send(function(*arguments))
        theirs.close()

    process = multiprocessing.get_context("fork").Process(target=run)
    process.start()
    theirs.close()
    answer = ours.recv() if ours.poll(120) else None
    if answer is None:
        process.kill()
    process.join()
    return answer


def main() -> int:
    """Try all; print and write a table; the exit code is the number of cases that did not recover."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--each", type=int, default=1_000_000)
    parser.add_argument("--out", type=Path, help="a JSON line a case; cases that are in it are not tried again")
    options = parser.parse_args()
    disk = preloaded()
    disk.disk_count.restype = ctypes.c_long
    import matplotlib.figure

    matplotlib.figure.Figure.draw = lambda *_: None  # type: ignore[method-assign]  # pictures take most of the time
    with tempfile.TemporaryDirectory() as place:
        base = Path(place).resolve()

        def reference(name: str) -> tuple[dict[str, Any], list[int]]:
            folder = base / name
            folder.mkdir()
            (folder / "tiny.yaml").write_text(CONFIG)
            disk.disk_watch(str(folder / "run").encode())
            code, line = command(folder / "run")
            assert code == "0", line
            return traces(folder / "run"), [disk.disk_count(kind) for kind in range(len(KINDS))]

        reference("warm")  # what is imported and compiled here, every fork has
        expected, counts = reference("reference")
        print({kind: count for kind, count in zip(KINDS, counts, strict=True)}, flush=True)
        done = [] if not (options.out and options.out.exists()) else options.out.read_text().splitlines()
        found = [json.loads(line) for line in done]
        known = {(one["kind"], one["n"], one["fault"]) for one in found}
        for kind, count in enumerate(counts):
            step = max(1, -(-count // options.each))
            for n in range(1, count + 1, step):
                for fault in FAULTS:
                    if (KINDS[kind], n, fault) in known:
                        continue
                    folder = Path(tempfile.mkdtemp(dir=base))
                    (folder / "tiny.yaml").write_text(CONFIG)
                    one = forked(case, disk, folder, kind, n, fault, expected) or {
                        "kind": KINDS[kind], "n": n, "fault": fault, "first": "hung", "good": False, "again": "hung",
                        "line": "", "told": "", "different": [], "leftover": [],
                    }  # fmt: skip
                    shutil.rmtree(folder)
                    found.append(one)
                    if options.out:
                        with options.out.open("a") as file:
                            file.write(json.dumps(one) + "\n")
                    if not one["good"] or one["first"] == "traceback":
                        print(json.dumps(one), flush=True)
    for kind in KINDS:
        for fault in FAULTS:
            ours = [one for one in found if (one["kind"], one["fault"]) == (kind, fault)]
            ends = dict(Counter(one["first"] for one in ours))
            print(f"| {kind} | {fault} | {len(ours)} | {ends} | {sum(one['good'] for one in ours)} |")
    return sum(not one["good"] for one in found)


if __name__ == "__main__":
    sys.exit(main())
