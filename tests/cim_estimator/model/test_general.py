"""The general model: energies by hand, and what each knob does."""

import numpy as np
import pytest

from hasnas.cim_estimator import Activity, LayerSpec, Workload, estimate, load_hardware
from hasnas.cim_estimator.model import components as circuit

LAYER = LayerSpec("conv", 128, 32, in_size=4, name="conv")


def network(*layers: LayerSpec, timesteps: int = 5) -> Workload:
    return Workload.from_layers(list(layers), timesteps)


def energy(workload: Workload, rate: float = 1.0, **overrides: str) -> dict[str, float]:
    chip = load_hardware("rram-22nm", {key.replace("__", "."): value for key, value in overrides.items()})
    return estimate(workload, chip, Activity.assumed(rate)).to_dict()["components"]["energy_j"]


def area(workload: Workload, **overrides: str) -> dict[str, float]:
    chip = load_hardware("rram-22nm", {key.replace("__", "."): value for key, value in overrides.items()})
    return estimate(workload, chip).to_dict()["components"]["area_m2"]


def test_every_column_is_converted_at_every_place_and_step():
    converter = circuit.converter(load_hardware("rram-22nm"))
    # 16 places x 5 steps x (128 columns and the reference column) of one array.
    assert energy(network(LAYER))["adc"] == pytest.approx(16 * 5 * 129 * converter.energy_j, rel=1e-12)
    assert energy(network(LAYER), crossbar__signed="unsigned")["adc"] == pytest.approx(
        16 * 5 * 128 * converter.energy_j
    )


def test_real_values_enter_bit_by_bit():
    spikes, real = (energy(network(LayerSpec("conv", 128, 32, in_size=4, input_bits=bits))) for bits in (1, 8))
    assert real["adc"] == pytest.approx(8 * spikes["adc"])
    assert real["crossbar"] == pytest.approx(8 * spikes["crossbar"])
    assert real["accumulate"] > 8 * spikes["accumulate"]  # and the bits have to be shifted and added


def test_cells_follow_the_spikes_in_clocked_readout_and_converters_do_not():
    dense, sparse = energy(network(LAYER), 1.0), energy(network(LAYER), 0.1)
    bitlines = 16 * 5 * 129 * circuit.bitline_energy_j(load_hardware("rram-22nm"))
    assert sparse["crossbar"] - bitlines == pytest.approx(0.1 * (dense["crossbar"] - bitlines), rel=1e-3)
    assert sparse["adc"] == dense["adc"]


def test_event_readout_converts_arrays_that_a_spike_reached():
    dense, sparse = energy(network(LAYER)), energy(network(LAYER), 0.01, readout="event")
    assert sparse["adc"] == pytest.approx((1 - 0.99**128) * dense["adc"], rel=1e-12)


def test_neurons_pay_for_their_membranes():
    chip = load_hardware("rram-22nm")
    lif = network(LayerSpec("lif", 32, 32, in_size=4))
    parts = energy(lif)
    assert parts["membrane"] == pytest.approx(512 * 5 * 2 * 16 * 68.1e-15, rel=1e-12)
    assert parts["neuron"] == pytest.approx(512 * 5 * 3 * circuit.adder_energy_j(chip, 16), rel=1e-12)
    assert area(lif)["membrane"] == pytest.approx(512 * 16 * circuit.sram_area_m2_per_bit(chip))
    assert energy(lif, 0.25, readout="event")["membrane"] == pytest.approx(0.25 * parts["membrane"])


def test_layers_may_bring_membranes_of_their_own():
    plain, few = (network(LayerSpec("lif", 8, 8, in_size=4, membrane_bits=bits)) for bits in (0, 4))
    assert energy(few) == energy(plain, precision__membrane_bits="4")
    assert area(few) == area(plain, precision__membrane_bits="4")
    chip = load_hardware("rram-22nm", {"precision.membrane_bits": "12"})
    memory = [int(estimate(workload, chip).memory_bits) for workload in (plain, few)]
    assert memory == [8 * 16 * 12, 8 * 16 * 4]


@pytest.mark.parametrize(
    "layer, additions",
    [
        (LayerSpec("pool", 8, 8, kernel_size=2, stride=2, in_size=4, input_bits=8), 8 * 4 * 4),
        (LayerSpec("add", 24, 8, in_size=4, input_bits=8), 2 * 8 * 16),
        (LayerSpec("add", 8, 8, in_size=4, input_bits=8), 8 * 16),
        (LayerSpec("scale", 8, 8, in_size=4, input_bits=8), 9 * 8 * 16),
    ],
)
def test_digital_layers_are_counted_in_additions(layer: LayerSpec, additions: int):
    each = circuit.adder_energy_j(load_hardware("rram-22nm"), 8)
    parts = energy(network(layer))
    assert parts["digital"] == pytest.approx(5 * additions * each, rel=1e-12)
    assert parts["adc"] == parts["crossbar"] == 0


def test_values_held_for_feedback_cost_memory_and_energy():
    held = network(LayerSpec("add", 16, 8, in_size=4, delay=1))
    report = estimate(held, load_hardware("rram-22nm"))
    assert int(report.memory_bits) == 8 * 16 * 8
    assert report.to_dict()["components"]["memory_bits"]["delayed"] == 8 * 16 * 8
    assert energy(held)["delay"] == pytest.approx(8 * 16 * 5 * 2 * 8 * 68.1e-15)


def test_static_layers_run_once():
    once, always = energy(network(LayerSpec("conv", 128, 32, in_size=4, evaluations=1))), energy(network(LAYER))
    assert always["adc"] == pytest.approx(5 * once["adc"])


def test_a_mesh_pays_for_routers_and_short_ways():
    tree, mesh = (area(network(LAYER), interconnect=kind) for kind in ("htree", "mesh"))
    assert mesh["interconnect"] > tree["interconnect"]
    assert energy(network(LAYER), interconnect="mesh")["interconnect"] > 0


def test_low_write_voltage_needs_no_level_shifters():
    assert area(network(LAYER), device__write_voltage_v="1.2 V")["wordline"] < 0.2 * area(network(LAYER))["wordline"]


def test_fewer_columns_per_converter_cost_area_and_save_time():
    slow, fast = (
        estimate(network(LAYER), load_hardware("rram-22nm", {"crossbar.columns_per_adc": shared}))
        for shared in ("8", "2")
    )
    assert fast.latency_s < slow.latency_s
    assert fast.area_m2 > slow.area_m2


def test_a_small_chip_reloads_weights():
    layers = [
        LayerSpec("linear", 512, 128, name=f"fc{index}", level=index) for index in range(4)
    ]  # 16 arrays each: a tile
    whole, half = (
        estimate(network(*layers), load_hardware("rram-22nm", {"chip.tiles": tiles})) for tiles in ("4", "2")
    )
    cells = 4 * 512 * 128 * 4
    reload = half.to_dict()["components"]["energy_j"]["reload"]
    # Three of four tiles are written for each sample: one stays, the rest pass through the other.
    assert reload == pytest.approx(0.75 * cells * (1e-12 + 2 * 4e-12))
    assert whole.to_dict()["components"]["energy_j"]["reload"] == 0
    tiles = ("crossbar", "adc", "mux", "wordline", "accumulate", "buffer", "interconnect")
    held = [sum(report.to_dict()["components"]["area_m2"][name] for name in tiles) for report in (whole, half)]
    assert held[1] == pytest.approx(held[0] / 2)
    assert half.latency_s > whole.latency_s
    assert any("more than the chip's 2 tiles" in warning for warning in half.warnings)
    assert not whole.warnings


def test_leakage_lasts_as_long_as_the_sample():
    short, long = (estimate(network(LAYER, timesteps=steps), load_hardware("rram-22nm")) for steps in (5, 10))
    assert float(long.leakage_j / short.leakage_j) == pytest.approx(2)
    assert short.leakage_j < 0.05 * short.energy_j


def test_orderings_of_nodes_and_converters():
    reports = [estimate(network(LAYER), load_hardware(f"rram-{node}nm")) for node in (22, 32, 45, 65)]
    for name in ("energy_j", "area_m2"):
        values = [float(report.costs()[name]) for report in reports]
        assert values == sorted(values)


def test_unknown_rates_count_as_dense_and_warn():
    report = estimate(network(LAYER), load_hardware("rram-22nm"), Activity.measured())
    assert report.warnings == ("no measured spike rate for conv: counted as dense",)
    np.testing.assert_allclose(report.energy_j, estimate(network(LAYER), load_hardware("rram-22nm")).energy_j)


def test_a_dac_takes_several_bits_at_once():
    dac = {"dac__bits": "4", "dac__energy_j": "100 fJ", "dac__area_m2": "50 um2"}
    real, spikes = network(LayerSpec("conv", 128, 32, in_size=4, input_bits=8)), network(LAYER)
    serial, parallel = energy(real), energy(real, **dac)
    assert parallel["adc"] == pytest.approx(2 / 8 * serial["adc"])
    assert parallel["dac"] == pytest.approx(16 * 5 * 2 * 128 * 100e-15)
    assert parallel["interconnect"] == pytest.approx(serial["interconnect"], rel=0.3)  # the chip grows, the bits do not
    assert energy(spikes, **dac)["dac"] == serial["dac"] == 0
    assert area(real, **dac)["dac"] == pytest.approx(16 * 128 * 50e-12)  # a tile of 16 arrays
