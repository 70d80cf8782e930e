"""Every strategy on SpikeNAS-Bench: accuracy of the pick without limits, hypervolume at three budgets; JSON lines.

    python experiments/benchmarks/spikenas_search.py --data cifar10.npz --seeds 100 --part picks
    python experiments/benchmarks/spikenas_search.py --data cifar10.npz --seeds 20 --part budgets
    python experiments/benchmarks/spikenas_search.py --data cifar10.npz --seeds 20 --part predictor

`picks`: mean test accuracy after 50, 100 and 200 evaluations. `budgets`: hypervolume over the true constrained front,
against raw random and against random over distinct feasible cells, which alone knows the trained networks' costs.
`predictor`: rank correlation with all test accuracies of a process told 100 random architectures.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from hasnas.nas.bench.bench import bench_spikenas
from hasnas.nas.bench.table import read_table
from hasnas.nas.scoring import ScoringTask
from hasnas.nas.scoring.graph_features import graph_features
from hasnas.nas.scoring.trainability import Trainability
from hasnas.nas.strategies.gaussian_process import GaussianProcess, distances, rank_gaussian

STRATEGIES = ("random_raw", "random_repeated_cells", "random", "random_cells", "regularized_evolution", "nsga2",
              "predictor")  # fmt: skip
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
    """Processes told N random architectures, ranked on all; with and without the training-free score as a feature."""
    table = read_table(data)
    features = graph_features(table.space, table.codes)
    score = Trainability()(ScoringTask(table.space), table.codes)
    parts = np.stack([np.where(np.isfinite(score.total), score.total, -1.0), *score.components.values()], axis=1)
    for name, columns in (("graph", features), ("graph + score", np.hstack([features, np.nan_to_num(parts)]))):
        spread = columns.std(axis=0)
        scaled = ((columns - columns.mean(axis=0)) / np.where(spread > 1e-9, spread, 1))[:, spread > 1e-9]
        for told in (25, 50, 100, 200):
            found = []
            for seed in range(seeds):
                rows = np.random.default_rng(seed).choice(len(table), told, replace=False)
                near = scaled[rows]
                targets = rank_gaussian(table.validation[rows])
                process = GaussianProcess.fit(distances(near, near), targets, scaled.shape[1])
                found.append(spearmanr(process.predict(distances(scaled, near))[0], table.test).statistic)
            spread_of_seeds = float(np.std(found, ddof=1)) if seeds > 1 else 0.0
            correlation = {"mean": float(np.mean(found)), "std": spread_of_seeds}
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
