"""How good the network that a run returned stays on imperfect chips."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hasnas.errors import BadInputError
from hasnas.nas.history.quality import QUALITIES, Task
from hasnas.nas.history.run_config import load_run_config

from .estimate import is_saved, returned_network

if TYPE_CHECKING:
    from hasnas.nas.data.samples import Splits
    from hasnas.search_spaces.network import SpikingNetwork


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


def try_on_chips(
    source: Path, device: str, chips: int, dataset: str | None = None, data_root: Path | None = None
) -> DeviceReport:
    """Program a trained network onto chips and run the validation samples on each.

    Args:
        source: a run that has returned a network, or the folder of an imported or exported one.
        device: preset of device non-ideality, or a YAML file.
        chips: number of chips; they depend on the run's seed, or 0.
        dataset: where samples come from, for folders; a run knows.
        data_root: folder that holds the datasets' files, likewise.

    Raises:
        BadInputError: if the run has returned nothing, the device is unknown, the number is below 1, or samples do not
            fit the network.
    """
    from hasnas.cim_estimator.nonideal import load_nonideal

    if not source.is_dir():
        raise BadInputError(f"--nonideal needs a run or a folder with a trained network; {source} is neither")
    spec = load_nonideal(device)
    key, network, splits, seed = (_saved if is_saved(source) else _returned)(source, dataset, data_root)
    from hasnas.nas.imperfect_chips import evaluate_on_chips
    from hasnas.nas.stages.evaluation import quality_of_splits
    from hasnas.nas.stages.progress import Console
    from hasnas.nas.training.evaluation import evaluate
    from hasnas.nas.training.tune import check_samples

    validation = splits.validation
    check_samples(network, validation)
    with Console().bar(f"{chips} chips", chips * len(validation), "sample") as bar:
        found = evaluate_on_chips(
            network, validation, spec, chips, seed, calibration=splits.train.inputs, progress=bar.update
        )
    quality = quality_of_splits(splits)
    perfect, mean, worst = map(quality.figure, (evaluate(network, validation), found.mean, found.worst))
    return DeviceReport(key, device, chips, quality.task, perfect, mean, found.std, worst)


def _returned(run: Path, dataset: str | None, data_root: Path | None) -> tuple[str, SpikingNetwork, Splits, int]:
    """Key, network, samples and seed of a run."""
    from hasnas.nas.data.samples import load_splits
    from hasnas.nas.export.run_export import load_trained
    from hasnas.nas.stages.progress import waiting

    trial, config = returned_network(run), load_run_config(run)
    if dataset is not None or data_root is not None:
        raise BadInputError(f"--dataset and --data-root are for imported networks; {run} knows its own, leave them out")
    section = config.dataset
    root = None if section.root is None else Path(section.root)
    with waiting(f"reading the samples of {section.name}"):
        splits = load_splits(section.name, root, section.validation_share, config.seed, section.chosen_framing)
    return trial.key, load_trained(run, trial).network, splits, config.seed


def _saved(folder: Path, dataset: str | None, data_root: Path | None) -> tuple[str, SpikingNetwork, Splits, int]:
    """The same of a saved network."""
    from hasnas.nas.data.samples import load_splits, renormalised
    from hasnas.nas.export.saved_network import load_network
    from hasnas.nas.spikes.sources import VALIDATION_SHARE
    from hasnas.nas.stages.progress import waiting

    if dataset is None:
        raise BadInputError(f"{folder} does not say what it was trained on; give --dataset NAME")
    saved = load_network(folder)
    with waiting(f"reading the samples of {dataset}"):
        splits = renormalised(load_splits(dataset, data_root, VALIDATION_SHARE, 0), saved.normalisation)
    return saved.network.graph.key, saved.network, splits, 0
