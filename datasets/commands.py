"""What `hasnas data` does, as plain functions: list, prepare, check, preview."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hasnas.errors import BadInputError

from .catalog import open_dataset
from .download import Progress, download, no_progress, verify
from .frames import Framing
from .official import MissingFileError, candidates, check_labels
from .preview import write_sheet
from .source import DATASETS, SPLITS, DatasetCard, DatasetSource, RemoteFile, Samples, Split, data_root
from .splits import load_both, notes_on, places_of


@dataclass(frozen=True)
class DatasetRow:
    """One line of `hasnas data ls`.

    Args:
        card: the dataset.
        state: `"included"` (comes with the installation), `"present"`, `"absent"` or `"yours"` (give its place).
    """

    card: DatasetCard
    state: str


@dataclass(frozen=True)
class Finding:
    """One line of `hasnas data check`.

    Args:
        what: file or split.
        detail: what was compared or found, or what is wrong.
        good: whether it passed.
    """

    what: str
    detail: str
    good: bool = True


def list_datasets(root: Path | None = None) -> list[DatasetRow]:
    """Every known dataset, and whether its files lie under the data root.

    Args:
        root: the data root; by default `data_root()`.
    """
    cards = [DATASETS.get(name).card for name in DATASETS.names()]
    return [DatasetRow(card, _state(card, root)) for card in cards]


def _state(card: DatasetCard, root: Path | None) -> str:
    if card.licence == "the user's":
        return "yours"
    if not card.files:
        return "included"
    folder = data_root(root) / card.name
    if folder.is_dir() and any(folder.iterdir()):
        return "present"
    return "present" if all(_place(card, file, root) for file in card.files) else "absent"


def _place(card: DatasetCard, file: RemoteFile, root: Path | None) -> Path | None:
    names = [file.name, file.name.removesuffix(".gz")]
    return next((path for name in names for path in candidates(card, name, root) if path.exists()), None)


def prepare(
    name: str, root: Path | None = None, framing: Framing | None = None, progress: Progress = no_progress
) -> dict[Split, int]:
    """Make a dataset ready: download what is missing, check it, decode it into the cache.

    Args:
        name: the dataset.
        root: the data root, where downloads go to (`ROOT/<dataset>/`); for a user's own data their place.
        framing: how event recordings become frames.
        progress: told about downloads.

    Returns:
        Samples in each split.

    Raises:
        BadInputError: if files cannot be had or are damaged.
    """
    source = open_dataset(name, root, framing)
    try:
        return {split: len(source.load(split, root)) for split in SPLITS}
    except MissingFileError:
        missing = [file for file in source.card.files if _place(source.card, file, root) is None]
        for file in missing:
            download(file, data_root(root) / source.card.name / file.name, progress)
        if not missing:
            raise
    return {split: len(source.load(split, root)) for split in SPLITS}


def check(name: str, root: Path | None = None, framing: Framing | None = None) -> list[Finding]:
    """Compare a dataset's files with their published checksums, then read both splits.

    Args:
        name: the dataset.
        root: the data root.
        framing: how event recordings become frames.

    Returns:
        One finding per official file that is there, one per split, one of both together, and notes; what is wrong is a
        finding, too.

    Raises:
        BadInputError: if there is no such dataset.
    """
    source = open_dataset(name, root, framing)
    found = [*_check_files(source.card, root), *(_check_split(source, split, root) for split in SPLITS)]
    return [*found, *_compare(source, root)] if all(finding.good for finding in found) else found


def _check_files(card: DatasetCard, root: Path | None) -> Iterator[Finding]:
    for file in card.files:
        path = _place(card, file, root)
        if path is None:
            continue
        try:
            yield Finding(str(path), verify(file, path))
        except BadInputError as error:
            yield Finding(str(path), str(error).removeprefix(f"{path} "), good=False)


def _check_split(source: DatasetSource, split: Split, root: Path | None) -> Finding:
    try:
        samples = source.load(split, root)
        return Finding(split, _describe(source.card, samples, split))
    except BadInputError as error:
        return Finding(split, str(error), good=False)


def _compare(source: DatasetSource, root: Path | None) -> Iterator[Finding]:
    try:
        train, test = load_both(source, root)
    except BadInputError as error:
        yield Finding("splits", str(error), good=False)
        return
    yield Finding("splits", "alike in task, shape, type and scale of values")
    places = places_of(source)
    for note in (*notes_on(train, test, places), *getattr(source, "notes", ())):
        yield Finding("note", note)


def _describe(card: DatasetCard, samples: Samples, split: Split) -> str:
    shape = " x ".join(str(length) for length in samples.inputs.shape[1:])
    if card.task == "regression":
        return f"{len(samples)} samples of {shape}, {samples.targets.shape[1]} targets each"
    labels = check_labels(samples.targets, card.classes, split)
    counts = np.bincount(labels, minlength=card.classes)
    return f"{len(samples)} samples of {shape}, {counts.min()} to {counts.max()} in each of {card.classes} classes"


def preview(name: str, path: Path, root: Path | None = None, split: Split = "train", seed: int = 0) -> None:
    """Write a PNG sheet of samples of a dataset.

    Args:
        name: the dataset.
        path: the PNG file.
        root: the data root.
        split: where the samples come from.
        seed: seed of the choice.

    Raises:
        BadInputError: if the data cannot be read or the file not be written.
    """
    source = open_dataset(name, root)
    write_sheet(source.card, source.load(split, root), path, seed=seed)
