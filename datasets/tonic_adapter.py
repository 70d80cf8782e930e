"""Datasets of the package tonic, for those who have installed it (GPL-3.0, hence never required)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hasnas.errors import BadInputError, nearest

from .events import Events
from .frames import Framing, frames
from .source import DatasetCard, Samples, Split, check_split, data_root

PREFIX = "tonic:"


def import_tonic() -> ModuleType:
    """The package tonic.

    Raises:
        BadInputError: if it is not installed.
    """
    try:
        import tonic
        import tonic.datasets
    except ImportError as error:
        raise BadInputError(
            "datasets of tonic need that package (licence GPL-3.0); install it with `pip install hasnas[tonic]`"
        ) from error
    return tonic


def events_of(recording: NDArray[Any], sensor: tuple[int, int], where: str) -> Events:
    """Events of one of tonic's structured arrays.

    Args:
        recording: structured array with the fields t (microseconds), x, y, p.
        sensor: (height, width).
        where: what to call it in a message.

    Raises:
        BadInputError: if a field is missing or the events cannot come from the sensor.

    >>> fields = np.array([(7, 1, 0, True)], dtype=[("t", int), ("x", int), ("y", int), ("p", bool)])
    >>> events_of(fields, (2, 2), "sample 0").p
    array([1])
    """
    missing = {"t", "x", "y", "p"} - set(recording.dtype.names or ())
    if missing:
        raise BadInputError(f"{where} has no field {sorted(missing)[0]}; only datasets of event cameras can be used")
    events = Events.of(recording["t"], recording["x"], recording["y"], recording["p"], sensor, where)
    return events.checked(where)


@dataclass(frozen=True)
class TonicDataset:
    """One of tonic's event-camera datasets with a training and a test split.

    Args:
        dataset: the class in `tonic.datasets`, e.g. `"NMNIST"`.
        framing: how recordings become frames.
    """

    dataset: str
    framing: Framing = Framing()

    def framed(self, framing: Framing) -> TonicDataset:
        """The same dataset with other frames."""
        return replace(self, framing=framing)

    @cached_property
    def _class(self) -> Any:
        datasets = import_tonic().datasets
        known = [name for name in vars(datasets) if isinstance(getattr(datasets, name), type)]
        if self.dataset not in known:
            raise BadInputError(f"tonic has no dataset '{self.dataset}'{nearest(self.dataset, known)}")
        return getattr(datasets, self.dataset)

    @property
    def card(self) -> DatasetCard:
        """What the dataset is, as far as tonic says."""
        width, height, *_ = self._class.sensor_size
        classes = tuple(str(name) for name in getattr(self._class, "classes", ()))
        return DatasetCard(
            name=f"{PREFIX}{self.dataset}",
            title=f"{self.dataset} (tonic)",
            task="classification",
            input_shape=(2, height, width),
            outputs=len(classes),
            splits={},
            licence="see tonic's documentation",
            citation="see tonic's documentation",
            timesteps=self.framing.timesteps,
            largest_count=self.framing.largest_count,
            class_names=classes,
            notes="read by tonic, which downloads what is missing",
        )

    def recordings(self, split: Split, root: Path | None = None) -> Iterator[tuple[Events, int]]:
        """The checked events and the label of each recording."""
        check_split(split)
        _, height, width = self.card.input_shape
        samples = self._samples(split, data_root(root))
        for index in range(len(samples)):
            recording, label = samples[index]
            yield events_of(recording, (height, width), f"{self.card.name}, sample {index}"), int(label)

    def _samples(self, split: Split, root: Path) -> Any:
        try:
            return self._class(save_to=str(root), train=split == "train")
        except Exception as error:  # tonic downloads here, and raises whatever comes in between
            raise BadInputError(
                f"tonic cannot provide {self.dataset} under {root} ({error}); put its files there, or choose another"
            ) from error

    def load(self, split: Split, root: Path | None = None) -> Samples:
        """The frames of a split as uint8 counts `[N, T, 2, H, W]`."""
        pairs = [(frames(events, self.framing), label) for events, label in self.recordings(split, root)]
        return Samples(np.stack([frame for frame, _ in pairs]), np.array([label for _, label in pairs], np.int64))
