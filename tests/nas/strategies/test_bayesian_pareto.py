"""What is special about the Bayesian search for a front."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from botorch.acquisition.multi_objective import logei

from hasnas.errors import BadInputError
from hasnas.nas.bench.analytic import GridSpace, dtlz2, osy, play, zdt
from hasnas.nas.config.sections import SearchSection
from hasnas.nas.strategies.bayesian_pareto import BayesianPareto
from hasnas.nas.strategies.optuna_samplers import OptunaSampler
from hasnas.nas.strategies.random_search import RandomSearch
from hasnas.nas.strategies.strategy import CostObjective, SearchProblem
from hasnas.nas.strategies.surrogates import GeneInputs, Surrogate, torch
from hasnas.search_spaces.space import Gene

SETTINGS = SearchSection(population=8, sample=5)
LINE = GridSpace((0.0, 0.0), (1.0, 1.0), 81)


def line(known: bool) -> SearchProblem:
    """x high, x^2 + y low: the front is y = 0."""

    def cost(codes: np.ndarray) -> np.ndarray:
        x, y = LINE.points(codes).T
        return x**2 + y

    objective = CostObjective("cost", cost if known else None)
    return SearchProblem(LINE, lambda codes: np.ones(len(codes), bool), SETTINGS, 0, (objective,), best=np.inf)


def explore(problem: SearchProblem, count: int) -> np.ndarray:
    strategy = BayesianPareto(problem)
    done: list[tuple[int, ...]] = []
    while len(done) < count:
        for codes in strategy.ask(4):
            x, y = LINE.points(np.array([codes]))[0].tolist()
            strategy.tell(codes, x, {"cost": x**2 + y})
            done.append(codes)
    return LINE.points(np.array(done))


@pytest.mark.slow
@pytest.mark.parametrize("known", [True, False])
def test_it_walks_along_the_front(known: bool) -> None:
    guided = explore(line(known), 20)[8:]
    near = guided[guided[:, 1] < 0.03]
    assert len(near) >= 9
    assert np.ptp(near[:, 0]) > 0.6


@pytest.mark.slow
def test_no_kernel_is_compiled_for_this_processor_alone() -> None:
    """With one, a machine with a compiler would propose other candidates than a machine without."""
    explore(line(known=False), 12)
    assert logei._C is None


@pytest.mark.slow
def test_it_covers_more_than_chance() -> None:
    problem = dtlz2(variables=3)
    strategies = [make(problem.problem(SETTINGS, 1)) for make in (BayesianPareto, RandomSearch)]
    guided, drawn = (problem.volume(play(problem, one, 28, 4)) for one in strategies)
    assert guided > 0.25 > drawn > 0


@pytest.mark.slow
@pytest.mark.parametrize("fails", [True, False])
def test_the_best_beside_what_fails_or_breaks_a_limit_is_found(fails: bool) -> None:
    """x is high up to 0.6, beyond which evaluations fail or a cost that only they tell is too high."""
    limits = () if fails else (CostObjective("heat", limit=0.6),)
    strategy = BayesianPareto(dataclasses.replace(line(known=False), objectives=(), limits=limits))
    within = []
    for _ in range(6):
        for codes in strategy.ask(3):
            x, y = LINE.points(np.array([codes]))[0].tolist()
            strategy.tell(codes, None if fails and x > 0.6 else x - y, {"heat": x})
            within += [(x, y)] if x <= 0.6 else []
    assert max(x - y for x, y in within[:5]) < 0.5
    assert max(x - y for x, y in within) == 0.6
    assert [one.fits > 0 for one in strategy.surrogates.each] == [True, *([] if fails else [True]), fails]


def test_more_objectives_than_it_can_divide_space_for_are_refused() -> None:
    many = tuple(CostObjective(f"f{number}") for number in range(4))
    with pytest.raises(BadInputError, match="up to 4 objectives, not 5; combine some by an expression"):
        BayesianPareto(dataclasses.replace(line(known=True), objectives=many))


def test_genes_are_seen_by_their_kinds() -> None:
    genes = (
        Gene("a", ("x", "y", "z")),
        Gene("fixed", ("one",)),
        Gene("b", ("1", "10", "100"), "numeric", (1.0, 10.0, 100.0), "log"),
        Gene("c", ("4", "5", "8"), "ordered"),
    )

    class Mixed(GridSpace):
        @property
        def genes(self) -> tuple[Gene, ...]:
            return genes

    inputs = GeneInputs(Mixed((), ()))
    assert (inputs.categorical, inputs.ordered) == ([0], [1, 2])
    np.testing.assert_allclose(inputs(np.array([[2, 0, 1, 2], [0, 0, 2, 1]])), [[2, 0.5, 1], [0, 1, 0.5]])
    kernel = inputs.kernel()
    seen = torch.as_tensor(inputs(np.array([[0, 0, 0, 0], [0, 0, 1, 0], [0, 0, 2, 0], [1, 0, 0, 0], [2, 0, 0, 0]])))
    alike = kernel(seen).to_dense()[0].tolist()
    assert alike[0] > alike[1] > alike[2]
    assert alike[3] == pytest.approx(alike[4])


def test_the_supervisor_fits_again_where_predictions_were_off() -> None:
    space = zdt(1, variables=1).space
    surrogate = Surrogate(GeneInputs(space))

    def learn(count: int, wrong: float = 0.0) -> tuple[int, int]:
        x = np.linspace(0, 1, 200)[np.random.default_rng(0).permutation(200)][:count]
        values = np.sin(6 * x)
        values[-1] += wrong
        surrogate.learn(torch.as_tensor(x)[:, None], values)
        return surrogate.fits, surrogate.skipped

    assert learn(12) == (1, 0)
    assert learn(12) == (1, 0)
    assert learn(14) == (1, 1)
    assert learn(16, wrong=2.0) == (2, 1)
    assert learn(24) == (3, 1)
    with torch.no_grad():
        predicted = surrogate.model.posterior(torch.tensor([[0.37]], dtype=torch.double)).mean.item()
    assert predicted * surrogate.scale + surrogate.mean == pytest.approx(np.sin(6 * 0.37), abs=0.05)


@pytest.mark.slow
def test_optunas_sampler_takes_fronts_and_limits_too() -> None:
    problem, settings = osy(), SearchSection(population=20)
    strategies = [make(problem.problem(settings, 0)) for make in (OptunaSampler, RandomSearch)]
    guided, drawn = (play(problem, one, 60, 5) for one in strategies)
    assert problem.constraints is not None
    kept, by_chance = (
        (problem.constraints(problem.space.points(np.array(done))) <= 0).all(axis=1).sum() for done in (guided, drawn)
    )
    assert kept > 3 * by_chance
    assert problem.volume(guided) > problem.volume(drawn)
