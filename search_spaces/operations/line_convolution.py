"""Neurons, a convolution along a line, batch norm."""

from __future__ import annotations

from typing import ClassVar

from .convolution import Convolution


class LineConvolution(Convolution):
    """`conv1x3`, `conv1x5` and other lengths: a `Convolution` along a line, for one-dimensional signals.

    A kernel of k places has k rows of a crossbar for each input channel, where a square one has k * k.
    """

    kind: ClassVar[str] = "conv1d"
    code: ClassVar[int] = 5
    along_line: ClassVar[bool] = True
    smallest: ClassVar[int] = 3
    own_column: ClassVar[bool] = True
    listed: ClassVar[tuple[str, ...]] = ("conv1x3", "conv1x5")
