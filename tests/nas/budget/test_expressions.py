"""Objectives that are computed from others: what may stand in them, what they give, what they never run."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hasnas.cim_estimator import Activity, estimate, load_hardware
from hasnas.errors import BadInputError
from hasnas.nas.budget.budget import Budget
from hasnas.nas.budget.costs import Costs, cost_called, cost_of, costs_of_fields, standard_and, with_measured
from hasnas.search_spaces import Macro
from hasnas.search_spaces.lowering import lower
from hasnas.search_spaces.snasnet import SNASNetSpace
from hasnas.search_spaces.space import sample

KNOWN = {"energy_j": 2e-6, "latency_s": 3e-3, "validation_accuracy": 0.5}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("energy*latency/accuracy", 2e-6 * 3e-3 / 0.5),
        ("-log(accuracy)", math.log(2)),
        ("sqrt(energy) + 2 ** 3", math.sqrt(2e-6) + 8),
        ("energy - latency * (1 - accuracy)", 2e-6 - 3e-3 * 0.5),
        ("energy ** 2 / 4", 1e-12),
    ],
)
def test_what_an_expression_gives(text: str, value: float) -> None:
    cost = cost_called(text)
    assert cost.value(KNOWN) == pytest.approx(value)
    assert cost_called(cost.name) == cost == cost_of(cost.field)
    assert not cost.more_is_better
    assert float(cost.burden(value)) == value


def test_it_is_known_before_a_network_runs_where_all_its_names_are() -> None:
    space = SNASNetSpace(Macro((1, 8, 8), timesteps=3, channels=8, hidden=16, votes=2), feedback=True)
    graph = space.decode(space.canonical(sample(space, np.random.default_rng(1), 20))[0][0]).expand()
    totals = estimate(lower(graph), load_hardware("rram-32nm"), Activity.assumed(0.3)).costs()
    known, unknown = cost_called("energy * latency"), cost_called("energy / accuracy")
    assert known.priced
    assert not unknown.priced
    table = Costs.of(totals, (cost_called("edp"), known, unknown))
    assert [cost.name for cost in table.costs] == ["edp", "energy*latency"]
    assert table["energy*latency"][0] == pytest.approx(table["edp"][0])
    row = table.row(0)
    assert known.value(row) == row["energy*latency"]


def test_a_network_is_told_what_it_has() -> None:
    costs = standard_and(["accuracy", "energy/accuracy", "training_time", "score"])
    told = with_measured(costs, {"energy_j": 2e-6}, {"validation_accuracy": 0.5})
    assert told == {"energy_j": 2e-6, "accuracy": 0.5, "energy/accuracy": 4e-6}
    assert [cost.name for cost in costs_of_fields(told)][5:] == ["accuracy", "energy/accuracy"]


def test_a_division_by_nothing_is_no_number_and_no_error() -> None:
    assert cost_called("energy/accuracy").value({"energy_j": 1e-6, "validation_accuracy": 0.0}) == math.inf
    assert math.isnan(cost_called("log(0-energy)").value({"energy_j": 1e-6}))
    assert math.isnan(cost_called("energy**latency").value({"energy_j": 1e-6}))


@pytest.mark.parametrize(
    "text",
    [
        "energy*", "energy latency", "__import__('os')", "energy.real", "energy if area else edp", "[energy]",
        "energy[0]", "log(energy, 2)", "log()", "abs(energy)", "energy**'a'", "1j*energy", "energy<area",
        "lambda: energy", "1e999*area", "log(x=energy)", "True*energy", "energy//area", "energy; area", "{energy}",
        "not energy", "energy:=1", "*energy", "f'{energy}'", "energy\x00", "energy" + "*energy" * 40,
        "(" * 150 + "energy",
    ],
)  # fmt: skip
def test_nothing_else_stands_in_it(text: str) -> None:
    with pytest.raises(BadInputError, match="is no expression of costs") as caught:
        cost_called(text)
    assert "\n" not in str(caught.value)


def test_unknown_names_and_names_of_nothing() -> None:
    with pytest.raises(BadInputError, match="unknown cost 'enrgy'; did you mean 'energy'"):
        cost_called("enrgy*latency")
    with pytest.raises(BadInputError, match="names no cost"):
        cost_called("1 + 2")


@given(st.text(max_size=30))
def test_any_text_is_an_expression_or_a_line(text: str) -> None:
    found = ""
    try:
        found = cost_called(text).name
    except BadInputError as error:
        found = str(error)
    assert len(found.splitlines()) == 1


def test_a_limit_on_what_is_measured_is_kept_by_what_was_measured() -> None:
    budget = Budget.from_text({"accuracy": 0.9, "energy": "2 uJ", "energy / accuracy": 4e-6})
    assert budget.describe() == "energy 2 uJ, accuracy at least 0.9, energy/accuracy 4e-06"
    assert budget.verdict({"energy_j": 1e-6, "accuracy": 0.95, "energy/accuracy": 1e-6}).feasible
    broken = budget.verdict({"energy_j": 1e-6, "accuracy": 0.6, "energy/accuracy": 8e-6}).violations
    assert broken == pytest.approx({"accuracy": 1.5, "energy/accuracy": 2})
    assert set(budget.verdict({"energy_j": 1e-6}).violations) == {"accuracy", "energy/accuracy"}
    before = budget.check(Costs((cost_called("energy"),), np.array([[1e-6], [3e-6]])))
    assert before.feasible.tolist() == [True, False]
    assert budget.nearest_miss(Costs((cost_called("energy"),), np.array([[3e-6]]))).startswith("energy: least 3 uJ")


def test_shares_are_below_their_best() -> None:
    with pytest.raises(BadInputError, match="it is a share, and a limit is below 1"):
        Budget.from_text({"accuracy": 1.0})
    assert cost_called("accuracy").burden([0.75, 1.0]).tolist() == [0.25, 0.0]
