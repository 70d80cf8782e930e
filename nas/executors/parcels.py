"""What goes with a task to a process that may be on another machine, and what comes back with its outcome.

Samples, weights and checkpoints go by reference: they are stored once, and fetched by the machines that lack them. A
folder in which a task leaves checkpoints is either one that both sides see, or the other side's own at the same place:
then its files are sent there and back.
"""

from __future__ import annotations

import os
import uuid
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hasnas.files import write_atomic
from hasnas.nas.data.needs import Needs, SplitsKey, Travels
from hasnas.nas.data.samples import Normalisation, Split, Splits, hand_over, is_handed_over, load_splits

Reference = Any
"""What a store gives for a value."""
Files = dict[str, bytes]
"""Path inside a folder -> content."""
MARK = ".seen-from"
_PARTS = ("train", "validation", "test")


@dataclass(frozen=True)
class StoredFile:
    """A file that a task reads.

    Args:
        path: where it expects it.
        size: in bytes.
        changed_ns: when it was last changed; by both a machine knows whether it has the file.
        content: where its bytes are stored.
    """

    path: str
    size: int
    changed_ns: int
    content: Reference


@dataclass(frozen=True)
class Parcel:
    """What goes with one task.

    Args:
        key: of the samples that it computes on; None for none.
        samples: where those are stored.
        files: that it reads.
        folder: where it leaves checkpoints; empty for none.
        mark: what a file beside the folder says to those who see the sender's own.
        stored: where the folder's files are stored; None if it has none yet.
    """

    key: SplitsKey | None = None
    samples: Reference = None
    files: tuple[StoredFile, ...] = ()
    folder: str = ""
    mark: str = ""
    stored: Reference = None


class Packer:
    """Makes parcels; what several tasks need is stored once.

    Args:
        store: keeps a value where other machines can fetch it, and returns a reference.
    """

    def __init__(self, store: Callable[[Any], Reference]) -> None:
        self._store = store
        self._mark = uuid.uuid4().hex
        self._marked: set[Path] = set()
        self._samples: dict[SplitsKey, Reference] = {}
        self._files: dict[tuple[str, int, int], Reference] = {}

    def parcel(self, task: Any) -> Parcel:
        """What goes with a task."""
        if not isinstance(task, Travels):
            return Parcel()
        needs = task.needs
        files = tuple(file for file in map(self._file, needs.files) if file is not None)
        samples = None if needs.samples is None else self._splits(needs.samples)
        if needs.folder is None:
            return Parcel(needs.samples, samples, files)
        folder = Path(needs.folder)
        self._leave_mark(folder.parent)
        found = read_folder(folder)
        return Parcel(needs.samples, samples, files, str(folder), self._mark, self._store(found) if found else None)

    def _splits(self, key: SplitsKey) -> Reference:
        if key not in self._samples:
            self._samples = {key: self._store(to_arrays(load_splits(*key)))}  # those of before are let go
        return self._samples[key]

    def _file(self, path: str) -> StoredFile | None:
        """The stored file; None for what is no file, which the task will say, or the name of a preset."""
        try:
            status = os.stat(path)
            found = (path, status.st_size, status.st_mtime_ns)
            content = None if found in self._files else Path(path).read_bytes()
        except OSError:
            return None
        if content is not None:
            self._files[found] = self._store(content)
        return StoredFile(*found, self._files[found])

    def _leave_mark(self, parent: Path) -> None:
        if parent not in self._marked:
            parent.mkdir(parents=True, exist_ok=True)
            write_atomic(parent / MARK, self._mark)
            self._marked.add(parent)


def unpack(parcel: Parcel, fetch: Callable[[Reference], Any]) -> bool:
    """Put what goes with a task where it expects it.

    Args:
        parcel: what went with it.
        fetch: gives the value of a reference.

    Returns:
        Whether what it leaves in its folder has to be sent back.
    """
    if parcel.key is not None and not is_handed_over(parcel.key):
        hand_over(parcel.key, from_arrays(fetch(parcel.samples)))
    for file in parcel.files:
        _place(file, fetch)
    if not parcel.folder or _sees(Path(parcel.folder).parent, parcel.mark):
        return False
    if parcel.stored is not None:
        write_folder(Path(parcel.folder), fetch(parcel.stored))
    return True


def _place(file: StoredFile, fetch: Callable[[Reference], bytes]) -> None:
    with suppress(FileNotFoundError):
        status = os.stat(file.path)
        if (status.st_size, status.st_mtime_ns) == (file.size, file.changed_ns):
            return
    Path(file.path).parent.mkdir(parents=True, exist_ok=True)
    write_atomic(file.path, fetch(file.content))
    os.utime(file.path, ns=(file.changed_ns, file.changed_ns))


def _sees(parent: Path, mark: str) -> bool:
    try:
        return (parent / MARK).read_text() == mark
    except OSError:
        return False


def read_folder(folder: Path) -> Files:
    """The files of a folder and of those inside; none if there is no such folder."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files into a folder, each whole or not at all; names that lead out of it are left out."""
    for name, content in files.items():
        path = folder / name
        if path.resolve().is_relative_to(folder.resolve()):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(path, content)


Arrays = tuple[dict[str, NDArray[Any]], tuple[Normalisation, int]]


def to_arrays(splits: Splits) -> Arrays:
    """Splits as arrays, which processes of a machine share where a store keeps them in shared memory."""
    parts = {name: getattr(splits, name) for name in _PARTS}
    inputs = {f"{name}.inputs": part.inputs.numpy() for name, part in parts.items()}
    targets = {f"{name}.targets": part.targets.numpy() for name, part in parts.items()}
    return {**inputs, **targets}, (splits.normalisation, splits.classes)


def from_arrays(stored: Arrays) -> Splits:
    """The splits of `to_arrays`, on the same memory: nothing may be written into them."""
    arrays, (normalisation, classes) = stored
    unit, place = normalisation.target_unit, normalisation.place
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the memory of others cannot be written
        tensors = {name: torch.from_numpy(np.asarray(array)) for name, array in arrays.items()}
    train, validation, test = (
        Split(tensors[f"{name}.inputs"], tensors[f"{name}.targets"], unit, place) for name in _PARTS
    )
    return Splits(train, validation, test, normalisation, classes)


def needs_of(task: Any) -> Needs:
    """What a task needs; nothing if it does not say."""
    return task.needs if isinstance(task, Travels) else Needs()
