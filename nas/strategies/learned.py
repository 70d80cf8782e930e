"""What each told candidate has brought to a predictor that began with a training-free score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hasnas.nas.scoring.correlation import spearman

from .gaussian_process import GaussianProcess, distances, rank_gaussian

FloatArray = NDArray[np.float64]
TOLD = (10, 25, 50, 100, 200, 500)
LEAST, FOLDS = 5, 10


@dataclass(frozen=True)
class Learned:
    """How well candidates are ranked once so many are told.

    Args:
        told: how many.
        score: rank correlation of the training-free score with their values.
        predictor: that of what the process says of each tenth of them when it is told the others.
    """

    told: int
    score: float
    predictor: float


def learned_after(
    features: FloatArray, believed: FloatArray, values: FloatArray, counts: Sequence[int] = TOLD
) -> list[Learned]:
    """What the first of the told have brought, and all of them.

    Args:
        features: `[n, features]`, standardised, in the order of the telling.
        believed: the score's rank of each, `[n]`, see `GaussianProcess.fit`.
        values: what was told, `[n]`.
        counts: numbers of the first ones; those below five and above n are left out.

    >>> points = np.linspace(-1, 1, 30)[:, None]
    >>> bent = np.sin(3 * points[:, 0])
    >>> found = learned_after(points, -points[:, 0], bent, (10, 20))
    >>> [one.told for one in found], found[-1].predictor > 0.9 > 0 > found[-1].score
    ([10, 20, 30], True)
    """
    known = sorted({count for count in (*counts, len(values)) if LEAST <= count <= len(values)})
    return [
        Learned(
            count,
            spearman(believed[:count], values[:count]),
            spearman(_told_the_others(features[:count], believed[:count], values[:count]), values[:count]),
        )
        for count in known
    ]


def _told_the_others(features: FloatArray, believed: FloatArray, values: FloatArray) -> FloatArray:
    apart, guesses = distances(features, features), np.empty(len(values))
    fold = np.arange(len(values)) % FOLDS
    for number in np.unique(fold):
        out, told = np.flatnonzero(fold == number), np.flatnonzero(fold != number)
        targets = rank_gaussian(values[told])
        process = GaussianProcess.fit(apart[np.ix_(told, told)], targets, features.shape[1], believed[told])
        guesses[out] = process.predict(apart[np.ix_(out, told)])[0] + process.slope * believed[out]
    return guesses
