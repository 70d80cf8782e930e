"""What the report shows of a run, collected from its directory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hasnas.cim_estimator.report.constants import ConstantRow, constant_rows
from hasnas.errors import BadInputError, HasnasError
from hasnas.files import read_text, sha256_of
from hasnas.nas.budget.costs import Cost, cost_called
from hasnas.nas.config.run import RunConfig
from hasnas.nas.history.goal import Goal
from hasnas.nas.history.layout import CONFIG_FILE, LEDGER_FILE
from hasnas.nas.history.quality import Quality
from hasnas.nas.history.returned import BASELINE_PREFIX, RetrainedNetwork, retrained_networks, returned_networks
from hasnas.nas.history.stored_run import StoredRun, read_run
from hasnas.nas.history.trial import Trial
from hasnas.nas.tracking.priced import ordered_rates, price_layers
from hasnas.nas.tracking.side_by_side import RunsSideBySide, runs_side_by_side
from hasnas.nas.tracking.status import quality_of_status, status_of


@dataclass(frozen=True)
class ReturnedNetwork:
    """A network that the run returned, see also `worth_of`.

    Args:
        network: it and its trainings.
        costs: `CostReport.to_dict()` with the activity measured on its best training; `None` if it could not be made.
        note: why not, or on what the costs rest.
        constants: of the chip that the costs are of.
    """

    network: RetrainedNetwork
    costs: Mapping[str, Any] | None
    note: str
    constants: Sequence[ConstantRow] = ()

    @property
    def trial(self) -> Trial:
        """Its best training, the one that is exported."""
        return self.network.best

    @property
    def firing_rates(self) -> dict[str, float]:
        """Spikes per neuron and timestep of each layer of neurons, in the order of the layers where that is known."""
        return ordered_rates(self.trial.metrics, self.costs)


@dataclass(frozen=True)
class OnChips:
    """What a network reaches on imperfect chips, as figures of the run's quality.

    Args:
        name: of the network.
        perfect: on a perfect chip.
        mean, std, worst: over the imperfect ones.
    """

    name: str
    perfect: float
    mean: float
    std: float
    worst: float


@dataclass(frozen=True)
class ReportData:
    """A run as the report shows it.

    Args:
        status: `run_status` of the run.
        trials: the ledger's trials.
        returned: the networks, best validation result first.
        config: the resolved config as YAML.
        device: the non-ideality of the imperfect chips that accuracy was measured on, and how many; None if it was not.
        others: the run beside others, if there are any.
        mark: of the history that is shown, see `mark_of`.
    """

    status: Mapping[str, Any]
    trials: Sequence[Trial] = ()
    returned: list[ReturnedNetwork] = field(default_factory=list)
    config: str = ""
    device: tuple[str, int] | None = None
    others: RunsSideBySide | None = None
    mark: str = ""

    @property
    def quality(self) -> Quality:
        """By what the networks of the run are judged."""
        return quality_of_status(self.status)

    @property
    def goal(self) -> Goal:
        """What its candidates were ranked by."""
        return Goal(self.status["score"], self.quality, tuple(self.status["objectives"]))

    @property
    def costs(self) -> list[Cost]:
        """The costs that the run prices."""
        return [cost_called(name) for name in self.status["costs"]]

    @property
    def on_chips(self) -> list[OnChips]:
        """The returned networks and those they are compared with, as far as they were tried on imperfect chips."""
        tried = [(one.key, one) for one in retrained_networks(self.trials, 1)]
        for each in self.status["baselines"]:
            stage = BASELINE_PREFIX + each["baseline"]
            tried += [(f"{each['baseline']} {one.key}", one) for one in retrained_networks(self.trials, 1, stage)]
        key = self.quality.device
        metrics = self.quality.validation, key, f"{key}_std", f"{key}_worst"
        return [
            OnChips(name, *map(one.mean, metrics))
            for name, one in tried
            if one.finished and key in one.best.metrics
        ]


def collect(run_directory: Path, others: Sequence[Path] = ()) -> ReportData:
    """Read a run directory.

    Args:
        run_directory: of the run.
        others: of runs on the same data to put beside it.

    Raises:
        BadInputError: if one of them holds no run or no ledger, the ledger is damaged, or their fronts cannot be
            compared.
    """
    run = read_run(run_directory)
    if not (run_directory / LEDGER_FILE).exists():
        raise BadInputError(f"{run_directory} has not begun (no {LEDGER_FILE}); hasnas search --resume {run_directory}")
    config, status = run.config, status_of(run)
    if status["damage"] is not None:
        raise BadInputError(f"{status['damage']}; mend it, then again: hasnas search --resume {run_directory}")
    networks = returned_networks(run.trials, config.retrain.seeds)
    nonideal = config.nonideal
    return ReportData(
        status,
        run.trials,
        [_returned_network(run_directory, config, network) for network in networks],
        read_text(run_directory / CONFIG_FILE),
        None if nonideal.device is None else (nonideal.device, nonideal.chips),
        runs_side_by_side([run, *map(read_run, others)]) if others else None,
        mark_of(run),
    )


def mark_of(run: StoredRun) -> str:
    """What a run's ledger and its config are told from others by: a page that carries it need not be written again."""
    return f"{run.contents.records.mark}, {sha256_of(run.directory / CONFIG_FILE)[:16]}"


def _returned_network(run_directory: Path, config: RunConfig, network: RetrainedNetwork) -> ReturnedNetwork:
    """A network with its costs; what cannot be priced here (a hardware file that has moved) is said in the report."""
    trial = network.best
    try:
        priced = price_layers(run_directory, config.hardware, trial)
    except HasnasError as error:
        return ReturnedNetwork(network, None, f"The costs of the layers could not be computed: {error}")
    basis = "the activity measured on validation samples" if priced.measured else "dense activity, as none was measured"
    which = f" The training of seed {trial.seed}, which is the exported one." if network.seeds > 1 else ""
    note = f"On {priced.hardware.name}, with {basis}.{which}"
    return ReturnedNetwork(network, priced.tree, note, constant_rows(priced.hardware))
