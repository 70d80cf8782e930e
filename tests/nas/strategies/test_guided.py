"""Predictor search and NSGA-II keep to what every strategy keeps to, and find what they are asked for."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from hasnas.nas.config_sections import SearchSection
from hasnas.nas.scoring.counters import Counts
from hasnas.nas.scoring.graph_features import canonical_classes
from hasnas.nas.strategies import STRATEGIES, SearchProblem, Strategy
from hasnas.nas.strategies.nsga2 import NSGA2, ranks_and_crowding
from hasnas.nas.strategies.predictor import CostObjective, PredictorSearch
from hasnas.search_spaces.macro import Macro
from hasnas.search_spaces.snasnet import CellSpace, SNASNetSpace
from hasnas.search_spaces.space import Codes, sample

MACRO = Macro((1, 8, 8), timesteps=3, channels=4, hidden=8, votes=1)
SPACE = SNASNetSpace(MACRO)
LARGE = CellSpace(MACRO, nodes=6)
SUITE = Path(__file__).parents[2] / "conformance" / "test_strategy.py"
NAMES = {"predictor": PredictorSearch, "nsga2": NSGA2}
CodesOfOne = tuple[int, ...]


def everything(codes: Codes) -> np.ndarray:
    return np.ones(len(codes), bool)


def problem(space: CellSpace = SPACE, seed: int = 0, population: int = 10) -> SearchProblem:
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


def conformance() -> ModuleType:
    specification = importlib.util.spec_from_file_location("strategy_conformance", SUITE)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


RULES = (
    "test_proposals_are_canonical_feasible_and_new",
    "test_the_same_seed_and_history_give_the_same_proposals",
    "test_a_replayed_history_is_continued_as_if_nothing_had_happened",
    "test_a_failed_candidate_is_only_one_among_others",
    "test_a_small_region_is_proposed_completely_and_then_ends",
    "test_a_region_without_members_ends_at_once",
)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("rule", RULES)
def test_conformance(name: str, rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(STRATEGIES._loaded, name, NAMES[name])
    getattr(conformance(), rule)(name)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("failed", [None, float("nan"), -float("inf")])
def test_failures_do_not_stop_the_search(
    name: str, failed: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(STRATEGIES._loaded, name, NAMES[name])
    conformance().test_failed_evaluations_do_not_stop_the_search(name, failed)


@pytest.mark.parametrize("make", [PredictorSearch, lambda task: NSGA2(task, "parameters")])
def test_better_than_random(make: Callable[[SearchProblem], Strategy]) -> None:
    found = [max(value(SPACE, codes) for codes in play(make(problem(seed=seed)), SPACE, 50)[20:]) for seed in range(2)]
    rng = np.random.default_rng(0)
    drawn, connected = SPACE.canonical(sample(SPACE, rng, 120))
    typical = np.median([value(SPACE, tuple(codes)) for codes in drawn[connected].tolist()])
    assert min(found) >= 94.0 > typical  # depth 3 on three or four edges


def test_cells_that_are_the_same_are_proposed_once() -> None:
    proposed = play(PredictorSearch(problem()), SPACE, 60)
    assert len(np.unique(canonical_classes(SPACE, np.array(proposed)))) == 60


def test_spaces_too_large_to_list() -> None:
    history = play(PredictorSearch(problem(LARGE, seed=1)), LARGE, 40)
    assert len(set(history)) == 40
    canonical, connected = LARGE.canonical(np.array(history, np.int16))
    assert connected.all()
    np.testing.assert_array_equal(canonical, history)
    first, later = (max(value(LARGE, codes) for codes in part) for part in (history[10:20], history[20:]))
    assert later > first
    assert play(PredictorSearch(problem(LARGE, seed=1)), LARGE, 40) == history


def test_hypervolume_improvement_covers_the_front() -> None:
    limit = float(np.quantile(operations(SPACE, SPACE.canonical(sample(SPACE, np.random.default_rng(1), 500))[0]), 0.5))
    cost = CostObjective("parameters", lambda codes: operations(SPACE, codes), limit)
    history = play(PredictorSearch(problem(seed=2), cost), SPACE, 60)
    prices = operations(SPACE, np.array(history))
    assert (prices[20:] <= limit).mean() > 0.9, "known costs above the limit are not proposed"
    kept = [codes for codes, price in zip(history, prices, strict=True) if price <= limit]
    assert max(value(SPACE, codes) for codes in kept) >= 93.0


def test_costs_that_turn_out_otherwise_are_learnt() -> None:
    """The estimate is half of the truth; candidates beyond the limit are avoided once that is known."""
    prices = operations(SPACE, SPACE.canonical(sample(SPACE, np.random.default_rng(1), 500))[0])
    limit = float(np.quantile(prices, 0.4))
    cost = CostObjective("parameters", lambda codes: operations(SPACE, codes) * (0.5 + codes[:, 2] / 1e3), limit)
    history = play(PredictorSearch(problem(seed=3), cost), SPACE, 60)
    assert (operations(SPACE, np.array(history[30:])) <= limit).mean() > 0.8


def test_ranks_and_crowding_by_hand() -> None:
    points = np.array([[1.0, 1.0], [2.0, 2.0], [4.0, 4.0], [1.0, 3.0], [0.5, 4.0]])
    rank, crowding = ranks_and_crowding(points, (True, False))
    assert rank.tolist() == [0, 0, 0, 1, 2]
    assert crowding[1] == pytest.approx(2.0)
    assert np.isinf(crowding[[0, 2]]).all()


def test_constraint_domination() -> None:
    strategy = NSGA2(problem(population=3), "parameters", limit=10.0)
    for codes, price in (((0, 0, 1, 0, 0, 0), 30.0), ((0, 0, 2, 0, 0, 0), 20.0), ((0, 0, 3, 0, 0, 0), 5.0)):
        strategy.tell(codes, 100.0 - codes[2], {"parameters": price})
    assert [codes[2] for codes in strategy._survivors()] == [3, 2, 1]
