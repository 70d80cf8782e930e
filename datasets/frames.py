"""Events turned into dense sequences: frames by time or by count, voxel grids."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hasnas.errors import BadInputError

from .events import Events, denoise

Edges = NDArray[np.int64]
LARGEST_COUNT = 255  # of events in a pixel of a frame, as many as a byte holds


@dataclass(frozen=True)
class Framing:
    """How a recording becomes `[T, 2, H, W]` frames.

    Args:
        timesteps: number of frames T.
        by: `"time"` for frames of equal duration, `"count"` for frames of equally many events.
        denoise_us: if positive, events without support by a neighbour within this time are dropped first.
        unsorted: what to do where time goes back: `"refuse"` the file or `"sort"` its events.
        largest_count: of events in a pixel of a frame, 1 to 255; more stay at it, so that 1 makes frames of spikes.

    Raises:
        BadInputError: if a value is out of range.
    """

    timesteps: int = 10
    by: Literal["time", "count"] = "time"
    denoise_us: int = 0
    unsorted: Literal["refuse", "sort"] = "refuse"
    largest_count: int = LARGEST_COUNT

    def __post_init__(self) -> None:
        if self.timesteps < 1:
            raise BadInputError(f"framing.timesteps is {self.timesteps}; choose 1 or more")
        if self.by not in ("time", "count"):
            raise BadInputError(f"framing.by is '{self.by}'; choose time or count")
        if self.denoise_us < 0:
            raise BadInputError(f"framing.denoise_us is {self.denoise_us}; choose 0 (off) or more")
        if self.unsorted not in ("refuse", "sort"):
            raise BadInputError(f"framing.unsorted is '{self.unsorted}'; choose refuse or sort")
        if not 1 <= self.largest_count <= LARGEST_COUNT:
            raise BadInputError(f"framing.largest_count is {self.largest_count}; choose 1 to {LARGEST_COUNT}")


def edges_by_time(events: Events, timesteps: int) -> Edges:
    """Indices at which T slices of equal duration begin and end.

    Slice k holds the events with t_0 + k D / T <= t < t_0 + (k + 1) D / T, where D is the time from the first event to
    just after the last one.

    Args:
        events: sorted events.
        timesteps: number of slices T.

    Returns:
        `[T + 1]` indices.

    >>> edges_by_time(Events.of([0, 1, 8, 9], [0] * 4, [0] * 4, [1] * 4, (1, 1)), timesteps=2)
    array([0, 2, 4])
    """
    if len(events) == 0:
        return np.zeros(timesteps + 1, np.int64)
    first, end = int(events.t_us[0]), int(events.t_us[-1]) + 1
    borders = first + np.arange(timesteps + 1) * (end - first) / timesteps
    return np.searchsorted(events.t_us, borders)


def edges_by_count(events: Events, timesteps: int) -> Edges:
    """Indices at which T slices of equally many events (give or take one) begin and end.

    >>> edges_by_count(Events.of(range(5), [0] * 5, [0] * 5, [1] * 5, (1, 1)), timesteps=2)
    array([0, 2, 5])
    """
    return np.arange(timesteps + 1) * len(events) // timesteps


def count_frames(events: Events, edges: Edges, largest: int = LARGEST_COUNT) -> NDArray[np.uint8]:
    """Events counted per slice, polarity and pixel; counts above the largest stay at it.

    Args:
        events: sorted events.
        edges: `[T + 1]` indices.
        largest: at most 255.

    Returns:
        `[T, 2, H, W]`; channel 0 counts OFF, channel 1 ON.
    """
    height, width = events.sensor
    timesteps = len(edges) - 1
    slice_of = np.repeat(np.arange(timesteps), np.diff(edges))
    chosen = slice(int(edges[0]), int(edges[-1]))
    cell = ((slice_of * 2 + events.p[chosen]) * height + events.y[chosen]) * width + events.x[chosen]
    counts = np.bincount(cell, minlength=timesteps * 2 * height * width)
    return np.minimum(counts, largest).astype(np.uint8).reshape(timesteps, 2, height, width)


def frames(events: Events, framing: Framing) -> NDArray[np.uint8]:
    """Frames of a checked recording, `[T, 2, H, W]`.

    >>> pair = Events.of([0, 9], [0, 1], [0, 0], [0, 1], (1, 2))
    >>> frames(pair, Framing(timesteps=2)).reshape(2, 2, 2).tolist()
    [[[1, 0], [0, 0]], [[0, 0], [0, 1]]]
    """
    if framing.denoise_us:
        events = denoise(events, framing.denoise_us)
    edges = edges_by_time if framing.by == "time" else edges_by_count
    return count_frames(events, edges(events, framing.timesteps), framing.largest_count)


def voxel_grid(events: Events, bins: int) -> NDArray[np.float32]:
    """Signed events spread over the two nearest of B points in time.

    V(b, y, x) = sum_i p_i max(0, 1 - |b - (B - 1) (t_i - t_0) / (t_N - t_0)|), with p_i = +1 for ON and -1 for OFF

    Args:
        events: sorted events.
        bins: number of points B.

    Returns:
        `[B, H, W]`.

    Source: A. Zhu et al., Unsupervised Event-based Learning of Optical Flow, Depth, and Egomotion, CVPR 2019, eq. 1-2.

    >>> voxel_grid(Events.of([0, 5, 10], [0, 0, 0], [0, 0, 0], [1, 1, 0], (1, 1)), bins=2).ravel()
    array([ 1.5, -0.5], dtype=float32)
    """
    height, width = events.sensor
    grid = np.zeros(bins * height * width)
    if len(events):
        duration = max(int(events.t_us[-1] - events.t_us[0]), 1)
        position = (bins - 1) * (events.t_us - events.t_us[0]) / duration
        early = np.floor(position).astype(np.int64)
        sign = 2.0 * events.p - 1
        for bin_, weight in ((early, 1 - (position - early)), (np.minimum(early + 1, bins - 1), position - early)):
            cell = (bin_ * height + events.y) * width + events.x
            grid += np.bincount(cell, sign * weight, minlength=grid.size)
    return grid.reshape(bins, height, width).astype(np.float32)
