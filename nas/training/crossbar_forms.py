"""Convolutions and fully connected layers as products with a matrix of cells, a different one on every chip.

A batch holds every sample once per chip, chips innermost: item = sample * chips + chip. Chips then never mix, whatever
the rest of the network does to single items, and a convolution over all chips is one grouped convolution on a view.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from hasnas.errors import BadInputError
from hasnas.search_spaces.quantization import column_scales, largest_code, weight_bits_of, weight_codes

Rows = tuple[int, int]


class Form(Protocol):
    """How the inputs of a layer meet the rows of its crossbars.

    Cells of a layer with weights of few bits hold the integer codes, the same scale for all; what a code of each output
    is worth is multiplied to the outputs by the digital part, see `column_units`.
    """

    @property
    def module(self) -> nn.Conv2d | nn.Linear:
        """The layer."""

    def matrix(self) -> np.ndarray:
        """The weights, `[groups, outputs, inputs]`."""

    def prepare(self, cells: Tensor, rows: Rows) -> Tensor:
        """Weights of some rows, `[chips, groups, rows, outputs]`, in the layout that `product` takes."""

    def product(self, x: Tensor, prepared: Tensor, rows: Rows) -> Tensor:
        """Outputs `[items, groups * outputs, ...]` of items `[items, ...]` on the chips that `prepared` holds."""


@dataclass(frozen=True)
class ConvolutionForm:
    """A Conv2d; its matrix has one row per input channel of a group and kernel position."""

    module: nn.Conv2d

    def matrix(self) -> np.ndarray:
        weight = _stored(self.module)
        return weight.reshape(self.module.groups, -1, weight[0].numel()).numpy()

    def prepare(self, cells: Tensor, rows: Rows) -> Tensor:
        chips, groups, _, outputs = cells.shape
        height, width = self.module.kernel_size
        first, last = self._channels(rows)
        padded = cells.new_zeros(chips, groups, outputs, (last - first) * height * width)
        start = rows[0] - first * height * width
        padded[..., start : start + rows[1] - rows[0]] = cells.transpose(-1, -2)
        return padded.reshape(chips, groups * outputs, last - first, height, width)

    def product(self, x: Tensor, prepared: Tensor, rows: Rows) -> Tensor:
        module, chips = self.module, len(prepared)
        groups = chips * module.groups
        x = x.reshape(len(x) // chips, groups, -1, *x.shape[-2:])
        first, last = self._channels(rows)
        if last - first < x.shape[2]:
            x = x[:, :, first:last]
        x = x.reshape(len(x), -1, *x.shape[-2:])
        padding: str | tuple[int, ...] | int = module.padding
        if module.padding_mode != "zeros":
            x = functional.pad(x, module._reversed_padding_repeated_twice, mode=module.padding_mode)
            padding = 0
        y = functional.conv2d(x, prepared.flatten(0, 1), None, module.stride, padding, module.dilation, groups)
        return y.reshape(len(y) * chips, -1, *y.shape[-2:])

    def _channels(self, rows: Rows) -> Rows:
        """Input channels of a group that some of the rows belong to."""
        size = self.module.kernel_size[0] * self.module.kernel_size[1]
        return rows[0] // size, -(-rows[1] // size)


@dataclass(frozen=True)
class LinearForm:
    """A Linear; its matrix is its weight."""

    module: nn.Linear

    def matrix(self) -> np.ndarray:
        return _stored(self.module).unsqueeze(0).numpy()

    def prepare(self, cells: Tensor, rows: Rows) -> Tensor:
        return cells[:, 0].contiguous()

    def product(self, x: Tensor, prepared: Tensor, rows: Rows) -> Tensor:
        chips = len(prepared)
        by_chip = x[:, rows[0] : rows[1]].reshape(len(x) // chips, chips, -1).transpose(0, 1)
        return torch.bmm(by_chip, prepared).transpose(0, 1).reshape(len(x), -1)


def _stored(module: nn.Conv2d | nn.Linear) -> Tensor:
    """What the cells stand for: the weights, or the codes of weights of few bits."""
    bits = weight_bits_of(module)
    weight = module.weight.detach().cpu()
    return weight_codes(weight, bits).float() if bits else weight.float()


def column_units(module: nn.Conv2d | nn.Linear) -> Tensor | None:
    """Weight that one code of each output stands for, `[outputs]`; None where the cells hold the weights themselves."""
    bits = weight_bits_of(module)
    if not bits:
        return None
    return column_scales(module.weight.detach().cpu().float(), bits).flatten() / largest_code(bits)


def form_of(name: str, module: nn.Module) -> Form:
    """The form of a layer that crossbars can hold.

    Raises:
        BadInputError: if the module is neither Conv2d nor Linear.
    """
    if isinstance(module, nn.Conv2d):
        return ConvolutionForm(module)
    if isinstance(module, nn.Linear):
        return LinearForm(module)
    raise BadInputError(f"layer {name} is a {type(module).__name__}; crossbars hold Conv2d and Linear layers")


def item_axes(form: Form) -> int:
    """Axes of one item as the layer sees it: channels, height and width, or features."""
    return 3 if isinstance(form, ConvolutionForm) else 1
