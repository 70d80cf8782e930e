"""Cells one after the other; the conformance suite tests what every strategy keeps to."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hasnas.nas.config.sections import SearchSection
from hasnas.nas.strategies import SearchProblem, create_strategy
from hasnas.nas.strategies.cell_by_cell import CellByCell, cells_of, minimal_member
from hasnas.search_spaces.macro import Macro
from hasnas.search_spaces.snasnet import CellSpace
from hasnas.search_spaces.space import Codes

SPACE = CellSpace(Macro((1, 8, 8), timesteps=3, channels=4, hidden=8, votes=1), cells=3, shared=False)
CodesOfOne = tuple[int, ...]
WANTED = np.array([3, 0, 2, 3, 0, 2] * 3)


def everything(codes: Codes) -> np.ndarray:
    return np.ones(len(codes), bool)


def few_edges(codes: Codes) -> np.ndarray:
    return (codes > 0).sum(axis=1) <= 12


def problem(admits: Callable[[Codes], np.ndarray] = everything, evaluations: int = 120, seed: int = 0) -> SearchProblem:
    return SearchProblem(SPACE, admits, SearchSection(evaluations=evaluations, population=10, sample=3), seed)


def value(codes: CodesOfOne) -> float:
    """Each gene that is as wanted counts."""
    return float((np.array(codes) == WANTED).sum())


def play(strategy: CellByCell, evaluations: int, batch: int = 4) -> list[CodesOfOne]:
    history: list[CodesOfOne] = []
    while len(history) < evaluations and (asked := strategy.ask(min(batch, evaluations - len(history)))):
        for codes in asked:
            strategy.tell(codes, value(codes), {})
        history += asked
    return history


def free_part(codes: CodesOfOne, cell: int) -> CodesOfOne:
    return codes[6 * cell : 6 * cell + 6]


def test_it_starts_from_one_convolution_in_each_cell():
    start = minimal_member(problem())
    for cell in range(3):
        chosen = [SPACE.choices[code] for code in free_part(start, cell) if code]
        assert chosen == ["conv1x1"]
    assert CellByCell(problem()).ask(1) == [start]


def test_one_cell_changes_while_the_others_are_held():
    strategy = CellByCell(problem())
    first = play(strategy, 20)  # a sixth of the evaluations belongs to each cell of each sweep
    assert strategy.cell == 0
    assert len({free_part(codes, 0) for codes in first}) == 20
    assert {free_part(codes, 1) + free_part(codes, 2) for codes in first} == {first[0][6:]}
    second = play(strategy, 20)[4:]
    best = max(first, key=value)
    assert {value(codes[:6] + first[0][6:]) for codes in second} == {value(best)}
    assert len({codes[12:] for codes in second}) == 1


def test_every_cell_is_optimised_within_the_budget():
    found = play(CellByCell(problem(few_edges)), 120)
    assert few_edges(np.array(found)).all()
    assert max(value(codes) for codes in found) >= 14


def test_it_beats_random_search_where_cells_add_up():
    picks = {}
    for name in ("cell_by_cell", "random"):
        best = []
        for seed in range(5):
            history = play(create_strategy(name, problem(few_edges, seed=seed)), 100)
            best.append(max(value(codes) for codes in history))
        picks[name] = np.mean(best)
    assert picks["cell_by_cell"] > picks["random"]


def test_a_space_of_equal_cells_is_one_cell():
    shared = CellSpace(SPACE.macro)
    assert cells_of(shared) == [list(range(6))]
    assert cells_of(SPACE)[1] == list(range(6, 12))
    strategy = CellByCell(SearchProblem(shared, everything, SearchSection(population=6, sample=3), 0))
    assert len(set(strategy.ask(30))) == 30


def test_a_budget_without_minimal_cells_is_still_searched():
    def crowded(codes: Codes) -> np.ndarray:
        return (codes > 0).sum(axis=1) >= 14

    found = play(CellByCell(problem(crowded)), 40)
    assert len(found) == 40
    assert crowded(np.array(found)).all()
