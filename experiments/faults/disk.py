"""E2: the n-th write, fsync and rename of a run fail; once the disk is mended, the same command must end it well.

    python experiments/faults/disk.py [--each 40] [--out FILE.md]      # needs Linux and a C compiler

Of each kind of call all are tried that the small run makes in its directory, or `--each` of them, evenly spread: with
EIO once (a passing fault) and with ENOSPC from then on (a full disk). A case is recovered if the command, given again,
ends with exit code 0 and the ledger, table and exported files of an undisturbed run.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from common import CONFIG, arguments, command, differences, forked, told, traces, without_pictures

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
    disk = ctypes.CDLL(os.environ[SHIM])
    disk.disk_count.restype = ctypes.c_long
    return disk


def case(disk: ctypes.CDLL, folder: Path, kind: int, n: int, fault: str, expected: dict[str, Any]) -> dict[str, Any]:
    """One run with one fault, and the same command again."""
    directory = folder / "run"
    disk.disk_watch(str(directory).encode())
    error, lasting = FAULTS[fault]
    disk.disk_arm(kind, n, error, lasting)
    first, line = command(directory)
    disk.disk_mend()
    again, told = command(directory)
    different = differences(directory, expected)
    good = again == "0" and not different
    leftover = [path.name for path in directory.rglob("*.tmp")]
    where = {"kind": KINDS[kind], "n": n, "fault": fault, "leftover": leftover}
    return {**where, "first": first, "line": line, "again": again, "told": told, "different": different, "good": good}


def main() -> int:
    """Try all; print and write a table; the exit code says whether all recovered."""
    parser = arguments(__doc__)
    parser.add_argument("--each", type=int, default=1_000_000)
    parser.add_argument("--out", type=Path, help="a JSON line a case; cases that are in it are not tried again")
    options = parser.parse_args()
    each = 2 if options.quick else options.each
    disk = preloaded()
    without_pictures()
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
            step = max(1, -(-count // each))
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
    good = sum(one["good"] and one["first"] != "traceback" for one in found)
    figure = {"cases": len(found), "recovered without a traceback": good / len(found)}
    return told("E2", figure, "100 % recovered, 0 tracebacks", good == len(found))


if __name__ == "__main__":
    sys.exit(main())
