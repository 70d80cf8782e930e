"""CIFAR-10 and CIFAR-100: the binary version, packed and unpacked; pickles are refused."""

import io
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hasnas.datasets.cifar import CIFAR10, CIFAR100, CifarBinary, read_records
from hasnas.datasets.source import RemoteFile, Split
from hasnas.errors import BadInputError


def records(images: np.ndarray, *labels: np.ndarray) -> bytes:
    return np.concatenate([*(label[:, None] for label in labels), images.reshape(len(images), -1)], axis=1).tobytes()


def small(source: CifarBinary) -> CifarBinary:
    files = tuple(RemoteFile(file.name) for file in source.card.files)
    return replace(source, card=replace(source.card, splits={}, files=files))


def batch(seed: int, count: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (count, 3, 32, 32), np.uint8), rng.integers(0, 10, count).astype(np.uint8)


def content_of(source: CifarBinary) -> dict[str, bytes]:
    extra = [np.full(3, 99, np.uint8)] * (source.label_bytes - 1)
    names = [name for split in source.batches.values() for name in split]
    return {name: records(batch(seed)[0], *extra, batch(seed)[1]) for seed, name in enumerate(names)}


def write_folder(source: CifarBinary, root: Path) -> None:
    folder = root / source.folder
    folder.mkdir(parents=True)
    for name, content in content_of(source).items():
        (folder / name).write_bytes(content)


def write_archive(source: CifarBinary, root: Path) -> None:
    with tarfile.open(root / source.card.files[0].name, "w:gz") as tar:
        for name, content in content_of(source).items():
            info = tarfile.TarInfo(f"{source.folder}/{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


@pytest.mark.parametrize("source", [CIFAR10, CIFAR100])
@pytest.mark.parametrize("write", [write_folder, write_archive])
@pytest.mark.parametrize("split", ["train", "test"])
def test_batches_are_read_in_order(source: CifarBinary, write, split: Split, tmp_path: Path):
    write(source, tmp_path)
    samples = small(source).load(split, tmp_path)
    train_batches = len(source.batches["train"])
    seeds = range(train_batches) if split == "train" else range(train_batches, train_batches + 1)
    np.testing.assert_array_equal(samples.inputs, np.concatenate([batch(seed)[0] for seed in seeds]))
    np.testing.assert_array_equal(samples.targets, np.concatenate([batch(seed)[1] for seed in seeds]))
    assert samples.scale == 1 / 255


def test_the_official_archive_is_told_by_its_checksum(tmp_path: Path, private_cache: Path):
    write_archive(CIFAR10, tmp_path)
    with pytest.raises(BadInputError, match="not the official file"):
        CIFAR10.load("train", tmp_path)
    assert list(private_cache.rglob("*.bin")) == []


def test_an_incomplete_copy_is_refused(tmp_path: Path):
    write_folder(CIFAR10, tmp_path)
    with pytest.raises(BadInputError, match="15 samples in the train split, but CIFAR-10 has 50000"):
        CIFAR10.load("train", tmp_path)


def test_labels_out_of_range_are_refused(tmp_path: Path):
    write_folder(CIFAR10, tmp_path)
    images, labels = batch(0)
    (tmp_path / CIFAR10.folder / "test_batch.bin").write_bytes(records(images, labels + 10))
    with pytest.raises(BadInputError, match=r"\.bin: label \d+ of sample \d+ is outside 0 to 9"):
        small(CIFAR10).load("test", tmp_path)


@pytest.mark.parametrize("content", [b"", bytes(3072), bytes(3073 * 2 - 1)])
def test_truncated_batches_are_refused(content: bytes, tmp_path: Path):
    (tmp_path / "batch.bin").write_bytes(content)
    with pytest.raises(BadInputError, match="truncated"):
        read_records(tmp_path / "batch.bin", label_bytes=1)


def test_a_missing_batch_is_refused(tmp_path: Path):
    write_folder(CIFAR10, tmp_path)
    (tmp_path / CIFAR10.folder / "data_batch_3.bin").unlink()
    with pytest.raises(BadInputError, match=r"cannot read .*data_batch_3"):
        CIFAR10.load("train", tmp_path)


@pytest.mark.parametrize("source", [CIFAR10, CIFAR100])
def test_pickles_are_not_read_and_the_remedy_is_named(source: CifarBinary, tmp_path: Path):
    (tmp_path / source.pickled[0]).mkdir()
    with pytest.raises(BadInputError, match=r"pickles.*binary version instead: https://.*binary.tar.gz"):
        source.load("train", tmp_path)
