"""A layer as its crossbars compute it on many chips: cells, read noise, converters, shift-and-add."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hasnas.cim_estimator.nonideal import AdcLimits, Conductances, to_weights
from hasnas.cim_estimator.nonideal.conductance import FloatArray
from hasnas.cim_estimator.nonideal.converters import adc_step
from hasnas.errors import BadInputError
from hasnas.nas.training.crossbar_forms import Form, Rows, column_units, item_axes

from .columns import Columns, normals


@dataclass(frozen=True)
class Reading:
    """How a layer's crossbars are read.

    Args:
        input_scale: largest input magnitude if inputs are applied bit-serially, None for spikes and analog inputs.
        limits: ranges of the converters, None where they are ideal.
    """

    input_scale: float | None = None
    limits: AdcLimits | None = None


class ChipLayer:
    """Computes a Conv2d or Linear on chips; call it in place of the module's `forward`.

    With ideal converters everything is linear: the cells fold into one matrix per chip, and the read noise of a sum
    is drawn once. Otherwise every array of rows, slice of the weights and bit plane of the inputs is converted by
    itself, as `cim_estimator.nonideal.multiply` does.

    Args:
        form: the layer.
        cells: its conductances, `[chips, groups, slices, inputs, outputs]`, wires included.
        bias: added digitally, or None.
        reading: how it is read.
        generator: source of the read noise.
    """

    def __init__(
        self, form: Form, cells: Conductances, bias: Tensor | None, reading: Reading, generator: torch.Generator
    ) -> None:
        self.form, self.bias, self.reading = form, bias, reading
        self.device = form.module.weight.device
        units = column_units(form.module)
        self.units = None if units is None else units.to(self.device)
        self.spec, self.generator = cells.spec, generator
        groups, references = cells.positive.shape[1], cells.negative.shape[-1]
        partner = torch.from_numpy((np.arange(groups)[:, None] * references + cells.partner).ravel())
        self.partner = partner.to(self.device)
        if self.spec.adc_bits:
            self._prepare_converted(cells)
        else:
            self._prepare_linear(cells)

    def __call__(self, x: Tensor) -> Tensor:
        """Outputs of `[..., items, features]` or `[..., items, C, H, W]`, chips innermost in the axis of items."""
        items, leading = as_items(self.form, x)
        y = self._converted(items) if self.spec.adc_bits else self._linear(items)
        if self.units is not None:
            y = y * self.units.reshape(-1, *[1] * (y.dim() - 2))
        if self.bias is not None:
            y = y + self.bias.reshape(-1, *[1] * (y.dim() - 2))
        return y.reshape(*leading, *y.shape[1:])

    def planes(self, x: Tensor) -> Iterator[tuple[Tensor, float]]:
        """Bit planes of the inputs and their weights; the inputs themselves where they are spikes or analog."""
        scale, bits = self.reading.input_scale, self.spec.input_bits
        if scale is None or not bits:
            yield x, 1.0
            return
        top = 2**bits - 1
        codes = (x.abs() / scale).clamp_(max=1).mul_(top).round_().to(torch.int32)
        for bit in range(bits):
            yield ((codes >> bit) & 1).to(x.dtype) * x.sign(), scale / top * 2**bit

    def _prepare_linear(self, cells: Conductances) -> None:
        self.all_rows = (0, cells.positive.shape[-2])
        self.folded = self.form.prepare(self._tensor(np.swapaxes(to_weights(cells), -1, -2)), self.all_rows)
        scale = np.square(cells.weight_per_siemens * self.spec.on_conductance_s)
        powers = [np.einsum("cgsio,s->cgio", power, scale) for power in noise_powers(cells)]
        self.variances = [self.form.prepare(self._tensor(power), self.all_rows) for power in powers]

    def _linear(self, x: Tensor) -> Tensor:
        y = self.form.product(self._as_codes(x), self.folded, self.all_rows)
        if self.variances:
            drive = torch.stack([weight**2 * plane.square() for plane, weight in self.planes(x)]).sum(0)
            noises = [self.form.product(drive, variance, self.all_rows) for variance in self.variances]
            noises = [noise.clamp_(min=0).sqrt_().mul_(normals(noise, self.generator)) for noise in noises]
            y = y + noises[0]
            if len(noises) > 1:
                y = y - noises[1][:, self.partner]
        return y

    def _tensor(self, array: FloatArray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array, np.float32)).to(self.device)

    def _as_codes(self, x: Tensor) -> Tensor:
        """Inputs as the sum of their bit planes."""
        scale, bits = self.reading.input_scale, self.spec.input_bits
        if scale is None or not bits:
            return x
        step = scale / (2**bits - 1)
        return (x.clamp(-scale, scale) / step).round_() * step

    def _prepare_converted(self, cells: Conductances) -> None:
        limits = self.reading.limits
        if limits is None:
            raise BadInputError("the device has an ADC (adc_bits) but no range was given; calibrate the layer first")
        steps = np.array(
            [adc_step(low, high, self.spec.adc_bits) for low, high in zip(limits.low, limits.high, strict=True)]
        )
        self.codes = np.rint(limits.low / steps).tolist(), np.rint(limits.high / steps).tolist()
        self.scale = (cells.weight_per_siemens * self.spec.on_conductance_s * steps).tolist()
        parts, powers = signals(cells), noise_powers(cells)
        self.arrays = [
            [
                Columns(self.form, part, rows, steps, powers[index] if powers else None)
                for index, part in enumerate(parts)
            ]
            for rows in blocks(cells)
        ]

    def _converted(self, x: Tensor) -> Tensor:
        totals: list[Tensor] = []
        for plane, weight in self.planes(x):
            for array in self.arrays:
                for index, columns in enumerate(array):
                    codes = columns.currents(plane, self.generator)
                    if len(totals) <= index:
                        totals.append(torch.zeros_like(codes[:, :, 0]))
                    for part in range(codes.shape[2]):
                        one = codes[:, :, part].clamp_(self.codes[0][part], self.codes[1][part]).round_()
                        totals[index].add_(one, alpha=weight * self.scale[part])
        outputs = [total.flatten(1, 2) for total in totals]
        return outputs[0] if len(outputs) == 1 else outputs[0] - outputs[1][:, self.partner]


def as_items(form: Form, x: Tensor) -> tuple[Tensor, torch.Size]:
    """Inputs with one axis of items, and the axes that were there instead."""
    leading = x.shape[: x.dim() - item_axes(form)]
    return x.reshape(-1, *x.shape[len(leading) :]), leading


def blocks(cells: Conductances) -> list[Rows]:
    """The rows that share an array: the layer's inputs cut at `spec.rows`."""
    inputs = cells.positive.shape[-2]
    return [(top, min(top + cells.spec.rows, inputs)) for top in range(0, inputs, cells.spec.rows)]


def signals(cells: Conductances) -> list[FloatArray]:
    """What is converted, in units of G_on: the difference of two cells, or columns and references."""
    positive, negative = (part / cells.spec.on_conductance_s for part in (cells.positive, cells.negative))
    return [positive - negative] if cells.spec.signed == "differential" else [positive, negative]


def noise_powers(cells: Conductances) -> list[FloatArray]:
    """Variance of the read noise of each of `signals`' entries, in units of G_on squared; empty without noise."""
    spec = cells.spec
    if not spec.read_noise:
        return []
    parts = [part / spec.on_conductance_s for part in (cells.positive, cells.negative)]
    if spec.variation_scales_with == "maximum":
        parts = [np.ones_like(part) for part in parts]
    powers = [np.square(part * part.dtype.type(spec.read_noise)) for part in parts]
    return [powers[0] + powers[1]] if spec.signed == "differential" else powers
