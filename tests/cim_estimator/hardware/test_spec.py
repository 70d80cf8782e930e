"""What a field of a description may be: its bounds follow from what it is."""

from __future__ import annotations

from dataclasses import Field, fields

import pytest

from hasnas.cim_estimator import load_hardware
from hasnas.cim_estimator.hardware import spec
from hasnas.cim_estimator.hardware.spec import check_fields, unit_of
from hasnas.errors import BadInputError

SECTIONS = [each for name, each in vars(spec).items() if name.endswith("Spec") and name != "HardwareSpec"]
NUMBERS = [(section, item) for section in SECTIONS for item in fields(section) if item.type in ("int", "float")]
# Counts that may be none: as many as needed, as many as there are rows, none at all.
NONE_ALLOWED = {"tiles", "rows_read", "bus_bits", "bits_per_tile", "subtractions_per_column", "neuron_memory_layers"}
# What would make a chip without cells, wires, gates or voltages.
NOT_ZERO = {
    "NodeSpec": {"drain_share", "leakage_a_per_m", "leakage_activation_k", "wire_resistance_ohm_per_m"},
    "DeviceSpec": {"write_energy_j", "write_pulse_s"},
    "InterconnectSpec": {"repeater_share", "router_registers_per_bit"},
    "PeripherySpec": {"level_shifter_inverters"},
    "NeuronSpec": set(),
}  # the fields of these sections that may be zero after all


def least_of(section: type, item: Field) -> tuple[str, float]:
    """The bound that a field should have, by its kind."""
    if item.type == "int":
        return "least", 0 if item.name in NONE_ALLOWED else 1
    if item.name in ("on_off_ratio", "sram_overhead"):  # Roff above Ron; at least the cells themselves
        return ("above", 1) if item.name == "on_off_ratio" else ("least", 1)
    if section.__name__ in NOT_ZERO and item.name not in NOT_ZERO[section.__name__]:
        return "above", 0
    return "least", 0


@pytest.mark.parametrize("section, item", NUMBERS, ids=lambda each: getattr(each, "name", ""))
def test_bounds_of_every_number(section: type, item: Field) -> None:
    bound, value = least_of(section, item)
    assert {key: item.metadata[key] for key in ("least", "above") if key in item.metadata} == {bound: value}


@pytest.mark.parametrize(
    "path, good, bad",
    [
        ("crossbar.columns_per_adc", "1", "0"),
        ("chip.tiles", "0", "-1"),
        ("device.on_off_ratio", "1.01", "1"),
        ("buffer.sram_overhead", "1", "0.99"),
        ("node.supply_v", "0.1 V", "0 V"),
    ],
)
def test_the_loader_keeps_to_them(path: str, good: str, bad: str) -> None:
    load_hardware("rram-22nm", {path: good})
    with pytest.raises(BadInputError, match=path.replace(".", r"\.")):
        load_hardware("rram-22nm", {path: bad})


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_are_finite(value: float) -> None:
    with pytest.raises(BadInputError, match=r"here\.read_voltage_v is .*give a finite number"):
        check_fields(spec.DeviceSpec(2, 6e3, 150, 4, 12, value, 0.25, 2, 1e-12, 1e-7), lambda name: f"here.{name}")


@pytest.mark.parametrize(
    "name, unit",
    [("reload_j_per_bit", "J/bit"), ("bits", "bit"), ("weight_bits", "bit"), ("bits_per_tile", "bit"), ("lanes", "1"),
     ("access_resistance_ohm_m", "ohm m"), ("temperature_k", "K"), ("wire_resistance_ohm_per_m", "ohm/m"),
     ("off_chip_bits_per_s", "bit/s"), ("area_m2", "m2"), ("wire_pitch_m", "m"), ("memory_um2_per_bit", "um2/bit")],
)  # fmt: skip
def test_the_suffix_is_the_unit(name: str, unit: str) -> None:
    assert unit_of(name) == unit


def test_what_a_description_leaves_out() -> None:
    adc = spec.AdcSpec("sar", 5)
    # In the published fits the current falls with the resistance as e^(-2.303 log10 R): as 1 / R.
    assert adc.sar_column_exponent == adc.flash_column_exponent == 2.303
    assert adc.sar_clock_s == adc.flash_sense_least_s == 1e-9
    rest = {"kind", "bits", "sampling", "sar_column_exponent", "flash_column_exponent"}
    rest |= {"sar_clock_s", "flash_sense_least_s"}
    assert {getattr(adc, item.name) for item in fields(adc) if item.name not in rest} == {0.0}
    dac, crossbar = spec.DacSpec(), spec.CrossbarSpec(64, 32)
    assert (dac.bits, dac.energy_j, dac.area_m2) == (1, 0.0, 0.0)
    assert (crossbar.columns_per_adc, crossbar.signed, crossbar.unrolling) == (8, "offset", "rows")
    assert spec.TileSpec(4) == spec.TileSpec(4, 1, "none", "one")
