"""What an error-free layer sees and sends to its converters, to set their ranges."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from hasnas.cim_estimator.nonideal import AdcLimits, Conductances, with_wire_resistance
from hasnas.cim_estimator.nonideal.converters import range_of
from hasnas.nas.training.crossbar_forms import Form

from .columns import Columns
from .layer import ChipLayer, Reading, as_items, blocks, signals

_QUANTILE_VALUES = 2**20


class Probe:
    """Computes a layer without random errors or converters, and takes notes.

    A first run over examples finds the inputs' range; after `start_ranging` a second one finds the currents' range.

    Args:
        form: the layer.
        design: its conductances before programming.
        bias: of the module, or None.

    Attributes:
        values: outputs of the first run.
        signed: whether an input was negative.
    """

    def __init__(self, form: Form, design: Conductances, bias: Tensor | None) -> None:
        self.form, self.bias, self.device = form, bias, design.spec
        exact = design.spec.with_changes({"adc_bits": 0, "read_noise": 0.0})
        cells = replace(design, positive=design.positive[None], negative=design.negative[None], spec=exact)
        self.cells = with_wire_resistance(cells)
        self.layer = ChipLayer(form, self.cells, bias, Reading(), torch.Generator())
        self.arrays: list[Columns] = []
        self.values, self.signed, self._spikes, self._largest = 0, False, True, 0.0
        self._low, self._high = np.zeros(self.device.slices), np.zeros(self.device.slices)

    def __call__(self, x: Tensor) -> Tensor:
        """The layer's output."""
        if self.arrays:
            self._note_currents(as_items(self.form, x)[0])
        else:
            self.signed |= bool(x.min() < 0)
            self._spikes &= bool(((x == 0) | (x == 1)).all())
            self._largest = max(self._largest, float(x.abs().max()))
        y = self.layer(x)
        self.values += 0 if self.arrays else y.numel()
        return y

    def input_scale(self) -> float | None:
        """Largest input magnitude if the inputs are read bit by bit, None for spikes, silence and analog inputs."""
        return self._largest if self.device.input_bits and not self._spikes else None

    def start_ranging(self) -> None:
        """From now on, note the column currents."""
        self.layer = ChipLayer(self.form, self.cells, self.bias, Reading(self.input_scale()), torch.Generator())
        steps = np.ones(self.device.slices)
        self.arrays = [
            Columns(self.form, signal, rows, steps) for rows in blocks(self.cells) for signal in signals(self.cells)
        ]

    def limits(self) -> AdcLimits:
        """Converter ranges that cover `adc_percentile` of the currents."""
        return range_of(self._low, self._high)

    def _note_currents(self, items: Tensor) -> None:
        tail = 100.0 - self.device.adc_percentile
        for plane, _ in self.layer.planes(items):
            for columns in self.arrays:
                for index, current in enumerate(columns.currents(plane, torch.Generator()).unbind(2)):
                    low, high = _percentiles(current, tail)
                    self._low[index], self._high[index] = min(self._low[index], low), max(self._high[index], high)


def _percentiles(values: Tensor, tail: float) -> tuple[float, float]:
    if not tail:
        return float(values.min()), float(values.max())
    some = values.flatten()[:: max(1, values.numel() // _QUANTILE_VALUES)].cpu().numpy()
    low, high = np.percentile(some, [tail, 100.0 - tail])
    return float(low), float(high)
