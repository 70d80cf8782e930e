"""How well accuracies with a supernet's weights rank architectures: four one-shot strategies beside simple baselines.

    python experiments/benchmarks/oneshot_rank.py --dataset digits --out DIR
    python experiments/benchmarks/oneshot_rank.py --dataset mnist --data-root DATA --out DIR

Architectures are drawn uniformly over the distinct connected ones of SNASNet's forward space. Each is trained alone,
for few epochs, with several seeds; the truth is the mean validation accuracy after the last epoch. Prints Markdown.
Interrupted, it goes on where it stopped.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

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
from scipy.stats import kendalltau, spearmanr

from hasnas.nas.data.samples import Splits
from hasnas.nas.scoring import SCORES, ScoringTask
from hasnas.nas.supernet.choosing import log_probabilities
from hasnas.nas.supernet.settings import SUPERNET_TRAINERS, Choosing
from hasnas.search_spaces.cells import Genotype
from hasnas.search_spaces.operations import operation_named
from hasnas.search_spaces.space import Codes

RESAMPLES = 2000


def depth(genotype: Genotype) -> int:
    """Most convolutions on a path from input to output."""
    best = {0: 0}
    for edge in genotype.canonical().edges:
        reached = best.get(edge.source, 0) + operation_named(edge.operation).spiking
        best[edge.target] = max(best.get(edge.target, 0), reached)
    return best[genotype.nodes - 1]


def interval(statistic: Callable[[np.ndarray, np.ndarray], float], a: np.ndarray, b: np.ndarray) -> str:
    """A statistic with its 95 % bootstrap interval over architectures."""
    rng = np.random.default_rng(0)
    rows = rng.integers(0, len(a), (RESAMPLES, len(a)))
    values = [statistic(a[row], b[row]) for row in rows if np.ptp(a[row]) and np.ptp(b[row])]
    low, high = np.quantile(values, [0.025, 0.975])
    return f"{statistic(a, b):+.3f} ({low:+.2f} to {high:+.2f})"


def spearman(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's rank correlation."""
    return float(spearmanr(a, b).statistic)


def kendall(a: np.ndarray, b: np.ndarray) -> float:
    """Kendall's tau-b."""
    return float(kendalltau(a, b).statistic)


def baselines(task: Task, codes: Codes) -> dict[str, np.ndarray]:
    """What is known without any training."""
    architectures = [task.space.decode(row) for row in codes.tolist()]
    return {
        "parameters": np.array([item.expand().parameter_count for item in architectures], float),
        "depth": np.array([depth(item.genotypes[0]) for item in architectures], float),
        "trainability": SCORES.get("trainability")()(ScoringTask(task.space), codes).total,
    }


def supernet_values(
    task: Task, splits: Splits, strategy: str, seed: int, codes: Codes, out: Path
) -> tuple[dict[str, np.ndarray], float]:
    """Inherited accuracies, and the product of probabilities where the strategy learns any; and the training's time."""
    file = out / f"{strategy}-{seed}.json"
    if not file.exists():
        began = time.process_time()
        choosing = Choosing(splits.validation, connected_codes(task.space), everything)
        trained = train_supernet(
            task, splits, supernet_settings(task, strategy), seed, choosing, out / f"{strategy}-{seed}"
        )
        spent = time.process_time() - began
        values = {"": [inherited_accuracy(task, trained, row, splits) for row in codes.tolist()]}
        if trained.probabilities:
            values[", by probabilities"] = log_probabilities(task.space, trained.probabilities, codes).tolist()
        file.write_text(json.dumps({"values": values, "cpu_s": spent, "codes": trained.codes}))
    stored = json.loads(file.read_text())
    return {name: np.array(row) for name, row in stored["values"].items()}, stored["cpu_s"]


def main() -> None:
    """Train, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", choices=["digits", "digits-small", "mnist"], required=True)
    parser.add_argument("--data-root")
    parser.add_argument("--architectures", type=int, default=40)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--supernet-seeds", type=int, nargs="+", default=[0])
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    task = task_named(given.dataset, given.data_root)
    splits = task.splits()
    known = connected_codes(task.space)
    rows = np.sort(np.random.default_rng(0).choice(len(known), given.architectures, replace=False))
    codes = known[rows]
    began = time.process_time()
    alone = stand_alone(task, codes.tolist(), given.seeds, given.out, given.jobs)
    print(f"stand-alone: {time.process_time() - began:.0f} CPU s now (0 if all were there)\n")
    by_seed = np.array([[alone[tuple(row), seed] for row in codes.tolist()] for seed in given.seeds])
    truth = by_seed.mean(0)
    print(
        f"{len(codes)} architectures, {len(splits.train)} training and {len(splits.validation)} validation samples, "
        f"{task.epochs} epochs alone, seeds {given.seeds}: validation accuracy {truth.mean():.3f} on average, "
        f"{truth.min():.3f} to {truth.max():.3f}, standard deviation {truth.std():.3f}\n"
    )
    print("| what ranks | Spearman (95 %) | Kendall (95 %) | mean accuracy | CPU s |\n|---|---|---|---|---|")
    for first, second in zip(given.seeds, given.seeds[1:], strict=False):
        a, b = by_seed[given.seeds.index(first)], by_seed[given.seeds.index(second)]
        print(f"| seed {second} ranks seed {first} | {interval(spearman, a, b)} | {interval(kendall, a, b)} | | |")
    for name, values in baselines(task, codes).items():
        print(f"| {name} | {interval(spearman, values, truth)} | {interval(kendall, values, truth)} | | |")
    for strategy in ("random_one_shot", *(name for name in SUPERNET_TRAINERS.names() if name != "random_one_shot")):
        for seed in given.supernet_seeds:
            found, spent = supernet_values(task, splits, strategy, seed, codes, given.out)
            for name, values in found.items():
                mean = f"{values.mean():.3f} | {spent:.0f}" if not name else " | "
                label = f"{strategy}{name}, seed {seed}"
                figures = f"{interval(spearman, values, truth)} | {interval(kendall, values, truth)}"
                print(f"| {label} | {figures} | {mean} |", flush=True)


if __name__ == "__main__":
    main()
