"""What every cost does."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hasnas.cim_estimator import Activity, estimate, estimate_costs, load_hardware
from hasnas.errors import BadInputError
from hasnas.nas.budget.budget import Budget
from hasnas.nas.budget.costs import COSTS, Cost, Costs, known_costs
from hasnas.search_spaces.lowering import lower
from hasnas.search_spaces.lowering_codes import lower_codes
from hasnas.search_spaces.macro import Macro
from hasnas.search_spaces.snasnet import SNASNetSpace
from hasnas.search_spaces.space import sample

from .suite import Suite

HARDWARE = "spikesim-65nm-rram", "rram-32nm"


class CheckCost(Suite):
    """For names in `COSTS` (entry points `hasnas.costs`)."""

    def build(self, name: str) -> Cost:
        """The cost that is tested."""
        return COSTS.get(name)

    @pytest.fixture
    def cost(self, name: str) -> Cost:
        """The cost called `name`."""
        return self.build(name)

    @pytest.mark.parametrize("hardware", HARDWARE)
    @pytest.mark.parametrize("engine", ["numpy", "compiled"])
    def test_a_population_costs_what_its_members_cost(self, cost: Cost, hardware: str, engine: str) -> None:
        if cost.measured is not None:
            assert math.isnan(cost.measured({}))
            assert not cost.priced
            return
        chip, activity = load_hardware(hardware), Activity.assumed(0.3)
        space = SNASNetSpace(Macro((1, 8, 8), timesteps=3, channels=4, hidden=8, votes=1), feedback=True)
        codes, connected = space.canonical(sample(space, np.random.default_rng(0), 30))
        codes = codes[connected][:8]
        table = Costs.of(estimate_costs(lower_codes(space, codes), chip, activity, engine), (cost,), len(codes))
        assert np.isfinite(table.values).all()
        assert (table.values >= 0).all()
        for row, one in enumerate(codes):
            report = estimate(lower(space.decode(one).expand()), chip, activity)
            assert table.row(row) == pytest.approx(Costs.of(report.costs(), (cost,)).row(0), rel=1e-9)

    def test_a_limit_is_read_and_written_and_shown(self, cost: Cost) -> None:
        limit = cost.parse(cost.example.strip("'"))
        assert cost.parse(cost.write(limit)) == limit
        assert cost.show(limit)
        label, factor = cost.curve
        assert label.startswith(cost.name)
        assert factor > 0
        for nonsense in (True, "two", "-1 kg", 0, math.nan, None):
            with pytest.raises(BadInputError):
                cost.parse(nonsense)

    def test_a_limit_is_kept_on_its_right_side(self, cost: Cost) -> None:
        limit = cost.parse(cost.example.strip("'"))
        values = np.array([[limit / 2], [limit], [limit * 2], [math.nan]])
        table = Costs((cost,), values)
        if cost in known_costs():
            expected = [not cost.more_is_better, True, cost.more_is_better, False]
            assert Budget({cost.name: limit}).check(table).feasible.tolist() == expected
        assert (np.diff(cost.burden(values[:3, 0])) > 0).all() != cost.more_is_better

    def test_its_field_is_its_own(self, cost: Cost) -> None:
        assert [one.name for one in known_costs() if one.field == cost.field] in ([], [cost.name])
