"""Tables of cells that were really trained, in spaces and on data on which no score was developed.

    python experiments/benchmarks/trained_cells.py --space snasnet_backward --task digits --out DIR
    hasnas bench proxies --data DIR/snasnet_backward_digits.jsonl --images DATA

Draws distinct connected architectures uniformly, trains each from scratch and notes its accuracy on other images of the
training split, which no training has seen (the test split is not touched); killed, it goes on where it stopped.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hasnas.nas.bench.cells_table import header
from hasnas.nas.config.training import RetrainSection
from hasnas.nas.data.samples import Split, Splits, load_splits
from hasnas.nas.training.evaluation import evaluate
from hasnas.nas.training.retrain import retrain
from hasnas.search_spaces.autosnn import AutoSNNSpace
from hasnas.search_spaces.macro import Macro
from hasnas.search_spaces.space import SPACES, SearchSpace, sample

DRAWN = 2000
SPACES_TRAINED = ("snasnet_backward", "autosnn", "four_cells")


@dataclass(frozen=True)
class Task:
    """Images to train on and to judge by, both from a dataset's train split, and how networks on them are trained.

    Args:
        dataset: its registered name.
        training, watched, judging: images; the watched choose the epoch, those that judge are seen once.
        macro: of the networks; each space sets reductions and last pool itself.
        epochs, batch_size, learning_rate: of the training.
    """

    dataset: str
    training: int
    watched: int
    judging: int
    macro: dict[str, Any]
    epochs: int
    batch_size: int
    learning_rate: float

    def settings(self) -> RetrainSection:
        """How each cell is trained."""
        return RetrainSection(
            epochs=self.epochs, batch_size=self.batch_size, learning_rate=self.learning_rate, warmup_epochs=0.2
        )

    def splits(self, root: Path | None) -> tuple[Splits, Split]:
        """What a training sees, its validation split being the watched images, and the images that judge it."""
        held = self.watched + self.judging
        whole = load_splits(self.dataset, root, validation_share=0.5, seed=0)
        order = torch.randperm(len(whole.train), generator=torch.Generator().manual_seed(0))
        training = whole.train.take(order[: self.training])
        watched = whole.validation.take(torch.arange(self.judging, held))
        seen = replace(whole, train=training, validation=watched, test=whole.test.take(torch.arange(0)))
        return seen, whole.validation.take(torch.arange(self.judging))


# A head without hidden layer that sees one value a channel: what it can tell apart, the cells have made.
_PLAIN = {"channels": 6, "hidden": 0, "votes": 1, "dropout": 0.0, "classes": 10}
TASKS = {
    "digits": Task(
        "digits", 719, 100, 619, {**_PLAIN, "input_shape": (1, 8, 8), "timesteps": 3}, 10, 64, 0.02
    ),
    "mnist": Task(
        "mnist", 1000, 100, 2000, {**_PLAIN, "input_shape": (1, 28, 28), "timesteps": 3, "stem_stride": 4}, 8, 64, 0.02
    ),
}  # fmt: skip


def space_and_header(name: str, task: Task) -> tuple[SearchSpace, str]:
    """One of the three spaces, and the first line of its table; the last pool averages whole maps."""
    entering = 1 + (task.macro["input_shape"][1] - 1) // task.macro.get("stem_stride", 1)
    if name == "autosnn":
        kind, options, macro = "autosnn", {}, AutoSNNSpace(Macro(**task.macro, final_pool=entering // 4)).macro
    else:
        four = name == "four_cells"
        options = {"cells": 4, "shared": False} if four else {"feedback": True}
        kind = "snasnet"
        macro = Macro(**task.macro, final_pool=entering // 2, reductions=(2,) if four else None)
    return SPACES.get(kind)(macro, **options), header(kind, options, macro, task.dataset)


def draw(space: SearchSpace, count: int, seed: int) -> list[tuple[int, ...]]:
    """Distinct connected architectures in canonical form, uniform over drawn ones."""
    canonical, connected = space.canonical(sample(space, np.random.default_rng(seed), DRAWN))
    return list(dict.fromkeys(tuple(row) for row in canonical[connected].tolist()))[:count]


def train(given: argparse.Namespace) -> None:
    """Train what is not in the file yet."""
    torch.set_num_threads(1)
    task = TASKS[given.task]
    (space, first), (seen, judging) = space_and_header(given.space, task), task.splits(given.data_root)
    path = given.out / f"{given.space}_{given.task}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        path.write_text(first + "\n")
    done = {(tuple(row["codes"]), row["seed"]) for row in read(path)}
    for seed in given.seeds:
        for codes in draw(space, given.architectures, seed=0):
            if (codes, seed) in done:
                continue
            started, architecture = time.process_time(), space.decode(codes).to_json()
            with tempfile.TemporaryDirectory() as folder:
                result = retrain(architecture, seen, task.settings(), seed, Path(folder))
                accuracy = evaluate(result.network(architecture), judging)
            row = {"codes": codes, "seed": seed, "accuracy": accuracy, "cpu_s": time.process_time() - started}
            with path.open("a") as file:
                file.write(json.dumps(row) + "\n")
            print(row, flush=True)


def read(path: Path) -> list[dict[str, Any]]:
    """The trainings so far."""
    return [json.loads(line) for line in path.read_text().splitlines()[1:]]


def main() -> None:
    """Train."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", choices=SPACES_TRAINED, required=True)
    parser.add_argument("--task", choices=sorted(TASKS), required=True)
    parser.add_argument("--architectures", type=int, default=40)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--data-root", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    train(parser.parse_args())


if __name__ == "__main__":
    main()
