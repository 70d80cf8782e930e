"""What a network is trained to make small: by the kind of its task."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def task_loss(
    outputs: Tensor, targets: Tensor, regression: bool, kind: str = "smooth_l1", label_smoothing: float = 0.0
) -> Tensor:
    """Cross entropy for classes, given as numbers or as probabilities; a distance of values for regression.

    Args:
        outputs: `[B, classes]`, or `[B, outputs]` for regression.
        targets: `[B]` class indices, `[B, classes]` probabilities of mixed samples, or `[B, outputs]` values.
        regression: whether targets are values.
        kind: of regression, `"smooth_l1"` or `"mse"`.
        label_smoothing: of classes, the share of the target spread over all of them.

    >>> import torch
    >>> float(task_loss(torch.tensor([[1.0, 3.0]]), torch.tensor([[1.0, 1.0]]), regression=True, kind="mse"))
    2.0
    """
    if regression:
        return (functional.mse_loss if kind == "mse" else functional.smooth_l1_loss)(outputs, targets)
    return functional.cross_entropy(outputs, targets, label_smoothing=label_smoothing)
