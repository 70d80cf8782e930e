"""MNIST and Fashion-MNIST from their official IDX files."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hasnas.errors import BadInputError

from .official import check_count, check_labels, find, read_verified
from .source import DatasetCard, RemoteFile, Samples, Split, check_split

UNSIGNED_BYTE = 0x08
PIXEL_SCALE = 1 / 255


def read_idx(content: bytes, where: Path | str) -> NDArray[np.uint8]:
    """The array in an IDX file of unsigned bytes.

    The file holds two zero bytes, the type 0x08, the number of axes, the length of each axis as big-endian 32-bit
    integers, and the values, last axis fastest.

    Args:
        content: the file's bytes.
        where: the file, for messages.

    Raises:
        BadInputError: if it is another kind of file or has another length than its header says.

    Source: Y. LeCun, C. Cortes, C. Burges, The MNIST database, "File formats".

    >>> read_idx(bytes([0, 0, 8, 1, 0, 0, 0, 2, 7, 9]), "labels")
    array([7, 9], dtype=uint8)
    """
    if len(content) < 4 or content[:3] != bytes([0, 0, UNSIGNED_BYTE]):
        raise BadInputError(f"{where} is not an IDX file of unsigned bytes; fetch the official file")
    axes = content[3]
    start = 4 + 4 * axes
    if len(content) < start:
        raise BadInputError(f"{where} ends inside its header; fetch it again")
    shape = struct.unpack(f">{axes}I", content[4:start])
    if len(content) - start != np.prod(shape, dtype=object):
        raise BadInputError(
            f"{where} holds {len(content) - start} bytes of data, its header promises {list(shape)}; fetch it again"
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


@dataclass(frozen=True)
class IdxDataset:
    """Grey images and labels in four IDX files, packed by gzip or not.

    Args:
        card: the dataset; `card.files` are training images, training labels, test images, test labels.
    """

    card: DatasetCard

    def load(self, split: Split, root: Path | None = None) -> Samples:
        """The samples of a split as uint8 images `[N, 1, H, W]` with scale 1/255."""
        check_split(split)
        images_file, labels_file = self.card.files[:2] if split == "train" else self.card.files[2:4]
        images, where = self._read(images_file, root)
        if images.ndim != 3 or images.shape[1:] != self.card.input_shape[1:]:
            raise BadInputError(f"{where}: images of shape {list(images.shape[1:])}; {self.card.title} has 28 x 28")
        labels, where = self._read(labels_file, root)
        check_count(self.card, split, len(labels), where)
        return Samples(images[:, None], check_labels(labels, self.card.classes, where), PIXEL_SCALE)

    def _read(self, file: RemoteFile, root: Path | None) -> tuple[NDArray[np.uint8], Path]:
        path = find(self.card, [file.name, file.name.removesuffix(".gz")], root)
        return read_idx(read_verified(file, path), path), path


def _idx_files(base_url: str, digests: tuple[tuple[str, int, str, str], ...]) -> tuple[RemoteFile, ...]:
    return tuple(
        RemoteFile(name, sha256, f"{base_url}/{name}", size, content_sha256=content)
        for name, size, sha256, content in digests
    )


MNIST = IdxDataset(
    DatasetCard(
        name="mnist",
        title="MNIST",
        task="classification",
        input_shape=(1, 28, 28),
        outputs=10,
        splits={"train": 60_000, "test": 10_000},
        licence="CC BY-SA 3.0",
        citation="Y. LeCun, L. Bottou, Y. Bengio, P. Haffner: Gradient-based learning applied to document recognition. "
        "Proc. IEEE 86(11), 1998",
        class_names=tuple("0123456789"),
        files=_idx_files(
            "https://storage.googleapis.com/cvdf-datasets/mnist",
            (
                (
                    "train-images-idx3-ubyte.gz",
                    9_912_422,
                    "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
                    "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
                ),
                (
                    "train-labels-idx1-ubyte.gz",
                    28_881,
                    "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
                    "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
                ),
                (
                    "t10k-images-idx3-ubyte.gz",
                    1_648_877,
                    "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
                    "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
                ),
                (
                    "t10k-labels-idx1-ubyte.gz",
                    4_542,
                    "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
                    "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
                ),
            ),
        ),
    )
)

FASHION_CLASSES = (
    "T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"
)  # fmt: skip

FASHION_MNIST = IdxDataset(
    DatasetCard(
        name="fashion-mnist",
        title="Fashion-MNIST",
        task="classification",
        input_shape=(1, 28, 28),
        outputs=10,
        splits={"train": 60_000, "test": 10_000},
        licence="MIT",
        citation="H. Xiao, K. Rasul, R. Vollgraf: Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine "
        "Learning Algorithms. arXiv:1708.07747, 2017",
        class_names=FASHION_CLASSES,
        files=_idx_files(
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
            (
                (
                    "train-images-idx3-ubyte.gz",
                    26_421_880,
                    "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
                    "",
                ),
                (
                    "train-labels-idx1-ubyte.gz",
                    29_515,
                    "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
                    "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
                ),
                (
                    "t10k-images-idx3-ubyte.gz",
                    4_422_102,
                    "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
                    "",
                ),
                (
                    "t10k-labels-idx1-ubyte.gz",
                    5_148,
                    "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
                    "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
                ),
            ),
        ),
    )
)
