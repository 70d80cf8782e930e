"""What is traced: the network of a run, an exported one, or a NIR file, with samples of a dataset or of a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from hasnas.cim_estimator.mapping import SpikeGraph
from hasnas.errors import BadInputError
from hasnas.files import CARD_FILE, DAMAGED_ARRAYS
from hasnas.nas.config.loading import load_config
from hasnas.nas.data.samples import Split, load_splits, renormalised
from hasnas.nas.export.deploy import Deployed, deploy
from hasnas.nas.export.nir_reader import read_deployed
from hasnas.nas.export.run_export import load_trained, returned_trials
from hasnas.nas.export.saved_network import load_bare_network, load_network
from hasnas.nas.history.layout import CONFIG_FILE
from hasnas.search_spaces.architecture import description_in

from .trace import trace

DEFAULT_SAMPLES = 64
VALIDATION_SHARE = 0.2  # of the train split, for networks that do not say


@dataclass(frozen=True)
class Taken:
    """A deployed network and samples for it.

    Args:
        deployed: the network.
        inputs: as it takes them, `[N, C, H, W]` or `[N, T, C, H, W]`.
        targets: class or values of each sample; None where they are not known.
    """

    deployed: Deployed
    inputs: Tensor
    targets: Tensor | None


def open_source(
    source: Path,
    samples: str | None = None,
    dataset: str | None = None,
    data_root: Path | None = None,
    timesteps: int | None = None,
) -> Taken:
    """A trained network, and samples that it takes.

    Args:
        source: a run directory, a directory of `export/`, or a NIR file.
        samples: how many validation samples, by default 64; or an `.npy` file of samples `[N, C, H, W]` or
            `[N, T, C, H, W]`, as the network takes them.
        dataset: where samples come from, for sources that do not know.
        data_root: folder that holds the datasets' files.
        timesteps: T, for NIR files of other tools.

    Raises:
        BadInputError: if the source holds no network, or there are no samples that fit it.
    """
    is_run = (source / CONFIG_FILE).is_file()
    if not is_run and not source.exists():
        raise BadInputError(f"there is no {source}; give a run, an exported network, a NIR file or a graph")
    deployed, targets = _network(source, is_run, timesteps), None
    if samples is not None and not samples.isdigit():
        inputs = _samples_of_file(Path(samples))
    else:
        count = DEFAULT_SAMPLES if samples is None else int(samples)
        if count < 1:
            raise BadInputError("--samples is 0; give at least 1, or an .npy file")
        split = _of_run(source, data_root) if is_run and dataset is None else _of_dataset(source, dataset, data_root)
        inputs, targets = split.inputs[:count], split.targets[:count]
    _check_shape(deployed, inputs)
    return Taken(deployed, inputs, targets)


def trace_source(
    source: Path,
    samples: str | None = None,
    dataset: str | None = None,
    data_root: Path | None = None,
    step_s: float = 1e-3,
    by_channel: bool = False,
    timesteps: int | None = None,
) -> SpikeGraph:
    """The spike graph of a trained network.

    Args:
        source, samples, dataset, data_root, timesteps: see `open_source`.
        step_s: seconds from one timestep to the next.
        by_channel: see `trace`.

    Raises:
        BadInputError: if the source holds no network, or there are no samples that fit it.
    """
    taken = open_source(source, samples, dataset, data_root, timesteps)
    return trace(taken.deployed, taken.inputs, step_s, by_channel)


def _network(source: Path, is_run: bool, timesteps: int | None) -> Deployed:
    if is_run:
        trials = returned_trials(source)
        network = load_trained(source, trials[0]).network
    elif description_in(source):
        network = load_bare_network(source)
    elif source.suffix == ".nir":
        found = read_deployed(source, timesteps)
        return deploy(found.graph, found.tensors)  # batch norms that the file holds are folded
    else:
        raise BadInputError(f"{source} holds no network; give a run, a directory of its export/, or a NIR file")
    return deploy(network.graph, network.state_dict())


def _of_run(run: Path, data_root: Path | None) -> Split:
    config = load_config(run / CONFIG_FILE)
    section = config.dataset
    root = data_root or (None if section.root is None else Path(section.root))
    splits = load_splits(section.name, root, section.validation_share, config.seed, section.chosen_framing)
    return splits.validation


def _of_dataset(source: Path, dataset: str | None, data_root: Path | None) -> Split:
    if dataset is None:
        raise BadInputError(f"{source} does not say what it was trained on; give --dataset NAME, or --samples FILE.npy")
    splits = load_splits(dataset, data_root, VALIDATION_SHARE, 0)
    if (source / CARD_FILE).is_file():
        splits = renormalised(splits, load_network(source).normalisation)
    return splits.validation


def _samples_of_file(path: Path) -> Tensor:
    try:
        values = np.load(path, allow_pickle=False)
        return torch.from_numpy(np.asarray(values, np.float32))
    except OSError as error:
        raise BadInputError(f"cannot read {path}: {error.strerror or error}; check the path") from error
    except DAMAGED_ARRAYS as error:
        raise BadInputError(f"{path} is not an .npy file of numbers; save samples with numpy.save") from error


def _check_shape(deployed: Deployed, inputs: Tensor) -> None:
    entry = deployed.graph.entry
    wanted = entry.shape if deployed.graph.takes_static else (deployed.graph.timesteps, *entry.shape)
    if tuple(inputs.shape[1:]) != wanted:
        raise BadInputError(f"samples have shape {list(inputs.shape[1:])}; the network takes {list(wanted)}")
