"""Adds up prices as they are computed, so that a population's breakdown need not be held in memory."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


@dataclass
class Tally:
    """The total of a quantity, and its parts by component and layer if they are to be kept.

    Args:
        leading: the candidates' axes, `[...]`.
        keep: whether to keep the parts.

    >>> tally = Tally(leading=(), keep=False)
    >>> tally.add("adc", np.array([1.0, 2.0]))
    >>> float(tally.total)
    3.0
    """

    leading: tuple[int, ...]
    keep: bool
    parts: dict[str, FloatArray] = field(default_factory=dict)
    total: FloatArray = field(init=False)

    def __post_init__(self) -> None:
        self.total = np.zeros(self.leading)

    def add(self, component: str, values: FloatArray) -> None:
        """Add one component's price of each layer, broadcastable to `[..., L]`."""
        self.total = self.total + values.sum(axis=-1)
        if self.keep:
            known = self.parts.get(component)
            self.parts[component] = values if known is None else known + values
