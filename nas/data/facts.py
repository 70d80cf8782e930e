"""What is known of a run's samples before anything is learned from them; without torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hasnas.datasets.source import DatasetCard, Samples, stratified_split
from hasnas.datasets.splits import content_digest


@dataclass(frozen=True)
class DataFacts:
    """Counts of samples, and what a network would reach that does not look at its input.

    Args:
        task: `"classification"` or `"regression"`.
        outputs: number of classes, or of values.
        train, validation, test: samples in each split.
        chance: share of right answers of a guess; `None` for regression.
        blind: what the best constant answer reaches on validation and on test samples: the share of the class that is
            most frequent in training; for regression the mean absolute error of the median of training.
        digest: of all samples, see `content_digest`.
    """

    task: str
    outputs: int
    train: int
    validation: int
    test: int
    chance: float | None
    blind: tuple[float, float]
    digest: str

    def to_json(self) -> dict[str, Any]:
        """Plain data for the ledger."""
        return asdict(self)

    @classmethod
    def from_json(cls, tree: Mapping[str, Any]) -> DataFacts:
        """The facts that a ledger holds."""
        return cls(**{**tree, "blind": (float(tree["blind"][0]), float(tree["blind"][1]))})

    def describe(self) -> str:
        """One line for people: the task, the samples and what they are worth."""
        counts = f"{self.train:,} to train, {self.validation:,} to choose, {self.test:,} to test"
        if self.task == "classification":
            task = f"classification of {self.outputs} classes"
            worth = f"chance {self.chance:.1%}, most frequent class {self.blind[1]:.1%} of the test samples"
        else:
            task = f"regression of {self.outputs} value{'s' if self.outputs > 1 else ''}"
            worth = f"the best constant answer has a mean absolute error of {self.blind[1]:.4g} on the test samples"
        return f"{task}; samples: {counts}; {worth}"


def facts_of(card: DatasetCard, train: Samples, test: Samples, validation_share: float, seed: int) -> DataFacts:
    """The facts of a run's samples.

    Args:
        card: of the dataset.
        train, test: as stored, before any encoding.
        validation_share: part of the train split held out.
        seed: of that draw.

    Raises:
        BadInputError: if the share leaves one side empty.
    """
    targets, judged = np.asarray(train.targets), np.asarray(test.targets)
    kept, held = stratified_split(targets, validation_share, seed)
    blind = _blind(targets[kept], targets[held]), _blind(targets[kept], judged)
    classes = targets.ndim == 1
    return DataFacts(
        task="classification" if classes else "regression",
        outputs=card.outputs,
        train=len(kept),
        validation=len(held),
        test=len(judged),
        chance=1 / max(card.outputs, 1) if classes else None,
        blind=blind,
        digest=content_digest(train, test),
    )


def _blind(learned: NDArray[Any], judged: NDArray[Any]) -> float:
    """What the best constant answer by the learned targets reaches on others."""
    if learned.ndim == 1:
        return float(np.mean(judged == np.bincount(learned).argmax()))
    return float(np.mean(np.abs(judged - np.median(learned, axis=0))))


def interval(share: float, count: int) -> tuple[float, float]:
    """Where the true share of right answers lies with 95 % confidence.

    Args:
        share: of right answers.
        count: samples that it was measured on.

    Source: E. B. Wilson, Probable inference, the law of succession, and statistical inference, JASA 22, 1927.

    >>> [round(limit, 3) for limit in interval(1.0, 4)], [round(limit, 3) for limit in interval(0.9, 1000)]
    ([0.51, 1.0], [0.88, 0.917])
    """
    z2 = 1.959964**2
    centre = (share + z2 / (2 * count)) / (1 + z2 / count)
    half = math.sqrt(z2 * share * (1 - share) / count + z2 * z2 / (4 * count * count)) / (1 + z2 / count)
    return max(centre - half, 0.0), min(centre + half, 1.0)
