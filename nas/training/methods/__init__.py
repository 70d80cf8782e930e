"""The routes to a trained network beside surrogate gradients: by rates, by balanced thresholds, by spike responses.

`TRAINING_METHODS.get(name)` gives a function that is called like `hasnas.nas.training.retrain.retrain` and returns what
that returns, so that whatever trains a chosen network can do so by any of these methods. Nothing is imported before it
is asked for.
"""

from hasnas.nas.config.plugins import TRAINING_METHODS

__all__ = ["TRAINING_METHODS"]
