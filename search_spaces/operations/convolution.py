"""Neurons, convolution, batch norm."""

from __future__ import annotations

from typing import ClassVar

from hasnas.search_spaces.layers import BatchNorm, Conv2d, Operation

from .base import FieldRule, WindowOperation


class Convolution(WindowOperation):
    """`conv3x3` and other sizes: spikes, convolution without bias, batch norm.

    Kernels uniform within 1 / sqrt(fan in) have weights of variance 1 / (3 fan in), so the result has a third of the
    rate for variance.
    """

    kind: ClassVar[str] = "conv"
    prefix: ClassVar[str] = "conv"
    code: ClassVar[int] = 1
    spiking: ClassVar[bool] = True
    smallest: ClassVar[int] = 1
    field_rule: ClassVar[FieldRule | None] = FieldRule("convolve", rate_per_variance=3)
    own_column: ClassVar[bool] = False
    listed: ClassVar[tuple[str, ...]] = (
        "conv1x1",
        "conv3x3",
        "conv5x5",
        "conv3x3_t0.5",
        "conv3x3_t1.0",
        "conv3x3_t1.5",
    )

    def layers(self, channels: int) -> tuple[tuple[str, Operation], ...]:
        """See `CellOperation`."""
        kernel = Conv2d(channels, channels, self.window, 1, self.padding)
        return ("conv", kernel), ("norm", BatchNorm(channels))
