"""Fields that are searched, as a YAML lists them: `{adc.bits: [4, 5], clock_hz: {from: 2 MHz, to: 1 GHz, steps: 9}}`"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, get_args

import numpy as np
from pydantic import PlainSerializer, PlainValidator

from hasnas.cim_estimator.hardware.spec import unit_of
from hasnas.cim_estimator.hardware.units import parse_quantity
from hasnas.errors import BadInputError, nearest
from hasnas.search_spaces.joint import SearchedField, Value
from hasnas.search_spaces.space import Scale

MOST_STEPS = 10_000
_SPREAD = ("from", "to", "steps", "scale")


@dataclass(frozen=True)
class Searched:
    """Fields that are searched, each with its values.

    Args:
        fields: in the order of the YAML.
        tree: dotted field -> values as the YAML has them.

    >>> clock = {"from": "200 MHz", "to": "800 MHz", "steps": 3}
    >>> searched = read_searched({"adc": {"bits": [4, 5]}, "clock_hz": clock})
    >>> searched.values["clock_hz"], searched.fields[1].scale
    ((200000000, 500000000, 800000000), 'linear')
    """

    fields: tuple[SearchedField, ...] = ()
    tree: Mapping[str, Any] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.fields)

    @property
    def values(self) -> dict[str, tuple[Value, ...]]:
        """Field -> the values that it may take."""
        return {item.name: item.values for item in self.fields}


def read_searched(tree: Any) -> Searched:
    """The searched fields of a section.

    Raises:
        ValueError: in one line, for what is neither a list of values nor `{from, to, steps, scale}`.
    """
    if isinstance(tree, Searched):
        return tree
    if tree is None:
        return Searched()
    if not isinstance(tree, Mapping):
        raise ValueError("it is a section with a list of values for each field, e.g. {adc.bits: [4, 5, 6]}")
    flat = _flattened(tree)
    return Searched(tuple(_field(name, entry) for name, entry in flat.items()), flat)


def _flattened(tree: Mapping[Any, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, entry in tree.items():
        key = f"{prefix}{name}"
        inner = isinstance(entry, Mapping) and not set(entry) & {"from", "to", "steps"}
        flat.update(_flattened(entry, f"{key}.") if inner else {key: entry})  # an override of the same key comes later
    return flat


def _field(name: str, entry: Any) -> SearchedField:
    if isinstance(entry, Mapping):
        return _spread(name, entry)
    if not isinstance(entry, list | tuple) or not entry:
        raise ValueError(f"'{name}' needs a list of values, or {{from: ..., to: ..., steps: ..., scale: log}}")
    for value in entry:
        if not isinstance(value, int | float | str | None) or (isinstance(value, float) and not math.isfinite(value)):
            raise ValueError(f"'{name}' holds {value!r}; give plain values")
    if any(value in entry[:place] for place, value in enumerate(entry)):
        raise ValueError(f"'{name}' is {list(entry)}; give each value once")
    return SearchedField(name, tuple(entry))


def _spread(name: str, entry: Mapping[str, Any]) -> SearchedField:
    """Values from one end to the other, evenly or by an even factor."""
    for key in entry:
        if key not in _SPREAD:
            raise ValueError(f"'{name}' has the unknown key '{key}'{nearest(str(key), _SPREAD)}")
    for key in ("from", "to", "steps"):
        if key not in entry:
            raise ValueError(f"'{name}' lacks '{key}'; give from, to and steps")
    steps, scale = entry["steps"], entry.get("scale", "linear")
    if not isinstance(steps, int) or isinstance(steps, bool) or not 2 <= steps <= MOST_STEPS:
        raise ValueError(f"'{name}' has steps {steps!r}; give a whole number from 2 to {MOST_STEPS}")
    if scale not in get_args(Scale):
        raise ValueError(f"'{name}' has the scale {scale!r}{nearest(str(scale), get_args(Scale))}")
    try:
        low, high = (float(parse_quantity(entry[key], unit_of(name.rpartition(".")[2]))) for key in ("from", "to"))
    except BadInputError as error:
        raise ValueError(f"'{name}': {error}") from error
    if not math.isfinite(low) or not math.isfinite(high) or low >= high:
        raise ValueError(f"'{name}' goes from {entry['from']} to {entry['to']}; give finite ends, the lower one first")
    if scale == "log" and low <= 0:
        raise ValueError(f"'{name}' starts at {entry['from']}; a log scale needs positive ends")
    middle = (np.geomspace if scale == "log" else np.linspace)(low, high, steps)[1:-1]
    values = tuple(_plain(value) for value in (low, *(float(f"{value:.6g}") for value in middle), high))
    return SearchedField(name, values, scale)


def _plain(value: float) -> int | float:
    """Whole numbers as such, so that fields of them take them."""
    return int(value) if value.is_integer() and abs(value) < 2**53 else value


def _write(searched: Searched) -> dict[str, Any]:
    return {name: list(entry) if isinstance(entry, tuple) else entry for name, entry in searched.tree.items()}


# A list of values, or `{from, to, steps, scale}`, for each searched field.
SearchedValues = Annotated[Searched, PlainValidator(read_searched), PlainSerializer(_write)]
