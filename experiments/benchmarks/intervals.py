"""The interval that tables print beside a mean of few seeds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import t as student


def interval(values: Sequence[float] | np.ndarray, style: str = "+.2f") -> str:
    """Mean with its 95 % interval (Student's t), each number in a format's style.

    >>> interval([1.0, 2.0, 3.0])
    '+2.00 (-0.48 to +4.48)'
    """
    mean = np.mean(values)
    half = student.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / len(values) ** 0.5
    return f"{mean:{style}} ({mean - half:{style}} to {mean + half:{style}})"
