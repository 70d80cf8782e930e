"""What a config leaves open of a dataset: frames or spikes, image size, sensor, signals, how many samples."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from hasnas.errors import BadInputError

from .encoded import Coding
from .frames import Framing
from .source import DatasetCard, DatasetSource, Samples, Split, stratified_split

SUBSET_SEED = 1797  # the same samples for every seed of a run, so that figures compare


@dataclass(frozen=True)
class Subset:
    """How many samples of each split are used; None for all.

    Args:
        train: samples to learn and to choose from.
        test: samples to be judged on.
    """

    train: int | None = None
    test: int | None = None

    def of(self, split: Split) -> int | None:
        """The number for a split."""
        return self.train if split == "train" else self.test


@dataclass(frozen=True)
class ImageShape:
    """What images are brought to.

    Args:
        size: height and width; None keeps those of the images.
        channels: 1 for grey, 3 for colour; None as the source has it.
    """

    size: tuple[int, int] | None = None
    channels: int | None = None


@dataclass(frozen=True)
class SignalShape:
    """How one-dimensional signals become samples.

    Args:
        length: values of each signal; longer ones are cut at the end, shorter ones filled with their last value. None
            takes that of the signals, which must then all be equal.
        every: neighbouring values that become one, their mean.
        rows: rows that a signal is folded into, one after the other like the lines of a text; 1 leaves it a line.
        frames: parts in time, one for each timestep of the network; None shows the whole signal at every timestep.
    """

    length: int | None = None
    every: int = 1
    rows: int = 1
    frames: int | None = None


@dataclass(frozen=True)
class Choices:
    """Everything that a config may choose of a dataset.

    Args:
        view: frames of recordings or spikes of static samples.
        subset: how many samples.
        images: of image folders.
        signals: of signals.
        sensor: height and width of an event camera, for folders of recordings.
    """

    view: Framing | Coding | None = None
    subset: Subset | None = None
    images: ImageShape | None = None
    signals: SignalShape | None = None
    sensor: tuple[int, int] | None = None


View = Framing | Coding | Choices | None


@dataclass(frozen=True)
class SubsetDataset:
    """Some samples of a dataset, drawn once and for all so that every class keeps its proportion.

    Args:
        source: the dataset.
        subset: how many.
    """

    source: DatasetSource
    subset: Subset

    @property
    def card(self) -> DatasetCard:
        """That of the dataset, with fewer samples."""
        card = self.source.card
        wanted = {"train": self.subset.train, "test": self.subset.test}
        return replace(card, splits={name: min(wanted[name] or n, n) for name, n in card.splits.items()})

    @property
    def places(self) -> tuple[str, str]:
        """See `hasnas.datasets.splits.places_of`."""
        train, test = getattr(self.source, "places", ("the training split", "the test split"))
        return train, test

    @property
    def notes(self) -> tuple[str, ...]:
        """Those of the dataset."""
        return tuple(getattr(self.source, "notes", ()))

    def load(self, split: Split, root: Path | None = None) -> Samples:
        """The chosen samples of a split, in their order.

        Raises:
            BadInputError: if there are not as many.
        """
        samples, wanted = self.source.load(split, root), self.subset.of(split)
        if wanted is None or wanted == len(samples):
            return samples
        if wanted > len(samples):
            raise BadInputError(f"dataset.subset.{split} is {wanted}, but there are {len(samples)} samples; lower it")
        _, held = stratified_split(samples.targets, wanted / len(samples), SUBSET_SEED)
        return Samples(np.asarray(samples.inputs[held]), samples.targets[held], samples.scale)
