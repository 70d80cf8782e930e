"""Frames and voxel grids: nothing is lost, nothing counted twice."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hasnas.datasets.events import Events
from hasnas.datasets.frames import Framing, count_frames, edges_by_count, edges_by_time, frames, voxel_grid
from hasnas.errors import BadInputError


@st.composite
def recordings(draw: st.DrawFn) -> Events:
    count = draw(st.integers(0, 60))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    t_us = np.sort(rng.integers(100, 400, count))
    return Events.of(t_us, rng.integers(0, 5, count), rng.integers(0, 6, count), rng.integers(0, 2, count), (6, 5))


@given(recordings(), st.integers(1, 12), st.sampled_from(["time", "count"]))
def test_every_event_is_counted_once_at_its_place(events: Events, timesteps: int, by):
    counted = frames(events, Framing(timesteps, by))
    assert counted.shape == (timesteps, 2, 6, 5)
    expected = np.zeros((2, 6, 5), int)
    np.add.at(expected, (events.p, events.y, events.x), 1)
    np.testing.assert_array_equal(counted.sum(0, dtype=int), expected)


@given(recordings(), st.integers(1, 12))
def test_slices_by_count_differ_by_one_event_at_most(events: Events, timesteps: int):
    sizes = np.diff(edges_by_count(events, timesteps))
    assert sizes.sum() == len(events)
    assert sizes.max() - sizes.min() <= 1


@given(recordings(), st.integers(1, 12))
def test_slices_by_time_hold_their_span(events: Events, timesteps: int):
    edges = edges_by_time(events, timesteps)
    assert (edges[0], edges[-1]) == (0, len(events))
    if len(events):
        duration = events.t_us[-1] + 1 - events.t_us[0]
        slice_of = np.floor((events.t_us - events.t_us[0]) * timesteps / duration).astype(int)
        np.testing.assert_array_equal(np.repeat(np.arange(timesteps), np.diff(edges)), slice_of)


def test_slices_are_of_equal_time_or_of_equal_count():
    burst = Events.of([0, 1, 2, 3, 4, 99], [0] * 6, [0] * 6, [1] * 6, (1, 1))
    by_time, by_count = (frames(burst, Framing(2, by))[:, 1, 0, 0].tolist() for by in ("time", "count"))
    assert (by_time, by_count) == ([5, 1], [3, 3])
    # 100 us in four slices begin at 0, 25, 50 and 75.
    assert edges_by_time(Events.of([0, 24, 25, 50, 74, 99], [0] * 6, [0] * 6, [1] * 6, (1, 1)), 4).tolist() == [
        0, 2, 3, 5, 6,
    ]  # fmt: skip


def test_voxels_by_hand():
    # Three points in time at 0, 5 and 10 us; an event at 2 us lies two fifths of the way to the second.
    events = Events.of([0, 2, 10], [0, 1, 1], [0, 0, 0], [1, 0, 1], (1, 2))
    np.testing.assert_allclose(voxel_grid(events, 3)[:, 0], [[1, -0.6], [0, -0.4], [0, 1]], atol=1e-6)
    assert voxel_grid(Events.of([7], [0], [0], [1], (1, 1)), 2).ravel().tolist() == [1, 0]


def test_counts_stay_at_255():
    crowd = Events.of(range(300), [0] * 300, [0] * 300, [1] * 300, (1, 1))
    assert count_frames(crowd, np.array([0, 300])).ravel().tolist() == [0, 255]
    assert count_frames(crowd, np.array([0, 255])).ravel().tolist() == [0, 255]
    assert count_frames(crowd, np.array([0, 254])).ravel().tolist() == [0, 254]
    assert count_frames(crowd, np.array([0, 2, 300]), largest=3)[:, 1].ravel().tolist() == [2, 3]
    assert frames(crowd, Framing(2, largest_count=1)).ravel().tolist() == [0, 1, 0, 1]
    assert count_frames(crowd, np.array([10, 12, 15]))[:, 1].ravel().tolist() == [2, 3]


@given(recordings(), st.integers(1, 6))
def test_a_voxel_grid_keeps_the_sum_of_signs(events: Events, bins: int):
    grid = voxel_grid(events, bins)
    expected = np.zeros((6, 5))
    np.add.at(expected, (events.y, events.x), 2.0 * events.p - 1)
    np.testing.assert_allclose(grid.sum(0), expected, atol=1e-5)


def test_noise_is_dropped_before_framing():
    events = Events.of([0, 10, 20], [1, 2, 4], [1, 1, 5], [1, 1, 1], (6, 5))
    assert frames(events, Framing(1, denoise_us=50)).sum() == 1


@pytest.mark.parametrize(
    "field, value",
    [
        ("largest_count", 0),
        ("largest_count", 256),
        ("timesteps", 0),
        ("by", "colour"),
        ("denoise_us", -1),
        ("unsorted", "ignore"),
    ],
)
def test_impossible_framing_is_refused_by_name(field: str, value: object):
    with pytest.raises(BadInputError, match=f"framing.{field}"):
        Framing(**{field: value})


def test_frames_by_default():
    assert Framing() == Framing(timesteps=10, by="time", denoise_us=0, unsorted="refuse")


@given(recordings(), st.integers(1, 6), st.integers(-90, 10**6))
def test_only_the_time_since_the_first_event_counts(events: Events, bins: int, later_us: int):
    later = Events.of(events.t_us + later_us, events.x, events.y, events.p, events.sensor)
    np.testing.assert_array_equal(voxel_grid(later, bins), voxel_grid(events, bins))
    np.testing.assert_array_equal(edges_by_time(later, bins), edges_by_time(events, bins))


def test_voxels_of_the_shortest_recording_are_its_ends():
    events = Events.of([5, 6], [0, 0], [0, 0], [1, 1], (1, 1))
    assert voxel_grid(events, 2).ravel().tolist() == [1, 1]
