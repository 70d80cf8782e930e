"""How busy a strategy keeps a cluster, in virtual time: no process runs, durations are those of a ledger; JSON lines.

    python experiments/benchmarks/virtual_cluster.py --ledger RUN/ledger.jsonl modes
    python experiments/benchmarks/virtual_cluster.py --ledger RUN/ledger.jsonl strategies --workers 1000 --mean 60

The process that asks and tells is one server: the processor time that it really takes passes in virtual time as well,
and workers that are free wait for it. An evaluation takes as long as one of the ledger's trainings (`training_time_s`,
drawn by the seed), scaled to the mean that is asked for. `busy`: share of the workers' time in which they evaluate,
from the first proposal to the last (`whole`), and from when all workers had begun (`steady`).

`modes`: random search in batches of as many candidates as workers and of four times as many, and asynchronously.
`strategies`: each asynchronously, for three evaluations a worker; those that take longer than --limit of processor
time are stopped there. `sustains_s`: the mean evaluation from which on the strategy keeps these workers 95 % busy, by
what its last 200 proposals took; where a model guides only some of those, see `last_ms`, the last five by themselves.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from heapq import heappop, heappush
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hasnas.conformance.strategy import SETTINGS, problem, score
from hasnas.nas.history.ledger import read_ledger
from hasnas.nas.strategies import STRATEGIES, SearchProblem, Strategy, create_strategy
from hasnas.nas.strategies.strategy import CodesOfOne

BUSY, LAST = 0.95, 200
TIME = "training_time_s"
SAMPLERS = {"optuna": ("tpe", "nsgaii", "qmc", "gp")}


def space_of(seed: int) -> SearchProblem:
    """Cells of five nodes with feedback, too many to run out of them."""
    return problem(seed, nodes=5, parameters=None)


@dataclass
class Cluster:
    """Workers of virtual time, and the one process that feeds them.

    Args:
        workers: how many.
        durations: of evaluations in seconds, in the order in which they begin.
    """

    workers: int
    durations: NDArray[np.float64]
    clock: float = 0.0
    running: list[tuple[float, int, CodesOfOne]] = field(default_factory=list)
    spans: list[tuple[float, float]] = field(default_factory=list)
    spent: list[float] = field(default_factory=list)

    def serve(self, act: Callable[[], list[CodesOfOne]]) -> list[CodesOfOne]:
        """Let the feeding process act: what it takes passes."""
        began = time.process_time()
        found = act()
        self.spent.append(time.process_time() - began)
        self.clock += self.spent[-1]
        return found

    def begin(self, codes: CodesOfOne, at: float) -> None:
        """Let a free worker evaluate."""
        number = len(self.spans)
        end = at + float(self.durations[number % len(self.durations)])
        self.spans.append((at, end))
        heappush(self.running, (end, number, codes))

    def end(self) -> CodesOfOne:
        """The next that is done; if all are still at work, time passes."""
        end, _, codes = heappop(self.running)
        self.clock = max(self.clock, end)
        return codes

    def busy(self, since: float, until: float) -> float:
        """Share of the workers' time between two moments in which they evaluate."""
        spans = np.clip(np.array(self.spans), since, until)
        return float((spans[:, 1] - spans[:, 0]).sum() / (self.workers * max(until - since, 1e-12)))

    def shares(self) -> dict[str, float]:
        """From the first to the last proposal, and of that the part in which all workers had begun."""
        starts = [start for start, _ in self.spans]
        full = starts[min(self.workers, len(starts)) - 1]
        steady = self.busy(full, starts[-1]) if starts[-1] > full else self.busy(0, starts[-1])
        return {"whole": round(self.busy(0, starts[-1]), 4), "steady": round(steady, 4)}


def asynchronous(cluster: Cluster, strategy: Strategy, evaluations: int, limit_s: float) -> None:
    """One proposal for each worker that comes free, until so many or so much processor time are used."""
    while len(cluster.spans) < evaluations and sum(cluster.spent) < limit_s:
        done = cluster.end() if len(cluster.running) == cluster.workers else None
        asked = cluster.serve(partial(_told_and_asked, strategy, done))
        if not asked:
            return
        cluster.begin(asked[0], cluster.clock)


def _told_and_asked(strategy: Strategy, done: CodesOfOne | None) -> list[CodesOfOne]:
    if done is not None:
        strategy.tell(done, score(done), {"parameters": 1.0})
    return strategy.ask(1)


def in_batches(cluster: Cluster, strategy: Strategy, evaluations: int, batch: int) -> None:
    """A batch when all of the one before are done."""
    while len(cluster.spans) < evaluations:
        asked = cluster.serve(lambda: strategy.ask(batch))
        waiting, now = list(asked), cluster.clock
        while waiting:
            if len(cluster.running) == cluster.workers:
                cluster.end()
                now = cluster.clock
            cluster.begin(waiting.pop(0), now)
        while cluster.running:
            cluster.end()


def modes(durations: NDArray[np.float64], seeds: int) -> None:
    """Batches against asynchronous search, by random search, whose proposals take no time to speak of."""
    for workers in (2, 8, 64, 1000):
        for name, batch in (("batch = workers", workers), ("batch = 4 workers", 4 * workers), ("asynchronous", 0)):
            found = []
            for seed in range(seeds):
                drawn = np.random.default_rng(seed).choice(durations, 16 * workers)
                cluster, strategy = Cluster(workers, drawn), create_strategy("random", space_of(seed))
                if batch:
                    in_batches(cluster, strategy, 16 * workers, batch)
                    found.append(cluster.busy(0, cluster.clock))
                else:
                    asynchronous(cluster, strategy, 16 * workers, 1e9)
                    found.append(cluster.busy(0, max(end for _, end in cluster.spans)))
            share = {"busy": round(float(np.median(found)), 4), "spread": round(float(np.ptp(found)), 4)}
            print(json.dumps({"workers": workers, "mode": name, "evaluations": 16 * workers, **share}), flush=True)


def strategies(durations: NDArray[np.float64], workers: int, mean: float, limit_s: float, names: Sequence[str]) -> None:
    """Each strategy on so many workers."""
    for name in names:
        for sampler in SAMPLERS.get(name, ("",)):
            settings = SETTINGS.with_changes({"population": 100, "evaluations": 3 * workers})
            if sampler:
                settings = settings.with_changes({"sampler": sampler})
            task = dataclasses.replace(space_of(0), settings=settings)
            drawn = np.random.default_rng(0).choice(durations, 3 * workers) * mean / durations.mean()
            cluster = Cluster(workers, drawn)
            began = time.perf_counter()
            asynchronous(cluster, create_strategy(name, task), 3 * workers, limit_s)
            last = float(np.mean(cluster.spent[-LAST:]))
            told = {
                "strategy": f"{name} {sampler}".strip(),
                "workers": workers,
                "mean_s": mean,
                "evaluations": len(cluster.spans),
                "busy": cluster.shares() if len(cluster.spans) > workers else None,
                "proposal_ms": round(last * 1e3, 3),
                "last_ms": [round(one * 1e3, 3) for one in cluster.spent[-5:]],
                "sustains_s": round(BUSY * workers * last, 2),
                "wall_s": round(time.perf_counter() - began, 1),
            }
            print(json.dumps(told), flush=True)


def main() -> None:
    """Simulate."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("modes", "strategies"))
    parser.add_argument("--ledger", type=Path, required=True)
    parser.add_argument("--workers", type=int, default=1000)
    parser.add_argument("--mean", type=float, default=60.0)
    parser.add_argument("--limit", type=float, default=40.0)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--strategies", default="")
    arguments = parser.parse_args()
    trials = read_ledger(arguments.ledger).trials
    durations = np.array([one.costs[TIME] for one in trials if TIME in one.costs])
    quantiles = np.quantile(durations, [0, 0.1, 0.5, 0.9, 1]).round(2).tolist()
    variation = round(float(durations.std() / durations.mean()), 3)
    print(json.dumps({"durations": len(durations), "quantiles_s": quantiles, "variation": variation}), flush=True)
    if arguments.what == "modes":
        modes(durations, arguments.seeds)
    else:
        names = arguments.strategies.split(",") if arguments.strategies else STRATEGIES.names()
        strategies(durations, arguments.workers, arguments.mean, arguments.limit, names)


if __name__ == "__main__":
    main()
