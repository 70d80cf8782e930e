"""Tables in text, as programs and spreadsheets write them."""

from __future__ import annotations

from collections.abc import Sequence


def rows_of(lines: Sequence[str]) -> list[list[str]]:
    """Cells of lines between semicolons, tabs, commas or else blanks, without the quotes of spreadsheets.

    >>> rows_of(['"t";"x"', "1;2"]), rows_of(["1 2"])
    ([['t', 'x'], ['1', '2']], [['1', '2']])
    """
    separator = next((mark for mark in (";", "\t", ",") if any(mark in line for line in lines)), None)
    return [[cell.strip().strip("\"'") for cell in line.split(separator)] for line in lines]
