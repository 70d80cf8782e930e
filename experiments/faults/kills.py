"""E1: kill -9 at random moments of scoring, evolution, supernet training, and in the middle of a write; then go on.

    python experiments/faults/kills.py [--each 50] [--seed 0] [--only TEXT] [--out FILE.jsonl]  # Linux, a C compiler

A run is killed at a random moment of one stage, or when half of the bytes of its n-th write are on their way. The same
command again must end with the history, table and exported files of an undisturbed run, bit for bit, and evaluate no
more than one candidate twice (there is one worker).
"""

from __future__ import annotations

import json
import random
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from common import CONFIG, arguments, begin_fork, command, differences, forked, told, traces, without_pictures
from disk import KINDS, preloaded

DATA = """
name: tiny
dataset: {name: digits, subset: {train: 120, test: 10}}
space: {name: snasnet, macro: {channels: 2, timesteps: 2, hidden: 0, votes: 1, final_pool: 4, dropout: 0.0}}
hardware: rram-32nm
screen: {sample: 64}
retrain: {enabled: false}
export: {enabled: false}
"""
# Case -> the stage that is killed, and the run.
CASES = {
    "scoring": ("search", DATA + "search: {strategy: random, score: sahd, evaluations: 40, batch: 8}"),
    "evolution": (
        "search",
        DATA + "supernet: {epochs: 1, batch_size: 32}\n"
        "search: {strategy: regularized_evolution, evaluations: 16, batch: 4, population: 6, sample: 2,"
        " calibration_batches: 1}",
    ),
    "supernet training": (
        "supernet",
        DATA + "supernet: {epochs: 6, batch_size: 20}\n"
        "search: {strategy: random, evaluations: 1, calibration_batches: 1}",
    ),
    "write": ("", CONFIG),
}
EVALUATIONS = "evaluations"


def counted(directory: Path) -> tuple[str, str]:
    """The command, with a byte in a file for every candidate whose evaluation begins."""
    from hasnas.nas.executors import in_process

    attempt = in_process.attempt

    def counting(function: Any, task: Any) -> Any:
        with (directory.parent / EVALUATIONS).open("ab") as file:
            file.write(b".")
        return attempt(function, task)

    in_process.attempt = counting
    return command(directory)


def armed(disk: Any, directory: Path, kind: int, n: int) -> tuple[str, str]:
    """The command, which dies at its n-th write, fsync or rename."""
    disk.disk_watch(str(directory).encode())
    disk.disk_arm(kind, n, 0, 0)
    return counted(directory)


def begun(directory: Path, stage: str, event: str = "begin") -> bool:
    """Whether the ledger says that a stage began."""
    try:
        content = (directory / "ledger.jsonl").read_bytes()
    except OSError:
        return False
    said = f'"stage_{event}"'.encode()
    return any(said in line and f'"stage":"{stage}"'.encode() in line for line in content.splitlines())


def killed_in(directory: Path, stage: str, delay_s: float) -> bool:
    """Start the run, kill it a while after a stage began; whether the stage had not ended."""
    process, _ = begin_fork(counted, directory)
    while not begun(directory, stage) and process.is_alive():
        time.sleep(0.002)
    time.sleep(delay_s)
    process.kill()
    process.join()
    return process.exitcode == -signal.SIGKILL and begun(directory, stage) and not begun(directory, stage, "end")


def seconds_of(directory: Path, stage: str) -> float:
    """How long a stage took."""
    from hasnas.nas.history.ledger import read_ledger

    times = [one["time"] for one in read_ledger(directory / "ledger.jsonl").events if one.get("stage") == stage]
    return float(times[-1] - times[0])


def made(base: Path, config: str) -> Path:
    """The run directory to be, in a folder of its own with the config."""
    folder = Path(tempfile.mkdtemp(dir=base))
    (folder / "tiny.yaml").write_text(config)
    return folder / "run"


def ended(directory: Path, expected: dict[str, Any]) -> dict[str, Any]:
    """Give the command again; what is different from the undisturbed run, and candidates evaluated twice."""
    from hasnas.nas.history.ledger import read_ledger

    code, line = forked(counted, directory) or ("hung", "")
    different = differences(directory, expected)
    evaluations = directory.parent / EVALUATIONS
    started = evaluations.stat().st_size if evaluations.exists() else 0
    twice = started - len([one for one in read_ledger(directory / "ledger.jsonl").trials])
    return {"again": code, "line": line, "different": different, "twice": twice, "good": code == "0" and not different}


def one_kill(disk: Any, base: Path, case: str, rng: random.Random, reference: dict[str, Any]) -> dict[str, Any]:
    """One run that is killed, and what came of it."""
    stage, config = CASES[case]
    if not stage:
        kind = rng.randrange(len(KINDS))
        n, directory = rng.randrange(1, reference["counts"][kind] + 1), made(base, config)
        died = forked(armed, disk, directory, kind, n) is None
        where = {"at": f"{KINDS[kind]} {n}", "killed": died}
        return {**where, **ended(directory, reference["traces"])}
    delay_s = rng.uniform(0, reference["seconds"])
    while not killed_in(directory := made(base, config), stage, delay_s):
        delay_s /= 2  # it was faster than the undisturbed run
    return {"at": f"{delay_s:.3f} s", "killed": True, **ended(directory, reference["traces"])}


def undisturbed(disk: Any, base: Path, case: str) -> dict[str, Any]:
    """The run that nothing happens to: its traces, the seconds of the stage, and how often it calls the disk."""

    def run(directory: Path) -> list[int]:
        disk.disk_watch(str(directory).encode())
        code, line = command(directory)
        assert code == "0", line
        return [disk.disk_count(kind) for kind in range(len(KINDS))]

    stage, config = CASES[case]
    directory = made(base, config)
    counts = forked(run, directory)
    return {"traces": traces(directory), "seconds": seconds_of(directory, stage) if stage else 0, "counts": counts}


def main() -> int:
    """Kill, go on, compare; the exit code says whether the bar is met."""
    parser = arguments(__doc__, seed=True)
    parser.add_argument("--each", type=int, default=50)
    parser.add_argument("--only", default="")
    parser.add_argument("--out", type=Path, help="a JSON line a kill; those that are in it are not made again")
    options = parser.parse_args()
    each = 1 if options.quick else options.each
    disk = preloaded()
    without_pictures()
    lines = options.out.read_text().splitlines() if options.out and options.out.exists() else []
    found = [json.loads(line) for line in lines]
    with tempfile.TemporaryDirectory() as place:
        base = Path(place).resolve()
        command(made(base, CONFIG))  # what is imported and compiled here, every fork has
        for case in CASES:
            if options.only not in case:
                continue
            known = {one["number"] for one in found if one["case"] == case}
            reference = undisturbed(disk, base, case) if len(known) < each else {}
            for number in sorted(set(range(each)) - known):
                rng = random.Random(f"{options.seed}/{case}/{number}")
                one = {"case": case, "number": number, **one_kill(disk, base, case, rng, reference)}
                found.append(one)
                if options.out:
                    with options.out.open("a") as file:
                        file.write(json.dumps(one) + "\n")
                if not one["good"] or one["twice"] > 1:
                    print(json.dumps(one), flush=True)
    for case in CASES:
        ours = [one for one in found if one["case"] == case]
        if ours:
            equal, twice = sum(one["good"] for one in ours), max(one["twice"] for one in ours)
            print(f"| {case} | {len(ours)} | {sum(one['killed'] for one in ours)} | {equal} | {twice} |")
    equal, twice = sum(one["good"] for one in found) / len(found), max(one["twice"] for one in found)
    figure = {"kills": sum(one["killed"] for one in found), "equal": equal, "evaluated twice at most": twice}
    return told("E1", figure, "100 % equal; at most 1 candidate a worker evaluated twice", equal == 1 and twice <= 1)


if __name__ == "__main__":
    sys.exit(main())
