from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hasnas.errors import BadInputError
from hasnas.nas.config.sections import SearchSection
from hasnas.nas.strategies import SearchProblem
from hasnas.nas.supernet.nni.evolution import RegularizedEvolution, evolve
from hasnas.search_spaces.macro import Macro
from hasnas.search_spaces.snasnet import CellSpace, SNASNetSpace
from hasnas.search_spaces.space import Codes, all_codes

pytestmark = pytest.mark.slow

MACRO = Macro((1, 8, 8), classes=3, timesteps=3, channels=4, hidden=0, votes=1)
SPACE = SNASNetSpace(MACRO, feedback=True)
TARGET = (3, 7, 3, 2, 8, 1)


def light(codes: Codes) -> NDArray[np.bool_]:
    """A budget: few heavy operations."""
    return (codes % 5 >= 2).sum(axis=1) <= 3


def closeness(codes: Sequence[int]) -> float:
    return -float(sum(abs(code - goal) for code, goal in zip(codes, TARGET, strict=True)))


def failing_sometimes(codes: Sequence[int]) -> float | None:
    kind = sum(codes) % 7
    return None if kind == 0 else float("nan") if kind == 1 else closeness(codes)


def problem(
    seed: int = 0, space: CellSpace = SPACE, feasible: Callable = light, **settings: int | float | bool
) -> SearchProblem:
    return SearchProblem(space, feasible, SearchSection(**settings), seed)


def ask_and_tell(task: SearchProblem, value: Callable[[Sequence[int]], float | None]) -> list:
    """A run's loop: batches asked, results told in order."""
    strategy, history = RegularizedEvolution(task), []
    while len(history) < task.settings.evaluations:
        wanted = min(task.settings.batch, task.settings.evaluations - len(history))
        asked = strategy.ask(wanted)
        results = [value(codes) for codes in asked]
        for codes, result in zip(asked, results, strict=True):
            strategy.tell(codes, result, {})
            history.append((codes, result))
        if len(asked) < wanted:
            break
    return history


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    batch=st.integers(1, 30),
    population=st.integers(2, 40),
    crossover=st.booleans(),
)
def test_asked_and_driven_evolution_write_the_same_history(seed: int, batch: int, population: int, crossover: bool):
    task = problem(seed, evaluations=60, batch=batch, population=population, sample=2, crossover=crossover)
    driven = evolve(task, lambda candidates: [failing_sometimes(codes) for codes in candidates])
    asked = ask_and_tell(task, failing_sometimes)
    assert repr(list(driven.history)) == repr(asked)  # as text: NaN is not equal to itself
    assert len(asked) == 60
    assert not driven.exhausted
    rows = np.array([codes for codes, _ in asked])
    canonical, connected = SPACE.canonical(rows)
    assert connected.all()
    assert light(rows).all()
    assert (canonical == rows).all()
    assert len(np.unique(rows, axis=0)) == 60


def test_the_seed_and_the_results_decide_the_proposals():
    def history(seed: int, sign: int) -> list:
        return ask_and_tell(problem(seed, evaluations=60), lambda codes: sign * closeness(codes))

    assert history(1, 1) == history(1, 1)
    assert history(1, 1) != history(2, 1)
    first, other = history(1, 1), history(1, -1)
    assert [codes for codes, _ in first[:20]] == [codes for codes, _ in other[:20]]  # the initial population
    assert [codes for codes, _ in first] != [codes for codes, _ in other]


def test_evolution_finds_better_candidates_than_its_initial_population():
    def gain(seed: int) -> float:
        values = [value for _, value in ask_and_tell(problem(seed, evaluations=150), closeness)]
        return max(values) - max(values[:20])

    gains = [gain(seed) for seed in range(8)]
    assert min(gains) >= 0
    assert np.mean(gains) > 1.5


@pytest.mark.parametrize("mutation", [0.0, 0.2, 1.0])
def test_a_small_region_is_exhausted_to_the_last_candidate(mutation: float, caplog: pytest.LogCaptureFixture):
    space = CellSpace(MACRO, nodes=3)
    canonical, connected = space.canonical(next(all_codes(space)))
    region = np.unique(canonical[connected], axis=0)
    region = region[region.sum(axis=1) < 6]
    task = problem(3, space, lambda codes: codes.sum(axis=1) < 6, evaluations=500, population=10, mutation=mutation)
    with caplog.at_level(logging.INFO):
        outcome = evolve(task, lambda candidates: [float(sum(codes)) for codes in candidates])
        asked = ask_and_tell(task, lambda codes: float(sum(codes)))
    assert outcome.exhausted
    assert sorted(codes for codes, _ in outcome.history) == sorted(tuple(row) for row in region.tolist())
    assert list(outcome.history) == asked
    assert str(outcome) == f"{len(region)} candidates evaluated, then the feasible region was exhausted"
    assert f"evolution ended after {len(region)} of 500 candidates" in caplog.text
    assert "holds no architecture that was not proposed" in caplog.text


def test_an_empty_region_proposes_nothing():
    nothing = problem(0, CellSpace(MACRO, nodes=3), lambda codes: np.zeros(len(codes), bool))
    assert RegularizedEvolution(nothing).ask(5) == []
    assert evolve(nothing, lambda candidates: []).history == ()


@pytest.mark.parametrize("result", [None, float("nan"), float("-inf")])
def test_evaluations_that_all_fail_leave_random_search(result: float | None):
    task = problem(4, evaluations=50, population=8)
    history = ask_and_tell(task, lambda codes: result)
    assert len({codes for codes, _ in history}) == 50


def test_a_population_that_is_never_full_is_random():
    history = ask_and_tell(problem(0, evaluations=30, population=1000), closeness)
    assert len(history) == 30


def test_numpy_numbers_are_taken_as_numbers():
    strategy = RegularizedEvolution(problem(0))
    (codes,) = strategy.ask(1)
    strategy.tell(codes, np.float32(0.5), {})  # type: ignore[arg-type]  # NNI itself refuses it


def test_a_second_result_is_refused_and_a_strangers_is_not():
    strategy, stranger = RegularizedEvolution(problem(0)), RegularizedEvolution(problem(1)).ask(1)[0]
    (codes,) = strategy.ask(1)
    assert stranger != codes
    for one in (codes, stranger):
        strategy.tell(one, 1.0, {})
        with pytest.raises(BadInputError, match=r"a second result for .*; tell each candidate once"):
            strategy.tell(one, 1.0, {})
