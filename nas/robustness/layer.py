"""A layer as its crossbars compute it on many chips: cells, read noise, converters, shift-and-add."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hasnas.cim_estimator.nonideal import AdcLimits, Conductances, to_weights
from hasnas.cim_estimator.nonideal.converters import adc_step

from .forms import Form, Rows, item_axes


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

    With ideal converters and no read noise everything is linear, and the cells fold into one matrix per chip.
    Otherwise every array of rows, slice of the weights and bit plane of the inputs is read and converted by itself,
    as `cim_estimator.nonideal.multiply` does.

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
        self.form, self.cells, self.bias, self.reading, self.generator = form, cells, bias, reading, generator
        spec = cells.spec
        self.scale = (cells.weight_per_siemens * spec.on_conductance_s).tolist()
        if spec.adc_bits or spec.read_noise:
            slices = range(spec.slices)
            self.arrays = [ArrayOfCells(form, cells, rows, index) for rows in blocks(cells) for index in slices]
        else:
            rows = (0, cells.positive.shape[-2])
            self.folded = form.prepare(_tensor(np.swapaxes(to_weights(cells), -1, -2)), rows)

    def __call__(self, x: Tensor) -> Tensor:
        """Outputs of `[..., items, features]` or `[..., items, C, H, W]`, chips innermost in the axis of items."""
        items, leading = as_items(self.form, x)
        y = self._outputs(items)
        if self.bias is not None:
            y = y + self.bias.reshape(-1, *[1] * (y.dim() - 2))
        return y.reshape(*leading, *y.shape[1:])

    def _outputs(self, x: Tensor) -> Tensor:
        spec = self.cells.spec
        if not (spec.adc_bits or spec.read_noise):
            return self.form.product(self._as_codes(x), self.folded, (0, self.cells.positive.shape[-2]))
        total: Tensor | None = None
        for plane, weight in self.planes(x):
            for array in self.arrays:
                part = self._read(array, plane) * (weight * self.scale[array.index])
                total = part if total is None else total.add_(part)
        assert total is not None, "a layer has at least one array"
        return total

    def _read(self, array: ArrayOfCells, plane: Tensor) -> Tensor:
        """The digital difference of one array's positive and negative columns."""
        currents = array.currents(plane, self.generator)
        limits, bits = self.reading.limits, self.cells.spec.adc_bits
        if limits is not None and bits:
            low, high = float(limits.low[array.index]), float(limits.high[array.index])
            step = adc_step(low, high, bits)
            currents = [current.clamp_(low, high).div_(step).round_().mul_(step) for current in currents]
        if len(currents) == 1:
            return currents[0]
        return currents[0] - currents[1][:, array.partner]

    def planes(self, x: Tensor) -> Iterator[tuple[Tensor, float]]:
        """Bit planes of the inputs and their weights; the inputs themselves where they are spikes or analog."""
        scale, bits = self.reading.input_scale, self.cells.spec.input_bits
        if scale is None or not bits:
            yield x, 1.0
            return
        top = 2**bits - 1
        codes = (x.abs() / scale).clamp_(max=1).mul_(top).round_().to(torch.int32)
        for bit in range(bits):
            yield ((codes >> bit) & 1).to(x.dtype) * x.sign(), scale / top * 2**bit

    def _as_codes(self, x: Tensor) -> Tensor:
        """Inputs as the sum of their bit planes, for layers that are linear."""
        scale, bits = self.reading.input_scale, self.cells.spec.input_bits
        if scale is None or not bits:
            return x
        step = scale / (2**bits - 1)
        return (x.clamp(-scale, scale) / step).round_() * step


class ArrayOfCells:
    """One slice of the weights on one array of rows, in units of G_on."""

    def __init__(self, form: Form, cells: Conductances, rows: Rows, index: int) -> None:
        spec = cells.spec
        self.form, self.rows, self.index = form, rows, index
        parts = [part[..., index, slice(*rows), :] / spec.on_conductance_s for part in (cells.positive, cells.negative)]
        differential = spec.signed == "differential"
        signal = [parts[0] - parts[1]] if differential else parts
        self.signal = [form.prepare(_tensor(part), rows) for part in signal]
        self.variance: list[Tensor] = []
        if spec.read_noise:
            spread = [part if spec.variation_scales_with == "conductance" else np.ones_like(part) for part in parts]
            power = [np.square(part * spec.read_noise) for part in spread]
            power = [power[0] + power[1]] if differential else power
            self.variance = [form.prepare(_tensor(part), rows) for part in power]
        groups, references = parts[0].shape[1], parts[1].shape[-1]
        self.partner = torch.from_numpy((np.arange(groups)[:, None] * references + cells.partner).ravel())

    def currents(self, plane: Tensor, generator: torch.Generator) -> list[Tensor]:
        """Column currents of the items, one tensor (difference) or two (columns and references)."""
        currents = [self.form.product(plane, cells, self.rows) for cells in self.signal]
        for current, variance in zip(currents, self.variance, strict=bool(self.variance)):
            spread = self.form.product(plane.square(), variance, self.rows).clamp_(min=0).sqrt_()
            current.add_(spread.mul_(torch.randn(current.shape, generator=generator, dtype=current.dtype)))
        return currents


def as_items(form: Form, x: Tensor) -> tuple[Tensor, torch.Size]:
    """Inputs with one axis of items, and the axes that were there instead."""
    leading = x.shape[: x.dim() - item_axes(form)]
    return x.reshape(-1, *x.shape[len(leading) :]), leading


def blocks(cells: Conductances) -> list[Rows]:
    """The rows that share an array: the layer's inputs cut at `spec.rows`."""
    inputs = cells.positive.shape[-2]
    return [(top, min(top + cells.spec.rows, inputs)) for top in range(0, inputs, cells.spec.rows)]


def _tensor(array: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, np.float32))
