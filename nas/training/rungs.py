"""Trainings in parts, each on more of the data than the one before; given up where nothing reaches the output."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hasnas.nas.config.multi_fidelity import Rung
from hasnas.nas.config.plugins import TRAINING_METHODS
from hasnas.nas.config.training import RetrainSection
from hasnas.nas.data.samples import Split, Splits, batches
from hasnas.nas.history.checkpoint import has_checkpoint
from hasnas.search_spaces.graph import LayerGraph
from hasnas.search_spaces.network import SpikingNetwork

from .devices import placed
from .evaluation import firing_rates, measure_activity, recalibrate_batch_norm
from .record import StoredTraining, identity_of
from .retrain import build_for_training
from .state import derived_seed, load_tensors

CONTINUED = "surrogate"
# Samples on which it is seen whether a network is dead.
PROBED = 256
# Batches of as many training samples that set the batch norm of the result; one is enough to see whether it is dead.
SETTLED = 4


@dataclass(frozen=True, eq=False)
class RungResult:
    """A network as a rung left it.

    Args:
        network: with the best weights of the rung, for as many timesteps as the rung has; in evaluation mode. Its batch
            norm has the statistics of training samples: after few steps the running ones are still on their way.
        splits: what the rung saw of the data.
        epochs: that it was trained for so far.
        dead: why it was given up, one line; empty if it was not.
    """

    network: SpikingNetwork
    splits: Splits
    epochs: int
    dead: str = ""


def train_to_rung(
    architecture: Mapping[str, Any],
    splits: Splits,
    settings: RetrainSection,
    seed: int,
    directory: Path,
    rungs: Sequence[Rung],
    dead_rate: float = 0.0,
) -> RungResult:
    """Train an architecture up to the last of some rungs, on from the last one that is stored.

    Each rung's state is stored after every epoch, in a file of its own: a training that goes on later, or was stopped
    at any moment, ends bit for bit where an undisturbed one ends. Methods that convert cannot be gone on with; they
    start anew for each rung, on all timesteps.

    Args:
        architecture: its JSON form.
        splits: the data; the test split is not touched.
        settings: how to train; `epochs` are those of the whole course of the learning rate.
        seed: decides weights, order, dropout, and which samples are a share of them.
        directory: made if absent.
        rungs: at least one, the cheapest first.
        dead_rate: see `dead_layers`.

    Raises:
        BadInputError: if the directory holds another training, or nothing sound.
        TrainingDivergedError: if a loss or gradient is no longer finite.
    """
    if settings.method != CONTINUED:
        return _converted(architecture, splits, settings, seed, directory, rungs, dead_rate)
    network, _ = build_for_training(architecture, splits, settings, seed)
    graph, identity = network.graph, identity_of(architecture, settings, seed)
    directory.mkdir(parents=True, exist_ok=True)
    files = [directory / f"rung-{number}.safetensors" for number in range(len(rungs))]
    first = max((number for number, file in enumerate(files) if has_checkpoint(file)), default=0)
    dead = ""
    for number in range(first, len(rungs)):
        part = seen_at(splits, rungs[number], seed)
        network.graph = dataclasses.replace(graph, timesteps=timesteps_at(graph.timesteps, rungs[number]))
        training = _restored(network, settings, identity, files[: number + 1], rungs)
        dead = _go_on(training, part, seed, rungs[: number + 1], dead_rate)
        if dead:
            break
    with torch.random.fork_rng():
        judged = placed(SpikingNetwork(network.graph))
    load_tensors(judged, training.best, str(training.path))
    return RungResult(_settled(judged, part.train, SETTLED), part, len(training.history), dead)


def _restored(
    network: SpikingNetwork,
    settings: RetrainSection,
    identity: Mapping[str, Any],
    files: Sequence[Path],
    rungs: Sequence[Rung],
) -> StoredTraining:
    """The training of the last of some rungs as it is stored; else as the rung before left it, with no best epoch."""

    def stored(number: int) -> StoredTraining:
        known = {f"rung {index}": dataclasses.asdict(rung) for index, rung in enumerate(rungs[: number + 1])}
        return StoredTraining(network, settings, {**identity, **known}, files[number])

    last = len(files) - 1
    training = stored(last)
    if last == 0 or has_checkpoint(files[last]):
        training.restore()
        return training
    before = stored(last - 1)
    before.restore()
    before.identity, before.path = training.identity, training.path
    before.best, before.best_epoch = {}, 0
    before.judged_from = len(before.history)  # the merits of the rung before are of other data
    return before


def _go_on(training: StoredTraining, part: Splits, seed: int, rungs: Sequence[Rung], dead_rate: float) -> str:
    """Train up to the end of the last of some rungs; why it was given up, if it was."""

    def dead() -> str:
        return what_is_dead(training.network, part, dead_rate)

    before = rungs[-2].epochs if len(rungs) > 1 else 0
    if len(training.history) > before and (found := dead()):
        return found
    if len(training.history) >= rungs[-1].epochs:
        return ""
    training.train(part, seed, lambda record: None, rungs[-1].epochs, lambda: not dead())
    return dead()


def _converted(
    architecture: Mapping[str, Any],
    splits: Splits,
    settings: RetrainSection,
    seed: int,
    directory: Path,
    rungs: Sequence[Rung],
    dead_rate: float,
) -> RungResult:
    """What `train_to_rung` does for a method that converts."""
    rung = dataclasses.replace(rungs[-1], timesteps=1.0)
    part = seen_at(splits, rung, seed)
    changed = settings.with_changes({"epochs": rung.epochs})
    folder = directory / f"rung-{len(rungs) - 1}"
    result = TRAINING_METHODS.get(settings.method)(architecture, part, changed, seed, folder)
    network = result.network(architecture)
    return RungResult(network, part, rung.epochs, what_is_dead(network, part, dead_rate))


def timesteps_at(timesteps: int, rung: Rung) -> int:
    """How many of a network's timesteps a rung has.

    >>> timesteps_at(5, Rung(1, timesteps=0.5))
    3
    """
    return max(math.ceil(rung.timesteps * timesteps - 1e-9), 1)


def seen_at(splits: Splits, rung: Rung, seed: int) -> Splits:
    """What a rung sees of the data: a share of the training samples, the first timesteps of all."""
    train = share_of(splits.train, rung.data, seed)
    return dataclasses.replace(splits, train=_shortened(train, rung), validation=_shortened(splits.validation, rung))


def share_of(split: Split, share: float, seed: int) -> Split:
    """A share of the samples, drawn by the seed, at least two; every class keeps its proportion but for rounding.

    A larger share holds the smaller one.
    """
    count = max(math.ceil(share * len(split) - 1e-9), 2)
    if count >= len(split):
        return split
    rng = np.random.default_rng(derived_seed(seed, "share of the data", 0))
    order = rng.permutation(len(split))
    if not split.is_regression:
        classes = split.targets.numpy()[order]
        rank, size = np.empty(len(order)), np.bincount(classes)
        for one in np.unique(classes):
            rank[classes == one] = (np.arange(size[one]) + 0.5) / size[one]
        order = order[np.argsort(rank, kind="stable")]
    return split.take(torch.from_numpy(np.sort(order[:count])))


def _shortened(split: Split, rung: Rung) -> Split:
    if split.is_static:
        return split
    return dataclasses.replace(split, inputs=split.inputs[:, : timesteps_at(split.inputs.shape[1], rung)])


def what_is_dead(network: SpikingNetwork, splits: Splits, dead_rate: float) -> str:
    """Why nothing reaches the output of a network, one line; empty if something does.

    Its running statistics of batch norm would make a network look silent that trains well, see `RungResult`.
    """
    probe = splits.validation.take(torch.arange(min(PROBED, len(splits.validation))))
    rates = firing_rates(network.graph, measure_activity(_settled(network, splits.train), probe))
    dead = dead_layers(network.graph, rates, dead_rate)
    if not dead:
        return ""
    told = [f"{name} {'never' if rates[name] < 0.5 else 'always'} fires" for name in dead[:3]]
    return f"nothing reaches its output any more: {', '.join(told)}{', ...' if len(dead) > 3 else ''}"


def _settled(network: SpikingNetwork, train: Split, most: int = 1) -> SpikingNetwork:
    """A copy whose batch norm has the statistics of the first training samples, in evaluation mode."""
    whole = max(len(train) // PROBED, 1)
    seen = itertools.islice(batches(train, PROBED), min(most, whole))
    return recalibrate_batch_norm(network, [inputs for inputs, _ in seen])


def dead_layers(graph: LayerGraph, rates: Mapping[str, float], dead_rate: float) -> list[str]:
    """The layers of neurons that never or always fire, if every path from input to output passes one of them.

    Args:
        graph: the layers.
        rates: of each layer of neurons.
        dead_rate: how far from 0 or 1 a rate may be at most.

    Returns:
        Their names; none if some path passes none.
    """
    dead = [name for name, rate in rates.items() if rate <= dead_rate or rate >= 1 - dead_rate]
    reached = {node.name for node in graph.nodes if not graph.inputs(node.name)}
    grown = True
    while grown:
        fresh = {link.target for link in graph.connections if link.source in reached} - reached - set(dead)
        reached |= fresh
        grown = bool(fresh)
    return [] if "output" in reached else dead
