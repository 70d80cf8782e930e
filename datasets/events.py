"""Recordings of event cameras: the events of one sample, checked where they enter, and their filters."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hasnas.errors import BadInputError

LARGEST = 2.0**63  # of a column as integers


@dataclass(frozen=True)
class Events:
    """Events of one recording in the order of time.

    Args:
        t_us: microseconds, int64 `[N]`, never decreasing.
        x: column, int64 `[N]`, 0 at the left.
        y: row, int64 `[N]`, 0 at the top.
        p: polarity, int64 `[N]`: 1 brighter (ON), 0 darker (OFF).
        sensor: (height, width) in pixels.

    >>> Events.of([0, 5], [1, 2], [0, 0], [1, 0], (4, 4)).t_us
    array([0, 5])
    """

    t_us: NDArray[np.int64]
    x: NDArray[np.int64]
    y: NDArray[np.int64]
    p: NDArray[np.int64]
    sensor: tuple[int, int]

    @classmethod
    def of(
        cls, t_us: Any, x: Any, y: Any, p: Any, sensor: tuple[int, int], where: Path | str = "events"
    ) -> Events:
        """Events from sequences of numbers; call `checked` on what comes from outside.

        Args:
            t_us, x, y: see the class; floats only where they are whole numbers.
            p: polarities as 0 and 1, as -1 and 1, or as truth values.
            sensor: (height, width).
            where: the file, for messages.

        Raises:
            BadInputError: if times or places are fractions or too large, or the columns have different lengths.

        >>> Events.of([0, 5], [1, 2], [0, 0], [1, -1], (4, 4)).p
        array([1, 0])
        """
        names = {"t": t_us, "x": x, "y": y, "p": p}
        columns = {name: _whole(np.asarray(column).ravel(), name, where) for name, column in names.items()}
        lengths = {name: len(column) for name, column in columns.items()}
        if len(set(lengths.values())) > 1:
            told = ", ".join(f"{name} has {length}" for name, length in lengths.items())
            raise BadInputError(f"{where}: columns of different lengths ({told}); give each event a t, x, y and p")
        polarities = columns["p"]
        if polarities.min(initial=0) == -1 and not np.any(polarities == 0):
            polarities = (polarities + 1) // 2
        return cls(columns["t"], columns["x"], columns["y"], polarities, sensor)

    def __len__(self) -> int:
        return len(self.t_us)

    def select(self, keep: NDArray[Any]) -> Events:
        """The events that a mask, a slice's indices or an order picks."""
        return replace(self, t_us=self.t_us[keep], x=self.x[keep], y=self.y[keep], p=self.p[keep])

    def sorted(self) -> Events:
        """The events in the order of time; simultaneous ones stay in the order they had."""
        return self.select(np.argsort(self.t_us, kind="stable"))

    def between(self, start_us: int, end_us: int) -> Events:
        """The events with start <= t < end."""
        first, last = np.searchsorted(self.t_us, [start_us, end_us])
        return self.select(np.arange(first, last))

    def checked(self, where: Path | str) -> Events:
        """The same events, if they can come from this sensor.

        Raises:
            BadInputError: if timestamps go back, a coordinate is off the sensor or a polarity is neither 0 nor 1.
        """
        height, width = self.sensor
        off = np.flatnonzero((self.x < 0) | (self.x >= width) | (self.y < 0) | (self.y >= height))
        if off.size:
            first = int(off[0])
            raise BadInputError(
                f"{where}: event {first} lies at x={self.x[first]}, y={self.y[first]}, off the {width} x {height} "
                "sensor; the file is damaged or of another camera, fetch it again"
            )
        if np.any((self.p != 0) & (self.p != 1)):
            found = ", ".join(str(value) for value in np.unique(self.p)[:5])
            raise BadInputError(
                f"{where}: polarities are {found}; give 1 for brighter and 0 (or -1, then everywhere) for darker"
            )
        back = np.flatnonzero(np.diff(self.t_us) < 0)
        if back.size:
            first = int(back[0]) + 1
            raise BadInputError(
                f"{where}: time goes back at event {first}, from {self.t_us[first - 1]} to {self.t_us[first]} us; "
                "fetch the file again, or set dataset.framing.unsorted to sort in the config"
            )
        return self


def _whole(column: NDArray[Any], name: str, where: Path | str) -> NDArray[np.int64]:
    """A column of events as integers; fractions are refused, since cutting them would lose what they say."""
    if column.dtype.kind not in "iubf":
        raise BadInputError(f"{where}: column {name} holds {column.dtype}, not numbers; save it as integers")
    if column.dtype.kind == "f" and not np.all(np.isfinite(column)):
        first = int(np.argmin(np.isfinite(column)))
        raise BadInputError(f"{where}: {name} of event {first} is {column[first]}; remove that event")
    if column.dtype.kind == "f" and np.any(column != np.round(column)):
        first = int(np.argmax(column != np.round(column)))
        remedy = "give pixels"
        if name == "t":
            remedy = "times are microseconds: multiply seconds by 1e6 (milliseconds by 1e3)"
        raise BadInputError(
            f"{where}: {name} of event {first} is {column[first]:g}, a fraction; {remedy} and save whole numbers"
        )
    if column.dtype.kind in "fu" and np.any(np.abs(column) >= LARGEST):
        first = int(np.argmax(np.abs(column) >= LARGEST))
        raise BadInputError(f"{where}: {name} of event {first} is {column[first]:g}, too large; remove that event")
    return column.astype(np.int64)


def denoise(events: Events, support_us: int) -> Events:
    """Drop events that no event on one of the eight neighbouring pixels announced shortly before.

    Args:
        events: sorted events.
        support_us: how old the neighbour's latest event may be, in microseconds.

    Source: T. Delbruck, Frame-free dynamic digital vision, 2008 (background activity filter).

    >>> pair = Events.of([0, 10, 500], [1, 2, 9], [1, 1, 9], [1, 1, 1], (10, 10))
    >>> denoise(pair, support_us=100).x
    array([2])
    """
    count = len(events)
    order = np.arange(count)
    row = events.sensor[1] + 1  # a column at the edge, so that neighbours beyond it are pixels without events
    pixel = events.y * row + events.x
    keys = np.sort(pixel * count + order)  # by pixel, then by time
    supported = np.zeros(count, bool)
    for offset in (-row - 1, -row, -row + 1, -1, 1, row - 1, row, row + 1):
        before = np.searchsorted(keys, (pixel + offset) * count + order) - 1
        candidate = keys[np.maximum(before, 0)]
        same_pixel = (before >= 0) & (candidate // count == pixel + offset)
        latest = events.t_us[candidate % count]
        supported |= same_pixel & (events.t_us - latest <= support_us)
    return events.select(supported)


def drop_hot_pixels(events: Events, factor: float = 10.0) -> Events:
    """Drop every event of pixels that fire more than `factor` times as often as the mean of the pixels that fire.

    Args:
        events: events in any order.
        factor: how many times the mean rate is still believed.

    >>> hot = Events.of(range(12), [0] * 10 + [1, 2], [0] * 12, [1] * 12, (1, 3))
    >>> drop_hot_pixels(hot, factor=2).x
    array([1, 2])
    """
    pixel = events.y * events.sensor[1] + events.x
    counts = np.bincount(pixel)
    hot = counts * np.count_nonzero(counts) > factor * len(events)
    return events.select(~hot[pixel])
