"""How accurate the network that a run returned stays on imperfect chips."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hasnas.errors import BadInputError
from hasnas.nas.status import load_run_config

from .estimate import returned_network


@dataclass(frozen=True)
class DeviceReport:
    """Accuracy of a returned network over chips, on validation samples: the test split has been used once already.

    Args:
        key: of the network.
        device: the preset or file.
        chips: number of chips.
        perfect: accuracy without device effects.
        mean: mean over chips.
        std: standard deviation over chips.
        worst: of the worst chip.
    """

    key: str
    device: str
    chips: int
    perfect: float
    mean: float
    std: float
    worst: float

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)

    def describe(self) -> str:
        """The report for people."""
        return (
            f"network {self.key} on {self.chips} chips of '{self.device}': validation accuracy "
            f"{self.mean:.2%} ± {self.std:.2%}, worst {self.worst:.2%} (perfect devices: {self.perfect:.2%})"
        )


def try_on_chips(run_directory: Path, device: str, chips: int) -> DeviceReport:
    """Program the returned network onto chips and run the validation samples on each.

    Args:
        run_directory: of a run that has returned a network.
        device: preset of device non-ideality, or a YAML file.
        chips: number of chips; they depend on the run's seed.

    Raises:
        BadInputError: if the run has returned nothing, the device is unknown, or the number is below 1.
    """
    from hasnas.cim_estimator.nonideal import load_nonideal

    if not run_directory.is_dir():
        raise BadInputError(f"--nonideal needs a run with a trained network; {run_directory} is not a run directory")
    spec, trial = load_nonideal(device), returned_network(run_directory)
    from hasnas.nas.data import load_splits
    from hasnas.nas.export.run_export import load_trained
    from hasnas.nas.robustness import evaluate_on_chips
    from hasnas.nas.training.evaluation import evaluate

    config = load_run_config(run_directory)
    root = None if config.dataset.root is None else Path(config.dataset.root)
    section = config.dataset
    splits = load_splits(section.name, root, section.validation_share, config.seed, section.chosen_framing)
    network = load_trained(run_directory, trial).network
    found = evaluate_on_chips(network, splits.validation, spec, chips, config.seed, calibration=splits.train.inputs)
    perfect = evaluate(network, splits.validation)
    return DeviceReport(trial.key, device, chips, perfect, found.mean, found.std, found.worst)
