"""How well a score, or a predictor, puts candidates in the order of what they turn out to be worth."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

FloatArray = NDArray[np.float64]


def spearman(value: FloatArray, truth: FloatArray) -> float:
    """Spearman's correlation; 0 where one side does not vary or there are fewer than three.

    >>> spearman(np.array([1.0, 2.0, 9.0]), np.array([0.1, 0.2, 0.3])), spearman(np.zeros(3), np.arange(3.0))
    (1.0, 0.0)
    """
    if len(value) < 3 or not np.ptp(value) or not np.ptp(truth):
        return 0.0
    return float(np.corrcoef(rankdata(value), rankdata(truth))[0, 1])
