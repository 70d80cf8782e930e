"""Costs and objectives that only a run tells: how good a network is, and how long its training took."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from .costs import Cost, cost_called

TRAINING_SECONDS = "training_s"
SCORE_PREFIX = "score/"


def _metric(*keys: str) -> Callable[[Mapping[str, float]], float]:
    """The first of some metrics that there is."""
    return lambda known: next((known[key] for key in keys if key in known), math.nan)


def _score(known: Mapping[str, float]) -> float:
    return next((value for key, value in known.items() if key.startswith(SCORE_PREFIX)), math.nan)


ACCURACY = Cost(
    "accuracy", "accuracy", "1", None, "0.9", "accuracy on validation samples", more_is_better=True,
    measured=_metric("validation_accuracy"), best=1.0,
)  # fmt: skip
ERROR = Cost(
    "error", "error", "1", None, "0.35",
    "mean absolute error on validation samples, in the targets' units; of places the mean distance",
    measured=_metric("validation_mean_absolute_error", "validation_mean_distance"),
)  # fmt: skip
SCORE = Cost("score", "score", "1", None, "20", "training-free score", more_is_better=True, measured=_score)
DEVICE_ACCURACY = Cost(
    "device_accuracy", "device_accuracy", "1", None, "0.85", "mean accuracy over imperfect chips", more_is_better=True,
    measured=_metric("device_accuracy"), best=1.0,
)  # fmt: skip
DEVICE_ERROR = Cost(
    "device_error", "device_error", "1", None, "0.4",
    "mean absolute error over imperfect chips; of places the mean distance",
    measured=_metric("device_mean_absolute_error", "device_mean_distance"),
)  # fmt: skip
# Of this machine: equal runs differ in it. A training that was stopped counts from where it went on.
TRAINING_TIME = Cost(
    "training_time", "training_time_s", "s", None, "'2 min'", "time that a candidate's own training took",
    curve_unit="s", measured=_metric(TRAINING_SECONDS),
)  # fmt: skip
MAPPED_ENERGY = Cost(
    "mapped_energy", "mapped_energy_j", "J", None, "'20 nJ'", "energy of a sample's packets, as mapped",
    curve_unit="nJ", measured=_metric("mapped_energy_j"),
)  # fmt: skip
MAPPED_LATENCY = Cost(
    "mapped_latency", "mapped_latency_s", "s", None, "'200 ns'", "mean time of a packet, as mapped",
    curve_unit="ns", measured=_metric("mapped_latency_s"),
)  # fmt: skip
LIFETIME = Cost(
    "lifetime", "lifetime_s", "s", None, "'20 h'", "until the first cell is worn out, as mapped", more_is_better=True,
    curve_unit="h", measured=_metric("lifetime_s"),
)  # fmt: skip
TEMPERATURE = Cost(
    "temperature", "temperature_k", "K", None, "'310 K'", "mean temperature of the crossbars, as mapped",
    curve_unit="K", measured=_metric("temperature_k"),
)  # fmt: skip
SIMULATED_ENERGY = Cost(
    "simulated_energy", "simulated_energy_j", "J", None, "'20 nJ'", "energy of a sample on the simulated chip",
    curve_unit="nJ", measured=_metric("simulated_energy_j"),
)  # fmt: skip
SIMULATED_LATENCY = Cost(
    "simulated_latency", "simulated_latency_s", "s", None, "'20 us'", "time of a sample on the simulated chip",
    curve_unit="us", measured=_metric("simulated_latency_s"),
)  # fmt: skip
SIMULATED_ACCURACY = Cost(
    "simulated_accuracy", "simulated_accuracy", "1", None, "0.85", "accuracy of the simulated chip",
    more_is_better=True, measured=_metric("simulated_accuracy"), best=1.0,
)  # fmt: skip

# Known once a mapped network is simulated, which retrain.simulate asks for.
SIMULATED = (SIMULATED_ENERGY, SIMULATED_LATENCY, SIMULATED_ACCURACY)
# Known once a network is mapped, which retrain.mapping asks for.
MAPPED = (MAPPED_ENERGY, MAPPED_LATENCY, LIFETIME, TEMPERATURE)
# Every view has them in columns of their own, with or without being asked.
JUDGED = (ACCURACY, ERROR, SCORE)
# What stands for which in a regression.
OF_REGRESSION = {ACCURACY.name: ERROR.name, DEVICE_ACCURACY.name: DEVICE_ERROR.name}
# What the value of a candidate is, if a config names one of them; the others are kept low beside it.
QUALITIES = (*JUDGED, DEVICE_ACCURACY, DEVICE_ERROR)


def value_cost(objectives: Sequence[str]) -> Cost | None:
    """What the value of a candidate is: the quality or score among the objectives, or else the first of them.

    None where nothing is named; the value is then the merit.

    >>> value_cost(["energy", "accuracy"]).name, value_cost(["energy", "area"]).name, value_cost([])
    ('accuracy', 'energy', None)
    """
    named = [cost_called(name) for name in objectives]
    return next((cost for cost in named if cost in QUALITIES), named[0] if named else None)
