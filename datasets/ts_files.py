"""Files in the `.ts` format of the UEA and UCR archives of time series: a header, then a series a line.

    @classLabel true one two
    @data
    0.1,0.2,0.3:5,6,7:one        dimensions parted by colons, the class last; lengths may differ from line to line
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hasnas.errors import BadInputError

from .arrays import check_magnitude


@dataclass(frozen=True, eq=False)
class Series:
    """Labelled series.

    Args:
        values: one `[C, L]` for each series.
        targets: number of its class, `[N]`.
        classes: names of the classes, as the header lists them.
    """

    values: tuple[NDArray[np.float32], ...]
    targets: NDArray[np.int64]
    classes: tuple[str, ...]


def read_ts(path: Path) -> Series:
    """The series of a file with class labels and without time stamps.

    Raises:
        BadInputError: if the file cannot be read, holds something else, or lacks values.
    """
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeError) as error:
        raise BadInputError(f"cannot read {path} ({error}); check the path") from error
    header = {words[0].lower(): words[1:] for line in lines if line.startswith("@") and (words := line.split())}
    told = header.get("@classlabel", ["false"])
    if told[0].lower() != "true" or header.get("@timestamps", ["false"])[0].lower() == "true":
        raise BadInputError(f"{path}: only series with class labels and without time stamps can be read")
    classes = tuple(told[1:])
    start = next((number for number, line in enumerate(lines, 1) if line.lower() == "@data"), len(lines))
    read = [_series(line, f"{path}:{number}") for number, line in enumerate(lines[start:], start + 1) if line]
    if not read:
        raise BadInputError(f"{path} holds no series behind a line '@data'; fetch it anew")
    for values, label in read:
        if label not in classes or len(values) != len(read[0][0]):
            raise BadInputError(f"{path}: a series of {len(values)} dimensions and class '{label}' does not fit")
    targets = np.array([classes.index(label) for _, label in read], np.int64)
    return Series(tuple(values for values, _ in read), targets, classes)


def _series(line: str, where: str) -> tuple[NDArray[np.float32], str]:
    *dimensions, label = line.split(":")
    try:
        values = np.array([[float(value) for value in one.split(",")] for one in dimensions], np.float32)
    except ValueError as error:
        raise BadInputError(f"{where}: its dimensions are no numbers or not equally long; mend the line") from error
    if 0 in values.shape or not np.isfinite(values).all():
        raise BadInputError(f"{where}: no values, or some are missing; fill them in")
    check_magnitude(values, where)
    return values, label
