"""What each choice of a space adds to a cost: a linear stand-in for the cost model, so that a cost has a gradient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hasnas.errors import BadInputError
from hasnas.search_spaces.space import Codes, SearchSpace


@dataclass(frozen=True)
class CostTable:
    """An additive approximation of a cost.

        cost(codes) ~ intercept + sum over genes g of rows[g][codes[g]]

    So the expected cost of independent choices with probabilities p_g is `intercept + sum_g p_g . rows[g]`.

    Args:
        cost: name of the cost, e.g. `energy_j`.
        intercept: what every architecture costs.
        rows: for each gene, what each of its choices adds.
        r_squared: share of the cost's variance that the sum explains, among the architectures it was fitted to.
        reference: their mean cost, the unit of a penalty.
    """

    cost: str
    intercept: float
    rows: tuple[tuple[float, ...], ...]
    r_squared: float
    reference: float

    def predict(self, codes: Codes) -> NDArray[np.float64]:
        """The approximate costs `[N]` of codes `[N, genes]`."""
        array = np.atleast_2d(codes)
        return self.intercept + sum(np.asarray(row)[column] for row, column in zip(self.rows, array.T, strict=True))

    def expected(self, probabilities: Sequence[Sequence[float]]) -> float:
        """The expected cost of independent choices, one row of probabilities for each gene."""
        terms = (np.dot(row, chances) for row, chances in zip(self.rows, probabilities, strict=True))
        return float(self.intercept + sum(terms))


def fit_cost_table(space: SearchSpace, codes: Codes, costs: NDArray[np.float64], cost: str) -> CostTable:
    """The table that fits priced architectures with the least squared error.

    The cost model itself is not additive: branches share neurons, run at the same time, and die together. What the
    sum misses shows in `r_squared`.

    Args:
        space: what the codes mean.
        codes: canonical codes of connected architectures, `[N, genes]`.
        costs: their costs `[N]`.
        cost: the name of the cost.

    Raises:
        BadInputError: if there is nothing to fit.

    >>> from hasnas.search_spaces.macro import Macro
    >>> from hasnas.search_spaces.snasnet import CellSpace
    >>> space = CellSpace(Macro(), nodes=2, operations=("none", "identity", "conv1x1"))
    >>> table = fit_cost_table(space, np.array([[1], [2]]), np.array([2.0, 6.0]), "energy_j")
    >>> table.predict(np.array([[1], [2]])).round(6).tolist(), table.reference
    ([2.0, 6.0], 4.0)
    """
    array = np.atleast_2d(codes)
    if not len(array) or len(array) != len(costs):
        raise BadInputError(f"{len(array)} architectures with {len(costs)} costs; give at least one, and one cost each")
    sizes = [len(gene.choices) for gene in space.genes]
    columns = [np.eye(size)[array[:, gene]] for gene, size in enumerate(sizes)]
    reference = float(np.mean(costs))
    # In units of the mean: a chip's costs are tiny numbers in SI units.
    scaled = np.asarray(costs, float) / (reference or 1.0)
    # One-hot columns sum to 1 for each gene, so the intercept is free; the solution of least norm settles it.
    solution = np.linalg.lstsq(np.hstack(columns), scaled - 1.0, rcond=None)[0]
    rows = tuple(tuple((part * reference).tolist()) for part in np.split(solution, np.cumsum(sizes)[:-1]))
    residual = scaled - 1.0 - np.hstack(columns) @ solution
    variance = float(np.var(scaled))
    r_squared = 1.0 if variance == 0 else 1.0 - float(np.mean(residual**2)) / variance
    return CostTable(cost, reference, rows, r_squared, reference)
