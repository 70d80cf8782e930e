"""Damaged archives, recordings, labels and arrays, each in a data root of its own."""

from __future__ import annotations

import gzip
import io
import lzma
import struct
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

ZEROS = bytes(50 << 20)


def event(x: int, y: int, t_us: int) -> bytes:
    """Five bytes of N-MNIST."""
    return bytes([x, y, 0x80 | t_us >> 16, t_us >> 8 & 255, t_us & 255])


def tar(path: Path, members: Mapping[str, bytes], links: Sequence[tuple[str, str, bytes]] = ()) -> None:
    """A tar archive compressed as its name says; links are (name, target, type)."""
    opener = {".xz": lzma.open, ".gz": gzip.open}[path.suffix]
    with opener(path, "wb") as packed, tarfile.open(fileobj=packed, mode="w") as file:  # type: ignore[operator]
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            file.addfile(info, io.BytesIO(content))
        for name, target, kind in links:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            file.addfile(info)


def zipped(path: Path, members: Mapping[str, bytes], link: str | None = None) -> None:
    """A zip archive, perhaps with a symbolic link to /etc/passwd."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name, content)
        if link is not None:
            info = zipfile.ZipInfo(link)
            info.external_attr = 0o120777 << 16
            file.writestr(info, "/etc/passwd")


def spoil(path: Path, how: str) -> None:
    """Overwrite the middle of a file, or cut its end off."""
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    if how == "cut":
        data = data[: -max(len(data) // 4, 1)]
    else:
        data[middle : middle + 16] = bytes(byte ^ 0x5A for byte in data[middle : middle + 16])
    path.write_bytes(data)


def recordings(count: int = 40) -> dict[str, bytes]:
    """Sound N-MNIST recordings by the path in their archive."""
    rng = np.random.default_rng(0)
    return {
        f"Train/{index % 10}/{index:05d}.bin": b"".join(
            event(int(x), int(y), 10 * step) for step, (x, y) in enumerate(rng.integers(0, 34, (50, 2)))
        )
        for index in range(count)
    }


def nmnist(root: Path, first: bytes) -> None:
    """The folders of `nmnist-small`; the first recording is given."""
    for split, count in (("Train", 1000), ("Test", 100)):
        for index in range(count):
            path = root / split / str(index % 10) / f"{index:05d}.bin"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(first if index == 0 else event(1, 2, 3))


def gestures(root: Path, events: Sequence[tuple[int, int, int]], cut: int = 0, label: int = 1) -> None:
    """DVS128 Gesture with all its clips in one recording; events are (x, y, microseconds)."""
    folder = root / "DvsGesture"
    folder.mkdir(parents=True)
    words = b"".join(struct.pack("<II", x << 17 | y << 2 | 3, t_us) for x, y, t_us in events)
    sizes = struct.pack("<HHIIIIII", 1, 1, 8, 4, 0, len(events), len(events), len(events))
    content = b"#!AER-DAT3.1\r\n#!END-HEADER\r\n" + sizes + words
    (folder / "user01_led.aedat").write_bytes(content[: len(content) - cut])
    rows = [f"{label},0,1000"] + ["2,0,1000"] * 1175
    (folder / "user01_led_labels.csv").write_text("class,startTime_usec,endTime_usec\n" + "\n".join(rows) + "\n")
    (folder / "trials_to_train.txt").write_text("user01_led.aedat\n")


def cifar10_dvs(root: Path, first: Sequence[tuple[int, int]], cut: int = 0) -> None:
    """CIFAR10-DVS with a few events a recording; those of the first one are (address, microseconds)."""
    classes = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
    header = b"#!AER-DAT2.0\r\n"
    sound = header + struct.pack(">II", 5, 1)
    for name in classes:
        (root / name).mkdir(parents=True)
        for number in range(1000):
            (root / name / f"cifar10_{name}_{number}.aedat").write_bytes(sound)
    broken = header + b"".join(struct.pack(">II", address, t_us) for address, t_us in first)
    (root / "airplane" / "cifar10_airplane_0.aedat").write_bytes(broken[: len(broken) - cut])


def cifar10(root: Path, label: int) -> None:
    """CIFAR-10 unpacked: black aeroplanes, and one other label."""
    folder = root / "cifar-10-batches-bin"
    folder.mkdir(parents=True)
    for name in (*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin"):
        with open(folder / name, "wb") as file:
            file.truncate(3073 * 10_000)
    with open(folder / "data_batch_2.bin", "r+b") as file:
        file.seek(3073 * 7)
        file.write(bytes([label]))


def arrays(path: Path, nan: bool = False, label: int | None = None, count: int = 120) -> None:
    """A user's own arrays: `count` images of 8 x 8 pixels in three classes."""
    rng = np.random.default_rng(0)
    inputs = rng.random((count, 1, 8, 8), np.float32)
    targets = np.arange(count) % 3
    if nan:
        inputs[5, 0, 3, 3] = np.nan
    if label is not None:
        targets[7] = label
    np.savez(path, inputs=inputs, targets=targets)


def images(root: Path, stray_class: bool = False) -> None:
    """An image folder with two classes; one image is unreadable unless a class is stray."""
    from PIL import Image

    for name in ("train/cat", "train/dog", "test/cat", *(["test/cow"] if stray_class else [])):
        (root / name).mkdir(parents=True)
        for index in range(3):
            pixels = np.random.default_rng(index).integers(0, 256, (16, 16, 3), np.uint8)
            Image.fromarray(pixels).save(root / name / f"{index}.png")
    if not stray_class:
        spoil(root / "train" / "dog" / "1.png", "cut")


def idx(path: Path, labels: Sequence[int]) -> None:
    """A file of labels in MNIST's format, compressed."""
    path.write_bytes(gzip.compress(struct.pack(">BBBBI", 0, 0, 8, 1, len(labels)) + bytes(labels)))
