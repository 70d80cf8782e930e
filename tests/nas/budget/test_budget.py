"""Budgets: units in, verdicts by candidate and limit out."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hasnas.errors import BadInputError
from hasnas.nas.budget.budget import Budget, Verdict
from hasnas.nas.budget.costs import ENERGY, STANDARD, THROUGHPUT, Costs

BUDGET = Budget.from_text({"energy": "2 uJ", "parameters": 1000, "memory": "8 kbit", "area": "0.5 mm^2"})
COSTS = Costs(
    STANDARD,
    np.array([
        [1000, 8000, 5e-7, 1.0, 2e-6],
        [500, 16000, 1e-7, 1.0, 1e-6],
        [4000, 8001, 1e-6, 1.0, 3e-6],
    ]),
)  # fmt: skip


def test_texts_with_units_become_si_in_the_order_of_the_table():
    assert Budget({"parameters": 1000, "memory": 8000, "area": 5e-7, "energy": 2e-6}) == BUDGET
    assert list(BUDGET.limits.items()) == [("parameters", 1000), ("memory", 8000), ("area", 5e-7), ("energy", 2e-6)]
    assert BUDGET.describe() == "parameters 1,000, memory 8 kbit, area 0.5 mm2, energy 2 uJ"
    assert Budget().describe() == "no limit"
    assert Budget.from_text(BUDGET.to_text()) == BUDGET


def test_unknown_limits_and_impossible_budgets_are_refused():
    with pytest.raises(BadInputError, match="unknown cost 'enrgy'; did you mean 'energy'"):
        Budget.from_text({"enrgy": "2 uJ"})
    with pytest.raises(BadInputError, match=r"budget\.energy is nan"):
        Budget({"energy": math.nan})


def test_verdicts_name_the_broken_limits_and_by_how_much():
    verdicts = BUDGET.check(COSTS)
    assert verdicts.feasible.tolist() == [True, False, False]
    assert verdicts[0].describe() == "fits"
    assert verdicts[1].violations == {"memory": 2.0}
    assert verdicts[2].describe() == "breaks parameters by 4x, area by 2x, energy by 1.5x, memory by 1x"
    assert np.isnan(verdicts.ratio[:, verdicts.names.index("latency")]).all()
    assert verdicts.rejected_share == {"parameters": 1 / 3, "memory": 2 / 3, "area": 1 / 3, "energy": 1 / 3}


def test_one_candidate_is_judged_as_in_a_population():
    for index in range(3):
        assert BUDGET.verdict(COSTS.row(index)) == BUDGET.check(COSTS)[index]


def test_an_unknown_cost_never_fits():
    nothing = dict.fromkeys(COSTS.row(0), 0.0)
    assert BUDGET.verdict({**nothing, "area_m2": math.nan}) == Verdict(
        {"parameters": 0.0, "memory": 0.0, "area": math.inf, "energy": 0.0}
    )
    with pytest.raises(BadInputError, match="lack 'area_m2'"):
        BUDGET.verdict({"parameters": 1, "memory_bits": 1})
    with pytest.raises(BadInputError, match="lack 'energy'"):
        Budget({"energy": 1.0}).check(Costs(STANDARD[:2], np.ones((1, 2))))


def test_without_limits_everything_fits():
    assert Budget().check(COSTS).feasible.tolist() == [True, True, True]
    assert Budget().nearest_miss(COSTS) == "the budget has no limit"


@given(st.floats(1e-12, 1e9), st.floats(0, 1e12))
def test_a_cost_beyond_its_limit_by_any_rounding_error_breaks_it(limit: float, cost: float):
    for value in (cost, limit, np.nextafter(limit, np.inf), np.nextafter(limit, 0)):
        assert Budget({"energy": limit}).verdict({"energy_j": value}).feasible == (value <= limit)
        assert Budget({"throughput": limit}).verdict({"throughput_hz": value}).feasible == (value >= limit)


def test_where_more_is_better_the_limit_is_the_least_value():
    budget = Budget.from_text({"throughput": "50 Hz"})
    costs = Costs((THROUGHPUT,), np.array([[100.0], [25.0], [0.0], [math.nan]]))
    assert budget.check(costs).feasible.tolist() == [True, False, False, False]
    assert budget.check(costs)[1].describe() == "breaks throughput by 2x"
    assert budget.check(costs)[0].ratios == {"throughput": 0.5}
    assert budget.describe() == "throughput at least 50 Hz"
    assert budget.nearest_miss(costs.rows(np.array([1]))) == (
        "throughput: most 25 Hz, limit 50 Hz (2x); the nearest candidate breaks throughput by 2x"
    )


def test_the_nearest_miss_tells_each_limit_and_the_nearest_candidate():
    assert BUDGET.nearest_miss(Costs(STANDARD, COSTS.values * 10)) == (
        "parameters: least 5,000, limit 1,000 (5x); memory: least 80 kbit, limit 8 kbit (10x); "
        "area: least 1 mm2, limit 0.5 mm2 (2x); energy: least 10 uJ, limit 2 uJ (5x); "
        "the nearest candidate breaks parameters by 10x, memory by 10x, area by 10x, energy by 10x"
    )
    assert BUDGET.nearest_miss(COSTS.rows(np.zeros(0, int))) == "there is no candidate to compare"


def test_shares_are_of_those_that_have_a_limit():
    assert Budget({"energy": 1.5e-6}).check(Costs((ENERGY,), np.array([[1e-6], [2e-6]]))).rejected_share == {
        "energy": 0.5
    }
