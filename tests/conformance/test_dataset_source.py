"""What every dataset keeps to: shown on small files in each official format, and on real data under $HASNAS_DATA_ROOT.

A dataset from elsewhere can be put to the same test: add how to write a small copy of it to `WRITERS`.
"""

import io
import os
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from hasnas.datasets.bragg import BraggPeaks
from hasnas.datasets.catalog import open_dataset
from hasnas.datasets.commands import list_datasets
from hasnas.datasets.event_dataset import EventDataset
from hasnas.datasets.source import DATASETS, SPLITS, DatasetSource, RemoteFile, Split
from hasnas.errors import BadInputError

RNG = np.random.default_rng(0)
TIMES_US = (10, 20, 30)


def idx(values: np.ndarray) -> bytes:
    return struct.pack(f">BBBB{values.ndim}I", 0, 0, 8, values.ndim, *values.shape) + values.tobytes()


def write_idx(root: Path) -> None:
    for prefix in ("train", "t10k"):
        (root / f"{prefix}-images-idx3-ubyte").write_bytes(idx(RNG.integers(0, 256, (10, 28, 28), np.uint8)))
        (root / f"{prefix}-labels-idx1-ubyte").write_bytes(idx(np.arange(10, dtype=np.uint8)))


def write_cifar(folder: str, batches: tuple[str, ...], label_bytes: int) -> Callable[[Path], None]:
    def write(root: Path) -> None:
        (root / folder).mkdir()
        for name in batches:
            records = RNG.integers(0, 256, (10, label_bytes + 3072), np.uint8)
            records[:, :label_bytes] = np.arange(10)[:, None]
            (root / folder / name).write_bytes(records.tobytes())

    return write


def image(file: Path | io.BytesIO, size: int, format_: str) -> None:
    Image.fromarray(RNG.integers(0, 256, (size, size, 3), np.uint8)).save(file, format_)


def write_cifar_jpeg(root: Path) -> None:
    streams = []
    for _ in range(20):
        buffer = io.BytesIO()
        image(buffer, 32, "JPEG")
        streams.append(buffer.getvalue())
    np.savez(
        root / "cifar10_jpeg.npz",
        jpeg=np.frombuffer(b"".join(streams), np.uint8),
        offset=np.cumsum([0, *map(len, streams)]),
        label=np.tile(np.arange(10), 2),
        is_test=np.arange(20) >= 10,
    )


def write_svhn(root: Path) -> None:
    for name in ("train_32x32.mat", "test_32x32.mat"):
        images = RNG.integers(0, 256, (32, 32, 3, 10), np.uint8)
        savemat(root / name, {"X": images, "y": np.arange(1, 11, dtype=np.uint8)[:, None]})


def write_tiny_imagenet(root: Path) -> None:
    folder = root / "tiny-imagenet-200"
    (folder / "val" / "images").mkdir(parents=True)
    (folder / "wnids.txt").write_text("n0\nn1\n")
    (folder / "val" / "val_annotations.txt").write_text("a.JPEG\tn0\t0\nb.JPEG\tn1\t0\n")
    for synset, name in (("n0", "a.JPEG"), ("n1", "b.JPEG")):
        (folder / "train" / synset / "images").mkdir(parents=True)
        image(folder / "train" / synset / "images" / name, 64, "JPEG")
        image(folder / "val" / "images" / name, 64, "JPEG")


def write_image_folder(root: Path) -> None:
    for split in SPLITS:
        for name in ("cat", "dog"):
            (root / split / name).mkdir(parents=True)
            image(root / split / name / "a.png", 16, "PNG")


def write_arrays(root: Path) -> None:
    inputs = RNG.integers(0, 256, (20, 4, 2, 3, 3), np.uint8)
    np.savez(root / "train.npz", inputs=inputs, targets=np.arange(20) % 4)


def write_nmnist(root: Path) -> None:
    for split in ("Train", "Test"):
        for digit in range(10):
            (root / split / str(digit)).mkdir(parents=True)
            content = b"".join(bytes([digit, 3, 0x80, 0, time]) for time in TIMES_US)
            (root / split / str(digit) / f"{digit:05}.bin").write_bytes(content)


def write_cifar10_dvs(root: Path) -> None:
    body = b"".join(struct.pack(">II", 5 << 8 | 7 << 1, time) for time in TIMES_US)
    for name in DATASETS.get("cifar10-dvs").card.class_names:
        (root / name).mkdir()
        for number in (1, 950):
            (root / name / f"cifar10_{name}_{number}.aedat").write_bytes(b"#!AER-DAT2.0\r\n" + body)


def write_gestures(root: Path) -> None:
    folder = root / "DvsGesture"
    folder.mkdir()
    body = b"".join(struct.pack("<II", 3 << 17 | 4 << 2 | 3, time) for time in TIMES_US)
    packet = struct.pack("<HHIIIIII", 1, 1, 8, 4, 0, 3, 3, 3) + body
    rows = "".join(f"{label},0,100\n" for label in range(1, 12))
    for split in SPLITS:
        (folder / f"trials_to_{split}.txt").write_text(f"{split}.aedat\n")
        (folder / f"{split}_labels.csv").write_text(f"class,startTime_usec,endTime_usec\n{rows}")
        (folder / f"{split}.aedat").write_bytes(b"#!AER-DAT3.1\r\n#!END-HEADER\r\n" + packet)


def write_bragg(root: Path) -> None:
    with h5py.File(root / "frames-exp4train.hdf5", "w") as file:
        file["frames"] = RNG.random((2, 32, 32), np.float32)
    with h5py.File(root / "peaks-exp4train-psz11.hdf5", "w") as file:
        file["peak_fidx"] = np.arange(10) % 2
        file["peak_row"] = file["peak_col"] = np.linspace(8, 24, 10, dtype=np.float32)
        file["npeaks"] = np.ones(10, np.uint16)
        file["deviations"] = np.zeros(10, np.float32)


CIFAR10_BATCHES = (*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin")
WRITERS: dict[str, Callable[[Path], None]] = {
    "arrays": write_arrays,
    "bragg-peaks": write_bragg,
    "cifar10": write_cifar("cifar-10-batches-bin", CIFAR10_BATCHES, 1),
    "cifar10-dvs": write_cifar10_dvs,
    "cifar10-jpeg": write_cifar_jpeg,
    "cifar100": write_cifar("cifar-100-binary", ("train.bin", "test.bin"), 2),
    "digits": lambda root: None,
    "dvs128-gesture": write_gestures,
    "fashion-mnist": write_idx,
    "image-folder": write_image_folder,
    "mnist": write_idx,
    "nmnist": write_nmnist,
    "nmnist-small": write_nmnist,
    "svhn": write_svhn,
    "tiny-imagenet": write_tiny_imagenet,
}
REAL_ROOT = os.environ.get("HASNAS_DATA_ROOT")
REAL = [row.card.name for row in list_datasets() if row.state == "present"] if REAL_ROOT else []


def without_official_numbers(source: Any, root: Path) -> DatasetSource:
    """The same reader for a small copy: neither checksums nor numbers of samples are those of the official files."""
    if hasattr(source, "located"):
        return source.located(root)
    if not source.card.files:
        return source
    files = tuple(RemoteFile(file.name) for file in source.card.files)
    holder = {EventDataset: "recorded", BraggPeaks: "base"}.get(type(source), "card")
    return replace(source, **{holder: replace(getattr(source, holder), splits={}, files=files)})


Opened = tuple[DatasetSource, Path]


@pytest.fixture(params=[*WRITERS, *(f"real {name}" for name in REAL)])
def opened(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Opened:
    if request.param.startswith("real "):
        return open_dataset(request.param.removeprefix("real ")), Path(str(REAL_ROOT))
    monkeypatch.setenv("HASNAS_CACHE", str(tmp_path / "cache"))
    root = tmp_path / "root"
    root.mkdir()
    WRITERS[request.param](root)
    return without_official_numbers(DATASETS.get(request.param), root), root


def test_every_dataset_is_put_to_the_test():
    ours = [name for name in DATASETS.names() if type(DATASETS.get(name)).__module__.startswith("hasnas.")]
    assert sorted(WRITERS) == ours


@pytest.mark.parametrize("name", DATASETS.names())
def test_card_tells_all_a_user_must_know(name: str):
    source = DATASETS.get(name)
    assert isinstance(source, DatasetSource)
    card = source.card
    assert card.name == name
    assert card.title
    assert card.licence
    assert card.citation
    assert len(card.input_shape) == 3
    assert card.task in ("classification", "regression")
    assert not card.class_names or len(card.class_names) == card.classes
    assert all(len(digest) == 64 for digest in card.checksums.values())
    assert all(not file.url or file.url.startswith("http") for file in card.files)
    assert all(count > 0 for count in card.splits.values())


@pytest.mark.parametrize("split", SPLITS)
def test_samples_are_what_the_card_says(opened: Opened, split: Split):
    source, root = opened
    card, samples = source.card, source.load(split, root)
    assert len(samples) == card.splits.get(split, len(samples)) > 0
    assert samples.inputs.shape[1:] == (*([card.timesteps] if card.timesteps else []), *card.input_shape)
    some = np.arange(min(len(samples), 100))
    assert np.isfinite(samples.floats(some)).all()
    assert samples.floats(some).any()
    if not card.timesteps:
        assert samples.floats(some).min() >= 0
        assert samples.floats(some).max() <= 1


@pytest.mark.parametrize("split", SPLITS)
def test_targets_fit_the_task(opened: Opened, split: Split):
    source, root = opened
    card, targets = source.card, source.load(split, root).targets
    if card.task == "regression":
        assert targets.dtype == np.float32
        assert targets.shape[1:] == (card.outputs,)
        assert np.isfinite(targets).all()
    else:
        assert targets.dtype == np.int64
        assert targets.ndim == 1
        assert targets.min() >= 0
        assert targets.max() < card.classes


def test_loading_twice_gives_the_same(opened: Opened):
    source, root = opened
    first, second = source.load("test", root), source.load("test", root)
    np.testing.assert_array_equal(first.inputs, second.inputs)
    np.testing.assert_array_equal(first.targets, second.targets)


def test_the_files_are_only_read(opened: Opened):
    source, root = opened

    def listing() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in root.rglob("*")}

    before = listing()
    source.load("train", root)
    assert listing() == before


@pytest.mark.parametrize("name", DATASETS.names())
def test_an_unknown_split_is_refused(name: str, tmp_path: Path):
    with pytest.raises(BadInputError, match="choose train or test"):
        DATASETS.get(name).load("validation", tmp_path)


@pytest.mark.parametrize("name", [name for name in DATASETS.names() if name != "digits"])
def test_absent_files_are_reported_in_one_line(name: str, tmp_path: Path):
    with pytest.raises(BadInputError) as caught:
        DATASETS.get(name).load("train", tmp_path / "nothing")
    assert "\n" not in str(caught.value)
    assert str(tmp_path / "nothing") in str(caught.value)
