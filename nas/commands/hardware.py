"""What can be named as hardware: chips with what they are made of, devices, converters; one in full, beside others."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from hasnas.cim_estimator import (
    Activity,
    CostReport,
    LayerSpec,
    Workload,
    estimate,
    format_quantity,
    hardware_names,
    load_hardware,
)
from hasnas.cim_estimator.hardware.lines import chip_clock_hz, settling_s
from hasnas.cim_estimator.hardware.presets_reader import PRESETS
from hasnas.cim_estimator.hardware.spec import GeneralHardware, HardwareSpec, SpikeSimHardware
from hasnas.cim_estimator.model.components import converter, rows_at_once
from hasnas.cim_estimator.model.latency import read_time_s
from hasnas.cim_estimator.report.constants import constant_rows
from hasnas.errors import BadInputError, nearest
from hasnas.yaml_files import read_yaml

NONIDEAL = PRESETS.parents[1] / "nonideal" / "presets"  # its package needs SciPy, a list of names does not
KINDS = {"device": "devices", "adc": "converters", "node": "nodes", "interconnect": "networks on the chip"}

Rows = list[tuple[str, ...]]


def chips() -> Rows:
    """A line for each chip: name, node, crossbar, bits of a cell, of weights and of the converter, model, source."""
    rows: Rows = [("CHIP", "NODE", "CROSSBAR", "CELL", "WEIGHT", "ADC", "MODEL", "WHAT IT IS")]
    for name in hardware_names():
        chip, about = load_hardware(name), read_yaml(PRESETS / f"{name}.yaml")
        rows.append((name, *_facts(chip), chip.model, str(about.get("description") or about.get("source") or "")))
    return rows


def _facts(chip: HardwareSpec) -> tuple[str, ...]:
    """Node, crossbar, and bits of a cell, of a weight and of the converter; empty where the chip does not say."""
    values = {path: chip.constant(path).value for path in chip.sources}
    size = values.get("node.feature_size_m")
    named = next((part for part in chip.name.split("-") if part.endswith("nm")), "")
    bits = [str(values.get(path, "")) for path in ("device.cell_bits", "precision.weight_bits", "adc.bits")]
    return (f"{size * 1e9:g}nm" if size else named, f"{chip.crossbar.rows} x {chip.crossbar.columns}", *bits)


def parts() -> Rows:
    """A line for each kind of part: what it is called, and the presets there are."""
    names = sorted(path.stem for path in PRESETS.glob("*.yaml"))
    rows: Rows = []
    for kind, title in KINDS.items():
        found = [name.removeprefix(f"{kind}-") for name in names if name.startswith(f"{kind}-")]
        rows.append((title, ", ".join(found)))
    rows.append(("non-ideality", ", ".join(sorted(path.stem for path in NONIDEAL.glob("*.yaml")))))
    return rows


def one(name: str) -> Rows:
    """Every constant of a chip with its unit and source.

    Raises:
        BadInputError: if there is no such preset or file.
    """
    return [("CONSTANT", "VALUE", "UNIT", "SOURCE"), *constant_rows(_chip(name))]


def in_full(name: str) -> dict[str, Any]:
    """A chip as plain data, in SI units: `constants`, `rules` (what rules time and energy), `reference_layer` by chip.

    Raises:
        BadInputError: if there is no such preset or file.
    """
    prices = {
        chip: {cost: float(getattr(report, cost)) for cost in ("area_m2", "latency_s", "energy_j")}
        for chip, report in _reference_prices(name).items()
    }
    chip = _chip(name)
    constants = {path: asdict(chip.constant(path)) for path in sorted(chip.sources)}
    return {"chip": name, "constants": constants, "rules": why(chip), "reference_layer": prices}


def _chip(name: str) -> HardwareSpec:
    if Path(name).suffix not in (".yaml", ".yml") and name not in hardware_names():
        raise BadInputError(f"unknown hardware '{name}'{nearest(name, hardware_names())}")
    return load_hardware(name)


REFERENCE = LayerSpec("conv", 64, 64, kernel_size=3, in_size=16, name="reference")
REFERENCE_TIMESTEPS, REFERENCE_RATE = 4, 0.1


def beside_others(name: str) -> Rows:
    """What one layer costs on the chip and on every preset, and how many times as much as on the chip."""
    found = _reference_prices(name)
    own = found[name]
    rows: Rows = [("CHIP", "AREA", "LATENCY", "ENERGY", "LATENCY, TIMES THIS ONE'S", "ENERGY, LIKEWISE")]
    for each, report in found.items():
        costs = ((report.area_m2, "m2"), (report.latency_s, "s"), (report.energy_j, "J"))
        shown = [format_quantity(float(value), unit, 3) for value, unit in costs]
        ratios = (report.latency_s / own.latency_s, report.energy_j / own.energy_j)
        rows.append((each, *shown, *(f"{float(ratio):.3g}" for ratio in ratios)))
    return rows


def _reference_prices(name: str) -> dict[str, CostReport]:
    """What the reference layer costs on a chip, and on every preset."""
    chips = {name: load_hardware(name)} | {other: load_hardware(other) for other in hardware_names()}
    network = Workload.from_layers([REFERENCE], REFERENCE_TIMESTEPS)
    return {each: estimate(network, chip, Activity.assumed(REFERENCE_RATE)) for each, chip in chips.items()}


def why(chip: HardwareSpec) -> list[str]:
    """Sentences that say what rules the time and the energy of a layer on this chip."""
    if isinstance(chip, SpikeSimHardware):
        return _why_spikesim(chip)
    if not isinstance(chip, GeneralHardware):
        raise BadInputError(f"hardware is a {type(chip).__name__}; read one with load_hardware")
    adc, crossbar = converter(chip), chip.crossbar
    turns, settling = min(crossbar.columns_per_adc, crossbar.columns), settling_s(chip)
    waits = f"{_time(settling)} of settling" if settling else "no time for lines to settle (crossbar.settling)"
    event = "only arrays that a spike reached are" if chip.readout == "event" else "every column is"
    return [
        f"time: a read of {rows_at_once(crossbar)} rows takes {_time(read_time_s(chip))}: {turns} columns in turn, "
        f"each {_time(adc.conversion_s)} of conversion and {waits}, in clocks of {_time(1 / chip_clock_hz(chip))}, and "
        "two around them; one read serves all channels of a position",
        f"energy: a conversion takes {format_quantity(adc.energy_j, 'J', 3)} beside the cells' current, and {event} "
        f"converted; gates switch {format_quantity(chip.node.supply_v, 'V')} at {chip.node.feature_size_m * 1e9:g} nm",
    ]


def _why_spikesim(chip: SpikeSimHardware) -> list[str]:
    cycle_s = chip.spikesim.cycles_per_output / chip.clock_hz
    return [
        f"time: the published rule computes one output value after another, {_time(cycle_s)} each "
        f"({chip.spikesim.cycles_per_output} cycles), whatever the array's size; chips of the general model read all "
        "channels of a position at once, which is hundreds of times faster",
        f"energy: published constants for each read of {chip.crossbar.rows} x {chip.crossbar.columns} cells, largely "
        "the tile's buffer and H-tree; bits of converters, cells and weights change nothing",
    ]


def _time(seconds: float) -> str:
    return format_quantity(float(seconds), "s", 3)
