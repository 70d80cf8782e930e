"""Tiny-ImageNet-200 from its official archive; its labelled validation images are the test split."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hasnas.errors import BadInputError
from hasnas.files import read_text

from .cache import Allocate, Array, cached_arrays, fingerprint_of
from .images import decode_files
from .official import check_count, check_labels, find_folder
from .source import DatasetCard, RemoteFile, Samples, Split, check_split

FOLDER = "tiny-imagenet-200"


@dataclass(frozen=True)
class TinyImageNet:
    """200 classes of ImageNet at 64 x 64; classes are numbered by the order of `wnids.txt`.

    Args:
        card: the dataset; its one file is the archive.
    """

    card: DatasetCard

    def load(self, split: Split, root: Path | None = None) -> Samples:
        """The samples of a split as uint8 images `[N, 3, 64, 64]` with scale 1/255, decoded once and cached."""
        check_split(split)
        folder = find_folder(self.card, [FOLDER], self.card.files, root)
        classes = {name: index for index, name in enumerate(read_text(folder / "wnids.txt").split())}
        files, labels = (_train_files if split == "train" else _validation_files)(folder, classes)
        check_count(self.card, split, len(files), folder)

        def build(allocate: Allocate) -> tuple[Array, Array]:
            _, height, width = self.card.input_shape
            images = allocate((len(files), *self.card.input_shape), np.uint8)
            decode_files(files, 3, (height, width), images)
            return images, np.array(labels, np.int64)

        images, targets = cached_arrays(self.card.name, fingerprint_of(files, {"labels": labels}), build)
        return Samples(images, check_labels(targets, self.card.classes, folder), 1 / 255)


def _train_files(folder: Path, classes: dict[str, int]) -> tuple[list[Path], list[int]]:
    files = [(path, classes[name]) for name in classes for path in sorted((folder / "train" / name).glob("images/*"))]
    return [path for path, _ in files], [label for _, label in files]


def _validation_files(folder: Path, classes: dict[str, int]) -> tuple[list[Path], list[int]]:
    annotations = folder / "val" / "val_annotations.txt"
    files: list[Path] = []
    labels: list[int] = []
    for number, line in enumerate(read_text(annotations).splitlines(), start=1):
        name, _, rest = line.partition("\t")
        synset = rest.split("\t")[0]
        if synset not in classes or "/" in name:
            raise BadInputError(f"{annotations}, line {number}: '{synset}' is not in wnids.txt; fetch it again")
        files.append(folder / "val" / "images" / name)
        labels.append(classes[synset])
    missing = [path for path in files if not path.exists()]
    if missing:
        raise BadInputError(f"{missing[0]} is missing ({len(missing)} in all); fetch the archive again")
    return files, labels


TINY_IMAGENET = TinyImageNet(
    DatasetCard(
        name="tiny-imagenet",
        title="Tiny-ImageNet-200",
        task="classification",
        input_shape=(3, 64, 64),
        outputs=200,
        splits={"train": 100_000, "test": 10_000},
        licence="ImageNet terms: non-commercial research and education",
        citation="Y. Le, X. Yang: Tiny ImageNet Visual Recognition Challenge. CS 231N, Stanford, 2015",
        files=(
            RemoteFile(
                "tiny-imagenet-200.zip",
                url="http://cs231n.stanford.edu/tiny-imagenet-200.zip",
                md5="90528d7ca1a48142e341f4ef8d21d0de",
            ),
        ),
        notes="the official validation images are the test split: the official test images have no labels",
    )
)
