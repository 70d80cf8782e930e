"""Japanese Vowels: which of nine speakers said it. Real speech that comes with the package sktime."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from hasnas.files import package_folder

from .choices import SignalShape
from .signals import TEST_TS, TRAIN_TS, formed, read_archive
from .source import DatasetCard, Samples, Split, check_split

LONGEST = 29
CHANNELS = 12


@dataclass(frozen=True)
class JapaneseVowels:
    """Twelve coefficients of linear prediction over 7 to 29 frames of speech, the split its publishers give.

    Shorter utterances are filled with their last frame; `shape` is how the signals `[12, 29]` become samples.

    Source: M. Kudo, J. Toyama, M. Shimbo, Pattern Recognition Letters 20 (11-13), 1103-1111, 1999.
    """

    shape: SignalShape = SignalShape()

    def formed(self, shape: SignalShape) -> JapaneseVowels:
        """The same source with other samples made of its signals."""
        return replace(self, shape=shape)

    @property
    def card(self) -> DatasetCard:
        """What the dataset is."""
        whole = np.zeros((1, CHANNELS, self.shape.length or LONGEST), np.float32)
        *_, channels, height, width = formed(whole, self.shape).shape
        return DatasetCard(
            name="japanese-vowels",
            title="Japanese Vowels (sktime)",
            task="classification",
            input_shape=(channels, height, width),
            outputs=9,
            splits={"train": 270, "test": 370},
            licence="CC BY 4.0",
            citation="M. Kudo, J. Toyama, M. Shimbo: Multidimensional curve classification using passing-through "
            "regions. Pattern Recognition Letters 20, 1999",
            timesteps=self.shape.frames,
            class_names=tuple(f"speaker {number}" for number in range(1, 10)),
            notes="ships with sktime; utterances of 7 to 29 frames, shorter ones filled with their last frame",
        )

    def load(self, split: Split, root: Path | None = None) -> Samples:
        """The samples of a split, float32; `root` is not needed."""
        check_split(split)
        return self._parts[split == "test"]

    @cached_property
    def _parts(self) -> tuple[Samples, Samples]:
        folder = package_folder("sktime") / "datasets" / "data" / "JapaneseVowels"
        return read_archive((folder / f"JapaneseVowels{TRAIN_TS}", folder / f"JapaneseVowels{TEST_TS}"), self.shape)


JAPANESE_VOWELS = JapaneseVowels()
