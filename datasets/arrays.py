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
from .source import DatasetCard, Samples, Split, check_split, data_root, stratified_split

Array = NDArray[Any]
TEST_SHARE = 0.2
TEST_SEED = 1797  # as for the digits: the split never depends on a run's seed
NAMES = ("inputs", "targets")


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
    except (OSError, ValueError, EOFError, MemoryError, zlib.error, zipfile.BadZipFile, NotImplementedError) as error:
        raise BadInputError(f"{path} is not a readable .npz file ({error}); write it again with numpy.savez") from error


def _member(file: zipfile.ZipFile, name: str, cap: int, path: Path) -> Array:
    known = {info.filename: info.file_size for info in file.infolist()}
    if name not in known:
        wanted = name.removesuffix(".npy")
        raise BadInputError(f"{path} has no array '{wanted}'{nearest(wanted, [key[:-4] for key in known])}")
    if known[name] > cap:
        raise BadInputError(
            f"{path}: array '{name[:-4]}' unpacks to far more than the file's size allows (a "
            "decompression bomb?); write it again with numpy.savez"
        )
    with file.open(name) as stream:
        expected = _announced_bytes(stream)
    if expected > known[name]:
        raise BadInputError(
            f"{path}: the header of array '{name[:-4]}' promises {expected} bytes; the file is damaged, "
            "write it again with numpy.savez"
        )
    with file.open(name) as stream:
        return np.lib.format.read_array(stream, allow_pickle=False)


def _announced_bytes(stream: IO[bytes]) -> int:
    version = np.lib.format.read_magic(stream)
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read_header(stream)
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
        card = DatasetCard(
            name="arrays",
            title="Arrays",
            task="classification",
            input_shape=(0, 0, 0),
            outputs=0,
            splits={},
            licence="the user's",
            citation="none: the user's own data",
            notes="inputs and targets from .npz files",
        )
        if self.path is None:
            return card
        train, test = self._load("train", self.path), self._load("test", self.path)
        *frames, channels, height, width = train.inputs.shape[1:]
        return replace(
            card,
            title=f"Arrays in {self.path.name}",
            task="classification" if train.targets.ndim == 1 else "regression",
            input_shape=(channels, height, width),
            timesteps=frames[0] if frames else None,
            outputs=_outputs(train, test, self.path),
            splits={"train": len(train), "test": len(test)},
        )

    def load(self, split: Split, root: Path | None = None) -> Samples:
        """The samples of a split; uint8 inputs get the scale 1/255."""
        check_split(split)
        return self._load(split, self.path or data_root(root))

    def _load(self, split: Split, place: Path) -> Samples:
        if place.is_dir() and (place / "test.npz").exists():
            return _samples(place / f"{split}.npz")
        samples = _samples(place / "train.npz" if place.is_dir() else place)
        train, test = stratified_split(samples.targets, TEST_SHARE, TEST_SEED)
        chosen = train if split == "train" else test
        return Samples(samples.inputs[chosen], samples.targets[chosen], samples.scale)


def _outputs(train: Samples, test: Samples, place: Path) -> int:
    if train.targets.ndim == 2:
        return train.targets.shape[1]
    classes, largest = int(train.targets.max()) + 1, int(test.targets.max())
    if largest >= classes:  # only where there is a test file: the split of one file leaves every class in training
        raise BadInputError(
            f"{place / 'test.npz'}: class {largest} does not occur in train.npz; add samples of it there or remove it"
        )
    return classes


def _samples(path: Path) -> Samples:
    arrays = read_npz(path, NAMES)
    inputs, targets = arrays["inputs"], arrays["targets"]
    if inputs.dtype == np.float64:
        inputs = inputs.astype(np.float32)
    if inputs.dtype == np.float32 and not np.isfinite(inputs).all():
        first = int(np.argmin(np.isfinite(inputs).all(axis=tuple(range(1, inputs.ndim)))))
        raise BadInputError(f"{path}: inputs hold NaN or infinity, first in sample {first}; remove those samples")
    scale = 1 / 255 if inputs.dtype == np.uint8 else 1.0
    try:
        return Samples(inputs, _targets(targets, path), scale)
    except BadInputError as error:
        raise error if str(path) in str(error) else BadInputError(f"{path}: {error}") from error


def _targets(targets: Array, path: Path) -> Array:
    if targets.dtype.kind in "iu" and targets.ndim == 1:
        return _classes(targets, path)
    if targets.dtype.kind == "f" and targets.ndim in (1, 2):
        if not np.isfinite(targets).all():
            first = int(np.argmin(np.isfinite(targets.reshape(len(targets), -1)).all(axis=1)))
            raise BadInputError(f"{path}: targets hold NaN or infinity, first in sample {first}; remove those samples")
        return targets.astype(np.float32).reshape(len(targets), -1)
    raise BadInputError(
        f"{path}: targets of type {targets.dtype} and shape {list(targets.shape)}; "
        "give integers [N] or floats [N, outputs]"
    )


def _classes(targets: Array, path: Path) -> NDArray[np.int64]:
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
    return targets.astype(np.int64)


ARRAYS = UserArrays()
