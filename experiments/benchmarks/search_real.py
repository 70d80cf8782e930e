"""Strategies where every candidate is really trained, in spaces on which no strategy was developed.

    python experiments/benchmarks/search_real.py --space snasnet_backward --data-root DATA --out DIR
    python experiments/benchmarks/search_real.py --space digits --out DIR

`snasnet_backward`: MNIST, 2,000 images to train on, 3,000 others of the training split to choose by; 531,441 cells as
drawn. `digits`: the same cells on 8x8 digits. A candidate is trained briefly from scratch, always with the same seed:
its accuracy depends on nothing but the candidate. DIR keeps it for all strategies and seeds, and a killed run goes on.
The test split is read once for each returned network, the best by validation accuracy.
Printed: best validation accuracy after n evaluations, its mean over n = 1 ... N (area under the curve), test accuracy
of the returned network; mean and standard error over seeds.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from hasnas.nas.config.sections import SearchSection
from hasnas.nas.config.training import RetrainSection
from hasnas.nas.data.samples import Splits, load_splits
from hasnas.nas.strategies import SearchProblem, create_strategy
from hasnas.nas.training.evaluation import evaluate
from hasnas.nas.training.retrain import retrain
from hasnas.search_spaces.macro import Macro
from hasnas.search_spaces.snasnet import SNASNetSpace
from hasnas.search_spaces.space import Codes

CodesOfOne = tuple[int, ...]
TRAINING_IMAGES, JUDGING_IMAGES, WATCHED_IMAGES = 2000, 3000, 100
BATCH = 5
TRAINING_SEED = 0
SETTINGS = SearchSection(population=10, sample=5, mutation=1 / 6)
SMALL = {"classes": 10, "timesteps": 4, "channels": 8, "hidden": 0, "votes": 1, "dropout": 0.0}
SPACES = {
    "snasnet_backward": SNASNetSpace(Macro((1, 28, 28), stem_stride=2, **SMALL), feedback=True),
    "digits": SNASNetSpace(Macro((1, 8, 8), **SMALL), feedback=True),
}
TRAINING = {
    "snasnet_backward": RetrainSection(epochs=2, batch_size=40, learning_rate=4e-3, warmup_epochs=0.2),
    "digits": RetrainSection(epochs=3, batch_size=32, learning_rate=4e-3, warmup_epochs=0.2),
}


def splits_of(space: str, root: Path | None) -> Splits:
    """The samples; of MNIST 2,000 to train on and 3,000 to choose by, both from the training split."""
    if space == "digits":
        return load_splits("digits", None, validation_share=0.3, seed=0)
    splits = load_splits("mnist", root, validation_share=0.2, seed=0)
    order = torch.randperm(len(splits.train), generator=torch.Generator().manual_seed(0))
    return Splits(
        splits.train.take(order[:TRAINING_IMAGES]),
        splits.validation.take(torch.arange(JUDGING_IMAGES)),
        splits.test,
        splits.normalisation,
        splits.classes,
    )


@dataclass
class Trained:
    """Accuracies of candidates by their key, kept in a file that every strategy and seed shares.

    Args:
        name: of the space.
        root: folder with the dataset's files.
        out: folder of the file.
    """

    name: str
    root: Path | None
    out: Path
    _known: dict[tuple[str, str], float] = field(init=False, default_factory=dict)
    _splits: Splits | None = field(init=False, default=None)
    seconds: list[float] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self.out.mkdir(parents=True, exist_ok=True)
        if self._path.exists():
            for row in map(json.loads, self._path.read_text().splitlines()):
                self._known[row["key"], row["split"]] = row["accuracy"]
                self.seconds.append(row["seconds"])

    @property
    def _path(self) -> Path:
        return self.out / f"{self.name}.jsonl"

    def accuracy(self, codes: CodesOfOne, split: str) -> float:
        """Accuracy on `"validation"` or `"test"`; trains the candidate if it is not known."""
        architecture = SPACES[self.name].decode(codes)
        if (architecture.key, split) not in self._known:
            if self._splits is None:
                self._splits = splits_of(self.name, self.root)
            start, splits = time.process_time(), self._splits
            # Whole validation sets after every epoch would take longer than the training.
            few = splits.validation.take(torch.arange(WATCHED_IMAGES))
            watched = Splits(splits.train, few, splits.test, splits.normalisation, splits.classes)
            with tempfile.TemporaryDirectory() as folder:
                tree = architecture.to_json()
                result = retrain(tree, watched, TRAINING[self.name], TRAINING_SEED, Path(folder))
                found = evaluate(result.network(tree), getattr(splits, split))
            row = {"key": architecture.key, "codes": codes, "split": split, "accuracy": found,
                   "seconds": time.process_time() - start}  # fmt: skip
            with self._path.open("a") as file:
                file.write(json.dumps(row) + "\n")
            self._known[architecture.key, split] = found
            self.seconds.append(row["seconds"])
        return self._known[architecture.key, split]


def everything(codes: Codes) -> np.ndarray:
    """No budget."""
    return np.ones(len(codes), bool)


def search(trained: Trained, strategy: str, evaluations: int, seed: int) -> tuple[list[float], float]:
    """Validation accuracies in the order of evaluation, and the test accuracy of the best by validation."""
    searcher = create_strategy(strategy, SearchProblem(SPACES[trained.name], everything, SETTINGS, seed))
    told: list[tuple[float, CodesOfOne]] = []
    while len(told) < evaluations:
        asked = searcher.ask(min(BATCH, evaluations - len(told)))
        if not asked:
            break
        for codes in asked:
            accuracy = trained.accuracy(codes, "validation")
            told.append((accuracy, codes))
            searcher.tell(codes, accuracy, {})
    pick = max(told, key=lambda item: item[0])[1]
    return [accuracy for accuracy, _ in told], trained.accuracy(pick, "test")


def row(strategy: str, found: list[tuple[list[float], float]], milestones: list[int]) -> str:
    """One strategy over its seeds."""
    curves = 100 * np.array([np.maximum.accumulate(values) for values, _ in found])
    figures = [curves[:, count - 1] for count in milestones]
    figures += [curves.mean(axis=1), 100 * np.array([test for _, test in found])]
    cells = [f"{np.mean(values):.2f} +- {np.std(values, ddof=1) / len(found) ** 0.5 if len(found) > 1 else 0:.2f}"
             for values in figures]  # fmt: skip
    return f"| {strategy} | {len(found)} | " + " | ".join(cells) + " |"


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--space", choices=sorted(SPACES), required=True)
    parser.add_argument("--data-root", type=Path)
    parser.add_argument("--strategies", nargs="+", default=["random", "regularized_evolution", "predictor"])
    parser.add_argument("--evaluations", type=int, default=40)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    torch.set_num_threads(1)
    trained = Trained(given.space, given.data_root, given.out)
    milestones = sorted({count for count in (10, 20, 30, given.evaluations) if count <= given.evaluations})
    print("| strategy | seeds | " + " | ".join(f"best of {count}" for count in milestones)
          + " | area under the curve | test accuracy of the pick |\n|" + "---|" * (4 + len(milestones)))  # fmt: skip
    for strategy in given.strategies:
        found = [search(trained, strategy, given.evaluations, seed) for seed in range(given.seeds)]
        print(row(strategy, found, milestones), flush=True)
    print(f"\n{len(trained.seconds)} trainings, {np.median(trained.seconds):.1f} CPU-s each (median)")


if __name__ == "__main__":
    main()
