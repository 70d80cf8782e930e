"""A dataset as a search sees it: train, validation and test splits as tensors, and their batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hasnas.datasets.choices import View
from hasnas.datasets.source import Samples, stratified_split
from hasnas.datasets.splits import load_both
from hasnas.errors import BadInputError

from .needs import SplitsKey
from .sources import open_source

SAMPLES_AT_A_TIME = 256
SPARSE = 0.5  # share of values that are not zero, below which zero means that nothing happened


@dataclass(frozen=True, eq=False)
class Split:
    """Samples with their targets.

    Args:
        inputs: float32, `[N, C, H, W]` static samples or `[N, T, C, H, W]` sequences.
        targets: class indices `[N]`, int64; for regression values `[N, outputs]`, float32.
        unit: for regression what a target's 1 stands for in the data, `[outputs]`; None where targets are as given.
        place: whether a regression's values are the coordinates of one place.

    Raises:
        BadInputError: if the shapes do not belong together.
    """

    inputs: Tensor
    targets: Tensor
    unit: Tensor | None = None
    place: bool = False

    def __post_init__(self) -> None:
        fits = self.targets.ndim == 1 + self.is_regression and len(self.inputs) == len(self.targets)
        if self.inputs.ndim not in (4, 5) or not fits:
            raise BadInputError(
                f"a split has inputs {list(self.inputs.shape)} and targets {list(self.targets.shape)}; "
                "give [N, C, H, W] or [N, T, C, H, W] and [N], or [N, outputs] for regression"
            )

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def is_regression(self) -> bool:
        """Whether targets are values rather than classes."""
        return self.targets.is_floating_point()

    @property
    def is_static(self) -> bool:
        """Whether a sample is one image shown at every timestep."""
        return self.inputs.ndim == 4

    def take(self, indices: Tensor) -> Split:
        """The samples at `indices`, in that order."""
        return Split(self.inputs[indices], self.targets[indices], self.unit, self.place)


@dataclass(frozen=True)
class TargetScale:
    """What a regression learns instead of its targets: (y - mean) / deviation, for each of the values.

    The network's output times the deviation plus the mean is in the data's units again.

    Args:
        mean: of each value.
        deviation: of each value.
        place: whether the values are the coordinates of one place.

    >>> TargetScale((1.0,), (2.0,)).apply(torch.tensor([[5.0]])).tolist()
    [[2.0]]
    """

    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    place: bool = False

    def apply(self, targets: Tensor) -> Tensor:
        """Scaled `targets [N, outputs]`, a new tensor."""
        return (targets - torch.tensor(self.mean)) / torch.tensor(self.deviation)

    def in_units(self, outputs: Tensor) -> Tensor:
        """What a network's `outputs [N, outputs]` are in the data's units.

        >>> TargetScale((1.0,), (2.0,)).in_units(torch.tensor([[2.0]])).tolist()
        [[5.0]]
        """
        return outputs * torch.tensor(self.deviation) + torch.tensor(self.mean)


@dataclass(frozen=True)
class Normalisation:
    """Per-channel map (x - mean) / deviation, computed on training samples alone.

    Args:
        mean: of each channel.
        deviation: of each channel.
        targets: for regression what happened to the targets.

    >>> image = torch.tensor([[[[0.0, 2.0]]]])
    >>> Normalisation((1.0,), (2.0,)).apply(image).tolist()
    [[[[-0.5, 0.5]]]]
    """

    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    targets: TargetScale | None = None

    @property
    def target_unit(self) -> Tensor | None:
        """See `Split.unit`."""
        return None if self.targets is None else torch.tensor(self.targets.deviation)

    @property
    def place(self) -> bool:
        """See `Split.place`."""
        return self.targets is not None and self.targets.place

    def apply(self, inputs: Tensor) -> Tensor:
        """Normalised `inputs [..., C, H, W]`, a new tensor."""
        shape = (len(self.mean), 1, 1)
        mean = torch.tensor(self.mean, dtype=inputs.dtype).reshape(shape)
        deviation = torch.tensor(self.deviation, dtype=inputs.dtype).reshape(shape)
        return (inputs - mean) / deviation

    def in_units(self, outputs: Tensor) -> Tensor:
        """What a network's outputs are in the data's units; scores of classes stay as they are."""
        return outputs if self.targets is None else self.targets.in_units(outputs)

    @classmethod
    def from_json(cls, tree: Mapping[str, Any]) -> Normalisation:
        """The map that a card or a checkpoint describes.

        Raises:
            KeyError, TypeError or ValueError: if that is no such description.

        >>> Normalisation.from_json({"mean": [0.5], "deviation": [0.25], "targets": None})
        Normalisation(mean=(0.5,), deviation=(0.25,), targets=None)
        """

        def numbers(values: Iterable[Any]) -> tuple[float, ...]:
            return tuple(float(value) for value in values)

        scale = tree.get("targets")
        targets = None if scale is None else TargetScale(
            numbers(scale["mean"]), numbers(scale["deviation"]), bool(scale.get("place", False))
        )
        return cls(numbers(tree["mean"]), numbers(tree["deviation"]), targets)


@dataclass(frozen=True, eq=False)
class Splits:
    """What a run learns from, chooses by, and is judged on once at its end.

    Args:
        train: samples to learn from.
        validation: samples that choose between candidates and epochs.
        test: samples nobody touches before the final evaluation.
        normalisation: the map that was applied to all three.
        classes: number of classes; for regression the number of values.
    """

    train: Split
    validation: Split
    test: Split
    normalisation: Normalisation
    classes: int


def renormalised(splits: Splits, normalisation: Normalisation) -> Splits:
    """The same samples, normalised as another training did it.

    Raises:
        BadInputError: if that was of samples with other channels, or of another task.

    >>> splits = load_splits("digits", None, validation_share=0.2, seed=0)
    >>> plain = renormalised(splits, Normalisation((0.0,), (1.0,)))
    >>> round(float(plain.train.inputs.max()), 6), plain.normalisation.deviation
    (1.0, (1.0,))
    """
    old = splits.normalisation
    if len(old.mean) != len(normalisation.mean) or (old.targets is None) != (normalisation.targets is None):
        raise BadInputError(
            f"the network was made for samples of {len(normalisation.mean)} channels, normalised for "
            f"{'classes' if normalisation.targets is None else 'values'}; these have {len(old.mean)}, or another task"
        )

    def changed(part: Split) -> Split:
        shape = (len(old.mean), 1, 1)
        given = part.inputs * torch.tensor(old.deviation).reshape(shape) + torch.tensor(old.mean).reshape(shape)
        targets = part.targets
        if old.targets is not None and normalisation.targets is not None:
            targets = normalisation.targets.apply(old.targets.in_units(targets))
        return Split(normalisation.apply(given), targets, normalisation.target_unit, part.place)

    parts = changed(splits.train), changed(splits.validation), changed(splits.test)
    return Splits(*parts, normalisation, splits.classes)


def load_splits(
    name: str, root: Path | None, validation_share: float, seed: int, framing: View = None
) -> Splits:
    """A dataset as normalised tensors.

    The test split is the dataset's own and the same for every seed; validation samples are drawn from its train split
    so that every class keeps its proportion. Static samples and sequences of real values are standardised per channel
    with the mean and deviation of the training samples; counts of events stay as they are, so that no event stays zero.
    Each value of a regression is standardised with the mean and deviation of the training targets.

    Args:
        name: name of the dataset, e.g. `"digits"`.
        root: folder that holds the datasets' files, `None` for the default one; for a user's own data its place.
        validation_share: part of the dataset's train split held out, 0 to 1, both excluded.
        seed: seed of the draw.
        framing: how event recordings become frames, or static samples spikes; None takes the dataset's own way.

    Raises:
        BadInputError: for an unknown dataset, damaged files or a share out of range.

    >>> splits = load_splits("digits", None, validation_share=0.2, seed=0)
    >>> [len(split) for split in (splits.train, splits.validation, splits.test)]
    [1150, 288, 359]
    """
    if (name, root, validation_share, seed, framing) in _handed:
        return _handed[name, root, validation_share, seed, framing]
    source = open_source(name, root, framing)
    train, test = load_both(source, root)
    kept, held = stratified_split(np.asarray(train.targets), validation_share, seed)
    parts = _tensors(train, kept), _tensors(train, held), _tensors(test, None)
    counts = source.card.largest_count > 0 or (train.inputs.dtype == np.uint8 and train.scale == 1.0)
    normalisation = training_normalisation(parts[0], source.card.place, counts)
    fitting, choosing, judging = (_normalised(part, normalisation) for part in parts)
    return Splits(fitting, choosing, judging, normalisation, source.card.outputs)


_handed: dict[SplitsKey, Splits] = {}


def hand_over(key: SplitsKey, splits: Splits) -> None:
    """From now on this process loads these splits where it is asked for the key; those of before are let go."""
    _handed.clear()
    _handed[key] = splits


def is_handed_over(key: SplitsKey) -> bool:
    """Whether this process has the splits of a key."""
    return key in _handed


def _normalised(part: Split, normalisation: Normalisation) -> Split:
    targets = part.targets if normalisation.targets is None else normalisation.targets.apply(part.targets)
    return Split(normalisation.apply(part.inputs), targets, normalisation.target_unit, normalisation.place)


def training_normalisation(train: Split, place: bool = False, counts: bool = False) -> Normalisation:
    """What brings each channel of the training samples to one scale, and a regression's targets.

    Static samples and sequences of real values get mean 0 and deviation 1. Counts of events stay as they are. In
    sequences of which most values are zero, zero stays zero: they are only divided, by the root mean square of the
    values that are not zero.

    Args:
        train: the samples.
        place: whether a regression's targets are one place.
        counts: whether the values are counts of events, or spikes.
    """
    channels = train.inputs.shape[-3]
    targets = TargetScale(*_moments(train.targets, (0,)), place) if train.is_regression else None
    if train.is_static:
        return Normalisation(*_moments(train.inputs, (0, 2, 3)), targets)
    if counts:
        return Normalisation((0.0,) * channels, (1.0,) * channels, targets)
    return Normalisation(*_moments_of_sequences(train.inputs), targets)


def _moments_of_sequences(inputs: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The same in parts, as sequences may fill the memory; see `training_normalisation` for those of mostly zeros."""
    present, total, squares = (torch.zeros(inputs.shape[-3], dtype=torch.float64) for _ in range(3))
    for part in inputs.split(SAMPLES_AT_A_TIME):
        values = part.double()
        present += (values != 0).sum((0, 1, 3, 4))
        total += values.sum((0, 1, 3, 4))
        squares += values.square().sum((0, 1, 3, 4))
    count = inputs.numel() / len(present)
    if float(present.sum()) < SPARSE * inputs.numel():
        mean, deviation = torch.zeros_like(total), (squares / present.clamp(min=1)).sqrt()
    else:
        mean = total / count
        deviation = (squares / count - mean.square()).clamp(min=0).sqrt()
    deviation[~(deviation > 1e-7 * mean.abs())] = 1.0
    return tuple(mean.tolist()), tuple(deviation.tolist())


def _moments(values: Tensor, axes: tuple[int, ...]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation; what never differs keeps its scale."""
    mean, deviation = values.double().mean(axes), values.double().std(axes)
    deviation[~(deviation > 0)] = 1.0
    return tuple(mean.tolist()), tuple(deviation.tolist())


def batches(
    split: Split, batch_size: int, generator: torch.Generator | None = None, smallest: int = 1
) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches as a network takes them, in an order that only the generator decides.

    Args:
        split: the samples.
        batch_size: samples per batch; the last batch may hold fewer.
        generator: shuffles; `None` keeps the order of the split.
        smallest: samples that the last batch must have to be given, unless it is the only one: batch norm has no
            variance of one sample on maps of one pixel.

    Yields:
        Inputs `[B, C, H, W]` or `[T, B, C, H, W]`, and targets `[B]` or `[B, outputs]`.

    >>> split = Split(torch.zeros(5, 3, 1, 2, 2), torch.arange(5))
    >>> [(list(x.shape), y.tolist()) for x, y in batches(split, 3)]
    [([3, 3, 1, 2, 2], [0, 1, 2]), ([3, 2, 1, 2, 2], [3, 4])]
    """
    if batch_size < 1:
        raise BadInputError(f"batch_size is {batch_size}; give at least 1")
    order = torch.arange(len(split)) if generator is None else torch.randperm(len(split), generator=generator)
    for number, indices in enumerate(order.split(batch_size)):
        if number and len(indices) < smallest:
            return
        part = split.take(indices)
        yield (part.inputs if part.is_static else part.inputs.transpose(0, 1).contiguous()), part.targets


def _tensors(samples: Samples, indices: np.ndarray | None) -> Split:
    chosen = samples.targets if indices is None else samples.targets[indices]
    inputs = torch.from_numpy(np.array(samples.floats(indices), np.float32))
    kind = np.float32 if samples.targets.dtype.kind == "f" else np.int64
    return Split(inputs, torch.from_numpy(np.array(chosen, kind)))
