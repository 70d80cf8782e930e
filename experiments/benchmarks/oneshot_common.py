"""What the one-shot benchmarks share: small tasks, stand-alone training with a cache, and supernets."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hasnas.nas.config.sections import SupernetSection
from hasnas.nas.config.training import RetrainSection
from hasnas.nas.data.samples import Split, Splits, batches, load_splits
from hasnas.nas.supernet.settings import SUPERNET_TRAINERS, Choosing, TrainedSupernet
from hasnas.nas.supernet.sharing import inherit
from hasnas.nas.training.evaluation import evaluate, recalibrate_batch_norm
from hasnas.nas.training.retrain import retrain
from hasnas.search_spaces.macro import Macro
from hasnas.search_spaces.snasnet import SNASNetSpace
from hasnas.search_spaces.space import Codes, all_codes

CALIBRATION_BATCHES, BATCH = 4, 64


@dataclass(frozen=True)
class Task:
    """A dataset, the space around it, and how long networks and supernets are trained.

    Args:
        dataset: its name.
        root: folder with its files, None for the default one.
        macro: what surrounds the cells.
        training, validation: samples that are used; 0 for all of the split.
        validation_share: part of the train split held out.
        epochs: of a stand-alone training, few so that accuracies differ.
        supernet_epochs: of a supernet.
    """

    dataset: str
    root: str | None
    macro: Macro
    training: int
    validation: int
    validation_share: float
    epochs: int
    supernet_epochs: int

    @property
    def space(self) -> SNASNetSpace:
        """The forward space: 4 nodes, 6 pairs, 5 operations."""
        return SNASNetSpace(self.macro)

    def splits(self) -> Splits:
        """The samples; those that are left out are drawn once, for all seeds."""
        return _splits(self)


@lru_cache(maxsize=1)
def _splits(task: Task) -> Splits:
    found = load_splits(task.dataset, None if task.root is None else Path(task.root), task.validation_share, 0)
    generator = torch.Generator().manual_seed(0)
    parts = [
        split.take(torch.randperm(len(split), generator=generator)[:count]) if count else split
        for split, count in ((found.train, task.training), (found.validation, task.validation))
    ]
    return Splits(parts[0], parts[1], found.test, found.normalisation, found.classes)


def task_named(dataset: str, root: str | None) -> Task:
    """The benchmark's task on a dataset: `digits`, `digits-small` (narrower, 2 timesteps: minutes) or `mnist`."""
    if dataset == "digits":
        macro = Macro((1, 8, 8), classes=10, timesteps=4, channels=16, hidden=32, votes=1, dropout=0.0)
        return Task("digits", root, macro, 0, 0, 0.4, epochs=3, supernet_epochs=15)
    if dataset == "digits-small":
        macro = Macro((1, 8, 8), classes=10, timesteps=2, channels=8, hidden=0, votes=1, dropout=0.0)
        return Task("digits", root, macro, 0, 0, 0.4, epochs=3, supernet_epochs=15)
    macro = Macro((1, 28, 28), 10, timesteps=4, channels=8, stem_stride=2, hidden=0, votes=1, dropout=0.0)
    return Task("mnist", root, macro, 2000, 1000, 0.2, epochs=3, supernet_epochs=10)


def connected_codes(space: SNASNetSpace) -> Codes:
    """All distinct canonical architectures with a path from input to output."""
    codes, connected = space.canonical(np.concatenate(list(all_codes(space))))
    return np.unique(codes[connected], axis=0)


def _train(work: tuple[Task, tuple[int, ...], int, str]) -> float:
    task, codes, seed, directory = work
    torch.set_num_threads(1)
    architecture = task.space.decode(codes)
    settings = RetrainSection(epochs=task.epochs, warmup_epochs=0.5)
    folder = Path(directory) / f"{architecture.key}-{seed}"
    return retrain(architecture.to_json(), task.splits(), settings, seed, folder).history[-1].merit


def stand_alone(
    task: Task, codes: Iterable[Sequence[int]], seeds: Sequence[int], out: Path, jobs: int
) -> dict[tuple[tuple[int, ...], int], float]:
    """Validation accuracy after the last epoch of training from scratch, from the cache where it is there."""
    cache = out / "stand_alone.jsonl"
    known: dict[tuple[tuple[int, ...], int], float] = {}
    if cache.exists():
        for line in cache.read_text().splitlines():
            row = json.loads(line)
            known[tuple(row["codes"]), row["seed"]] = row["accuracy"]
    wanted = [(tuple(int(code) for code in row), seed) for seed in seeds for row in codes]
    missing = [(task, row, seed, str(out / "trained")) for row, seed in wanted if (row, seed) not in known]
    for work, accuracy in zip(missing, _in_order(missing, jobs), strict=True):
        known[work[1], work[2]] = accuracy
        with cache.open("a") as file:
            file.write(json.dumps({"codes": work[1], "seed": work[2], "accuracy": accuracy}) + "\n")
    return {key: known[key] for key in wanted}


def _in_order(missing: list[Any], jobs: int) -> Iterable[float]:
    if jobs == 1:
        yield from map(_train, missing)
    elif missing:
        with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
            yield from pool.map(_train, missing)


def supernet_settings(task: Task, strategy: str) -> SupernetSection:
    """How the benchmarks train a supernet."""
    tree = {"strategy": strategy, "epochs": task.supernet_epochs, "batch_size": BATCH, "learning_rate": 0.02}
    return SupernetSection.model_validate(tree)


def train_supernet(
    task: Task, splits: Splits, settings: SupernetSection, seed: int, choosing: Choosing, folder: Path
) -> TrainedSupernet:
    """A supernet over the whole connected space; goes on where it was interrupted."""
    folder.mkdir(parents=True, exist_ok=True)
    codes = choosing.codes

    def draw(rng: np.random.Generator) -> tuple[int, ...]:
        return tuple(int(code) for code in codes[rng.integers(len(codes))])

    trainer = SUPERNET_TRAINERS.get(settings.strategy)()
    return trainer.train(
        task.space, draw, splits.train, settings=settings, seed=seed, choosing=choosing, checkpoint_directory=folder
    )


def inherited_accuracy(task: Task, trained: TrainedSupernet, codes: Sequence[int], splits: Splits) -> float:
    """Validation accuracy with the supernet's weights, batch norm calibrated on the same batches for all."""
    network = inherit(trained.weights, task.space.decode(codes))
    inputs = calibration_inputs(splits.train)
    return evaluate(recalibrate_batch_norm(network, inputs), splits.validation)


def calibration_inputs(train: Split) -> list[torch.Tensor]:
    """The first batches of a fixed order."""
    ordered = batches(train, BATCH, torch.Generator().manual_seed(0))
    return [inputs for (inputs, _), _ in zip(ordered, range(CALIBRATION_BATCHES), strict=False)]


def everything(codes: Codes) -> np.ndarray:
    """No budget."""
    return np.ones(len(codes), bool)
