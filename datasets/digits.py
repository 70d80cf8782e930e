"""The 8 x 8 handwritten digits that come with scikit-learn: real data without a download."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hasnas.files import package_folder

from .source import DatasetCard, Samples, Split, check_split, held_out

MAXIMUM = 16.0  # pixels are counts of black dots in 4 x 4 blocks


@dataclass(frozen=True)
class Digits:
    """scikit-learn's digits with a fixed stratified test split of 20 %.

    Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI, 1998 (its test part).

    >>> Digits().load("test").inputs.shape
    (359, 1, 8, 8)
    """

    @property
    def card(self) -> DatasetCard:
        """What the dataset is."""
        return DatasetCard(
            name="digits",
            title="Digits (scikit-learn)",
            task="classification",
            input_shape=(1, 8, 8),
            outputs=10,
            splits={"train": 1438, "test": 359},
            licence="CC BY 4.0",
            citation="E. Alpaydin, C. Kaynak: Optical Recognition of Handwritten Digits. UCI ML Repository, 1998",
            class_names=tuple("0123456789"),
            notes="ships with scikit-learn; the split is ours: 20 % stratified, seed 1797",
        )

    def load(self, split: Split, root: Path | None = None) -> Samples:
        """The samples of a split, float32 in [0, 1]; `root` is not needed."""
        check_split(split)
        table = np.loadtxt(_file(), delimiter=",")
        images, targets = table[:, :-1], table[:, -1].astype(np.int64)
        train, test = held_out(targets)
        chosen = train if split == "train" else test
        inputs = (images[chosen] / MAXIMUM).astype(np.float32).reshape(-1, 1, 8, 8)
        return Samples(inputs, targets[chosen])


def _file() -> Path:
    """The table in scikit-learn's folder: a digit a line, its class last."""
    return package_folder("sklearn") / "datasets" / "data" / "digits.csv.gz"


DIGITS = Digits()
