"""What a trained network spends in its layers: costs by layer and component, and how often its neurons fire."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hasnas.cim_estimator import Activity, HardwareSpec, estimate, load_hardware
from hasnas.nas.config.sections import HardwareSection
from hasnas.nas.history.trial import Trial
from hasnas.nas.history.worth import rates_of_layers
from hasnas.nas.training.folders import read_activity, retrain_directory
from hasnas.search_spaces.architecture import Architecture
from hasnas.search_spaces.lowering import lower


@dataclass(frozen=True)
class PricedLayers:
    """The price of a trained network, which the ledger holds as a whole only.

    Args:
        tree: `CostReport.to_dict()`.
        hardware: the chip.
        measured: whether the activity is the one measured after its training; else it is dense.
    """

    tree: Mapping[str, Any]
    hardware: HardwareSpec
    measured: bool


def price_layers(run_directory: Path, chip: HardwareSection, trial: Trial) -> PricedLayers:
    """Price a training of a run once more, layer by layer.

    Args:
        run_directory: of the run, where the measured activity lies.
        chip: of the run's config.
        trial: the training.

    Raises:
        HasnasError: if that cannot be done here, e.g. as a hardware file has moved.
    """
    hardware = load_hardware(chip.reference, chip.settings_of(trial.hardware))
    activity = read_activity(retrain_directory(run_directory, trial.trained_as, trial.seed))
    workload = lower(Architecture.from_json(trial.architecture).expand(), activity)
    report = estimate(workload, hardware, Activity.measured() if activity else Activity.dense())
    return PricedLayers(report.to_dict(), hardware, bool(activity))


def ordered_rates(metrics: Mapping[str, float], tree: Mapping[str, Any] | None) -> dict[str, float]:
    """Spikes per neuron and timestep of each layer of neurons, in the order of the layers where that is known.

    Args:
        metrics: of a trial.
        tree: `CostReport.to_dict()` of its network.

    >>> ordered_rates({"firing_rate/b": 0.5, "firing_rate/a": 0.25}, {"layers": [{"name": "a"}, {"name": "b"}]})
    {'a': 0.25, 'b': 0.5}
    """
    rates = rates_of_layers(metrics)
    order = [layer["name"] for layer in tree["layers"]] if tree else []
    return {name: rates[name] for name in [*order, *rates] if name in rates}
