"""A chip with searched fields: every combination of their values is one description, or contradicts itself.

Sections are chosen before the fields in them, whatever the order in which they are named: `device` picks the cell,
`device.cell_bits` then changes it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hasnas.errors import BadInputError

from .presets_reader import cells_of_bits, check_consistent, read_values, read_variant
from .spec import GeneralHardware, HardwareSpec, unit_of
from .units import parse_quantity
from .unused import why_unused

Value = int | float | str
KNOWN_CHIPS = 2**16
MOST_TRIED = 1024
NOT_SEARCHED = ("model", "name", "sources")  # another model reads other fields


@dataclass(frozen=True)
class SearchedChip:
    """A preset or description, fixed changes to it, and the fields that are searched.

    Args:
        reference: as `load_hardware` takes it.
        overrides: field -> value of the fields that are fixed.
        searched: field -> the values that it may take, with units where it has one; a section's values are its parts.

    Raises:
        BadInputError: for an unknown field, a value out of its bounds, a value twice, a field that is searched twice or
            fixed as well, or one that changes nothing on any of the chips.

    >>> chip = SearchedChip("rram-32nm", (), (("crossbar.size", (64, 256)), ("crossbar.columns_per_adc", (8, 128))))
    >>> chip.variant((1, 1)).crossbar.rows, chip.contradiction((1, 1)), chip.contradiction((0, 0))
    (256, None, None)
    >>> chip.contradiction((0, 1))
    "hardware 'rram-32nm': crossbar.columns_per_adc (128) exceeds crossbar.columns (64); lower the first or raise the \
second"
    """

    reference: str
    overrides: tuple[tuple[str, Any], ...] = ()
    searched: tuple[tuple[str, tuple[Value, ...]], ...] = ()

    def __post_init__(self) -> None:
        fixed = self._fields_of([key for key, _ in self.overrides])
        names = [key for key, _ in self.searched]
        for place, (key, values) in enumerate(self.searched):
            where = f"hardware.searched.{key}"
            if key in NOT_SEARCHED:
                raise BadInputError(f"{where} cannot be searched; choose another preset instead")
            own = self._fields_of([key])
            if not values:
                raise BadInputError(f"{where} has no value; give at least one")
            if own & self._fields_of(names[:place]):
                raise BadInputError(f"{where} is searched twice (crossbar.size is rows and columns); name it once")
            if own & fixed:
                raise BadInputError(f"{where} is fixed by hardware.overrides as well; remove one of them")
            meant = [self._meant(key, value) for value in values]
            if any(one in meant[:number] for number, one in enumerate(meant)):
                raise BadInputError(f"{where} is {list(values)}; give each value once")
        self._check_combinations()

    def _check_combinations(self) -> None:
        """Refuse fields of which no combination is a chip, and fields that change nothing on any of them."""
        tried = math.prod(self.sizes)
        rows: Iterable[tuple[int, ...]] = np.ndindex(*self.sizes)
        if tried > MOST_TRIED:
            tried = MOST_TRIED
            rows = map(tuple, np.random.default_rng(0).integers(0, self.sizes, (tried, len(self.sizes))).tolist())
        named = [("overrides", key) for key, _ in self.overrides] + [("searched", key) for key, _ in self.searched]
        useless = {key: f"hardware.{part}.{key}" for part, key in named}
        reason, last = "", None
        for codes in rows:
            found = _variant(self, codes)
            if isinstance(found, str):
                reason = found
                continue
            last = found[0]
            useless = {key: told for key, told in useless.items() if why_unused(last, key)}
            if not useless:
                return
        if last is None:
            several = f"hardware.searched: each of {tried} combinations contradicts itself, e.g. "
            raise BadInputError(f"{several if self.searched else ''}{reason}")
        key, told = next(iter(useless.items()))
        raise BadInputError(f"{told} changes nothing on any of these chips: {why_unused(last, key)}")

    @staticmethod
    def _fields_of(keys: Sequence[str]) -> set[str]:
        both = {"crossbar.rows", "crossbar.columns"}
        return {field for key in keys for field in (both if key == "crossbar.size" else {key})}

    def _meant(self, key: str, value: Value) -> Any:
        """What a value changes on the chip."""
        try:
            return _change(self, key, value)
        except BadInputError as error:
            raise BadInputError(f"hardware.searched: {str(error).removeprefix('override: ')}") from error

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of values of each searched field."""
        return tuple(len(values) for _, values in self.searched)

    def numbers(self, key: str) -> tuple[float, ...] | None:
        """The values of a searched field in SI units; None where they are words."""
        unit = unit_of(key.rpartition(".")[2])
        try:
            return tuple(float(parse_quantity(value, unit)) for value in dict(self.searched)[key])
        except BadInputError:
            return None

    def chosen(self, codes: Sequence[int]) -> dict[str, Value]:
        """Field -> value, as they were given."""
        return {key: values[code] for (key, values), code in zip(self.searched, codes, strict=True)}

    def variant(self, codes: Sequence[int]) -> HardwareSpec:
        """The chip with these values, one code for each searched field.

        Raises:
            BadInputError: if its fields contradict each other.
        """
        found = _variant(self, tuple(int(code) for code in codes))
        if isinstance(found, str):
            raise BadInputError(found)
        return found[0]

    def contradiction(self, codes: Sequence[int]) -> str | None:
        """Why there is no such chip; None if there is one."""
        found = _variant(self, tuple(int(code) for code in codes))
        return found if isinstance(found, str) else None

    def holds(self, codes: Sequence[int], weight_bits: NDArray[np.integer[Any]]) -> NDArray[np.bool_]:
        """Whether weights of these widths fit into a row of the chip's cells, `[...]`; 0 bits are those of the chip.

        Raises:
            BadInputError: if there is no such chip.
        """
        chip = self.variant(codes)
        if not isinstance(chip, GeneralHardware):
            return np.ones(np.shape(weight_bits), bool)
        bits = np.where(weight_bits > 0, weight_bits, chip.precision.weight_bits)
        return cells_of_bits(chip, bits) <= chip.crossbar.columns

    def dead(self, codes: Sequence[int]) -> tuple[int, ...]:
        """The searched fields, by their numbers, that change nothing on this chip."""
        found = _variant(self, tuple(int(code) for code in codes))
        return () if isinstance(found, str) else found[1]

    @cached_property
    def base(self) -> HardwareSpec:
        """The chip as the fixed changes leave it."""
        return read_values(self.reference, _sections_first(dict(self.overrides)))

    @cached_property
    def changes(self) -> tuple[tuple[Mapping[str, Any], ...], ...]:
        """For each searched field what each of its values changes: path -> value, a section's path for a part."""
        return tuple(tuple(_change(self, key, value) for value in values) for key, values in self.searched)


def _sections_first(overrides: Mapping[str, Any]) -> dict[str, Any]:
    return dict(sorted(overrides.items(), key=lambda item: "." in item[0]))


def _change(chip: SearchedChip, key: str, value: Value) -> dict[str, Any]:
    """What one value changes, read as an override, so that its unit and its bounds are checked."""
    read = read_values(chip.reference, _sections_first({**dict(chip.overrides), key: value}))
    if key == "crossbar.size":
        return {"crossbar.rows": read.crossbar.rows, "crossbar.columns": read.crossbar.columns}
    section, dot, name = key.partition(".")
    owner = getattr(read, section)
    return {key: getattr(owner, name) if dot else owner}


@lru_cache(maxsize=KNOWN_CHIPS)
def _variant(chip: SearchedChip, codes: tuple[int, ...]) -> tuple[HardwareSpec, tuple[int, ...]] | str:
    """The chip and its dead fields, or why there is none."""
    changes: dict[str, Any] = {}
    for options, code in zip(chip.changes, codes, strict=True):
        changes |= options[code]
    top = {key: value for key, value in changes.items() if "." not in key}
    within: dict[str, dict[str, Any]] = {}
    for key, value in changes.items():
        section, dot, name = key.partition(".")
        if dot:
            within.setdefault(section, {})[name] = value
    whole = replace(chip.base, **top)
    hardware = replace(whole, **{name: replace(getattr(whole, name), **own) for name, own in within.items()})
    try:
        check_consistent(hardware)
    except BadInputError as error:
        return str(error)
    return hardware, tuple(number for number, (key, _) in enumerate(chip.searched) if why_unused(hardware, key))


def settings_of(reference: str, overrides: Mapping[str, Any], chosen: Mapping[str, Any]) -> dict[str, Any]:
    """What `load_hardware` changes: fixed fields, and the chosen ones that the chip reads; sections come first.

    Raises:
        BadInputError: if fields contradict each other.

    >>> settings_of("rram-32nm", {}, {"adc.kind": "flash", "adc.sar_clock_s": "2 ns"})
    {'adc.kind': 'flash'}
    """
    settings = _sections_first({**overrides, **chosen})
    hardware = read_variant(reference, settings)
    return {key: value for key, value in settings.items() if key not in chosen or not why_unused(hardware, key)}


def described(chip: SearchedChip, codes: Sequence[int]) -> HardwareSpec:
    """The same chip as `SearchedChip.variant`, read from its files, so that each value tells its source.

    Raises:
        BadInputError: if its fields contradict each other.
    """
    return read_variant(chip.reference, _sections_first({**dict(chip.overrides), **chip.chosen(codes)}))
