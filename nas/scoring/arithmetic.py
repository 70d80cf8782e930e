"""Which numbers convolutions of spikes are computed with: detected on this machine, checked against single precision.

Spikes are 0 or 1, so that only the weights are rounded: to 8 bits a channel (`int8`: whole numbers, added up exactly),
to the 8-bit mantissa of `bf16`, or not at all (`float32`). Where few neurons fire, `int8` takes 16 bits, in two
products of 8, and `bf16` single precision.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from hasnas.errors import BadInputError, nearest
from hasnas.search_spaces.layers import Sides, pair

ARITHMETICS = ("float32", "bf16", "int8")
LEVELS = 127
# Below this rate of spikes weights are rounded less: far from the threshold few neurons fire, and errors weigh more.
RARE = 0.02
# Relative error of a convolution's result that rounding its weights may cause, by kind of number.
TOLERANCE = {"float32": 1e-5, "bf16": 6e-3, "int8": 6e-3}


Part = tuple[Tensor, Tensor]


@dataclass(frozen=True, eq=False)
class PackedWeight:
    """A convolution's weight made ready: parts that add up to it, each as its kernel wants it, with its scale `[C']`.

    Args:
        parts: for spikes.
        fine: for rare spikes.
        stride, padding: of the convolution.
    """

    parts: tuple[Part, ...]
    fine: tuple[Part, ...]
    stride: Sides
    padding: Sides


def pack(weight: Tensor, stride: Sides, padding: Sides, kind: str) -> PackedWeight:
    """Round a weight `[out, in, height, width]` to one kind of number."""
    ones = torch.ones(len(weight))
    if kind == "int8":
        step = weight.abs().amax(dim=(1, 2, 3)).clamp_min(1e-12) / LEVELS
        small = step / (2 * LEVELS)
        coarse = (weight / step[:, None, None, None]).round()
        rest = ((weight - coarse * step[:, None, None, None]) / small[:, None, None, None]).round()
        first, second = (_prepacked(part.to(torch.int8), stride, padding) for part in (coarse, rest))
        return PackedWeight(((first, step),), ((first, step), (second, small)), stride, padding)
    exact = weight.contiguous(memory_format=torch.channels_last)
    rounded = exact.to(torch.bfloat16) if kind == "bf16" else exact
    return PackedWeight(((rounded, ones),), ((exact, ones),), stride, padding)


def convolve(spikes: Tensor, packed: PackedWeight) -> list[Part]:
    """The convolution of `[N, H, W, C]` as terms `[N, H', W', C']` in float32, each with its scale.

    Args:
        spikes: zeros and ones, uint8; any values, float32, for weights in float32.
        packed: see `pack`.
    """
    image = spikes.permute(0, 3, 1, 2)
    rare = int(spikes.count_nonzero()) < RARE * spikes.numel()
    terms = []
    for part, scale in packed.fine if rare else packed.parts:
        result = _product(image, part, len(scale), packed)
        terms.append((result.permute(0, 2, 3, 1).float().contiguous(), scale))
    return terms


def _prepacked(weight: Tensor, stride: Sides, padding: Sides) -> Tensor:
    ones = torch.ones(len(weight))
    settings = ([*pair(stride)], [*pair(padding)], [1, 1], 1)
    return torch.ops.onednn.qconv_prepack(weight.contiguous(), ones, 1.0, 0, *settings, None)


def _product(image: Tensor, part: Tensor, channels: int, packed: PackedWeight) -> Tensor:
    if part.dtype.is_floating_point and part.layout == torch.strided:
        return torch.conv2d(image.to(part.dtype), part, None, packed.stride, packed.padding)
    settings = ([*pair(packed.stride)], [*pair(packed.padding)], [1, 1], 1)
    ones, zeros = torch.ones(channels), torch.zeros(channels, dtype=torch.int64)
    return torch.ops.onednn.qconv2d_pointwise(
        image, 1.0, 0, part, ones, zeros, None, *settings, 1.0, 0, torch.float32, "none", [], ""
    )


@lru_cache(maxsize=1)
def detected() -> str:
    """The fastest kind of number that this processor has instructions for and that passes `error_of`."""
    flags = _processor_flags()
    wanted = [("int8", "avx512_vnni"), ("bf16", "avx512_bf16"), ("bf16", "amx_bf16")]
    for kind, flag in wanted:
        if flag in flags and error_of(kind) <= TOLERANCE[kind]:
            return kind
    return "float32"


def chosen(kind: str | None) -> str:
    """A kind by name, or the detected one.

    Raises:
        BadInputError: if there is no such kind.
    """
    if kind is not None and kind not in ARITHMETICS:
        raise BadInputError(f"unknown arithmetic '{kind}'{nearest(kind, ARITHMETICS)}")
    return kind or detected()


def error_of(kind: str) -> float:
    """Root mean square error against single precision of a small convolution, relative; inf where it cannot run."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.rand(32, 32, 3, 3, generator=generator) - 0.5
    spikes = (torch.rand(2, 8, 8, 32, generator=generator) < 0.2).to(torch.uint8)
    exact = convolve(spikes, pack(weight, 1, 1, "float32"))[0][0]
    try:
        found = sum(term * scale for term, scale in convolve(spikes, pack(weight, 1, 1, kind)))
    except (RuntimeError, AttributeError, NotImplementedError):
        return float("inf")
    return float((found - exact).norm() / exact.norm())


def _processor_flags() -> frozenset[str]:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return frozenset()
    return frozenset(next((line for line in lines if line.startswith("flags")), "").split())
