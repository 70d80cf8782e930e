"""A search of 10,000 pairs of network and chip on SpikeNAS-Bench, by one process, our pool and a Ray; JSON lines.

    python experiments/benchmarks/joint_scale.py --data cifar10.npz --evaluations 10000

The pairs are those of `joint_tabular.py`; each evaluation is a task of its own: it looks up the network's accuracy and
prices its chip. NSGA-II proposes 100 at a time. `search_s` is wall time of the search with its workers warm, `asked_s`
what of it went to the strategy, in the one process that proposes. `digest` is of all that was proposed and told.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import time
from functools import lru_cache
from pathlib import Path

import joint_tabular
import numpy as np

from hasnas.nas.bench.table import read_table
from hasnas.nas.executors import EXECUTORS
from hasnas.nas.strategies import SearchProblem, create_strategy
from hasnas.nas.strategies.strategy import CodesOfOne

BATCH = 100
Task = tuple[str, CodesOfOne]


@lru_cache(maxsize=1)
def pairs_of(path: str) -> joint_tabular.Pairs:
    """The table, read once in each process."""
    return joint_tabular.Pairs(read_table(path))


def evaluate(task: Task) -> tuple[float, float]:
    """Validation accuracy in percent and energy-delay product of one pair."""
    pairs = pairs_of(task[0])
    codes = np.array([task[1]], np.int16)
    return float(pairs.accuracy[pairs.cell_of(codes)[0]]), float(pairs.edp(codes, pairs.measured)[0])


def main() -> None:
    """Search by each engine in turn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--evaluations", type=int, default=10_000)
    parser.add_argument("--engines", default="in_process,process_pool,ray")
    arguments = parser.parse_args()
    # Workers import this file's functions: they do not find what only the program that was started has.
    from joint_scale import evaluate, pairs_of

    path, pairs = str(arguments.data), pairs_of(str(arguments.data))
    os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    for name in arguments.engines.split(","):
        targets = pairs.targets()
        problem = SearchProblem(
            pairs.space, pairs.feasible, joint_tabular.SETTINGS, 0, targets[:1], best=100.0, targets=targets
        )
        strategy = create_strategy("nsga2", problem)
        began = time.perf_counter()
        executor = EXECUTORS.get(name)(1 if name == "in_process" else 2)
        warm = strategy_free_task(pairs)
        list(executor.map(evaluate, [(path, warm)] * 2))
        started, asked_s, digest = time.perf_counter(), 0.0, hashlib.blake2b(digest_size=8)
        for _ in range(arguments.evaluations // BATCH):
            before = time.perf_counter()
            asked = strategy.ask(BATCH)
            asked_s += time.perf_counter() - before
            for codes, outcome in zip(asked, executor.map(evaluate, [(path, one) for one in asked]), strict=True):
                assert outcome.value is not None, outcome.error
                accuracy, edp = outcome.value
                strategy.tell(codes, accuracy, {joint_tabular.EDP.field: edp})
                digest.update(f"{codes}{accuracy}{edp}".encode())
        ended = time.perf_counter()
        executor.close()
        told = {
            "engine": name,
            "evaluations": arguments.evaluations,
            "start_s": round(started - began, 1),
            "search_s": round(ended - started, 1),
            "asked_s": round(asked_s, 1),
            "digest": digest.hexdigest(),
            "load": round(os.getloadavg()[0], 1),
        }
        print(json.dumps(told), flush=True)


def strategy_free_task(pairs: joint_tabular.Pairs) -> CodesOfOne:
    """Some pair, to warm workers with."""
    drawn = joint_tabular.sample(pairs.space, np.random.default_rng(1), 64)
    canonical, connected = pairs.space.canonical(drawn)
    return tuple(canonical[connected][0].tolist())


if __name__ == "__main__":
    main()
