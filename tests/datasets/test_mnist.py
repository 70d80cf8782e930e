"""MNIST and Fashion-MNIST: the IDX format, checksums, damage."""

import contextlib
import gzip
import hashlib
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from hasnas.datasets.mnist import FASHION_MNIST, MNIST, IdxDataset, read_idx
from hasnas.datasets.source import RemoteFile, Split
from hasnas.errors import BadInputError


def idx(values: np.ndarray) -> bytes:
    return struct.pack(f">BBBB{values.ndim}I", 0, 0, 8, values.ndim, *values.shape) + values.tobytes()


def write_split(folder: Path, prefix: str, images: np.ndarray, labels: np.ndarray, packed: bool = True) -> None:
    folder.mkdir(exist_ok=True)
    for name, values in ((f"{prefix}-images-idx3-ubyte", images), (f"{prefix}-labels-idx1-ubyte", labels)):
        if packed:
            (folder / f"{name}.gz").write_bytes(gzip.compress(idx(values)))
        else:
            (folder / name).write_bytes(idx(values))


def small(source: IdxDataset) -> IdxDataset:
    files = tuple(RemoteFile(file.name) for file in source.card.files)
    return replace(source, card=replace(source.card, splits={"train": 4}, files=files))


def four_images() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (4, 28, 28), np.uint8), np.array([3, 0, 9, 1], np.uint8)


@given(arrays(np.uint8, array_shapes(max_dims=3, max_side=5)))
def test_what_was_written_is_read(values: np.ndarray):
    np.testing.assert_array_equal(read_idx(idx(values), "file"), values)


@pytest.mark.slow
@given(st.binary(max_size=40))
def test_any_other_bytes_are_refused(content: bytes):
    with contextlib.suppress(BadInputError):
        assert read_idx(content, "file").size <= len(content)


@pytest.mark.parametrize("cut", [1, 7, 500])
def test_a_truncated_file_is_refused(cut: int):
    with pytest.raises(BadInputError, match="fetch"):
        read_idx(idx(four_images()[0])[:-cut], "file")


def test_bytes_after_the_data_are_refused():
    with pytest.raises(BadInputError, match=r"holds 5 bytes of data, its header promises \[4\]"):
        read_idx(idx(four_images()[1]) + b"\0", "file")


@pytest.mark.parametrize("source", [MNIST, FASHION_MNIST])
@pytest.mark.parametrize("packed", [True, False])
def test_a_split_is_read(source: IdxDataset, packed: bool, tmp_path: Path):
    images, labels = four_images()
    write_split(tmp_path / source.card.name, "train", images, labels, packed)
    samples = small(source).load("train", tmp_path)
    np.testing.assert_array_equal(samples.inputs[:, 0], images)
    assert samples.targets.tolist() == labels.tolist()
    assert samples.scale == 1 / 255


def test_another_file_than_the_official_one_is_refused(tmp_path: Path):
    write_split(tmp_path / "mnist", "train", *four_images())
    with pytest.raises(BadInputError, match="not the official file"):
        MNIST.load("train", tmp_path)


def test_the_same_data_packed_anew_are_the_official_file(tmp_path: Path):
    images, labels = four_images()
    write_split(tmp_path / "mnist", "train", images, labels)
    digests = (hashlib.sha256(idx(values)).hexdigest() for values in (images, labels))
    files = tuple(
        RemoteFile(file.name, "of the file packed by its publisher", content_sha256=digest)
        for file, digest in zip(MNIST.card.files, digests, strict=False)
    )
    source = replace(MNIST, card=replace(MNIST.card, files=files, splits={}))
    assert len(source.load("train", tmp_path)) == 4


@pytest.mark.parametrize(
    "labels, message",
    [([3, 0, 10, 1], "label 10 of sample 2 is outside 0 to 9"), ([3, 0, 9], "3 samples in the train split")],
)
def test_labels_that_do_not_fit_are_refused(labels: list[int], message: str, tmp_path: Path):
    write_split(tmp_path, "train", four_images()[0], np.array(labels, np.uint8))
    with pytest.raises(BadInputError, match=message):
        small(MNIST).load("train", tmp_path)


def test_images_of_another_size_are_refused(tmp_path: Path):
    write_split(tmp_path, "train", np.zeros((4, 8, 8), np.uint8), four_images()[1])
    with pytest.raises(BadInputError, match="has 28 x 28"):
        small(MNIST).load("train", tmp_path)


def test_absent_files_are_named_with_the_remedy(tmp_path: Path):
    with pytest.raises(BadInputError, match=r"train-images-idx3-ubyte.gz .*`hasnas data prepare mnist --data-root"):
        MNIST.load("train", tmp_path)


@pytest.mark.parametrize(
    "content, message",
    [
        (bytes([0, 0, 8, 1]), "ends inside its header"),
        (bytes([0, 0, 9, 1, 0, 0, 0, 1, 7]), "not an IDX file of unsigned bytes"),
        (bytes([0, 0, 8]), "not an IDX file of unsigned bytes"),
    ],
)
def test_other_kinds_and_half_headers_are_told_apart(content: bytes, message: str):
    with pytest.raises(BadInputError, match=message):
        read_idx(content, "file")


def test_an_empty_array_is_one_too():
    assert read_idx(idx(np.zeros((0, 3), np.uint8)), "file").shape == (0, 3)


def test_images_without_an_axis_are_refused(tmp_path: Path):
    write_split(tmp_path, "train", np.zeros((4, 28), np.uint8), four_images()[1])
    with pytest.raises(BadInputError, match="has 28 x 28"):
        small(MNIST).load("train", tmp_path)


@pytest.mark.parametrize("split, label", [("train", 1), ("test", 2)])
def test_each_split_has_its_own_files(split: Split, label: int, tmp_path: Path):
    write_split(tmp_path, "train", four_images()[0], np.full(4, 1, np.uint8))
    write_split(tmp_path, "t10k", four_images()[0], np.full(4, 2, np.uint8))
    assert small(MNIST).load(split, tmp_path).targets.tolist() == [label] * 4
