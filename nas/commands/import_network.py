"""`hasnas import` and `hasnas tune`: a network found elsewhere becomes one of ours, and is trained further."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hasnas.errors import BadInputError
from hasnas.nas.config.loading import load_config
from hasnas.nas.data.samples import Normalisation, load_splits, renormalised
from hasnas.nas.export.nir_reader import read_nir
from hasnas.nas.export.saved_network import check_no_searched, load_network, save_network
from hasnas.nas.history.quality import Quality
from hasnas.nas.stages.evaluation import quality_of_splits
from hasnas.nas.stages.progress import Console
from hasnas.nas.training.loop import EpochRecord
from hasnas.search_spaces.network import SpikingNetwork

from .estimate import PYTHON_SOURCE
from .python_source import read_network

ENOUGH_ALIKE = 0.9  # of the compared samples; rounding moves a spike now and then
TRAINING = "training"  # folder below that of the tuned network


@dataclass(frozen=True)
class Imported:
    """A network that was taken over.

    Args:
        directory: where it is saved: `graph.json`, `weights.safetensors`, `card.json`.
        key: of its layers.
        layers: how many it has.
        parameters: trainable ones.
        alike: share of random samples that both networks answer alike; `None` of a file, which answers nothing itself.
        difference: largest one between their answers.
        notes: what the layers found elsewhere do beyond what ours can, and whether the answers were worth comparing.
    """

    directory: Path
    key: str
    layers: int
    parameters: int
    alike: float | None
    difference: float | None
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {**asdict(self), "directory": str(self.directory)}

    def describe(self) -> str:
        """The same as text for people."""
        lines = [f"{self.directory}: {self.layers} layers, {self.parameters:,} parameters, key {self.key}"]
        if self.alike is not None:
            lines.append(
                f"{self.alike:.0%} of the random samples are answered as the module does it; "
                f"largest difference {self.difference:.2g}"
            )
        return "\n".join([*lines, *(f"warning: {note}" for note in self.notes)])


def import_network(
    source: Path | str,
    directory: Path | str,
    input_shape: Sequence[int] | None = None,
    timesteps: int | None = None,
    largest_count: int = 0,
    timestep_s: float | None = None,
    mean: Sequence[float] = (),
    deviation: Sequence[float] = (),
    approximately: bool = False,
) -> Imported:
    """Make a network of ours from a NIR file, or from the torch module that a function in a Python file returns.

    What is saved can be priced, mapped, simulated, tried on imperfect chips and trained further.

    Args:
        source: `NETWORK.nir`, or `FILE.py:FACTORY`.
        directory: where it is saved; made if absent.
        input_shape: of a sample, for modules: see `python_source.read_graph`.
        timesteps: T of a sample, for modules, and for NIR files that do not say.
        largest_count: of whole inputs, 1 for spikes; for modules.
        timestep_s: duration of a timestep, for NIR files that do not say.
        mean: what its training subtracted from each channel; by default nothing.
        deviation: what it divided by then.
        approximately: whether a module is taken whose answers ours only resembles, e.g. to train it further.

    Raises:
        BadInputError: if the source cannot be read or expressed, naming the layer, or answers something else.
    """
    path = Path(source)
    check: dict[str, Any] = {}
    if PYTHON_SOURCE.fullmatch(str(source)):
        if input_shape is None or timesteps is None:
            raise BadInputError(f"{source} needs --input C,H,W and --timesteps, e.g. --input 3,32,32 --timesteps 4")
        traced = read_network(path, tuple(input_shape), timesteps, largest_count)
        enough = 1.0 if traced.notes else ENOUGH_ALIKE  # a difference that is known is not rounding
        if traced.alike < enough and not approximately:
            reasons = f" ({traced.notes[0]})" if traced.notes else ""
            raise BadInputError(
                f"{source}: the layers of hasnas answer {1 - traced.alike:.0%} of random samples otherwise "
                f"than the module{reasons}; take it with --approximately, and train it further with hasnas tune"
            )
        network, notes = traced.network, traced.notes
        check = {"alike": traced.alike, "max_difference": traced.difference}
    elif path.suffix == ".nir":
        if input_shape is not None or largest_count:
            raise BadInputError(f"--input and --input-count are for FILE.py:FACTORY; leave them out for {source}")
        network, notes = read_nir(path, timesteps=timesteps, timestep_s=timestep_s), ()
    else:
        raise BadInputError(f"{source} is of no known kind; give NETWORK.nir, or FILE.py:FACTORY for a torch module")
    facts = {"imported_from": str(source), "notes": list(notes), "check": check}
    save_network(network, directory, {**facts, "normalisation": _normalisation(network, mean, deviation)})
    graph = network.graph
    compared = check.get("alike"), check.get("max_difference")
    return Imported(Path(directory), graph.key, len(graph.nodes) - 2, graph.parameter_count, *compared, notes)


def _normalisation(
    network: SpikingNetwork, mean: Sequence[float], deviation: Sequence[float]
) -> dict[str, Any] | None:
    shape = network.graph.entry.shape
    if len(shape) != 3:
        if mean or deviation:
            raise BadInputError("--mean and --deviation are for the channels of maps; the network takes vectors")
        return None
    channels = shape[0]
    means, deviations = tuple(mean) or (0.0,) * channels, tuple(deviation) or (1.0,) * channels
    if len(means) != channels or len(deviations) != channels or not all(value > 0 for value in deviations):
        raise BadInputError(
            f"--mean and --deviation name {len(means)} and {len(deviations)} channels, the network takes {channels}; "
            "give a number for each, deviations above 0"
        )
    return asdict(Normalisation(means, deviations))


@dataclass(frozen=True)
class TunedNetwork:
    """What `hasnas tune` did.

    Args:
        directory: where the network is saved.
        key: of its layers.
        quality: by what it is judged.
        before: validation figure of the network as it came.
        after: the same of what was saved.
        test: figure on the test split.
        epochs: how many were trained.
        best_epoch: which is saved, from 1; 0 where none was better than the network as it came.
    """

    directory: Path
    key: str
    quality: Quality
    before: float
    after: float
    test: float
    epochs: int
    best_epoch: int

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {**asdict(self), "directory": str(self.directory), "quality": self.quality.name}

    def describe(self) -> str:
        """The same as text for people."""
        show = self.quality.show
        return (
            f"{self.directory}: {self.epochs} epochs, the best is {self.best_epoch or 'the network as it came'}; "
            f"validation {self.quality.name} {show(self.before)} before, {show(self.after)} after, "
            f"test {show(self.test)}"
        )


def tune_network(
    network: Path | str, config: Path | str, directory: Path | str, overrides: Sequence[str] = ()
) -> TunedNetwork:
    """Train a saved network further, on the dataset of a config, as its section `retrain` says.

    Args:
        network: folder of an imported or exported network; its samples are normalised as its card says.
        config: the YAML of a run; `dataset`, `retrain`, `seed` and `device` count.
        directory: where the tuned network is saved, and the state of its training.
        overrides: dotted changes of the config.

    Raises:
        BadInputError: if network, config and data do not fit together, or the directory holds something else.
    """
    from hasnas.nas.training.devices import on_device
    from hasnas.nas.training.tune import tune

    settings = load_config(config, overrides)
    check_no_searched(directory)
    saved, section = load_network(network), settings.dataset
    root = None if section.root is None else Path(section.root)
    splits = load_splits(section.name, root, section.validation_share, settings.seed, section.chosen_framing)
    splits = renormalised(splits, saved.normalisation)
    quality, epochs = quality_of_splits(splits), settings.retrain.epochs
    with on_device(settings.device), Console().bar("tune", epochs, "epoch") as bar:

        def report(record: EpochRecord) -> None:
            bar.update(1)
            bar.show({"validation": quality.show(quality.figure(record.merit))})

        tuned = tune(saved.network, splits, settings.retrain, settings.seed, Path(directory) / TRAINING, report)
    figures = {
        quality.validation: quality.figure(tuned.merit),
        quality.test: quality.figure(tuned.test),
    }
    facts = {
        "tuned_from": str(network),
        "dataset": section.name,
        "seed": settings.seed,
        "metrics": figures,
        "activity": tuned.activity,
        "normalisation": asdict(splits.normalisation),
    }
    found = tuned.network.cpu()
    save_network(found, directory, facts)
    before, after, test = (quality.figure(merit) for merit in (tuned.before, tuned.merit, tuned.test))
    return TunedNetwork(
        Path(directory), found.graph.key, quality, before, after, test, len(tuned.history), tuned.best_epoch
    )
