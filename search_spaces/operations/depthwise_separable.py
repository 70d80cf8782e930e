"""Neurons, one filter for each channel, a 1 x 1 convolution over channels, batch norm."""

from __future__ import annotations

from typing import ClassVar

from hasnas.search_spaces.layers import BatchNorm, Conv2d, Operation

from .base import FieldRule, WindowOperation


class DepthwiseSeparable(WindowOperation):
    """`dwsep3x3` and other sizes: spikes, depthwise convolution, pointwise convolution, batch norm.

    Each of the two convolutions turns a power into a third of it (weights of variance 1 / (3 fan in)), so the result
    has a ninth of the rate for variance. Both keep correlations between places and timesteps, as one convolution does.

    Source: Howard et al., "MobileNets", arXiv:1704.04861, 2017; here without a nonlinearity between the two.
    """

    kind: ClassVar[str] = "depthwise_separable"
    prefix: ClassVar[str] = "dwsep"
    code: ClassVar[int] = 4
    spiking: ClassVar[bool] = True
    field_rule: ClassVar[FieldRule | None] = FieldRule("convolve", rate_per_variance=9)
    listed: ClassVar[tuple[str, ...]] = ("dwsep3x3",)

    def layers(self, channels: int) -> tuple[tuple[str, Operation], ...]:
        """See `CellOperation`."""
        depthwise = Conv2d(channels, channels, self.window, 1, self.padding, groups=channels)
        return ("depthwise", depthwise), ("pointwise", Conv2d(channels, channels, 1)), ("norm", BatchNorm(channels))
