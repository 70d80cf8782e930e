"""What a dataset is to the rest of the package: a card that describes it and samples as arrays."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from hasnas.errors import BadInputError
from hasnas.registry import Registry

Split = Literal["train", "test"]
SPLITS: tuple[Split, ...] = ("train", "test")
# Of data without a test split; fixed for ever, so that every run, whatever its seed, leaves the same samples untouched.
TEST_SHARE, TEST_SEED = 0.2, 1797


@dataclass(frozen=True)
class RemoteFile:
    """One official file of a dataset: where it comes from and how to know it is whole.

    Args:
        name: file name under the dataset's folder.
        sha256: SHA-256 of the file in hexadecimal; empty where its publisher states none and none could be confirmed.
        url: where to download it; empty where a person must fetch it (a form, a login).
        size: length in bytes, 0 if unknown.
        md5: MD5 of the file, used where only that is published.
        content_sha256: for a `.gz` file the SHA-256 of what it holds: the same data compressed anew are as good.
    """

    name: str
    sha256: str = ""
    url: str = ""
    size: int = 0
    md5: str = ""
    content_sha256: str = ""


@dataclass(frozen=True)
class DatasetCard:
    """What is known of a dataset before any sample is read.

    Args:
        name: the name in the registry.
        title: the name people use.
        task: `"classification"` (integer targets `[N]`) or `"regression"` (float targets `[N, outputs]`).
        input_shape: `(C, H, W)` of one frame.
        outputs: number of classes, or of regressed values.
        splits: samples per split, as `{"train": n, "test": m}`; empty for a user's own data not yet read.
        licence: the licence as its publisher states it.
        citation: the publication to cite.
        timesteps: frames T of a sample, or None for static samples.
        class_names: one name per class, empty for regression.
        files: the official files with their checksums.
        largest_count: the largest of an input's values if these are whole numbers: 1 for spikes, more for counts of
            events; 0 for real values.
        notes: what a reader of results must know, e.g. that images are lossy copies.
        place: whether a regression's targets are the coordinates of one place in pixels; errors are then distances.
    """

    name: str
    title: str
    task: Literal["classification", "regression"]
    input_shape: tuple[int, int, int]
    outputs: int
    splits: Mapping[str, int]
    licence: str
    citation: str
    timesteps: int | None = None
    class_names: tuple[str, ...] = ()
    files: tuple[RemoteFile, ...] = ()
    notes: str = ""
    largest_count: int = 0
    place: bool = False

    @property
    def classes(self) -> int:
        """Number of classes; for a regression task the number of regressed values."""
        return self.outputs

    @property
    def checksums(self) -> dict[str, str]:
        """File name -> SHA-256 for every official file whose checksum is known."""
        return {file.name: file.sha256 for file in self.files if file.sha256}


@dataclass(frozen=True)
class Samples:
    """Inputs and targets of one split, as stored.

    Args:
        inputs: `[N, C, H, W]` static samples or `[N, T, C, H, W]` sequences, float32 or uint8; may be a read-only
            memory map.
        targets: `[N]` int64 class indices, or `[N, outputs]` float32.
        scale: factor that turns stored values into the network's input: 1/255 for 8-bit images, 1 for floats in [0, 1]
            and for event counts.

    >>> Samples(np.full((1, 1, 2, 2), 255, np.uint8), np.zeros(1, np.int64), scale=1 / 255).floats().max()
    np.float32(1.0)
    """

    inputs: NDArray[Any]
    targets: NDArray[Any]
    scale: float = field(default=1.0)

    def __post_init__(self) -> None:
        if self.inputs.ndim not in (4, 5):
            raise BadInputError(
                f"samples have shape {list(self.inputs.shape)}; give [N, C, H, W] or [N, T, C, H, W] arrays"
            )
        if len(self.inputs) != len(self.targets):
            raise BadInputError(
                f"{len(self.inputs)} samples but {len(self.targets)} targets; give one target for each sample"
            )
        if self.inputs.dtype not in (np.float32, np.uint8):
            raise BadInputError(f"samples are {self.inputs.dtype}; store them as float32 or uint8")

    def __len__(self) -> int:
        return len(self.targets)

    def floats(self, indices: NDArray[np.int64] | None = None) -> NDArray[np.float32]:
        """Inputs as the network wants them, float32 and scaled.

        Args:
            indices: which samples, in this order; all of them by default.
        """
        chosen = self.inputs if indices is None else self.inputs[indices]
        if chosen.dtype == np.float32 and self.scale == 1.0:
            return np.asarray(chosen)
        return np.multiply(chosen, np.float32(self.scale), dtype=np.float32)


@runtime_checkable
class DatasetSource(Protocol):
    """Where samples come from. `load` reads files and never downloads; `prepare` in `hasnas.datasets.commands` does."""

    @property
    def card(self) -> DatasetCard:
        """What the dataset is."""
        ...

    def load(self, split: Split, root: Path | None = None) -> Samples:
        """The samples of a split.

        Args:
            split: `"train"` or `"test"`.
            root: folder that holds the datasets' files; by default `data_root()`.

        Raises:
            BadInputError: if files are missing, damaged or not what they claim to be.
        """
        ...


DATASETS: Registry[DatasetSource] = Registry(
    "dataset",
    {
        "arrays": "hasnas.datasets.arrays:ARRAYS",
        "bragg-generated": "hasnas.datasets.generated_peaks:BRAGG_GENERATED",
        "bragg-peaks": "hasnas.datasets.bragg:BRAGG_PEAKS",
        "cifar10": "hasnas.datasets.cifar:CIFAR10",
        "cifar10-dvs": "hasnas.datasets.cifar10_dvs:CIFAR10_DVS",
        "cifar10-jpeg": "hasnas.datasets.cifar_jpeg:CIFAR10_JPEG",
        "cifar100": "hasnas.datasets.cifar:CIFAR100",
        "digits": "hasnas.datasets.digits:DIGITS",
        "dvs128-gesture": "hasnas.datasets.dvs_gesture:DVS128_GESTURE",
        "event-folder": "hasnas.datasets.event_folder:EVENT_FOLDER",
        "fashion-mnist": "hasnas.datasets.mnist:FASHION_MNIST",
        "image-folder": "hasnas.datasets.image_folder:IMAGE_FOLDER",
        "japanese-vowels": "hasnas.datasets.japanese_vowels:JAPANESE_VOWELS",
        "mnist": "hasnas.datasets.mnist:MNIST",
        "nmnist": "hasnas.datasets.nmnist:NMNIST",
        "nmnist-small": "hasnas.datasets.nmnist:NMNIST_SMALL",
        "signal": "hasnas.datasets.signals:SIGNALS",
        "svhn": "hasnas.datasets.svhn:SVHN",
        "tiny-imagenet": "hasnas.datasets.tiny_imagenet:TINY_IMAGENET",
    },
    "hasnas.datasets",
)


def data_root(root: Path | str | None = None) -> Path:
    """The folder that holds datasets: the argument, else $HASNAS_DATA_ROOT, else `~/.cache/hasnas/data`.

    >>> str(data_root("data"))
    'data'
    """
    if root is not None:
        return Path(root)
    return Path(os.environ.get("HASNAS_DATA_ROOT") or Path.home() / ".cache" / "hasnas" / "data")


def check_split(split: str) -> None:
    """Refuse a split that no dataset has; validation samples are carved from `"train"` by `stratified_split`."""
    if split not in SPLITS:
        raise BadInputError(f"unknown split '{split}'; choose train or test (validation is carved from train)")


def stratified_split(
    targets: NDArray[Any], share: float, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Carve a share of the samples out so that every class keeps its proportion.

    Each class gives round-down(share * n_c) samples; the classes with the largest remainders give one more until
    round(share * N) are held out. Float targets (regression) are split without strata.

    Args:
        targets: `[N]` class indices or `[N, outputs]` floats.
        share: part to hold out, 0 to 1 (both excluded).
        seed: seed of the draw.

    Returns:
        Indices that stay and indices held out, each sorted.

    Raises:
        BadInputError: if the share leaves one side empty.

    >>> kept, held = stratified_split(np.array([0, 0, 0, 0, 1, 1, 1, 1]), share=0.25, seed=0)
    >>> len(kept), len(held)
    (6, 2)
    """
    count = len(targets)
    held_count = round(share * count) if 0 < share < 1 else 0
    if not 0 < held_count < count:
        raise BadInputError(
            f"a share of {share} of {count} samples leaves one side empty; give more samples, or a share "
            "between 0 and 1 that leaves some on both sides"
        )
    strata = targets if targets.ndim == 1 and targets.dtype.kind in "iu" else np.zeros(count, np.int64)
    rng = np.random.default_rng(seed)
    order = rng.permutation(count)
    _, classes, sizes = np.unique(strata, return_inverse=True, return_counts=True)
    quota = np.floor(share * sizes).astype(np.int64)
    remainders = share * sizes - quota
    quota[np.argsort(-remainders, kind="stable")[: held_count - int(quota.sum())]] += 1
    held = np.concatenate([order[classes[order] == index][:number] for index, number in enumerate(quota)])
    return np.setdiff1d(np.arange(count), held), np.sort(held)


def held_out(targets: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Which samples are learned from, and the stratified fifth that is the test split, always the same."""
    return stratified_split(targets, TEST_SHARE, TEST_SEED)
