"""The cells of many candidates as arrays over ordered pairs of nodes: what every score of a population reads."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hasnas.errors import BadInputError
from hasnas.search_spaces.cell_groups import as_cells
from hasnas.search_spaces.layers import pair
from hasnas.search_spaces.snasnet import CellSpace
from hasnas.search_spaces.space import Codes, SearchSpace

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class CellArrays:
    """One cell of N candidates, dead edges removed. All arrays are `[N, nodes, nodes]`, source first.

    Args:
        live: where any edge runs.
        code: number of the edge's kind of operation (`CellOperation.code`), 0 where there is none.
        conv: where an edge reads spikes: convolutions of any kind.
        threshold: firing threshold of the neurons before a convolution; 0 where there is none.
        kernel_size: of convolutions and pools, their length along a line; 0 elsewhere.
        kernel_height: 1 where they lie along a line, otherwise the kernel size.
        averages, maximises: where mean-field scores take the mean or the maximum of windows.
        rate_per_variance: where they take a convolution, firing rate over the variance of its result before the norm.
    """

    live: BoolArray
    code: NDArray[np.int64]
    conv: BoolArray
    threshold: FloatArray
    kernel_size: NDArray[np.int64]
    kernel_height: NDArray[np.int64]
    averages: BoolArray
    maximises: BoolArray
    rate_per_variance: FloatArray

    @property
    def nodes(self) -> int:
        """Nodes of the cell."""
        return self.live.shape[1]

    def __len__(self) -> int:
        return len(self.live)

    @cached_property
    def identity(self) -> BoolArray:
        """Where an edge carries the value as it is."""
        return self.live & (self.code == 0)

    @cached_property
    def pool(self) -> BoolArray:
        """Where an edge changes the value without neurons."""
        return self.live & (self.code > 0) & ~self.conv

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


def require_field_rules(space: SearchSpace, codes: Codes) -> None:
    """Refuse a space with an operation that mean-field scores do not know, or do not know as what it is.

    Raises:
        BadInputError: naming the operation.
    """
    cells, _ = as_cells(space, codes)
    for operation in (cells.operation_of(choice) for choice in range(len(cells.operations))):
        rule = operation.field_rule
        if rule is None or (rule.does == "convolve") != operation.spiking:
            raise BadInputError(
                f"mean-field scores have no statistics of '{operation.name}' ({operation.kind}); leave it out of "
                "space.operations, or choose a counter or a score that runs networks"
            )


def distinct_cells(space: SearchSpace, codes: Codes) -> tuple[list[CellArrays], BoolArray]:
    """As `cell_arrays`, cells that share a genotype once."""
    cells, connected = cell_arrays(space, codes)
    return list({id(cell): cell for cell in cells}.values()), connected


def _arrays(space: CellSpace, codes: Codes) -> CellArrays:
    operations = [space.operation_of(choice) for choice in range(len(space.choices))]
    backward = np.arange(len(operations)) >= len(space.operations)
    own = [o.threshold if o.threshold is not None else space.macro.threshold for o in operations]
    rules = [o.field_rule for o in operations]
    lookup = {
        "live": np.arange(len(operations)) > 0,
        "code": np.array([max(o.code, 0) for o in operations]),
        "conv": np.array([o.spiking for o in operations]),
        "threshold": np.array([value * o.spiking for value, o in zip(own, operations, strict=True)]),
        "kernel_size": np.array([o.kernel_size for o in operations]),
        "kernel_height": np.array([pair(o.window)[0] for o in operations]),
        "averages": np.array([rule is not None and rule.does == "mean" for rule in rules]),
        "maximises": np.array([rule is not None and rule.does == "maximum" for rule in rules]),
        "rate_per_variance": np.array([0.0 if rule is None else rule.rate_per_variance for rule in rules]),
    }
    shape = (len(codes), space.nodes, space.nodes)
    fields = {name: np.zeros(shape, table.dtype) for name, table in lookup.items()}
    for column, (low, high) in enumerate(space.pairs):
        gene = codes[:, column]
        for name, table in lookup.items():
            fields[name][:, low, high] = np.where(backward[gene], 0, table[gene])
            fields[name][:, high, low] = np.where(backward[gene], table[gene], 0)
    return CellArrays(**fields)
