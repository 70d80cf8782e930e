"""Tables of cells of any space that were really trained: JSON lines, whole or part of a space, one seed or several."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hasnas.errors import BadInputError
from hasnas.files import read_text
from hasnas.search_spaces.macro import Macro
from hasnas.search_spaces.space import SPACES, Codes, SearchSpace

FloatArray = NDArray[np.float64]
SUFFIX = ".jsonl"


@dataclass(frozen=True, eq=False)
class CellsTable:
    """Trained results of N candidates.

    Args:
        space: what the codes mean.
        dataset: registered name of the data they were trained on.
        codes: canonical codes, `[N, genes]`.
        test: accuracy in percent on samples that no training saw, mean over seeds, `[N]`.
    """

    space: SearchSpace
    dataset: str
    codes: Codes
    test: FloatArray

    @property
    def ids(self) -> NDArray[np.int64]:
        """A number for each row."""
        return np.arange(len(self.test))

    def __len__(self) -> int:
        return len(self.test)


def header(space_name: str, options: Mapping[str, Any], macro: Macro, dataset: str) -> str:
    """The first line of a table.

    Args:
        space_name: as registered.
        options: what the space is made with beside its macro.
        macro: what surrounds the cells.
        dataset: registered name.
    """
    return json.dumps({"space": space_name, "options": dict(options), "macro": macro.to_json(), "dataset": dataset})


def read_cells(path: Path) -> CellsTable:
    """Read a table: `header`, then a line `{"codes": [...], "accuracy": 0 to 1}` for each training.

    Further keys are ignored. Trainings of the same codes are averaged.

    Raises:
        BadInputError: naming the file and the line, if something is missing or cannot be.
    """
    lines = [line for line in read_text(path).splitlines() if line.strip()]
    first = _object(path, 1, lines[0] if lines else "")
    try:
        macro = Macro.from_json(first["macro"])
        space, dataset = SPACES.get(first["space"])(macro, **first["options"]), str(first["dataset"])
        choices = [len(gene.choices) for gene in space.genes]
    except (KeyError, TypeError, ValueError) as error:
        what = error.args[0] if isinstance(error, BadInputError) else f"{error} is missing or cannot be"
        raise BadInputError(f"{path}, line 1: {what}; give space, options, macro and dataset") from error
    found: dict[tuple[int, ...], list[float]] = {}
    for number, line in enumerate(lines[1:], start=2):
        codes, accuracy = _training(path, number, line, choices)
        found.setdefault(codes, []).append(100 * accuracy)
    if len(found) < 3:
        raise BadInputError(f"{path}: {len(found)} trained candidates; give at least 3")
    return CellsTable(space, dataset, np.array(list(found), np.int16), np.array([np.mean(a) for a in found.values()]))


def _training(path: Path, number: int, line: str, choices: Sequence[int]) -> tuple[tuple[int, ...], float]:
    row = _object(path, number, line)
    codes, accuracy = row.get("codes"), row.get("accuracy")
    if not isinstance(codes, list) or len(codes) != len(choices):
        raise BadInputError(f"{path}, line {number}: codes is {codes!r:.60}; give a list of {len(choices)} numbers")
    if not all(type(code) is int and 0 <= code < most for code, most in zip(codes, choices, strict=True)):
        raise BadInputError(f"{path}, line {number}: codes {codes} are not of the space; check the options in line 1")
    if isinstance(accuracy, bool) or not isinstance(accuracy, int | float) or not 0 <= accuracy <= 1:
        raise BadInputError(f"{path}, line {number}: accuracy is {accuracy!r:.30}; give a share from 0 to 1")
    return tuple(codes), float(accuracy)


def _object(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:  # no JSON, a number of thousands of digits, nested too deeply
        what = str(error).partition(";")[0]
        raise BadInputError(f"{path}, line {number} is no JSON ({what}); mend or remove the line") from error
    if not isinstance(found, dict):
        raise BadInputError(f"{path}, line {number} is no object in braces; mend or remove the line")
    return found
