"""What `bayesian_pareto` saves by keeping fits that predict well, beside a fit of each process for every batch.

    python experiments/benchmarks/supervisor.py --out supervisor.jsonl --seeds 5

DTLZ2, one after the other with each seed; a JSON line for each, those that stand in the file are not measured again.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from hasnas.nas.bench.analytic import dtlz2, play
from hasnas.nas.config.sections import SearchSection
from hasnas.nas.strategies import surrogates
from hasnas.nas.strategies.bayesian_pareto import BayesianPareto

EVALUATIONS, BATCH = 60, 5
SETTINGS = SearchSection(population=20, sample=5, batch=BATCH)
GROWTH = {"kept": surrogates.GROWTH, "each batch": 0.0}  # 0: a fit is made again whatever is told


def measure(kind: str, seed: int) -> dict[str, Any]:
    """Hypervolume, fits, and processor seconds of learning and of the whole search."""
    surrogates.GROWTH = GROWTH[kind]
    problem = dtlz2()
    strategy = BayesianPareto(problem.problem(SETTINGS, seed))
    learning = Timed(strategy.surrogates.learn)
    strategy.surrogates.learn = learning  # type: ignore[method-assign, assignment]
    start = time.process_time()
    done = play(problem, strategy, EVALUATIONS, BATCH)
    return {
        "kind": kind,
        "seed": seed,
        "volume": problem.volume(done),
        "learning_s": learning.seconds,
        "cpu_s": time.process_time() - start,
        "fits": sum(one.fits for one in strategy.surrogates.each),
        "skipped": sum(one.skipped for one in strategy.surrogates.each),
    }


class Timed:
    """A function, and the processor seconds that its calls took."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function, self.seconds = function, 0.0

    def __call__(self, *given: Any) -> Any:
        start = time.process_time()
        answer = self.function(*given)
        self.seconds += time.process_time() - start
        return answer


def main() -> None:
    """Measure what is missing, and print medians and extremes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=5)
    given = parser.parse_args()
    found = [json.loads(line) for line in given.out.read_text().splitlines()] if given.out.exists() else []
    known = {(one["kind"], one["seed"]) for one in found}
    for seed in range(given.seeds):
        for kind in GROWTH:
            if (kind, seed) not in known:
                found.append(measure(kind, seed))
                with given.out.open("a") as lines:
                    lines.write(json.dumps(found[-1]) + "\n")
    for kind in GROWTH:
        mine = [one for one in found if one["kind"] == kind]
        for name in ("volume", "learning_s", "cpu_s", "fits", "skipped"):
            values = [one[name] for one in mine]
            print(f"{kind}: {name} {median(values):.4g} ({np.min(values):.4g}-{np.max(values):.4g})")


if __name__ == "__main__":
    main()
