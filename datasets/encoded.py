"""Images (or given sequences) encoded as spikes over time, once, from a seed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from hasnas.errors import BadInputError

from .encoding import ENCODINGS, encode
from .source import SPLITS, DatasetCard, DatasetSource, Samples, Split

SAMPLES_AT_A_TIME = 512


@dataclass(frozen=True)
class Coding:
    """How values become sequences `[T, C', H, W]`.

    Args:
        encoding: `"direct"`, `"poisson"`, `"latency"`, `"delta"` or `"population"`.
        timesteps: T.
        seed: decides the spikes of encodings that draw them.

    Raises:
        BadInputError: if there is no such encoding or a value is out of range.
    """

    encoding: str
    timesteps: int
    seed: int = 0

    def __post_init__(self) -> None:
        ENCODINGS.get(self.encoding)
        if self.timesteps < 1:
            raise BadInputError(f"encoding.timesteps is {self.timesteps}; choose 1 or more")
        if self.seed < 0:
            raise BadInputError(f"encoding.seed is {self.seed}; choose 0 or more")


@dataclass(frozen=True)
class EncodedDataset:
    """A dataset whose samples are given as encoded sequences `[N, T, C', H, W]`.

    Each sample's spikes are drawn once, so that every epoch, process and run sees the same ones.

    Args:
        source: where values come from.
        coding: how they are encoded.

    >>> from .source import DATASETS
    >>> EncodedDataset(DATASETS.get("digits"), Coding("delta", timesteps=4)).card.input_shape
    (2, 8, 8)
    """

    source: DatasetSource
    coding: Coding

    @property
    def card(self) -> DatasetCard:
        """What the dataset is, with the channels and timesteps of the encoding."""
        card = self.source.card
        channels, height, width = card.input_shape
        encoding = ENCODINGS.get(self.coding.encoding)
        return replace(
            card,
            input_shape=(channels * encoding.channel_factor, height, width),
            timesteps=self.coding.timesteps,
            largest_count=int(encoding.spikes),
        )

    def load(self, split: Split, root: Path | None = None) -> Samples:
        """The encoded samples of a split; spikes are stored as bytes.

        Raises:
            BadInputError: if the samples cannot be encoded so, beside what the dataset itself raises.
        """
        return self.encoded(self.source.load(split, root), split)

    def encoded(self, samples: Samples, split: Split) -> Samples:
        """Samples of the source, encoded; the split decides which spikes are drawn.

        Raises:
            BadInputError: if the samples cannot be encoded so.
        """
        coding = self.coding
        spikes = ENCODINGS.get(coding.encoding).spikes
        shape = (len(samples), coding.timesteps, *self.card.input_shape)
        inputs = np.empty(shape, np.uint8 if spikes else np.float32)
        for start in range(0, len(samples), SAMPLES_AT_A_TIME):
            indices = np.arange(start, min(start + SAMPLES_AT_A_TIME, len(samples)))
            values = samples.floats(indices)
            rng = np.random.default_rng([coding.seed, SPLITS.index(split), start])
            try:
                encoded = encode(
                    coding.encoding, values if values.ndim == 4 else values.swapaxes(0, 1), coding.timesteps, rng
                )
            except BadInputError as error:
                raise BadInputError(f"dataset '{self.card.name}', encoding {coding.encoding}: {error}") from error
            inputs[indices] = encoded.swapaxes(0, 1)
        return Samples(inputs, samples.targets)
