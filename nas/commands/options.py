"""What several commands of the command line share; nothing heavy is imported here."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import typer

from hasnas.errors import BadInputError, one_line

HELP = {"help_option_names": ["-h", "--help"]}
AS_JSON = typer.Option(False, "--json", help="Print JSON.")
ROOT = typer.Option(None, "--data-root", help="The folder that holds the datasets' files.")


def tell(text: object, err: bool = False) -> None:
    """Print lines; names and paths come from users and files, and what a terminal would obey is written out."""
    typer.echo("\n".join(one_line(line) for line in str(text).split("\n")), err=err)


def tell_json(tree: Any) -> None:
    """Print plain data as JSON; what JSON has no word for, such as paths, as text."""
    tell(json.dumps(tree, indent=2, default=str))


def records(rows: Sequence[Sequence[Any]]) -> list[dict[str, Any]]:
    """A table as JSON has it: a mapping for each row below the first, which names the columns.

    >>> records([("NAME", "WHAT IT IS"), ("a", "a chip")])
    [{'name': 'a', 'what_it_is': 'a chip'}]
    """
    header, *others = rows
    names = [str(cell).lower().replace(" ", "_") for cell in header]
    return [dict(zip(names, row, strict=True)) for row in others]


def read_numbers(text: str, option: str) -> tuple[float, ...]:
    """Numbers with commas between them; none of an empty text.

    Raises:
        BadInputError: naming the option, if one is no finite number.

    >>> read_numbers("0.5, 1", "--mean"), read_numbers("", "--mean")
    ((0.5, 1.0), ())
    """
    try:
        found = tuple(float(part) for part in text.split(",")) if text.strip() else ()
    except ValueError as error:
        raise BadInputError(f"{option} is '{text}'; give numbers with commas between them, one a channel") from error
    if not all(map(math.isfinite, found)):
        raise BadInputError(f"{option} is '{text}'; give finite numbers")
    return found


@contextmanager
def steps_shown(label: str, quick: int = 5_000) -> Iterator[Callable[[int], None]]:
    """A bar on standard error, drawn where that is a terminal; to be called after each step with the number of all.

    Args:
        label: what stands before it.
        quick: fewer steps are over within seconds, and no bar is drawn.
    """
    with ExitStack() as stack:
        bars, live = list[Any](), sys.stderr.isatty()

        def progress(steps: int) -> None:
            if steps < quick or not live:
                return
            if not bars:
                bar = typer.progressbar(length=steps, label=label, file=sys.stderr, update_min_steps=steps // 200)
                bars.append(stack.enter_context(bar))
            bars[0].update(1)

        yield progress


def reject_repeated(fields: Sequence[str], options: str) -> None:
    """Refuse a field of the hardware that is named twice.

    Raises:
        BadInputError: naming it.
    """
    twice = next((field for number, field in enumerate(fields) if field in fields[:number]), None)
    if twice is not None:
        raise BadInputError(f"{twice} is given twice by {options}; give it once")
