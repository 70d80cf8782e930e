"""A user's folder of images, one subfolder a class: also the layout of ImageNet and Imagenette."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from hasnas.errors import BadInputError

from .arrays import TEST_SEED, TEST_SHARE
from .cache import Allocate, Array, cached_arrays, fingerprint_of
from .images import SUFFIXES, decode_files, decode_image, image_files
from .source import DatasetCard, Samples, Split, check_split, data_root, stratified_split

TRAIN_FOLDERS = ("train",)
TEST_FOLDERS = ("test", "val", "validation")


@dataclass(frozen=True)
class ImageFolder:
    """Images in `ROOT/train/<class>/...` and `ROOT/test/<class>/...` (or `val`).

    Without a test folder (or with the classes right under the root) a stratified 20 % are the test split, always the
    same ones. Every image is scaled to cover the wanted size and cropped around the centre.

    Args:
        path: the folder; None until it is known.
        size: height and width of the samples; None takes those of the first image.
        channels: 3 for colour, 1 for grey.
    """

    path: Path | None = None
    size: tuple[int, int] | None = None
    channels: int = 3

    def located(self, root: Path) -> ImageFolder:
        """The same source reading from `root`."""
        return replace(self, path=root)

    @cached_property
    def card(self) -> DatasetCard:
        """What the dataset is; read from the folder once its place is known."""
        card = DatasetCard(
            name="image-folder",
            title="Image folder",
            task="classification",
            input_shape=(self.channels, 0, 0),
            outputs=0,
            splits={},
            licence="the user's",
            citation="none: the user's own data",
            notes="one subfolder a class",
        )
        if self.path is None:
            return card
        names = _class_names(self.path)
        sizes = {split: len(_files(self.path, names, split)[0]) for split in ("train", "test")}
        shape = (self.channels, *self._size(_files(self.path, names, "train")[0]))
        title = f"Images in {self.path.name}"
        return replace(card, title=title, input_shape=shape, outputs=len(names), splits=sizes, class_names=names)

    def load(self, split: Split, root: Path | None = None) -> Samples:
        """The samples of a split as uint8 images `[N, C, H, W]` with scale 1/255, decoded once and cached."""
        check_split(split)
        folder = self.path or data_root(root)
        names = _class_names(folder)
        files, labels = _files(folder, names, split)
        size = self._size(_files(folder, names, "train")[0])

        def build(allocate: Allocate) -> tuple[Array, Array]:
            images = allocate((len(files), self.channels, *size), np.uint8)
            decode_files(files, self.channels, size, images)
            return images, labels

        options = {"size": size, "channels": self.channels, "labels": labels.tolist()}
        images, targets = cached_arrays("image-folder", fingerprint_of(files, options), build)
        return Samples(images, targets, 1 / 255)

    def _size(self, files: list[Path]) -> tuple[int, int]:
        if self.size:
            return self.size
        height, width = decode_image(files[0], 1, None, files[0]).shape[1:]
        return height, width


def _split_folder(folder: Path, names: tuple[str, ...]) -> Path | None:
    return next((folder / name for name in names if (folder / name).is_dir()), None)


def _class_names(folder: Path) -> tuple[str, ...]:
    top = _split_folder(folder, TRAIN_FOLDERS) or folder
    names = tuple(sorted(path.name for path in top.iterdir() if path.is_dir())) if top.is_dir() else ()
    if not names:
        raise BadInputError(f"{top} has no folders of images; lay them out as {top}/<class>/<image>")
    return names


def _files(folder: Path, names: tuple[str, ...], split: str) -> tuple[list[Path], Array]:
    train, test = _split_folder(folder, TRAIN_FOLDERS) or folder, _split_folder(folder, TEST_FOLDERS)
    if test:
        return _labelled(train if split == "train" else test, names)
    files, labels = _labelled(train, names)
    kept, held = stratified_split(labels, TEST_SHARE, TEST_SEED)
    chosen = kept if split == "train" else held
    return [files[index] for index in chosen], labels[chosen]


def _labelled(top: Path, names: tuple[str, ...]) -> tuple[list[Path], Array]:
    unknown = sorted({path.name for path in top.iterdir() if path.is_dir()} - set(names))
    if unknown:
        raise BadInputError(f"{top / unknown[0]}: no such class in the training folder; add it there or remove it here")
    found = [(path, label) for label, name in enumerate(names) for path in image_files(top / name)]
    if not found:
        raise BadInputError(f"{top} holds no images; known endings are {', '.join(SUFFIXES)}")
    return [path for path, _ in found], np.array([label for _, label in found], np.int64)


IMAGE_FOLDER = ImageFolder()
