"""Cells one after the other, and removal of choices, against random search and evolution.

    python experiments/benchmarks/cell_steps.py table --data cifar10.npz      # SpikeNAS-Bench, 20 seeds
    python experiments/benchmarks/cell_steps.py score                         # HASNAS's limits, by score alone
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from hasnas.nas.bench import campaign
from hasnas.nas.bench.campaign import Objective, play
from hasnas.nas.bench.table import read_table
from hasnas.nas.budget.region import admission
from hasnas.nas.config.loading import load_config
from hasnas.nas.scoring.score import SCORES, ScoringTask
from hasnas.nas.stages.context import Setup
from hasnas.nas.stages.progress import Console
from hasnas.nas.strategies import SearchProblem, create_strategy

STRATEGIES = ("cell_by_cell", "supernet_pruning", "random", "regularized_evolution")
CONFIG = Path(__file__).parents[1] / "hasnas_cifar10.yaml"


def on_the_table(data: Path, seeds: int) -> None:
    """Test accuracy of the pick by validation."""
    objective = Objective(read_table(data))
    settings = campaign.SETTINGS
    for name in (*STRATEGIES, "random_cells"):
        for evaluations in (50, 100, 200):
            campaign.SETTINGS = settings.model_copy(update={"evaluations": evaluations})
            picks = [play(objective, name, evaluations, seed).test_accuracy(evaluations) for seed in range(seeds)]
            error = np.std(picks, ddof=1) / len(picks) ** 0.5
            print(f"{name:<22} {evaluations:>4}  {np.mean(picks):.3f} +- {error:.3f}", flush=True)


def by_score(evaluations: int, seeds: int) -> None:
    """Best score within HASNAS's limits."""
    setup = Setup(load_config(CONFIG), Console(quiet=True))
    score, task, admits = SCORES.get("trainability")(), ScoringTask(setup.space), admission(setup.pricer, setup.budget)
    for name in STRATEGIES:
        best, seconds = [], []
        for seed in range(seeds):
            section = setup.config.search.model_copy(update={"evaluations": evaluations})
            began, values, asked = time.process_time(), [-np.inf], [(0,)]
            strategy = create_strategy(name, SearchProblem(setup.space, admits, section, seed))
            while len(values) <= evaluations and asked:
                asked = strategy.ask(min(section.batch, evaluations + 1 - len(values)))
                found = score(task, np.array(asked, np.int16)).total.tolist() if asked else []
                for codes, value in zip(asked, found, strict=True):
                    strategy.tell(codes, value, {})
                values += found
            best.append(max(values))
            seconds.append(time.process_time() - began)
        print(f"{name:<22} best score {np.mean(best):.3f} +- {np.std(best, ddof=1):.3f} (std), "
              f"{np.mean(seconds):.1f} CPU-s for {evaluations} candidates", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["table", "score"])
    parser.add_argument("--data", type=Path, help="SpikeNAS-Bench as .npz.")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--evaluations", type=int, default=1000)
    given = parser.parse_args()
    if given.what == "table":
        on_the_table(given.data, given.seeds)
    else:
        by_score(given.evaluations, given.seeds)
