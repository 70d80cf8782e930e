"""When layers run, and how long a sample takes."""

import numpy as np
import pytest

from hasnas.cim_estimator import LayerSpec, Workload, estimate, load_hardware
from hasnas.cim_estimator.model.latency import Timing, chip_latency


def timing(busy: list[float], level: list[int], evaluations: list[int], feeds_back: bool = False) -> Timing:
    back = np.array([feeds_back] * len(busy))
    return Timing(np.array(busy), np.array(level), np.array(evaluations), 4, back)


def times(case: Timing, schedule: str) -> list[float]:
    return [float(value) for value in chip_latency(case, schedule)]


def test_branches_of_one_level_run_side_by_side():
    assert times(timing([8.0, 12.0, 4.0], [0, 0, 1], [4, 4, 4]), "sequential") == [16.0, 16.0]


def test_a_pipeline_runs_at_the_pace_of_its_slowest_level():
    # 3 s for each of four timesteps at the slowest level; the first one also passes the others.
    assert times(timing([8.0, 12.0, 4.0], [0, 1, 2], [4, 4, 4]), "pipelined") == [2 + 3 + 1 + 3 * 3, 12.0]


def test_static_layers_run_before_the_pipeline():
    assert times(timing([5.0, 12.0], [0, 1], [1, 4]), "pipelined") == [5 + 3 + 3 * 3, 12.0]


def test_feedback_ties_timesteps_together():
    assert times(timing([8.0, 12.0], [0, 1], [4, 4], feeds_back=True), "pipelined") == [20.0, 20.0]


def test_candidates_may_have_levels_of_their_own():
    case = Timing(np.array([8.0, 12.0]), np.array([[0, 0], [0, 1]]), np.array([4, 4]), 4, np.array([False]))
    assert chip_latency(case, "sequential")[0].tolist() == [12.0, 20.0]


def test_a_read_is_driven_converted_in_turns_and_accumulated():
    # 500 MHz: 8 conversions of 1 ns take 4 clocks, with 2 around them 12 ns, for 16 places and 5 timesteps.
    layer = Workload.from_layers([LayerSpec("conv", 128, 32, in_size=4)], 5)
    report = estimate(layer, load_hardware("rram-22nm"))
    assert float(report.latency_s) == pytest.approx(16 * 5 * 12e-9)
    assert report.bottleneck == "conv0"


def test_a_narrow_bus_becomes_the_bottleneck():
    layer = Workload.from_layers([LayerSpec("linear", 4096, 8)], 5)
    narrow = estimate(layer, load_hardware("rram-22nm", {"interconnect.bus_bits": "1"}))
    assert float(narrow.latency_s) == pytest.approx(4096 * 5 * 2e-9)


def test_lanes_take_one_value_a_clock():
    lif = Workload.from_layers([LayerSpec("lif", 65, 65)], 5)
    assert float(estimate(lif, load_hardware("rram-22nm")).latency_s) == pytest.approx(2 * 5 * 2e-9)


def test_the_pipelined_report_has_an_interval_and_a_throughput():
    stack = Workload.from_layers([LayerSpec("conv", 128, 32, in_size=4)] * 3, 5)
    report = estimate(stack, load_hardware("rram-22nm", {"schedule": "pipelined"}))
    assert float(report.interval_s) == pytest.approx(16 * 5 * 12e-9)
    assert float(report.throughput_hz) == pytest.approx(1 / (16 * 5 * 12e-9))
    assert report.latency_s > report.interval_s
