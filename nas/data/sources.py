"""Datasets as a config names them; read without torch."""

from __future__ import annotations

from pathlib import Path

from hasnas.datasets.catalog import Located, is_framed, open_dataset
from hasnas.datasets.choices import Choices, SubsetDataset, View
from hasnas.datasets.encoded import EncodedDataset
from hasnas.datasets.source import DatasetCard, DatasetSource
from hasnas.errors import BadInputError


def open_source(name: str, root: Path | str | None, framing: View = None) -> DatasetSource:
    """A dataset as a config names it.

    Args:
        name: name of the dataset, or `tonic:<class>`.
        root: folder that holds the datasets' files; for a user's own data the file or folder itself.
        framing: how event recordings become frames, or static samples spikes, and what else is chosen; None takes the
            dataset's own way.

    Raises:
        BadInputError: for an unknown dataset, a framing of static samples, an encoding of event recordings, or own data
            whose place is not given.
    """
    source = open_dataset(name, root, framing)
    view = framing.view if isinstance(framing, Choices) else framing
    inner = source.source if isinstance(source, EncodedDataset) else source
    if isinstance(source, EncodedDataset):
        if is_framed(inner):
            raise BadInputError(
                f"dataset.encoding is set, but dataset '{name}' has event recordings; use dataset.framing"
            )
    elif view is not None and not is_framed(inner):
        raise BadInputError(f"dataset.framing is set, but dataset '{name}' has no event recordings; remove it")
    if root is None and isinstance(inner.source if isinstance(inner, SubsetDataset) else inner, Located):
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
