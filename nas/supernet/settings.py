"""The seam of supernet training: what goes in and out, and the protocol of trainers. No NNI needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from hasnas.errors import BadInputError
from hasnas.nas.config.sections import SupernetSection
from hasnas.nas.config.training import RegressionLoss
from hasnas.nas.data.samples import Split
from hasnas.search_spaces.space import Codes, SearchSpace

from .cost_table import CostTable
from .sharing import Options, PathSampler

Probabilities = Mapping[str, Mapping[str, float]]
"""Label of a gene -> choice -> probability."""


@dataclass(frozen=True, eq=False)
class Choosing:
    """What a trainer needs that learns which choices are good, beside the weights.

    Args:
        samples: those that choices are judged on; the weights never see them.
        codes: canonical codes of the architectures that may be chosen, `[M, genes]`, at least one.
        admits: canonical, connected codes `[N, genes]` -> which of them may be chosen, beyond `codes`.
        table: what each choice costs, for the penalty of the settings; None for no penalty.

    Raises:
        BadInputError: if there is nothing to choose from, or by.
    """

    samples: Split
    codes: Codes
    admits: Callable[[Codes], NDArray[np.bool_]]
    table: CostTable | None = None

    def __post_init__(self) -> None:
        if not len(self.codes):
            raise BadInputError("no architecture is left to choose from; loosen the budget")
        if len(self.samples) < 2:
            raise BadInputError(f"choices are judged on {len(self.samples)} samples; give at least 2")


@dataclass(frozen=True)
class TrainedSupernet:
    """What a supernet training gave.

    Args:
        weights: by the names they have in deployed networks, as `inherit` takes them.
        probabilities: of each gene's choices; empty if the trainer learns none.
        codes: the architecture that the trainer would deploy; None if it proposes none.
    """

    weights: dict[str, Tensor]
    probabilities: Probabilities = field(default_factory=dict)
    codes: tuple[int, ...] | None = None


@dataclass(frozen=True)
class TrainingProgress:
    """Where training stands: `batch` of `batches` in `epoch` of `epochs` are done, counted from 1, with this loss.

    `metrics` are further figures, given with the last batch of an epoch.
    """

    epoch: int
    epochs: int
    batch: int
    batches: int
    loss: float
    metrics: Mapping[str, float] = field(default_factory=dict)


ProgressCallback = Callable[[TrainingProgress], None]


class SupernetTrainer(Protocol):
    """Trains shared weights of a space; the same arguments give the same weights, interrupted or not."""

    def train(
        self,
        space: SearchSpace,
        sampler: PathSampler,
        data: Split,
        *,
        settings: SupernetSection,
        seed: int,
        options: Options | None = None,
        loss: RegressionLoss = "smooth_l1",
        choosing: Choosing | None = None,
        checkpoint_directory: Path | None = None,
        progress: ProgressCallback | None = None,
    ) -> TrainedSupernet:
        """The trained weights, and which choices turned out good where the trainer learns that.

        Args:
            space: the search space.
            sampler: draws the path of each step.
            data: the training samples.
            settings: how to train.
            seed: of initial weights, paths, shuffling and dropout.
            options: label of a gene -> allowed choices, by default all.
            loss: of regression; classes are trained with cross entropy.
            choosing: for trainers that learn which choices are good; others ignore it.
            checkpoint_directory: where an interrupted training left its state and goes on from; None keeps none.
            progress: called after each step.
        """
