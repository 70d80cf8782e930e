"""Choices that are removed one after the other; the conformance suite tests what every strategy keeps to."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hasnas.nas.config.sections import SearchSection
from hasnas.nas.strategies import SearchProblem
from hasnas.nas.strategies.supernet_pruning import SupernetPruning
from hasnas.search_spaces.macro import Macro
from hasnas.search_spaces.snasnet import SNASNetSpace
from hasnas.search_spaces.space import Codes

SPACE = SNASNetSpace(Macro((1, 8, 8), timesteps=3, channels=4, hidden=8, votes=1))
WANTED = np.array([3, 0, 2, 3, 3, 3])
CodesOfOne = tuple[int, ...]


def everything(codes: Codes) -> np.ndarray:
    return np.ones(len(codes), bool)


def value(codes: CodesOfOne) -> float:
    """Each gene that is as wanted counts."""
    return float((np.array(codes) == WANTED).sum())


def strategy(admits: Callable[[Codes], np.ndarray] = everything, evaluations: int = 100, seed: int = 0):
    settings = SearchSection(evaluations=evaluations)
    return SupernetPruning(SearchProblem(SPACE, admits, settings, seed))


def play(search: SupernetPruning, evaluations: int, told: Callable[[CodesOfOne], float | None] = value):
    history: list[CodesOfOne] = []
    while len(history) < evaluations and (asked := search.ask(min(4, evaluations - len(history)))):
        for codes in asked:
            search.tell(codes, told(codes), {})
        history += asked
    return history


def left(search: SupernetPruning) -> int:
    return sum(len(choices) for choices in search.allowed)


def test_nothing_is_removed_at_first_and_few_choices_are_left_at_the_end():
    search = strategy()
    play(search, 20)
    assert left(search) == 30
    counts = []
    for _ in range(12):
        play(search, 5)
        counts.append(left(search))
    assert counts == sorted(counts, reverse=True)
    assert counts[-1] <= 14


def test_the_choices_that_matter_are_left():
    hits = []
    for seed in range(5):
        search = strategy(seed=seed)
        history = play(search, 97)
        hits.append(sum(wanted in choices for wanted, choices in zip(WANTED, search.allowed, strict=True)))
        assert max(value(codes) for codes in history) >= 5
    assert np.mean(hits) >= 5


def test_later_candidates_are_better():
    history = play(strategy(), 90)
    values = [value(codes) for codes in history]
    assert np.mean(values[-30:]) > np.mean(values[:20]) + 1.5


def test_what_the_budget_needs_is_never_removed():
    def only_with_pool(codes: Codes) -> np.ndarray:
        return codes[:, 2] == 4  # an average pool from input to output, which nobody asked for

    search = strategy(only_with_pool)
    history = play(search, 97)
    assert only_with_pool(np.array(history)).all()
    assert 4 in search.allowed[2]


def test_candidates_that_failed_count_as_the_worst():
    search = strategy()
    play(search, 90, lambda codes: None if codes[5] != 3 else value(codes))
    assert search.allowed[5] == (3,)


def test_after_the_last_removal_a_new_pass_begins_with_what_is_known():
    search = strategy(evaluations=60)
    history = play(search, 150)
    assert len(set(history)) == 150
    values = [value(codes) for codes in history]
    assert np.mean(values[80:110]) > np.mean(values[:20]) + 1, "no warm-up this time"
