"""The product that a programmed crossbar computes: wires, read noise, converters, shift-and-add."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike

from hasnas.errors import BadInputError

from .conductance import Conductances, FloatArray
from .converters import AdcLimits, digitise, input_planes, range_of


def multiply(
    conductances: Conductances,
    inputs: ArrayLike,
    limits: AdcLimits | None = None,
    input_scale: float | None = None,
    rng: np.random.Generator | None = None,
) -> FloatArray:
    """Outputs of a layer on its crossbars, for every chip at once.

    For each array of `rows` inputs, each slice of the weights and each bit plane of the inputs, the column currents
    gain read noise and are converted; the results are shifted and added digitally:

        y = sum over planes p, slices s, arrays a of  weight_p * weight_per_siemens_s * G_on * ADC(I_psa / (V G_on))

    Wire resistance is not applied here but before, with `with_wire_resistance`.

    Args:
        conductances: the programmed cells, leading axes are chips.
        inputs: shape `[batch, inputs]`: spikes, or analog levels relative to the read voltage.
        limits: range of the converters, from `calibrate` or `full_range`; needed if the device has an ADC.
        input_scale: if given, inputs are applied bit-serially with `input_bits` and this largest magnitude.
        rng: source of the read noise; needed if the device has any.

    Returns:
        Shape `[..., batch, outputs]`.

    Raises:
        BadInputError: if limits or generator are missing, or the inputs do not fit the layer.

    >>> from .conductance import to_conductances
    >>> from .spec import NonidealSpec
    >>> multiply(to_conductances([[2.0, -4.0]], NonidealSpec()), [[1.0, 0.0], [1.0, 1.0]]).tolist()
    [[2.0], [-2.0]]
    """
    spec = conductances.spec
    if spec.adc_bits and limits is None:
        raise BadInputError("the device has an ADC (adc_bits) but no range was given; use calibrate() or full_range()")
    if spec.read_noise and rng is None:
        raise BadInputError("the device has read noise but no generator was given; pass rng")
    scale = conductances.weight_per_siemens * conductances.positive.dtype.type(spec.on_conductance_s)
    planes, weights = _planes(conductances, inputs, input_scale)
    total = 0.0
    for plane, weight in zip(planes, weights, strict=True):
        for slice_index, positive, negative in _block_currents(conductances, plane, rng):
            if limits is not None and spec.adc_bits:
                ends = float(limits.low[slice_index]), float(limits.high[slice_index])
                positive = digitise(positive, *ends, spec.adc_bits)
                negative = digitise(negative, *ends, spec.adc_bits) if spec.signed == "offset" else negative
            difference = positive - negative[..., conductances.partner] if spec.signed == "offset" else positive
            total = total + weight * scale[slice_index] * difference
    return np.asarray(total)


def calibrate(design: Conductances, inputs: ArrayLike, input_scale: float | None = None) -> AdcLimits:
    """Converter ranges that cover `adc_percentile` of the column currents of an error-free chip.

    Args:
        design: the conductances before programming, see `to_conductances`.
        inputs: typical inputs, shape `[batch, inputs]`.
        input_scale: as for `multiply`.
    """
    spec = design.spec
    low, high = np.zeros(spec.slices), np.zeros(spec.slices)
    tail = 100.0 - spec.adc_percentile
    for plane in _planes(design, inputs, input_scale)[0]:
        for index, positive, negative in _block_currents(design, plane, None):
            for current in (positive, negative)[: 1 + (spec.signed == "offset")]:
                low[index] = min(low[index], np.percentile(current, tail))
                high[index] = max(high[index], np.percentile(current, spec.adc_percentile))
    return range_of(low, high)


def full_range(conductances: Conductances, signed_inputs: bool = False) -> AdcLimits:
    """Converter ranges that no column current can leave: every row of an array driven, every cell at G_on."""
    spec = conductances.spec
    reach = float(min(spec.rows, conductances.positive.shape[-2]))
    low = -reach if signed_inputs or spec.signed == "differential" else 0.0
    return range_of(np.full(spec.slices, low), np.full(spec.slices, reach))


def _planes(conductances: Conductances, inputs: ArrayLike, input_scale: float | None) -> tuple[FloatArray, FloatArray]:
    values = np.asarray(inputs, conductances.positive.dtype)
    expected = conductances.positive.shape[-2]
    if values.ndim != 2 or values.shape[1] != expected:
        raise BadInputError(f"inputs have shape {list(values.shape)}; the layer takes [batch, {expected}]")
    if not np.isfinite(values).all():
        raise BadInputError("inputs hold NaN or infinity; check the layer before")
    if input_scale is None or not conductances.spec.input_bits:
        return values[None], np.ones(1, values.dtype)
    return input_planes(values, conductances.spec.input_bits, input_scale)


def _block_currents(
    conductances: Conductances, inputs: FloatArray, rng: np.random.Generator | None
) -> Iterator[tuple[int, FloatArray, FloatArray]]:
    """Column currents of each slice and each array of rows, in units of G_on times the read voltage.

    In the differential scheme the first current is the difference already; the second is then unused.
    """
    spec = conductances.spec
    for top in range(0, inputs.shape[1], spec.rows):
        rows = slice(top, top + spec.rows)
        drive = inputs[:, rows]
        for index in range(spec.slices):
            cells = [part[..., index, rows, :] / spec.on_conductance_s for part in _parts(conductances)]
            if spec.signed == "differential":
                cells = [cells[0] - cells[1]]
            currents = [drive @ part for part in cells]
            if spec.read_noise and rng is not None:
                spreads = _noise_of(conductances, drive, (..., index, rows, slice(None)))
                noises = [spread * rng.standard_normal(spread.shape, spread.dtype.type) for spread in spreads]
                currents = [current + noise for current, noise in zip(currents, noises, strict=True)]
            yield index, currents[0], currents[-1]


def _noise_of(conductances: Conductances, drive: FloatArray, block: tuple[object, ...]) -> list[FloatArray]:
    """Standard deviation of each current of `_block_currents`.

    The noise of a column is the sum of independent cells, so its variance is sum over rows of
    (read_noise x G / G_on)^2, drawn at once instead of cell by cell.
    """
    spec = conductances.spec
    parts = [part[block] / spec.on_conductance_s for part in _parts(conductances)]  # type: ignore[index]
    if spec.variation_scales_with == "maximum":
        parts = [np.ones_like(part) for part in parts]
    variances = [np.square(drive) @ np.square(part * part.dtype.type(spec.read_noise)) for part in parts]
    if spec.signed == "differential":
        variances = [variances[0] + variances[1]]
    return [np.sqrt(variance) for variance in variances]


def _parts(conductances: Conductances) -> tuple[FloatArray, FloatArray]:
    return conductances.positive, conductances.negative
