"""A physical constant that says where it comes from."""

from __future__ import annotations

from dataclasses import dataclass

from hasnas.errors import BadInputError

from .units import format_quantity


@dataclass(frozen=True)
class Constant:
    """A number with its unit and its source; a constant without a source cannot be made.

    Args:
        value: the number, in `unit`.
        unit: e.g. `"J"`, `"um2"`, `"1"`.
        source: paper, file or person that the number comes from.

    Raises:
        BadInputError: if the source is empty.

    >>> str(Constant(2.03084e-12, "J", "SpikeSim, ela_spikesim.py"))
    '2.031 pJ (SpikeSim, ela_spikesim.py)'
    """

    value: float
    unit: str
    source: str

    def __post_init__(self) -> None:
        if not self.source.strip():
            raise BadInputError(f"constant {self.value} {self.unit} has no source; name where the number comes from")

    def __str__(self) -> str:
        return f"{format_quantity(self.value, self.unit)} ({self.source})"
