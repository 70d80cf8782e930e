"""Datasets by name, with the choices that some of them leave open."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, runtime_checkable

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


def open_dataset(
    name: str, root: Path | str | None = None, framing: Framing | Coding | None = None
) -> DatasetSource:
    """A dataset ready to use.

    Args:
        name: a name in the registry, or `tonic:<class>` for a dataset of the package tonic.
        root: the data root; for `arrays` and `image-folder` the user's file or folder itself.
        framing: how event recordings become frames (static datasets have no use for that), or how values are encoded.

    Raises:
        BadInputError: if there is no such dataset; the nearest name is given.

    >>> open_dataset("nmnist", framing=Framing(timesteps=4)).card.timesteps
    4
    """
    from .tonic_adapter import PREFIX, TonicDataset

    source: DatasetSource = TonicDataset(name.removeprefix(PREFIX)) if name.startswith(PREFIX) else DATASETS.get(name)
    if isinstance(source, Located) and root is not None:
        source = source.located(data_root(root))
    if isinstance(framing, Coding):
        return EncodedDataset(source, framing)
    if isinstance(source, Framed) and framing is not None:
        source = source.framed(framing)
    return source
