"""SVHN: MATLAB files, the digit 0 as class 10, damage."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from hasnas.datasets.source import SPLITS, RemoteFile
from hasnas.datasets.svhn import SVHN
from hasnas.errors import BadInputError

FILES = tuple(RemoteFile(file.name) for file in SVHN.card.files)
SMALL = replace(SVHN, card=replace(SVHN.card, splits={}, files=FILES))
IMAGES = np.random.default_rng(0).integers(0, 256, (32, 32, 3, 4), np.uint8)


def write(path: Path, images: np.ndarray = IMAGES, labels: tuple[int, ...] = (10, 1, 9, 2)) -> None:
    savemat(path, {"X": images, "y": np.array(labels, np.uint8)[:, None]}, do_compression=True)


def test_images_and_labels_are_read(tmp_path: Path):
    write(tmp_path / "test_32x32.mat")
    samples = SMALL.load("test", tmp_path)
    np.testing.assert_array_equal(samples.inputs, IMAGES.transpose(3, 2, 0, 1))
    assert samples.targets.tolist() == [0, 1, 9, 2]


@pytest.mark.parametrize(
    "images, labels, message",
    [
        (IMAGES[:16], (1, 2, 3, 4), "does not hold images"),
        (IMAGES, (1, 2, 3), "4 images but 3 labels"),
        (IMAGES, (0, 1, 2, 3), "labels from 0 to 3"),
        (IMAGES, (1, 2, 3, 11), "labels from 1 to 11"),
    ],
)
def test_what_does_not_fit_is_refused(images: np.ndarray, labels: tuple[int, ...], message: str, tmp_path: Path):
    write(tmp_path / "test_32x32.mat", images, labels)
    with pytest.raises(BadInputError, match=message):
        SMALL.load("test", tmp_path)


@pytest.mark.parametrize("keep", [0, 64, 200, 3000])
def test_truncated_files_are_refused(keep: int, tmp_path: Path):
    path = tmp_path / "test_32x32.mat"
    write(path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(BadInputError, match=str(path)):
        SMALL.load("test", tmp_path)


def test_another_file_than_the_official_one_is_refused(tmp_path: Path):
    write(tmp_path / "test_32x32.mat")
    with pytest.raises(BadInputError, match="not the official file"):
        SVHN.load("test", tmp_path)


def test_each_split_has_its_own_file(tmp_path: Path):
    write(tmp_path / "train_32x32.mat", labels=(1, 2, 3, 4))
    write(tmp_path / "test_32x32.mat", labels=(5, 6, 7, 8))
    train, test = (SMALL.load(split, tmp_path) for split in SPLITS)
    assert (train.targets.tolist(), test.targets.tolist()) == ([1, 2, 3, 4], [5, 6, 7, 8])
    assert train.scale == 1 / 255


@pytest.mark.parametrize("content", [{"X": IMAGES}, {"X": IMAGES[..., 0], "y": np.ones(1)}])
def test_files_without_labels_or_axes_are_refused(content: dict[str, np.ndarray], tmp_path: Path):
    savemat(tmp_path / "test_32x32.mat", content)
    with pytest.raises(BadInputError, match="does not hold images X"):
        SMALL.load("test", tmp_path)
