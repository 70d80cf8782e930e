"""What every search strategy keeps to: inside the budget, nothing twice, the same proposals for the same history."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from hasnas.cim_estimator import Activity, load_hardware
from hasnas.nas.budget import Budget
from hasnas.nas.config_sections import SearchSection
from hasnas.nas.pricing import Pricer
from hasnas.nas.region import admission
from hasnas.nas.strategies import STRATEGIES, SearchProblem, Strategy, create_strategy
from hasnas.search_spaces.macro import Macro
from hasnas.search_spaces.snasnet import SNASNetSpace
from hasnas.search_spaces.space import all_codes

MACRO = Macro((1, 8, 8), timesteps=3, channels=4, hidden=8, votes=1)
SETTINGS = SearchSection(population=6, sample=3, mutation=0.3)
CodesOfOne = tuple[int, ...]

pytestmark = pytest.mark.parametrize("name", STRATEGIES.names())


def problem(seed: int = 0, feedback: bool = True, nodes: int = 4, parameters: float | None = 1500) -> SearchProblem:
    space = SNASNetSpace(MACRO, feedback=feedback, nodes=nodes)
    pricer = Pricer(space, load_hardware("spikesim-65nm-rram"), Activity.dense())
    return SearchProblem(space, admission(pricer, Budget(parameters=parameters)), SETTINGS, seed)


def score(codes: CodesOfOne) -> float:
    """Any function of the candidate alone will do."""
    return math.sin(sum((index + 1) * code for index, code in enumerate(codes)))


def play(
    strategy: Strategy, rounds: int, value: Callable[[CodesOfOne], float | None] = score, batch: int = 4
) -> list[CodesOfOne]:
    proposed: list[CodesOfOne] = []
    for _ in range(rounds):
        asked = strategy.ask(batch)
        proposed += asked
        for codes in asked:
            strategy.tell(codes, value(codes), {"parameters": 1.0})
    return proposed


def test_proposals_are_canonical_feasible_and_new(name: str):
    task = problem()
    proposed = play(create_strategy(name, task), rounds=10)
    assert len(proposed) == len(set(proposed)) == 40
    canonical, admitted = task.admissible(np.array(proposed, np.int16))
    assert admitted.all()
    np.testing.assert_array_equal(canonical, proposed)
    keys = {task.space.decode(codes).key for codes in proposed}
    assert len(keys) == 40
    assert all(isinstance(code, int) for codes in proposed for code in codes)


def test_the_same_seed_and_history_give_the_same_proposals(name: str):
    first, second, other = (play(create_strategy(name, problem(seed)), rounds=8) for seed in (3, 3, 4))
    assert first == second
    assert first != other


def test_a_replayed_history_is_continued_as_if_nothing_had_happened(name: str):
    straight = play(create_strategy(name, problem(1)), rounds=8)
    resumed = create_strategy(name, problem(1))
    assert play(resumed, rounds=5) + play(resumed, rounds=3) == straight


@pytest.mark.parametrize("value", [None, math.nan, -math.inf])
def test_failed_evaluations_do_not_stop_the_search(name: str, value: float | None):
    proposed = play(create_strategy(name, problem()), rounds=6, value=lambda codes: value)
    assert len(set(proposed)) == 24


def test_a_failed_candidate_is_only_one_among_others(name: str):
    outcomes = iter([0.5, None, math.nan] * 20)
    proposed = play(create_strategy(name, problem()), rounds=10, value=lambda codes: next(outcomes))
    assert len(set(proposed)) == 40


def test_a_small_region_is_proposed_completely_and_then_ends(name: str):
    task = problem(feedback=False, nodes=3, parameters=None)
    canonical, connected = task.space.canonical(np.concatenate(list(all_codes(task.space))))
    region = {tuple(row) for row in canonical[connected].tolist()}
    strategy = create_strategy(name, task)
    proposed = play(strategy, rounds=len(region) // 4 + 3)
    assert set(proposed) == region
    assert len(proposed) == len(region)
    assert strategy.ask(1) == []


def test_a_region_without_members_ends_at_once(name: str):
    assert create_strategy(name, problem(feedback=False, parameters=1)).ask(3) == []
