"""What any cost model must obey, for any network on any hardware."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hasnas.cim_estimator import Activity, HardwareSpec, LayerSpec, Workload, estimate, load_hardware
from hasnas.cim_estimator.hardware.units import format_quantity, parse_quantity
from hasnas.cim_estimator.model.crossbars import place

_SIZES = st.integers(1, 9)
_CHANNELS = st.integers(1, 200)
TIMESTEPS = 4


@st.composite
def layers(draw: st.DrawFn) -> LayerSpec:
    """Any layer that can exist."""
    kind = draw(st.sampled_from(["conv", "conv", "linear", "pool", "add", "lif", "scale"]))
    cin, cout, size = draw(_CHANNELS), draw(_CHANNELS), draw(_SIZES)
    common = {"input_bits": draw(st.sampled_from([1, 1, 3, 8])), "evaluations": draw(st.sampled_from([0, 0, 1]))}
    common |= {"level": draw(st.integers(0, 3)), "input_rate": draw(st.none() | st.floats(0, 1))}
    if kind == "conv":
        kernel, stride = draw(st.sampled_from([1, 3, 5])), draw(st.integers(1, 2))
        return LayerSpec(kind, cin, cout, kernel_size=kernel, stride=stride, in_size=size, biases=cout, **common)
    if kind == "linear":
        return LayerSpec(kind, cin, cout, **common)
    if kind == "add":
        return LayerSpec(kind, 2 * cin, cin, in_size=size, delay=draw(st.integers(0, 1)), **common)
    window = draw(st.integers(1, 3)) if kind == "pool" else 1
    return LayerSpec(kind, cin, cin, kernel_size=window, in_size=size, **common)


def networks(least: int = 1) -> st.SearchStrategy[list[LayerSpec]]:
    """Lists of layers in any order."""
    return st.lists(layers(), min_size=least, max_size=8)


@st.composite
def hardware(draw: st.DrawFn) -> HardwareSpec:
    """Any preset with any of its knobs turned."""
    name = draw(st.sampled_from(["spikesim-65nm-rram", "rram-65nm", "rram-45nm", "rram-32nm", "rram-22nm"]))
    overrides = {"crossbar.size": draw(st.sampled_from(["32", "64", "100", "128"]))}
    overrides |= {"readout": draw(st.sampled_from(["clocked", "event"])), "tile.pes": str(draw(st.integers(1, 9)))}
    overrides |= {"tile.sharing": draw(st.sampled_from(["none", "layers"]))}
    if not name.startswith("spikesim"):
        overrides |= {
            "schedule": draw(st.sampled_from(["sequential", "pipelined"])),
            "adc.kind": draw(st.sampled_from(["sar", "flash"])),
            "adc.bits": str(draw(st.integers(1, 8))),
            "crossbar.signed": draw(st.sampled_from(["offset", "differential", "unsigned"])),
            "crossbar.unrolling": draw(st.sampled_from(["rows", "kernel"])),
            "device": draw(st.sampled_from(["neurosim-rram", "vgg8-rram", "intel-22nm", "tsinghua-130nm"])),
            "interconnect": draw(st.sampled_from(["htree", "mesh"])),
            "tile.copies": draw(st.sampled_from(["one", "fill"])),
            "chip.tiles": draw(st.sampled_from(["0", "0", "2", "7"])),
            "crossbar.settling": draw(st.sampled_from(["ignored", "wait", "slow-clock"])),
            "crossbar.rows_read": draw(st.sampled_from(["0", "1", "30"])),
            "tile.layout": draw(st.sampled_from(["rectangle", "pes"])),
            "temperature_k": draw(st.sampled_from(["300", "360"])),
        }
    return load_hardware(name, overrides)


def with_rate(specs: list[LayerSpec], rate: float) -> list[LayerSpec]:
    """The same layers with one measured rate."""
    return [replace(spec, input_rate=rate) for spec in specs]


def workload(specs: list[LayerSpec], timesteps: int = TIMESTEPS) -> Workload:
    """Arrays of the layers."""
    return Workload.from_layers(specs, timesteps)


FIELDS = [name for name in Workload.__dataclass_fields__ if name not in ("names", "timesteps")]


FEW = settings(max_examples=40, deadline=None)
RATES = st.floats(0, 1)


@FEW
@given(networks(), hardware(), RATES)
def test_nothing_is_negative_or_not_a_number(specs, chip, rate):
    report = estimate(workload(specs), chip, Activity.assumed(rate))
    for values in (
        report.energy_by_layer_j,
        report.area_by_layer_m2,
        report.latency_by_layer_s,
        *report.costs().values(),
    ):
        assert np.all(np.isfinite(values))
        assert np.all(np.asarray(values) >= 0)


@FEW
@given(networks(), hardware(), RATES)
def test_layers_and_components_sum_to_totals(specs, chip, rate):
    report = estimate(workload(specs), chip, Activity.assumed(rate))
    np.testing.assert_allclose(report.energy_by_layer_j.sum(), report.energy_j, rtol=1e-12)
    np.testing.assert_allclose(report.area_by_layer_m2.sum(), report.area_m2, rtol=1e-12)
    assert report.memory_by_layer_bits.sum() == report.memory_bits
    assert sum(int(bits) for bits in report.memory_by_component_bits.values()) == report.memory_bits
    assert report.parameters_by_layer.sum() == report.parameters


@FEW
@given(networks(), hardware(), RATES, RATES)
def test_energy_grows_with_spikes(specs, chip, one, other):
    low, high = sorted((one, other))
    network = workload(specs)
    less, more = (estimate(network, chip, Activity.assumed(rate)).energy_j for rate in (low, high))
    assert less <= more * (1 + 1e-12)


@FEW
@given(networks(), hardware(), RATES)
def test_energy_and_latency_grow_with_timesteps(specs, chip, rate):
    short, long = (estimate(workload(specs, steps), chip, Activity.assumed(rate)) for steps in (3, 5))
    assert short.energy_j <= long.energy_j * (1 + 1e-12)
    assert short.latency_s <= long.latency_s * (1 + 1e-12)


@FEW
@given(networks(), st.sampled_from(["sar", "flash"]), st.integers(1, 7), RATES)
def test_energy_and_area_grow_with_converter_bits(specs, kind, bits, rate):
    chips = [load_hardware("rram-32nm", {"adc.kind": kind, "adc.bits": str(each)}) for each in (bits, bits + 1)]
    coarse, fine = (estimate(workload(specs), chip, Activity.assumed(rate)) for chip in chips)
    assert coarse.energy_j <= fine.energy_j * (1 + 1e-12)
    assert coarse.area_m2 <= fine.area_m2 * (1 + 1e-12)


@FEW
@given(networks(2), hardware(), RATES, st.randoms(use_true_random=False))
def test_energy_does_not_depend_on_the_order_of_layers(specs, chip, rate, order: random.Random):
    shuffled = list(specs)
    order.shuffle(shuffled)
    before, after = (estimate(workload(each), chip, Activity.assumed(rate)) for each in (specs, shuffled))
    np.testing.assert_allclose(before.energy_j, after.energy_j, rtol=1e-12)
    assert before.memory_bits == after.memory_bits


@FEW
@given(networks(), st.sampled_from([16, 48, 64, 128, 256]), st.sampled_from([16, 48, 64, 128, 256]))
def test_crossbar_size_changes_counts_as_the_mapping_says(specs, rows, columns):
    chip = load_hardware("rram-45nm", {"crossbar.rows": str(rows), "crossbar.columns": str(columns)})
    network = workload(specs)
    arrays = np.broadcast_to(place(network, chip).arrays, network.shape)
    for spec, found in zip(specs, arrays, strict=True):
        wanted = 0
        if spec.kind in ("conv", "linear"):
            fan_in = spec.kernel_size**2 * spec.in_channels
            wanted = -(-fan_in // rows) * -(-spec.out_channels // (columns // 4))  # 8-bit weights on 2-bit cells
        assert found == wanted


@FEW
@given(networks(), hardware(), RATES)
def test_unused_slots_cost_exactly_nothing(specs, chip, rate):
    network = workload(specs)
    padded = replace(network, names=(*network.names, "unused"), **{
        name: np.append(getattr(network, name), 0) for name in FIELDS
    })  # fmt: skip
    alone, beside = estimate(network, chip, Activity.assumed(rate)), estimate(padded, chip, Activity.assumed(rate))
    assert beside.energy_by_layer_j[-1].sum() == 0
    assert beside.area_by_layer_m2[-1].sum() == 0
    assert beside.latency_by_layer_s[-1] == 0
    for name, value in alone.costs().items():
        np.testing.assert_allclose(beside.costs()[name], value, rtol=1e-14)


@FEW
@given(networks(), hardware())
def test_silence_costs_static_energy_only_in_event_readout(specs, chip):
    chip = replace(chip, readout="event")
    report = estimate(workload(specs), chip, Activity.assumed(0.0)).to_dict()["components"]["energy_j"]
    # Values held for feedback and reloaded weights are refreshed whether or not anything fires.
    assert sum(report.values()) == sum(report.get(name, 0.0) for name in ("leakage", "reload", "delay"))


@FEW
@given(networks(), hardware(), RATES)
def test_clocked_readout_never_costs_less_than_event_readout(specs, chip, rate):
    clocked, event = (
        estimate(workload(specs), replace(chip, readout=readout), Activity.assumed(rate)).energy_j
        for readout in ("clocked", "event")
    )
    assert event <= clocked * (1 + 1e-12)


@FEW
@given(networks(), hardware(), RATES)
def test_measured_rates_equal_the_same_assumed_rate(specs, chip, rate):
    measured = estimate(workload(with_rate(specs, rate)), chip, Activity.measured())
    assumed = estimate(workload(specs), chip, Activity.assumed(rate))
    np.testing.assert_allclose(measured.energy_j, assumed.energy_j, rtol=1e-15)


@FEW
@given(networks(), hardware())
def test_pipelining_never_slows_a_network_down(specs, chip):
    slow, fast = (
        estimate(workload(specs), replace(chip, schedule=schedule)) for schedule in ("sequential", "pipelined")
    )
    assert fast.latency_s <= slow.latency_s
    assert np.all(fast.interval_s <= slow.interval_s * (1 + 1e-12))


@given(st.floats(1e-18, 1e9), st.sampled_from(["J", "s", "m2", "Hz", "W", "V", "ohm", "bit"]))
def test_quantities_survive_being_written_and_read(value, unit):
    assert abs(parse_quantity(format_quantity(value, unit, digits=17), unit) / value - 1) < 1e-14
