"""Every dataset of ours: on small files in each official format, and on real data under $HASNAS_DATA_ROOT."""

import io
import os
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from PIL import Image
from scipy.io import savemat

from hasnas.conformance import CheckDatasetSource
from hasnas.conformance.dataset_source import Opened
from hasnas.datasets.bragg import BraggPeaks
from hasnas.datasets.catalog import Seen, open_dataset
from hasnas.datasets.commands import list_datasets
from hasnas.datasets.event_dataset import EventDataset
from hasnas.datasets.source import DATASETS, SPLITS, DatasetSource, RemoteFile

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


def write_signals(root: Path) -> None:
    np.savez(root / "train.npz", inputs=RNG.random((20, 2, 30)), targets=np.arange(20) % 4)


def write_event_folder(root: Path) -> None:
    for name in ("left", "right"):
        (root / name).mkdir()
        for number in range(5):
            places = {axis: RNG.integers(0, side, 3) for axis, side in (("x", 5), ("y", 4), ("p", 2))}
            np.savez(root / name / f"{number}.npz", t=TIMES_US, **places)


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
    "bragg-generated": lambda root: None,
    "bragg-peaks": write_bragg,
    "cifar10": write_cifar("cifar-10-batches-bin", CIFAR10_BATCHES, 1),
    "cifar10-dvs": write_cifar10_dvs,
    "cifar10-jpeg": write_cifar_jpeg,
    "cifar100": write_cifar("cifar-100-binary", ("train.bin", "test.bin"), 2),
    "digits": lambda root: None,
    "japanese-vowels": lambda root: None,
    "dvs128-gesture": write_gestures,
    "event-folder": write_event_folder,
    "fashion-mnist": write_idx,
    "image-folder": write_image_folder,
    "mnist": write_idx,
    "nmnist": write_nmnist,
    "nmnist-small": write_nmnist,
    "signal": write_signals,
    "svhn": write_svhn,
    "tiny-imagenet": write_tiny_imagenet,
}
REAL_ROOT = os.environ.get("HASNAS_DATA_ROOT")
REAL = [row.card.name for row in list_datasets() if row.state == "present"] if REAL_ROOT else []


def without_official_numbers(source: Any, root: Path) -> DatasetSource:
    """The same reader for a small copy: neither checksums nor numbers of samples are those of the official files."""
    if isinstance(source, Seen):
        source = source.seen_by((4, 5))
    if hasattr(source, "located"):
        return source.located(root)
    if not source.card.files:
        return source
    files = tuple(RemoteFile(file.name) for file in source.card.files)
    holder = {EventDataset: "recorded", BraggPeaks: "base"}.get(type(source), "card")
    return replace(source, **{holder: replace(getattr(source, holder), splits={}, files=files)})




class TestSmallCopies(CheckDatasetSource):
    names = tuple(name for name in DATASETS.names() if type(DATASETS.get(name)).__module__.startswith("hasnas."))

    def write_files(self, name: str, root: Path) -> None:
        WRITERS[name](root)

    def open(self, name: str, root: Path) -> Opened:
        self.write_files(name, root)
        return without_official_numbers(self.build(name), root), root


class TestRealData(CheckDatasetSource):
    names = REAL

    def open(self, name: str, root: Path) -> Opened:
        return open_dataset(name), Path(str(REAL_ROOT))
