"""Strategies that learn from what they are told find what they are asked for; the conformance suite tests the rest."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from hasnas.errors import BadInputError
from hasnas.nas.config.sections import SearchSection
from hasnas.nas.scoring.counters import Counts
from hasnas.nas.scoring.graph_features import canonical_classes
from hasnas.nas.strategies import SearchProblem, Strategy, create_strategy
from hasnas.nas.strategies.genetic import NSGA2, NSGA3, reference_directions
from hasnas.nas.strategies.predictor import PredictorSearch, _ErrorScale
from hasnas.nas.strategies.strategy import CostObjective
from hasnas.search_spaces.autosnn import AutoSNNSpace
from hasnas.search_spaces.hasnas import HASNASSpace
from hasnas.search_spaces.macro import Macro
from hasnas.search_spaces.searched_macro import SearchedMacroSpace
from hasnas.search_spaces.snasnet import CellSpace, SNASNetSpace
from hasnas.search_spaces.space import Codes, SearchSpace, sample

MACRO = Macro((1, 8, 8), timesteps=3, channels=4, hidden=8, votes=1)
SPACE = SNASNetSpace(MACRO)
LARGE = CellSpace(MACRO, nodes=6)
BACKWARD = SNASNetSpace(MACRO, feedback=True)
MAPS = Macro((1, 28, 28), timesteps=3, channels=4, hidden=8, votes=1, final_pool=1)
OTHERS: tuple[SearchSpace, ...] = (
    HASNASSpace(MACRO),
    AutoSNNSpace(MAPS),
    SearchedMacroSpace(SPACE, (("timesteps", (2, 3)), ("threshold", (0.5, 1.0)), ("neuron", ("lif", "if")))),
)
CodesOfOne = tuple[int, ...]


def everything(codes: Codes) -> np.ndarray:
    return np.ones(len(codes), bool)


def problem(space: SearchSpace = SPACE, seed: int = 0, population: int = 10) -> SearchProblem:
    return SearchProblem(space, everything, SearchSection(population=population, sample=3), seed)


def operations(space: CellSpace, codes: Codes) -> np.ndarray:
    return 1.0 + Counts(space, np.atleast_2d(codes)).parameters


def value(space: CellSpace, codes: CodesOfOne) -> float:
    """Deep cells with few edges are best: between 80 and 100."""
    counts = Counts(space, np.array([codes]))
    return float(90 + 2 * counts.depth[0] - 0.5 * counts.live_edges[0])


def play(strategy: Strategy, space: CellSpace, evaluations: int, batch: int = 5) -> list[CodesOfOne]:
    history: list[CodesOfOne] = []
    while len(history) < evaluations:
        asked = strategy.ask(min(batch, evaluations - len(history)))
        if not asked:
            break
        for codes in asked:
            strategy.tell(codes, value(space, codes), {"parameters": float(operations(space, np.array(codes))[0])})
        history += asked
    return history


def with_cost(task: SearchProblem, cost: CostObjective) -> SearchProblem:
    return dataclasses.replace(task, objectives=(cost,), best=100.0, worst=80.0)


def limit_keeping(share: float) -> float:
    drawn = SPACE.canonical(sample(SPACE, np.random.default_rng(1), 500))[0]
    return float(np.quantile(operations(SPACE, drawn), share))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["predictor", "nsga2", "nsga3", "optuna"])
def test_better_than_random(name: str) -> None:
    strategies = [create_strategy(name, problem(seed=seed)) for seed in range(2)]
    found = [max(value(SPACE, codes) for codes in play(strategy, SPACE, 50)[20:]) for strategy in strategies]
    rng = np.random.default_rng(0)
    drawn, connected = SPACE.canonical(sample(SPACE, rng, 120))
    typical = np.median([value(SPACE, tuple(codes)) for codes in drawn[connected].tolist()])
    assert min(found) >= 94.0 > typical  # depth 3 on three or four edges


@pytest.mark.slow
def test_cells_that_are_the_same_are_proposed_once() -> None:
    strategy = PredictorSearch(problem())
    assert strategy.learned() == []
    proposed = play(strategy, SPACE, 60)
    assert len(np.unique(canonical_classes(SPACE, np.array(proposed)))) == 60
    learned = strategy.learned()
    assert [one.told for one in learned] == [10, 25, 50, 60]
    assert learned[-1].predictor > 0.7
    assert learned[-1].predictor > learned[-1].score, "values follow edges as well, which the score hardly counts"


@pytest.mark.slow
def test_it_learns_in_spaces_too_large_to_list() -> None:
    history = play(PredictorSearch(problem(LARGE, seed=1)), LARGE, 40)
    assert len(set(history)) == 40
    canonical, connected = LARGE.canonical(np.array(history, np.int16))
    assert connected.all()
    np.testing.assert_array_equal(canonical, history)
    first, later = (max(value(LARGE, codes) for codes in part) for part in (history[10:20], history[20:]))
    assert later > first
    assert play(PredictorSearch(problem(LARGE, seed=1)), LARGE, 40) == history


@pytest.mark.slow
@pytest.mark.parametrize("space", [BACKWARD, *OTHERS], ids=lambda space: type(space).__name__)
@pytest.mark.parametrize("name", ["predictor", "nsga2", "nsga3", "optuna"])
def test_every_space_can_be_searched(name: str, space: SearchSpace) -> None:
    def searched() -> list[CodesOfOne]:
        strategy, history = create_strategy(name, problem(space, seed=2)), []
        while len(history) < 30:
            for codes in strategy.ask(5):
                history.append(codes)
                strategy.tell(codes, 0.5 + 0.1 * float(np.sin(np.dot(codes, np.arange(1, len(codes) + 1)))), {})
        return history

    history = searched()
    assert len(set(history)) == 30
    canonical, connected = space.canonical(np.array(history, np.int16))
    assert connected.all()
    np.testing.assert_array_equal(canonical, history)
    assert searched() == history


@pytest.mark.slow
def test_feedback_edges_are_learnt() -> None:
    """More feedback edges, better value: what the process sees of a cell says where they are."""

    def share(codes: list[CodesOfOne]) -> float:
        return float((np.array(codes) >= len(BACKWARD.operations)).mean())

    strategy, history = PredictorSearch(problem(BACKWARD, seed=0)), []
    while len(history) < 50:
        for codes in strategy.ask(5):
            history.append(codes)
            strategy.tell(codes, 0.5 + 0.4 * share([codes]), {})
    assert share(history[-20:]) > share(history[:20]) + 0.15


@pytest.mark.slow
def test_hypervolume_improvement_covers_the_front() -> None:
    limit = limit_keeping(0.5)
    cost = CostObjective("parameters", lambda codes: operations(SPACE, codes), limit)
    history = play(PredictorSearch(with_cost(problem(seed=2), cost)), SPACE, 60)
    prices = operations(SPACE, np.array(history))
    assert (prices[20:] <= limit).mean() > 0.9, "known costs above the limit are not proposed"
    kept = [codes for codes, price in zip(history, prices, strict=True) if price <= limit]
    assert max(value(SPACE, codes) for codes in kept) >= 93.0


@pytest.mark.slow
def test_costs_that_turn_out_otherwise_are_learnt() -> None:
    """The estimate is half of the truth; candidates beyond the limit are avoided once that is known."""
    limit = limit_keeping(0.4)
    cost = CostObjective("parameters", lambda codes: operations(SPACE, codes) * (0.5 + codes[:, 2] / 1e3), limit)
    history = play(PredictorSearch(with_cost(problem(seed=3), cost)), SPACE, 60)
    assert (operations(SPACE, np.array(history[30:])) <= limit).mean() > 0.8


@pytest.mark.slow
@pytest.mark.parametrize("best", [100.0, np.inf])
def test_a_cost_without_a_limit(best: float) -> None:
    """Also where no largest value is known, as for training-free scores."""
    cost = CostObjective("parameters", lambda codes: operations(SPACE, codes))
    task = dataclasses.replace(with_cost(problem(seed=1), cost), best=best, worst=None)
    history = play(PredictorSearch(task), SPACE, 40)
    prices = operations(SPACE, np.array(history[20:]))
    assert prices.min() <= operations(SPACE, np.array(history[:10])).min(), "cheap ones are found"
    assert max(value(SPACE, codes) for codes in history) >= 93.0, "and good ones"


def test_errors_take_a_log_even_where_one_is_perfect() -> None:
    scale = _ErrorScale(best=0.0)
    target = scale.target(np.array([-2.0, -0.5, 0.0]))
    assert np.isfinite(target).all()
    assert (np.diff(target) > 0).all(), "smaller errors are better"
    np.testing.assert_allclose(scale.error_of(target[:2]), [2.0, 0.5])


def test_the_predictor_takes_one_cost() -> None:
    cost = CostObjective("parameters", lambda codes: operations(SPACE, codes))
    task = dataclasses.replace(problem(), objectives=(cost, dataclasses.replace(cost, name="energy_j")))
    with pytest.raises(BadInputError, match="minimizes one cost, not parameters, energy_j"):
        PredictorSearch(task)


@pytest.mark.parametrize("genetic", [NSGA2, NSGA3])
def test_candidates_beyond_the_limit_lose(genetic: type[NSGA2 | NSGA3]) -> None:
    """What breaks the limit survives only behind what keeps to it, and by how little it breaks it."""
    cost = CostObjective("parameters", lambda codes: operations(SPACE, codes), limit=10.0)
    strategy = genetic(with_cost(problem(population=4), cost))
    prices = iter([30.0, 20.0, 5.0, 40.0, 25.0, 12.0, 9.0, 50.0])
    for _ in range(2):
        for codes in strategy.ask(4):
            strategy.tell(codes, 90.0, {"parameters": next(prices)})
    strategy.ask(1)
    survivors = strategy._algorithm.pop.get("F")[:, 1]
    assert sorted(survivors) == [5.0, 9.0, 12.0, 20.0]


@pytest.mark.parametrize("genetic", [NSGA2, NSGA3])
def test_limits_that_only_an_evaluation_tells_are_kept(genetic: type[NSGA2 | NSGA3]) -> None:
    """The value alone counts among those within; one whose limited cost is unknown counts as failed."""
    task = dataclasses.replace(problem(population=4), limits=(CostObjective("seconds", limit=10.0),))
    strategy = genetic(task)
    values, prices = (99.0, 80.0, 98.0, 70.0, 60.0, 97.0, 50.0, 96.0), (30.0, 5.0, 12.0, 9.0, 1.0, 40.0, 2.0, None)
    told = zip(values, prices, strict=True)
    for _ in range(2):
        for codes in strategy.ask(4):
            value, seconds = next(told)
            strategy.tell(codes, value, {} if seconds is None else {"seconds": seconds})
    strategy.ask(1)
    assert sorted(-strategy._algorithm.pop.get("F")[:, 0]) == [50.0, 60.0, 70.0, 80.0]


@pytest.mark.slow
@pytest.mark.parametrize("genetic", [NSGA2, NSGA3])
def test_a_front_of_several_costs(genetic: type[NSGA2 | NSGA3]) -> None:
    """Cheap and good candidates are both kept."""
    costs = tuple(
        CostObjective(name, lambda codes: operations(SPACE, codes)) for name in ("parameters", "energy_j", "area_m2")
    )
    strategy = genetic(dataclasses.replace(problem(seed=4), objectives=costs))
    history: list[CodesOfOne] = []
    while len(history) < 80:
        for codes in strategy.ask(5):
            price = float(operations(SPACE, np.array(codes))[0])
            history.append(codes)
            strategy.tell(codes, value(SPACE, codes), dict.fromkeys(("parameters", "energy_j", "area_m2"), price))
    assert max(value(SPACE, codes) for codes in history) >= 94.0
    bare = operations(SPACE, np.array([0, 0, 1, 0, 0, 0]))[0]
    assert operations(SPACE, np.array(history[20:])).min() == bare


def test_directions_cover_every_objective() -> None:
    for objectives in range(1, 7):
        directions = reference_directions(objectives, 20)
        assert directions.shape[1] == objectives
        assert objectives <= len(directions) <= 20
        np.testing.assert_allclose(directions.sum(axis=1), 1.0)
