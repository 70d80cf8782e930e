"""Lines of an array: their delays against the ladders that they stand for, and the clocks that they allow."""

import math

import numpy as np
import pytest
from scipy.linalg import expm

from hasnas.cim_estimator import LayerSpec, Workload, estimate, load_hardware
from hasnas.cim_estimator.hardware import lines
from hasnas.cim_estimator.hardware.searched import SearchedChip
from hasnas.cim_estimator.mapping.mapping import chip_of
from hasnas.cim_estimator.model.latency import read_time_s
from hasnas.errors import BadInputError


def chip(name: str = "rram-22nm", **overrides: str):
    return load_hardware(name, {key.replace("__", "."): value for key, value in overrides.items()})


def ladder(source_ohm: float, line_ohm: float, line_f: float, cells: int) -> np.ndarray:
    """dV/dt = A V of a discharging ladder, the driver at its left end."""
    near = np.full(cells, cells / line_ohm)
    near[0] = 1 / (source_ohm + line_ohm / cells)
    matrix = -np.diag(near) - np.diag(np.append(near[1:], 0.0)) + np.diag(near[1:], 1) + np.diag(near[1:], -1)
    return matrix * (cells / line_f)


@pytest.mark.parametrize("source_ohm", [10.0, 500.0, 20e3])
@pytest.mark.parametrize("bits", [1, 5, 10])
def test_after_settling_a_ladder_is_within_half_a_step(source_ohm: float, bits: int):
    cells, line_ohm, line_f = 24, 800.0, 2e-13
    tau_s = lines.elmore_s(source_ohm, line_ohm, line_f, cells)
    matrix = ladder(source_ohm, line_ohm, line_f, cells)
    # Elmore's delay is the area under the far end's step response.
    assert -np.linalg.inv(matrix).sum(axis=1)[-1] == pytest.approx(tau_s, rel=1e-9)
    left = expm(matrix * tau_s * math.log(2) * (bits + 1)).sum(axis=1)[-1]
    assert 0 < left < 2.0 ** -(bits + 1)


def test_the_delays_by_hand():
    array = chip(crossbar__size="256")
    gate_f = 3.8e-4 / 1500 * 1.4298e-9  # of an access transistor for a quarter of 6 kohm
    row_ohm, row_f = 256 * 12 * 22e-9 * 1.326e7, 256 * (12 * 22e-9 * 2e-10 + gate_f)
    column_ohm, column_f = 256 * 4 * 22e-9 * 1.326e7, 256 * (4 * 22e-9 * 2e-10 + gate_f * 0.48)
    driver, mux = 3.8e-4 / (6 * 44e-9), 3.8e-4 / (12.6 * 44e-9)
    row_s = row_f * (driver + row_ohm * 257 / 512)
    assert lines.wordline_delay_s(array) == pytest.approx(row_s, rel=1e-12)
    assert lines.bitline_delay_s(array) == pytest.approx(column_f * (mux + column_ohm * 257 / 512), rel=1e-12)
    charged_s = column_f * (7500 + column_ohm * 257 / 512)
    charged = chip(crossbar__size="256", crossbar__settling="wait", crossbar__sensing="charged")
    assert lines.bitline_delay_s(charged) == pytest.approx(charged_s, rel=1e-12)
    assert lines.settling_s(charged) == pytest.approx((row_s + charged_s) * 6 * math.log(2), rel=1e-12)
    assert lines.settling_s(array) == 0.0  # unless it is asked for


@pytest.mark.parametrize("sensing", ["clamped", "charged"])
def test_settling_grows_with_each_side_of_the_array_faster_than_linearly(sensing: str):
    for side in ("crossbar__rows", "crossbar__columns"):
        sizes = [16, 64, 256, 1024, 4096]
        settled = {"crossbar__settling": "wait", "crossbar__sensing": sensing, "crossbar__columns_per_adc": "8"}
        times = [lines.settling_s(chip(**settled, **{side: str(size)})) for size in sizes]
        steps = np.diff(times) / np.diff(sizes)
        assert (steps > 0).all()
        assert (np.diff(steps) > 0).all()  # the wire's own share is quadratic
        reads = [read_time_s(chip(**settled, **{side: str(size)})) for size in sizes]
        assert reads == sorted(reads)


def test_lines_without_resistance_settle_as_their_drivers_charge_them():
    thin = {"crossbar__settling": "wait", "node__wire_resistance_ohm_per_m": "1e-9"}
    array = chip(**thin)
    row_s = lines.wordline_capacitance_f(array) * 3.8e-4 / (6 * 44e-9)
    assert lines.wordline_delay_s(array) == pytest.approx(row_s, rel=1e-6)


def test_a_read_waits_in_every_turn():
    settled = {"crossbar__settling": "wait", "clock_hz": "1000 GHz"}  # so fast that whole clocks do not matter
    array = chip(**settled)
    expected = 8 * (1e-9 + lines.settling_s(array))
    assert read_time_s(array) == pytest.approx(expected, rel=1e-3)
    slow = {**settled, "clock_hz": "500 MHz"}
    assert read_time_s(chip(**slow)) == pytest.approx((math.ceil(expected / 2e-9) + 2) * 2e-9)
    assert read_time_s(chip(**{**slow, "crossbar__settling": "ignored"})) == pytest.approx(12e-9)


def test_a_clock_is_slowed_to_what_the_lines_allow_and_no_further():
    fast = chip(crossbar__settling="slow-clock", clock_hz="5 GHz")
    assert lines.chip_clock_hz(fast) == pytest.approx(1 / lines.settling_s(fast))
    assert lines.chip_clock_hz(chip(crossbar__settling="slow-clock", clock_hz="100 MHz")) == 100e6
    assert lines.chip_clock_hz(chip(crossbar__settling="wait", clock_hz="5 GHz")) == 5e9


def test_a_clock_that_is_too_fast_is_refused_with_the_fastest_there_is():
    fine = chip(crossbar__settling="refuse", clock_hz="500 MHz")
    fastest_hz = 1 / lines.settling_s(fine)
    chip(crossbar__settling="refuse", clock_hz=f"{fastest_hz * 0.999} Hz")
    with pytest.raises(BadInputError, match=r"its lines settle in .*lower it to 2\.23 GHz, shrink the array"):
        chip(crossbar__settling="refuse", clock_hz=f"{fastest_hz * 1.001} Hz")


def test_a_search_knows_which_arrays_are_too_slow_for_its_clock():
    sizes = (64, 128, 1024)
    searched = SearchedChip("rram-22nm", (("crossbar.settling", "refuse"),), (("crossbar.size", sizes),))
    assert [searched.contradiction((place,)) is None for place in range(3)] == [True, True, False]


def test_a_report_warns_of_lines_that_are_slower_than_the_clock_and_not_counted():
    network = Workload.from_layers([LayerSpec("linear", 600, 10)], timesteps=1)
    told = {
        (size, word): estimate(network, chip(crossbar__size=size, crossbar__settling=word)).warnings
        for size in ("128", "512") for word in ("ignored", "wait")
    }  # fmt: skip
    assert [bool(found) for found in told.values()] == [False, False, True, False]
    assert "the lines of 512 x 512 cells settle in 2.47 ns" in told["512", "ignored"][0]


def test_mapped_chips_run_at_the_clock_that_their_lines_allow():
    fast, slow = (chip_of(chip(clock_hz="5 GHz", crossbar__settling=word)) for word in ("wait", "slow-clock"))
    assert fast.clock_hz == 5e9
    assert slow.clock_hz == lines.chip_clock_hz(slow.hardware) < 5e9


def test_lines_need_a_wire():
    with pytest.raises(BadInputError, match=r"node\.wire_resistance_ohm_per_m is zero or missing; give it"):
        chip(crossbar__settling="wait", node__wire_resistance_ohm_per_m="0")


def test_a_warm_chip_leaks_more_and_its_wires_resist_more():
    cold, warm = chip(), chip(temperature_k="400")
    # The 22 nm table of DNN+NeuroSim V1.3: 2139 uA/m at 400 K, 565.8 at 350 K, 100 at 300 K.
    assert lines.leakage_a_per_m(cold) == cold.node.leakage_a_per_m
    assert lines.leakage_a_per_m(warm) / lines.leakage_a_per_m(cold) == pytest.approx(21.39, rel=1e-3)
    middle = lines.leakage_a_per_m(chip(temperature_k="350")) / lines.leakage_a_per_m(cold)
    assert middle == pytest.approx(5.658, rel=0.04)
    assert lines.wire_ohm_per_m(warm) / lines.wire_ohm_per_m(cold) == pytest.approx(1.451)
