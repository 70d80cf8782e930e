"""Weights of few bits: the quantiser that networks are trained with and deployed by, and the layers that use it."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from hasnas.errors import BadInputError

from .layers import Conv2d, Linear, check_weight_bits


def weight_codes(weight: Tensor, bits: int) -> Tensor:
    """Signed integers that stand for the weights; what the cells of a crossbar store.

    For b bits and the weights w of one output column

        k = round((2^(b-1) - 1) w / max|w|)        from -(2^(b-1) - 1) to 2^(b-1) - 1
        k = 1 where w >= 0, else -1                for b = 1

    Codes are computed in double precision: copies of a network in other precisions get the same ones.

    Args:
        weight: `[outputs, ...]`.
        bits: b, 1 to 16.

    Returns:
        Whole numbers in double precision, of the weight's shape.

    Raises:
        BadInputError: if the bits are out of range.

    >>> weight_codes(torch.tensor([[0.5, -0.1, 0.0], [2.0, 1.0, -3.0]]), bits=3).tolist()
    [[3.0, -1.0, 0.0], [2.0, 1.0, -3.0]]
    """
    check_weight_bits(bits)
    if not bits:
        raise BadInputError("weight_bits is 0: float weights have no codes; give at least 1 bit")
    exact = weight.detach().double()
    if bits == 1:
        return torch.where(exact >= 0, 1.0, -1.0).to(exact)
    largest = _by_column(exact.abs(), "max")
    return torch.round(exact / torch.where(largest > 0, largest, 1.0) * largest_code(bits))


def column_scales(weight: Tensor, bits: int) -> Tensor:
    """Weight that the largest code of each output column stands for: max|w|, for 1 bit mean|w|; `[outputs, 1, ...]`."""
    return _by_column(weight.detach().abs(), "mean" if bits == 1 else "max")


def quantise(weight: Tensor, bits: int) -> Tensor:
    """Weights on the signed levels of b bits, with one scale for each output column, symmetric about zero.

        w' = max|w| k / (2^(b-1) - 1),        for b = 1:  w' = mean|w| sign(w)

    with the codes k of `weight_codes`. Levels are the same after quantising once more. The gradient passes straight
    through: dw'/dw = 1.

    Args:
        weight: `[outputs, ...]`.
        bits: b, 1 to 16; 0 leaves the weights as they are.

    Raises:
        BadInputError: if the bits are out of range.

    Source: Jacob et al., CVPR 2018 (uniform levels, straight-through training), here symmetric and for each column;
    1 bit: Rastegari et al., XNOR-Net, ECCV 2016; gradient: Bengio et al., arXiv:1308.3432, 2013.

    >>> quantise(torch.tensor([[0.5, -0.2, 0.0]]), bits=2).tolist(), quantise(torch.tensor([[3.0, -1.0]]), 1).tolist()
    ([[0.5, 0.0, 0.0]], [[2.0, -2.0]])
    """
    if bits == 0:
        return weight
    shares = (weight_codes(weight, bits) / largest_code(bits)).to(weight.dtype)
    # The second term is exactly zero and carries the gradient.
    return column_scales(weight, bits) * shares + (weight - weight.detach())


def largest_code(bits: int) -> int:
    """The code of the largest weight of a column."""
    return 1 if bits == 1 else 2 ** (bits - 1) - 1


def _by_column(values: Tensor, what: str) -> Tensor:
    flat = values.flatten(1)
    reduced = flat.mean(1) if what == "mean" else flat.amax(1)
    return reduced.reshape(-1, *[1] * (values.dim() - 1))


class QuantisedConv2d(nn.Conv2d):
    """A convolution that computes with quantised weights; its parameters are the float weights that are trained."""

    def __init__(self, operation: Conv2d) -> None:
        check_weight_bits(operation.weight_bits)
        super().__init__(
            operation.in_channels,
            operation.out_channels,
            operation.kernel_size,
            operation.stride,
            operation.padding,
            groups=operation.groups,
            bias=operation.bias,
        )
        self.weight_bits = operation.weight_bits

    def quantised_weight(self) -> Tensor:
        """The weights that the layer computes with."""
        return quantise(self.weight, self.weight_bits)

    def forward(self, input: Tensor) -> Tensor:
        """See `torch.nn.Conv2d`."""
        return self._conv_forward(input, self.quantised_weight(), self.bias)


class QuantisedLinear(nn.Linear):
    """A fully connected layer that computes with quantised weights; its parameters are the float weights."""

    def __init__(self, operation: Linear) -> None:
        check_weight_bits(operation.weight_bits)
        super().__init__(operation.in_features, operation.out_features, operation.bias)
        self.weight_bits = operation.weight_bits

    def quantised_weight(self) -> Tensor:
        """The weights that the layer computes with."""
        return quantise(self.weight, self.weight_bits)

    def forward(self, input: Tensor) -> Tensor:
        """See `torch.nn.Linear`."""
        return functional.linear(input, self.quantised_weight(), self.bias)


def weight_bits_of(module: nn.Module) -> int:
    """Bits of the weights that a layer computes with, 0 for float."""
    return module.weight_bits if isinstance(module, QuantisedConv2d | QuantisedLinear) else 0
