"""Reads hardware descriptions: presets and YAML files, put together from parts, with overrides and sources."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from copy import copy
from dataclasses import MISSING, fields
from functools import lru_cache
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
from numpy.typing import NDArray

from hasnas.errors import BadInputError, nearest
from hasnas.yaml_files import read_yaml

from .lines import settling_s
from .slices import bit_slices
from .spec import HARDWARE_CLASSES, MODELS, GeneralHardware, HardwareSpec, check_fields, unit_of
from .units import format_quantity, parse_quantity
from .unused import refuse_unused

PRESETS = Path(__file__).parent / "presets"
_PLAIN = ("name", "sources")
Tree = dict[str, Any]


def hardware_names() -> list[str]:
    """The presets that `load_hardware` knows by name.

    >>> "spikesim-65nm-rram" in hardware_names()
    True
    """
    sections = {field.name for field in fields(GeneralHardware)}
    stems = [path.stem for path in PRESETS.glob("*.yaml")]
    return sorted(stem for stem in stems if stem.partition("-")[0] not in sections)  # a part begins with its section


def part_names(section: str) -> list[str]:
    """The ready-made parts of a section, e.g. the devices.

    >>> "22nm" in part_names("node")
    True
    """
    return sorted(path.stem.removeprefix(f"{section}-") for path in PRESETS.glob(f"{section}-*.yaml"))


def load_hardware(name_or_path: str | Path, overrides: Mapping[str, Any] | None = None) -> HardwareSpec:
    """Read a hardware description.

    A section is written out, or names a part (`device: neurosim-rram`: a file `device-neurosim-rram.yaml` among the
    presets, or a path relative to the description, for a preset's overrides to the working directory), or does both
    (`device: {part: neurosim-rram, cell_bits: 1}`). A value is a number, a text with a unit, or
    `{value: ..., source: ...}`; `source:` beside the values holds for all others.

    Args:
        name_or_path: name of a preset, or path of a YAML file.
        overrides: dotted path -> value, e.g. `{"crossbar.rows": "128", "clock_hz": "500 MHz", "device": "intel-22nm"}`;
            `crossbar.size` sets rows and columns.

    Raises:
        BadInputError: if the name, a key, a unit or a value is wrong, or an override changes nothing on this chip; file
            and key are named.

    >>> load_hardware("spikesim-65nm-rram", {"crossbar.size": "128"}).crossbar.columns
    128
    >>> load_hardware("rram-22nm", {"tile.pez": "4"})
    Traceback (most recent call last):
        ...
    hasnas.errors.BadInputError: override: unknown key 'tile.pez'; did you mean 'tile.pes'? Known: tile.arrays_per_pe, \
tile.copies, tile.layout, tile.pes, tile.sharing
    """
    hardware = read_variant(name_or_path, overrides or {})
    refuse_unused([hardware], overrides or {})
    return hardware


def read_variant(name_or_path: str | Path, overrides: Mapping[str, Any]) -> HardwareSpec:
    """The same as `load_hardware`, but overrides may change nothing on this variant of a chip."""
    return check_consistent(read_values(name_or_path, overrides))


def read_values(name_or_path: str | Path, overrides: Mapping[str, Any]) -> HardwareSpec:
    """The same as `read_variant`, but fields may contradict each other; each is within its own bounds."""
    return next(_each(name_or_path, [overrides]))


def read_variants(name_or_path: str | Path, overrides: Iterable[Mapping[str, Any]]) -> Iterator[HardwareSpec]:
    """The same as `read_variant` for one after another of many variants; the description itself is read once."""
    return map(check_consistent, _each(name_or_path, overrides))


def _each(name_or_path: str | Path, variants: Iterable[Mapping[str, Any]]) -> Iterator[HardwareSpec]:
    path = _find(name_or_path)
    tree, described = _read(path), dict[str, _Values]()
    for overrides in variants:
        model = _model(tree, path, overrides)
        if model not in described:
            described[model] = _Values(HARDWARE_CLASSES[model], path)
            described[model].take_file(tree)
        values = described[model].copy()
        for key, value in overrides.items():
            values.override(key, value)
        yield values.build(path.stem)


def _find(name_or_path: str | Path) -> Path:
    path = Path(name_or_path)
    if path.suffix in (".yaml", ".yml"):
        return path
    preset = PRESETS / f"{name_or_path}.yaml"
    if str(name_or_path) not in hardware_names():
        raise BadInputError(f"unknown hardware '{name_or_path}'{nearest(str(name_or_path), hardware_names())}")
    return preset


def _read(path: Path) -> Tree:
    return _read_preset(path) if path.parent == PRESETS else read_yaml(path)


@lru_cache(maxsize=64)
def _read_preset(path: Path) -> Tree:
    return read_yaml(path)


def _model(tree: Tree, path: Path, overrides: Mapping[str, Any]) -> str:
    model = overrides.get("model", _split(tree.get("model"))[0])
    if model not in MODELS:
        raise BadInputError(f"{path}: model is {model!r}{nearest(str(model), MODELS)}")
    return str(model)


def _split(entry: Any) -> tuple[Any, str | None]:
    """Value and source of an entry, which is a value or `{value: ..., source: ...}`."""
    if isinstance(entry, dict) and "value" in entry:
        return entry["value"], entry.get("source")
    return entry, None


_HINTS: dict[Any, dict[str, Any]] = {}


def _hints(section: Any) -> dict[str, Any]:
    """Resolved types of a section's fields; resolving them is slow enough to be done once."""
    if section not in _HINTS:
        _HINTS[section] = get_type_hints(section)
    return _HINTS[section]


class _Values:
    """Collects the values of one description with their sources, in the order file, part, override."""

    def __init__(self, hardware_class: type[HardwareSpec], path: Path) -> None:
        self.hardware_class, self.path = hardware_class, path
        hints = _hints(hardware_class)
        self.top = {entry.name: hints[entry.name] for entry in fields(hardware_class) if entry.name not in _PLAIN}
        self.sections = {name: kind for name, kind in self.top.items() if hasattr(kind, "__dataclass_fields__")}
        self.values: dict[str, Any] = {}
        self.sources: dict[str, str] = {}

    def copy(self) -> _Values:
        copied = copy(self)
        copied.values, copied.sources = dict(self.values), dict(self.sources)
        return copied

    def take_file(self, tree: Tree) -> None:
        where = str(self.path)
        source = str(tree.get("source", ""))
        for key, entry in tree.items():
            if key in ("source", "description"):
                continue
            if key in self.sections:
                self.take_section(key, entry, source, where)
            else:
                self.set(key, entry, source, where)

    def take_section(self, section: str, entry: Any, source: str, where: str) -> None:
        if isinstance(entry, str):
            return self.take_part(section, entry, where)
        if not isinstance(entry, dict):
            raise BadInputError(f"{where}: {section} is {entry!r}; give its keys and values, or the name of a part")
        if "part" in entry:
            self.take_part(section, str(entry["part"]), where)
        own = str(entry.get("source", source))
        if "size" in entry and ("rows" in entry or "columns" in entry):
            raise BadInputError(f"{where}: {section}.size contradicts {section}.rows and columns; give one of them")
        for key, value in entry.items():
            if key not in ("source", "part", "description"):
                self.set(f"{section}.{key}", value, own, where)

    def take_part(self, section: str, name: str, where: str) -> None:
        beside = Path() if self.path.parent == PRESETS else self.path.parent  # presets name no files, overrides do
        path = beside / name if name.endswith((".yaml", ".yml")) else PRESETS / f"{section}-{name}.yaml"
        if path.parent == PRESETS and path.stem.removeprefix(f"{section}-") not in part_names(section):
            raise BadInputError(f"{where}: unknown {section} '{name}'{nearest(name, part_names(section))}")
        self.take_section(section, _read(path), "", str(path))

    def override(self, key: str, value: Any) -> None:
        if key in self.sections:
            self.take_section(key, value, "override", "override")
        else:
            self.set(key, value, "override", "override")

    def set(self, key: str, entry: Any, source: str, where: str) -> None:
        if key == "crossbar.size":
            self.set("crossbar.rows", entry, source, where)
            key = "crossbar.columns"
        kind = self._kind(key, where)
        value, own_source = _split(entry)
        self.values[key] = _converted(value, kind, key, where)
        self.sources[key] = own_source or source

    def _kind(self, key: str, where: str) -> type:
        section, dot, name = key.partition(".")
        if dot and section in self.sections:
            hints = _hints(self.sections[section])
            if name in hints:
                kind: type = hints[name]
                return kind
            known = [f"{section}.{each}" for each in hints] + (["crossbar.size"] if section == "crossbar" else [])
            raise BadInputError(f"{where}: unknown key '{key}'{nearest(key, known)}")
        if not dot and section in self.top and section not in self.sections:
            top: type = self.top[section]
            return top
        raise BadInputError(f"{where}: unknown key '{key}'{nearest(key, self.top)}")

    def build(self, name: str) -> HardwareSpec:
        sections = {section: self._build(kind, f"{section}.") for section, kind in self.sections.items()}
        plain = {key: value for key, value in self.values.items() if "." not in key}
        self._require(self.hardware_class, plain, "", skip=(*_PLAIN, *self.sections))
        hardware = self.hardware_class(name=name, sources=dict(self.sources), **plain, **sections)
        check_fields(hardware, self._called(""))
        return hardware

    def _build(self, kind: type, prefix: str) -> Any:
        given = {key.removeprefix(prefix): value for key, value in self.values.items() if key.startswith(prefix)}
        self._require(kind, given, prefix, skip=())
        section = kind(**given)
        check_fields(section, self._called(prefix))
        return section

    def _require(self, kind: Any, given: Mapping[str, Any], prefix: str, skip: tuple[str, ...]) -> None:
        for entry in fields(kind):
            if entry.name in given or entry.name in skip:
                continue
            if entry.default is MISSING and entry.default_factory is MISSING:
                raise BadInputError(f"{self.path}: '{prefix}{entry.name}' is missing; add it")

    def _called(self, prefix: str) -> Any:
        def called(name: str) -> str:
            overridden = self.sources.get(prefix + name) == "override"
            return f"{'override' if overridden else self.path}: {prefix}{name}"

        return called


def _converted(value: Any, kind: type, key: str, where: str) -> Any:
    if kind is str:
        if not isinstance(value, str):
            raise BadInputError(f"{where}: {key} is {value!r}; give a word")
        return value
    try:
        number = parse_quantity(value, unit_of(key.rpartition(".")[2]))
    except BadInputError as error:
        raise BadInputError(f"{where}: {key}: {error}") from error
    if kind is int:
        if not float(number).is_integer():
            raise BadInputError(f"{where}: {key} is {value!r}; give a whole number")
        return int(number)
    return number


def check_consistent(hardware: HardwareSpec) -> HardwareSpec:
    """The description itself.

    Raises:
        BadInputError: if fields contradict each other.
    """
    if not isinstance(hardware, GeneralHardware):
        return hardware
    crossbar, adc, where = hardware.crossbar, hardware.adc, f"hardware '{hardware.name}'"
    if crossbar.columns_per_adc > crossbar.columns:
        raise BadInputError(
            f"{where}: crossbar.columns_per_adc ({crossbar.columns_per_adc}) exceeds crossbar.columns "
            f"({crossbar.columns}); lower the first or raise the second"
        )
    if crossbar.rows_read > crossbar.rows:
        raise BadInputError(
            f"{where}: crossbar.rows_read ({crossbar.rows_read}) exceeds crossbar.rows ({crossbar.rows}); lower the "
            "first, 0 reads all rows at once"
        )
    _check_settling(hardware, where)
    power = {"sar": adc.sar_power_per_bit_w, "flash": adc.flash_power_per_level_w, "fixed": adc.fixed_energy_j}[
        adc.kind
    ]
    needed = {"sar": "sar_power_per_bit_w", "flash": "flash_power_per_level_w", "fixed": "fixed_energy_j"}[adc.kind]
    if not power:
        raise BadInputError(f"{where}: adc.kind is '{adc.kind}' but adc.{needed} is zero or missing; give it")
    if cells_per_weight(hardware) > crossbar.columns:
        raise BadInputError(
            f"{where}: one weight of {hardware.precision.weight_bits} bits takes {cells_per_weight(hardware)} cells, "
            f"more than crossbar.columns ({crossbar.columns}); widen the array or lower precision.weight_bits"
        )
    return hardware


def _check_settling(hardware: GeneralHardware, where: str) -> None:
    """Refuse lines without resistance, and where it is to be refused a clock in which they do not settle."""
    settling = hardware.crossbar.settling
    if settling != "ignored" and not hardware.node.wire_resistance_ohm_per_m:
        raise BadInputError(
            f"{where}: crossbar.settling is '{settling}' but node.wire_resistance_ohm_per_m is zero or missing; give it"
        )
    needed_s = settling_s(hardware)
    if settling == "refuse" and needed_s * hardware.clock_hz > 1.0:
        slower = format_quantity(0.995 / needed_s, "Hz", 3)  # so that the rounded number is not too fast either
        raise BadInputError(
            f"{where}: its lines settle in {format_quantity(needed_s, 's', 3)}, longer than a period of clock_hz "
            f"({format_quantity(hardware.clock_hz, 'Hz')}); lower it to {slower}, shrink the array, or set "
            "crossbar.settling to wait or slow-clock"
        )


def cells_per_weight(hardware: GeneralHardware, weight_bits: int | None = None) -> int:
    """Cells side by side that hold one weight: bit slices, twice as many with differential columns.

    Args:
        hardware: the description.
        weight_bits: bits of a weight; unless given, those of the description.
    """
    return int(cells_of_bits(hardware, np.asarray(weight_bits or hardware.precision.weight_bits)))


def cells_of_bits(hardware: GeneralHardware, bits: NDArray[np.integer[Any]]) -> NDArray[np.integer[Any]]:
    """The same for weights of several widths at once."""
    slices = bit_slices(bits, hardware.device.cell_bits, hardware.crossbar.signed)
    return 2 * slices if hardware.crossbar.signed == "differential" else slices
