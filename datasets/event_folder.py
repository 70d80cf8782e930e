"""A user's folder of recordings of event cameras, one subfolder a class."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hasnas.errors import BadInputError

from .choices import Subset
from .event_dataset import Clip, EventDataset
from .event_files import parse_aedat2, parse_aedat31
from .events import Events
from .folders import Layout, read_layout
from .frames import Framing
from .own_data import own_card
from .source import SPLITS, DatasetCard, Samples, Split, check_split, data_root
from .text_table import rows_of

SUFFIXES = (".npz", ".npy", ".csv", ".txt", ".aedat", ".aedat4", ".dat", ".raw", ".mat", ".h5", ".hdf5")
NAMES = {
    "t": ("t", "ts", "time", "times", "timestamp", "timestamps", "t_us"),
    "x": ("x", "xs"),
    "y": ("y", "ys"),
    "p": ("p", "ps", "pol", "polarity", "polarities"),
}


@dataclass(frozen=True)
class EventFolder:
    """Recordings in class folders, see `read_layout`, given as frames `[N, T, 2, H, W]`.

    Formats: `.npz` with arrays t, x, y, p or one structured array; `.npy` of a structured array; `.csv` or `.txt` whose
    first line names the columns t, x, y, p; `.aedat` 2.0 (DVS128) and 3.1; `.aedat4` with the package aedat;
    Prophesee's `.dat` and `.raw` with the package expelliarmus; `.mat` (not of version 7.3) and `.h5` with arrays
    t, x, y, p. Times are microseconds.

    Args:
        path: the folder; None until it is known.
        sensor: height and width of the camera; None until it is known.
        framing: how recordings become frames.
        subset: how many recordings of each split are read.
    """

    path: Path | None = None
    sensor: tuple[int, int] | None = None
    framing: Framing = Framing()
    subset: Subset = Subset()

    def limited(self, subset: Subset) -> EventFolder:
        """The same source with fewer recordings."""
        return replace(self, subset=subset)

    def located(self, root: Path) -> EventFolder:
        """The same source reading from `root`."""
        return replace(self, path=root)

    def framed(self, framing: Framing) -> EventFolder:
        """The same source with other frames."""
        return replace(self, framing=framing)

    def seen_by(self, sensor: tuple[int, int]) -> EventFolder:
        """The same source with the camera's height and width."""
        return replace(self, sensor=sensor)

    @cached_property
    def card(self) -> DatasetCard:
        """What the dataset is; read from the folder once its place is known."""
        return self._dataset.card

    @property
    def notes(self) -> tuple[str, ...]:
        """What of the folder was passed over."""
        return self._layout.notes

    def load(self, split: Split, root: Path | None = None) -> Samples:
        """The frames of a split as uint8 counts, made once and cached."""
        check_split(split)
        source = self if self.path is not None else self.located(data_root(root))
        return source._dataset.load(split, None)

    @cached_property
    def _layout(self) -> Layout:
        return read_layout(self.path or data_root(None), SUFFIXES, "recordings")

    @cached_property
    def _dataset(self) -> EventDataset:
        card = own_card("event-folder", "Event folder", "one subfolder a class", channels=2)
        if self.path is not None:
            clips = {split: self._clips(split) for split in SPLITS}
            card = replace(
                card,
                title=f"Recordings in {self.path.name}",
                input_shape=(2, *self._sensor(clips["train"][0].path)),
                outputs=len(self._layout.classes),
                splits={split: len(found) for split, found in clips.items()},
                class_names=self._layout.classes,
            )
        dataset = EventDataset(card, lambda card, split, root: self._clips(split), parse, self.framing)
        return dataset.limited(self.subset)

    def _sensor(self, first: Path) -> tuple[int, int]:
        if self.sensor is not None:
            return self.sensor
        events = parse(first.read_bytes(), (1 << 15, 1 << 15), first)
        reached = (int(events.y.max(initial=0)) + 1, int(events.x.max(initial=0)) + 1)
        raise BadInputError(
            f"height and width of the camera are not known ({first} reaches {reached[0]} x {reached[1]}); "
            "give dataset.sensor: [HEIGHT, WIDTH]"
        )

    def _clips(self, split: Split) -> list[Clip]:
        return [Clip(path, label) for path, label in self._layout.split(split)]


def parse(content: bytes, sensor: tuple[int, int], where: Path) -> Events:
    """Events of a recording by the ending of its file.

    Raises:
        BadInputError: if the file is damaged, of another format, or needs a package that is not installed.
    """
    suffix = where.suffix.lower()
    try:
        if suffix == ".aedat":
            read = parse_aedat31 if content.startswith(b"#!AER-DAT3.1") else parse_aedat2
            return read(content, sensor, where)
        if suffix in (".npz", ".npy"):
            return _of_columns(_numpy_columns(content, where), sensor, where)
        if suffix in (".csv", ".txt"):
            return _of_columns(_text_columns(content, where), sensor, where)
        return _of_columns(_packed_columns(content, where), sensor, where)
    except (ValueError, OSError, EOFError, KeyError, NotImplementedError, zipfile.BadZipFile) as error:
        if isinstance(error, BadInputError):
            raise
        raise BadInputError(f"{where} is not a readable recording ({error}); remove it or write it anew") from error


def _of_columns(columns: Mapping[str, NDArray[Any]], sensor: tuple[int, int], where: Path) -> Events:
    lower = {name.lower(): column for name, column in columns.items()}
    found = {}
    for name, spellings in NAMES.items():
        spelling = next((spelling for spelling in spellings if spelling in lower), None)
        if spelling is None:
            raise BadInputError(f"{where} has no column {name}; it has {', '.join(columns)}; name them t, x, y and p")
        found[name] = lower[spelling]
    return Events.of(found["t"], found["x"], found["y"], found["p"], sensor, where)


def _numpy_columns(content: bytes, where: Path) -> dict[str, NDArray[Any]]:
    found = np.load(io.BytesIO(content), allow_pickle=False)
    if isinstance(found, np.ndarray):
        return _fields(found, where)
    arrays = {name: found[name] for name in found.files}
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray):  # a member of any zip file
            raise BadInputError(f"{where} holds '{name}', which is no array; save t, x, y and p with numpy.savez")
    structured = [array for array in arrays.values() if array.dtype.names]
    return _fields(structured[0], where) if len(structured) == 1 else arrays


def _fields(array: NDArray[Any], where: Path) -> dict[str, NDArray[Any]]:
    if not array.dtype.names:
        raise BadInputError(f"{where} is an array without names; save t, x, y and p by name, e.g. with numpy.savez")
    return {name: array[name] for name in array.dtype.names}


def _text_columns(content: bytes, where: Path) -> dict[str, NDArray[Any]]:
    lines = [line.strip().lstrip("#").strip() for line in content.decode("utf-8-sig").splitlines() if line.strip()]
    rows = rows_of(lines)
    names = rows[0] if rows else []
    if not any(name.isidentifier() for name in names):
        raise BadInputError(f"{where}: the first line does not name the columns; begin with a line t,x,y,p")
    for number, row in enumerate(rows, 1):
        if len(row) != len(names):
            raise BadInputError(
                f"{where}: row {number} has {len(row)} columns, not {len(names)}; it may be cut, mend it"
            )
    values = np.array([[float(cell) for cell in row] for row in rows[1:]]).reshape(-1, len(names))
    return {name: values[:, index] for index, name in enumerate(names)}


def _packed_columns(content: bytes, where: Path) -> dict[str, NDArray[Any]]:
    """Columns of formats that packages read."""
    if where.suffix.lower() == ".aedat4":
        import aedat

        try:
            packets = [packet["events"] for packet in aedat.Decoder(str(where)) if "events" in packet]
        except Exception as error:  # whatever the package raises on damaged files
            raise BadInputError(f"{where} is not a readable AEDAT 4 file ({error}); write it anew") from error
        if not packets:
            raise BadInputError(f"{where} holds no events; remove it")
        events = np.concatenate(packets)
        return {"t": events["t"], "x": events["x"], "y": events["y"], "p": events["on"]}
    if where.suffix.lower() == ".mat":
        from scipy.io import loadmat

        return {name: np.ravel(array) for name, array in loadmat(io.BytesIO(content)).items() if name[:2] != "__"}
    if where.suffix.lower() in (".h5", ".hdf5"):
        import h5py

        with h5py.File(io.BytesIO(content), "r") as file:
            group = file.get("events", file)
            return {name: np.ravel(array[()]) for name, array in group.items() if isinstance(array, h5py.Dataset)}
    import expelliarmus

    head = content[:4096].lower()
    encoding = "dat" if where.suffix.lower() == ".dat" else "evt2" if b"evt 2" in head or b"evt2" in head else "evt3"
    try:
        return _fields(expelliarmus.Wizard(encoding=encoding).read(str(where)), where)
    except Exception as error:
        raise BadInputError(f"{where} is not a readable {encoding} recording ({error}); write it anew") from error


EVENT_FOLDER = EventFolder()
