"""The seam of supernet training: settings, progress, the protocol and its implementations by name. No NNI needed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from torch import Tensor

from hasnas.errors import BadInputError
from hasnas.nas.data import Split
from hasnas.registry import Registry
from hasnas.search_spaces.space import SearchSpace

from .sharing import Options, PathSampler


@dataclass(frozen=True)
class SupernetSettings:
    """How a supernet is trained.

    Args:
        epochs: passes over the data.
        batch_size: samples per step; each step trains one path.
        learning_rate: of the first step; it falls to 0 along a half cosine.
        weight_decay: decoupled weight decay of the layers on the path.
        options: label of a gene -> allowed choices, by default all.

    Raises:
        BadInputError: if a value is out of range.
    """

    epochs: int = 20
    batch_size: int = 64
    learning_rate: float = 0.02
    weight_decay: float = 0.0
    options: Options | None = None

    def __post_init__(self) -> None:
        for name, minimum in (("epochs", 1), ("batch_size", 2)):
            if getattr(self, name) < minimum:
                raise BadInputError(f"supernet.{name} is {getattr(self, name)}; give at least {minimum}")
        if not 0 < self.learning_rate < float("inf"):
            raise BadInputError(f"supernet.learning_rate is {self.learning_rate}; give a positive number")
        if not 0 <= self.weight_decay < float("inf"):
            raise BadInputError(f"supernet.weight_decay is {self.weight_decay}; give 0 or more")


@dataclass(frozen=True)
class TrainingProgress:
    """Where training stands: `batch` of `batches` in `epoch` of `epochs` are done, counted from 1, with this loss."""

    epoch: int
    epochs: int
    batch: int
    batches: int
    loss: float


ProgressCallback = Callable[[TrainingProgress], None]


class SupernetTrainer(Protocol):
    """Trains shared weights of a space; the same arguments give the same weights, interrupted or not."""

    def train(
        self,
        space: SearchSpace,
        sampler: PathSampler,
        data: Split,
        *,
        settings: SupernetSettings,
        seed: int,
        checkpoint_directory: Path | None = None,
        progress: ProgressCallback | None = None,
    ) -> dict[str, Tensor]:
        """The trained weights by the names they have in deployed networks, as `inherit` takes them.

        Args:
            space: the search space.
            sampler: draws the path of each step.
            data: the training samples.
            settings: how to train.
            seed: of initial weights, paths, shuffling and dropout.
            checkpoint_directory: where an interrupted training left its state and goes on from; None keeps none.
            progress: called after each step.
        """


SUPERNET_TRAINERS: Registry[type[SupernetTrainer]] = Registry(
    "supernet trainer",
    {"random_one_shot": "hasnas.nas.nni_engine.oneshot:RandomOneShotTrainer"},
    "hasnas.supernet_trainers",
)
