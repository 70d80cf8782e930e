"""A user's folder of images, one subfolder a class: also the layout of ImageNet and Imagenette."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from hasnas.errors import BadInputError

from .cache import Allocate, Array, cached_arrays, fingerprint_of
from .folders import Layout, read_layout
from .images import SUFFIXES, decode_files, survey
from .own_data import own_card
from .source import SPLITS, DatasetCard, Samples, Split, check_split, data_root

DECODING = 2  # grows with every change of what an image is decoded to, so that no old cache is taken for a new one


@dataclass(frozen=True)
class ImageFolder:
    """Images in `ROOT/train/<class>/...` and `ROOT/test/<class>/...`, or in `ROOT/<class>/...`; see `read_layout`.

    Without a test folder a stratified 20 % are the test split, always the same ones. Every image is scaled to cover the
    wanted size and cropped around the centre. Images of more than 8 bits make samples of floats.

    Args:
        path: the folder; None until it is known.
        size: height and width of the samples; None takes those of the images, which must then all be equal.
        channels: 3 for colour, 1 for grey.
    """

    path: Path | None = None
    size: tuple[int, int] | None = None
    channels: int = 3

    def located(self, root: Path) -> ImageFolder:
        """The same source reading from `root`."""
        return replace(self, path=root)

    def shaped(self, size: tuple[int, int] | None, channels: int | None) -> ImageFolder:
        """The same source with samples of another size or number of channels, where they are given."""
        return replace(self, size=size or self.size, channels=channels or self.channels)

    @cached_property
    def card(self) -> DatasetCard:
        """What the dataset is; read from the folder once its place is known."""
        card = own_card("image-folder", "Image folder", "one subfolder a class", channels=self.channels)
        if self.path is None:
            return card
        return replace(
            card,
            title=f"Images in {self.path.name}",
            input_shape=(self.channels, *self._size),
            outputs=len(self._layout.classes),
            splits={split: len(self._layout.split(split)) for split in SPLITS},
            class_names=self._layout.classes,
            notes="; ".join(("one subfolder a class", *self._layout.notes)),
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """What of the folder was passed over, one line each."""
        return self._layout.notes

    def load(self, split: Split, root: Path | None = None) -> Samples:
        """The samples of a split, `[N, C, H, W]` bytes with scale 1/255 or floats, decoded once and cached."""
        check_split(split)
        source = self if self.path is not None else self.located(data_root(root))
        labelled = source._layout.split(split)
        files, labels = [path for path, _ in labelled], np.array([label for _, label in labelled], np.int64)
        size = source._size

        def build(allocate: Allocate) -> tuple[Array, Array]:
            images = allocate((len(files), self.channels, *size), np.float32 if source._survey[1] else np.uint8)
            decode_files(files, self.channels, size, images)
            return images, labels

        options = {"size": size, "channels": self.channels, "labels": labels.tolist(), "decoding": DECODING}
        images, targets = cached_arrays("image-folder", fingerprint_of(files, options), build)
        return Samples(images, targets, 1 / 255 if images.dtype == np.uint8 else 1.0)

    @cached_property
    def _layout(self) -> Layout:
        return read_layout(self.path or data_root(None), SUFFIXES, "images")

    @cached_property
    def _survey(self) -> tuple[dict[tuple[int, int], Path], bool]:
        return survey([path for path, _ in (*self._layout.train, *self._layout.test)])

    @cached_property
    def _size(self) -> tuple[int, int]:
        if self.size:
            return self.size
        sizes = self._survey[0]
        if len(sizes) > 1:
            (first, path), (second, other) = list(sizes.items())[:2]
            raise BadInputError(
                f"images have {len(sizes)} sizes: {path} is {first[0]} x {first[1]}, {other} {second[0]} x {second[1]} "
                "(height x width); say to which they are brought: dataset.images: {size: [HEIGHT, WIDTH]}"
            )
        return next(iter(sizes))


IMAGE_FOLDER = ImageFolder()
