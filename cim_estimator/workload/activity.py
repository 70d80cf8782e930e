"""How many inputs spike: dense, assumed or measured."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hasnas.errors import BadInputError

from .workload import Workload


@dataclass(frozen=True)
class Activity:
    """Which share of a layer's inputs is non-zero at each evaluation.

    Args:
        kind: `"dense"` (every input, the worst case), `"assumed"` (one share for all layers) or `"measured"` (each
            layer's `input_rate`; where that is unknown the layer counts as dense and the report warns).
        rate: the assumed share.

    >>> Activity.assumed(0.1).rate
    0.1
    >>> Activity.assumed(10)
    Traceback (most recent call last):
        ...
    hasnas.errors.BadInputError: activity rate is 10; give the share of inputs that spike, 0 to 1
    """

    kind: str = "dense"
    rate: float = 1.0

    def __post_init__(self) -> None:
        if math.isnan(self.rate) or not 0 <= self.rate <= 1:
            raise BadInputError(f"activity rate is {self.rate}; give the share of inputs that spike, 0 to 1")

    @staticmethod
    def dense() -> Activity:
        """Every input is active."""
        return Activity()

    @staticmethod
    def assumed(rate: float) -> Activity:
        """The same share of spikes in every layer."""
        return Activity("assumed", rate)

    @staticmethod
    def measured() -> Activity:
        """Each layer's own measured rate."""
        return Activity("measured")

    def rates(self, workload: Workload) -> NDArray[np.float64]:
        """Share of active inputs of each slot, broadcastable to `[..., L]`."""
        if self.kind == "measured":
            return np.where(np.isnan(workload.input_rate), 1.0, workload.input_rate)
        return np.full(1, self.rate)
