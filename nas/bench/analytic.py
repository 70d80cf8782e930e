"""Problems whose fronts are known, as search spaces of numeric genes on a grid: strategies meet them as they meet
networks, through `SearchProblem`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hasnas.errors import BadInputError
from hasnas.nas.config.sections import SearchSection
from hasnas.nas.history.pareto import hypervolume
from hasnas.nas.strategies.strategy import CodesOfOne, CostObjective, SearchProblem, Strategy
from hasnas.search_spaces.architecture import Architecture
from hasnas.search_spaces.macro import Macro
from hasnas.search_spaces.space import Codes, Gene

FloatArray = NDArray[np.float64]
STEPS = 101


@dataclass(frozen=True)
class GridSpace:
    """Points of a box as a search space; nothing of it is a network.

    Args:
        lower: of each variable.
        upper: of each variable.
        steps: values of each, evenly spaced.

    >>> GridSpace((0.0, 1.0), (1.0, 3.0), 5).points(np.array([[0, 2], [4, 4]])).tolist()
    [[0.0, 2.0], [1.0, 3.0]]
    """

    lower: tuple[float, ...]
    upper: tuple[float, ...]
    steps: int = STEPS
    macro: Macro = Macro((1, 1, 1))
    cells: int = 0

    @cached_property
    def genes(self) -> tuple[Gene, ...]:
        """One for each variable."""
        grids = (np.linspace(low, high, self.steps).tolist() for low, high in zip(self.lower, self.upper, strict=True))
        return tuple(
            Gene(f"x{number}", tuple(f"{value:.4g}#{step}" for step, value in enumerate(grid)), "numeric", tuple(grid))
            for number, grid in enumerate(grids, start=1)
        )

    def points(self, codes: Codes) -> FloatArray:
        """Where codes `[N, genes]` lie, `[N, variables]`."""
        low, high = np.array(self.lower), np.array(self.upper)
        return low + np.asarray(codes) / (self.steps - 1) * (high - low)

    def canonical(self, codes: Codes) -> tuple[Codes, NDArray[np.bool_]]:
        """Every point is its own."""
        array = np.array(codes, np.int16)
        return array, np.ones(len(array), bool)

    def decode(self, codes: Sequence[int]) -> Architecture:
        """See `SearchSpace.decode`; there are no networks here."""
        raise BadInputError("points of a box are no networks; choose a search space of networks")

    def encode(self, architecture: Architecture) -> CodesOfOne:
        """See `SearchSpace.encode`; there are no networks here."""
        raise BadInputError("points of a box are no networks; choose a search space of networks")


@dataclass(frozen=True, eq=False)
class AnalyticProblem:
    """Objectives to be kept low, none of them known before evaluation, and constraints.

    Args:
        name: what people call it.
        space: the grid.
        objectives: points `[N, variables]` -> `[N, M]`.
        constraints: points -> `[N, K]`, kept where not positive, in units in which 1 is a large violation.
        reference: worst value of interest of each objective, for hypervolumes.
        ideal: the front's best value of each objective.
    """

    name: str
    space: GridSpace
    objectives: Callable[[FloatArray], FloatArray]
    reference: tuple[float, ...]
    ideal: tuple[float, ...]
    constraints: Callable[[FloatArray], FloatArray] | None = None

    def problem(self, settings: SearchSection, seed: int) -> SearchProblem:
        """What a strategy is given: the first objective as the value, the others as costs that are not known before."""
        count = len(self.reference)
        origin = np.array([[gene.values[0] for gene in self.space.genes if gene.values]])
        limits = 0 if self.constraints is None else self.constraints(origin).shape[1]
        return SearchProblem(
            self.space,
            lambda codes: np.ones(len(codes), bool),
            settings,
            seed,
            tuple(CostObjective(f"f{number}") for number in range(2, count + 1)),
            tuple(CostObjective(f"g{number}", limit=1.0) for number in range(1, limits + 1)),
            best=np.inf,
        )

    def evaluate(self, codes: CodesOfOne) -> tuple[float, dict[str, float]]:
        """What a strategy is told: the value and the costs."""
        point = self.space.points(np.array([codes]))
        found = self.objectives(point)[0]
        costs = {f"f{number}": float(value) for number, value in enumerate(found[1:], start=2)}
        if self.constraints is not None:
            excess = self.constraints(point)[0]
            costs |= {f"g{number}": 1.0 + float(value) for number, value in enumerate(excess, start=1)}
        return -float(found[0]), costs

    def volume(self, codes: Sequence[CodesOfOne]) -> float:
        """Hypervolume of candidates that keep the constraints, as a share of the box between ideal and reference."""
        points = self.space.points(np.array(codes))
        excess = np.zeros((len(points), 1)) if self.constraints is None else self.constraints(points)
        kept = (excess <= 0).all(axis=1)
        box = float(np.prod(np.subtract(self.reference, self.ideal)))
        found = self.objectives(points[kept])
        return hypervolume(found, self.reference, (False,) * len(self.reference)) / box if kept.any() else 0.0


def play(problem: AnalyticProblem, strategy: Strategy, evaluations: int, batch: int) -> list[CodesOfOne]:
    """Ask and tell until the evaluations are used; what was evaluated, in its order."""
    done: list[CodesOfOne] = []
    while len(done) < evaluations and (asked := strategy.ask(min(batch, evaluations - len(done)))):
        for codes in asked:
            strategy.tell(codes, *problem.evaluate(codes))
        done += asked
    return done


def zdt(number: int, variables: int = 6) -> AnalyticProblem:
    """ZDT1 (convex front), ZDT2 (concave) or ZDT3 (in pieces).

    Source: Zitzler, Deb, Thiele, "Comparison of multiobjective evolutionary algorithms", Evol. Comput. 2000.
    """

    def objectives(x: FloatArray) -> FloatArray:
        first, g = x[:, 0], 1 + 9 * x[:, 1:].mean(axis=1)
        share = first / g
        second = {
            1: 1 - np.sqrt(share),
            2: 1 - share**2,
            3: 1 - np.sqrt(share) - share * np.sin(10 * np.pi * first),
        }[number]
        return np.stack([first, g * second], axis=1)

    space = GridSpace((0.0,) * variables, (1.0,) * variables)
    return AnalyticProblem(f"ZDT{number}", space, objectives, (1.1, 1.1), (0.0, -0.7734 if number == 3 else 0.0))


def dtlz2(variables: int = 6, objectives: int = 2) -> AnalyticProblem:
    """DTLZ2: the front is a part of a sphere.

    Source: Deb et al., "Scalable multi-objective optimization test problems", CEC 2002.
    """

    def values(x: FloatArray) -> FloatArray:
        g = ((x[:, objectives - 1 :] - 0.5) ** 2).sum(axis=1)
        angles = x[:, : objectives - 1] * np.pi / 2
        columns = []
        for number in range(objectives):
            column = (1 + g) * np.cos(angles[:, : objectives - 1 - number]).prod(axis=1)
            columns.append(column if number == 0 else column * np.sin(angles[:, objectives - 1 - number]))
        return np.stack(columns, axis=1)

    space = GridSpace((0.0,) * variables, (1.0,) * variables)
    return AnalyticProblem("DTLZ2", space, values, (1.1,) * objectives, (0.0,) * objectives)


def osy() -> AnalyticProblem:
    """Osyczka and Kundu's problem: six variables, six constraints, a front along their edges.

    Source: Osyczka, Kundu, "A new method to solve generalized multicriteria optimization problems", 1995.
    """

    def objectives(x: FloatArray) -> FloatArray:
        weights, centres = np.array([25.0, 1, 1, 1, 1]), np.array([2.0, 2, 1, 4, 1])
        return np.stack([-(weights * (x[:, :5] - centres) ** 2).sum(axis=1), (x**2).sum(axis=1)], axis=1)

    def constraints(x: FloatArray) -> FloatArray:
        a, b, c, d, e, f = x.T
        kept = (a + b - 2, 6 - a - b, 2 - b + a, 2 - a + 3 * b, 4 - (c - 3) ** 2 - d, (e - 3) ** 2 + f - 4)
        scales = (2, 6, 2, 2, 4, 4)
        return np.stack([-value / scale for value, scale in zip(kept, scales, strict=True)], axis=1)

    space = GridSpace((0.0, 0.0, 1.0, 0.0, 1.0, 0.0), (10.0, 10.0, 5.0, 6.0, 5.0, 10.0))
    return AnalyticProblem("OSY", space, objectives, (0.0, 80.0), (-274.0, 4.0), constraints)


PROBLEMS: tuple[Callable[[], AnalyticProblem], ...] = (
    lambda: zdt(1), lambda: zdt(2), lambda: zdt(3), lambda: dtlz2(), osy,
)  # fmt: skip
