"""E9: workers that are killed, that hang, and that run out of memory: what a run with two of them does.

    python experiments/faults/workers.py [--only TEXT]

Each case runs `hasnas search --workers 2` as a process of its own and hurts its workers. Right is the ledger of an
undisturbed run with one worker, either at once or after the same command again; in between one line and exit code 1.
"""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil
from common import arguments, told

from hasnas.nas.history.ledger import equal_ledgers

CONFIG = """
name: tiny
dataset: {name: digits, subset: {train: 200, test: 20}}
space: {name: snasnet, macro: {channels: 4, timesteps: 2, hidden: 0, votes: 1, final_pool: 4, dropout: 0.0}}
hardware: rram-32nm
screen: {sample: 64}
supernet: {enabled: false}
search: {strategy: random, evaluations: 4, batch: 4, brief_epochs: 20}
retrain: {enabled: false}
export: {enabled: false}
"""
AT_WORK_S = 0.5  # design choice: a worker that computed for longer is in the middle of an evaluation
SERVER = "multiprocessing.forkserver"
Hurt = Callable[[psutil.Process, int], None]


def search(directory: Path, workers: int = 2, options: Sequence[str] = ()) -> subprocess.Popen[str]:
    config = str(directory.parent / "tiny.yaml")
    command = [sys.executable, "-m", "hasnas", "search", config, "--run-dir", str(directory)]
    return subprocess.Popen(
        [*command, "--workers", str(workers), *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def working(parent: psutil.Process) -> list[psutil.Process]:
    """The workers that are in the middle of an evaluation: forks of the server that has imported what they need."""
    servers = [one for one in parent.children() if SERVER in " ".join(one.cmdline())]
    return [one for server in servers for one in server.children() if one.cpu_times().user > AT_WORK_S]


def hurting(directory: Path, hurt: Hurt, options: Sequence[str] = ()) -> tuple[int, str, int]:
    """A search whose workers are hurt as they come: exit code, last line, and how often."""
    running, times, hurt_ones = search(directory, options=options), 0, set[int]()
    parent = psutil.Process(running.pid)
    while running.poll() is None:
        try:
            for worker in working(parent):
                if worker.pid not in hurt_ones:
                    hurt_ones.add(worker.pid)
                    hurt(worker, times)
                    times += 1
        except psutil.NoSuchProcess:
            pass
        time.sleep(0.2)
    line = (running.communicate()[0].strip().splitlines() or [""])[-1]
    return running.returncode, line, times


def kill_first(worker: psutil.Process, number: int) -> None:
    if number == 0:
        worker.kill()


def kill_all(worker: psutil.Process, number: int) -> None:
    worker.kill()


def stop_first(worker: psutil.Process, number: int) -> None:
    if number == 0:
        worker.send_signal(signal.SIGSTOP)


def starve_all(worker: psutil.Process, number: int) -> None:
    used = int(Path(f"/proc/{worker.pid}/statm").read_text().split()[0]) * resource.getpagesize()
    resource.prlimit(worker.pid, resource.RLIMIT_AS, (used, used))


CASES: dict[str, tuple[Hurt, Sequence[str]]] = {
    "one worker is killed": (kill_first, ()),
    "every worker is killed": (kill_all, ()),
    "one worker is stopped, --time-limit 20": (stop_first, ("--time-limit", "20")),
    "no worker gets any more memory": (starve_all, ()),
}


def main() -> int:
    """Try the cases; the exit code says whether all ended with the undisturbed ledger."""
    parser = arguments(__doc__)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    wrong = cases = 0
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "tiny.yaml").write_text(CONFIG)
        reference = search(folder / "reference", workers=1)
        reference.communicate()
        assert reference.returncode == 0
        for name, (hurt, given) in CASES.items():
            if options.only not in name or (options.quick and cases):
                continue
            cases += 1
            directory = folder / f"run-{len(list(folder.iterdir()))}"
            code, line, times = hurting(directory, hurt, given)
            again = None
            if code:
                running = search(directory)
                running.communicate()
                again = running.returncode
            same = equal_ledgers(folder / "reference" / "ledger.jsonl", directory / "ledger.jsonl")
            good = same and not again and times > 0
            wrong += not good
            answer = {"case": name, "hurt": times, "exit": code, "line": line, "again": again, "equal": same}
            print(json.dumps(answer), flush=True)
    figure = {"cases": cases, "lost candidates or other ledgers": wrong}
    return told("E9", figure, "0; a silent worker is ended within its limit", wrong == 0)


if __name__ == "__main__":
    sys.exit(main())
