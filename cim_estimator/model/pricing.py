"""What a cost model hands to the report."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .tally import Tally

FloatArray = NDArray[np.float64]


@dataclass
class Price:
    """The physical costs of a workload as a cost model found them.

    Args:
        energy: joules.
        area: square metres.
        latency_by_layer_s: time each layer is busy per sample, `[..., L]`.
        latency_s: of a sample, `[...]`.
        interval_s: time between two samples in a stream, `[...]`.
        crossbars: arrays in use, `[..., L]`.
        cells_used: share of the allotted cells that hold weights, `[...]`.
        warnings: what the reader should know.
    """

    energy: Tally
    area: Tally
    latency_by_layer_s: FloatArray
    latency_s: FloatArray
    interval_s: FloatArray
    crossbars: FloatArray
    cells_used: FloatArray
    warnings: list[str] = field(default_factory=list)
