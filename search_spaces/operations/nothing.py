"""No edge at all."""

from __future__ import annotations

from typing import ClassVar

from hasnas.search_spaces.layers import Operation

from .base import FieldRule, PlainOperation


class Nothing(PlainOperation):
    """`none`: the two nodes are not connected. Cells drop such edges, so nothing is ever built of them."""

    kind: ClassVar[str] = "none"
    code: ClassVar[int] = -1
    field_rule: ClassVar[FieldRule | None] = FieldRule("carry")  # of an edge that is never there
    own_column: ClassVar[bool] = False
    listed: ClassVar[tuple[str, ...]] = ("none",)

    def layers(self, channels: int) -> tuple[tuple[str, Operation], ...]:
        """No layers."""
        return ()
