"""What a ledger's records look like has a number; records of older formats are brought up to today's as they are read.

The events `start`, `resume` and `extend` say in their details in which `format` the records from there on are written,
and by which version of `hasnas`; before 0.1.0 there was format 1 without a word. A change of what records look like
adds one to `FORMAT`, a step to `STEPS` and, at its release, a folder to `tests/golden/runs`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hasnas import __version__
from hasnas.errors import BadInputError

FORMAT = 1
# Format -> what makes of one of its records one of the next format.
STEPS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}


def written_now() -> dict[str, Any]:
    """What the details of an event say of the records that follow it.

    >>> sorted(written_now())
    ['format', 'hasnas']
    """
    return {"format": FORMAT, "hasnas": __version__}


def check_format(number: int, where: str) -> None:
    """Refuse records of a format that only later versions know.

    Raises:
        BadInputError: if it is such a one.
    """
    if number > FORMAT:
        raise BadInputError(
            f"{where} was written by a later version of hasnas (format {number}, this one reads up to {FORMAT}); "
            "install that version: pip install --upgrade hasnas"
        )


def brought_up(record: dict[str, Any], written_in: int) -> dict[str, Any]:
    """A record as this version writes it.

    Args:
        record: as it was written; may be changed.
        written_in: its format.
    """
    for number in range(written_in, FORMAT):
        record = STEPS[number](record)
    return record
