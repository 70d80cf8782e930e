"""What all sources of a user's own data share: a card, a pair of .npz files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hasnas.errors import BadInputError

from .source import DatasetCard, Samples, held_out


def own_card(name: str, title: str, notes: str, channels: int = 0, timesteps: int | None = None) -> DatasetCard:
    """The card of a source before the data are known."""
    return DatasetCard(
        name=name,
        title=title,
        task="classification",
        input_shape=(channels, 0, 0),
        outputs=0,
        splits={},
        licence="the user's",
        citation="none: the user's own data",
        timesteps=timesteps,
        notes=notes,
    )


def task_of(targets: NDArray[Any]) -> dict[str, Any]:
    """The fields of a card that targets decide.

    >>> task_of(np.array([0, 2, 1]))
    {'task': 'classification', 'outputs': 3}
    """
    if targets.ndim == 1:
        return {"task": "classification", "outputs": int(targets.max()) + 1}
    return {"task": "regression", "outputs": targets.shape[1]}


def npz_splits(place: Path, read: Callable[[Path], Samples]) -> tuple[Samples, Samples]:
    """Both splits of a file `NAME.npz`, or of a folder with `train.npz` and perhaps `test.npz`.

    Args:
        place: the file or folder.
        read: the samples of a file.

    Raises:
        BadInputError: if a folder holds no `train.npz`, or a file cannot be read.
    """
    train, test = place / "train.npz", place / "test.npz"
    if place.is_dir() and not train.exists():
        found = ", ".join(sorted(entry.name for entry in place.iterdir())[:5]) or "nothing"
        raise BadInputError(f"{train} is missing ({place} holds {found}); write it there, or give the file itself")
    if place.is_dir() and test.exists():
        return read(train), read(test)
    samples = read(train if place.is_dir() else place)
    kept, held = held_out(samples.targets)
    return _rows(samples, kept), _rows(samples, held)


def _rows(samples: Samples, rows: NDArray[np.int64]) -> Samples:
    return Samples(samples.inputs[rows], samples.targets[rows], samples.scale)


def npz_places(place: Path) -> tuple[str, str]:
    """What messages call the splits of `npz_splits`: the files, or two parts of one."""
    if place.is_dir() and (place / "test.npz").exists():
        return str(place / "train.npz"), str(place / "test.npz")
    file = place / "train.npz" if place.is_dir() else place
    return str(file), f"{file} (the fifth of it that is the test split)"
