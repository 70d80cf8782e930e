"""A search whose evaluations compute, by one worker and by two, in turn; JSON lines, then a summary.

    python experiments/benchmarks/two_workers.py --rounds 3 --out two_workers.jsonl

Random search on digits, each candidate trained for seconds of processor time: by a pool of one worker and by a
pool of two, both started and warm before the clock. `seconds` is the search's wall time, proposals and ledger
included; batches are as large as the search, so that no worker waits for the slowest of a batch. `calibration`
is how much faster two processes that only count are than one after the other: what the machine's cores give at best.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from multiprocessing import Process
from pathlib import Path
from statistics import median

from engines import IMPORTS
from same_ledgers import OnTrial

from hasnas.conformance.strategy import CONFIG
from hasnas.nas.config.loading import load_config
from hasnas.nas.executors import create_executor
from hasnas.nas.history.ledger import Ledger
from hasnas.nas.stages.context import RunContext
from hasnas.nas.stages.progress import Console
from hasnas.nas.stages.screen import run_screen
from hasnas.nas.stages.search import run_search


def searched(workers: int, evaluations: int, epochs: int) -> dict[str, float]:
    """Wall time of one search, by workers that have imported what evaluations need."""
    executor = create_executor(workers)
    list(executor.map(eval, [IMPORTS] * workers))
    changes = [
        "search.strategy=random", f"search.evaluations={evaluations}", f"search.batch={evaluations}",
        f"search.brief_epochs={epochs}", "space.macro.channels=8", "space.macro.timesteps=2", "budget.parameters=10000",
        "retrain.batch_size=64", "hardware.searched={}", "retrain.searched={}",
    ]  # fmt: skip
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "config.yaml").write_text(CONFIG)
        config = load_config(folder / "config.yaml", changes)
        with Ledger(folder / "ledger.jsonl") as ledger:
            context = RunContext(config, Console(), folder, ledger, executor, OnTrial(-1, None), [])
            run_screen(context)
            began = time.perf_counter()
            run_search(context)
            seconds = time.perf_counter() - began
            trials = len(context.trials)
    executor.close()
    return {"workers": workers, "trials": trials, "seconds": round(seconds, 2)}


def count() -> None:
    """Two seconds of counting or so."""
    for _ in range(40_000_000):
        pass


def calibration() -> float:
    """Two counting processes in turn over the same side by side."""
    times = []
    for together in (False, True):
        began, running = time.perf_counter(), [Process(target=count) for _ in range(2)]
        for process in running:
            process.start()
            if not together:
                process.join()
        for process in running:
            process.join()
        times.append(time.perf_counter() - began)
    return round(times[0] / times[1], 3)


def main() -> None:
    """One worker and two, in turn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--evaluations", type=int, default=12)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    ratios = []
    for _ in range(arguments.rounds):
        best = calibration()
        one, two = (searched(workers, arguments.evaluations, arguments.epochs) for workers in (1, 2))
        ratios.append(one["seconds"] / two["seconds"])
        with arguments.out.open("a") as file:
            for line in (one, two):
                load = round(os.getloadavg()[0], 1)
                file.write(json.dumps({**line, "calibration": best, "load": load}) + "\n")
        print(f"{one['trials']} evaluations: one {one['seconds']} s, two {two['seconds']} s, ratio {ratios[-1]:.2f}; "
              f"cores give {best:.2f}", flush=True)  # fmt: skip
    print(f"median {median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    main()
