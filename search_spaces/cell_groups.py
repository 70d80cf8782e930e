"""How the codes of any space read as codes of cells, which array-level prices, scores and features are written for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from hasnas.errors import BadInputError

from .snasnet import CellSpace
from .space import Codes, SearchSpace


@dataclass(frozen=True, eq=False)
class CellGroup:
    """Candidates that are drawn in one cell space, with one macro.

    Args:
        space: the cell space.
        codes: the candidates in that space, `[n, genes of it]`.
        rows: their positions among the codes that were asked about, `[n]`.
    """

    space: CellSpace
    codes: Codes
    rows: NDArray[np.int64]


@runtime_checkable
class ReadsAsCells(Protocol):
    """A space that is not a `CellSpace` but says how its codes read as codes of one."""

    def cell_groups(self, codes: Codes) -> Sequence[CellGroup]:
        """The candidates `[N, genes]`, each in exactly one group; at least one group even where N is 0."""


def cell_groups(space: SearchSpace, codes: Codes) -> list[CellGroup]:
    """The candidates of any space, grouped by cell space and macro.

    Args:
        space: where the codes belong.
        codes: `[N, genes]`.

    Raises:
        BadInputError: if the space does not say how its codes read as cells.

    >>> from hasnas.search_spaces.macro import Macro
    >>> (group,) = cell_groups(CellSpace(Macro()), np.zeros((3, 6), int))
    >>> group.rows.tolist()
    [0, 1, 2]
    """
    array = np.atleast_2d(np.asarray(codes))
    if isinstance(space, CellSpace):
        return [CellGroup(space, array, np.arange(len(array)))]
    if isinstance(space, ReadsAsCells):
        return list(space.cell_groups(array))
    raise BadInputError(
        f"the space {type(space).__name__} has no cell_groups(codes), which says how its codes read as cells; add it"
    )


def as_cells(space: SearchSpace, codes: Codes) -> tuple[CellSpace, Codes]:
    """The one cell space and the codes in it that candidates of a space read as.

    Raises:
        BadInputError: if they have different macros, so that there is no such space.
    """
    groups = cell_groups(space, codes)
    if len(groups) > 1:
        raise BadInputError(f"the candidates have {len(groups)} different macros; go through cell_groups one by one")
    order = np.argsort(groups[0].rows, kind="stable")
    return groups[0].space, groups[0].codes[order]


def by_group(
    space: SearchSpace, codes: Codes, function: Callable[[CellSpace, Codes], NDArray[Any]]
) -> NDArray[Any]:
    """What a function of cell codes says about candidates of any space.

    Args:
        space: where the codes belong.
        codes: `[N, genes]`.
        function: cell space and its codes `[n, genes]` -> `[n, ...]`.

    Returns:
        `[N, ...]`.
    """
    groups = cell_groups(space, codes)
    parts = [function(group.space, group.codes) for group in groups]
    if len(groups) == 1 and np.array_equal(groups[0].rows, np.arange(len(parts[0]))):
        return parts[0]
    result = np.zeros((sum(len(group.rows) for group in groups), *parts[0].shape[1:]), parts[0].dtype)
    for group, part in zip(groups, parts, strict=True):
        result[group.rows] = part
    return result
