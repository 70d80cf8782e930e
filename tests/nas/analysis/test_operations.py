"""Which operations a space needs, on scores whose answer is known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from hasnas.cim_estimator import Activity, load_hardware
from hasnas.errors import BadInputError, NothingFitsError
from hasnas.nas.analysis.operations import AnalysisTask, analyse_operations, operations_of
from hasnas.nas.budget.budget import Budget
from hasnas.nas.budget.costs import STANDARD
from hasnas.nas.budget.pricer import Pricer
from hasnas.nas.budget.region import admission
from hasnas.search_spaces.macro import Macro
from hasnas.search_spaces.snasnet import CellSpace
from hasnas.search_spaces.space import Codes

OPERATIONS = ("none", "identity", "conv1x1", "conv3x3", "avgpool3x3")
SPACE = CellSpace(Macro((1, 8, 8), timesteps=2, channels=4, hidden=0, votes=1), operations=OPERATIONS)
PRICER = Pricer(SPACE, load_hardware("rram-32nm"), Activity.dense())


def uses(codes: Codes, name: str) -> np.ndarray:
    return (codes == OPERATIONS.index(name)).sum(axis=1).astype(float)


def only_3x3(codes: Codes) -> np.ndarray:
    return uses(codes, "conv3x3")


def task(score: Callable[[Codes], np.ndarray] = only_3x3, budget: Budget | None = None, samples: int = 400):
    admits = admission(PRICER, budget or Budget())
    return AnalysisTask(SPACE, admits, PRICER.costs, score, "test", samples, steps=4, seed=1)


@pytest.mark.slow
def test_an_operation_that_scores_stays_and_the_others_go():
    found = analyse_operations(task())
    assert found.recommended == ("none", "conv3x3")
    assert found.yaml == "operations: [none, conv3x3]"
    assert {name for removal in found.removals for name in removal.removed} == {"identity", "conv1x1", "avgpool3x3"}
    effect = {effect.name: effect for effect in found.effects}
    assert effect["conv3x3"].top_decile.high < 0
    assert effect["conv3x3"].best.high < 0
    assert effect["conv3x3"].leave_one_out.low > 0
    assert effect["conv3x3"].without.best == 0
    assert effect["identity"].top_decile.mean >= 0
    assert all(0 < one.used_by < 1 for one in found.effects)


@pytest.mark.slow
def test_costs_are_those_of_an_edge():
    found = analyse_operations(task())
    cost = {effect.name: effect.cost_per_edge for effect in found.effects}
    assert set(cost["conv3x3"]) == {one.field for one in STANDARD}
    assert cost["conv1x1"]["parameters"] == pytest.approx(2 * 4 + 4 * 4 + 2 * 8 + 8 * 8)  # both cells have it
    assert cost["conv3x3"]["parameters"] == pytest.approx(2 * 4 + 9 * 16 + 2 * 8 + 9 * 64)
    assert cost["identity"]["parameters"] == 0
    assert cost["conv3x3"]["energy_j"] > cost["conv1x1"]["energy_j"] > cost["identity"]["energy_j"]


@pytest.mark.slow
def test_operations_that_a_score_cannot_tell_apart_stay_together():
    found = analyse_operations(task(lambda codes: uses(codes, "conv3x3") + uses(codes, "conv1x1")))
    assert found.recommended == ("none", "conv1x1", "conv3x3")
    assert found.undecided == ("conv1x1", "conv3x3")
    like = {effect.name: effect.like for effect in found.effects}
    assert like["conv1x1"] == ("conv3x3",)
    assert like["identity"] == ("avgpool3x3",)


@pytest.mark.slow
def test_an_operation_without_which_nothing_fits_stays():
    # Everything that carries weights breaks this limit, and what is left is needed although it scores nothing.
    floor = PRICER.costs(np.array([[0, 0, 1, 0, 0, 0]]))["parameters"][0]
    found = analyse_operations(task(budget=Budget({"parameters": float(floor)})))
    assert {"conv1x1", "conv3x3"} & set(found.recommended) == set()
    assert {"identity", "avgpool3x3"} & set(found.recommended)


@pytest.mark.slow
def test_values_that_are_not_finite_do_not_count():
    def sometimes_nan(codes: Codes) -> np.ndarray:
        return np.where(uses(codes, "identity") > 1, np.nan, np.where(codes[:, 0] == 1, -np.inf, only_3x3(codes)))

    found = analyse_operations(task(sometimes_nan))
    assert np.isfinite([found.full.mean, found.full.top_decile, found.full.best]).all()
    assert "conv3x3" in found.recommended


@pytest.mark.slow
def test_the_same_seed_finds_the_same():
    first, second = analyse_operations(task()).to_json(), analyse_operations(task()).to_json()
    first.pop("seconds"), second.pop("seconds")
    assert first == second


def test_feedback_choices_are_the_same_operations():
    space = CellSpace(SPACE.macro, feedback=True, operations=OPERATIONS)
    assert operations_of(space) == OPERATIONS[1:]


def test_what_cannot_be_analysed_is_refused():
    with pytest.raises(NothingFitsError, match="loosen"):
        analyse_operations(task(budget=Budget({"parameters": 1})))
    with pytest.raises(BadInputError, match="samples is 5; give at least 100"):
        task(samples=5)
