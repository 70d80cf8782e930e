"""Bragg peaks of an X-ray diffraction experiment: where in a small patch does the peak lie? A regression task."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hasnas.errors import BadInputError

from .cache import Allocate, Array, cached_arrays, fingerprint_of
from .official import candidates, check_count, find_folder
from .source import DatasetCard, RemoteFile, Samples, Split, check_split

FRAMES_FILE = "frames-exp4train.hdf5"
PEAK_FIELDS = ("peak_fidx", "peak_row", "peak_col", "npeaks", "deviations")
TRAIN_SHARE = 0.8


@dataclass(frozen=True)
class Peaks:
    """Peaks with the frame they lie on and their centre in pixels.

    Args:
        frame: index of the frame, `[N]`.
        row: distance from the frame's top edge, `[N]`.
        column: distance from the frame's left edge, `[N]`.
    """

    frame: NDArray[np.int64]
    row: NDArray[np.float32]
    column: NDArray[np.float32]


@dataclass(frozen=True)
class BraggPeaks:
    """Patches around single Bragg peaks and the peaks' centres, from the two HDF5 files of BraggNN.

    Args:
        base: the card for the default patch.
        patch: side of the patch in pixels; the experiment's files exist for 9, 11, ..., 23.
    """

    base: DatasetCard
    patch: int = 11

    @property
    def card(self) -> DatasetCard:
        """What the dataset is, with the patch chosen."""
        splits = self.base.splits if self.patch == self.base.input_shape[1] else {}
        return replace(self.base, input_shape=(1, self.patch, self.patch), splits=splits)

    def load(self, split: Split, root: Path | None = None) -> Samples:
        """Patches `[N, 1, P, P]` scaled to [0, 1] each, and centres `[N, 2]` as (column, row) in pixels."""
        check_split(split)
        frames_path = self._file(FRAMES_FILE, root)
        peaks_path = self._file(f"peaks-exp4train-psz{self.patch}.hdf5", root)
        fingerprint = fingerprint_of([frames_path, peaks_path], {"split": split, "patch": self.patch, "unit": "pixel"})

        def build(allocate: Allocate) -> tuple[Array, Array]:
            return crop_patches(frames_path, read_peaks(peaks_path, split), self.patch, allocate)

        patches, centres = cached_arrays(self.base.name, fingerprint, build)
        check_count(self.card, split, len(patches), peaks_path)
        return Samples(patches, centres)

    def _file(self, name: str, root: Path | None) -> Path:
        for path in candidates(self.base, name, root):
            if path.exists():
                return path
        path = find_folder(self.base, ["dataset"], self.base.files, root) / name
        if not path.exists():
            raise BadInputError(f"{path} is missing; fetch the archive of the data again")
        return path


def read_peaks(path: Path, split: Split) -> Peaks:
    """The usable peaks of a split: the first 80 % of all peaks are for training; of these (and of the rest) those that
    are alone in their patch and whose fitted centre is less than a pixel from the brightest one.

    Args:
        path: HDF5 file with the arrays `peak_fidx`, `peak_row`, `peak_col`, `npeaks`, `deviations`, all `[N]`.
        split: which part.

    Raises:
        BadInputError: if the file is damaged or lacks an array.

    Source: Z. Liu et al., BraggNN, the released `dataset.py`.
    """
    fields = _read_arrays(path, PEAK_FIELDS)
    if len({len(values) for values in fields.values()}) != 1:
        raise BadInputError(f"{path}: its arrays differ in length; fetch it again")
    border = int(TRAIN_SHARE * len(fields["npeaks"]))
    part = slice(0, border) if split == "train" else slice(border, None)
    fields = {name: values[part] for name, values in fields.items()}
    usable = (fields["npeaks"] == 1) & (fields["deviations"] >= 0) & (fields["deviations"] < 1)
    return Peaks(fields["peak_fidx"][usable].astype(np.int64), fields["peak_row"][usable], fields["peak_col"][usable])


def crop_patches(path: Path, peaks: Peaks, patch: int, allocate: Allocate) -> tuple[Array, Array]:
    """Cut the patches out of the frames.

    Args:
        path: HDF5 file with `frames [F, rows, columns]`.
        peaks: where to cut.
        patch: side P in pixels.
        allocate: makes the array for the patches.

    Returns:
        Patches `[N, 1, P, P]` float32, each scaled to [0, 1], and centres `[N, 2]` float32 in pixels.

    Raises:
        BadInputError: if the file is damaged or a peak lies outside the frames.
    """
    patches = allocate((len(peaks.frame), 1, patch, patch), np.float32)
    centres = np.empty((len(peaks.frame), 2), np.float32)
    with _open(path) as file:
        frames = file.get("frames")
        if frames is None or frames.ndim != 3:
            raise BadInputError(f"{path} holds no array frames [F, rows, columns]; fetch it again")
        _check_inside(peaks, frames.shape, path)
        for index in np.unique(peaks.frame):
            image = _frame(frames, int(index), path)
            for sample in np.flatnonzero(peaks.frame == index):
                row, column = float(peaks.row[sample]), float(peaks.column[sample])
                patches[sample, 0], centres[sample] = crop_patch(image, row, column, patch)
    return patches, centres


def crop_patch(
    image: NDArray[Any], row: float, column: float, patch: int
) -> tuple[NDArray[np.float32], tuple[float, float]]:
    """One patch around the pixel of a peak, scaled to [0, 1], and the peak's place in it.

    A patch that reaches over the frame's edge is filled with zeros on both sides, as BraggNN does.

    Args:
        image: `[rows, columns]`.
        row: the peak's distance from the top edge, in pixels.
        column: its distance from the left edge.
        patch: side P.

    Returns:
        `[P, P]` and (column, row) in the patch, in pixels.

    >>> patch, centre = crop_patch(np.eye(5), row=2.5, column=2.0, patch=3)
    >>> centre
    (1.0, 1.5)
    """
    half, rest = patch // 2, patch % 2
    top, left = max(0, int(row) - half), max(0, int(column) - half)
    crop = np.asarray(image[top : int(row) + half + rest, left : int(column) + half + rest], np.float32)
    above, before = (patch - crop.shape[0]) // 2, (patch - crop.shape[1]) // 2
    padded = np.zeros((patch, patch), np.float32)
    padded[above : above + crop.shape[0], before : before + crop.shape[1]] = crop
    low, high = padded.min(), padded.max()
    scaled = (padded - low) / (high - low) if high > low else np.zeros_like(padded)
    return scaled, (column - left + before, row - top + above)


def _check_inside(peaks: Peaks, shape: tuple[int, ...], path: Path) -> None:
    axes: tuple[tuple[str, NDArray[Any]], ...] = (("frame", peaks.frame), ("row", peaks.row), ("column", peaks.column))
    for (what, values), length in zip(axes, shape, strict=True):
        wrong = np.flatnonzero(~((values >= 0) & (values < length)))
        if wrong.size:
            raise BadInputError(
                f"{path}: peak {int(wrong[0])} lies at {what} {values[wrong[0]]}, but there are {length}; "
                "the two files do not belong together"
            )


def _frame(frames: Any, index: int, path: Path) -> NDArray[Any]:
    try:
        return frames[index]
    except OSError as error:
        raise BadInputError(f"{path}: frame {index} cannot be read ({error}); fetch the file again") from error


def _read_arrays(path: Path, names: tuple[str, ...]) -> dict[str, NDArray[Any]]:
    with _open(path) as file:
        missing = [name for name in names if name not in file]
        if missing:
            raise BadInputError(f"{path} has no array '{missing[0]}'; it needs {', '.join(names)}")
        try:
            return {name: file[name][:] for name in names}
        except OSError as error:
            raise BadInputError(f"{path} cannot be read ({error}); fetch it again") from error


def _open(path: Path) -> Any:
    try:
        return _h5py().File(path, "r")
    except OSError as error:
        raise BadInputError(f"{path} is not a readable HDF5 file ({error}); fetch it again") from error


def _h5py() -> ModuleType:
    try:
        import h5py
    except ImportError as error:
        raise BadInputError("HDF5 files need the package h5py; install it with `pip install hasnas[hdf5]`") from error
    return h5py


BRAGG_PEAKS = BraggPeaks(
    DatasetCard(
        name="bragg-peaks",
        title="Bragg peaks",
        task="regression",
        input_shape=(1, 11, 11),
        outputs=2,
        splits={"train": 55_548, "test": 13_799},
        licence="CC BY-NC 4.0",
        citation="Z. Liu et al.: BraggNN: fast X-ray Bragg peak analysis using deep learning. IUCrJ 9(1), 2022",
        files=(
            RemoteFile(
                "dataset.tar.gz", url="https://github.com/lzhengchun/BraggNN/raw/main/dataset/dataset.tar.gz"
            ),
        ),
        place=True,
        notes="targets are the centre's (column, row) in pixels of the patch; the last 20 % of the peaks are for tests",
    )
)
