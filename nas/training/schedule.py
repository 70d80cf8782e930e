"""Step sizes over a training."""

from __future__ import annotations

import math

from hasnas.nas.config.training import RetrainSection


def learning_rate_at(step: int, steps_per_epoch: int, settings: RetrainSection) -> float:
    """Step size of one step: a linear rise, then half a cosine down to 1 % of the largest.

        lr(s) = L * min(1, (s + 1) / w) * (0.01 + 0.99 * (1 + cos(pi * s / S)) / 2)

    Args:
        step: s, counted from 0 over all epochs.
        steps_per_epoch: batches in an epoch.
        settings: epochs and warm-up in epochs give S and w in steps; L is the largest step size.

    >>> settings = RetrainSection(epochs=2, learning_rate=1.0, warmup_epochs=0.2)
    >>> [round(learning_rate_at(step, 10, settings), 3) for step in (0, 1, 10, 19)]
    [0.5, 0.994, 0.505, 0.016]
    """
    total = settings.epochs * steps_per_epoch
    warmup = max(1.0, settings.warmup_epochs * steps_per_epoch)
    decay = 0.01 + 0.99 * (1 + math.cos(math.pi * step / total)) / 2
    return settings.learning_rate * min(1.0, (step + 1) / warmup) * decay
