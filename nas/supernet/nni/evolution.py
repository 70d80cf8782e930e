"""NNI's regularized evolution inside the budget, by ask and tell or driven against our engine.

NNI chooses parents, crosses, mutates and ages; we give it a space whose random members are feasible and new, and that
refuses mutants which are not (NNI then tries again). All its randomness comes from the problem's seed.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.random import RandomState

from hasnas.errors import BadInputError
from hasnas.nas.strategies.random_search import RandomSearch
from hasnas.nas.strategies.strategy import CodesOfOne, SearchProblem

from .engine import BatchEngine
from .environment import require_nni
from .mutables import Stepping, categorical

require_nni()

from nni.mutable import Categorical, Mutable, Sample, SampleValidationError  # noqa: E402
from nni.nas.space import ExecutableModelSpace, ModelStatus  # noqa: E402
from nni.nas.strategy import RegularizedEvolution as NniRegularizedEvolution  # noqa: E402

logger = logging.getLogger(__name__)

EvaluateBatch = Callable[[list[CodesOfOne]], Sequence[float | None]]

# Mutants that are refused in a row before the region is asked for a random member instead.
PATIENCE = 100


class FeasibleSpace(ExecutableModelSpace):
    """A search problem as NNI sees a space; frozen, it is one candidate.

    Args:
        problem: the space, the budget and the seed.
    """

    def __init__(self, problem: SearchProblem) -> None:
        super().__init__()
        self.problem = problem
        self.sample: Sample | None = None
        self.codes: CodesOfOne = ()
        self.proposed: set[CodesOfOne] = set()
        self.exhausted = False
        self._random_members = RandomSearch(problem)
        self._variables = [categorical(gene, gene.choices) for gene in problem.space.genes]

    def random(self, memo: Sample | None = None, random_state: RandomState | None = None) -> FeasibleSpace:
        """A random feasible candidate that was not proposed before; drawn by the problem's seed, not by NNI's state.

        Raises:
            SampleValidationError: if the region holds no other.
        """
        while not self.exhausted:
            drawn = self._random_members.ask(1)
            if not drawn:
                self.exhausted = True
            elif drawn[0] not in self.proposed:
                sample = self._sample_of(drawn[0])
                if memo is not None:
                    memo.update(sample)
                return self._propose(drawn[0], sample)
        raise SampleValidationError("every feasible architecture has been proposed")

    def freeze(self, sample: Sample) -> FeasibleSpace:
        """The candidate of a sample, in canonical form.

        Raises:
            SampleValidationError: if it is outside the region or was proposed before.
        """
        self.validate(sample)
        drawn = [variable.values.index(sample[variable.label]) for variable in self._variables]
        canonical, admitted = self.problem.admissible(np.array([drawn], np.int16))
        codes = tuple(int(code) for code in canonical[0])
        if not admitted[0]:
            raise SampleValidationError("outside the feasible region")
        if codes in self.proposed:
            raise SampleValidationError("proposed before")
        return self._propose(codes, self._sample_of(codes))

    def check_contains(self, sample: Sample) -> SampleValidationError | None:
        """Why a sample is not of the space as drawn, or None."""
        problems = (variable.check_contains(sample) for variable in self._variables)
        return next((problem for problem in problems if problem is not None), None)

    def leaf_mutables(self, is_leaf: Callable[[Mutable], bool]) -> Iterable[Categorical]:
        """One variable for each gene."""
        return iter(self._variables)

    def adopt(self, codes: CodesOfOne) -> FeasibleSpace:
        """The candidate of canonical codes that come from elsewhere.

        Raises:
            BadInputError: if it has been proposed.
        """
        if codes in self.proposed:
            raise BadInputError(f"a second result for {codes}; tell each candidate once")
        return self._propose(codes, self._sample_of(codes))

    def _sample_of(self, codes: CodesOfOne) -> dict[str, Any]:
        return {variable.label: variable.values[code] for variable, code in zip(self._variables, codes, strict=True)}

    def _propose(self, codes: CodesOfOne, sample: Sample) -> FeasibleSpace:
        self.proposed.add(codes)
        candidate = copy.copy(self)
        ExecutableModelSpace.__init__(candidate, ModelStatus.Frozen)
        candidate.sample, candidate.codes = sample, codes
        return candidate


class _Evolution(NniRegularizedEvolution):
    """NNI's evolution that survives failures and exhausted neighbourhoods, and can be advanced by one proposal."""

    def __init__(self, problem: SearchProblem) -> None:
        settings = problem.settings
        super().__init__(
            population_size=settings.population,
            sample_size=settings.sample,
            mutation_prob=settings.mutation,
            crossover=settings.crossover,
            dedup=False,  # the space refuses what was proposed before, by its canonical form
            seed=int(np.random.SeedSequence(problem.seed).generate_state(1)[0]),
        )
        self._refused = 0
        self._filled = False

    def new_individual(self) -> ExecutableModelSpace:
        """A mutant; a random member of the region while there are no parents, or where no mutant is admitted."""
        if not self._population:
            return self.random()
        try:
            model = super().new_individual()
        except SampleValidationError:
            self._refused += 1
            if self._refused < PATIENCE:
                raise
            model = self.random()
        self._refused = 0
        return model

    def best_parent(self) -> Sample:
        """The parent of the next mutant, near which genes that have an order are drawn."""
        parent = super().best_parent()
        for name, variable in self.model_space.simplify().items():
            if isinstance(variable, Stepping):
                variable.near = parent[name]
        return parent

    def propose(self) -> FeasibleSpace | None:
        """What NNI's own loop does for one candidate: a random one until the population is full, then a mutant."""
        self._filled |= len(self._population) + len(self._running_models) >= self.population_size
        model = self._retry_helper.retry(self.new_individual if self._filled else self.random)
        if isinstance(model, FeasibleSpace):
            self._running_models.append(model)
            self.engine.submit_models(model)
            return model
        return None

    def adopt(self, codes: CodesOfOne) -> FeasibleSpace:
        """A candidate that somebody else proposed, as if it were our own.

        Raises:
            BadInputError: if it has been proposed.
        """
        model = cast(FeasibleSpace, self.model_space).adopt(codes)
        self._running_models.append(model)
        self.engine.submit_models(model)
        return model


class RegularizedEvolution:
    """NNI's regularized evolution as a `Strategy`.

    Args:
        problem: the space, the budget, the settings (population, tournament, mutation, crossover) and the seed.

    Raises:
        NniMissingError: if NNI cannot be used here.

    Source: Real et al., "Regularized Evolution for Image Classifier Architecture Search", AAAI 2019.
    """

    def __init__(self, problem: SearchProblem) -> None:
        self._engine = BatchEngine()
        self._evolution = _Evolution(problem)
        self._evolution.initialize(FeasibleSpace(problem), self._engine)
        self._asked: dict[CodesOfOne, FeasibleSpace] = {}

    def ask(self, count: int) -> list[CodesOfOne]:
        """See `Strategy.ask`."""
        proposed: list[CodesOfOne] = []
        while len(proposed) < count:
            model = self._evolution.propose()
            if model is None:
                logger.info("evolution ends: the feasible region holds no architecture that was not proposed")
                break
            self._asked[model.codes] = model
            proposed.append(model.codes)
        return proposed

    def tell(self, codes: CodesOfOne, value: float | None, costs: Mapping[str, float]) -> None:
        """See `Strategy.tell`.

        Raises:
            BadInputError: if the candidate has been told.
        """
        model = self._asked.pop(tuple(codes), None)
        if model is None:
            model = self._evolution.adopt(tuple(codes))
        self._engine.finish(model, value)


@dataclass(frozen=True)
class Evolved:
    """What a driven evolution did.

    Args:
        history: every candidate with its value (None: its evaluation failed), in the order of proposal.
        exhausted: whether it ended early because the feasible region held nothing new.
    """

    history: tuple[tuple[CodesOfOne, float | None], ...]
    exhausted: bool

    def __str__(self) -> str:
        ending = ", then the feasible region was exhausted" if self.exhausted else ""
        return f"{len(self.history)} candidates evaluated{ending}"


def evolve(problem: SearchProblem, evaluate_batch: EvaluateBatch) -> Evolved:
    """Run NNI's own loop against our engine; the same history as `RegularizedEvolution` asked batch by batch.

    Args:
        problem: the space, the budget, the settings (also evaluations and batch) and the seed.
        evaluate_batch: candidates -> values, larger is better, None or NaN where an evaluation failed.

    Returns:
        The history, and whether it is shorter than `settings.evaluations`.
    """
    history: list[tuple[CodesOfOne, float | None]] = []

    def evaluate(models: list[ExecutableModelSpace]) -> Sequence[float | None]:
        candidates = [model.codes for model in models if isinstance(model, FeasibleSpace)]
        values = evaluate_batch(candidates)
        history.extend(zip(candidates, values, strict=True))
        return values

    engine = BatchEngine(problem.settings.evaluations, problem.settings.batch, evaluate)
    _Evolution(problem)(FeasibleSpace(problem), engine)
    engine.flush()
    outcome = Evolved(tuple(history), exhausted=engine.budget_available())
    if outcome.exhausted:
        logger.warning("evolution ended after %d of %d candidates", len(history), problem.settings.evaluations)
    return outcome
