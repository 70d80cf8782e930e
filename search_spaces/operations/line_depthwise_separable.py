"""Neurons, one filter along a line for each channel, a 1 x 1 convolution over channels, batch norm."""

from __future__ import annotations

from typing import ClassVar

from .depthwise_separable import DepthwiseSeparable


class LineDepthwiseSeparable(DepthwiseSeparable):
    """`dwsep1x3` and other lengths: a `DepthwiseSeparable` convolution along a line."""

    kind: ClassVar[str] = "depthwise_separable1d"
    code: ClassVar[int] = 8
    along_line: ClassVar[bool] = True
    listed: ClassVar[tuple[str, ...]] = ("dwsep1x3",)
