"""The mean over windows along a line."""

from __future__ import annotations

from typing import ClassVar

from .average_pool import AveragePool


class LineAveragePool(AveragePool):
    """`avgpool1x3` and other lengths: an `AveragePool` along a line."""

    kind: ClassVar[str] = "avg_pool1d"
    code: ClassVar[int] = 6
    along_line: ClassVar[bool] = True
    own_column: ClassVar[bool] = True
    listed: ClassVar[tuple[str, ...]] = ("avgpool1x3",)
