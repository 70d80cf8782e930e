"""Formats of event cameras: the 5-byte ATIS events of N-MNIST, AEDAT 2.0 and AEDAT 3.1."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hasnas.errors import BadInputError

from .events import Events

ATIS_OVERFLOW_ROW = 240
ATIS_OVERFLOW_US = 1 << 13
AEDAT3_HEADER_BYTES = 28
AEDAT3_POLARITY = 1


def read_bytes(path: Path) -> bytes:
    """The content of a recording; BadInputError if it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadInputError(f"cannot read {path}: {error.strerror or error}; check the path") from error


def parse_atis(content: bytes, sensor: tuple[int, int], where: Path | str) -> Events:
    """Events of 5 bytes: x, y, then 1 bit of polarity and 23 bits of microseconds, most significant first.

    An event in row 240 stands for an overflow of the clock: later timestamps grow by 8,192 us.

    Args:
        content: the file's bytes.
        sensor: (height, width).
        where: the file, for messages.

    Raises:
        BadInputError: if the file ends inside an event.

    Source: G. Orchard et al., N-MNIST, the data set's page and its reader `read_dataset` (event-Python).

    >>> parse_atis(bytes([3, 4, 0x80, 1, 2]), (34, 34), "1.bin")
    Events(t_us=array([258]), x=array([3]), y=array([4]), p=array([1]), sensor=(34, 34))
    """
    if len(content) % 5:
        raise BadInputError(f"{where} has {len(content)} bytes, no multiple of 5; it is truncated, fetch it again")
    fields = np.frombuffer(content, np.uint8).reshape(-1, 5).astype(np.int64)
    t_us = ((fields[:, 2] & 0x7F) << 16) | (fields[:, 3] << 8) | fields[:, 4]
    overflow = fields[:, 1] == ATIS_OVERFLOW_ROW
    t_us += ATIS_OVERFLOW_US * np.cumsum(overflow)
    return Events.of(t_us, fields[:, 0], fields[:, 1], fields[:, 2] >> 7, sensor).select(~overflow)


def _skip_header(content: bytes) -> int:
    position = 0
    while content[position : position + 1] == b"#":
        end = content.find(b"\n", position)
        if end == -1:
            return len(content)
        line, position = content[position:end].rstrip(b"\r"), end + 1
        if line == b"#!END-HEADER":
            break
    return position


def parse_aedat2(content: bytes, sensor: tuple[int, int], where: Path | str) -> Events:
    """DVS128 events of AEDAT 2.0: big-endian 32-bit address and 32-bit microseconds.

    Bits 1-7 of the address are the camera's column, 8-14 its row, bit 0 is 0 for ON; bit 15 marks a signal from outside
    the camera, which is left out. The camera of CIFAR10-DVS was
    turned, so that the image's x is 127 - row and its y is 127 - column.

    Args:
        content: the file's bytes.
        sensor: (height, width) of the image.
        where: the file, for messages.

    Raises:
        BadInputError: if the file is of another kind or ends inside an event.

    Source: jAER's DVS128 class; orientation and polarity as in SpikingJelly's and events-tfds' readers of CIFAR10-DVS.
    """
    if not content.startswith(b"#!AER-DAT2"):
        raise BadInputError(f"{where} is not an AEDAT 2.0 file; fetch the official file")
    body = content[_skip_header(content) :]
    if len(body) % 8:
        raise BadInputError(f"{where} ends inside an event; it is truncated, fetch it again")
    words = np.frombuffer(body, ">u4").reshape(-1, 2).astype(np.int64)
    words = words[(words[:, 0] & 0x8000) == 0]
    address = words[:, 0]
    column, row = (address >> 1) & 0x7F, (address >> 8) & 0x7F
    height, width = sensor
    return Events.of(words[:, 1], width - 1 - row, height - 1 - column, 1 - (address & 1), sensor)


def parse_aedat31(content: bytes, sensor: tuple[int, int], where: Path | str) -> Events:
    """Polarity events of AEDAT 3.1: packets of little-endian events behind 28-byte headers.

    Of an event's first word bit 0 says whether it is valid, bit 1 is the polarity, bits 2-16 are y, bits 17-31 are x,
    from the upper left; the second word are microseconds, the packet's overflow counter the bits from 31 on.

    Args:
        content: the file's bytes.
        sensor: (height, width).
        where: the file, for messages.

    Raises:
        BadInputError: if the file is of another kind or damaged.

    Source: iniVation, AEDAT 3.1 file format.
    """
    if not content.startswith(b"#!AER-DAT3.1"):
        raise BadInputError(f"{where} is not an AEDAT 3.1 file; fetch the official file")
    position = _skip_header(content)
    words: list[NDArray[np.int64]] = [np.zeros((0, 2), np.int64)]
    while position < len(content):
        packet, position = _packet(content, position, where)
        words.append(packet)
    events = np.concatenate(words)
    data = events[:, 0]
    decoded = Events.of(events[:, 1], (data >> 17) & 0x7FFF, (data >> 2) & 0x7FFF, (data >> 1) & 1, sensor)
    return decoded.select((data & 1) == 1)


def _packet(content: bytes, position: int, where: Path | str) -> tuple[NDArray[np.int64], int]:
    header = content[position : position + AEDAT3_HEADER_BYTES]
    if len(header) < AEDAT3_HEADER_BYTES:
        raise BadInputError(f"{where} ends inside a packet's header; it is truncated, fetch it again")
    kind = int.from_bytes(header[0:2], "little")
    size, overflow, capacity, count = (int.from_bytes(header[at : at + 4], "little") for at in (4, 12, 16, 20))
    start, end = position + AEDAT3_HEADER_BYTES, position + AEDAT3_HEADER_BYTES + size * capacity
    if end > len(content) or count > capacity or end == start:
        raise BadInputError(f"{where}: the packet at byte {position} is truncated or damaged; fetch the file again")
    if kind != AEDAT3_POLARITY:
        return np.zeros((0, 2), np.int64), end
    if size != 8:
        raise BadInputError(f"{where}: polarity events of {size} bytes at byte {position}, expected 8; fetch it again")
    words = np.frombuffer(content, "<u4", 2 * count, start).reshape(-1, 2).astype(np.int64)
    words[:, 1] |= overflow << 31
    return words, end
