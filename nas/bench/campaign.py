"""Searches on the table: any strategy, seed by seed, with what each evaluation would have shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hasnas.cim_estimator import HardwareSpec
from hasnas.errors import BadInputError, nearest
from hasnas.nas.config.sections import SearchSection
from hasnas.nas.history.pareto import hypervolume, non_dominated
from hasnas.nas.strategies import STRATEGIES, SearchProblem, Strategy
from hasnas.nas.strategies.strategy import CostObjective
from hasnas.search_spaces.space import Codes
from hasnas.search_spaces.spikenas_bench import RADIX, SpikeNASBenchSpace, id_of_codes

from .costs import mean_field_rates, measured_rates, operations_and_costs
from .distinct import PLACES, DistinctSpace
from .table import BenchmarkTable

FloatArray = NDArray[np.float64]
# In percent: on CIFAR-10 every connected cell errs less. Where tables are harder it is their worst cell's.
LEAST_WORST_ERROR = 20.0
SETTINGS = SearchSection(population=20, sample=10, mutation=1 / 6)
# Yardsticks: as drawn, repeats and dead ones included; distinct cells, uniformly; the same with repeats, at any cost.
RAW, CELLS, REPEATED_CELLS = "random_raw", "random_cells", "random_repeated_cells"
YARDSTICKS = (RAW, CELLS, REPEATED_CELLS)
# Strategies that always look for a front, and the one that corrects predicted costs by what candidates came to cost.
FRONTS, LEARNS_COSTS = ("nsga2", "nsga3"), "predictor"


@dataclass(frozen=True, eq=False)
class Objective:
    """What a search on the table is after.

    Args:
        table: the trained architectures.
        cost: `"synaptic_operations"` or a field of a known cost; without one only accuracy counts.
        feasible_share: share of the distinct cells that keep to the limit.
        hardware: the chip, for costs other than synaptic operations.
        given_limit: the largest cost that keeps to the budget, in place of a share.

    Raises:
        BadInputError: if the cost is unknown, the share is not above 0 and at most 1, or no cell keeps to the limit.
    """

    table: BenchmarkTable
    cost: str = "synaptic_operations"
    feasible_share: float = 1.0
    hardware: HardwareSpec | None = None
    given_limit: float | None = None

    def __post_init__(self) -> None:
        if not 0 < self.feasible_share <= 1:
            raise BadInputError(f"feasible share is {self.feasible_share}; give a share above 0, at most 1")
        if self.cost not in self.costs:
            raise BadInputError(f"unknown cost '{self.cost}'{nearest(self.cost, self.costs)}")
        if not self.feasible.any():
            least = float(self.costs[self.cost].min())
            raise BadInputError(f"no cell keeps to a {self.cost} of {self.limit:.4g}; the cheapest has {least:.4g}")

    @cached_property
    def space(self) -> DistinctSpace:
        """One form for each distinct cell."""
        return DistinctSpace(self.table.space.macro)

    @cached_property
    def cell_of_row(self) -> NDArray[np.int64]:
        """Number of the distinct cell of each row of the table, -1 for disconnected ones."""
        forms, connected = self.space.canonical(self.table.codes)
        numbers = forms @ PLACES
        cells = np.full(len(numbers), -1)
        cells[connected] = np.unique(numbers[connected], return_inverse=True)[1]
        return cells

    @cached_property
    def _sizes(self) -> FloatArray:
        return np.bincount(self.cell_of_row[self.cell_of_row >= 0]).astype(float)

    def _mean(self, values: FloatArray) -> FloatArray:
        connected = self.cell_of_row >= 0
        return np.bincount(self.cell_of_row[connected], values[connected]) / self._sizes

    @cached_property
    def members(self) -> list[NDArray[np.int64]]:
        """Rows of the table that are the same cell, drawn differently and trained each on its own."""
        order = np.argsort(self.cell_of_row, kind="stable")
        order = order[int(np.sum(self.cell_of_row < 0)) :]
        return np.split(order, np.cumsum(self._sizes.astype(int))[:-1])

    @cached_property
    def codes(self) -> Codes:
        """Canonical codes of each distinct cell, `[C, 6]`."""
        first = np.array([rows[0] for rows in self.members])
        return self.space.canonical(self.table.codes[first])[0]

    def cells_of(self, codes: Codes) -> NDArray[np.int64]:
        """Numbers of the distinct cells of canonical codes `[N, 6]`, -1 for those that the table lacks."""
        return self._cell_of_form[codes @ PLACES]

    @cached_property
    def _cell_of_form(self) -> NDArray[np.int64]:
        cells = np.full(RADIX ** self.codes.shape[1], -1)
        cells[self.codes @ PLACES] = np.arange(len(self.codes))
        return cells

    @cached_property
    def test(self) -> FloatArray:
        """Mean test accuracy of each distinct cell."""
        return self._mean(self.table.test)

    @cached_property
    def costs(self) -> dict[str, FloatArray]:
        """Mean costs of each distinct cell, with the firing rates of the trained networks."""
        plain = SpikeNASBenchSpace(self.space.macro)
        pruned = plain.canonical(self.table.codes)[0]
        priced = operations_and_costs(plain, pruned, measured_rates(self.table.rates), self.hardware)
        return {name: self._mean(values) for name, values in priced.items()}

    @cached_property
    def limit(self) -> float:
        """The largest cost that keeps to the budget."""
        if self.given_limit is not None:
            return self.given_limit
        return float(np.quantile(self.costs[self.cost], self.feasible_share, method="inverted_cdf"))

    @property
    def limited(self) -> bool:
        """Whether any cell breaks the limit."""
        return not self.feasible.all()

    @cached_property
    def feasible(self) -> NDArray[np.bool_]:
        """Which distinct cells keep to the limit once they are trained."""
        return self.costs[self.cost] <= self.limit

    @cached_property
    def _predicted(self) -> FloatArray:
        """Predicted cost by number of the canonical form, NaN where there is none."""
        rates = mean_field_rates(self.space, self.codes)
        found = np.full(RADIX ** self.codes.shape[1], np.nan)
        found[self.codes @ PLACES] = operations_and_costs(self.space, self.codes, rates, self.hardware)[self.cost]
        return found

    def predicted(self, codes: Codes) -> FloatArray:
        """The cost of canonical candidates with firing rates by mean field, before anything is trained."""
        return self._predicted[codes @ PLACES]

    @cached_property
    def worst_error(self) -> float:
        """The test error in percent from which hypervolumes are measured."""
        return max(LEAST_WORST_ERROR, float(100 - self.test.min()))

    @cached_property
    def best_volume(self) -> float:
        """Hypervolume of the true constrained front."""
        return self.volume(np.flatnonzero(self.feasible))

    def volume(self, cells: NDArray[np.int64]) -> float:
        """Hypervolume of distinct cells by mean test error and cost, up to the limit and the worst error."""
        if len(cells) == 0:
            return 0.0
        points = np.stack([self.costs[self.cost][cells] / self.limit, 100 - self.test[cells]], axis=1)
        front = points[non_dominated(points, (False, False))]
        # A cell exactly at the limit still counts: the corner lies one rounding error behind it.
        return hypervolume(front, (1 + 1e-9, self.worst_error), (False, False))


@dataclass(frozen=True, eq=False)
class Played:
    """One search.

    Args:
        rows: evaluated rows of the table in the order they were told, `[E]`.
        objective: what was searched for.
    """

    rows: NDArray[np.int64]
    objective: Objective

    @cached_property
    def cells(self) -> NDArray[np.int64]:
        """Distinct cells of the evaluated rows, -1 for disconnected ones."""
        return self.objective.cell_of_row[self.rows]

    @cached_property
    def fits(self) -> NDArray[np.bool_]:
        """Which evaluated networks are connected and, now that they are trained, within the limit."""
        return (self.cells >= 0) & self.objective.feasible[np.maximum(self.cells, 0)]

    def designs(self, evaluations: int) -> NDArray[np.int64]:
        """What is returned after some evaluations: the front by validation accuracy and cost of what fits."""
        inside = np.flatnonzero(self.fits[:evaluations])
        costs = self.objective.costs[self.objective.cost][self.cells[inside]]
        accuracy = self.objective.table.validation[self.rows[inside]]
        return inside[non_dominated(np.stack([accuracy, costs], axis=1), (True, False))]

    def pick(self, evaluations: int) -> int:
        """The row with the best validation accuracy among the first evaluations; -1 if none may be returned."""
        rows = self.rows[:evaluations][self.fits[:evaluations]]
        return int(rows[np.argmax(self.objective.table.validation[rows])]) if len(rows) else -1

    def test_accuracy(self, evaluations: int) -> float:
        """Test accuracy of the pick; 0 if there is none."""
        row = self.pick(evaluations)
        return float(self.objective.table.test[row]) if row >= 0 else 0.0

    def relative_volume(self, evaluations: int) -> float:
        """Hypervolume of the front chosen by validation, measured on test, over that of the true constrained front."""
        return self.objective.volume(self.cells[self.designs(evaluations)]) / self.objective.best_volume


@dataclass
class RawRandom:
    """Draws architectures of the table as they are, repeats and disconnected ones included: the plain yardstick."""

    codes: Codes
    seed: int
    _generator: np.random.Generator = field(init=False)

    def __post_init__(self) -> None:
        self._generator = np.random.default_rng(self.seed)

    def ask(self, count: int) -> list[tuple[int, ...]]:
        """See `Strategy.ask`; it keeps none of its promises."""
        return [tuple(row) for row in self.codes[self._generator.integers(len(self.codes), size=count)].tolist()]

    def tell(self, codes: tuple[int, ...], value: float | None, costs: object) -> None:
        """It does not learn."""


@dataclass
class UniformCells:
    """Draws distinct cells, each as likely as the others however often the space repeats it.

    Args:
        codes: canonical codes of all distinct cells, `[C, genes]`.
        seed: of the draws.
        repeated: draw with repeats.
    """

    codes: Codes
    seed: int
    repeated: bool = False
    _generator: np.random.Generator = field(init=False)
    _order: list[int] = field(init=False)

    def __post_init__(self) -> None:
        self._generator = np.random.default_rng(self.seed)
        self._order = self._generator.permutation(len(self.codes)).tolist()

    def ask(self, count: int) -> list[tuple[int, ...]]:
        """See `Strategy.ask`; with repeats it keeps none of its promises."""
        if self.repeated:
            drawn = self._generator.integers(len(self.codes), size=count).tolist()
        else:
            drawn, self._order = self._order[:count], self._order[count:]
        return [tuple(row) for row in self.codes[drawn].tolist()]

    def tell(self, codes: tuple[int, ...], value: float | None, costs: object) -> None:
        """It does not learn."""


def play(
    objective: Objective, strategy: str, evaluations: int, seed: int, batch: int = 5, known_costs: bool = False
) -> Played:
    """Search the table once.

    A table may hold part of the benchmark; what it lacks is not proposed.

    A proposed cell shows the validation accuracy of one of its members, drawn by the seed. Strategies that do not know
    costs as an objective are kept to cells whose predicted cost fits, and are told a failure where it turns out not to.

    Args:
        objective: the table, the cost and the limit.
        strategy: a registered strategy, or one of `YARDSTICKS`.
        evaluations: networks looked up.
        seed: of the strategy and of the members.
        batch: proposals at a time.
        known_costs: admit cells by the costs of the trained networks, an oracle; for yardsticks only.
    """
    shown = _shown_rows(objective, seed)
    settings = SETTINGS.model_copy(update={"evaluations": evaluations})
    searcher, aware = _searcher(objective, strategy, seed, known_costs, settings)
    rows: list[int] = []
    while len(rows) < evaluations:
        asked = searcher.ask(min(batch, evaluations - len(rows)))
        if not asked:
            break
        for codes in asked:
            if strategy == RAW:
                row = objective.table.row(id_of_codes(codes))
            else:
                row = int(shown[objective.cells_of(np.array([codes]))[0]])
            rows.append(row)
            cell = objective.cell_of_row[row]
            fits = cell >= 0 and bool(objective.feasible[cell])
            costs = {name: float(values[cell]) for name, values in objective.costs.items()} if cell >= 0 else {}
            searcher.tell(codes, float(objective.table.validation[row]) if fits or aware else None, costs)
    return Played(np.array(rows, np.int64), objective)


def _shown_rows(objective: Objective, seed: int) -> NDArray[np.int64]:
    """For each distinct cell the row of the member whose training a search gets to see."""
    rng = np.random.default_rng([seed, 1])
    return np.array([rows[rng.integers(len(rows))] for rows in objective.members])


def _searcher(
    objective: Objective, strategy: str, seed: int, known_costs: bool, settings: SearchSection
) -> tuple[Strategy, bool]:
    """The strategy, and whether it takes costs as an objective of its own."""
    limited = objective.limited
    if strategy == RAW:
        return RawRandom(objective.table.codes, seed), False
    admits = _known(objective)
    if limited:
        admits = _measured_limit(objective) if known_costs else _predicted_limit(objective)
    if strategy in (CELLS, REPEATED_CELLS):
        cells = objective.codes if strategy == REPEATED_CELLS else objective.codes[admits(objective.codes)]
        return UniformCells(cells, seed, strategy == REPEATED_CELLS), False
    cost = CostObjective(objective.cost, objective.predicted, objective.limit if limited else np.inf)
    aware = strategy in (*FRONTS, LEARNS_COSTS) and (limited or strategy in FRONTS)
    if strategy == LEARNS_COSTS:
        admits = _known(objective)
    problem = SearchProblem(
        objective.space, admits, settings, seed, (cost,) if aware else (), best=100.0, worst=100 - objective.worst_error
    )
    return STRATEGIES.get(strategy)(problem), aware or not limited


def _known(objective: Objective) -> Callable[[Codes], NDArray[np.bool_]]:
    """Cells that the table has, in whatever form; all connected ones of a whole table."""
    return lambda codes: objective.cells_of(codes) >= 0


def _predicted_limit(objective: Objective) -> Callable[[Codes], NDArray[np.bool_]]:
    return lambda codes: objective.predicted(codes) <= objective.limit  # NaN, where the table lacks a cell, is above


def _measured_limit(objective: Objective) -> Callable[[Codes], NDArray[np.bool_]]:
    def admits(codes: Codes) -> NDArray[np.bool_]:
        cells = objective.cells_of(codes)
        return (cells >= 0) & objective.feasible[cells]

    return admits
