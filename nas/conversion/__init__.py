"""Other routes to a trained spiking network: by rates, by balanced thresholds, by spike responses.

`TRAINING_METHODS.get(name)` gives a function that is called like `hasnas.nas.training.retrain.retrain` and returns what
that returns, so that whatever trains a chosen network can do so by any of these methods. Nothing is imported before it
is asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hasnas.registry import Registry

TRAINING_METHODS: Registry[Callable[..., Any]] = Registry(
    "training method",
    {
        "surrogate": "hasnas.nas.training.retrain:retrain",
        "soft_lif": "hasnas.nas.conversion.soft_lif:retrain",
        "threshold_balance": "hasnas.nas.conversion.threshold_balance:retrain",
        "spike_response": "hasnas.nas.conversion.spike_response:retrain",
    },
    "hasnas.training_methods",
)
