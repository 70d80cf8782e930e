"""Circuits: values by hand from the published fits, and how they scale."""

import math

import numpy as np
import pytest

from hasnas.cim_estimator import load_hardware
from hasnas.cim_estimator.hardware import lines
from hasnas.cim_estimator.model import components as circuit


def chip(name: str = "rram-65nm", **overrides: str):
    return load_hardware(name, {key.replace("__", "."): value for key, value in overrides.items()})


def test_sar_conversion_by_hand():
    converter = circuit.converter(chip(adc__kind="sar"))
    # (3.7506 uW * 5 + 25.844 uW) * 6 periods of 1 ns
    assert converter.energy_j == pytest.approx(0.267582e-12, rel=1e-9)
    assert converter.conversion_s == pytest.approx(6e-9)
    # (478 + 4 * 182) inverters of 212.8 F2 at 65 nm
    assert converter.area_m2 == pytest.approx(1206 * 212.8 * (65e-9) ** 2)


def test_flash_conversion_by_hand():
    hardware = chip("rram-22nm", adc__kind="flash", adc__bits="4")
    converter = circuit.converter(hardware)
    node = hardware.node
    gates = (16 + 4) * (circuit.inverter_energy_j(node) + circuit.nand_energy_j(node)) * 0.05
    assert converter.energy_j == pytest.approx(1.7e-6 * 15 * 1e-9 + gates, rel=1e-12)
    assert converter.area_m2 == pytest.approx(118.6 * 15 * 212.8 * (22e-9) ** 2)


def test_column_current_follows_the_published_fit():
    converter = circuit.converter(chip("rram-45nm", adc__kind="sar"))
    resistance = 5000.0
    published = 0.100225 * math.exp(-2.303 * math.log10(resistance)) * converter.conversion_s
    assert float(converter.column_energy_j(np.array(1 / resistance), 0.5)) == pytest.approx(published, rel=1e-9)
    # At twice the read voltage the same cells look half as resistive.
    doubled = converter.column_energy_j(np.array(1 / resistance), 1.0)
    assert float(doubled) == pytest.approx(0.100225 * math.exp(-2.303 * math.log10(resistance / 2)) * 6e-9, rel=1e-9)


def test_a_silent_column_draws_nothing():
    assert float(circuit.converter(chip()).column_energy_j(np.array(0.0), 0.5)) == 0.0


def test_a_fixed_converter_is_taken_as_given_and_its_column_heats():
    fixed = {"adc__kind": "fixed", "adc__fixed_energy_j": "2 pJ", "adc__fixed_conversion_s": "3 ns"}
    converter = circuit.converter(chip(**fixed, adc__fixed_area_m2="50 um2"))
    assert (converter.energy_j, converter.conversion_s, converter.area_m2) == (2e-12, 3e-9, 5e-11)
    assert float(converter.column_energy_j(np.array(1e-4), 0.5)) == pytest.approx(0.25 * 1e-4 * 3e-9)


@pytest.mark.parametrize(
    "name, ladder_ohm, sense_ns", [("rram-22nm", 1e7, 1.0), ("rram-65nm", 9e5, 0.9813), ("rram-32nm", 1e7, 1.068)]
)
def test_flash_sensing_slows_with_resistive_cells(name: str, ladder_ohm: float, sense_ns: float):
    hardware = load_hardware(name, {"device": "neurosim-rram" if ladder_ohm < 1e6 else "vgg8-rram"})
    assert circuit.flash_sense_s(hardware) == pytest.approx(max(sense_ns, 1.0) * 1e-9, rel=1e-3)


def test_energy_and_area_of_gates_shrink_with_the_node():
    nodes = [load_hardware(f"rram-{size}nm").node for size in (65, 45, 32, 22)]
    energies = [circuit.inverter_energy_j(node) for node in nodes]
    areas = [circuit.inverter_area_m2(node) for node in nodes]
    assert energies == sorted(energies, reverse=True)
    assert areas[0] / areas[3] == pytest.approx((65 / 22) ** 2)


def test_mean_conductance_by_hand():
    device = chip(device__cell_bits="1", device__on_off_ratio="10").device  # 6 kohm or 60 kohm, and 1.5 kohm in series
    assert circuit.mean_conductance_s(device) == pytest.approx((1 / 7500 + 1 / 61500) / 2)


def test_access_transistors_are_wide_for_low_resistances_and_never_narrower_than_the_node_allows():
    low, high = (load_hardware("rram-22nm", {"device": name}) for name in ("neurosim-rram", "vgg8-rram"))
    assert lines.access_width_m(low.device, low.node) == pytest.approx(3.8e-4 / 1500)
    assert lines.access_width_m(high.device, high.node) == 22e-9


def test_lines_charge_what_hangs_on_them():
    hardware = chip("rram-22nm")
    access = 3.8e-4 / (0.25 * 6000)  # the access transistor's width for a quarter of 6 kohm
    cell = 12 * 22e-9 * 2e-10 + access * 1.4298e-9
    assert circuit.wordline_energy_j(hardware) == pytest.approx(128 * cell * 0.85**2, rel=1e-9)
    assert circuit.bitline_energy_j(hardware) == pytest.approx(128 * 4 * 22e-9 * 2e-10 * 0.25, rel=1e-9)


def test_adders_and_registers_grow_with_their_bits():
    hardware = chip()
    assert circuit.adder_energy_j(hardware, 8) == pytest.approx(8 * circuit.adder_energy_j(hardware, 1))
    assert circuit.adder_area_m2(hardware, 8) == pytest.approx(8 * 9 * 319.2 * (65e-9) ** 2)
    assert circuit.register_area_m2(hardware) == pytest.approx(12 * 212.8 * (65e-9) ** 2)
