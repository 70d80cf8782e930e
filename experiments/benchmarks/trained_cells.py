"""Training-free scores against cells that were really trained, in spaces on which no score was developed.

    python experiments/benchmarks/trained_cells.py train --space snasnet_backward --data-root DATA --out DIR
    python experiments/benchmarks/trained_cells.py table --space snasnet_backward --out DIR

`train` draws distinct connected architectures uniformly, trains each from scratch on 2,000 MNIST images with every seed
and notes its accuracy on 3,000 other images of the training split (the test split is not touched); killed, it goes on.
`table` prints the Spearman correlation of every score with the mean over seeds, its bootstrap interval, and that of one
seed with the other.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from scipy.stats import kendalltau, spearmanr

from hasnas.nas.config.training import RetrainSection
from hasnas.nas.data.samples import Splits, load_splits
from hasnas.nas.scoring import SCORES, ScoringTask
from hasnas.nas.scoring.score import NETWORK_SCORES
from hasnas.nas.training.evaluation import evaluate
from hasnas.nas.training.retrain import retrain
from hasnas.search_spaces.autosnn import AutoSNNSpace
from hasnas.search_spaces.macro import Macro
from hasnas.search_spaces.snasnet import SNASNetSpace
from hasnas.search_spaces.space import SearchSpace, sample

TRAINING_IMAGES, JUDGING_IMAGES, WATCHED_IMAGES = 2000, 3000, 100
SETTINGS = RetrainSection(epochs=5, batch_size=50, learning_rate=4e-3, warmup_epochs=0.2)
RESAMPLES = 2000


def space_named(name: str) -> SearchSpace:
    """The two spaces on a small MNIST macro: T = 4, first maps of 14 x 14."""
    shared = {"input_shape": (1, 28, 28), "classes": 10, "timesteps": 4, "stem_stride": 2, "hidden": 0, "votes": 1,
              "dropout": 0.0}  # fmt: skip
    if name == "autosnn":
        return AutoSNNSpace(Macro(**shared, channels=16, final_pool=1))
    return SNASNetSpace(Macro(**shared, channels=8), feedback=True)


def draw(space: SearchSpace, count: int, seed: int) -> list[tuple[int, ...]]:
    """Distinct connected architectures in canonical form, uniform over drawn ones."""
    canonical, connected = space.canonical(sample(space, np.random.default_rng(seed), 40 * count))
    return list(dict.fromkeys(tuple(row) for row in canonical[connected].tolist()))[:count]


def mnist(root: Path) -> Splits:
    """2,000 images to train on, 5,000 to judge by, both from the training split."""
    splits = load_splits("mnist", root, validation_share=0.2, seed=0)
    order = torch.randperm(len(splits.train), generator=torch.Generator().manual_seed(0))
    return Splits(
        splits.train.take(order[:TRAINING_IMAGES]),
        splits.validation.take(torch.arange(JUDGING_IMAGES)),
        splits.test.take(torch.arange(0)),
        splits.normalisation,
        splits.classes,
    )


def train(given: argparse.Namespace) -> None:
    """Train what is not in the file yet."""
    torch.set_num_threads(1)
    space, splits = space_named(given.space), mnist(given.data_root)
    watched = Splits(
        splits.train, splits.validation.take(torch.arange(WATCHED_IMAGES)), splits.test, splits.normalisation, 10
    )
    path = given.out / f"{given.space}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    done = {(tuple(row["codes"]), row["seed"]) for row in read(path)}
    for seed in given.seeds:
        for codes in draw(space, given.architectures, seed=0):
            if (codes, seed) in done:
                continue
            started, architecture = time.perf_counter(), space.decode(codes).to_json()
            with tempfile.TemporaryDirectory() as folder:
                result = retrain(architecture, watched, SETTINGS, seed, Path(folder))
                accuracy = evaluate(result.network(architecture), splits.validation)
            row = {"codes": codes, "seed": seed, "accuracy": accuracy, "seconds": time.perf_counter() - started}
            with path.open("a") as file:
                file.write(json.dumps(row) + "\n")
            print(row, flush=True)


def read(path: Path) -> list[dict]:
    """The trainings so far."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def table(given: argparse.Namespace) -> None:
    """Print the correlations."""
    space, rows = space_named(given.space), read(given.out / f"{given.space}.jsonl")
    codes = list(dict.fromkeys(tuple(row["codes"]) for row in rows))
    by_seed = {seed: {tuple(r["codes"]): r["accuracy"] for r in rows if r["seed"] == seed} for seed in given.seeds}
    codes = [one for one in codes if all(one in accuracies for accuracies in by_seed.values())]
    accuracy = np.array([[by_seed[seed][one] for seed in given.seeds] for one in codes])
    mean = accuracy.mean(axis=1)
    print(f"{len(codes)} architectures, seeds {given.seeds}, accuracy {mean.min():.2%} to {mean.max():.2%}, "
          f"5 % to 95 %: {np.quantile(mean, 0.05):.2%} to {np.quantile(mean, 0.95):.2%}, "
          f"seconds each {np.median([row['seconds'] for row in rows]):.1f}\n")  # fmt: skip
    print("| score | Spearman | 95 % interval | Kendall |\n|---|---|---|---|")
    if len(given.seeds) > 1:
        print(line("seed 0 against seed 1 (ceiling)", accuracy[:, 0], accuracy[:, 1]))
    for name in [name for name in SCORES.names() if name not in NETWORK_SCORES]:
        value = SCORES.get(name)()(ScoringTask(space), np.array(codes, np.int16)).total
        print(line(name, value, mean))


def line(name: str, value: np.ndarray, accuracy: np.ndarray) -> str:
    """A row of the table; the interval is from resampled architectures."""
    rng = np.random.default_rng(0)
    picks = rng.integers(0, len(value), (RESAMPLES, len(value)))
    resampled = [spearmanr(value[pick], accuracy[pick]).statistic for pick in picks]
    low, high = np.nanquantile(resampled, [0.025, 0.975])
    return (f"| {name} | {spearmanr(value, accuracy).statistic:.3f} | {low:.2f} to {high:.2f} "
            f"| {kendalltau(value, accuracy).statistic:.3f} |")  # fmt: skip


def main() -> None:
    """Train or print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=("train", "table"))
    parser.add_argument("--space", choices=("snasnet_backward", "autosnn"), required=True)
    parser.add_argument("--architectures", type=int, default=50)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--data-root", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    (train if given.part == "train" else table)(given)


if __name__ == "__main__":
    main()
