"""NumPy's .npz files read with distrust, and a user's own arrays as a dataset."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from hasnas.errors import BadInputError, nearest

from .archives import UnpackLimits
from .own_data import npz_places, npz_splits, own_card, task_of
from .source import DatasetCard, Samples, Split, check_split, data_root
from .splits import compare_splits

Array = NDArray[Any]
NAMES = ("inputs", "targets")
MOST = 1e18  # of a value, whose square 32 bits still hold
DEFLATE_RATIO = 1100.0  # no deflated file unpacks to more; frames of sparse events reach several hundred


def free_memory() -> int:
    """Bytes of memory that this machine has free; 64 GB where it does not say."""
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            known = dict(line.split(":", 1) for line in file)
        return int(known["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError, UnicodeError):
        return 64 << 30


def read_npz(path: Path, names: Collection[str], limits: UnpackLimits | None = None) -> dict[str, Array]:
    """Arrays of a .npz file, without unpickling and within bounds.

    Args:
        path: the file.
        names: arrays to read.
        limits: how far the file may grow.

    Raises:
        BadInputError: if the file or an array is missing, damaged, pickled or far larger than the file allows.
    """
    try:
        cap = (limits or UnpackLimits()).cap(path.stat().st_size)
        with zipfile.ZipFile(path) as file:
            return {name: _member(file, f"{name}.npy", cap, path) for name in names}
    except BadInputError:
        raise
    except FileNotFoundError as error:
        raise BadInputError(f"{path} is missing; check the path, or write the file with numpy.savez") from error
    except (OSError, ValueError, EOFError, MemoryError, zlib.error, zipfile.BadZipFile, NotImplementedError) as error:
        raise BadInputError(f"{path} is not a readable .npz file ({error}); write it again with numpy.savez") from error


def _member(file: zipfile.ZipFile, name: str, cap: int, path: Path) -> Array:
    known = {info.filename: info.file_size for info in file.infolist()}
    if name not in known:
        wanted = name.removesuffix(".npy")
        raise BadInputError(f"{path} has no array '{wanted}'{nearest(wanted, [key[:-4] for key in known])}")
    if known[name] > cap:
        raise BadInputError(
            f"{path}: array '{name[:-4]}' unpacks to {known[name] / 1e6:,.0f} MB, far more than the file's size or the "
            f"free memory allows ({cap / 1e6:,.0f} MB); save fewer samples, or a narrower type such as uint8"
        )
    with file.open(name) as stream:
        expected = _announced_bytes(stream, name[:-4], path)
    if expected > known[name]:
        raise BadInputError(
            f"{path}: the header of array '{name[:-4]}' promises {expected} bytes; the file is damaged, "
            "write it again with numpy.savez"
        )
    with file.open(name) as stream:
        return np.lib.format.read_array(stream, allow_pickle=False)


def _announced_bytes(stream: IO[bytes], name: str, path: Path) -> int:
    version = np.lib.format.read_magic(stream)
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read_header(stream)
    if dtype.hasobject:
        raise BadInputError(
            f"{path}: array '{name}' holds Python objects (dtype {dtype}), not numbers; make it an array of numbers, "
            "e.g. with numpy.array(list(...), dtype=int) or numpy.stack, and save it again"
        )
    return int(np.prod(shape, dtype=object)) * dtype.itemsize


@dataclass(frozen=True)
class UserArrays:
    """A user's own arrays.

    The data root is either a file `NAME.npz` or a folder with `train.npz` and, if there is a fixed test split,
    `test.npz`. Each holds `inputs`, float32 or uint8, `[N, C, H, W]` or `[N, T, C, H, W]`, and `targets`, integers
    `[N]` (classification; classes are numbered from 0 without gaps) or floats `[N]` or `[N, outputs]` (regression).
    Without `test.npz` a stratified 20 % are the test split, always the same ones.

    Args:
        path: the file or folder; None until it is known.
    """

    path: Path | None = None

    def located(self, root: Path) -> UserArrays:
        """The same source reading from `root`."""
        return replace(self, path=root)

    @cached_property
    def card(self) -> DatasetCard:
        """What the dataset is; read from the arrays once their place is known."""
        card = own_card("arrays", "Arrays", "inputs and targets from .npz files")
        if self.path is None:
            return card
        train, test = self._parts
        compare_splits(train, test, self.places)
        *frames, channels, height, width = train.inputs.shape[1:]
        return replace(
            card,
            title=f"Arrays in {self.path.name}",
            input_shape=(channels, height, width),
            timesteps=frames[0] if frames else None,
            splits={"train": len(train), "test": len(test)},
            **task_of(train.targets),
        )

    @property
    def places(self) -> tuple[str, str]:
        """The files of the training and the test split, for messages; of one file its two parts."""
        return npz_places(self.path or data_root(None))

    def load(self, split: Split, root: Path | None = None) -> Samples:
        """The samples of a split; uint8 inputs get the scale 1/255."""
        check_split(split)
        source = self if self.path is not None else self.located(data_root(root))
        return source._parts[split == "test"]

    @cached_property
    def _parts(self) -> tuple[Samples, Samples]:
        return npz_splits(self.path or data_root(None), _samples)


def _samples(path: Path) -> Samples:
    inputs, targets = read_inputs_and_targets(path)
    if len(inputs) == 0 or 0 in inputs.shape:
        raise BadInputError(
            f"{path} holds no sample (inputs of shape {list(inputs.shape)}); put samples there"
            + (", or remove the file: then a fifth of train.npz is the test split" if path.name == "test.npz" else "")
        )
    check_finite(inputs, path)
    if inputs.dtype == np.float64:
        inputs = inputs.astype(np.float32)
    return samples_of(inputs, targets, 1 / 255 if inputs.dtype == np.uint8 else 1.0, path)


def read_inputs_and_targets(path: Path) -> tuple[Array, Array]:
    """The two arrays of a user's file."""
    arrays = read_npz(path, NAMES, UnpackLimits(DEFLATE_RATIO, free_memory()))
    return arrays["inputs"], arrays["targets"]


def check_finite(values: Array, path: Path, what: str = "inputs") -> None:
    """Refuse floats that are NaN, infinite, or too large for 32 bits; the first sample that holds one is named."""
    if values.dtype.kind != "f":
        return
    samples = values.reshape(len(values), -1)
    if not np.isfinite(samples).all():
        first = int(np.argmin(np.isfinite(samples).all(axis=1)))
        raise BadInputError(f"{path}: {what} hold NaN or infinity, first in sample {first}; remove those samples")
    if max(samples.max(initial=0), -samples.min(initial=0)) > MOST:
        first = int(np.argmax((np.abs(samples) > MOST).any(axis=1)))
        raise BadInputError(
            f"{path}: {what} hold values beyond {MOST:g}, first in sample {first}, whose squares 32-bit floats do not "
            "hold; bring them to another unit"
        )


def check_magnitude(values: Array, where: Path | str) -> None:
    """Refuse a single sample with finite values too large for 32 bits."""
    if np.abs(values).max() > MOST:
        raise BadInputError(
            f"{where} holds values beyond {MOST:g}, whose squares 32-bit floats do not hold; bring them to another unit"
        )


def samples_of(inputs: Array, targets: Array, scale: float, path: Path) -> Samples:
    """Inputs with their targets.

    Raises:
        BadInputError: naming the file, if targets are neither classes nor values, or do not belong to the inputs.
    """
    try:
        return Samples(inputs, read_targets(targets, path), scale)
    except BadInputError as error:
        raise error if str(path) in str(error) else BadInputError(f"{path}: {error}") from error


def read_targets(targets: Array, path: Path) -> Array:
    """Classes as int64 `[N]`, or values as float32 `[N, outputs]`.

    Raises:
        BadInputError: if they are neither.
    """
    if targets.dtype.kind in "iub" and targets.ndim == 1:
        return _classes(targets, path)
    if targets.dtype.kind == "f" and targets.ndim in (1, 2):
        check_finite(targets, path, "targets")
        return targets.astype(np.float32).reshape(len(targets), -1)
    raise BadInputError(
        f"{path}: targets of type {targets.dtype} and shape {list(targets.shape)}; "
        f"give integers [N] or floats [N, outputs]{_remedy(targets)}"
    )


def _remedy(targets: Array) -> str:
    """How such targets become classes, where that can be said."""
    if targets.dtype.kind in "US":
        return "; names become numbers with numpy.unique(targets, return_inverse=True)[1]"
    if targets.dtype.kind in "iub" and targets.ndim == 2:
        return "; write .ravel()" if targets.shape[1] == 1 else "; for one-hot rows write .argmax(1)"
    return ""


def _classes(targets: Array, path: Path) -> NDArray[np.int64]:
    targets = targets.astype(np.int64)
    wrong = np.flatnonzero(targets < 0)
    if wrong.size:
        first = int(wrong[0])
        raise BadInputError(f"{path}: label {targets[first]} of sample {first} is negative; number classes from 0")
    present = np.unique(targets)
    gaps = np.flatnonzero(present != np.arange(len(present)))
    if gaps.size and path.name != "test.npz":  # a class may well be absent from a small test split
        raise BadInputError(
            f"{path}: no sample has label {gaps[0]}, but one has {present[-1]}; number classes from 0 without gaps"
        )
    return targets


ARRAYS = UserArrays()
