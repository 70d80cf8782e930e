"""Chips too small for their network write weights anew: once a sample, one layer after another, in both engines."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hasnas.cim_estimator import Activity, HardwareSpec, LayerSpec, Workload, estimate, load_hardware
from hasnas.cim_estimator.model.batch import price_choices, stack_choices
from hasnas.cim_estimator.model.general import layer_terms
from hasnas.cim_estimator.model.latency import chip_latency
from hasnas.cim_estimator.model.reloading import missing_share

FOUR_LAYERS = [LayerSpec("linear", 64, 64, level=index) for index in range(4)]
FEW = settings(max_examples=60, deadline=None)


@st.composite
def overfull_networks(draw: st.DrawFn) -> list[LayerSpec]:
    """Networks that need at least three tiles: at least three layers on crossbars, other layers between them."""
    specs = []
    for level in range(draw(st.integers(3, 6))):
        channels, size = draw(st.sampled_from([16, 64, 150])), draw(st.sampled_from([1, 4, 7]))
        common = {"level": draw(st.sampled_from([level, max(level - 1, 0)])), "in_size": size}
        once = draw(st.sampled_from([0, 0, 0, 1]))
        specs.append(LayerSpec("conv", channels, 64, kernel_size=3, evaluations=once, **common))
        if draw(st.booleans()):
            specs.append(LayerSpec("lif", 64, 64, **common))
        if draw(st.integers(0, 7)) == 0:
            specs.append(LayerSpec("add", 128, 64, delay=1, **common))
    return specs


@st.composite
def pipelined_chips(draw: st.DrawFn) -> HardwareSpec:
    """Pipelined chips of one or two tiles, each of few crossbars."""
    overrides = {"schedule": "pipelined", "chip.tiles": draw(st.sampled_from(["1", "2"]))}
    overrides |= {"tile.pes": draw(st.sampled_from(["1", "4"])), "crossbar.size": draw(st.sampled_from(["64", "128"]))}
    overrides |= {"readout": draw(st.sampled_from(["clocked", "event"]))}
    overrides |= {"chip.reload_bus_bits": draw(st.sampled_from(["8", "64", "100000"]))}
    overrides |= {"tile.copies": draw(st.sampled_from(["one", "fill"]))}
    return load_hardware(draw(st.sampled_from(["rram-65nm", "rram-45nm", "rram-32nm", "rram-22nm"])), overrides)


def test_latency_of_four_reloaded_layers_does_not_fall_with_timesteps():
    chip = load_hardware("rram-65nm", {"schedule": "pipelined", "chip.tiles": "2"})
    reports = [estimate(Workload.from_layers(FOUR_LAYERS, steps), chip) for steps in (1, 2, 3, 5, 20)]
    latencies = [float(report.latency_s) for report in reports]
    assert latencies == sorted(latencies)
    assert latencies[0] < latencies[-1]
    # Each layer is a tile; three of four are written for each sample. 64 x 64 weights of 8 bits, or 128 rows of pulses.
    bits_s = 64 * 64 * 8 / (chip.chip.reload_bus_bits * chip.clock_hz)
    reload_s = 0.75 * 4 * max(bits_s, chip.crossbar.rows * chip.device.write_pulse_s)
    resident = load_hardware("rram-65nm", {"schedule": "pipelined"})
    for report, steps in zip(reports, (1, 2, 3, 5, 20), strict=True):
        work = estimate(Workload.from_layers(FOUR_LAYERS, steps), resident)
        assert float(report.latency_s) == pytest.approx(float(work.latency_s) + reload_s)
        assert float(report.interval_s) == pytest.approx(float(work.interval_s) + reload_s)


@pytest.mark.parametrize("schedule", ["sequential", "pipelined"])
def test_layers_of_one_level_are_reloaded_one_after_another(schedule: str):
    chip = load_hardware("rram-65nm", {"schedule": schedule, "chip.tiles": "2"})
    beside = [LayerSpec("linear", 64, 64, level=0) for _ in range(4)]
    one, other = (estimate(Workload.from_layers(specs, 3), chip) for specs in (FOUR_LAYERS, beside))
    pulses_s = chip.crossbar.rows * chip.device.write_pulse_s
    assert float(other.latency_s) >= 3 * pulses_s
    assert float(one.latency_s - other.latency_s) < pulses_s  # they differ by the work alone


@FEW
@given(overfull_networks(), pipelined_chips(), st.integers(1, 6), st.integers(1, 6))
def test_time_and_energy_never_fall_with_timesteps(specs, chip, one, more):
    short, long = (estimate(Workload.from_layers(specs, steps), chip) for steps in (one, one + more))
    assert short.latency_s <= long.latency_s * (1 + 1e-12)
    assert short.interval_s <= long.interval_s * (1 + 1e-12)
    assert short.energy_j <= long.energy_j * (1 + 1e-12)


@FEW
@given(overfull_networks(), pipelined_chips(), st.integers(1, 6))
def test_reloading_adds_the_same_time_to_latency_and_interval(specs, chip, steps):
    network = Workload.from_layers(specs, steps)
    terms = layer_terms(network, chip, Activity.dense().rates(network))
    missing = missing_share(terms.tiles, chip)
    assert float(missing[0]) > 0
    report, work = estimate(network, chip), chip_latency(terms.timing, chip.schedule)
    reload_s = float((terms.reload_s * missing).sum())
    assert reload_s > 0
    assert float(report.latency_s) == pytest.approx(float(work[0]) + reload_s)
    assert float(report.interval_s) == pytest.approx(float(work[1]) + reload_s)


@pytest.mark.slow
@FEW
@given(st.data(), pipelined_chips(), st.integers(1, 6))
def test_the_compiled_engine_reloads_as_the_plain_one_does(data, chip, steps):
    pair = [data.draw(overfull_networks()), data.draw(overfull_networks())]
    length = min(len(specs) for specs in pair)
    networks = [Workload.from_layers(specs[:length], steps) for specs in pair]
    codes = data.draw(st.lists(st.lists(st.integers(0, 1), min_size=length, max_size=length), min_size=1, max_size=4))
    choices = stack_choices(networks)
    costs = price_choices(choices, np.array(codes), chip, Activity.dense())
    for row, code in enumerate(codes):
        picked = Workload.from_layers([pair[which][slot] for slot, which in enumerate(code)], steps)
        for name, value in estimate(picked, chip).costs().items():
            np.testing.assert_allclose(costs[name][row], value, rtol=1e-12, err_msg=name)
