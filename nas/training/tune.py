"""Training that begins with the weights a network has: for those that were found elsewhere, or on new samples."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hasnas.errors import BadInputError
from hasnas.files import make_directory
from hasnas.nas.config.training import RetrainSection
from hasnas.nas.data.samples import Split, Splits
from hasnas.search_spaces.network import SpikingNetwork

from .devices import placed
from .evaluation import evaluate, measure_activity
from .folders import LAST_FILE
from .loop import EpochRecord
from .record import StoredTraining
from .retrain import with_surrogates
from .state import load_tensors


@dataclass(frozen=True, eq=False)
class Tuned:
    """A network that was trained further.

    Args:
        network: with the weights of its best epoch, in evaluation mode; those it came with where none was better.
        history: one record for each epoch.
        best_epoch: the epoch with the largest merit on validation samples, from 1; 0 if none was better than before.
        before: merit on validation samples before training.
        merit: the same afterwards, see `EpochRecord`.
        test: the same on the test split, which decided nothing.
        activity: `measure_activity` on the validation split.
    """

    network: SpikingNetwork
    history: tuple[EpochRecord, ...]
    best_epoch: int
    before: float
    merit: float
    test: float
    activity: dict[str, float]


def tune(
    network: SpikingNetwork,
    splits: Splits,
    settings: RetrainSection,
    seed: int,
    directory: Path,
    report: Callable[[EpochRecord], None] = lambda record: None,
) -> Tuned:
    """Train a network further, with the loop that trains from scratch.

    The state is stored after every epoch; called again with the same network and settings, it goes on where it stopped.

    Args:
        network: left as it is; its copy is trained.
        splits: the data; the test split is looked at once, at the end.
        settings: how to train; the method has to be `surrogate`, in one process.
        seed: decides order and dropout.
        directory: for the stored state; made if absent.
        report: called after every epoch.

    Raises:
        BadInputError: if samples or classes do not fit the network, the settings are for training from scratch, or the
            directory holds another training.
        TrainingDivergedError: if a loss or gradient is no longer finite.
    """
    _check(network, splits, settings)
    trained = copy.deepcopy(network)
    make_directory(directory)
    identity = {"network": network_digest(network), "settings": settings.to_json(), "seed": seed}
    training = StoredTraining(trained, settings, identity, directory / LAST_FILE)
    before = evaluate(placed(network), splits.validation)
    training.restore()
    with_surrogates(trained, splits, settings, seed)
    for record in training.history:
        report(record)
    if training.goes_on():
        training.train(splits, seed, report)
    best = training.best_record()
    better = best.merit >= before
    if better:
        load_tensors(trained, training.best, str(training.path))
    else:
        trained = copy.deepcopy(network)
    trained = placed(trained.eval())
    return Tuned(
        trained,
        tuple(training.history),
        training.best_epoch if better else 0,
        before,
        max(best.merit, before),
        evaluate(trained, splits.test),
        measure_activity(trained, splits.validation),
    )


def network_digest(network: SpikingNetwork) -> str:
    """A hash of a network's layers and of every weight."""
    found = hashlib.sha256(network.graph.key.encode())
    for name, tensor in sorted(network.state_dict().items()):
        found.update(f"{name} {tensor.dtype}".encode())
        found.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()


def _check(network: SpikingNetwork, splits: Splits, settings: RetrainSection) -> None:
    if settings.method != "surrogate" or settings.processes > 1 or settings.batch_norm == "threshold":
        raise BadInputError(
            "a network that has weights is trained further by retrain.method surrogate in one process, with "
            "retrain.batch_norm as it is; remove what retrain says otherwise"
        )
    check_samples(network, splits.train)
    outputs = network.graph.nodes[-1].shape
    if outputs != (splits.classes,):
        raise BadInputError(
            f"the network answers {list(outputs)}, the data ask for [{splits.classes}]; choose data that fit"
        )


def check_samples(network: SpikingNetwork, split: Split) -> None:
    """Refuse samples that a network does not take.

    Raises:
        BadInputError: naming both shapes.
    """
    entry = network.graph.entry.shape
    wanted = entry if network.graph.takes_static else (network.graph.timesteps, *entry)
    if tuple(split.inputs.shape[1:]) != wanted:
        raise BadInputError(f"samples have shape {list(split.inputs.shape[1:])}; the network takes {list(wanted)}")
