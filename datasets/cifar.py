"""CIFAR-10 and CIFAR-100 from their official binary files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hasnas.errors import BadInputError

from .official import candidates, check_count, check_labels, find_folder
from .source import DatasetCard, RemoteFile, Samples, Split, check_split

IMAGE_BYTES = 3 * 32 * 32
PIXEL_SCALE = 1 / 255


def read_records(path: Path, label_bytes: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Images and labels of one binary batch.

    A record is one byte per label (CIFAR-100: coarse, then fine) and 3,072 bytes of pixels: the red, green and blue
    planes of 32 x 32, row by row.

    Args:
        path: the batch.
        label_bytes: labels in a record.

    Returns:
        Images `[N, 3, 32, 32]` and the last label of each record `[N]`.

    Raises:
        BadInputError: if the file does not hold whole records.

    Source: A. Krizhevsky, "The CIFAR-10 dataset", section "Binary version".
    """
    try:
        content = np.fromfile(path, np.uint8)
    except OSError as error:
        raise BadInputError(f"cannot read {path}: {error.strerror or error}; fetch it again") from error
    size = label_bytes + IMAGE_BYTES
    if content.size == 0 or content.size % size:
        raise BadInputError(f"{path} has {content.size} bytes, no multiple of {size}; it is truncated, fetch it again")
    records = content.reshape(-1, size)
    return records[:, label_bytes:].reshape(-1, 3, 32, 32), records[:, label_bytes - 1]


@dataclass(frozen=True)
class CifarBinary:
    """A CIFAR dataset in its binary version, packed or unpacked.

    Args:
        card: the dataset; its one file is the archive.
        folder: folder in the archive.
        batches: files of each split.
        label_bytes: labels in a record, the wanted one last.
        pickled: folder and archive of the version that holds Python pickles.
    """

    card: DatasetCard
    folder: str
    batches: dict[str, tuple[str, ...]]
    label_bytes: int
    pickled: tuple[str, ...]

    def load(self, split: Split, root: Path | None = None) -> Samples:
        """The samples of a split as uint8 images `[N, 3, 32, 32]` with scale 1/255."""
        check_split(split)
        folder = self._folder(root)
        parts = [self._batch(folder / name) for name in self.batches[split]]
        labels = np.concatenate([labels for _, labels in parts])
        check_count(self.card, split, len(labels), folder)
        return Samples(np.concatenate([images for images, _ in parts]), labels, PIXEL_SCALE)

    def _batch(self, path: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        images, labels = read_records(path, self.label_bytes)
        return images, check_labels(labels, self.card.classes, path)

    def _folder(self, root: Path | None) -> Path:
        try:
            return find_folder(self.card, [self.folder], self.card.files, root)
        except BadInputError as error:
            for name in self.pickled:
                for path in candidates(self.card, name, root):
                    if path.exists():
                        raise BadInputError(
                            f"{path} holds Python pickles, which may run any code and are not read; "
                            f"fetch the binary version instead: {self.card.files[0].url}"
                        ) from error
            raise


CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
CITATION = "A. Krizhevsky: Learning Multiple Layers of Features from Tiny Images. Technical report, Toronto, 2009"

CIFAR10 = CifarBinary(
    DatasetCard(
        name="cifar10",
        title="CIFAR-10",
        task="classification",
        input_shape=(3, 32, 32),
        outputs=10,
        splits={"train": 50_000, "test": 10_000},
        licence="none stated",
        citation=CITATION,
        class_names=CIFAR10_CLASSES,
        files=(
            RemoteFile(
                "cifar-10-binary.tar.gz",
                "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
                "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
                170_052_171,
            ),
        ),
    ),
    folder="cifar-10-batches-bin",
    batches={"train": tuple(f"data_batch_{number}.bin" for number in range(1, 6)), "test": ("test_batch.bin",)},
    label_bytes=1,
    pickled=("cifar-10-batches-py", "cifar-10-python.tar.gz"),
)

CIFAR100 = CifarBinary(
    DatasetCard(
        name="cifar100",
        title="CIFAR-100",
        task="classification",
        input_shape=(3, 32, 32),
        outputs=100,
        splits={"train": 50_000, "test": 10_000},
        licence="none stated",
        citation=CITATION,
        files=(
            RemoteFile(
                "cifar-100-binary.tar.gz",
                "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
                "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
                168_513_733,
            ),
        ),
        notes="the 100 fine labels",
    ),
    folder="cifar-100-binary",
    batches={"train": ("train.bin",), "test": ("test.bin",)},
    label_bytes=2,
    pickled=("cifar-100-python", "cifar-100-python.tar.gz"),
)
