"""Decoded datasets kept as memory-mapped arrays: made once, checked on every use, made anew when damaged."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from hasnas.errors import BadInputError
from hasnas.files import read_json, sha256_of, sync_directory, unwritable, write_atomic

if sys.platform != "win32":
    import fcntl

FORMAT = 1
REMEDY = "make room or point the variable HASNAS_CACHE at another folder"
_DAMAGE = (BadInputError, OSError, AttributeError)
Array = NDArray[Any]
Allocate = Callable[[tuple[int, ...], DTypeLike], Array]
Build = Callable[[Allocate], tuple[Array, Array]]


def cache_root() -> Path:
    """Folder for decoded data: $HASNAS_CACHE, else `~/.cache/hasnas/prepared`."""
    return Path(os.environ.get("HASNAS_CACHE") or Path.home() / ".cache" / "hasnas" / "prepared")


def fingerprint_of(files: Iterable[Path], options: Mapping[str, object]) -> str:
    """What a cached array depends on: names, sizes and times of the files it was made of, and how.

    Args:
        files: the source files.
        options: everything else that changes the result; JSON values.

    Returns:
        Sixteen hexadecimal digits.
    """
    stats = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in sorted(files)]
    text = json.dumps([FORMAT, stats, dict(sorted(options.items()))])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def cached_arrays(name: str, fingerprint: str, build: Build) -> tuple[Array, Array]:
    """Inputs and targets from the cache, decoded first if they are not there.

    Args:
        name: the dataset, which becomes a folder.
        fingerprint: from `fingerprint_of`.
        build: decodes; takes `allocate(shape, dtype)`, which makes the array that becomes the inputs (on disk, so that
            it may be larger than memory), and returns inputs and targets.

    Returns:
        Read-only memory map of the inputs, and the targets.

    Raises:
        BadInputError: if the cache folder cannot be written, or from `build`.
    """
    folder = cache_root() / name / fingerprint
    with suppress(*_DAMAGE):
        return _read(folder)
    with _locked(folder):
        if folder.exists():  # another process may have mended it
            try:
                return _read(folder)
            except _DAMAGE as error:
                warnings.warn(f"{str(error).partition(';')[0]}; decoding again", stacklevel=2)
                shutil.rmtree(folder, ignore_errors=True)
        _write(folder, build)
        return _read(folder)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Only one process at a time makes or mends a folder of the cache; the lock goes with its process."""
    locks = cache_root() / ".locks"
    try:
        locks.mkdir(parents=True, exist_ok=True)
        file = open(locks / f"{folder.parent.name}-{folder.name}", "w")  # noqa: SIM115
    except OSError as error:
        raise unwritable(f"the cache {folder}", error, REMEDY) from error
    with file:
        if sys.platform != "win32":
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _write(folder: Path, build: Build) -> None:
    staging = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    shutil.rmtree(staging, ignore_errors=True)

    def allocate(shape: tuple[int, ...], dtype: DTypeLike) -> Array:
        return np.lib.format.open_memmap(staging / "inputs.npy", mode="w+", dtype=np.dtype(dtype), shape=shape)

    try:
        staging.mkdir(parents=True)
        inputs, targets = build(allocate)
        if isinstance(inputs, np.memmap):
            inputs.flush()
        np.save(staging / "targets.npy", targets, allow_pickle=False)
        digests = {file: sha256_of(staging / file) for file in ("inputs.npy", "targets.npy")}
        write_atomic(staging / "digests.json", json.dumps(digests))
        _settle(staging, folder)
    except OSError as error:
        raise unwritable(f"the cache {folder}", error, REMEDY) from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _settle(staging: Path, folder: Path) -> None:
    try:
        os.rename(staging, folder)
    except OSError:
        if not folder.exists():  # else another process made the same arrays first
            raise
    sync_directory(folder.parent)


def _read(folder: Path) -> tuple[Array, Array]:
    for file, digest in read_json(folder / "digests.json").items():
        if not (folder / file).exists() or sha256_of(folder / file) != digest:
            raise BadInputError(f"the cached {folder / file} is damaged")
    inputs = np.load(folder / "inputs.npy", mmap_mode="r", allow_pickle=False)
    return inputs, np.load(folder / "targets.npy", allow_pickle=False)
