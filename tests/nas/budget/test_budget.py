"""Budgets: units in, verdicts by candidate and limit out."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hasnas.errors import BadInputError
from hasnas.nas.budget.budget import COST_FIELDS, LIMITS, Budget, Verdict, format_cost, parse_limit

BUDGET = Budget.from_text({"parameters": 1000, "memory": "8 kbit", "area": "0.5 mm^2", "energy": "2 uJ"})
COSTS = {
    "parameters": np.array([1000, 500, 4000]),
    "memory_bits": np.array([8000, 16000, 8001]),
    "area_m2": np.array([5e-7, 1e-7, 1e-6]),
    "latency_s": np.array([1.0, 1.0, 1.0]),
    "energy_j": np.array([2e-6, 1e-6, 3e-6]),
}


def test_texts_with_units_become_si():
    assert Budget(parameters=1000, memory_bits=8000, area_m2=5e-7, energy_j=2e-6) == BUDGET
    assert BUDGET.limits == {"parameters": 1000, "memory": 8000, "area": 5e-7, "energy": 2e-6}
    assert parse_limit("memory", "1 KiB") == parse_limit("memory", 8192) == 8192
    assert BUDGET.describe() == "parameters 1,000, memory 8 kbit, area 0.5 mm2, energy 2 uJ"
    assert Budget().describe() == "no limit"


@pytest.mark.parametrize("name", LIMITS)
@pytest.mark.parametrize("value", [True, "two", "-1 kg", 0, -1, math.nan, math.inf, [1], None, "0 uJ", ""])
def test_no_limit_is_made_of_nonsense(name: str, value: object):
    with pytest.raises(BadInputError):
        parse_limit(name, value)


def test_unknown_limits_and_impossible_budgets_are_refused():
    with pytest.raises(BadInputError, match="unknown limit 'enrgy'; did you mean 'energy'"):
        parse_limit("enrgy", "2 uJ")
    with pytest.raises(BadInputError, match=r"budget\.energy_j is nan"):
        Budget(energy_j=math.nan)


def test_verdicts_name_the_broken_limits_and_by_how_much():
    verdicts = BUDGET.check(COSTS)
    assert verdicts.feasible.tolist() == [True, False, False]
    assert verdicts[0].describe() == "fits"
    assert verdicts[1].violations == {"memory": 2.0}
    assert verdicts[2].describe() == "breaks parameters by 4x, area by 2x, energy by 1.5x, memory by 1x"
    assert np.isnan(verdicts.ratio[:, LIMITS.index("latency")]).all()
    assert verdicts.rejected_share == {"parameters": 1 / 3, "memory": 2 / 3, "area": 1 / 3, "energy": 1 / 3}


def test_one_candidate_is_judged_as_in_a_population():
    for index in range(3):
        one = {field: float(values[index]) for field, values in COSTS.items()}
        assert BUDGET.verdict(one) == BUDGET.check(COSTS)[index]


def test_an_unknown_cost_never_fits():
    assert BUDGET.verdict({**{field: 0.0 for field in COSTS}, "area_m2": math.nan}) == Verdict(
        {"parameters": 0.0, "memory": 0.0, "area": math.inf, "energy": 0.0}
    )
    with pytest.raises(BadInputError, match="lack 'area_m2'"):
        BUDGET.check({"parameters": [1], "memory_bits": [1]})


def test_without_limits_everything_fits():
    assert Budget().check(COSTS).feasible.tolist() == [True, True, True]
    assert Budget().nearest_miss(COSTS) == "the budget has no limit"


@given(st.floats(1e-12, 1e9), st.floats(0, 1e12))
def test_a_cost_above_its_limit_by_any_rounding_error_breaks_it(limit: float, cost: float):
    for value in (cost, limit, np.nextafter(limit, np.inf), np.nextafter(limit, 0)):
        verdict = Budget(energy_j=limit).verdict({"energy_j": value})
        assert verdict.feasible == (value <= limit)


def test_the_nearest_miss_tells_each_limit_and_the_nearest_candidate():
    costs = {field: values * 10 for field, values in COSTS.items()}
    assert BUDGET.nearest_miss(costs) == (
        "parameters: least 5,000, limit 1,000 (5x); memory: least 80 kbit, limit 8 kbit (10x); "
        "area: least 1 mm2, limit 0.5 mm2 (2x); energy: least 10 uJ, limit 2 uJ (5x); "
        "the nearest candidate breaks parameters by 10x, memory by 10x, area by 10x, energy by 10x"
    )
    assert BUDGET.nearest_miss({field: [] for field in COSTS}) == "there is no candidate to compare"


@pytest.mark.parametrize(
    "name, value, text",
    [
        ("parameters", 17179620, "17,179,620"),
        ("memory", 5e5, "500 kbit"),
        ("area", 8.42e-6, "8.42 mm2"),
        ("latency", 0.0628, "62.8 ms"),
        ("energy", 1.5e-12, "1.5 pJ"),
        ("energy", math.nan, "nan J"),
        ("parameters", math.inf, "inf"),
    ],
)
def test_costs_read_well(name: str, value: float, text: str):
    assert format_cost(name, value) == text


def test_every_limit_has_a_cost_field():
    assert tuple(COST_FIELDS) == LIMITS
