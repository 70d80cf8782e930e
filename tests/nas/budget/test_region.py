"""Prices by codes against prices by graph, and the region that a budget leaves."""

from __future__ import annotations

import numpy as np
import pytest

from hasnas.cim_estimator import Activity, estimate, hardware_names, load_hardware
from hasnas.nas.budget.budget import Budget
from hasnas.nas.budget.costs import STANDARD, Costs, known_costs
from hasnas.nas.budget.pricer import Pricer
from hasnas.nas.budget.region import PATIENCE, FeasibleRegion, admission, draw_inside, of_networks
from hasnas.search_spaces import Macro
from hasnas.search_spaces.joint import JointSpace, SearchedField, sample_on_few_chips, with_searched_chip
from hasnas.search_spaces.lowering import lower
from hasnas.search_spaces.snasnet import SNASNetSpace
from hasnas.search_spaces.space import all_codes, sample

SPACE = SNASNetSpace(Macro((1, 8, 8), classes=10, timesteps=3, channels=8, hidden=16, votes=2), feedback=True)


def connected(count: int, seed: int = 0) -> np.ndarray:
    codes, alive = SPACE.canonical(sample(SPACE, np.random.default_rng(seed), count))
    return codes[alive]


@pytest.mark.slow
@pytest.mark.parametrize("preset", hardware_names())
def test_a_population_costs_what_its_members_cost(preset: str) -> None:
    hardware, activity = load_hardware(preset), Activity.assumed(0.2)
    codes = connected(40)
    together = Pricer(SPACE, hardware, activity, known_costs()).costs(codes)
    for index, code in enumerate(codes):
        alone = Costs.of(estimate(lower(SPACE.decode(code).expand()), hardware, activity).costs(), known_costs())
        assert together.row(index) == pytest.approx(alone.row(0), rel=1e-12)


def test_dense_activity_bounds_every_rate() -> None:
    codes, hardware = connected(60), load_hardware("rram-32nm")
    dense = Pricer(SPACE, hardware, Activity.dense()).costs(codes)
    for rate in (0.0, 0.3, 0.9):
        assumed = Pricer(SPACE, hardware, Activity.assumed(rate)).costs(codes)
        assert {cost.name for cost in assumed.costs} == {cost.name for cost in STANDARD}
        assert (assumed.values <= dense.values * (1 + 1e-12)).all()


def test_draws_stay_inside_and_depend_on_the_generator_alone() -> None:
    pricer = Pricer(SPACE, load_hardware("rram-32nm"), Activity.dense())
    costs = pricer.costs(connected(500))
    budget = Budget({"parameters": float(np.median(costs["parameters"]))})
    admits = admission(pricer, budget)
    codes = draw_inside(SPACE, admits, np.random.default_rng(0), 300)
    assert len(np.unique(codes, axis=0)) == 300
    assert admits(codes).all()
    np.testing.assert_array_equal(codes, draw_inside(SPACE, admits, np.random.default_rng(0), 300))
    region = FeasibleRegion(SPACE, admits, codes, complete=False)
    assert region.draw(np.random.default_rng(1)) == region.draw(np.random.default_rng(1))
    assert region.draw(np.random.default_rng(1)) in {tuple(row) for row in codes.tolist()}


def test_drawing_ends_where_nothing_is_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr("hasnas.nas.budget.region.DRAWS", 64)

    def nothing(codes: np.ndarray) -> np.ndarray:
        asked.append(len(codes))
        return np.zeros(len(codes), bool)

    space = SNASNetSpace(SPACE.macro)
    assert draw_inside(space, nothing, np.random.default_rng(0), 5).shape == (0, len(space.genes))
    assert len(asked) == PATIENCE


def test_a_budget_below_every_cost_admits_nothing() -> None:
    admits = admission(Pricer(SPACE, load_hardware("rram-32nm"), Activity.dense()), Budget({"parameters": 1}))
    assert not admits(connected(500)).any()


@pytest.mark.slow
def test_every_feedback_architecture_can_be_priced() -> None:
    pricer = Pricer(SPACE, load_hardware("rram-32nm"), Activity.dense())
    for chunk in list(all_codes(SPACE, 4096))[::20]:
        codes, alive = SPACE.canonical(chunk)
        costs = pricer.costs(codes[alive])
        assert np.isfinite(costs.values).all()
        assert (costs.values > 0).all()


def test_nobody_costs_nothing() -> None:
    costs = Pricer(SPACE, load_hardware("rram-32nm"), Activity.dense()).costs(np.zeros((0, len(SPACE.genes)), np.int16))
    assert costs["energy"].shape == (0,)


def test_the_networks_of_a_joint_region_are_those_that_fit_on_some_chip() -> None:
    fields = (SearchedField("crossbar.size", (64, 128, 256)), SearchedField("clock_hz", (2e8, 4e8, 8e8), "log"))
    space = with_searched_chip(SPACE, "rram-32nm", hardware=fields)
    assert isinstance(space, JointSpace)
    pricer = Pricer(space, load_hardware("rram-32nm"), Activity.dense())
    admits = admission(pricer, Budget({"latency": 1e-3}))
    codes = draw_inside(space, admits, np.random.default_rng(0), 60)
    assert admits(codes).all()
    networks = of_networks(FeasibleRegion(space, admits, codes, complete=False))
    assert networks.space is SPACE
    assert {tuple(row) for row in networks.codes.tolist()} == {tuple(row[: len(SPACE.genes)]) for row in codes.tolist()}
    assert networks.admits(networks.codes).all()
    assert not networks.admits(np.full((1, len(SPACE.genes)), 8, np.int16)).any()
    plain = FeasibleRegion(SPACE, admits, codes, complete=True)
    assert of_networks(plain) is plain


def test_a_sample_of_a_joint_space_shares_chips() -> None:
    fields = [SearchedField("clock_hz", tuple(1e8 + 1e6 * number for number in range(100)))]
    space = with_searched_chip(SPACE, "rram-32nm", hardware=fields)
    codes = sample_on_few_chips(space, np.random.default_rng(0), 300, 20)
    assert 10 < len(np.unique(codes[:, -1])) <= 20
    assert len(np.unique(codes[:, :-1], axis=0)) == 300
    np.testing.assert_array_equal(
        sample_on_few_chips(SPACE, np.random.default_rng(0), 50, 1), sample(SPACE, np.random.default_rng(0), 50)
    )
