"""One-dimensional signals: a user's arrays `[N, C, L]`, folders of WAV or CSV files, or sets of the UCR archive."""

from __future__ import annotations

import csv
import wave
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hasnas.errors import BadInputError

from .arrays import check_finite, check_magnitude, read_inputs_and_targets, samples_of
from .choices import SignalShape
from .folders import Layout, read_layout
from .own_data import npz_places, npz_splits, own_card, task_of
from .source import SPLITS, DatasetCard, Samples, Split, check_split, data_root
from .text_table import rows_of
from .ts_files import read_ts

SUFFIXES = (".wav", ".csv", ".txt", ".npy")
TRAIN_TS, TEST_TS = "_TRAIN.ts", "_TEST.ts"
Signal = NDArray[np.float32]


@dataclass(frozen=True)
class Signals:
    """Signals of one or more channels, as images of few rows (or sequences of them) for a network.

    The data root is a file `NAME.npz`, or a folder with `train.npz` and perhaps `test.npz`, of `inputs` `[N, C, L]` or
    `[N, L]` and `targets` as for `arrays`; or a folder of files in class folders (see `read_layout`): WAV (channels as
    recorded), CSV (a column a channel, a row an instant, a header or none), NPY (`[L]` or `[C, L]`); or a folder with
    `NAME_TRAIN.ts` and `NAME_TEST.ts` of the UCR and UEA archives.

    Args:
        path: the file or folder; None until it is known.
        shape: how signals become samples.
    """

    path: Path | None = None
    shape: SignalShape = SignalShape()

    def located(self, root: Path) -> Signals:
        """The same source reading from `root`."""
        return replace(self, path=root)

    def formed(self, shape: SignalShape) -> Signals:
        """The same source with other samples made of its signals."""
        return replace(self, shape=shape)

    @cached_property
    def card(self) -> DatasetCard:
        """What the dataset is; read from the signals once their place is known."""
        card = own_card("signal", "Signals", "one-dimensional signals", timesteps=self.shape.frames)
        if self.path is None:
            return card
        train, test = self._parts
        *_, channels, height, width = train.inputs.shape
        return replace(
            card,
            title=f"Signals in {self.path.name}",
            input_shape=(channels, height, width),
            splits={"train": len(train), "test": len(test)},
            class_names=self._classes,
            **task_of(train.targets),
        )

    @property
    def places(self) -> tuple[str, str]:
        """The files of the training and the test split, for messages."""
        if self._archive is not None:
            return str(self._archive[0]), str(self._archive[1])
        if self._layout is None:
            return npz_places(self._place)
        return str(self._place), f"{self._place} (test split)"

    @property
    def notes(self) -> tuple[str, ...]:
        """What of a folder was passed over."""
        return () if self._layout is None else self._layout.notes

    def load(self, split: Split, root: Path | None = None) -> Samples:
        """The samples of a split, float32 `[N, C, rows, L / rows]`, or `[N, frames, C, rows, L / (frames rows)]`."""
        check_split(split)
        source = self if self.path is not None else self.located(data_root(root))
        return source._parts[split == "test"]

    @property
    def _place(self) -> Path:
        return self.path or data_root(None)

    @property
    def _classes(self) -> tuple[str, ...]:
        if self._archive is not None:
            return read_ts(self._archive[0]).classes
        return () if self._layout is None else self._layout.classes

    @cached_property
    def _archive(self) -> tuple[Path, Path] | None:
        """Both files of a set of the UCR and UEA archives; None for other data."""
        found = sorted(self._place.glob(f"*{TRAIN_TS}")) if self._place.is_dir() else []
        if len(found) > 1:
            raise BadInputError(f"{self._place} holds {len(found)} sets ({found[0].name}, ...); give a folder to each")
        return (found[0], found[0].with_name(found[0].name.removesuffix(TRAIN_TS) + TEST_TS)) if found else None

    @cached_property
    def _layout(self) -> Layout | None:
        """The layout of a folder of files; None for arrays and archives."""
        if self._archive is not None:
            return None
        place = self._place
        arrays = place.suffix == ".npz" or any((place / f"{split}.npz").exists() for split in SPLITS)
        return None if arrays else read_layout(place, SUFFIXES, "signals")

    @cached_property
    def _parts(self) -> tuple[Samples, Samples]:
        if self._archive is not None:
            return read_archive(self._archive, self.shape)
        return npz_splits(self._place, self._of_arrays) if self._layout is None else self._of_files(self._layout)

    def _of_files(self, layout: Layout) -> tuple[Samples, Samples]:
        parts = [layout.split(split) for split in SPLITS]
        signals = [[(read_signal(path), path) for path, _ in files] for files in parts]
        length = self.shape.length or _common_length([*signals[0], *signals[1]])
        train, test = (
            Samples(
                formed(np.stack([of_length(signal, length) for signal, _ in read]), self.shape),
                np.array([label for _, label in files], np.int64),
            )
            for read, files in zip(signals, parts, strict=True)
        )
        return train, test

    def _of_arrays(self, path: Path) -> Samples:
        inputs, targets = read_inputs_and_targets(path)
        if inputs.dtype.kind not in "iuf" or inputs.ndim not in (2, 3) or 0 in inputs.shape:
            raise BadInputError(
                f"{path}: inputs of type {inputs.dtype} and shape {list(inputs.shape)}; "
                "give numbers [N, C, L] or [N, L]"
            )
        check_finite(inputs, path)
        signals = np.asarray(inputs if inputs.ndim == 3 else inputs[:, None], np.float32)
        length = self.shape.length or signals.shape[2]
        if signals.shape[2] != length:
            signals = np.stack([of_length(signal, length) for signal in signals])
        return samples_of(formed(signals, self.shape), targets, 1.0, path)


def read_archive(places: tuple[Path, Path], shape: SignalShape) -> tuple[Samples, Samples]:
    """Both splits of a set of the UCR and UEA archives; shorter series are filled with their last value.

    Raises:
        BadInputError: if a file cannot be read, or the two do not fit together.
    """
    train, test = (read_ts(place) for place in places)
    if train.classes != test.classes or len(train.values[0]) != len(test.values[0]):
        raise BadInputError(f"{places[1]} has other classes or dimensions than {places[0].name}; take both of one set")
    length = shape.length or max(values.shape[1] for part in (train, test) for values in part.values)
    first, second = (
        Samples(formed(np.stack([of_length(values, length) for values in part.values]), shape), part.targets)
        for part in (train, test)
    )
    return first, second


def formed(signals: NDArray[np.float32], shape: SignalShape) -> NDArray[np.float32]:
    """Signals `[N, C, L]` as samples; what does not fill the last row or frame is cut.

    Raises:
        BadInputError: if nothing is left of them.

    >>> formed(np.zeros((5, 2, 30), np.float32), SignalShape(every=2, frames=3)).shape
    (5, 3, 2, 1, 5)
    """
    count, channels, length = signals.shape
    parts = (shape.frames or 1) * shape.rows
    width = length // shape.every // parts
    if width < 1:
        raise BadInputError(
            f"signals of {length} values cannot be cut into {shape.frames or 1} frames of {shape.rows} rows of "
            f"means of {shape.every}; lower dataset.signal's frames, rows or every"
        )
    used = signals[:, :, : width * parts * shape.every]
    means = used.reshape(count, channels, width * parts, shape.every).mean(3, dtype=np.float64).astype(np.float32)
    if shape.frames is None:
        return means.reshape(count, channels, shape.rows, width)
    cut = means.reshape(count, channels, shape.frames, shape.rows, width)
    return np.ascontiguousarray(cut.transpose(0, 2, 1, 3, 4))


def of_length(signal: Signal, length: int) -> Signal:
    """A signal `[C, L]` cut to a length, or filled with its last value."""
    missing = length - signal.shape[1]
    return signal[:, :length] if missing <= 0 else np.pad(signal, ((0, 0), (0, missing)), mode="edge")


def _common_length(signals: list[tuple[Signal, Path]]) -> int:
    """The length that all signals have; all must have as many channels."""
    channels = {signal.shape[0]: path for signal, path in signals}
    if len(channels) > 1:
        (first, path), (second, other) = list(channels.items())[:2]
        raise BadInputError(f"{path} has {first} channels, {other} {second}; give all signals as many")
    lengths = sorted(signal.shape[1] for signal, _ in signals)
    if lengths[0] != lengths[-1]:
        raise BadInputError(
            f"signals have {lengths[0]} to {lengths[-1]} values, the middle one {lengths[len(lengths) // 2]}; say to "
            f"which they are brought: dataset.signal: {{length: {lengths[len(lengths) // 2]}}}"
        )
    return lengths[0]


def read_signal(path: Path) -> Signal:
    """A signal `[C, L]` of a WAV, CSV or NPY file; WAV values are scaled to -1 to 1 by their depth.

    Raises:
        BadInputError: if the file is damaged, empty or holds something else than numbers.
    """
    try:
        found = {".wav": _wav, ".npy": _npy}.get(path.suffix.lower(), _csv)(path)
    except BadInputError:
        raise
    except FileNotFoundError as error:
        raise BadInputError(f"{path} is missing; check the path") from error
    except (OSError, EOFError, ValueError, wave.Error, UnicodeError, csv.Error) as error:
        raise BadInputError(f"{path} is not a readable signal ({error}); remove it or write it anew") from error
    if 0 in found.shape or not np.isfinite(found).all():
        raise BadInputError(f"{path} holds no values, or NaN or infinity; remove it or write it anew")
    check_magnitude(found, path)
    return found


def _wav(path: Path) -> Signal:
    with wave.open(str(path), "rb") as file:
        channels, width, count = file.getnchannels(), file.getsampwidth(), file.getnframes()
        content = file.readframes(count)
    raw = np.frombuffer(content, np.uint8)
    raw = raw[: len(raw) // (width * channels) * width * channels].reshape(-1, width)
    if width == 1:
        values = (raw[:, 0].astype(np.float64) - 128) / 128
    else:
        padded = np.zeros((len(raw), 4), np.uint8)
        padded[:, 4 - width :] = raw  # the highest bytes, so that the sign stands where it belongs
        values = padded.view("<i4")[:, 0] / 2.0**31
    return np.ascontiguousarray(values.reshape(-1, channels).T, np.float32)


def _npy(path: Path) -> Signal:
    values = np.load(path, allow_pickle=False)
    if not isinstance(values, np.ndarray):
        raise BadInputError(f"{path} is an archive of arrays, not one; save the signal alone with numpy.save")
    if values.dtype.kind not in "iuf" or values.ndim not in (1, 2):
        raise BadInputError(f"{path}: {values.dtype} of shape {list(values.shape)}; give numbers [L] or [C, L]")
    return np.atleast_2d(values).astype(np.float32)


def _csv(path: Path) -> Signal:
    text = path.read_text(encoding="utf-8-sig")
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        raise BadInputError(f"{path} is empty; remove it or write it anew")
    rows = rows_of(lines)
    if not _are_numbers(rows[0]):
        rows = rows[1:]
    widths = {len(row) for row in rows}
    if len(widths) != 1:
        raise BadInputError(f"{path}: rows of {min(widths, default=0)} to {max(widths, default=0)} columns; mend them")
    return np.ascontiguousarray(np.array([[float(cell) for cell in row] for row in rows], np.float32).T)


def _are_numbers(cells: list[str]) -> bool:
    try:
        return all(float(cell) is not None for cell in cells)
    except ValueError:
        return False


SIGNALS = Signals()
