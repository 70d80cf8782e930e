"""Every strategy on SpikeNAS-Bench: accuracy of the pick without limits, hypervolume at three budgets; JSON lines.

    python experiments/benchmarks/spikenas_search.py --data cifar10.npz --seeds 100 --part picks
    python experiments/benchmarks/spikenas_search.py --data cifar10.npz --seeds 20 --part budgets
    python experiments/benchmarks/spikenas_search.py --data cifar10.npz --seeds 20 --part predictor

`picks`: mean test accuracy after 50, 100 and 200 evaluations. `budgets`: hypervolume over the true constrained front,
against raw random and against random over distinct feasible cells, which alone knows the trained networks' costs.
`predictor`: rank correlation with the test accuracies of others (at most 3,000) of a process told 5 to 200 random ones;
also of a table of trained cells (`trained_cells.py`).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from hasnas.nas.bench.bench import bench_spikenas
from hasnas.nas.bench.bench_proxies import as_ranked, read_trained
from hasnas.nas.bench.table import BenchmarkTable
from hasnas.nas.scoring import DEFAULT_SCORE, SCORES, ScoringTask
from hasnas.nas.scoring.correlation import spearman
from hasnas.nas.scoring.graph_features import graph_features
from hasnas.nas.scoring.score import believed, reference_codes
from hasnas.nas.strategies.gaussian_process import GaussianProcess, distances, rank_gaussian

STRATEGIES = ("random_raw", "random_repeated_cells", "random", "random_cells", "regularized_evolution", "nsga2",
              "predictor")  # fmt: skip
JUDGED = 3000
LEVELS = ((0.5, 300), (0.1, 300), (0.01, 50))


def picks(data: Path, seeds: int, strategies: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    """No limit: 200 evaluations."""
    for strategy in strategies:
        yield bench_spikenas(data, strategy, 200, seeds)


def budgets(
    data: Path, seeds: int, strategies: tuple[str, ...], cost: str, hardware: str | None
) -> Iterator[dict[str, Any]]:
    """Three limits on a cost; `random_cells`, which is told the true costs, is the fair yardstick."""
    for share, evaluations in LEVELS:
        for strategy in strategies:
            for known in (True,) if strategy == "random_cells" else (False,):
                report = bench_spikenas(
                    data, strategy, evaluations, seeds,
                    feasible_share=share, cost=cost, hardware=hardware, known_costs=known,
                )  # fmt: skip
                yield {"share_of_cells": share, "known_costs": known, **report}


def predictor(data: Path, seeds: int) -> Iterator[dict[str, Any]]:
    """The score alone, a process that begins with nothing, and one that begins with the score, told N random rows."""
    table = read_trained(data)
    features = graph_features(table.space, table.codes)
    score = as_ranked(SCORES.get(DEFAULT_SCORE)()(ScoringTask(table.space), table.codes).total)
    reference = SCORES.get(DEFAULT_SCORE)()(ScoringTask(table.space), reference_codes(table.space)).total
    ranks = believed(score, reference)
    spread = features.std(axis=0)
    scaled = ((features - features.mean(axis=0)) / np.where(spread > 1e-9, spread, 1))[:, spread > 1e-9]
    told_values = table.validation if isinstance(table, BenchmarkTable) else table.test
    for told in (5, 10, 25, 50, 100, 200):
        found: dict[str, list[float]] = {"score": [], "process": [], "process that begins with the score": []}
        for seed in range(seeds if told < 0.8 * len(table) else 0):
            order = np.random.default_rng(seed).permutation(len(table))
            rows, others = order[:told], order[told:][:JUDGED]
            near, targets = scaled[rows], rank_gaussian(told_values[rows])
            among, cross = distances(near, near), distances(scaled[others], near)
            found["score"].append(spearman(score[others], table.test[others]))
            for name, trend in (("process", None), ("process that begins with the score", ranks)):
                process = GaussianProcess.fit(among, targets, near.shape[1], None if trend is None else trend[rows])
                guess = process.predict(cross)[0] + (0 if trend is None else process.slope * trend[others])
                found[name].append(spearman(guess, table.test[others]))
        for name, values in found.items():
            if len(values) > 1:
                correlation = {"mean": float(np.mean(values)), "std": float(np.std(values, ddof=1))}
                yield {"predictor": name, "told": told, "seeds": seeds, "spearman": correlation}


def main() -> None:
    """Print one JSON object a line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--part", choices=("picks", "budgets", "predictor"), default="picks")
    parser.add_argument("--strategies", nargs="+", default=list(STRATEGIES))
    parser.add_argument("--cost", default="synaptic_operations")
    parser.add_argument("--hardware")
    given = parser.parse_args()
    strategies = tuple(given.strategies)
    if given.part == "picks":
        lines = picks(given.data, given.seeds, strategies)
    elif given.part == "budgets":
        lines = budgets(given.data, given.seeds, strategies, given.cost, given.hardware)
    else:
        lines = predictor(given.data, given.seeds)
    for line in lines:
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
