"""What the report shows of a run, collected from its directory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hasnas.cim_estimator import Activity, estimate, load_hardware
from hasnas.errors import HasnasError
from hasnas.files import read_text
from hasnas.nas.config.loading import RunConfig
from hasnas.nas.history.layout import CONFIG_FILE, LEDGER_FILE
from hasnas.nas.history.ledger import read_ledger
from hasnas.nas.history.returned import RetrainedNetwork, returned_networks
from hasnas.nas.history.run_config import load_run_config
from hasnas.nas.history.trial import Trial
from hasnas.nas.training.folders import read_activity, retrain_directory
from hasnas.search_spaces.architecture import Architecture
from hasnas.search_spaces.lowering import lower

from .status import run_status

RATE_PREFIX = "firing_rate/"


@dataclass(frozen=True)
class ReturnedNetwork:
    """A network that the run returned, see also `worth_of`.

    Args:
        network: it and its trainings.
        costs: `CostReport.to_dict()` with the activity measured on its best training; `None` if it could not be made.
        note: why not, or on what the costs rest.
    """

    network: RetrainedNetwork
    costs: Mapping[str, Any] | None
    note: str

    @property
    def trial(self) -> Trial:
        """Its best training, the one that is exported."""
        return self.network.best

    @property
    def firing_rates(self) -> dict[str, float]:
        """Spikes per neuron and timestep of each layer of neurons, in the order of the layers where that is known."""
        found = self.trial.metrics.items()
        rates = {name.removeprefix(RATE_PREFIX): rate for name, rate in found if name.startswith(RATE_PREFIX)}
        order = [layer["name"] for layer in self.costs["layers"]] if self.costs else []
        return {name: rates[name] for name in [*order, *rates] if name in rates}


@dataclass(frozen=True)
class ReportData:
    """A run as the report shows it.

    Args:
        status: `run_status` of the run.
        trials: the ledger's trials.
        returned: the networks, best validation result first.
        config: the resolved config as YAML.
    """

    status: Mapping[str, Any]
    trials: list[Trial] = field(default_factory=list)
    returned: list[ReturnedNetwork] = field(default_factory=list)
    config: str = ""


def collect(run_directory: Path) -> ReportData:
    """Read a run directory.

    Raises:
        BadInputError: if it holds no run or no ledger.
    """
    config = load_run_config(run_directory)
    trials = read_ledger(run_directory / LEDGER_FILE).trials
    networks = returned_networks(trials, config.retrain.seeds)
    returned = [_returned_network(run_directory, config, network) for network in networks]
    return ReportData(run_status(run_directory), trials, returned, read_text(run_directory / CONFIG_FILE))


def _returned_network(run_directory: Path, config: RunConfig, network: RetrainedNetwork) -> ReturnedNetwork:
    """A network with its costs; what cannot be priced here (a hardware file that has moved) is said in the report."""
    trial = network.best
    try:
        hardware = load_hardware(config.hardware.reference, config.hardware.settings_of(trial.hardware))
        activity = read_activity(retrain_directory(run_directory, trial.trained_as, trial.seed))
        workload = lower(Architecture.from_json(trial.architecture).expand(), activity)
        report = estimate(workload, hardware, Activity.measured() if activity else Activity.dense())
    except HasnasError as error:
        return ReturnedNetwork(network, None, f"The costs of the layers could not be computed: {error}")
    basis = "the activity measured on validation samples" if activity else "dense activity, as none was measured"
    which = f" The training of seed {trial.seed}, which is the exported one." if network.seeds > 1 else ""
    return ReturnedNetwork(network, report.to_dict(), f"On {hardware.name}, with {basis}.{which}")
