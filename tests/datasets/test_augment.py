"""Augmentations: polarity keeps its meaning, seeds decide alone, the sensor's borders hold."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hasnas.datasets.augment import (
    EventAugmentation,
    augment,
    drop_events,
    flip_horizontal,
    flip_vertical,
    invert_polarity,
    jitter_time,
    reverse_time,
    shift,
)
from hasnas.datasets.events import Events
from hasnas.errors import BadInputError


def recording(seed: int = 0, count: int = 200) -> Events:
    rng = np.random.default_rng(seed)
    t_us = np.sort(rng.integers(0, 1000, count))
    return Events.of(t_us, rng.integers(0, 9, count), rng.integers(0, 7, count), rng.integers(0, 2, count), (7, 9))


def rows(events: Events) -> list[tuple[int, ...]]:
    return sorted(zip(*(column.tolist() for column in (events.t_us, events.x, events.y, events.p)), strict=True))


@pytest.mark.parametrize("twice", [flip_horizontal, flip_vertical, invert_polarity, reverse_time])
def test_twice_is_as_before(twice):
    assert rows(twice(twice(recording()))) == rows(recording())


def brightness(events: Events) -> np.ndarray:
    change = np.zeros(events.sensor)
    np.add.at(change, (events.y, events.x), 2.0 * events.p - 1)
    return change


def test_mirrors_keep_polarity_and_backwards_swaps_it():
    np.testing.assert_array_equal(brightness(flip_horizontal(recording())), brightness(recording())[:, ::-1])
    np.testing.assert_array_equal(brightness(flip_vertical(recording())), brightness(recording())[::-1])
    np.testing.assert_array_equal(brightness(reverse_time(recording())), -brightness(recording()))


def test_backwards_stays_sorted_within_the_same_time():
    events = reverse_time(recording()).checked("file")
    assert (events.t_us[0], events.t_us[-1]) == (recording().t_us[0], recording().t_us[-1])


@given(st.integers(-12, 12), st.integers(-12, 12))
def test_a_shift_moves_or_drops(down: int, right: int):
    moved = shift(recording(), down, right).checked("file")
    stay = (recording().x + right >= 0) & (recording().x + right < 9)
    stay &= (recording().y + down >= 0) & (recording().y + down < 7)
    assert len(moved) == stay.sum()


def test_the_share_of_lost_events_is_the_probability():
    kept = drop_events(recording(count=20_000), 0.3, np.random.default_rng(0))
    assert abs(len(kept) / 20_000 - 0.7) < 0.02


def test_jitter_keeps_the_span_and_the_order():
    noisy = jitter_time(recording(), 50.0, np.random.default_rng(0)).checked("file")
    assert noisy.t_us.min() >= recording().t_us.min()
    assert noisy.t_us.max() <= recording().t_us.max()
    assert sorted(zip(noisy.x.tolist(), noisy.y.tolist(), strict=True)) == sorted(
        zip(recording().x.tolist(), recording().y.tolist(), strict=True)
    )


def test_the_seed_alone_decides():
    all_of_it = EventAugmentation(flip_probability=0.5, shift_pixels=2, drop_probability=0.2, time_jitter_us=10)
    first, again, other = (augment(recording(), all_of_it, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert rows(first) == rows(again)
    assert rows(first) != rows(other)
    assert rows(augment(recording(), EventAugmentation(), np.random.default_rng(1))) == rows(recording())


@pytest.mark.parametrize(
    "only, changed",
    [
        ({"time_jitter_us": 50.0}, {"t_us"}),
        ({"flip_probability": 1.0}, {"x"}),
        ({"shift_pixels": 3}, {"length"}),
        ({"drop_probability": 1.0}, {"length"}),
    ],
)
def test_each_augmentation_changes_its_own(only: dict[str, float], changed: set[str]):
    before, after = recording(), augment(recording(), EventAugmentation(**only), np.random.default_rng(4))
    if "length" in changed:
        assert 0 < len(after) < len(before)
        return
    for name in ("t_us", "x", "y", "p"):
        same = np.array_equal(np.sort(getattr(before, name)), np.sort(getattr(after, name)))
        assert same == (name not in changed), name


def test_a_sample_draws_how_much_it_loses():
    augmentation = EventAugmentation(drop_probability=0.5)
    kept = [len(augment(recording(count=2000), augmentation, np.random.default_rng(seed))) for seed in range(200)]
    # Uniform between nothing and half.
    assert np.mean(kept) == pytest.approx(1500, rel=0.03)
    assert min(kept) < 1100
    assert max(kept) > 1900


def test_an_empty_recording_stays_empty():
    empty = recording(count=0)
    assert len(augment(empty, EventAugmentation(1, 2, 1, 5), np.random.default_rng(0))) == 0
    assert len(reverse_time(empty)) == 0


@pytest.mark.parametrize(
    "field, value",
    [("flip_probability", 1.5), ("drop_probability", -0.1), ("shift_pixels", -1), ("time_jitter_us", float("nan"))],
)
def test_impossible_augmentations_are_refused_by_name(field: str, value: float):
    with pytest.raises(BadInputError, match=f"augmentation.{field}"):
        EventAugmentation(**{field: value})


def test_shifts_reach_as_far_as_allowed_each_way():
    dot = Events.of([0], [4], [3], [1], (7, 9))
    moves = set()
    for seed in range(150):
        moved = augment(dot, EventAugmentation(shift_pixels=1), np.random.default_rng(seed))
        moves.add((int(moved.x[0]) - 4, int(moved.y[0]) - 3))
    assert moves == {(right, down) for right in (-1, 0, 1) for down in (-1, 0, 1)}


def test_without_deviation_times_stay():
    assert rows(jitter_time(recording(), 0.0, np.random.default_rng(0))) == rows(recording())
