"""Signed weights as conductances of memory cells and back: quantisation, bit slices, differential or offset columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hasnas.errors import BadInputError

from .spec import NonidealSpec

FloatArray = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Conductances:
    """The memory cells of one layer.

    Args:
        positive: siemens, shape `[..., slices, inputs, outputs]`; leading axes are chips, groups or nothing.
        negative: the cells that are subtracted. Differential: same shape. Offset: one reference column per array,
            shape `[..., slices, inputs, references]`.
        weight_unit: weight that one unit of the stored code stands for.
        spec: the device.
    """

    positive: FloatArray
    negative: FloatArray
    weight_unit: float
    spec: NonidealSpec

    @property
    def weight_per_siemens(self) -> FloatArray:
        """Weight that one siemens of each slice stands for, shape `[slices]`; slice 0 holds the lowest bits."""
        spec = self.spec
        significance = 2.0 ** (spec.cell_bits * np.arange(spec.slices))
        span_s = spec.on_conductance_s - spec.off_conductance_s
        scale = significance * self.weight_unit * cell_codes(spec) / span_s
        return scale.astype(self.positive.dtype)

    @property
    def partner(self) -> NDArray[np.int64]:
        """Column of `negative` that is subtracted from each output, shape `[outputs]`."""
        outputs = np.arange(self.positive.shape[-1])
        return outputs if self.spec.signed == "differential" else outputs // (self.spec.columns - 1)


def largest_code(spec: NonidealSpec) -> float:
    """Code that the largest weight is stored as: 2**(bits - 1) - 1, or 1 for continuous weights."""
    bits = spec.weight_bits
    if not bits and spec.cell_bits:
        bits = spec.cell_bits + (spec.signed == "differential")
    if bits:
        return float(2 ** (bits - 1) - 1)
    return 1.0 if spec.signed == "differential" else 0.5


def zero_code(spec: NonidealSpec) -> float:
    """Code of weight zero: 0 in the differential scheme, the middle of the range in the offset scheme."""
    if spec.signed == "differential":
        return 0.0
    return largest_code(spec) + 1.0 if _is_quantised(spec) else 0.5


def cell_codes(spec: NonidealSpec) -> float:
    """Code of a cell at G_on (its largest)."""
    if spec.cell_bits:
        return float(2**spec.cell_bits - 1)
    return largest_code(spec) + zero_code(spec)


def to_conductances(weights: ArrayLike, spec: NonidealSpec) -> Conductances:
    """The conductances that an error-free chip stores for a layer.

    The weights are scaled so that the largest magnitude takes the largest code, rounded, and cut into slices of
    `cell_bits`; a code c of a cell stands for

        G = G_off + (G_on - G_off) c / (2**cell_bits - 1)

    Args:
        weights: shape `[..., outputs, inputs]`; all leading axes share one scale.
        spec: the device.

    Raises:
        BadInputError: if the weights are not finite numbers or have fewer than two axes.

    >>> spec = NonidealSpec(on_resistance_ohm=1e4, cell_bits=1, weight_bits=3)
    >>> cells = to_conductances([[-1.0, 0.7]], spec)          # codes -3 and 2: bits 11 and 10
    >>> (cells.positive[:, :, 0] * 1e4).tolist(), (cells.negative[:, :, 0] * 1e4).tolist()
    ([[0.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [1.0, 0.0]])
    """
    matrix = _checked_weights(weights)
    largest = float(np.abs(matrix).max(initial=0.0))
    unit = (largest or 1.0) / largest_code(spec)
    codes = np.swapaxes(matrix, -1, -2) / matrix.dtype.type(unit)
    if _is_quantised(spec):
        codes = np.rint(codes)
    if spec.signed == "differential":
        positive, negative = np.maximum(codes, 0), np.maximum(-codes, 0)
    else:
        references = -(-codes.shape[-1] // (spec.columns - 1))
        positive = codes + codes.dtype.type(zero_code(spec))
        negative = np.full((*codes.shape[:-1], references), zero_code(spec), codes.dtype)
    return Conductances(_store(positive, spec), _store(negative, spec), unit, spec)


def to_weights(conductances: Conductances) -> FloatArray:
    """The weights that a layer's cells stand for, whatever has happened to them.

        w = sum over slices of weight_per_siemens * (G_positive - G_negative)

    Returns:
        Shape `[..., outputs, inputs]`.

    >>> cells = to_conductances([[0.5, -1.0]], NonidealSpec(off_resistance_ohm=1e5))
    >>> to_weights(cells).round(12).tolist()
    [[0.5, -1.0]]
    """
    difference = conductances.positive - conductances.negative[..., conductances.partner]
    stored = np.einsum("...sio,s->...oi", difference, conductances.weight_per_siemens)
    return np.ascontiguousarray(stored)


def _is_quantised(spec: NonidealSpec) -> bool:
    return bool(spec.cell_bits or spec.weight_bits)


def _store(codes: FloatArray, spec: NonidealSpec) -> FloatArray:
    """Codes `[..., inputs, outputs]` cut into slices of cells, in siemens, `[..., slices, inputs, outputs]`."""
    if spec.slices > 1:
        base = codes.dtype.type(2**spec.cell_bits)
        parts = [np.floor(codes / base**index) % base for index in range(spec.slices)]
    else:
        parts = [codes]
    share = np.stack(parts, axis=-3) / codes.dtype.type(cell_codes(spec))
    span_s = codes.dtype.type(spec.on_conductance_s - spec.off_conductance_s)
    return share * span_s + codes.dtype.type(spec.off_conductance_s)


def _checked_weights(weights: ArrayLike) -> FloatArray:
    try:
        matrix = np.asarray(weights)
        matrix = matrix if matrix.dtype in (np.float32, np.float64) else matrix.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise BadInputError("weights are not an array of numbers; give shape [outputs, inputs]") from error
    if matrix.ndim < 2 or 0 in matrix.shape:
        raise BadInputError(f"weights have shape {list(matrix.shape)}; give [outputs, inputs], neither of them 0")
    if not np.isfinite(matrix).all():
        where = np.argwhere(~np.isfinite(matrix))[0].tolist()
        raise BadInputError(f"weights hold {matrix[tuple(where)]} at {where}; retrain or repair the checkpoint")
    return matrix
