"""Official files under a data root: where they lie, whether they are whole."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hasnas.errors import BadInputError

from .archives import read_gzip, unpack
from .cache import cache_root, fingerprint_of
from .download import expect, verify
from .source import DatasetCard, RemoteFile, data_root


class MissingFileError(BadInputError):
    """A dataset's files are not where they were looked for."""


def candidates(card: DatasetCard, name: str, root: Path | None) -> list[Path]:
    """Places where a file of a dataset may lie: `ROOT/<dataset>/<file>` or `ROOT/<file>`."""
    folder = data_root(root)
    return [folder / card.name / name, folder / name]


def find(card: DatasetCard, names: Iterable[str], root: Path | None) -> Path:
    """The first of several equivalent files or folders that exists.

    Args:
        card: the dataset.
        names: names to look for, the preferred one first.
        root: the data root.

    Raises:
        MissingFileError: if there is none; the message says where they were looked for.
    """
    names = list(names)
    for name in names:
        for path in candidates(card, name, root):
            if path.exists():
                return path
    folder = data_root(root)
    raise MissingFileError(
        f"{card.name}: {' or '.join(names)} is neither in {folder / card.name} nor in {folder}; "
        f"run `hasnas data prepare {card.name} --data-root {folder}` or put it there"
    )


def find_folder(card: DatasetCard, names: Iterable[str], archives: Iterable[RemoteFile], root: Path | None) -> Path:
    """The folder of unpacked official files; an archive that lies there packed is checked and unpacked to the cache.

    Args:
        card: the dataset.
        names: folder names, the preferred one first.
        archives: official archives that hold the folder.
        root: the data root.

    Raises:
        BadInputError: if neither folder nor archive is there, or the archive cannot be trusted.
    """
    names, files = list(names), {file.name: file for file in archives}
    place = find(card, [*names, *files], root)
    if place.is_dir():
        return place
    folder = _unpacked(card, files[place.name], place)
    inside = (folder / name for name in names)
    return next((path for path in inside if path.is_dir()), folder)


def _unpacked(card: DatasetCard, file: RemoteFile, archive: Path) -> Path:
    folder = cache_root() / card.name / f"files-{fingerprint_of([archive], {})}"
    if not folder.exists():
        verify(file, archive)
        try:
            unpack(archive, folder)
        except BadInputError:
            if not folder.exists():  # else another process unpacked it first
                raise
    return folder


def read_verified(file: RemoteFile, path: Path) -> bytes:
    """The content of an official file, unpacked if it is a `.gz` file, after comparing its checksum.

    A file that was unpacked by hand is compared where the content's checksum is known.

    Raises:
        BadInputError: if it is damaged or another file.
    """
    content = read_gzip(path)
    if file.content_sha256:
        expect(hashlib.sha256(content).hexdigest(), file.content_sha256, "sha256 of the content", path)
    else:
        verify(file, path)
    return content


def check_labels(labels: NDArray[Any], classes: int, where: Path | str) -> NDArray[np.int64]:
    """Class indices as int64.

    Raises:
        BadInputError: if a label is not one of 0 ... classes - 1.

    >>> check_labels(np.array([0, 3], np.uint8), 3, "labels.bin")
    Traceback (most recent call last):
        ...
    hasnas.errors.BadInputError: labels.bin: label 3 of sample 1 is outside 0 to 2; the file is damaged, fetch it again
    """
    wrong = np.flatnonzero((labels < 0) | (labels >= classes))
    if wrong.size:
        first = int(wrong[0])
        raise BadInputError(
            f"{where}: label {labels[first]} of sample {first} is outside 0 to {classes - 1}; "
            "the file is damaged, fetch it again"
        )
    return labels.astype(np.int64)


def check_count(card: DatasetCard, split: str, count: int, where: Path | str) -> None:
    """Refuse a split that has another length than the card says (an incomplete copy)."""
    expected = card.splits.get(split, count)
    if count != expected:
        raise BadInputError(
            f"{where}: {count} samples in the {split} split, but {card.title} has {expected}; the copy is incomplete"
        )
