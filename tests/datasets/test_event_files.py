"""Formats of event cameras: bytes by hand, round trips, any other bytes."""

import contextlib
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hasnas.datasets.event_files import parse_aedat2, parse_aedat31, parse_atis
from hasnas.datasets.events import Events
from hasnas.errors import BadInputError

AEDAT2 = b"#!AER-DAT2.0\r\n# This is a raw AE data file - do not edit\r\n"
AEDAT31 = b"#!AER-DAT3.1\r\n#Format: RAW\r\n#Source 1: DVS128\r\n#!END-HEADER\r\n"
SENSOR = (128, 128)

moments = st.lists(
    st.tuples(st.integers(0, 2**23 - 1), st.integers(0, 127), st.integers(0, 127), st.integers(0, 1)), max_size=20
)


def columns(events: Events) -> list[tuple[int, ...]]:
    return list(zip(*(column.tolist() for column in (events.t_us, events.x, events.y, events.p)), strict=True))


def atis(rows: list[tuple[int, int, int, int]]) -> bytes:
    return b"".join(bytes([x, y, p << 7 | t >> 16, t >> 8 & 255, t & 255]) for t, x, y, p in rows)


def aedat2(rows: list[tuple[int, int, int, int]]) -> bytes:
    return AEDAT2 + b"".join(struct.pack(">II", (127 - x) << 8 | (127 - y) << 1 | 1 - p, t) for t, x, y, p in rows)


def packet(rows: list[tuple[int, int, int, int]], kind: int = 1, overflow: int = 0, valid: int = 1) -> bytes:
    body = b"".join(struct.pack("<II", x << 17 | y << 2 | p << 1 | valid, t) for t, x, y, p in rows)
    return struct.pack("<HHIIIIII", kind, 1, 8, 4, overflow, len(rows), len(rows), len(rows)) + body


@given(moments)
def test_atis_events_survive_the_round_trip(rows):
    assert columns(parse_atis(atis(rows), SENSOR, "file")) == rows


@given(moments)
def test_aedat2_events_survive_the_round_trip(rows):
    assert columns(parse_aedat2(aedat2(rows), SENSOR, "file")) == rows


@given(moments)
def test_aedat31_events_survive_the_round_trip(rows):
    content = AEDAT31 + (packet(rows) if rows else b"")
    assert columns(parse_aedat31(content, SENSOR, "file")) == rows


def test_atis_overflow_events_move_the_clock():
    content = atis([(10, 1, 1, 0), (0, 0, 240, 0), (10, 2, 2, 1)])
    assert columns(parse_atis(content, SENSOR, "file")) == [(10, 1, 1, 0), (10 + 8192, 2, 2, 1)]


def test_aedat2_signals_from_outside_are_left_out():
    content = aedat2([(5, 1, 2, 1)]) + struct.pack(">II", 0x8000, 6)
    assert columns(parse_aedat2(content, SENSOR, "file")) == [(5, 1, 2, 1)]


def test_aedat31_packets_of_other_kinds_and_invalid_events_are_left_out():
    content = AEDAT31 + packet([(1, 2, 3, 1)]) + packet([(9, 9, 9, 1)], kind=0) + packet([(8, 8, 8, 1)], valid=0)
    assert columns(parse_aedat31(content, SENSOR, "file")) == [(1, 2, 3, 1)]


def test_aedat31_overflow_extends_the_timestamps():
    content = AEDAT31 + packet([(7, 0, 0, 0)], overflow=1)
    assert parse_aedat31(content, SENSOR, "file").t_us.tolist() == [(1 << 31) + 7]


@pytest.mark.parametrize(
    "parse, content, message",
    [
        (parse_atis, bytes(7), "multiple of 5"),
        (parse_aedat2, b"", "not an AEDAT 2.0 file"),
        (parse_aedat2, AEDAT2 + bytes(9), "ends inside an event"),
        (parse_aedat31, AEDAT2, "not an AEDAT 3.1 file"),
        (parse_aedat31, AEDAT31 + bytes(20), "ends inside a packet's header"),
        (parse_aedat31, AEDAT31 + packet([(1, 1, 1, 1)])[:-1], "packet at byte 61 is truncated"),
        (parse_aedat31, AEDAT31 + bytes(28), "truncated or damaged"),
        (parse_aedat31, AEDAT31 + struct.pack("<HHIIIIII", 1, 1, 4, 4, 0, 1, 1, 1) + bytes(4), "events of 4 bytes"),
    ],
)
def test_damaged_files_are_refused(parse, content: bytes, message: str):
    with pytest.raises(BadInputError, match=f"file.*{message}"):
        parse(content, SENSOR, "file")


@given(st.sampled_from([(parse_atis, b""), (parse_aedat2, AEDAT2), (parse_aedat31, AEDAT31)]), st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(parser, content: bytes):
    parse, header = parser
    with contextlib.suppress(BadInputError):
        assert len(parse(header + content, SENSOR, "file")) <= len(content)


@given(moments, st.integers(0, 2**16))
def test_a_flipped_bit_never_ends_in_a_traceback(rows, position: int):
    content = bytearray(AEDAT31 + packet(rows or [(1, 1, 1, 1)]))
    content[position // 8 % len(content)] ^= 1 << position % 8
    with contextlib.suppress(BadInputError):
        np.testing.assert_array_less(parse_aedat31(bytes(content), SENSOR, "file").x, 1 << 15)


@pytest.mark.parametrize("parse, header", [(parse_aedat2, b"#!AER-DAT2.0"), (parse_aedat31, b"#!AER-DAT3.1\r\n#So")])
def test_a_header_that_does_not_end_has_no_events(parse, header: bytes):
    assert len(parse(header, SENSOR, "file")) == 0


def test_aedat31_packets_may_have_room_to_spare():
    roomy = struct.pack("<HHIIIIII", 1, 1, 8, 4, 0, 2, 1, 1) + packet([(1, 2, 3, 1), (9, 9, 9, 1)])[28:]
    assert columns(parse_aedat31(AEDAT31 + roomy, SENSOR, "file")) == [(1, 2, 3, 1)]
    crowded = struct.pack("<HHIIIIII", 1, 1, 8, 4, 0, 1, 2, 2) + packet([(1, 2, 3, 1), (9, 9, 9, 1)])[28:]
    with pytest.raises(BadInputError, match="truncated or damaged"):
        parse_aedat31(AEDAT31 + crowded, SENSOR, "file")
