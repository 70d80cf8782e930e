"""Augmentations of event recordings that keep the meaning of polarity; seeded by an explicit generator."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from hasnas.errors import BadInputError

from .events import Events


def flip_horizontal(events: Events) -> Events:
    """Mirror left and right; what became brighter still does, so polarity stays.

    >>> flip_horizontal(Events.of([0], [0], [0], [1], (1, 4))).x
    array([3])
    """
    return replace(events, x=events.sensor[1] - 1 - events.x)


def flip_vertical(events: Events) -> Events:
    """Mirror top and bottom; polarity stays."""
    return replace(events, y=events.sensor[0] - 1 - events.y)


def invert_polarity(events: Events) -> Events:
    """Swap ON and OFF, as in a scene with inverted contrast."""
    return replace(events, p=1 - events.p)


def reverse_time(events: Events) -> Events:
    """Play the recording backwards: a pixel that became brighter now becomes darker, so polarity swaps.

    >>> reverse_time(Events.of([2, 5], [0, 1], [0, 0], [1, 1], (1, 2)))
    Events(t_us=array([2, 5]), x=array([1, 0]), y=array([0, 0]), p=array([0, 0]), sensor=(1, 2))
    """
    if len(events) == 0:
        return events
    backwards = invert_polarity(events.select(np.arange(len(events) - 1, -1, -1)))
    return replace(backwards, t_us=events.t_us[0] + events.t_us[-1] - backwards.t_us)


def shift(events: Events, rows: int, columns: int) -> Events:
    """Move the scene; events that leave the sensor are dropped."""
    height, width = events.sensor
    moved = replace(events, x=events.x + columns, y=events.y + rows)
    return moved.select((moved.x >= 0) & (moved.x < width) & (moved.y >= 0) & (moved.y < height))


def drop_events(events: Events, probability: float, rng: np.random.Generator) -> Events:
    """Lose each event independently with a probability."""
    return events.select(rng.random(len(events)) >= probability)


def jitter_time(events: Events, deviation_us: float, rng: np.random.Generator) -> Events:
    """Add Gaussian noise to the timestamps, within the recording, and sort again."""
    if len(events) == 0:
        return events
    noise = np.rint(rng.normal(0, deviation_us, len(events))).astype(np.int64)
    t_us = np.clip(events.t_us + noise, events.t_us[0], events.t_us[-1])
    return replace(events, t_us=t_us).sorted()


@dataclass(frozen=True)
class EventAugmentation:
    """Which augmentations a sample may meet; the default changes nothing.

    Args:
        flip_probability: chance of a horizontal mirror (0 where left and right carry the class, as in gestures).
        shift_pixels: largest move along each axis.
        drop_probability: largest chance at which events are lost; each sample draws its own.
        time_jitter_us: standard deviation of noise on the timestamps.

    Raises:
        BadInputError: if a value is out of range.
    """

    flip_probability: float = 0.0
    shift_pixels: int = 0
    drop_probability: float = 0.0
    time_jitter_us: float = 0.0

    def __post_init__(self) -> None:
        for name in ("flip_probability", "drop_probability"):
            if not 0 <= getattr(self, name) <= 1:
                raise BadInputError(f"augmentation.{name} is {getattr(self, name)}; choose 0 to 1")
        for name in ("shift_pixels", "time_jitter_us"):
            if not getattr(self, name) >= 0:
                raise BadInputError(f"augmentation.{name} is {getattr(self, name)}; choose 0 or more")


def augment(events: Events, augmentation: EventAugmentation, rng: np.random.Generator) -> Events:
    """One random variant of a recording.

    Args:
        events: sorted events.
        augmentation: what may happen.
        rng: generator; every call draws the same number of times for the same recording length.
    """
    flips = rng.random() < augmentation.flip_probability
    rows, columns = rng.integers(-augmentation.shift_pixels, augmentation.shift_pixels, 2, endpoint=True)
    loss = augmentation.drop_probability * rng.random()
    varied = flip_horizontal(events) if flips else events
    varied = jitter_time(varied, augmentation.time_jitter_us, rng)
    return shift(drop_events(varied, loss, rng), int(rows), int(columns))
