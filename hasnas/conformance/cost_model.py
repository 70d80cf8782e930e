"""What the price of a network keeps to on every chip: sums of parts, equal for one and for many."""

from __future__ import annotations

import json

import numpy as np
import pytest

from hasnas.cim_estimator import (
    Activity,
    CostReport,
    HardwareSpec,
    LayerKind,
    Workload,
    estimate,
    estimate_costs,
    load_hardware,
)
from hasnas.search_spaces import Macro
from hasnas.search_spaces.lowering import lower
from hasnas.search_spaces.lowering_codes import lower_codes
from hasnas.search_spaces.snasnet import SNASNetSpace
from hasnas.search_spaces.space import sample

from .suite import Suite

SPACE = SNASNetSpace(Macro((1, 8, 8), classes=4, timesteps=3, channels=8, hidden=16, votes=2), feedback=True)
TOTALS = ("parameters", "memory_bits", "area_m2", "latency_s", "energy_j")


def population(count: int = 60) -> np.ndarray:
    """Canonical codes of connected candidates."""
    codes, connected = SPACE.canonical(sample(SPACE, np.random.default_rng(2), count))
    return codes[connected]


def one() -> Workload:
    """A single network."""
    return lower(SPACE.decode(population()[0]).expand())


class CheckCostModel(Suite):
    """For hardware: names of presets, or paths of YAML files."""

    def build(self, name: str) -> HardwareSpec:
        """The hardware that is tested."""
        return load_hardware(name)

    @pytest.fixture
    def hardware(self, name: str) -> HardwareSpec:
        """The hardware called `name`."""
        return self.build(name)

    def test_totals_are_positive_finite_and_the_sum_of_their_parts(self, hardware: HardwareSpec) -> None:
        report = estimate(one(), hardware)
        for name in TOTALS:
            assert np.isfinite(getattr(report, name))
            assert getattr(report, name) > 0, name
        assert report.energy_by_layer_j.sum() == pytest.approx(float(report.energy_j), rel=1e-12)
        assert report.area_by_layer_m2.sum() == pytest.approx(float(report.area_m2), rel=1e-12)
        assert report.memory_by_layer_bits.sum() == pytest.approx(float(report.memory_bits), rel=1e-12)

    def test_a_population_costs_what_its_members_cost(self, hardware: HardwareSpec) -> None:
        codes = population()
        together = estimate(lower_codes(SPACE, codes), hardware)
        for index in range(0, len(codes), 7):
            alone = estimate(lower(SPACE.decode(codes[index]).expand()), hardware)
            for name in TOTALS:
                assert getattr(together, name)[index] == pytest.approx(float(getattr(alone, name)), rel=1e-12), name

    @pytest.mark.parametrize("engine", ["numpy", "compiled"])
    def test_the_quick_totals_are_those_of_the_report(self, hardware: HardwareSpec, engine: str) -> None:
        workload = lower_codes(SPACE, population())
        quick, full = estimate_costs(workload, hardware, engine=engine), estimate(workload, hardware).costs()
        for name in TOTALS:
            np.testing.assert_allclose(quick[name], full[name], rtol=1e-12)

    def test_equal_questions_have_equal_answers(self, hardware: HardwareSpec) -> None:
        assert estimate(one(), hardware).to_json() == estimate(one(), hardware).to_json()

    def test_silence_costs_no_more_than_noise(self, hardware: HardwareSpec) -> None:
        energies = [float(estimate(one(), hardware, Activity.assumed(rate)).energy_j) for rate in (0.0, 0.3, 1.0)]
        assert energies == sorted(energies)
        assert float(estimate(one(), hardware, Activity.dense()).energy_j) == pytest.approx(energies[-1])

    def test_unused_slots_cost_nothing(self, hardware: HardwareSpec) -> None:
        workload = lower_codes(SPACE, population())
        report = estimate(workload, hardware)
        unused = np.broadcast_to(workload.kind, report.memory_by_layer_bits.shape) == LayerKind.NONE
        assert unused.any()
        assert not report.energy_by_layer_j[unused].any()
        assert not report.memory_by_layer_bits[unused].any()

    def test_the_json_carries_totals_and_the_tree(self, hardware: HardwareSpec) -> None:
        report: CostReport = estimate(one(), hardware)
        tree = json.loads(report.to_json())
        for name in TOTALS:
            assert tree[name] == pytest.approx(float(getattr(report, name)))
            assert sum(layer[name] for layer in tree["layers"]) == pytest.approx(tree[name]) or name == "latency_s"
