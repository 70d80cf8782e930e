"""Hardware descriptions: presets, parts, overrides, and every mistake by name."""

from pathlib import Path

import pytest

from hasnas.cim_estimator import hardware_names, load_hardware
from hasnas.cim_estimator.hardware.presets_reader import PRESETS, cells_per_weight, part_names
from hasnas.cim_estimator.hardware.spec import GeneralHardware
from hasnas.errors import BadInputError
from hasnas.yaml_files import read_yaml

GENERAL = """
model: general
source: a test
clock_hz: 1 GHz
node: 32nm
device: {part: neurosim-rram, cell_bits: 1}
adc: {kind: fixed, bits: 4, fixed_energy_j: 1 pJ, fixed_conversion_s: 2 ns, fixed_area_m2: 100 um2, source: a paper}
crossbar: {size: 64, columns_per_adc: {value: 4, source: another paper}}
precision: {weight_bits: 4, bias_bits: 8, membrane_bits: 12, value_bits: 6}
tile: 4x4
buffer: registers
interconnect: mesh
periphery: gates
neuron: lanes
chip: {tiles: 100, reload_bus_bits: 32, reload_j_per_bit: 1 pJ/bit}
"""


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "chip.yaml"
    path.write_text(text)
    return path


def test_the_presets_are_listed_and_load():
    assert {"spikesim-65nm-rram", "rram-65nm", "rram-45nm", "rram-32nm", "rram-22nm"} <= set(hardware_names())
    for name in hardware_names():
        assert load_hardware(name).name == name


@pytest.mark.parametrize("name", hardware_names())
def test_every_value_of_a_preset_has_a_source(name: str):
    hardware = load_hardware(name)
    assert len(hardware.sources) > 30
    for path in hardware.sources:
        constant = hardware.constant(path)
        assert constant.source.strip(), path


@pytest.mark.parametrize("path", sorted(PRESETS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_entry_of_a_part_has_a_source(path: Path):
    tree = read_yaml(path)
    entries = [entry for key, entry in tree.items() if key not in ("description", "source", "model")]
    bare = [entry for entry in entries if not isinstance(entry, (dict, str))]
    assert tree.get("description")
    assert not bare or tree.get("source")


def test_a_description_is_put_together_from_parts(tmp_path: Path):
    chip = load_hardware(write(tmp_path, GENERAL))
    assert isinstance(chip, GeneralHardware)
    assert (chip.crossbar.rows, chip.crossbar.columns, chip.crossbar.columns_per_adc) == (64, 64, 4)
    assert (chip.device.cell_bits, chip.device.on_resistance_ohm) == (1, 6000)
    assert chip.adc.fixed_energy_j == 1e-12
    assert chip.constant("crossbar.columns_per_adc").source == "another paper"
    assert chip.constant("adc.bits").source == "a paper"
    assert chip.constant("chip.tiles").source == "a test"
    assert chip.constant("node.supply_v").unit == "V"


def test_a_device_or_converter_of_ones_own_is_one_file(tmp_path: Path):
    device = read_yaml(PRESETS / "device-neurosim-rram.yaml")
    lines = [
        f"{key}: {value}" for key, value in device.items() if key not in ("description", "source", "on_resistance_ohm")
    ]
    (tmp_path / "mine.yaml").write_text("\n".join([*lines, "source: measured here", "on_resistance_ohm: 25 kohm"]))
    path = write(tmp_path, GENERAL.replace("device: {part: neurosim-rram, cell_bits: 1}", "device: mine.yaml"))
    chip = load_hardware(path)
    assert chip.device.on_resistance_ohm == 25e3
    assert chip.constant("device.on_resistance_ohm").source == "measured here"


def test_overrides_take_texts_units_and_parts():
    overrides = {
        "crossbar.size": "256",
        "clock_hz": "1 GHz",
        "device": "tsinghua-130nm",
        "adc.bits": 6,
        "readout": "event",
    }
    chip = load_hardware("rram-22nm", overrides)
    assert (chip.crossbar.rows, chip.clock_hz, chip.device.on_resistance_ohm, chip.adc.bits, chip.readout) == (
        256, 1e9, 1e5, 6, "event",
    )  # fmt: skip
    assert chip.constant("adc.bits").source == "override"


def test_spikesim_knobs():
    knobs = {"crossbar.size": "128", "crossbar.device": "sram", "tile.pes": "4", "clock_hz": "500 MHz"}
    chip = load_hardware("spikesim-65nm-rram", knobs)
    assert (chip.crossbar.columns, chip.crossbar.device, chip.tile.pes, chip.clock_hz) == (128, "sram", 4, 5e8)


@pytest.mark.parametrize(
    "signed, weight_bits, cell_bits, cells",
    [("unsigned", 8, 2, 4), ("offset", 8, 2, 4), ("offset", 5, 2, 3),
     ("differential", 8, 2, 8), ("differential", 5, 2, 4), ("differential", 1, 2, 2)],
)  # fmt: skip
def test_weights_are_sliced_into_cells(signed: str, weight_bits: int, cell_bits: int, cells: int):
    settings = {"crossbar.signed": signed, "precision.weight_bits": weight_bits, "device.cell_bits": cell_bits}
    assert cells_per_weight(load_hardware("rram-22nm", settings)) == cells


@pytest.mark.parametrize(
    "overrides, message",
    [
        ({"adc.bits": "five"}, "override: adc.bits: 'five' is not a number with a unit"),
        ({"adc.bits": "4.5"}, "override: adc.bits is '4.5'; give a whole number"),
        ({"adc.bits": "0"}, "override: adc.bits is 0; give at least 1"),
        ({"adc.kind": "flsh"}, "override: adc.kind: unknown 'flsh'; did you mean 'flash'?"),
        ({"adc.bitz": "4"}, "override: unknown key 'adc.bitz'; did you mean 'adc.bits'?"),
        ({"clok_hz": "1 GHz"}, "override: unknown key 'clok_hz'; did you mean 'clock_hz'?"),
        ({"clock_hz": "1 uJ"}, "override: clock_hz: '1 uJ' has the unit 'uJ', expected a quantity in Hz"),
        ({"clock_hz": "-1 MHz"}, "override: clock_hz is -1000000.0; give more than 0"),
        ({"clock_hz": "nan"}, "override: clock_hz is nan; give a finite number"),
        ({"device": "winbnd-90nm"}, "unknown device 'winbnd-90nm'; did you mean 'winbond-90nm'?"),
        ({"device": 3}, "override: device is 3; give its keys and values, or the name of a part"),
        (
            {"crossbar.columns": "2", "crossbar.columns_per_adc": "8"},
            "columns_per_adc (8) exceeds crossbar.columns (2)",
        ),
        ({"crossbar.columns": "3", "crossbar.columns_per_adc": "1"}, "one weight of 8 bits takes 4 cells, more than"),
        ({"adc.kind": "fixed"}, "adc.kind is 'fixed' but adc.fixed_energy_j is zero or missing"),
        ({"device.on_off_ratio": "1"}, "device.on_off_ratio is 1.0; give more than 1"),
        ({"model": "magic"}, "model is 'magic'"),
        ({"model": "spikesim"}, "unknown key 'node'"),
        ({"readout": 3}, "override: readout is 3; give a word"),
        ({"spikesim.adc_pj": "1"}, "unknown key 'spikesim.adc_pj'"),
    ],
)
def test_wrong_overrides_are_one_clear_line(overrides: dict, message: str):
    with pytest.raises(BadInputError) as refused:
        load_hardware("rram-22nm", overrides)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "before, after, message",
    [
        ("clock_hz: 1 GHz\n", "", "'clock_hz' is missing; add it"),
        ("kind: fixed, bits: 4", "kind: fixed", "'adc.bits' is missing; add it"),
        ("size: 64", "size: 64, rows: 32", "crossbar.size contradicts crossbar.rows"),
        ("model: general", "model: generl", "model is 'generl'; did you mean 'general'?"),
        ("chip: {tiles: 100", "chip: {tile: 100", "unknown key 'chip.tile'; did you mean 'chip.tiles'?"),
        ("node: 32nm", "node: 33nm", "unknown node '33nm'; did you mean '32nm'?"),
        ("node: 32nm", "node: [32nm]", "node is ['32nm']"),
        ("node: 32nm", "node: absent.yaml", "cannot read"),
        ("1 GHz", "{value: 1 ms, source: x}", "clock_hz: '1 ms' has the unit 'ms', expected a quantity in Hz"),
    ],
)
def test_mistakes_in_files_name_file_and_key(tmp_path: Path, before: str, after: str, message: str):
    assert before in GENERAL
    path = write(tmp_path, GENERAL.replace(before, after))
    with pytest.raises(BadInputError) as refused:
        load_hardware(path)
    assert message in str(refused.value)
    assert str(tmp_path) in str(refused.value)


def test_unknown_hardware_names_the_nearest():
    with pytest.raises(BadInputError, match=r"unknown hardware 'rram-23nm'; did you mean"):
        load_hardware("rram-23nm")
    with pytest.raises(BadInputError, match=r"no 'adc\.bitz'; did you mean 'adc\.bits'"):
        load_hardware("rram-22nm").constant("adc.bitz")


def test_parts_are_listed():
    assert {"neurosim-rram", "intel-22nm"} <= set(part_names("device"))
    assert part_names("interconnect") == ["htree", "mesh"]


def test_an_array_may_be_as_narrow_as_one_weight_and_one_converter():
    # A weight of 8 bits takes four cells of 2.
    narrow = load_hardware("rram-22nm", {"crossbar.columns": "4", "crossbar.columns_per_adc": "4"})
    assert (narrow.crossbar.columns, narrow.crossbar.columns_per_adc) == (4, 4)
    with pytest.raises(BadInputError, match=r"takes 4 cells, more than crossbar\.columns \(3\)"):
        load_hardware("rram-22nm", {"crossbar.columns": "3", "crossbar.columns_per_adc": "3"})
    with pytest.raises(BadInputError, match=r"columns_per_adc \(5\) exceeds crossbar\.columns \(4\)"):
        load_hardware("rram-22nm", {"crossbar.columns": "4", "crossbar.columns_per_adc": "5"})
