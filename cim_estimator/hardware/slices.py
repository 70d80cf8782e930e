"""The one rule for how the bits of a weight are spread over memory cells."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def bit_slices(weight_bits: NDArray[np.integer[Any]], cell_bits: int, signed: str) -> NDArray[np.integer[Any]]:
    """Cells that share the bits of one weight.

    Args:
        weight_bits: bits of signed weights, any shape.
        cell_bits: bits that one cell stores.
        signed: how a sign is stored; with `"differential"` it costs no bit, since a second column holds what is below
            zero (that column's cells are not counted here).

    >>> bit_slices(np.array([1, 2, 5, 8]), 2, "differential"), bit_slices(np.array([1, 2, 5, 8]), 2, "offset")
    (array([1, 1, 2, 4]), array([1, 1, 3, 4]))
    """
    stored = np.maximum(1, weight_bits - 1) if signed == "differential" else weight_bits
    return -(-stored // cell_bits)
