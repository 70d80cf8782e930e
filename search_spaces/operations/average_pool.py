"""The mean over windows, zeros counted at the border."""

from __future__ import annotations

from typing import ClassVar

from hasnas.search_spaces.layers import AvgPool2d, Operation

from .base import FieldRule, WindowOperation


class AveragePool(WindowOperation):
    """`avgpool3x3` and other sizes, at stride 1: the mean over windows, zeros counted at the border."""

    kind: ClassVar[str] = "avg_pool"
    prefix: ClassVar[str] = "avgpool"
    code: ClassVar[int] = 2
    field_rule: ClassVar[FieldRule | None] = FieldRule("mean")
    own_column: ClassVar[bool] = False
    listed: ClassVar[tuple[str, ...]] = ("avgpool3x3",)

    def layers(self, channels: int) -> tuple[tuple[str, Operation], ...]:
        """See `CellOperation`."""
        return (("pool", AvgPool2d(self.window, 1, self.padding)),)
