"""What can be named as hardware: chips with what they are made of, devices, converters, non-ideality; one in full."""

from __future__ import annotations

from pathlib import Path

from hasnas.cim_estimator import hardware_names, load_hardware
from hasnas.cim_estimator.hardware.presets_reader import PRESETS
from hasnas.cim_estimator.hardware.spec import HardwareSpec
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
    if Path(name).suffix not in (".yaml", ".yml") and name not in hardware_names():
        raise BadInputError(f"unknown hardware '{name}'{nearest(name, hardware_names())}")
    chip = load_hardware(name)
    rows: Rows = [("CONSTANT", "VALUE", "UNIT", "SOURCE")]
    for path in sorted(chip.sources):
        constant = chip.constant(path)
        value = constant.value
        shown = f"{value:g}" if isinstance(value, float) else str(value)
        rows.append((path, shown, constant.unit, constant.source))
    return rows
