"""The cells of many candidates as arrays over ordered pairs of nodes: what every score of a population reads."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hasnas.search_spaces.cell_groups import as_cells
from hasnas.search_spaces.snasnet import CellSpace
from hasnas.search_spaces.space import Codes, SearchSpace

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class CellArrays:
    """One cell of N candidates, dead edges removed. All arrays are `[N, nodes, nodes]`, source first.

    Args:
        identity, conv, average_pool, max_pool: where an edge with such an operation runs.
        threshold: firing threshold of the neurons before a convolution; 0 where there is none.
        kernel_size: of convolutions and pools; 0 elsewhere.
    """

    identity: BoolArray
    conv: BoolArray
    average_pool: BoolArray
    max_pool: BoolArray
    threshold: FloatArray
    kernel_size: NDArray[np.int64]

    @property
    def nodes(self) -> int:
        """Nodes of the cell."""
        return self.identity.shape[1]

    def __len__(self) -> int:
        return len(self.identity)

    @cached_property
    def live(self) -> BoolArray:
        """Where any edge runs."""
        return self.identity | self.conv | self.average_pool | self.max_pool

    @cached_property
    def feedback(self) -> BoolArray:
        """Which ordered pairs act one timestep later, `[nodes, nodes]`."""
        return np.tril(np.ones((self.nodes, self.nodes), bool), -1)

    @cached_property
    def has_feedback(self) -> bool:
        """Whether any candidate has an edge that acts one timestep later."""
        return bool((self.live & self.feedback).any())


def cell_arrays(space: SearchSpace, codes: Codes) -> tuple[list[CellArrays], BoolArray]:
    """The distinct cells of every candidate, and which candidates are connected.

    Args:
        space: the space the codes belong to; of candidates with different macros, one group of `cell_groups` at a time.
        codes: `[N, genes]`, canonical or not.

    Returns:
        One entry for each cell of the network (cells that share a genotype share the arrays), and `[N]` booleans.

    Raises:
        BadInputError: if the candidates have different macros, or the space does not say how they read as cells.

    >>> from hasnas.search_spaces import Macro
    >>> cells, connected = cell_arrays(CellSpace(Macro()), np.array([[3, 0, 0, 0, 3, 0], [3, 0, 0, 0, 0, 0]]))
    >>> int(cells[0].conv.sum()), connected.tolist()
    (2, [True, False])
    """
    cells, cell_codes = as_cells(space, codes)
    canonical, connected = cells.canonical(cell_codes)
    width = len(cells.pairs)
    parts = [_arrays(cells, canonical[:, start : start + width]) for start in range(0, canonical.shape[1], width)]
    return (parts * cells.cells if cells.shared else parts), connected


def distinct_cells(space: SearchSpace, codes: Codes) -> tuple[list[CellArrays], BoolArray]:
    """As `cell_arrays`, cells that share a genotype once."""
    cells, connected = cell_arrays(space, codes)
    return list({id(cell): cell for cell in cells}.values()), connected


def _arrays(space: CellSpace, codes: Codes) -> CellArrays:
    operations = [space.operation_of(choice) for choice in range(len(space.choices))]
    backward = np.arange(len(operations)) >= len(space.operations)
    own = [o.threshold if o.threshold is not None else space.macro.threshold for o in operations]
    lookup = {
        "identity": np.array([o.kind == "identity" for o in operations]),
        "conv": np.array([o.is_conv for o in operations]),
        "average_pool": np.array([o.kind == "avg_pool" for o in operations]),
        "max_pool": np.array([o.kind == "max_pool" for o in operations]),
        "threshold": np.array([value * o.is_conv for value, o in zip(own, operations, strict=True)]),
        "kernel_size": np.array([o.kernel_size for o in operations]),
    }
    shape = (len(codes), space.nodes, space.nodes)
    fields = {name: np.zeros(shape, table.dtype) for name, table in lookup.items()}
    for column, (low, high) in enumerate(space.pairs):
        gene = codes[:, column]
        for name, table in lookup.items():
            fields[name][:, low, high] = np.where(backward[gene], 0, table[gene])
            fields[name][:, high, low] = np.where(backward[gene], table[gene], 0)
    return CellArrays(**fields)
