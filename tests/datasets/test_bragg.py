"""Bragg peaks: the two HDF5 files, the choice of peaks, patches at the border, damage."""

import sys
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hasnas.datasets.bragg import BRAGG_PEAKS, FRAMES_FILE, crop_patch, read_peaks
from hasnas.errors import BadInputError

SMALL = replace(BRAGG_PEAKS, base=replace(BRAGG_PEAKS.base, splits={}), patch=5)
PEAKS = {
    "peak_fidx": [0, 0, 1, 1, 1, 2, 2, 2, 2, 2],
    "peak_row": [8.25, 9.0, 10.5, 1.0, 12.0, 8.0, 8.0, 8.0, 9.75, 10.0],
    "peak_col": [9.5, 9.0, 11.0, 15.0, 12.0, 8.0, 8.0, 8.0, 12.0, 7.0],
    "npeaks": [1, 2, 1, 1, 1, 1, 1, 1, 1, 1],
    "deviations": [0.0, 0.1, 0.9, 0.5, -1.0, 1.0, 0.2, 0.3, 0.4, 3.0],
}


def write(root: Path, **changed: list) -> None:
    with h5py.File(root / "peaks-exp4train-psz5.hdf5", "w") as file:
        for name, values in (PEAKS | changed).items():
            file[name] = np.array(values)
    with h5py.File(root / FRAMES_FILE, "w") as file:
        file["frames"] = np.random.default_rng(0).random((3, 20, 16), np.float32)


def test_usable_peaks_of_each_split_are_chosen(tmp_path: Path):
    write(tmp_path)
    train, test = (read_peaks(tmp_path / "peaks-exp4train-psz5.hdf5", split) for split in ("train", "test"))
    assert train.row.tolist() == [8.25, 10.5, 1.0, 8.0, 8.0]
    assert test.row.tolist() == [9.75]


def test_patches_and_centres_belong_together(tmp_path: Path):
    write(tmp_path)
    samples = SMALL.load("train", tmp_path)
    assert samples.inputs.shape == (5, 1, 5, 5)
    assert samples.inputs.min(axis=(1, 2, 3)).tolist() == [0] * 5
    assert samples.inputs.max(axis=(1, 2, 3)).tolist() == [1] * 5
    np.testing.assert_allclose(samples.targets[0], [2.5, 2.25])
    assert SMALL.card.input_shape == (1, 5, 5)


@given(st.integers(0, 19), st.integers(0, 15), st.sampled_from([3, 5, 7, 8]))
def test_the_centre_points_at_the_brightest_pixel(row: int, column: int, patch: int):
    image = np.zeros((20, 16))
    image[row, column] = 1
    cropped, (x, y) = crop_patch(image, row, column, patch)
    assert cropped.sum() == 1
    assert cropped[round(y), round(x)] == 1


@pytest.mark.parametrize(
    "row, column, centre",
    [
        (8.25, 9.5, (2.5, 2.25)),  # rows 6 to 10, columns 7 to 11
        (0.5, 1.0, (1.0, 1.5)),  # rows 0 to 2 between a row of zeros on each side, columns 0 to 3 before one of zeros
        (19.0, 15.75, (3.75, 3.0)),  # rows 17 to 19, columns 13 to 15, a line of zeros around
    ],
)
def test_centres_by_hand(row: float, column: float, centre: tuple[float, float]):
    image = np.random.default_rng(0).random((20, 16)) + 1
    patch, (x, y) = crop_patch(image, row, column, 5)
    assert (x, y) == pytest.approx(centre)
    inside = image[max(int(row) - 2, 0) : int(row) + 3, max(int(column) - 2, 0) : int(column) + 3]
    assert np.count_nonzero(patch) == inside.size - (inside.size == 25)  # the least of a patch becomes zero


def test_a_flat_patch_stays_flat():
    assert crop_patch(np.full((9, 9), 3.0), 4, 4, 3)[0].tolist() == np.zeros((3, 3)).tolist()


@pytest.mark.parametrize(
    "changed, message",
    [
        ({"peak_row": [50.0] * 10}, "lies at row 50.0, but there are 20"),
        ({"peak_col": [float("nan")] * 10}, "lies at column nan"),
        ({"peak_fidx": [7] * 10}, "lies at frame 7"),
        ({"npeaks": [1]}, "differ in length"),
    ],
)
def test_files_that_do_not_belong_together_are_refused(changed: dict, message: str, tmp_path: Path):
    write(tmp_path, **changed)
    with pytest.raises(BadInputError, match=message):
        SMALL.load("train", tmp_path)


def test_missing_arrays_and_damage_are_refused(tmp_path: Path):
    write(tmp_path)
    with h5py.File(tmp_path / "peaks-exp4train-psz5.hdf5", "a") as file:
        del file["npeaks"]
    with pytest.raises(BadInputError, match="no array 'npeaks'"):
        SMALL.load("train", tmp_path)
    (tmp_path / FRAMES_FILE).write_bytes(b"no HDF5")
    write_peaks_only = tmp_path / "peaks-exp4train-psz5.hdf5"
    write_peaks_only.unlink()
    with h5py.File(write_peaks_only, "w") as file:
        for name, values in PEAKS.items():
            file[name] = np.array(values)
    with pytest.raises(BadInputError, match="not a readable HDF5 file"):
        SMALL.load("train", tmp_path)


def test_without_h5py_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    write(tmp_path)
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(BadInputError, match=r"pip install hasnas\[hdf5\]"):
        SMALL.load("train", tmp_path)


def test_each_patch_is_cut_from_its_own_frame(tmp_path: Path):
    write(tmp_path)
    samples = SMALL.load("train", tmp_path)
    frames = np.random.default_rng(0).random((3, 20, 16), np.float32)
    usable = [0, 2, 3, 6, 7]
    for patch, peak in zip(samples.inputs[:, 0], usable, strict=True):
        row, column = PEAKS["peak_row"][peak], PEAKS["peak_col"][peak]
        np.testing.assert_array_equal(patch, crop_patch(frames[PEAKS["peak_fidx"][peak]], row, column, 5)[0])


def test_the_unpacked_archive_is_read_from_its_folder(tmp_path: Path):
    (tmp_path / "dataset").mkdir()
    write(tmp_path / "dataset")
    assert len(SMALL.load("test", tmp_path)) == 1
    (tmp_path / "dataset" / FRAMES_FILE).unlink()
    with pytest.raises(BadInputError, match=rf"dataset/{FRAMES_FILE} is missing"):
        SMALL.load("test", tmp_path)


@pytest.mark.parametrize("frames", [None, np.zeros((20, 16)), np.zeros((3, 20, 16, 1))])
def test_frames_must_be_a_stack_of_pictures(frames: np.ndarray | None, tmp_path: Path):
    write(tmp_path)
    with h5py.File(tmp_path / FRAMES_FILE, "w") as file:
        if frames is not None:
            file["frames"] = frames
    with pytest.raises(BadInputError, match=r"holds no array frames \[F, rows, columns\]"):
        SMALL.load("train", tmp_path)


def test_peaks_on_the_first_and_behind_the_last_line(tmp_path: Path):
    write(tmp_path, peak_row=[0.0] * 10, peak_col=[0.0] * 10)
    assert len(SMALL.load("train", tmp_path)) == 5
    write(tmp_path, peak_row=[20.0] * 10)
    with pytest.raises(BadInputError, match=r"lies at row 20.0, but there are 20"):
        SMALL.load("test", tmp_path)
