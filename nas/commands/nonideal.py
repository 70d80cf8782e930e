"""How good the network that a run returned stays on imperfect chips."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hasnas.errors import BadInputError
from hasnas.nas.history.quality import QUALITIES, Task
from hasnas.nas.history.run_config import load_run_config

from .estimate import returned_network


@dataclass(frozen=True)
class DeviceReport:
    """Quality of a returned network over chips, on validation samples: the test split has been used once already.

    Args:
        key: of the network.
        device: the preset or file.
        chips: number of chips.
        task: `"classification"`, `"regression"` or `"location"`: what the following figures are.
        perfect: accuracy, mean absolute error or mean distance, without device effects.
        mean: mean over chips.
        std: standard deviation over chips.
        worst: of the worst chip.
    """

    key: str
    device: str
    chips: int
    task: Task
    perfect: float
    mean: float
    std: float
    worst: float

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)

    def describe(self) -> str:
        """The report for people."""
        quality = QUALITIES[self.task]
        mean, std, worst, perfect = (quality.show(one) for one in (self.mean, self.std, self.worst, self.perfect))
        return (
            f"network {self.key} on {self.chips} chips of '{self.device}': validation {quality.name} "
            f"{mean} ± {std}, worst {worst} (perfect devices: {perfect})"
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
    from hasnas.nas.data.samples import load_splits
    from hasnas.nas.export.run_export import load_trained
    from hasnas.nas.imperfect_chips import evaluate_on_chips
    from hasnas.nas.stages.evaluation import quality_of_splits
    from hasnas.nas.stages.progress import Console, waiting
    from hasnas.nas.training.evaluation import evaluate

    config = load_run_config(run_directory)
    root = None if config.dataset.root is None else Path(config.dataset.root)
    section = config.dataset
    with waiting(f"reading the samples of {section.name}"):
        splits = load_splits(section.name, root, section.validation_share, config.seed, section.chosen_framing)
    network, validation = load_trained(run_directory, trial).network, splits.validation
    with Console().bar(f"{chips} chips", chips * len(validation), "sample") as bar:
        found = evaluate_on_chips(
            network, validation, spec, chips, config.seed, calibration=splits.train.inputs, progress=bar.update
        )
    quality = quality_of_splits(splits)
    perfect, mean, worst = map(quality.figure, (evaluate(network, validation), found.mean, found.worst))
    return DeviceReport(trial.key, device, chips, quality.task, perfect, mean, found.std, worst)
