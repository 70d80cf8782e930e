"""The largest value of each window along a line."""

from __future__ import annotations

from typing import ClassVar

from .maximum_pool import MaximumPool


class LineMaximumPool(MaximumPool):
    """`maxpool1x3` and other lengths: a `MaximumPool` along a line."""

    kind: ClassVar[str] = "max_pool1d"
    code: ClassVar[int] = 7
    along_line: ClassVar[bool] = True
    own_column: ClassVar[bool] = True
    listed: ClassVar[tuple[str, ...]] = ("maxpool1x3",)
