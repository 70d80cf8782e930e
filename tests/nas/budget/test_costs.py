"""The table of costs: every entry is walked, whoever made it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hasnas.cim_estimator import Activity, Totals, estimate, estimate_costs, hardware_names, load_hardware
from hasnas.cim_estimator.report.units import UNITS
from hasnas.errors import BadInputError, HasnasError
from hasnas.nas.budget.costs import (
    EDP,
    ENERGY,
    PEAK_MEMORY,
    STANDARD,
    THROUGHPUT,
    Cost,
    Costs,
    cost_called,
    cost_of,
    costs_of_fields,
    known_costs,
    register_cost,
    standard_and,
)
from hasnas.search_spaces import Macro
from hasnas.search_spaces.lowering import lower
from hasnas.search_spaces.lowering_codes import lower_codes
from hasnas.search_spaces.snasnet import SNASNetSpace
from hasnas.search_spaces.space import sample

SPACE = SNASNetSpace(Macro((1, 8, 8), classes=10, timesteps=3, channels=8, hidden=16, votes=2), feedback=True)
every_cost = pytest.mark.parametrize("cost", known_costs(), ids=lambda cost: cost.name)


@pytest.mark.slow
@pytest.mark.parametrize("preset", hardware_names())
@every_cost
def test_a_cost_is_finite_and_that_of_a_population_is_that_of_its_members(cost: Cost, preset: str) -> None:
    hardware, activity = load_hardware(preset), Activity.assumed(0.3)
    codes, connected = SPACE.canonical(sample(SPACE, np.random.default_rng(0), 40))
    codes = codes[connected][:12]
    for engine in ("numpy", "compiled"):
        totals = estimate_costs(lower_codes(SPACE, codes), hardware, activity, engine)
        values = np.broadcast_to(np.asarray(cost.of(totals), float), (len(codes),))
        assert np.isfinite(values).all()
        assert (values >= 0).all()
        for row, one in enumerate(codes):
            alone = estimate(lower(SPACE.decode(one).expand()), hardware, activity).costs()
            assert values[row] == pytest.approx(float(np.asarray(cost.of(alone))), rel=1e-12)
            assert cost.burden(values)[row] > 0


@pytest.mark.slow
@every_cost
@given(st.floats(1e-15, 1e15))
def test_what_a_config_holds_is_read_back_to_the_last_bit(cost: Cost, value: float) -> None:
    value = float(max(1, round(value))) if cost.whole else value
    assert cost.parse(cost.write(value)) == value


@every_cost
def test_what_people_read_is_near_and_can_be_written(cost: Cost) -> None:
    limit = cost.parse(cost.example.strip("'"))
    assert float(cost.show(limit).split()[0].replace(",", "")) > 0
    if not cost.whole:
        assert cost.parse(cost.show(limit)) == pytest.approx(limit, rel=1e-3)
    label, factor = cost.curve
    assert label.startswith(cost.name)
    assert factor > 0


@every_cost
@pytest.mark.parametrize("value", [True, "two", "-1 kg", 0, -1, math.nan, math.inf, [1], None, "0 uJ", ""])
def test_no_limit_is_made_of_nonsense(cost: Cost, value: object) -> None:
    with pytest.raises(BadInputError):
        cost.parse(value)


@pytest.mark.parametrize(
    "name, value, text",
    [
        ("parameters", 17179620, "17,179,620"),
        ("memory", 5e5, "500 kbit"),
        ("peak_memory", 5e5, "500 kbit"),
        ("area", 8.42e-6, "8.42 mm2"),
        ("latency", 0.0628, "62.8 ms"),
        ("energy", 1.5e-12, "1.5 pJ"),
        ("energy", math.nan, "nan J"),
        ("edp", 6e-9, "6 nJ*s"),
        ("throughput", 12_500, "12.5 kHz"),
        ("parameters", math.inf, "inf"),
        ("timesteps", 4, "4"),
    ],
)
def test_costs_read_well(name: str, value: float, text: str) -> None:
    assert cost_called(name).show(value) == text


def test_units_are_read_as_people_write_them() -> None:
    assert cost_called("memory").parse("1 KiB") == cost_called("memory").parse(8192) == 8192
    assert EDP.parse("6 nJ*s") == EDP.parse("6 uJ*ms") == 6e-9


def test_derived_costs_are_what_they_say() -> None:
    graph = SPACE.decode(SPACE.canonical(sample(SPACE, np.random.default_rng(1), 20))[0][0]).expand()
    report = estimate(lower(graph), load_hardware("rram-32nm", {"schedule": "pipelined"}))
    table = Costs.of(report.costs(), (EDP, THROUGHPUT, PEAK_MEMORY))
    assert table["edp"][0] == pytest.approx(float(report.energy_j * report.latency_s))
    assert table["throughput"][0] == pytest.approx(1 / float(report.interval_s))
    largest = 8 * 8 * 8 * 8 * 2  # the widest maps, 8 channels of 8 x 8 values of 8 bits, read and written
    assert float(report.memory_bits) < table["peak_memory"][0] <= float(report.memory_bits) + 4 * largest


def test_names_and_fields_find_their_costs() -> None:
    assert standard_and(["edp", "energy"]) == (*STANDARD, EDP)
    assert costs_of_fields(["energy_j", "throughput_hz", "of_another_version"]) == (*STANDARD, THROUGHPUT)
    for names in ({cost.field for cost in known_costs()}, {cost.name for cost in known_costs()}):
        assert len(names) == len(known_costs())
    with pytest.raises(BadInputError, match="unknown cost 'througput'; did you mean 'throughput'"):
        cost_called("througput")


def test_a_name_or_a_field_that_is_taken_is_refused() -> None:
    def none(totals: Totals) -> np.ndarray:
        return totals.energy_j

    with pytest.raises(HasnasError, match="cost 'energy' is registered already"):
        register_cost("energy", "another_j", "J", "'1 uJ'", "energy")(none)
    with pytest.raises(HasnasError, match="the field 'energy_j' is that of the cost 'energy'"):
        register_cost("other", ENERGY.field, "J", "'1 uJ'", "energy")
    with pytest.raises(HasnasError, match="the field 'lifetime_s' is that of the cost 'lifetime'"):
        register_cost("other", "lifetime_s", "s", "'20 h'", "of another kind")


@every_cost
def test_a_cost_is_found_by_its_name_and_by_its_field(cost: Cost) -> None:
    assert cost_of(cost.name) == cost_of(cost.field) == cost


def test_the_standard_costs_are_the_columns_of_a_report():
    assert {cost.field: cost.unit for cost in STANDARD} == dict(UNITS)
