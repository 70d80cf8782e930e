"""Quantities with units: text in, SI numbers inside, readable text out."""

from __future__ import annotations

import math
import re
from decimal import Decimal, InvalidOperation
from functools import lru_cache

from hasnas.errors import BadInputError

_PREFIXES = {
    "": 0, "f": -15, "p": -12, "n": -9, "u": -6, "µ": -6, "μ": -6, "m": -3, "c": -2, "k": 3, "M": 6, "G": 9, "T": 12,
}  # fmt: skip
_BINARY_PREFIXES = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}

# symbol -> (SI base, multiplier)
_BASES = {
    "J": ("J", 1), "s": ("s", 1), "m": ("m", 1), "Hz": ("Hz", 1), "W": ("W", 1), "V": ("V", 1), "A": ("A", 1),
    "F": ("F", 1), "K": ("K", 1), "ohm": ("ohm", 1), "Ohm": ("ohm", 1), "Ω": ("ohm", 1), "S": ("S", 1),
    "bit": ("bit", 1), "bits": ("bit", 1), "b": ("bit", 1), "B": ("bit", 8), "byte": ("bit", 8), "bytes": ("bit", 8),
}  # fmt: skip
_WHOLE = {"min": ("s", 60), "h": ("s", 3600)}
_EXAMPLES = {
    "J": "'2 uJ'", "s": "'10 ms'", "m2": "'100 mm2'", "m": "'22 nm'", "Hz": "'250 MHz'", "W": "'3 mW'",
    "bit": "'64 kbit'",
    "V": "'0.5 V'", "ohm": "'100 kohm'", "A": "'1 uA'", "F": "'1 fF'", "1": "'4e6'",
}  # fmt: skip
_SHOWN_PREFIXES = {12: "T", 9: "G", 6: "M", 3: "k", 0: "", -3: "m", -6: "u", -9: "n", -12: "p", -15: "f"}

_NUMBER = re.compile(
    r"\s*([+-]?(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[+-]?(?:nan|inf(?:inity)?))\s*(.*?)\s*", re.IGNORECASE
)
_FACTOR = re.compile(r"([^\d^²/*· ]+?)\^?(\d|²)?")

Dimension = tuple[tuple[str, int], ...]


def parse_quantity(text: str | float | int, unit: str) -> float:
    """Read a number with a unit and give it in another unit of the same dimension.

    A plain number (or a text without a unit) is taken to be in `unit` already. Powers of ten are applied in decimal, so
    that `"3 uJ"` is the same float as `3e-6`.

    Args:
        text: e.g. `"2 uJ"`, `"100 mm^2"`, `"64 KiB"`, `0.5`.
        unit: unit of the result: `"J"`, `"s"`, `"m2"`, `"bit"`, `"Hz"`, `"1"` for a count, compounds such as `"J/bit"`.

    Returns:
        The value in `unit`.

    Raises:
        BadInputError: if the text is no number, or its unit has another dimension.

    >>> parse_quantity("2 uJ", "J")
    2e-06
    >>> parse_quantity("100 mm^2", "m2")
    0.0001
    >>> parse_quantity("64 kbit", "bit"), parse_quantity("1 KiB", "bit")
    (64000.0, 8192.0)
    >>> parse_quantity("2 ms", "J")
    Traceback (most recent call last):
        ...
    hasnas.errors.BadInputError: '2 ms' has the unit 'ms', expected a quantity in J, e.g. '2 uJ'
    """
    if isinstance(text, bool) or not isinstance(text, (str, int, float)):
        raise BadInputError(f"{text!r} is not a quantity; {_expected(unit)}")
    if not isinstance(text, str):
        return float(text)
    match = _NUMBER.fullmatch(text)
    if match is None:
        raise BadInputError(f"'{text}' is not a number with a unit; {_expected(unit)}")
    number, given = match.groups()
    exponent, multiplier, dimension = _parse_unit(unit)
    if not given:
        return _scaled(number, 0, 1.0)
    try:
        given_exponent, given_multiplier, given_dimension = _parse_unit(given)
    except BadInputError as error:
        raise BadInputError(f"'{text}': unknown unit '{given}'; {_expected(unit)}") from error
    if given_dimension != dimension:
        raise BadInputError(f"'{text}' has the unit '{given}', {_expected(unit)}")
    return _scaled(number, given_exponent - exponent, given_multiplier / multiplier)


def format_quantity(value: float, unit: str, digits: int | None = 4) -> str:
    """Write an SI value with the prefix that reads best.

    Args:
        value: in `unit`.
        unit: `"J"`, `"s"`, `"m2"`, `"bit"`, `"W"`, `"Hz"` ...; areas are written in mm2 or um2.
        digits: significant digits; None for all, so that `parse_quantity` reads the same number back.

    >>> format_quantity(2.3e-6, "J")
    '2.3 uJ'
    >>> format_quantity(8.42553e-6, "m2")
    '8.426 mm2'
    >>> format_quantity(0, "s"), format_quantity(1.23456789e-6, "s", digits=None)
    ('0 s', '1.23456789 us')
    """
    number = float(value)
    if unit == "1":
        return repr(number) if digits is None else f"{number:.{digits}g}"
    if number == 0 or not math.isfinite(number):
        return f"{number:g} {unit}"
    if unit == "m2":
        exponent, shown = (6, "mm2") if abs(number) >= 1e-9 else (12, "um2")
        return f"{_shown(number, exponent, digits)} {shown}"
    smallest = 0 if unit == "bit" else -15
    for exponent, prefix in _SHOWN_PREFIXES.items():
        if abs(number) >= 10.0**exponent or exponent == smallest:
            return f"{_shown(number, -exponent, digits)} {prefix}{unit}"
    raise AssertionError("unreachable: the last prefix always matches")


def _shown(number: float, exponent: int, digits: int | None) -> str:
    """The number times a power of ten."""
    if digits is None:
        return f"{Decimal(repr(number)).scaleb(exponent).normalize():f}"
    return f"{_scaled(repr(number), exponent, 1.0):.{digits}g}"


def _expected(unit: str) -> str:
    example = _EXAMPLES.get(unit)
    what = "expected a plain number" if unit == "1" else f"expected a quantity in {unit}"
    return f"{what}, e.g. {example}" if example else what


def _scaled(number: str, exponent: int, multiplier: float) -> float:
    try:
        return float(Decimal(number.replace("_", "")).scaleb(exponent)) * multiplier
    except InvalidOperation:  # an infinity or not-a-number, which the caller judges
        return float(number)


@lru_cache(maxsize=512)
def _parse_unit(text: str) -> tuple[int, float, Dimension]:
    """Decimal exponent, other multiplier and dimension of a unit such as `"fJ/bit"`."""
    exponent, multiplier = 0, 1.0
    powers: dict[str, int] = {}
    if text in ("1", "%"):
        return (0 if text == "1" else -2), 1.0, ()
    sign = 1
    for token in re.split(r"([/*· ])", text.replace(" / ", "/").replace("**", "^")):
        if token in ("*", "·", " ", ""):
            continue
        if token == "/":
            sign = -1
            continue
        factor_exponent, factor, base, power = _parse_factor(token)
        exponent += sign * power * factor_exponent
        multiplier *= factor ** (sign * power)
        powers[base] = powers.get(base, 0) + sign * power
        sign = 1
    return exponent, multiplier, tuple(sorted((base, power) for base, power in powers.items() if power))


def _parse_factor(token: str) -> tuple[int, float, str, int]:
    match = _FACTOR.fullmatch(token)
    if match is None:
        raise BadInputError(f"unknown unit '{token}'")
    symbol, power_text = match.groups()
    power = {None: 1, "²": 2}.get(power_text) or int(power_text)
    if symbol in _WHOLE:
        base, factor = _WHOLE[symbol]
        return 0, factor, base, power
    for length in range(1, len(symbol) + 1):  # the longest base symbol wins: 'min', 'mm', 'Hz'
        head, tail = symbol[: length - 1], symbol[length - 1 :]
        if tail in _BASES:
            base, factor = _BASES[tail]
            if head in _PREFIXES:
                return _PREFIXES[head], factor, base, power
            if head in _BINARY_PREFIXES and base == "bit":
                return 0, factor * _BINARY_PREFIXES[head], base, power
    raise BadInputError(f"unknown unit '{token}'")
