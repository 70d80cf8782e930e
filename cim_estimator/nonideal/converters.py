"""Analog-to-digital converters at the columns, and inputs that are applied bit by bit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hasnas.errors import BadInputError

from .conductance import FloatArray


@dataclass(frozen=True)
class AdcLimits:
    """The input range of the converters, one for each slice of the weights.

    Args:
        low: lower end in units of the current of one cell at G_on and full read voltage, shape `[slices]`; either 0
            or minus `high`.
        high: upper end, above 0, shape `[slices]`.
    """

    low: NDArray[np.float64]
    high: NDArray[np.float64]


def digitise(values: FloatArray, low: float, high: float, bits: int) -> FloatArray:
    """Round to the nearest code of a converter; values outside the range take its end.

    A range from 0 has 2**bits codes; a range symmetric about 0 has one fewer, so that 0 is a code.

    Args:
        values: column currents in any unit.
        low: lower end of the range, in the same unit.
        high: upper end.
        bits: resolution; 0 = ideal converter, the values come back.

    >>> digitise(np.array([-1.0, 0.3, 0.9, 7.0]), 0.0, 3.0, bits=2).tolist()
    [0.0, 0.0, 1.0, 3.0]
    >>> digitise(np.array([-9.0, -0.4, 0.6]), -1.0, 1.0, bits=2).tolist()
    [-1.0, 0.0, 1.0]
    """
    if not bits:
        return values
    step = adc_step(low, high, bits)
    return np.rint(np.clip(values, low, high) / step) * step + 0.0  # no negative zeros


def adc_step(low: float, high: float, bits: int) -> float:
    """Distance between two codes, see `digitise`.

    Raises:
        BadInputError: if the range is empty, or neither starts at 0 nor is symmetric about it.
    """
    if not high > low or (low != 0 and low != -high):
        raise BadInputError(f"the ADC range is {low} to {high}; give 0 to a positive number, or minus to plus one")
    if low and bits == 1:
        raise BadInputError("a converter of 1 bit has no code below 0; give adc_bits of 2 or more for signed currents")
    return (high - low) / (2**bits - (1 if low == 0 else 2))


def range_of(low: ArrayLike, high: ArrayLike) -> AdcLimits:
    """The converter range that covers the observed extremes of each slice.

    Currents that are never negative get a range from 0, others a range symmetric about 0. A slice that was silent
    gets the current of one cell.

    >>> limits = range_of([-2.0, 0.0, 0.0], [1.0, 5.0, 0.0])
    >>> limits.low.tolist(), limits.high.tolist()
    ([-2.0, 0.0, 0.0], [2.0, 5.0, 1.0])
    """
    low, high = np.asarray(low, np.float64), np.asarray(high, np.float64)
    reach = np.maximum(np.abs(low), np.abs(high))
    reach = np.where(reach > 0, reach, 1.0)
    return AdcLimits(np.where(low < 0, -reach, 0.0), reach)


def input_planes(inputs: FloatArray, bits: int, scale: float) -> tuple[FloatArray, FloatArray]:
    """Real inputs as bit planes for bit-serial reading; signs are kept.

        inputs ~ sum over planes of weight * plane,      plane in {-1, 0, 1},   weight = scale 2**p / (2**bits - 1)

    Args:
        inputs: any shape; magnitudes above `scale` are clipped to it.
        bits: bits of the magnitude.
        scale: magnitude of the largest code.

    Returns:
        Planes, shape `[bits, ...]`, lowest bit first, and their weights, shape `[bits]`.

    >>> planes, weights = input_planes(np.array([1.0, -0.4]), bits=2, scale=1.5)
    >>> planes.tolist(), weights.tolist()
    ([[0.0, -1.0], [1.0, 0.0]], [0.5, 1.0])
    """
    top = 2**bits - 1
    codes = np.rint(np.minimum(np.abs(inputs) / scale, 1) * top).astype(np.int64)
    planes = np.stack([(codes >> plane) & 1 for plane in range(bits)]) * np.sign(inputs).astype(np.int64)
    return planes.astype(inputs.dtype), (scale / top * 2.0 ** np.arange(bits)).astype(inputs.dtype)
