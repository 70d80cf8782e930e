"""Kill a run at random moments, resume it, and compare the history with that of an undisturbed run.

Two kills in each stage, and two in the middle of a write (half of the bytes are on disk when the process dies).

    python experiments/benchmarks/resume.py experiments/digits_supernet.yaml --out /tmp/resume --seed 0
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from hasnas.nas.history.ledger import equal_ledgers, read_ledger
from hasnas.nas.tracking.status import run_status

STAGES = ("screen", "supernet", "search", "retrain")
# Runs `hasnas` with a write that dies half-way: of the ledger, or of an atomic file (checkpoint, export).
TORN_WRITE = """
import os, signal, sys
kind, count = sys.argv[1], int(sys.argv[2])
del sys.argv[1:3]
calls = 0
def torn(write):
    def dying(target, data):
        global calls
        calls += 1
        if calls < count:
            return write(target, data)
        if kind == "ledger":
            os.write(target, data[: len(data) // 2])
        else:
            raw = data.encode() if isinstance(data, str) else data
            temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
            temporary.write_bytes(raw[: len(raw) // 2])
        os.kill(os.getpid(), signal.SIGKILL)
    return dying
from hasnas.nas import checkpoint, ledger
if kind == "ledger":
    ledger._write_all = torn(ledger._write_all)
else:
    checkpoint.write_atomic = torn(checkpoint.write_atomic)
from hasnas.nas.cli import main
main()
"""


def command(*arguments: str, torn: tuple[str, int] | None = None) -> list[str]:
    """A `hasnas` command line, with a torn write if wanted."""
    if torn is None:
        return [sys.executable, "-m", "hasnas", *arguments]
    return [sys.executable, "-c", TORN_WRITE, torn[0], str(torn[1]), *arguments]


def stage_of(directory: Path) -> str:
    """The stage that a run is in, from its ledger."""
    if not (directory / "ledger.jsonl").exists():
        return "start"
    begun = [
        event["stage"] for event in read_ledger(directory / "ledger.jsonl").events if event["event"] == "stage_begin"
    ]
    return begun[-1] if begun else "start"


def start(arguments: list[str], log: Path) -> subprocess.Popen[bytes]:
    """The run as a process group of its own, so that its workers die with it."""
    with open(log, "ab") as file:
        return subprocess.Popen(arguments, stdout=file, stderr=file, start_new_session=True)


def kill_in_stage(process: subprocess.Popen[bytes], directory: Path, stage: str, delay_s: float) -> str:
    """Wait until the stage has begun, then a while, then kill -9; returns what was going on."""
    while stage_of(directory) != stage and process.poll() is None:
        time.sleep(0.002)
    time.sleep(delay_s)
    where = stage_of(directory)
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return where


def durations(directory: Path) -> dict[str, float]:
    """Seconds that each stage took."""
    times: dict[str, float] = {}
    for event in read_ledger(directory / "ledger.jsonl").events:
        if event["event"] == "stage_begin":
            times[event["stage"]] = -event["time"]
        elif event["event"] == "stage_end":
            times[event["stage"]] += event["time"]
    return times


def main() -> None:
    """Run the experiment and print one line for each kill."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", default="1")
    parser.add_argument("--override", action="append", default=[])
    options = parser.parse_args()
    rng = random.Random(options.seed)
    shutil.rmtree(options.out, ignore_errors=True)
    options.out.mkdir(parents=True)
    tail = [*options.override, "--workers", options.workers]
    straight = options.out / "straight"
    subprocess.run(command("search", options.config, *tail, "--run-dir", str(straight)), check=True)
    taken = durations(straight)
    print("stage seconds of the undisturbed run:", {name: round(value, 2) for name, value in taken.items()})
    cases: list[tuple[str, float, tuple[str, int] | None]] = [
        (stage, rng.uniform(0.05, 0.9) * taken[stage], None) for stage in STAGES for _ in range(2)
    ]
    lines = len(read_ledger(straight / "ledger.jsonl").records)
    cases += [("write", 0.0, ("ledger", rng.randint(8, lines - 4))), ("write", 0.0, ("checkpoint", rng.randint(2, 20)))]
    equal = sum(_case(number, case, options, tail, straight) for number, case in enumerate(cases))
    print(f"{equal} of {len(cases)} resumed runs end with the ledger and front of the undisturbed run")
    if equal != len(cases):
        sys.exit(1)


def _case(
    number: int,
    case: tuple[str, float, tuple[str, int] | None],
    options: argparse.Namespace,
    tail: list[str],
    straight: Path,
) -> bool:
    stage, delay_s, torn = case
    directory, log = options.out / f"killed-{number}", options.out / f"killed-{number}.log"
    arguments = command("search", options.config, *tail, "--run-dir", str(directory), torn=torn)
    process = start(arguments, log)
    if torn is not None:
        process.wait()
        where = f"{stage_of(directory)}, writing the {torn[0]}"
    else:
        # A stage that went faster than the last time is over when the kill comes: try again, sooner.
        while (where := kill_in_stage(process, directory, stage, delay_s)) != stage:
            shutil.rmtree(directory)
            delay_s /= 2
            process = start(arguments, log)
    killed = process.returncode == -signal.SIGKILL
    subprocess.run(
        command("search", "--resume", str(directory), "--workers", options.workers),
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    same = equal_ledgers(straight / "ledger.jsonl", directory / "ledger.jsonl")
    fronts = [json.dumps(run_status(path)["front"], sort_keys=True) for path in (straight, directory)]
    good = killed and same and fronts[0] == fronts[1]
    print(f"killed in {where:<32} after {delay_s:6.2f} s: killed {killed}, ledger equal {same}, {good=}")
    return good


if __name__ == "__main__":
    main()
