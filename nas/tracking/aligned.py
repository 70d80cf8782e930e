"""Tables for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from hasnas.errors import one_line


def align(rows: Sequence[Sequence[str]]) -> str:
    """Rows of cells as columns of text; control characters in them are written out.

    >>> print(align([("a", "bcd"), ("ef", "g")]))
    a   bcd
    ef  g
    """
    plain = [[one_line(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in plain) for column in range(len(plain[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in plain
    )
