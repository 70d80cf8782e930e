"""Events: what a sensor cannot have sent is refused; filters keep what belongs together."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hasnas.datasets.events import Events, denoise, drop_hot_pixels
from hasnas.errors import BadInputError

SENSOR = (6, 5)


@st.composite
def recordings(draw: st.DrawFn) -> Events:
    count = draw(st.integers(0, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    t_us = np.sort(rng.integers(0, 300, count))
    height, width = draw(st.sampled_from([SENSOR, (2, 15)]))
    x, y = rng.integers(0, width, count), rng.integers(0, height, count)
    return Events.of(t_us, x, y, rng.integers(0, 2, count), (height, width))


@given(recordings())
def test_what_a_sensor_may_send_passes(events: Events):
    assert events.checked("file") is events


@pytest.mark.parametrize(
    "t_us, x, y, p, message",
    [
        ([0, 5, 3], [0, 0, 0], [0, 0, 0], [0, 1, 0], "time goes back at event 2, from 5 to 3 us"),
        ([0, 5], [0, 5], [0, 0], [0, 1], "event 1 lies at x=5, y=0, off the 5 x 6 sensor"),
        ([0, 5], [0, 0], [6, 0], [0, 1], "event 0 lies at x=0, y=6"),
        ([0], [-1], [0], [1], "event 0 lies at x=-1"),
        ([0], [0], [-1], [1], "event 0 lies at x=0, y=-1"),
        ([0, 5], [0, 0], [0, 0], [1, 2], "polarities are 1, 2;"),
    ],
)
def test_what_it_cannot_send_is_refused(t_us, x, y, p, message: str):
    with pytest.raises(BadInputError, match=f"file: {message}"):
        Events.of(t_us, x, y, p, SENSOR).checked("file")


def test_sorting_keeps_the_order_of_simultaneous_events():
    events = Events.of([5, 3, 5, 3], [0, 1, 2, 3], [0] * 4, [0] * 4, SENSOR).sorted()
    assert events.t_us.tolist() == [3, 3, 5, 5]
    assert events.x.tolist() == [1, 3, 0, 2]


def test_a_span_holds_its_start_and_not_its_end():
    events = Events.of([1, 2, 2, 3, 4], range(5), [0] * 5, [0] * 5, SENSOR)
    assert events.between(2, 4).x.tolist() == [1, 2, 3]


@given(recordings(), st.integers(0, 100))
def test_denoising_keeps_what_a_plain_loop_keeps(events: Events, support_us: int):
    expected = []
    for index in range(len(events)):
        latest: dict[tuple[int, int], int] = {}
        for earlier in range(index):
            latest[int(events.x[earlier]), int(events.y[earlier])] = int(events.t_us[earlier])
        near = [
            time
            for (x, y), time in latest.items()
            if max(abs(x - events.x[index]), abs(y - events.y[index])) == 1
        ]
        expected.append(any(events.t_us[index] - time <= support_us for time in near))
    np.testing.assert_array_equal(denoise(events, support_us).t_us, events.t_us[np.array(expected, bool)])


def test_the_right_edge_is_no_neighbour_of_the_left():
    apart = Events.of([0, 1], [14, 0], [0, 1], [1, 1], (2, 15))
    assert len(denoise(apart, support_us=100)) == 0
    beside = Events.of([0, 1], [14, 13], [0, 1], [1, 1], (2, 15))
    assert denoise(beside, support_us=1).x.tolist() == [13]
    assert len(denoise(beside, support_us=0)) == 0


@given(recordings(), st.floats(1, 4))
def test_hot_pixels_are_dropped_whole(events: Events, factor: float):
    kept = drop_hot_pixels(events, factor)
    pixels, counts = np.unique(events.y * 15 + events.x, return_counts=True)
    expected = counts[counts * len(counts) <= factor * len(events)].sum()
    assert len(kept) == expected
    assert set((kept.y * 15 + kept.x).tolist()) <= set(pixels.tolist())


@pytest.mark.parametrize("count, hot", [(10, False), (12, True)])
def test_ten_times_the_mean_is_believed_by_default(count: int, hot: bool):
    x = [*range(100), *[100] * count]  # the mean is little over 1
    kept = drop_hot_pixels(Events.of(range(len(x)), x, [0] * len(x), [1] * len(x), (1, 101)))
    assert len(kept) == (100 if hot else 100 + count)


def test_both_ways_to_write_polarities_are_taken():
    for written in ([-1, 1, -1], [0, 1, 0], [False, True, False], [-1.0, 1.0, -1.0]):
        assert Events.of([0, 1, 2], [0] * 3, [0] * 3, written, (1, 1)).checked("a").p.tolist() == [0, 1, 0]
    assert Events.of([0, 1], [0] * 2, [0] * 2, [-1, -1], (1, 1)).p.tolist() == [0, 0]
    with pytest.raises(BadInputError, match="polarities are -1, 0, 1;"):
        Events.of([0, 1, 2], [0] * 3, [0] * 3, [-1, 0, 1], (1, 1)).checked("a")


@pytest.mark.parametrize(
    "columns, message",
    [
        (([0.0, 0.1, 0.2], [0] * 3, [0] * 3, [1] * 3), "t of event 1 is 0.1, a fraction; times are microseconds"),
        (([0, 1, 2], [0, 0.5, 1], [0] * 3, [1] * 3), "x of event 1 is 0.5, a fraction; give pixels"),
        (([0.0, np.nan, 2], [0] * 3, [0] * 3, [1] * 3), "t of event 1 is nan"),
        (([0.0, 1e300], [0] * 2, [0] * 2, [1] * 2), r"t of event 1 is 1e\+300, too large"),
        ((np.array([0, 2**63 + 9], np.uint64), [0] * 2, [0] * 2, [1] * 2), r"t of event 1 is 9.2.*e\+18, too large"),
        (([0, 1], [0] * 3, [0] * 3, [1] * 3), "different lengths"),
        ((["0", "1"], [0] * 2, [0] * 2, [1] * 2), "column t holds <U1"),
    ],
)
def test_columns_that_would_lose_what_they_say_are_refused(columns: tuple, message: str):
    with pytest.raises(BadInputError, match=message):
        Events.of(*columns, (4, 4), "a.npz")


def test_whole_microseconds_may_be_floats():
    assert Events.of([0.0, 3e6], [0.0, 1.0], [0, 0], [0, 1], (1, 2)).t_us.tolist() == [0, 3_000_000]
