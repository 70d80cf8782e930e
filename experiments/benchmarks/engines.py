"""Our pool, loky and a Ray of this machine, two workers each: start, tax, memory, speed-up, a death; JSON lines.

    python experiments/benchmarks/engines.py --rounds 3 --out engines.jsonl

Each engine runs in a process of its own, in turn. `start_s`: until two tasks that import what an evaluation needs have
answered. `tax_ms`: wall time for each of 1,000 tasks that do nothing, two at a time, workers warm. `memory_mb`: what
the engine's processes and workers take beside the parent (proportional set size). `speedup`: one worker's wall time
over that of two, for 8 tasks that wait 2 s and compute nothing, as the machine's two cores are shared with others.
`killed`: of 8 tasks that wait 0.5 s, how many gave their value when a worker was killed under the third, and what the
others said.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil

ENGINES = ("pool", "loky", "ray")
IMPORTS = "__import__('hasnas.nas.stages.evaluation').__name__ and __import__('time').sleep(0.2)"
NOTHING, WAITS, LONG = "None", "__import__('time').sleep(0.5) or 1", "__import__('time').sleep(2)"
TASKS = 1000


class Loky:
    """loky's reusable executor behind our `map`: values in order, exceptions as texts."""

    def __init__(self, workers: int) -> None:
        from loky import get_reusable_executor

        self.executor = get_reusable_executor(max_workers=workers, timeout=300)

    def map(self, function: Callable[[str], Any], tasks: Sequence[str]) -> Iterator[Any]:
        """Values, or what was raised."""
        futures = [self.executor.submit(function, task) for task in tasks]
        for future in futures:
            try:
                yield future.result()
            except Exception as error:
                yield type(error)

    def close(self) -> None:
        """End the workers."""
        self.executor.shutdown(wait=True, kill_workers=True)


def make(engine: str, workers: int) -> Any:
    """The engine with so many workers."""
    if engine == "loky":
        return Loky(workers)
    from hasnas.nas.executors import EXECUTORS

    return EXECUTORS.get({"pool": "process_pool", "ray": "ray"}[engine])(workers)


def value(outcome: Any) -> Any:
    """What a task gave, or a text about its failure."""
    error = getattr(outcome, "error", "")
    if error or isinstance(outcome, type):
        return error or outcome.__name__
    return getattr(outcome, "value", outcome)


def memory_mb() -> float:
    """Of all descendants of this process, a Ray's servers among them."""
    return sum(process.memory_full_info().pss for process in psutil.Process().children(recursive=True)) / 1e6


def killed(executor: Any) -> dict[str, Any]:
    """What becomes of 8 tasks when the worker of one of them is killed at its work."""
    with tempfile.TemporaryDirectory() as folder:
        marker = f"{folder}/died"
        kills = (
            f"__import__('os').path.exists({marker!r}) or (open({marker!r}, 'w').close(), "
            f"__import__('os').kill(__import__('os').getpid(), {int(signal.SIGKILL)}))"
        )
        began = time.perf_counter()
        found = [value(one) for one in executor.map(eval, [WAITS, WAITS, kills, *[WAITS] * 5])]
    lost = [one for one in found if isinstance(one, str)]
    return {"values": len(found) - len(lost), "said": lost[:1], "seconds": round(time.perf_counter() - began, 2)}


def measure(engine: str) -> dict[str, Any]:
    """All figures of one engine."""
    began = time.perf_counter()
    executor = make(engine, 2)
    list(executor.map(eval, [IMPORTS] * 2))
    started = time.perf_counter() - began
    list(executor.map(eval, [NOTHING] * 20))
    began = time.perf_counter()
    list(executor.map(eval, [NOTHING] * TASKS))
    tax = (time.perf_counter() - began) / TASKS * 1e3
    used = memory_mb()
    began = time.perf_counter()
    list(executor.map(eval, [LONG] * 8))
    two = time.perf_counter() - began
    lost = killed(executor)
    executor.close()
    alone = make(engine, 1)
    list(alone.map(eval, [IMPORTS]))
    began = time.perf_counter()
    list(alone.map(eval, [LONG] * 8))
    one = time.perf_counter() - began
    alone.close()
    return {
        "engine": engine,
        "start_s": round(started, 2),
        "tax_ms": round(tax, 3),
        "memory_mb": round(used),
        "speedup": round(one / two, 3),
        "killed": lost,
        "load": round(os.getloadavg()[0], 1),
    }


def main() -> None:
    """Measure the engines in turn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--one", choices=ENGINES, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(arguments.one)))
        return
    done = len(arguments.out.read_text().splitlines()) if arguments.out.exists() else 0
    for number in range(done, arguments.rounds * len(ENGINES)):
        engine = ENGINES[number % len(ENGINES)]
        command = [sys.executable, __file__, "--one", engine, "--out", str(arguments.out)]
        told = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1]
        with arguments.out.open("a") as file:
            file.write(told + "\n")
        print(told, flush=True)


if __name__ == "__main__":
    main()
