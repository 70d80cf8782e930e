"""A user's arrays, and .npz files that attack or are damaged."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from hasnas.datasets.archives import UnpackLimits
from hasnas.datasets.arrays import UserArrays, read_npz
from hasnas.errors import BadInputError


def write(path: Path, count: int = 10, **changed: np.ndarray) -> None:
    arrays = {"inputs": np.arange(count * 4, dtype=np.uint8).reshape(count, 1, 2, 2), "targets": np.arange(count) % 2}
    np.savez_compressed(path, **(arrays | changed))


def test_one_file_is_split_once_and_for_all(tmp_path: Path):
    write(tmp_path / "mine.npz")
    source = UserArrays().located(tmp_path / "mine.npz")
    train, test = source.load("train"), source.load("test")
    assert (len(train), len(test)) == (8, 2)
    assert sorted([*train.inputs[:, 0, 0, 0], *test.inputs[:, 0, 0, 0]]) == list(range(0, 40, 4))
    assert (source.card.task, source.card.input_shape, source.card.classes) == ("classification", (1, 2, 2), 2)
    # Figures of two runs compare only if they are of the same test samples.
    write(tmp_path / "more.npz", 20)
    more = UserArrays().located(tmp_path / "more.npz").load("test")
    assert (more.inputs[:, 0, 0, 0] // 4).tolist() == [8, 10, 11, 13]
    assert train.scale == 1 / 255
    write(tmp_path / "floats.npz", 20, inputs=np.ones((20, 1, 2, 2), np.float32))
    assert UserArrays().located(tmp_path / "floats.npz").load("train").scale == 1.0


def test_a_folder_with_a_test_file_is_taken_as_it_is(tmp_path: Path):
    write(tmp_path / "train.npz", 6)
    write(tmp_path / "test.npz", 3)
    assert dict(UserArrays(tmp_path).card.splits) == {"train": 6, "test": 3}


def test_floats_are_a_regression_and_five_axes_a_sequence(tmp_path: Path):
    write(tmp_path / "a.npz", inputs=np.arange(120.0).reshape(10, 3, 1, 2, 2), targets=np.arange(30.0).reshape(10, 3))
    card = UserArrays(tmp_path / "a.npz").card
    assert (card.task, card.outputs, card.timesteps, card.input_shape) == ("regression", 3, 3, (1, 2, 2))
    write(tmp_path / "one.npz", targets=np.linspace(0, 1, 10))
    assert (UserArrays(tmp_path / "one.npz").card.task, UserArrays(tmp_path / "one.npz").card.outputs) == (
        "regression", 1,
    )  # fmt: skip


@pytest.mark.parametrize(
    "changed, message",
    [
        ({"inputs": np.zeros((10, 2, 2), np.float32)}, "shape"),
        ({"inputs": np.zeros((9, 1, 2, 2), np.float32)}, "9 samples but 10 targets"),
        ({"inputs": np.zeros((10, 1, 2, 2), np.int64)}, "float32 or uint8"),
        ({"inputs": np.array([0, np.nan] * 5, np.float32).reshape(10, 1, 1, 1)}, "NaN or infinity, first in sample 1;"),
        ({"targets": np.array([0] * 4 + [np.inf] * 6)}, "NaN or infinity, first in sample 4;"),
        ({"targets": np.arange(10) - 1}, "label -1 of sample 0 is negative"),
        ({"targets": np.arange(10) + 1}, "no sample has label 0, but one has 10; number classes from 0"),
        ({"targets": np.array([0, 1, 255, 1, 0] * 2)}, "no sample has label 2, but one has 255"),
        ({"targets": np.array(["a"] * 10)}, "give integers"),
        ({"targets": np.array([{}] * 10)}, "'targets' holds Python objects"),
        ({"targets": np.array(["0", "1"] * 5, object)}, "numpy.array"),
        ({"targets": np.array(["cat", "dog"] * 5)}, "return_inverse"),
        ({"targets": np.zeros((10, 1), int)}, r"\.ravel\(\)"),
        ({"targets": np.eye(10, dtype=int)}, r"\.argmax\(1\)"),
        ({"inputs": np.zeros((10, 1, 0, 2), np.float32)}, "holds no sample"),
        ({"targets": np.zeros((10, 2), int)}, "give integers"),
        ({"targets": np.zeros((10, 1, 2))}, "give integers"),
        ({"targets": np.array([[0, 0]] * 7 + [[0, np.inf]] * 3)}, "NaN or infinity, first in sample 7;"),
        ({"inputs": np.array([0] * 7 + [np.nan] + [0] * 12, np.float32).reshape(10, 2, 1, 1)}, "first in sample 3;"),
    ],
)
def test_arrays_that_cannot_be_used_are_refused(changed: dict, message: str, tmp_path: Path):
    path = tmp_path / "a.npz"
    write(path, **changed)
    with pytest.raises(BadInputError, match=message) as caught:
        UserArrays(path).load("train")
    assert str(path) in str(caught.value)


def test_a_folder_without_a_test_file_is_split(tmp_path: Path):
    write(tmp_path / "train.npz")
    assert dict(UserArrays(tmp_path).card.splits) == {"train": 8, "test": 2}


def test_before_their_place_is_known_arrays_have_no_shape(tmp_path: Path):
    card = UserArrays().card
    assert (card.input_shape, card.outputs, dict(card.splits)) == ((0, 0, 0), 0, {})
    write(tmp_path / "a.npz")
    assert len(UserArrays().load("train", tmp_path / "a.npz")) == 8


def test_a_class_that_only_training_has_counts(tmp_path: Path):
    write(tmp_path / "train.npz", targets=np.arange(10) % 3)
    write(tmp_path / "test.npz", targets=np.zeros(10, int))
    assert UserArrays(tmp_path).card.outputs == 3


@pytest.mark.parametrize("spare, fits", [(0, True), (-1, False)])
def test_an_array_may_fill_its_limit(spare: int, fits: bool, tmp_path: Path):
    np.savez(tmp_path / "a.npz", inputs=np.zeros(1000))
    with zipfile.ZipFile(tmp_path / "a.npz") as file:
        limits = UnpackLimits(ratio=0, floor_bytes=file.infolist()[0].file_size + spare)
    if fits:
        assert read_npz(tmp_path / "a.npz", ["inputs"], limits)["inputs"].shape == (1000,)
    else:
        with pytest.raises(BadInputError, match="far more than"):
            read_npz(tmp_path / "a.npz", ["inputs"], limits)


def test_a_class_that_only_the_test_file_has_is_refused(tmp_path: Path):
    write(tmp_path / "train.npz", targets=np.arange(10) % 3)
    write(tmp_path / "test.npz", targets=np.array([0, 2] * 5))
    assert UserArrays(tmp_path).card.outputs == 3
    write(tmp_path / "test.npz", targets=np.array([0, 3] * 5))
    with pytest.raises(BadInputError, match=r"test.npz: class 3 does not occur in .*train.npz"):
        _ = UserArrays(tmp_path).card


def test_a_missing_array_is_named_with_the_nearest(tmp_path: Path):
    np.savez(tmp_path / "a.npz", input=np.zeros(3))
    with pytest.raises(BadInputError, match="no array 'inputs'; did you mean 'input'"):
        read_npz(tmp_path / "a.npz", ["inputs"])


def test_a_bomb_is_refused(tmp_path: Path):
    np.savez_compressed(tmp_path / "a.npz", inputs=np.zeros(8 << 20, np.uint8))
    with pytest.raises(BadInputError, match="far more than the file's size"):
        read_npz(tmp_path / "a.npz", ["inputs"])


def test_a_header_that_promises_too_much_is_refused(tmp_path: Path):
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "<f8", "fortran_order": False, "shape": (1 << 45, 4)})
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as file:
        file.writestr("inputs.npy", buffer.getvalue() + bytes(10))
    with pytest.raises(BadInputError, match="promises 1125899906842624 bytes"):
        read_npz(tmp_path / "a.npz", ["inputs"])


def test_damage_is_found_or_harmless(tmp_path: Path):
    path = tmp_path / "a.npz"
    write(path)
    sound, whole = read_npz(path, ["inputs", "targets"]), path.read_bytes()
    rng = np.random.default_rng(0)
    damaged_files = [whole[:cut] for cut in (0, 50, len(whole) - 1)]
    for bit in rng.choice(8 * len(whole), 150, replace=False):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << (bit % 8)
        damaged_files.append(bytes(damaged))
    refused = 0
    for content in damaged_files:
        path.write_bytes(content)
        try:
            found = read_npz(path, ["inputs", "targets"])
        except BadInputError:
            refused += 1
            continue
        for name, values in sound.items():
            np.testing.assert_array_equal(found[name], values)
    assert refused > 50


def test_a_missing_file_is_reported(tmp_path: Path):
    with pytest.raises(BadInputError, match=r"nothing.npz"):
        UserArrays(tmp_path / "nothing.npz").load("train")


@pytest.mark.parametrize("name", ["inputs", "targets"])
def test_values_beyond_what_32_bits_hold_are_refused(tmp_path: Path, name: str):
    arrays = {"inputs": np.ones((20, 1, 4, 4)), "targets": np.linspace(0, 1, 20)}
    arrays[name][7] = -1e300
    np.savez(tmp_path / "large.npz", **arrays)
    with pytest.raises(BadInputError, match=rf"large.npz: {name} hold values beyond 1e\+18, first in sample 7"):
        UserArrays(tmp_path / "large.npz").load("train")
