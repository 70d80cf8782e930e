"""The training and the test split of a dataset, read together and compared: what cannot belong together is refused."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hasnas.errors import BadInputError

from .encoded import EncodedDataset
from .source import DatasetSource, Samples

LOOKED_AT = 512  # samples of a split whose values are compared; of fewer than ENOUGH only the spread
ENOUGH = 20
SPREAD = 8.0  # how many times as wide the values of one split may spread as those of the other
OUTSIDE = 0.4  # share of a split's values that may lie outside the range of the other's
DIGEST_BYTES = 1 << 24


def load_both(source: DatasetSource, root: Path | None) -> tuple[Samples, Samples]:
    """The training and the test samples, encoded if the source encodes.

    Raises:
        BadInputError: if a split cannot be read, or the two do not belong together; see `compare_splits`.
    """
    stored = load_stored(source, root)
    compare_splits(*stored, places_of(source))
    if isinstance(source, EncodedDataset):
        return source.encoded(stored[0], "train"), source.encoded(stored[1], "test")
    return stored


def load_stored(source: DatasetSource, root: Path | None) -> tuple[Samples, Samples]:
    """Both splits as they are stored, before any encoding."""
    base = source.source if isinstance(source, EncodedDataset) else source
    return base.load("train", root), base.load("test", root)


def places_of(source: DatasetSource) -> tuple[str, str]:
    """What the training and the test split are called in messages: their files, where a source says so."""
    base = source.source if isinstance(source, EncodedDataset) else source
    places = getattr(base, "places", None)
    return ("the training split", "the test split") if places is None else (str(places[0]), str(places[1]))


def compare_splits(train: Samples, test: Samples, places: tuple[str, str]) -> None:
    """Refuse splits that cannot be of one dataset.

    Args:
        train: samples to learn from.
        test: samples to be judged on.
        places: what the two are called in messages, e.g. their files.

    Raises:
        BadInputError: if a split is empty or constant, or if task, outputs, classes, shape, type or scale of values
            differ; the message says which file to mend.

    >>> images = Samples(np.arange(32, dtype=np.float32).reshape(2, 1, 4, 4), np.array([0, 1]))
    >>> compare_splits(images, Samples(images.inputs[:, :, :3], images.targets), ("train.npz", "test.npz"))
    Traceback (most recent call last):
        ...
    hasnas.errors.BadInputError: test.npz: a sample has shape [1, 3, 4], but [1, 4, 4] in train.npz; make them alike
    """
    for samples, place in zip((train, test), places, strict=True):
        _check_not_empty(samples, place)
    _compare_targets(train, test, places)
    _compare_inputs(train, test, places)
    for samples, place in zip((train, test), places, strict=True):
        _check_not_constant(samples, place)
    _compare_values(train, test, places)


def _check_not_empty(samples: Samples, place: str) -> None:
    if len(samples) == 0 or 0 in samples.inputs.shape:
        raise BadInputError(
            f"{place} holds no sample (inputs of shape {list(samples.inputs.shape)}); put samples there, or remove the "
            "file: without a test file a fifth of the training samples are the test split"
        )


def _compare_targets(train: Samples, test: Samples, places: tuple[str, str]) -> None:
    tasks = ["classes (integers)" if part.targets.ndim == 1 else "values (floats)" for part in (train, test)]
    if tasks[0] != tasks[1]:
        raise BadInputError(
            f"{places[1]}: targets are {tasks[1]}, but {tasks[0]} in {places[0]}; save both as one type: "
            ".astype(int) for classes, .astype('float32') for a regression"
        )
    if train.targets.ndim == 2:
        if train.targets.shape[1] != test.targets.shape[1]:
            raise BadInputError(
                f"{places[1]}: {test.targets.shape[1]} targets for each sample, but {train.targets.shape[1]} in "
                f"{places[0]}; give each sample as many"
            )
        constant = np.flatnonzero(np.ptp(train.targets, axis=0) == 0)
        if constant.size and len(train) > 1:
            raise BadInputError(
                f"{places[0]}: target {constant[0]} is {train.targets[0, constant[0]]:g} in every sample, there is "
                "nothing to learn; leave it out"
            )
        _compare_scales(train, test, places)
        return
    known, asked = np.unique(train.targets), np.unique(test.targets)
    if len(known) == 1:
        raise BadInputError(
            f"{places[0]}: every sample has the label {known[0]}, there is nothing to learn; "
            "a classification needs samples of at least two classes"
        )
    strange = np.setdiff1d(asked, known)
    if strange.size:
        raise BadInputError(
            f"{places[1]}: class {strange[0]} does not occur in {places[0]}; add samples of it there or remove it here"
        )


def _compare_scales(train: Samples, test: Samples, places: tuple[str, str]) -> None:
    """Refuse test targets in another unit than those of training; a few samples may be close to each other."""
    if min(len(train), len(test)) < ENOUGH:
        return
    centre = train.targets.mean(axis=0, dtype=np.float64)
    usual = np.std(train.targets, axis=0, dtype=np.float64)
    spread = np.std(test.targets, axis=0, dtype=np.float64)
    distance = np.sqrt(np.mean((test.targets - centre) ** 2, axis=0))
    far = np.flatnonzero((distance > SPREAD * usual) | ((spread > 0) & (usual > SPREAD * spread)))
    if far.size:
        columns = [part.targets[:, far[0]] for part in (train, test)]
        shown = [f"{column.min():.4g} to {column.max():.4g}" for column in columns]
        raise BadInputError(
            f"{places[1]}: target {far[0]} runs from {shown[1]}, but from {shown[0]} in {places[0]}; "
            "bring both to one scale"
        )


def _compare_inputs(train: Samples, test: Samples, places: tuple[str, str]) -> None:
    shapes = [list(part.inputs.shape[1:]) for part in (train, test)]
    if shapes[0] != shapes[1]:
        raise BadInputError(
            f"{places[1]}: a sample has shape {shapes[1]}, but {shapes[0]} in {places[0]}; make them alike"
        )
    if (train.inputs.dtype, train.scale) != (test.inputs.dtype, test.scale):
        raise BadInputError(
            f"{places[1]} holds {test.inputs.dtype}, but {places[0]} {train.inputs.dtype}: uint8 is divided by 255, "
            "float32 is taken as it is; save both as one type"
        )


def _check_not_constant(samples: Samples, place: str) -> None:
    first = samples.inputs[:1]
    looked_at = samples.inputs[_rows(samples)]
    if np.any(looked_at != looked_at.flat[0]) and (len(samples) == 1 or np.any(looked_at != first)):
        return
    if np.ptp(samples.inputs) == 0:
        raise BadInputError(
            f"{place}: every value of every sample is {float(first.flat[0]) * samples.scale:g}; the data were lost on "
            "their way here (a scale, a type, an empty channel?), write them anew"
        )
    if len(samples) > 1 and all(np.array_equal(sample, first[0]) for sample in samples.inputs):
        raise BadInputError(f"{place}: all {len(samples)} samples are one and the same; write the data anew")


def _rows(samples: Samples) -> NDArray[np.int64]:
    """Some samples from the whole of the split."""
    return np.unique(np.linspace(0, len(samples) - 1, min(LOOKED_AT, len(samples))).astype(np.int64))


def _compare_values(train: Samples, test: Samples, places: tuple[str, str]) -> None:
    """Refuse a test split on another scale than the training split, e.g. 0 to 1 beside 0 to 255."""
    values = [part.floats(_rows(part)) for part in (train, test)]
    spreads = [float(np.std(part, dtype=np.float64)) or float(np.abs(part).max()) for part in values]
    ranges = [(float(part.min()), float(part.max())) for part in values]
    shown = [f"{low:.4g} to {high:.4g}" for low, high in ranges]
    outside = [
        float(np.mean((values[i] < ranges[1 - i][0]) | (values[i] > ranges[1 - i][1]))) for i in (0, 1)
    ]  # fmt: skip
    far = max(spreads) > SPREAD * min(spreads)
    beside = min(len(train), len(test)) >= ENOUGH and max(outside) > OUTSIDE
    if far or beside:
        raise BadInputError(
            f"{places[1]}: values from {shown[1]} (standard deviation {spreads[1]:.3g}), but {shown[0]} "
            f"({spreads[0]:.3g}) in {places[0]}; bring both to one scale"
        )


def notes_on(train: Samples, test: Samples, places: tuple[str, str]) -> tuple[str, ...]:
    """What a person should hear of splits that can be used, one line each: mistakes that only look like data."""
    notes = [*_notes_on_targets(train, places[0]), *_notes_on_shape(train, places[0])]
    shared = len(_row_digests(train) & _row_digests(test))
    if shared:
        notes.append(f"{shared} of {len(test)} samples of {places[1]} occur in {places[0]} too: its figure flatters")
    if test.targets.ndim == 1:
        absent = np.setdiff1d(np.unique(train.targets), np.unique(test.targets))
        if absent.size:
            notes.append(f"{places[1]} holds no sample of {absent.size} classes, among them class {absent[0]}")
    return tuple(notes)


def _notes_on_targets(train: Samples, place: str) -> list[str]:
    targets = train.targets
    if targets.ndim == 1 or np.any(targets != np.round(targets)):
        return []
    if targets.shape[1] > 1 and np.all(targets.sum(axis=1) == 1) and targets.min() == 0:
        return [f"{place}: each row of targets is one-hot, yet floats are a regression; write .argmax(1) for classes"]
    if targets.shape[1] == 1:
        return [f"{place}: targets are whole numbers, yet floats are a regression; write .astype(int) for classes"]
    return []


def _notes_on_shape(train: Samples, place: str) -> list[str]:
    *_, channels, height, width = train.inputs.shape
    if width in (1, 3, 4) and channels == height > 4:
        return [
            f"{place}: samples of {channels} channels, {height} rows and {width} columns; if channels come last in "
            "your array, write np.moveaxis(inputs, -1, -3)"
        ]
    return []


def _row_digests(samples: Samples) -> set[bytes]:
    return {hashlib.blake2b(np.ascontiguousarray(row).tobytes(), digest_size=12).digest() for row in samples.inputs}


def content_digest(*parts: Samples) -> str:
    """Thirty-two hexadecimal digits of what the samples are, wherever and in whatever file they lie.

    >>> content_digest(Samples(np.zeros((1, 1, 2, 2), np.uint8), np.array([0])))[:8]
    '7ff14cc6'
    """
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        for values in (part.inputs, part.targets):
            digest.update(f"{values.dtype.str} {values.shape} {part.scale!r}".encode())
            rows = max(1, DIGEST_BYTES * len(values) // max(values.nbytes, 1))
            for start in range(0, len(values), rows):
                digest.update(np.ascontiguousarray(values[start : start + rows]).tobytes())
    return digest.hexdigest()
