"""NSGA-II and NSGA-III by pymoo, told one candidate at a time; what survives of all told breeds the next batch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hasnas.errors import BadInputError
from hasnas.search_spaces.space import Codes, mutate, radices

from .random_search import RandomSearch
from .strategy import CodesOfOne, SearchProblem

try:
    from pymoo.algorithms.base.genetic import GeneticAlgorithm
    from pymoo.algorithms.moo import nsga2, nsga3
    from pymoo.config import Config
    from pymoo.core.duplicate import DuplicateElimination
    from pymoo.core.mutation import Mutation
    from pymoo.core.population import Population
    from pymoo.core.problem import Problem
    from pymoo.core.termination import NoTermination
    from pymoo.operators.crossover.ux import UniformCrossover
    from pymoo.operators.selection.tournament import TournamentSelection
    from pymoo.util.ref_dirs import get_reference_directions
except ImportError as error:
    raise BadInputError(f"nsga2 and nsga3 need pymoo ({error}); install it: pip install 'hasnas[search]'") from error

Config.warnings["not_compiled"] = False


class PymooGenetic:
    """A genetic algorithm of pymoo as a `Strategy`, with constraint domination.

    Objectives are the value, to be kept high, and the costs of `problem.objectives`, to be kept low; without costs the
    value alone counts. Candidates outside the budget are refused before they are proposed, at no charge. Those whose
    told cost turns out above its limit, an objective's or one of `problem.limits`, lose against every one within, and
    against those that break limits by less.

    Args:
        problem: the space, the budget, the objectives, the settings (`population`, `mutation`) and the seed.
        algorithm: pymoo's, made by `NSGA2` or `NSGA3`.
    """

    def __init__(self, problem: SearchProblem, algorithm: GeneticAlgorithm) -> None:
        self.problem = problem
        self._algorithm = algorithm
        self._algorithm.mating.eliminate_duplicates = self._new = _NewMembers(problem)
        seed = int(np.random.SeedSequence(problem.seed).generate_state(1)[0])
        self._algorithm.setup(_Choices(problem), seed=seed, termination=NoTermination())
        self._random_members = RandomSearch(problem)
        self._told: list[tuple[CodesOfOne, FloatList, FloatList]] = []

    def ask(self, count: int) -> list[CodesOfOne]:
        """See `Strategy.ask`."""
        children = self._children(count)
        self._new.proposed.update(children)
        return children + self._unseen(count - len(children))

    def tell(self, codes: CodesOfOne, value: float | None, costs: Mapping[str, float]) -> None:
        """See `Strategy.tell`."""
        limited = self.problem.objectives + self.problem.limits
        prices = [one.of(costs) for one in limited]
        if value is None or not np.isfinite([value, *prices]).all():
            return
        excess = [one.excess(price) for price, one in zip(prices, limited, strict=True)]
        objectives = [-float(value), *prices[: len(self.problem.objectives)]]
        self._told.append((tuple(codes), objectives, excess))

    def _children(self, count: int) -> list[CodesOfOne]:
        """New feasible children of the survivors, up to `count`; none while the first population is being drawn."""
        if len(self._new.proposed) < self.problem.settings.population:
            return []
        if self._told and (self._algorithm.is_initialized or len(self._told) > 1):
            self._algorithm.tell(infills=_population(self._told))
            self._told = []
        if not self._algorithm.is_initialized:
            return []
        self._algorithm.n_offsprings = count
        bred = self._algorithm.ask()
        # A mating that brings nothing new would end the algorithm; unseen members may give it new parents.
        self._algorithm.termination.force_termination = False
        return [tuple(int(code) for code in row) for row in bred.get("X")] if bred is not None else []

    def _unseen(self, count: int) -> list[CodesOfOne]:
        """Random members that were not proposed, fewer if there are none left."""
        found: list[CodesOfOne] = []
        while len(found) < count and (drawn := self._random_members.beside(self._new.proposed)) is not None:
            self._new.proposed.add(drawn)
            found.append(drawn)
        return found


class NSGA2(PymooGenetic):
    """Elitist evolution by non-dominated rank and crowding distance; see `PymooGenetic`.

    Source: Deb et al., "A fast and elitist multiobjective genetic algorithm: NSGA-II", IEEE TEC 2002.
    """

    def __init__(self, problem: SearchProblem) -> None:
        algorithm = nsga2.NSGA2(
            pop_size=problem.settings.population,
            crossover=UniformCrossover(),
            mutation=_AnotherChoice(problem),
            output=None,
        )
        super().__init__(problem, algorithm)


class NSGA3(PymooGenetic):
    """Elitist evolution by non-dominated rank and nearness to directions in objective space; see `PymooGenetic`.

    Source: Deb and Jain, "An evolutionary many-objective optimization algorithm using reference-point-based
    nondominated sorting approach", IEEE TEC 2014.
    """

    def __init__(self, problem: SearchProblem) -> None:
        population = problem.settings.population
        directions = reference_directions(1 + len(problem.objectives), population)
        algorithm = nsga3.NSGA3(
            directions,
            pop_size=max(population, len(directions)),
            selection=TournamentSelection(func_comp=_less_violation),
            crossover=UniformCrossover(),
            mutation=_AnotherChoice(problem),
            output=None,
        )
        super().__init__(problem, algorithm)


def reference_directions(objectives: int, count: int) -> NDArray[np.float64]:
    """As many evenly spread directions as possible, at most `count` but at least one for each objective.

    >>> reference_directions(2, 3).tolist()
    [[0.0, 1.0], [0.5, 0.5], [1.0, 0.0]]
    """
    if objectives == 1:
        return np.ones((1, 1))
    partitions = 1
    while math.comb(partitions + objectives, objectives - 1) <= count:
        partitions += 1
    return get_reference_directions("das-dennis", objectives, n_partitions=partitions)


FloatList = list[float]


class _Choices(Problem):
    """The genes of a space as pymoo's integer variables."""

    def __init__(self, problem: SearchProblem) -> None:
        most, costs = radices(problem.space) - 1, len(problem.objectives)
        limits = costs + len(problem.limits)
        super().__init__(n_var=len(most), n_obj=1 + costs, n_ieq_constr=limits, xl=0, xu=most, vtype=int)


class _AnotherChoice(Mutation):
    """Genes drawn anew; choices have no order that a polynomial mutation could use."""

    def __init__(self, problem: SearchProblem) -> None:
        super().__init__()
        self.space, self.rate = problem.space, problem.settings.mutation

    def _do(self, problem: Problem, X: Any, *, algorithm: Any, random_state: np.random.Generator) -> Codes:
        return np.array([mutate(self.space, row, random_state, self.rate) for row in X], np.int16)


class _NewMembers(DuplicateElimination):
    """Leaves canonical members of the region that were never proposed."""

    def __init__(self, problem: SearchProblem) -> None:
        super().__init__()
        self.problem, self.proposed = problem, set[CodesOfOne]()

    def do(self, pop: Any, *others: Any, return_indices: bool = False, to_itself: bool = True) -> Any:
        """The individuals that are new, with their canonical codes."""
        if not len(pop):
            return pop
        canonical, admitted = self.problem.admissible(np.asarray(pop.get("X"), np.int16))
        pop.set("X", canonical)
        taken = {tuple(one.X.tolist()) for other in others for one in other}
        rows = []
        for row, codes in enumerate(map(tuple, canonical.tolist())):
            if admitted[row] and codes not in self.proposed and codes not in taken:
                taken.add(codes)
                rows.append(row)
        return pop[np.array(rows, int)]


def _less_violation(
    pop: Any, rivals: NDArray[np.int64], *, algorithm: Any, random_state: np.random.Generator
) -> NDArray[np.int64]:
    """Of each pair the one that breaks limits by less; pymoo's own breaks ties without the seed."""
    violation = pop.get("CV")[:, 0][rivals]
    lesser = np.where(violation[:, 0] < violation[:, 1], 0, 1)
    chosen = np.where(violation[:, 0] == violation[:, 1], random_state.integers(2, size=len(rivals)), lesser)
    return np.take_along_axis(rivals, chosen[:, None], axis=1)


def _population(told: list[tuple[CodesOfOne, FloatList, FloatList]]) -> Population:
    """Evaluated individuals."""
    codes, objectives, excess = zip(*told, strict=True)
    return Population.new(X=np.array(codes, np.int16), F=np.array(objectives), G=np.array(excess))
