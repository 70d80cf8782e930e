"""What is known of a run's samples before anything is learned from them; without torch."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hasnas.datasets.source import DatasetCard, Samples, stratified_split
from hasnas.datasets.splits import content_digest
from hasnas.nas.history.worth import DataFacts


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
    blind = _blind(targets[kept], targets[held], card.place), _blind(targets[kept], judged, card.place)
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


def _blind(learned: NDArray[Any], judged: NDArray[Any], place: bool) -> float:
    """What the best constant answer by the learned targets reaches on others."""
    if learned.ndim == 1:
        return float(np.mean(judged == np.bincount(learned).argmax()))
    errors = judged - np.median(learned, axis=0)
    return float(np.mean(np.linalg.norm(errors, axis=1) if place else np.abs(errors)))
