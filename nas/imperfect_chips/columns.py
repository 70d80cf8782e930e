"""The columns of one array, all slices of the weights at once."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from hasnas.cim_estimator.nonideal.conductance import FloatArray
from hasnas.nas.training.crossbar_forms import Form, Rows


class Columns:
    """Column currents of one array in steps of its converters.

    The slices share their inputs, so they are columns side by side in one product.

    Args:
        form: the layer.
        signal: conductances in units of G_on, `[chips, groups, slices, inputs, columns]`, all inputs of the layer.
        rows: the inputs that this array holds.
        steps: unit of the currents for each slice, in the current of one cell at G_on.
        power: variance of the read noise, in the layout of `signal`, or None.
    """

    def __init__(
        self, form: Form, signal: FloatArray, rows: Rows, steps: FloatArray, power: FloatArray | None = None
    ) -> None:
        self.form, self.rows = form, rows
        self.groups, self.slices = signal.shape[1:3]
        device = form.module.weight.device
        self.signal = form.prepare(_side_by_side(signal, rows, 1 / steps).to(device), rows)
        self.variance = None
        if power is not None:
            self.variance = form.prepare(_side_by_side(power, rows, 1 / np.square(steps)).to(device), rows)

    def currents(self, plane: Tensor, generator: torch.Generator) -> Tensor:
        """Currents `[items, groups, slices, columns, ...]` of items, with fresh noise."""
        currents = self.form.product(plane, self.signal, self.rows)
        if self.variance is not None:
            spread = self.form.product(plane.square(), self.variance, self.rows).clamp_(min=0).sqrt_()
            currents.add_(spread.mul_(normals(spread, generator)))
        return currents.reshape(len(currents), self.groups, self.slices, -1, *currents.shape[2:])


def normals(like: Tensor, generator: torch.Generator) -> Tensor:
    """Normal values of a tensor's shape and type, on its device; drawn on the CPU, so alike on all devices."""
    return torch.randn(like.shape, generator=generator, dtype=like.dtype).to(like.device)


def _side_by_side(cells: FloatArray, rows: Rows, factors: FloatArray) -> Tensor:
    """`[chips, groups, slices, inputs, columns]` -> `[chips, groups, rows, slices * columns]`, each slice scaled."""
    part = cells[..., slice(*rows), :] * factors[:, None, None]
    chips, groups, _, height, _ = part.shape
    joined = np.moveaxis(part, 2, 3).reshape(chips, groups, height, -1)
    return torch.from_numpy(np.ascontiguousarray(joined, np.float32))
