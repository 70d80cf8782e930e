"""How a hardware penalty moves what a differentiable supernet strategy proposes, on scikit-learn's digits.

    python experiments/benchmarks/oneshot_penalty.py --out DIR --strategies darts proxyless --weights 0 0.03 0.1 0.3 1

For each strategy and weight: the expected energy of the probabilities, and energy, area and accuracy of the proposed
architecture (validation accuracy with inherited weights, and trained alone for as few epochs as in `oneshot_rank.py`).
Prices are those of a preset with dense activity. Prints Markdown. Interrupted, it goes on where it stopped.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from oneshot_common import (
    Task,
    connected_codes,
    everything,
    inherited_accuracy,
    stand_alone,
    supernet_settings,
    task_named,
    train_supernet,
)

from hasnas.cim_estimator import Activity, load_hardware
from hasnas.nas.budget.pricer import Pricer
from hasnas.nas.config.sections import PenaltySection
from hasnas.nas.data.samples import Splits
from hasnas.nas.supernet.cost_table import CostTable, fit_cost_table
from hasnas.nas.supernet.settings import Choosing

COST = "energy_j"


def run(task: Task, splits: Splits, table: CostTable, strategy: str, weight: float, given: Any) -> dict[str, Any]:
    """One supernet with one weight of the penalty, from the file where it is there."""
    name = f"{strategy}-{weight:g}-{given.seed}"
    file = given.out / f"{name}.json"
    if not file.exists():
        began = time.process_time()
        codes = connected_codes(task.space)
        choosing = Choosing(splits.validation, codes, everything, table)
        changes = {"architecture_learning_rate": given.learning_rate, "penalty": PenaltySection(weight=weight)}
        settings = supernet_settings(task, strategy).with_changes(changes)
        trained = train_supernet(task, splits, settings, given.seed, choosing, given.out / name)
        spent = time.process_time() - began
        found = {
            "codes": trained.codes,
            "probabilities": trained.probabilities,
            "expected": table.expected([list(row.values()) for row in trained.probabilities.values()]),
            "inherited": inherited_accuracy(task, trained, trained.codes or (), splits),
            "cpu_s": spent,
        }
        file.write_text(json.dumps(found))
    return json.loads(file.read_text())


def main() -> None:
    """Train with every weight and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", choices=["digits", "digits-small"], default="digits")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--strategies", nargs="+", default=["darts", "gumbel_darts", "proxyless"])
    parser.add_argument("--weights", type=float, nargs="+", default=[0.0, 0.03, 0.1, 0.3, 1.0])
    parser.add_argument("--learning-rate", type=float, default=0.02)
    parser.add_argument("--hardware", default="rram-32nm")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    task = task_named(given.dataset, None)
    splits = task.splits()
    pricer = Pricer(task.space, load_hardware(given.hardware), Activity.dense())
    codes = connected_codes(task.space)
    costs = pricer.costs(codes)
    table = fit_cost_table(task.space, codes, costs[COST], COST)
    print(
        f"Energy of {len(codes)} architectures on {given.hardware}: mean {1e9 * table.reference:.1f} nJ, "
        f"{1e9 * costs[COST].min():.1f} to {1e9 * costs[COST].max():.1f}; "
        f"R^2 of the additive table {table.r_squared:.4f}\n"
    )
    print("| strategy | weight | expected nJ | nJ | mm2 | inherited | alone | choices | CPU s |\n" + "|---" * 9 + "|")
    for strategy in given.strategies:
        for weight in given.weights:
            found = run(task, splits, table, strategy, weight, given)
            row = tuple(found["codes"])
            price = pricer.costs(np.array([row], np.int16))
            (alone,) = stand_alone(task, [row], [0], given.out, given.jobs).values()
            print(
                f"| {strategy} | {weight:g} | {1e9 * found['expected']:.1f} | {1e9 * price[COST][0]:.1f} | "
                f"{1e6 * price['area_m2'][0]:.2f} | {found['inherited']:.3f} | {alone:.3f} | {list(row)} | "
                f"{found['cpu_s']:.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
