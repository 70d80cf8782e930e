"""SVHN, cropped digits, from its official MATLAB files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hasnas.errors import BadInputError

from .cache import Allocate, Array, cached_arrays, fingerprint_of
from .download import verify
from .official import check_count, check_labels, find
from .source import DatasetCard, RemoteFile, Samples, Split, check_split


@dataclass(frozen=True)
class Svhn:
    """House-number digits, 32 x 32 colour; the files call the digit 0 class 10.

    Args:
        card: the dataset; its files are the training and the test split.
    """

    card: DatasetCard

    def load(self, split: Split, root: Path | None = None) -> Samples:
        """The samples of a split as uint8 images `[N, 3, 32, 32]` with scale 1/255, read once and cached."""
        check_split(split)
        file = self.card.files[0 if split == "train" else 1]
        path = find(self.card, [file.name], root)

        def build(allocate: Allocate) -> tuple[Array, Array]:
            verify(file, path)
            return _read(path, allocate)

        images, labels = cached_arrays(self.card.name, fingerprint_of([path], {}), build)
        check_count(self.card, split, len(labels), path)
        return Samples(images, check_labels(labels, self.card.classes, path), 1 / 255)


def _read(path: Path, allocate: Allocate) -> tuple[Array, Array]:
    content = _read_mat(path)
    if not {"X", "y"} <= content.keys() or content["X"].ndim != 4 or content["X"].shape[:3] != (32, 32, 3):
        raise BadInputError(f"{path} does not hold images X [32, 32, 3, N] and labels y; fetch the cropped-digit files")
    pixels, labels = content["X"], content["y"].ravel()
    if pixels.shape[3] != len(labels):
        raise BadInputError(f"{path}: {pixels.shape[3]} images but {len(labels)} labels; fetch it again")
    if labels.size and (labels.min() < 1 or labels.max() > 10):
        raise BadInputError(f"{path}: labels from {labels.min()} to {labels.max()}, expected 1 to 10; fetch it again")
    images = allocate((len(labels), 3, 32, 32), np.uint8)
    images[:] = pixels.transpose(3, 2, 0, 1)
    return images, (labels % 10).astype(np.int64)


def _read_mat(path: Path) -> dict[str, NDArray[Any]]:
    from scipy.io import loadmat

    try:
        return loadmat(path, variable_names=["X", "y"])
    except Exception as error:  # scipy raises whatever a damaged file leads its parser to
        raise BadInputError(f"{path} is not a readable MATLAB file ({error}); fetch it again") from error


SVHN = Svhn(
    DatasetCard(
        name="svhn",
        title="SVHN, cropped digits",
        task="classification",
        input_shape=(3, 32, 32),
        outputs=10,
        splits={"train": 73_257, "test": 26_032},
        licence="non-commercial use only",
        citation="Y. Netzer, T. Wang, A. Coates, A. Bissacco, B. Wu, A. Y. Ng: Reading Digits in Natural Images with "
        "Unsupervised Feature Learning. NIPS workshop, 2011",
        class_names=tuple("0123456789"),
        files=(
            RemoteFile(
                "train_32x32.mat",
                "435e94d69a87fde4fd4d7f3dd208dfc32cb6ae8af2240d066de1df7508d083b8",
                "http://ufldl.stanford.edu/housenumbers/train_32x32.mat",
                182_040_794,
            ),
            RemoteFile(
                "test_32x32.mat",
                "cdce80dfb2a2c4c6160906d0bd7c68ec5a99d7ca4831afa54f09182025b6a75b",
                "http://ufldl.stanford.edu/housenumbers/test_32x32.mat",
                64_275_384,
            ),
        ),
    )
)
