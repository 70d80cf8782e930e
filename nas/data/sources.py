"""Datasets as a config names them; read without torch."""

from __future__ import annotations

from pathlib import Path

from hasnas.datasets.catalog import Framed, Located, open_dataset
from hasnas.datasets.encoded import Coding, EncodedDataset
from hasnas.datasets.frames import Framing
from hasnas.datasets.source import DatasetCard, DatasetSource
from hasnas.errors import BadInputError


def open_source(name: str, root: Path | str | None, framing: Framing | Coding | None = None) -> DatasetSource:
    """A dataset as a config names it.

    Args:
        name: name of the dataset, or `tonic:<class>`.
        root: folder that holds the datasets' files; for a user's own data the file or folder itself.
        framing: how event recordings become frames, or static samples spikes; None takes the dataset's own way.

    Raises:
        BadInputError: for an unknown dataset, a framing of static samples, an encoding of event recordings, or own data
            whose place is not given.
    """
    source = open_dataset(name, root, framing)
    if isinstance(source, EncodedDataset):
        if isinstance(source.source, Framed):
            raise BadInputError(
                f"dataset.encoding is set, but dataset '{name}' has event recordings; use dataset.framing"
            )
    elif framing is not None and not isinstance(source, Framed):
        raise BadInputError(f"dataset.framing is set, but dataset '{name}' has no event recordings; remove it")
    if root is None and isinstance(source, Located):
        raise BadInputError(f"dataset '{name}' is your own data; give its file or folder as dataset.root")
    return source


def check_timesteps(card: DatasetCard, timesteps: int, framed: bool) -> None:
    """Refuse sequences whose frames are not as many as the network's timesteps.

    Args:
        card: of the dataset; static samples fit any network.
        timesteps: of the network.
        framed: whether the dataset's frames are a choice.

    Raises:
        BadInputError: naming both numbers and the keys that set them.
    """
    if card.timesteps in (None, timesteps):
        return
    first = f"dataset.framing: {{frames: {timesteps}}} or " if framed else ""
    raise BadInputError(
        f"dataset '{card.name}' has {card.timesteps} frames a sample, but the network {timesteps} timesteps; "
        f"set {first}space.macro.timesteps to {card.timesteps}"
    )
