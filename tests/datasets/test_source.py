"""Samples, cards and the split that carves held-out samples."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hasnas.datasets.source import DATASETS, Samples, check_split, data_root, stratified_split
from hasnas.errors import BadInputError


@given(
    targets=arrays(np.int64, st.integers(4, 120), elements=st.integers(0, 4)),
    share=st.floats(0.3, 0.7),
    seed=st.integers(0, 2**32),
)
def test_split_is_a_stratified_partition(targets: np.ndarray, share: float, seed: int):
    kept, held = stratified_split(targets, share, seed)
    np.testing.assert_array_equal(np.sort(np.concatenate([kept, held])), np.arange(len(targets)))
    assert len(held) == round(share * len(targets))
    for label in np.unique(targets):
        expected = share * np.sum(targets == label)
        assert abs(np.sum(targets[held] == label) - expected) < 1


def test_split_depends_on_the_seed_alone():
    targets = np.repeat(np.arange(5), 20)
    first, again, other = (stratified_split(targets, 0.2, seed)[1] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_regression_targets_are_split_without_strata():
    kept, held = stratified_split(np.linspace(0, 1, 20, dtype=np.float32).reshape(10, 2), 0.3, 0)
    assert (len(kept), len(held)) == (7, 3)


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, 1.5, float("nan"), 0.01])
def test_a_share_that_leaves_a_side_empty_is_refused(share: float):
    with pytest.raises(BadInputError, match="leaves one side empty"):
        stratified_split(np.zeros(10, np.int64), share, 0)


@pytest.mark.parametrize(
    "inputs, targets, message",
    [
        (np.zeros((2, 8, 8), np.float32), np.zeros(2), "shape"),
        (np.zeros((2, 1, 8, 8), np.float32), np.zeros(3), "one target for each"),
        (np.zeros((2, 1, 8, 8), np.float64), np.zeros(2), "float32 or uint8"),
    ],
)
def test_samples_that_do_not_fit_together_are_refused(inputs: np.ndarray, targets: np.ndarray, message: str):
    with pytest.raises(BadInputError, match=message):
        Samples(inputs, targets)


def test_floats_scale_the_chosen_samples():
    samples = Samples(np.arange(8, dtype=np.uint8).reshape(2, 1, 2, 2), np.array([0, 1]), scale=0.5)
    np.testing.assert_array_equal(samples.floats(np.array([1]))[0, 0], np.float32([[2, 2.5], [3, 3.5]]))
    assert samples.floats().dtype == np.float32


def test_unknown_names_point_at_known_ones():
    with pytest.raises(BadInputError, match="did you mean 'digits'"):
        DATASETS.get("digit")
    with pytest.raises(BadInputError, match="choose train or test"):
        check_split("validation")


def test_data_root_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path):
    monkeypatch.setenv("HASNAS_DATA_ROOT", str(tmp_path))
    assert data_root() == tmp_path
    monkeypatch.delenv("HASNAS_DATA_ROOT")
    assert data_root().parts[-2:] == ("hasnas", "data")


def test_a_single_sample_may_be_held_out():
    kept, held = stratified_split(np.zeros(4, np.int64), 0.25, 0)
    assert (len(kept), len(held)) == (3, 1)


@pytest.mark.parametrize("sizes, share, held_of_each", [((4, 3), 0.5, [2, 2]), ((4, 9), 0.3, [1, 3])])
def test_the_largest_remainder_gives_one_more(sizes: tuple[int, int], share: float, held_of_each: list[int]):
    # Half of 3 and three tenths of 9 leave more over than half of 4 and three tenths of 4.
    targets = np.repeat([0, 1], sizes)
    assert np.bincount(targets[stratified_split(targets, share, 0)[1]]).tolist() == held_of_each


def test_one_regressed_value_makes_no_strata():
    values = np.linspace(0, 1, 20)
    np.testing.assert_array_equal(stratified_split(values, 0.3, 5)[1], stratified_split(values[:, None], 0.3, 5)[1])


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("scale", [1.0, 2.0])
def test_floats_of_every_kind_are_scaled(dtype: type, scale: float):
    stored = np.arange(8).reshape(2, 1, 2, 2).astype(dtype)
    floats = Samples(stored, np.arange(2), scale).floats()
    assert floats.dtype == np.float32
    np.testing.assert_array_equal(floats, scale * stored)
    np.testing.assert_array_equal(Samples(stored, np.arange(2)).floats(), stored)
