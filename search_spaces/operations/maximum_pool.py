"""The largest value of each window."""

from __future__ import annotations

from typing import ClassVar

from hasnas.search_spaces.layers import MaxPool2d, Operation

from .base import FieldRule, WindowOperation


class MaximumPool(WindowOperation):
    """`maxpool3x3` and other sizes, at stride 1: the largest value of each window."""

    kind: ClassVar[str] = "max_pool"
    prefix: ClassVar[str] = "maxpool"
    code: ClassVar[int] = 3
    field_rule: ClassVar[FieldRule | None] = FieldRule("maximum")
    own_column: ClassVar[bool] = False
    listed: ClassVar[tuple[str, ...]] = ("maxpool3x3",)

    def layers(self, channels: int) -> tuple[tuple[str, Operation], ...]:
        """See `CellOperation`."""
        return (("pool", MaxPool2d(self.window, 1, self.padding)),)
