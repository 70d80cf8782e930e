"""Datasets by name, with the choices that some of them leave open."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, runtime_checkable

from hasnas.errors import BadInputError

from .choices import Choices, SignalShape, Subset, SubsetDataset, View
from .encoded import Coding, EncodedDataset
from .frames import Framing
from .source import DATASETS, DatasetSource, data_root


@runtime_checkable
class Framed(Protocol):
    """A dataset of event recordings, whose frames are a choice."""

    def framed(self, framing: Framing) -> DatasetSource:
        """The same dataset with other frames."""
        ...


@runtime_checkable
class Located(Protocol):
    """A user's own data, whose card depends on where they lie."""

    def located(self, root: Path) -> DatasetSource:
        """The same source reading from `root`."""
        ...


@runtime_checkable
class Shaped(Protocol):
    """A dataset of images of one's own, whose size and channels are a choice."""

    def shaped(self, size: tuple[int, int] | None, channels: int | None) -> DatasetSource:
        """The same dataset with other images."""
        ...


@runtime_checkable
class Formed(Protocol):
    """A dataset of one-dimensional signals, whose form is a choice."""

    def formed(self, shape: SignalShape) -> DatasetSource:
        """The same dataset with other samples made of its signals."""
        ...


@runtime_checkable
class Seen(Protocol):
    """A folder of recordings, whose camera is a choice."""

    def seen_by(self, sensor: tuple[int, int]) -> DatasetSource:
        """The same dataset with the camera's height and width."""
        ...


@runtime_checkable
class Limited(Protocol):
    """A dataset that reads only the samples that are wanted."""

    def limited(self, subset: Subset) -> DatasetSource:
        """The same dataset with fewer samples."""
        ...


def is_framed(source: DatasetSource) -> bool:
    """Whether a dataset's frames are a choice, also of a part of it.

    >>> is_framed(open_dataset("nmnist")), is_framed(open_dataset("digits"))
    (True, False)
    """
    return isinstance(source.source if isinstance(source, SubsetDataset) else source, Framed)


def open_dataset(
    name: str, root: Path | str | None = None, framing: View = None
) -> DatasetSource:
    """A dataset ready to use.

    Args:
        name: a name in the registry, or `tonic:<class>` for a dataset of the package tonic.
        root: the data root; for `arrays` and `image-folder` the user's file or folder itself.
        framing: how event recordings become frames (static datasets have no use for that), how values are encoded, or
            all that can be chosen of a dataset.

    Raises:
        BadInputError: if there is no such dataset; the nearest name is given.

    >>> open_dataset("nmnist", framing=Framing(timesteps=4)).card.timesteps
    4
    """
    from .tonic_adapter import PREFIX, TonicDataset

    source: DatasetSource = TonicDataset(name.removeprefix(PREFIX)) if name.startswith(PREFIX) else DATASETS.get(name)
    if isinstance(source, Located) and root is not None:
        source = source.located(data_root(root))
    choices = framing if isinstance(framing, Choices) else Choices(framing)
    source = _chosen(source, choices, name)
    if choices.subset is not None:
        subset = choices.subset
        source = source.limited(subset) if isinstance(source, Limited) else SubsetDataset(source, subset)
    return EncodedDataset(source, choices.view) if isinstance(choices.view, Coding) else source


def _chosen(source: DatasetSource, choices: Choices, name: str) -> DatasetSource:
    """The source with what was chosen of its samples.

    Raises:
        BadInputError: if the dataset leaves something open no longer, or never did.
    """
    if isinstance(choices.view, Framing) and isinstance(source, Framed):
        source = source.framed(choices.view)
    if choices.images is not None:
        if not isinstance(source, Shaped):
            raise BadInputError(f"dataset.images is set, but dataset '{name}' is no image-folder; remove it")
        source = source.shaped(choices.images.size, choices.images.channels)
    if choices.signals is not None:
        if not isinstance(source, Formed):
            raise BadInputError(f"dataset.signal is set, but dataset '{name}' has no signals; remove it")
        source = source.formed(choices.signals)
    if choices.sensor is not None:
        if not isinstance(source, Seen):
            raise BadInputError(f"dataset.sensor is set, but dataset '{name}' is no event-folder; remove it")
        source = source.seen_by(choices.sensor)
    return source
