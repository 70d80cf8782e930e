"""How a network is trained; plain data, read without torch."""

from __future__ import annotations

import math
from dataclasses import dataclass

from hasnas.errors import BadInputError, nearest

OPTIMIZERS = ("adamw", "adam", "sgd")


@dataclass(frozen=True)
class RetrainSettings:
    """Everything that decides a training besides architecture, data and seed.

    The defaults bring small convolutional cells on 8x8 digits beyond 98 % test accuracy in 25 epochs.

    Args:
        epochs: passes over the train split.
        batch_size: samples per step, at least 2.
        optimizer: `"adamw"`, `"adam"` or `"sgd"` (with momentum 0.9).
        learning_rate: the largest step size; about 0.3 for SGD.
        weight_decay: pull on kernels and matrices; biases and batch norm are left alone.
        label_smoothing: share of the target spread over all classes.
        warmup_epochs: epochs in which the step size rises from near zero; may be a fraction.
        gradient_clip: largest Euclidean norm of all gradients together; `None` leaves them as they are.

    Raises:
        BadInputError: naming the field, if a value is out of range.

    >>> RetrainSettings(optimizer="sdg")
    Traceback (most recent call last):
        ...
    hasnas.errors.BadInputError: retrain.optimizer is 'sdg'; did you mean 'sgd'? Known: adam, adamw, sgd
    """

    epochs: int = 25
    batch_size: int = 32
    optimizer: str = "adamw"
    learning_rate: float = 4e-3
    weight_decay: float = 2e-2
    label_smoothing: float = 0.1
    warmup_epochs: float = 1.0
    gradient_clip: float | None = 5.0

    def __post_init__(self) -> None:
        if self.optimizer not in OPTIMIZERS:
            raise BadInputError(f"retrain.optimizer is '{self.optimizer}'{nearest(self.optimizer, OPTIMIZERS)}")
        self._check("epochs", self.epochs >= 1, "at least 1")
        self._check("batch_size", self.batch_size >= 2, "at least 2; batch norm needs more than one sample")
        self._check("learning_rate", 0 < self.learning_rate < math.inf, "a positive number")
        self._check("weight_decay", 0 <= self.weight_decay < math.inf, "0 or a positive number")
        self._check("label_smoothing", 0 <= self.label_smoothing < 1, "from 0 to below 1")
        self._check("warmup_epochs", 0 <= self.warmup_epochs < math.inf, "0 or a positive number")
        clip = self.gradient_clip
        self._check("gradient_clip", clip is None or 0 < clip < math.inf, "a positive number or null")

    def _check(self, name: str, fits: bool, wanted: str) -> None:
        if not fits:
            raise BadInputError(f"retrain.{name} is {getattr(self, name)}; give {wanted}")


def learning_rate_at(step: int, steps_per_epoch: int, settings: RetrainSettings) -> float:
    """Step size of one step: a linear rise, then half a cosine down to 1 % of the largest.

        lr(s) = L * min(1, (s + 1) / w) * (0.01 + 0.99 * (1 + cos(pi * s / S)) / 2)

    Args:
        step: s, counted from 0 over all epochs.
        steps_per_epoch: batches in an epoch.
        settings: epochs and warm-up in epochs give S and w in steps; L is the largest step size.

    >>> settings = RetrainSettings(epochs=2, learning_rate=1.0, warmup_epochs=0.2)
    >>> [round(learning_rate_at(step, 10, settings), 3) for step in (0, 1, 10, 19)]
    [0.5, 0.994, 0.505, 0.016]
    """
    total = settings.epochs * steps_per_epoch
    warmup = max(1.0, settings.warmup_epochs * steps_per_epoch)
    decay = 0.01 + 0.99 * (1 + math.cos(math.pi * step / total)) / 2
    return settings.learning_rate * min(1.0, (step + 1) / warmup) * decay
