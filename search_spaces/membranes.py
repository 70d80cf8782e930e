"""Membrane potentials of few bits: the registers that hardware keeps them in."""

from __future__ import annotations

import torch
from torch import Tensor

from .neurons import check_membrane_bits


def hold(membrane: Tensor, threshold: float, bits: int) -> Tensor:
    """Membrane potentials as a register of b bits holds them: signed fixed point, saturating, rounded to the nearest.

        v' = D clip(round(v / D), -2^(b-1), 2^(b-1) - 1),    D = threshold / 2^(b-2)

    so that v' runs from -2 thresholds to 2 thresholds - D and the threshold is a step. Ties go to the even step. The
    gradient passes straight through, also where v' saturates: dv'/dv = 1.

    Args:
        membrane: v, of any shape, float32 or float64.
        threshold: firing threshold, positive.
        bits: b, 2 to 16; 0 leaves the potentials as they are.

    Raises:
        BadInputError: if the bits are out of range.

    Source: gradient: Bengio et al., arXiv:1308.3432, 2013; training with few-bit membranes: Yin et al., "MINT:
    Multiplier-less Integer Quantization for Energy Efficient Spiking Neural Networks", ASP-DAC 2024 (there membranes
    share a scale with the weights; here the threshold sets it).

    >>> hold(torch.tensor([0.3, 0.9, 1.9, -7.0]), threshold=1.0, bits=3).tolist()
    [0.5, 1.0, 1.5, -2.0]
    """
    check_membrane_bits(bits)
    if not bits:
        return membrane
    step, largest = step_of(threshold, bits), 2 ** (bits - 1)
    with torch.no_grad():
        rounded = (membrane / step).round_().clamp_(-largest, largest - 1).mul_(step)
    # The second term is exactly zero and carries the gradient.
    return rounded + (membrane - membrane.detach()) if membrane.requires_grad else rounded


def held(value: float, threshold: float, bits: int) -> float:
    """A single number as `hold` rounds it.

    >>> held(0.9, threshold=1.0, bits=4), held(-9.0, threshold=1.0, bits=4), held(0.9, threshold=1.0, bits=0)
    (1.0, -2.0, 0.9)
    """
    check_membrane_bits(bits)
    if not bits:
        return value
    step, largest = step_of(threshold, bits), 2 ** (bits - 1)
    return min(max(round(value / step), -largest), largest - 1) * step


def step_of(threshold: float, bits: int) -> float:
    """Membrane potential that one step of a register stands for.

    >>> step_of(1.0, bits=4)
    0.25
    """
    return threshold / 2 ** (bits - 2)
