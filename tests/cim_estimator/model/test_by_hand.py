"""One layer priced on paper: every part of its energy, area and time from the constants of the 22 nm chip."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hasnas.cim_estimator import Activity, LayerSpec, Workload, estimate, load_hardware
from hasnas.cim_estimator.model import components
from hasnas.cim_estimator.model.crossbars import place

# The node: an inverter of 2 F, a NAND of (2 + p)/(1 + p) inverters, a register of 12 inverters that half of the time
# switch, an adder bit of 9 NANDs that switch 15 % of the time.
F, SUPPLY_V, PMOS = 22e-9, 0.85, 1.3194
INVERTER_J = 1.4298e-9 * 2 * F * (1 + PMOS) * 1.48 * SUPPLY_V**2
NAND_J = INVERTER_J * (2 + PMOS) / (1 + PMOS)
REGISTER_J = 12 * INVERTER_J * 0.5
ADDER_BIT_J = 9 * NAND_J * 0.15
INVERTER_M2, NAND_M2 = 212.8 * F**2, 319.2 * F**2
REGISTER_M2, ADDER_BIT_M2 = 12 * INVERTER_M2, 9 * NAND_M2
WIRE_J_PER_M = 2e-10 * 1.4 * SUPPLY_V**2 * 0.9244

# 200 x 40 weights of four cells of 2 bits: 160 columns, so 2 x 2 arrays, which fill one PE. 16 places, 5 timesteps.
LAYER = LayerSpec("conv", 200, 40, in_size=4)
READS, RATE = 16 * 5, 0.25
CONVERSIONS = READS * (160 * 2 + 4)  # both blocks of rows, and a reference column beside each array
SENT = READS * RATE * 200


def chip(**overrides: str):
    return load_hardware("rram-22nm", {key.replace("__", "."): value for key, value in overrides.items()})


def parts(what: str, layer: LayerSpec = LAYER, rate: float = RATE, **overrides: str) -> dict[str, float]:
    report = estimate(Workload.from_layers([layer], 5), chip(**overrides), Activity.assumed(rate))
    return report.to_dict()["components"][what]


def test_cells_wordlines_and_bitlines() -> None:
    levels = np.linspace(1 / (6000 * 150), 1 / 6000, 4)
    cell_s = float(np.mean(1 / (1 / levels + 1500)))  # an access transistor of a quarter of 6 kohm in series
    # 25 of the 100 rows of a block are active; flash at 22 nm converts in 1 ns.
    current_j = 0.0631 * (25 * cell_s) ** (2.303 / math.log(10)) * 1e-9
    wordline_j = 128 * (12 * F * 2e-10 + 3.8e-4 / 1500 * 1.4298e-9) * SUPPLY_V**2
    bitline_j = 128 * 4 * F * 2e-10 * 0.5**2
    driven = READS * 50 * 2 * 8  # the active rows in both columns of arrays, for each of 8 columns that share an ADC
    expected = READS * 160 * 2 * current_j + driven * wordline_j + CONVERSIONS * bitline_j
    assert parts("energy_j")["crossbar"] == pytest.approx(expected, rel=1e-9)


def test_one_block_of_rows_carries_the_whole_current() -> None:
    """100 x 32 weights lie on one array; a fixed converter's column heats by V^2 G."""
    fixed = {"adc__kind": "fixed", "adc__fixed_energy_j": "1 pJ", "adc__fixed_conversion_s": "4 ns"}
    layer = LayerSpec("conv", 100, 32, in_size=4)
    levels = np.linspace(1 / (6000 * 150), 1 / 6000, 4)
    cell_s = float(np.mean(1 / (1 / levels + 1500)))
    dense, half = (parts("energy_j", layer, rate, **fixed)["crossbar"] for rate in (1.0, 0.5))
    wordline_j = 128 * (12 * F * 2e-10 + 3.8e-4 / 1500 * 1.4298e-9) * SUPPLY_V**2
    # 50 fewer rows carry no current into 128 columns and are not driven, in each of 8 turns.
    assert dense - half == pytest.approx(READS * 50 * (128 * cell_s * 0.5**2 * 4e-9 + 8 * wordline_j), rel=1e-9)


def test_a_converter_of_the_inputs_takes_values_once_for_each_array() -> None:
    dac = {"dac__bits": "4", "dac__energy_j": "100 fJ", "dac__area_m2": "50 um2"}
    one, two = (LayerSpec("conv", 100, out, in_size=4, input_bits=8) for out in (32, 64))
    # Values of 8 bits in two turns of 4.
    assert parts("energy_j", one, **dac)["dac"] == pytest.approx(READS * 2 * 100 * 100e-15, rel=1e-9)
    assert parts("energy_j", two, **dac)["dac"] == pytest.approx(2 * READS * 2 * 100 * 100e-15, rel=1e-9)
    assert parts("area_m2", one, **dac)["dac"] == pytest.approx(16 * 128 * 50e-12, rel=1e-9)


def test_conversions_and_their_switches() -> None:
    adc_j = 1.7e-6 * 31 * 1e-9 + (32 + 5) * (INVERTER_J + NAND_J) * 0.05
    energy = parts("energy_j")
    assert energy["adc"] == pytest.approx(CONVERSIONS * adc_j, rel=1e-9)
    assert energy["mux"] == pytest.approx(CONVERSIONS * 12.6 * INVERTER_J * 0.05 * 6.163, rel=1e-9)
    assert energy["wordline"] == pytest.approx(READS * 4 * 128 * 8 * REGISTER_J * 6.163, rel=1e-9)


def test_accumulating_slices_blocks_and_input_bits() -> None:
    by_slice = CONVERSIONS * (7 * ADDER_BIT_J + 8 * REGISTER_J)  # 5 bits of the ADC and 2 of a cell
    blocks = READS * 40 * 2 * 15 * ADDER_BIT_J  # 5 bits of the ADC, 8 of the weight, 2 for the sum
    assert parts("energy_j")["accumulate"] == pytest.approx(3.042 * (by_slice + blocks), rel=1e-9)
    real = parts("energy_j", LayerSpec("conv", 200, 40, in_size=4, input_bits=8))
    by_input = 8 * CONVERSIONS / 4 * (13 * ADDER_BIT_J + 14 * REGISTER_J)
    assert real["accumulate"] == pytest.approx(3.042 * (8 * by_slice + by_input + blocks), rel=1e-9)


def test_buffers_hold_inputs_and_sums() -> None:
    bits = READS * 200 + READS * 40 * 15
    assert parts("energy_j")["buffer"] == pytest.approx(bits * 2 * REGISTER_J * 6.163, rel=1e-9)


def array_m2() -> dict[str, float]:
    accumulator = (7 + 13 + 15) * ADDER_BIT_M2 + (8 + 14) * REGISTER_M2
    shifters = (2 * 128 + 128) * 97 * INVERTER_M2  # writing takes 2 V, above the 1.5 V of plain drivers
    return {
        "crossbar": 128 * 129 * 4 * 12 * F**2,
        "adc": (16 + 1) * 118.6 * 31 * INVERTER_M2,
        "mux": 128 * 12.6 * INVERTER_M2 * 1.104,
        "wordline": ((128 + 128) * (6 * INVERTER_M2 + REGISTER_M2) + shifters) * 1.104,
        "accumulate": 16 * accumulator * 1.08,
    }


BUFFER_M2 = 4096 * REGISTER_M2 * 1.104
TILE_M2 = 16 * sum(array_m2().values()) + BUFFER_M2


def test_area_of_a_tile() -> None:
    area = parts("area_m2")
    for name, value in array_m2().items():
        assert area[name] == pytest.approx(16 * value, rel=1e-9), name
    assert area["buffer"] == pytest.approx(BUFFER_M2, rel=1e-9)
    assert area["interconnect"] == pytest.approx(128 * 40e-9 * math.sqrt(TILE_M2 - BUFFER_M2) * 28.69, rel=1e-9)


@pytest.mark.parametrize("signed, references", [("unsigned", 0), ("offset", 1)])
def test_a_reference_column_has_cells_and_a_converter(signed: str, references: int) -> None:
    area = parts("area_m2", crossbar__signed=signed)
    assert area["crossbar"] == pytest.approx(16 * 128 * (128 + references) * 48 * F**2, rel=1e-9)
    assert area["adc"] == pytest.approx(16 * (16 + references) * 118.6 * 31 * INVERTER_M2, rel=1e-9)


def test_writing_at_low_voltage_takes_no_level_shifters() -> None:
    lines = 16 * 256 * (6 * INVERTER_M2 + REGISTER_M2) * 1.104
    assert parts("area_m2", device__write_voltage_v="1.5 V")["wordline"] == pytest.approx(lines, rel=1e-9)


def test_wires_on_a_tree() -> None:
    area_m2 = sum(parts("area_m2").values())
    pe_m, tile_m = math.sqrt(4 * sum(array_m2().values())), math.sqrt(TILE_M2)
    into = pe_m + tile_m + 0.5 * math.sqrt(area_m2)  # through one PE, one tile, and half the chip
    out = READS * 40 * 15 * 0.25 * (pe_m + tile_m)  # every fourth bit of a sum charges its wire
    assert parts("energy_j")["interconnect"] == pytest.approx(WIRE_J_PER_M * (SENT * into + out), rel=1e-9)


@pytest.mark.parametrize("layer, tiles, sent", [(LAYER, 1, SENT), (LayerSpec("linear", 512, 512), 4, 5 * RATE * 512)])
def test_a_bit_on_a_mesh_passes_its_own_tiles_and_one_more(layer: LayerSpec, tiles: int, sent: float) -> None:
    routed, bare = (
        parts("energy_j", layer, interconnect="mesh", interconnect__router_registers_per_bit=count)["interconnect"]
        for count in ("20", "0")
    )
    hops = 1 + math.sqrt(tiles)
    assert routed - bare == pytest.approx(sent * hops * 20 * REGISTER_J, rel=1e-6)


def test_wires_on_a_mesh() -> None:
    pe_m, tile_m = math.sqrt(4 * sum(array_m2().values())), math.sqrt(TILE_M2)
    # Through one PE and one tile as on a tree, then two hops of a tile's side, each through a router.
    sent = SENT * (pe_m + tile_m + 2 * tile_m) + READS * 40 * 15 * 0.25 * (pe_m + tile_m)
    expected = WIRE_J_PER_M * sent + SENT * 2 * 20 * REGISTER_J
    assert parts("energy_j", interconnect="mesh")["interconnect"] == pytest.approx(expected, rel=1e-9)


def test_routers_take_room() -> None:
    tree, mesh = parts("area_m2"), parts("area_m2", interconnect="mesh")
    assert mesh["interconnect"] - tree["interconnect"] == pytest.approx(20 * 128 * REGISTER_M2, rel=1e-6)


def test_leakage_of_everything_but_cells_and_converters() -> None:
    area = parts("area_m2")
    powered = sum(value for name, value in area.items() if name not in ("crossbar", "adc"))
    w_per_m2 = 100e-6 * 2 * F * (1 + PMOS) / 2 * SUPPLY_V / INVERTER_M2 * 0.7941
    # 8 conversions of 1 ns are four clocks of 2 ns; one more to drive the rows, one to accumulate.
    assert parts("energy_j")["leakage"] == pytest.approx(w_per_m2 * powered * READS * 12e-9, rel=1e-9)


def test_neurons_and_digital_units_have_an_area() -> None:
    lif = parts("area_m2", LayerSpec("lif", 10, 10, in_size=4))
    assert lif["neuron"] == pytest.approx(64 * 3 * 16 * ADDER_BIT_M2, rel=1e-9)
    assert lif["membrane"] == pytest.approx(160 * 16 * 160 * F**2 * 1.5, rel=1e-9)
    adders = 64 * 8 * ADDER_BIT_M2
    assert parts("area_m2", LayerSpec("pool", 8, 8, kernel_size=2, stride=2, in_size=4))["digital"] == pytest.approx(
        adders, rel=1e-9
    )
    assert parts("area_m2", LayerSpec("add", 16, 8, in_size=4))["digital"] == pytest.approx(adders, rel=1e-9)
    assert parts("area_m2", LayerSpec("scale", 8, 8, in_size=4))["digital"] == pytest.approx(9 * adders, rel=1e-9)
    held = parts("area_m2", LayerSpec("add", 16, 8, in_size=4, delay=1))
    assert held["delay"] == pytest.approx(8 * 16 * 8 * 160 * F**2 * 1.5, rel=1e-9)


def test_pooling_adds_as_many_bits_as_a_value_has() -> None:
    spikes, values = (
        parts("energy_j", LayerSpec("pool", 8, 8, kernel_size=2, stride=2, in_size=4, input_bits=bits))["digital"]
        for bits in (1, 8)
    )
    assert spikes == pytest.approx(5 * 8 * 4 * 4 * ADDER_BIT_J, rel=1e-9)
    assert values == pytest.approx(8 * spikes, rel=1e-9)


def test_the_share_of_cells_that_hold_weights_counts_idle_arrays() -> None:
    report = estimate(Workload.from_layers([LAYER], 5), chip())
    assert float(report.utilisation) == pytest.approx(200 * 160 / (16 * 128 * 128))


def test_copies_are_whole() -> None:
    # 5 arrays, of 2 x 2 in a PE and 2 x 2 PEs in a tile: a strip of five columns takes two tiles, 32 arrays, 6 copies.
    layer, wide = LayerSpec("conv", 128, 160, in_size=16), {"interconnect__bus_bits": "4096"}
    one, fill = (
        float(estimate(Workload.from_layers([layer], 5), chip(tile__copies=copies, **wide)).latency_s)
        for copies in ("one", "fill")
    )
    assert one / fill == pytest.approx(6)


def test_a_given_converter_heats_its_column_by_the_square_of_the_voltage() -> None:
    fixed = {"adc__kind": "fixed", "adc__fixed_energy_j": "1 pJ", "adc__fixed_conversion_s": "3 ns"}
    for volts in (0.25, 0.5, 1.0):
        hardware = chip(**fixed, device__read_voltage_v=f"{volts} V")
        heat = components.converter(hardware).column_energy_j(np.array(2e-4), volts)
        assert float(heat) == pytest.approx(volts**2 * 2e-4 * 3e-9)


def test_flash_sensing_takes_one_to_ten_periods() -> None:
    # The ladder's middle, 100 x 6 kohm x 150 / (2 x 128) = 3516 ohm: ln(3.516) = 1.2572.
    for slope_ns, expected_ns in ((1, 1 + 1.2572), (0, 1.0), (100, 10.0)):
        time_s = components.flash_sense_s(chip(adc__flash_sense_slope_s=f"{slope_ns} ns"))
        assert time_s == pytest.approx(expected_ns * 1e-9, rel=1e-4)
    low = chip(adc__flash_sense_offset_s="0.2 ns", adc__flash_sense_slope_s="0.1 ns")
    assert components.flash_sense_s(low) == pytest.approx(1e-9)


@pytest.mark.parametrize("bits, cell_bits, cells", [(8, 2, 8), (9, 2, 8), (8, 1, 14), (2, 1, 2), (1, 1, 2)])
def test_a_differential_pair_leaves_the_sign_out_of_its_cells(bits: int, cell_bits: int, cells: int) -> None:
    layer = Workload.from_layers([LayerSpec("linear", 16, 4, weight_bits=bits)], 1)
    placed = place(layer, chip(crossbar__signed="differential", device__cell_bits=str(cell_bits)))
    assert int(np.broadcast_to(placed.cells_per_weight, (1,))[0]) == cells
