"""What a real crossbar does to a weight: one frozen description, read from YAML presets that cite their sources."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, get_args

import numpy as np

from hasnas.cim_estimator.hardware.slices import bit_slices
from hasnas.errors import BadInputError, nearest
from hasnas.yaml_files import read_yaml

SignedScheme = Literal["differential", "offset"]
VariationScale = Literal["conductance", "maximum"]
AdcRange = Literal["calibrated", "full"]
MAX_SIZE = 4096
_PRESETS = Path(__file__).parent / "presets"


@dataclass(frozen=True)
class NonidealSpec:
    """A memory cell, its array and its converters with every way in which they differ from exact arithmetic.

    The default is the ideal device: continuous cells, infinite on/off ratio, no error of any kind.

    Args:
        name: what reports call it.
        on_resistance_ohm: resistance of the most conductive state, 1 / G_on.
        off_resistance_ohm: resistance of the least conductive state, 1 / G_off; infinity for a perfect switch.
        cell_bits: bits that one cell stores, 2**cell_bits equidistant conductances; 0 = continuous.
        weight_bits: bits of a signed weight, spread over as many cells as it takes; 0 = what one cell stores.
        signed: "differential" (one cell adds, one subtracts, before the converter) or "offset" (unsigned cells; the
            converted output of a reference column in the same array is subtracted digitally).
        device_variation: relative standard deviation between devices, fixed for a chip.
        cycle_variation: relative standard deviation between programmings, drawn each time a chip is written.
        variation_scales_with: what variation and read noise are relative to, the cell's "conductance" or the "maximum"
            G_on.
        programming_error_s: further standard deviation of a programmed cell as a polynomial of its conductance in
            siemens, lowest power first: sigma = c0 + c1 G + c2 G^2 + ...
        stuck_on: fraction of cells that stay at G_on.
        stuck_off: fraction of cells that stay at G_off.
        read_noise: relative standard deviation of a cell's current, drawn anew at each read.
        retention_time_s: time between programming and reading.
        retention_reference_s: time t0 at which the programmed conductance was verified.
        drift_exponent: mean nu of the power law G (t / t0)^-nu.
        drift_exponent_std: standard deviation of nu between cells.
        relaxation_mean_s: mean shift in siemens per unit of ln(t / t0).
        relaxation_std_s: standard deviation of that shift between cells.
        rows: word lines of an array; larger layers use several arrays, whose outputs are converted separately.
        columns: bit lines of an array.
        row_wire_ohm: resistance of a row's wire between two neighbouring cells.
        column_wire_ohm: resistance of a column's wire between two neighbouring cells.
        input_bits: resolution of inputs that are not spikes, applied bit-serially; 0 = analog.
        adc_bits: resolution of the converters; 0 = ideal.
        adc_range: "calibrated" on the outputs of the error-free device, or "full" (every row at G_on).
        adc_percentile: share of the calibration outputs, in per cent, that the calibrated range covers.

    Raises:
        BadInputError: if a value is impossible; the message names field, value and remedy.

    >>> NonidealSpec(cell_bits=2, weight_bits=8).slices
    4
    >>> NonidealSpec(device_variation=-0.1)
    Traceback (most recent call last):
        ...
    hasnas.errors.BadInputError: nonideal.device_variation is -0.1; give a number from 0 to 10
    """

    name: str = "ideal"
    on_resistance_ohm: float = 10e3
    off_resistance_ohm: float = math.inf
    cell_bits: int = 0
    weight_bits: int = 0
    signed: SignedScheme = "differential"
    device_variation: float = 0.0
    cycle_variation: float = 0.0
    variation_scales_with: VariationScale = "conductance"
    programming_error_s: tuple[float, ...] = ()
    stuck_on: float = 0.0
    stuck_off: float = 0.0
    read_noise: float = 0.0
    retention_time_s: float = 0.0
    retention_reference_s: float = 1.0
    drift_exponent: float = 0.0
    drift_exponent_std: float = 0.0
    relaxation_mean_s: float = 0.0
    relaxation_std_s: float = 0.0
    rows: int = 128
    columns: int = 128
    row_wire_ohm: float = 0.0
    column_wire_ohm: float = 0.0
    input_bits: int = 0
    adc_bits: int = 0
    adc_range: AdcRange = "calibrated"
    adc_percentile: float = 100.0

    def __post_init__(self) -> None:
        for field, (low, high) in _LIMITS.items():
            _check_number(field, getattr(self, field), low, high, integer=field in _INTEGERS)
        for field, choices in _CHOICES.items():
            value = getattr(self, field)
            if value not in choices:
                raise BadInputError(f"nonideal.{field} is {value!r}{nearest(str(value), choices)}")
        if not isinstance(self.programming_error_s, tuple) or not all(map(_is_finite, self.programming_error_s)):
            raise BadInputError(
                f"nonideal.programming_error_s is {self.programming_error_s!r}; give a list of finite coefficients"
            )
        if not self.off_resistance_ohm > self.on_resistance_ohm:
            raise BadInputError(
                f"nonideal.off_resistance_ohm is {self.off_resistance_ohm:g}; "
                f"it must exceed nonideal.on_resistance_ohm ({self.on_resistance_ohm:g})"
            )
        if self.stuck_on + self.stuck_off > 1:
            raise BadInputError(
                f"nonideal.stuck_on + nonideal.stuck_off is {self.stuck_on + self.stuck_off:g}; they share at most 1"
            )
        if self.weight_bits == 1:
            raise BadInputError("nonideal.weight_bits is 1; give 2 or more, or 0 for what one cell stores")
        if self.adc_bits == 1 and self.signed == "differential":
            raise BadInputError("nonideal.adc_bits is 1; the difference of two columns has a sign, give 2 or more")
        if self.signed == "offset" and self.columns < 2:
            raise BadInputError("nonideal.columns is 1; the offset scheme needs a second column for the reference")
        if self.signed == "offset" and self.weight_bits == 0 and self.cell_bits == 1:
            raise BadInputError(
                "nonideal.cell_bits is 1 with nonideal.signed offset; set nonideal.weight_bits or store 2 bits a cell"
            )

    @property
    def on_conductance_s(self) -> float:
        """G_on, in siemens."""
        return 1.0 / self.on_resistance_ohm

    @property
    def off_conductance_s(self) -> float:
        """G_off, in siemens."""
        return 1.0 / self.off_resistance_ohm

    @property
    def slices(self) -> int:
        """Cells that share the bits of one weight (per polarity)."""
        if not self.cell_bits or not self.weight_bits:
            return 1
        return int(bit_slices(np.asarray(self.weight_bits), self.cell_bits, self.signed))

    @property
    def is_random(self) -> bool:
        """Whether two chips, or two reads of one, can differ."""
        spreads = (self.device_variation, self.cycle_variation, self.read_noise, self.stuck_on, self.stuck_off)
        aged = self.retention_time_s > self.retention_reference_s
        return any((*spreads, *self.programming_error_s)) or (
            aged and bool(self.drift_exponent_std or self.relaxation_std_s)
        )

    def with_changes(self, changes: Mapping[str, Any]) -> NonidealSpec:
        """The same device with some fields changed, e.g. `{"device_variation": 0.1}`.

        Raises:
            BadInputError: for an unknown field (the nearest is named) or an impossible value.
        """
        known = [field.name for field in fields(self)]
        for key in changes:
            if key not in known:
                raise BadInputError(f"unknown key nonideal.{key}{nearest(key, known)}")
        return replace(self, **{key: _convert(key, value) for key, value in changes.items()})


_INF = math.inf
_LIMITS: Mapping[str, tuple[float, float]] = MappingProxyType({
    "on_resistance_ohm": (1e-3, 1e15), "off_resistance_ohm": (1e-3, _INF), "cell_bits": (0, 8), "weight_bits": (0, 16),
    "device_variation": (0, 10), "cycle_variation": (0, 10), "stuck_on": (0, 1), "stuck_off": (0, 1),
    "read_noise": (0, 10), "retention_time_s": (0, 1e12), "retention_reference_s": (1e-12, 1e12),
    "drift_exponent": (-10, 10), "drift_exponent_std": (0, 10), "relaxation_mean_s": (-1, 1),
    "relaxation_std_s": (0, 1), "rows": (1, MAX_SIZE), "columns": (1, MAX_SIZE),
    "row_wire_ohm": (0, 1e6), "column_wire_ohm": (0, 1e6),
    "input_bits": (0, 16), "adc_bits": (0, 16), "adc_percentile": (50, 100),
})  # fmt: skip
_INTEGERS = frozenset({"cell_bits", "weight_bits", "rows", "columns", "input_bits", "adc_bits"})
_CHOICES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "signed": get_args(SignedScheme),
        "variation_scales_with": get_args(VariationScale),
        "adc_range": get_args(AdcRange),
    }
)


def nonideal_names() -> list[str]:
    """The presets that `load_nonideal` knows by name.

    >>> "rram-typical" in nonideal_names()
    True
    """
    return sorted(path.stem for path in _PRESETS.glob("*.yaml"))


def load_nonideal(name_or_path: str | Path, overrides: Mapping[str, Any] | None = None) -> NonidealSpec:
    """Read a device from a preset's name or from a YAML file.

    A file maps each field of `NonidealSpec` to a value, or to `{value: ..., source: ...}` as the presets do.

    Args:
        name_or_path: e.g. `"rram-typical"`, or a path that ends in `.yaml`.
        overrides: fields to change after reading; strings are converted.

    Raises:
        BadInputError: for an unknown preset or key, an impossible value or a file that is not YAML.

    >>> load_nonideal("rram-typical", {"device_variation": "0.2"}).device_variation
    0.2
    """
    values = {key: value for key, (value, _) in _read_entries(name_or_path).items()}
    try:
        spec = NonidealSpec().with_changes({"name": Path(name_or_path).stem, **values})
    except BadInputError as error:
        raise BadInputError(f"{name_or_path}: {error}") from error
    return spec.with_changes(overrides or {})


def nonideal_sources(name_or_path: str | Path) -> dict[str, str]:
    """Where each value of a device file comes from; an empty string where the file does not say.

    >>> nonideal_sources("rram-typical")["on_resistance_ohm"]
    'NeuroSim V1.3 Param.cpp (default resistanceOn, 22 nm RRAM)'
    """
    return {key: source for key, (_, source) in _read_entries(name_or_path).items()}


def _read_entries(name_or_path: str | Path) -> dict[str, tuple[Any, str]]:
    path = Path(name_or_path)
    if path.suffix not in {".yaml", ".yml"}:
        if str(name_or_path) not in nonideal_names():
            raise BadInputError(
                f"unknown non-ideality preset '{name_or_path}'{nearest(str(name_or_path), nonideal_names())}"
            )
        path = _PRESETS / f"{name_or_path}.yaml"
    return {key: _entry(value) for key, value in read_yaml(path).items()}


def _entry(value: Any) -> tuple[Any, str]:
    if isinstance(value, dict):
        return value.get("value"), str(value.get("source", ""))
    return value, ""


def _convert(key: str, value: Any) -> Any:
    if key == "name" or key in _CHOICES:
        return str(value)
    if key == "programming_error_s":
        items = value.strip("[]() ").split(",") if isinstance(value, str) else value
        if not isinstance(items, (list, tuple)):
            raise BadInputError(f"nonideal.{key} is {value!r}; give a list of finite coefficients")
        return tuple(_to_float(key, item) for item in items if str(item).strip())
    number = _to_float(key, value)
    return int(number) if key in _INTEGERS and number.is_integer() else number


def _to_float(key: str, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise BadInputError(f"nonideal.{key} is {value!r}; give a number") from error


def _is_finite(value: Any) -> bool:
    return isinstance(value, numbers.Real) and math.isfinite(value)


def _check_number(field: str, value: Any, low: float, high: float, integer: bool) -> None:
    kind = "a whole number" if integer else "a number"
    right_type = isinstance(value, numbers.Integral if integer else numbers.Real) and not isinstance(value, bool)
    if not right_type or not low <= value <= high:
        raise BadInputError(f"nonideal.{field} is {value!r}; give {kind} from {low:g} to {high:g}")
