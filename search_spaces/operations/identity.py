"""The value as it is."""

from __future__ import annotations

from typing import ClassVar

from hasnas.search_spaces.layers import Operation

from .base import FieldRule, PlainOperation


class Identity(PlainOperation):
    """`identity`: the target receives the source's value."""

    kind: ClassVar[str] = "identity"
    code: ClassVar[int] = 0
    field_rule: ClassVar[FieldRule | None] = FieldRule("carry")
    own_column: ClassVar[bool] = False
    listed: ClassVar[tuple[str, ...]] = ("identity",)

    def layers(self, channels: int) -> tuple[tuple[str, Operation], ...]:
        """No layers: a connection."""
        return ()
