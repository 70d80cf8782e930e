"""Trained networks on imperfect chips."""

from .evaluate import ChipAccuracy, evaluate_on_chips, robustness_curve

__all__ = ["ChipAccuracy", "evaluate_on_chips", "robustness_curve"]
