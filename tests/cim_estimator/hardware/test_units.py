"""Quantities: the right number, or one clear line."""

import math

import pytest

from hasnas.cim_estimator import Constant, format_quantity, parse_quantity
from hasnas.errors import BadInputError


@pytest.mark.parametrize(
    "text, unit, value",
    [
        ("2 uJ", "J", 2e-6),
        ("3 uJ", "J", 3e-6),
        ("3µJ", "J", 3e-6),
        ("400 ms", "s", 0.4),
        ("100 mm2", "m2", 1e-4),
        ("100 mm^2", "m2", 1e-4),
        ("100 mm²", "m2", 1e-4),
        ("40 um^2", "m2", 4e-11),
        ("4e6", "1", 4e6),
        ("4_000_000", "1", 4e6),
        ("64 kbit", "bit", 64e3),
        ("12 B", "bit", 96),
        ("1 KiB", "bit", 8192),
        ("2 MiB", "bit", 2 * 2**20 * 8),
        ("3 kB", "bit", 24e3),
        ("250 MHz", "Hz", 250e6),
        ("0.2 fF/um", "F/m", 2e-10),
        ("4 pJ/bit", "J/bit", 4e-12),
        ("100 kohm", "ohm", 1e5),
        ("2 min", "s", 120),
        ("25 %", "1", 0.25),
        ("1.76423 pJ", "pJ", 1.76423),
        (".5 V", "V", 0.5),
        ("-1 mV", "V", -1e-3),
        (7, "J", 7.0),
    ],
)
def test_quantities_are_read_exactly(text, unit: str, value: float):
    assert parse_quantity(text, unit) == value


@pytest.mark.parametrize(
    "text, unit, message",
    [
        ("2 ms", "J", "has the unit 'ms', expected a quantity in J, e.g. '2 uJ'"),
        ("2 mm", "m2", "expected a quantity in m2, e.g. '100 mm2'"),
        ("2 J", "1", "expected a plain number, e.g. '4e6'"),
        ("2 furlongs", "m", "unknown unit 'furlongs'"),
        ("2 KiJ", "J", "unknown unit 'KiJ'"),
        ("many", "bit", "'many' is not a number with a unit"),
        ("", "bit", "is not a number with a unit"),
        ("1 2 J", "J", "unknown unit '2 J'"),
        (True, "J", "True is not a quantity"),
        (None, "J", "None is not a quantity"),
        ([1], "J", "is not a quantity"),
    ],
)
def test_what_is_no_quantity_is_refused(text, unit: str, message: str):
    with pytest.raises(BadInputError) as refused:
        parse_quantity(text, unit)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_not_a_number_is_left_to_the_caller_to_judge():
    assert math.isnan(parse_quantity("nan", "J"))
    assert parse_quantity("inf s", "s") == math.inf


@pytest.mark.parametrize(
    "value, unit, text",
    [
        (2.5e-6, "J", "2.5 uJ"),
        (0.0628, "s", "62.8 ms"),
        (1e-4, "m2", "100 mm2"),
        (2.3e-11, "m2", "23 um2"),
        (1.7e6, "bit", "1.7 Mbit"),
        (0.5, "bit", "0.5 bit"),
        (0, "J", "0 J"),
        (1e-20, "J", "1e-05 fJ"),
        (math.inf, "J", "inf J"),
        (4e6, "1", "4e+06"),
    ],
)
def test_quantities_are_written_with_a_readable_prefix(value: float, unit: str, text: str):
    assert format_quantity(value, unit) == text


def test_a_constant_needs_a_source():
    with pytest.raises(BadInputError, match="has no source"):
        Constant(1.0, "J", " ")


@pytest.mark.parametrize(
    "text, unit, value",
    [("1 h", "s", 3600), ("2 min", "s", 120), ("1 KiB", "bit", 8192), ("3 W h", "J", None), ("50 %", "1", 0.5)],
)
def test_units_that_are_no_powers_of_ten(text: str, unit: str, value: float | None):
    if value is None:
        with pytest.raises(BadInputError):
            parse_quantity(text, unit)
    else:
        assert parse_quantity(text, unit) == value


@pytest.mark.parametrize("text", ["3 J*s/s", "3 J m/m", "3 m2 J/m2", "3 J s^2/s/s"])
def test_units_that_cancel_leave_nothing_behind(text: str) -> None:
    assert parse_quantity(text, "J") == 3
    with pytest.raises(BadInputError):
        parse_quantity(f"{text}*s", "J")


@pytest.mark.parametrize("text", ["2 ohm", "2 Ohm", "2 Ω", "0.002 kΩ", "2000 mohm"])
def test_ohms_in_every_spelling(text: str) -> None:
    assert parse_quantity(text, "ohm") == 2


@pytest.mark.parametrize("text", ["16 bit", "16 bits", "16 b", "2 B", "2 byte", "2 bytes", "0.016 kbit"])
def test_bits_in_every_spelling(text: str) -> None:
    assert parse_quantity(text, "bit") == 16
