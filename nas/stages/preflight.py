"""What can go wrong later is tried now: the one check of `validate`, `--dry-run` and the first moments of a search."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hasnas.datasets.cache import cache_root
from hasnas.datasets.encoded import EncodedDataset
from hasnas.datasets.encoding import encode
from hasnas.datasets.source import Samples
from hasnas.datasets.splits import compare_splits, load_stored, notes_on, places_of
from hasnas.errors import BadInputError
from hasnas.extras import missing_extra
from hasnas.nas.budget.costs import cost_called
from hasnas.nas.budget.measured import value_cost
from hasnas.nas.config.loading import file_contents
from hasnas.nas.config.plugins import NETWORK_SCORES
from hasnas.nas.config.run import RunConfig
from hasnas.nas.data.facts import facts_of
from hasnas.nas.data.sources import open_source
from hasnas.nas.history.worth import FEW, DataFacts
from hasnas.search_spaces.cell_groups import cell_groups
from hasnas.search_spaces.layers import pair
from hasnas.search_spaces.operations import OPERATIONS
from hasnas.search_spaces.snasnet import FEEDBACK_PREFIX
from hasnas.search_spaces.space import Codes, SearchSpace, sample

from .context import Setup

FREE_BYTES_NEEDED = 100 << 20
FREE_BYTES_WANTED = 2 << 30
DRAWN = 512
NNI_STRATEGIES = ("regularized_evolution",)


@dataclass(frozen=True)
class Preflight:
    """What was found before anything was done.

    Args:
        facts: of the samples.
        contents: key of the config -> SHA-256 of the file that it names.
        notes: what a person should hear, one line each; nothing of it stops the run.
        directory: where the run is to be; None where nothing will be written.
    """

    facts: DataFacts
    contents: dict[str, str]
    notes: tuple[str, ...]
    directory: Path | None = None


def preflight(setup: Setup, directory: Path | None = None) -> Preflight:
    """Try files, splits, encodings, devices, machine, extras, space and disk.

    Args:
        setup: the config with what it names.
        directory: where the run is to be; None where nothing will be written.

    Raises:
        BadInputError: for the first thing that would stop the run later.
    """
    config = setup.config
    contents = file_contents(config)
    _check_packages(config)
    _check_devices(config)
    _check_machine(config)
    if config.dataset.root is not None and not Path(config.dataset.root).exists():
        raise BadInputError(f"dataset.root: {config.dataset.root} is missing; paths in a YAML start at its folder")
    _check_space(setup)
    train, test, notes = _check_samples(setup)
    facts = facts_of(setup.card, train, test, config.dataset.validation_share, config.seed)
    if facts.train < 2 * config.retrain.processes:
        raise BadInputError(
            f"dataset '{config.dataset.name}': {facts.train} samples are left to train on; "
            "lower dataset.validation_share or add samples"
        )
    if config.supernet.source is not None:
        from .supernet_source import check_source  # which needs torch

        check_source(config, facts, contents)
    written = [] if directory is None else [(directory, "--run-dir"), (cache_root(), "HASNAS_CACHE")]
    disk = [note for folder, setting in written for note in _check_disk(folder, setting)]
    left_out = [f"space.exportable leaves out {setup.left_out}"] if setup.left_out else []
    few = [f"the test split has {facts.test} samples: its figure says little"] if facts.test < FEW else []
    return Preflight(facts, contents, (*notes, *left_out, *few, *_wasted_rows(setup.space), *disk), directory)


def _check_samples(setup: Setup) -> tuple[Samples, Samples, tuple[str, ...]]:
    """Read both splits, compare them, and encode their extremes."""
    section = setup.config.dataset
    root = None if section.root is None else Path(section.root)
    source = open_source(section.name, section.root, section.chosen_framing)
    train, test = load_stored(source, root)
    places = places_of(source)
    compare_splits(train, test, places)
    _ = setup.card
    if isinstance(source, EncodedDataset):
        for part in (train, test):
            _try_encoding(source, part)
    inner = source.source if isinstance(source, EncodedDataset) else source
    return train, test, (*notes_on(train, test, places), *getattr(inner, "notes", ()))


def _try_encoding(source: EncodedDataset, samples: Samples) -> None:
    """Encode the smallest and the largest value of a split in the place of a sample."""
    extremes = np.array([samples.inputs.min(), samples.inputs.max()], np.float32) * np.float32(samples.scale)
    shape = (2, *samples.inputs.shape[1:])
    values = np.broadcast_to(extremes.reshape(2, *(1,) * (len(shape) - 1)), shape)
    coding = source.coding
    try:
        encode(
            coding.encoding,
            values if values.ndim == 4 else values.swapaxes(0, 1),
            coding.timesteps,
            np.random.default_rng(0),
        )
    except BadInputError as error:
        raise BadInputError(f"dataset.encoding {coding.encoding}: {error}") from error


def _check_packages(config: RunConfig) -> None:
    """Refuse what needs a package that is not installed; strategies say so themselves when they are made."""
    trains_supernet = config.supernet.enabled and config.search.score is None
    needed = ["torch"]
    if trains_supernet or (config.search.enabled and config.search.strategy in NNI_STRATEGIES):
        needed.append("nni")
    if config.retrain.enabled or (config.search.enabled and not trains_supernet and config.search.score is None):
        needed.append("pytorch_lightning")
    for package in needed:
        if find_spec(package) is None:
            absent = ModuleNotFoundError(f"No module named '{package}'", name=package)
            raise missing_extra(absent, "hasnas search") or absent


def _check_devices(config: RunConfig) -> None:
    for key, device in (("nonideal", config.nonideal.device), ("retrain.noise", config.retrain.noise.device)):
        if device is not None:
            from hasnas.cim_estimator.nonideal import load_nonideal  # needs SciPy, which a search without does not

            try:
                load_nonideal(device)
            except BadInputError as error:
                raise BadInputError(f"{key}.device: {error}") from error


def _check_machine(config: RunConfig) -> None:
    """Refuse a GPU or a precision that this machine lacks; torch is imported only where they are asked for."""
    if config.device in ("auto", "cpu") and config.retrain.precision != "bfloat16":
        return
    from hasnas.nas.training.devices import check_device

    check_device(config.device, config.retrain)


def _check_space(setup: Setup) -> None:
    """Draw, price and, where a score or predictor reads cells, read a candidate."""
    config, space = setup.config, setup.space
    codes = sample(space, np.random.default_rng([config.seed, 4]), DRAWN)
    canonical, connected = space.canonical(codes)
    if not connected.any():
        return
    candidate = canonical[connected][:1]
    setup.pricer.costs(candidate)
    if not config.search.enabled:
        return
    score = config.search.score
    _make_strategy(setup)
    if config.search.strategy == "predictor":
        cell_groups(space, candidate)
    if score is not None and score not in NETWORK_SCORES:
        from .scoring import score_candidates, score_tasks

        score_candidates(score_tasks(setup, [tuple(candidate[0].tolist())])[0])


def _wasted_rows(space: SearchSpace) -> tuple[str, ...]:
    """A note on operations of several rows where maps have one: most of their weights would meet zeros."""
    if not space.macro.is_line:
        return ()
    names = {str(choice).removeprefix(FEEDBACK_PREFIX) for gene in space.genes for choice in gene.choices}
    known = [kind.read(name) for kind in map(OPERATIONS.get, OPERATIONS.names()) for name in sorted(names)]
    square = [operation for operation in known if operation is not None and pair(operation.window)[0] > 1]
    if not square:
        return ()
    seen = ", ".join(one.name for one in square)
    lines = ", ".join(one.name.replace(f"{one.kernel_size}x", "1x", 1) for one in square)
    return (f"maps have one row, so that other rows of {seen} meet zeros only; give space.operations {lines} instead",)


def _make_strategy(setup: Setup) -> None:
    """Make the search strategy once, which refuses settings that are not for it; NNI's take too long to import."""
    settings = setup.config.search
    if settings.strategy in NNI_STRATEGIES:
        return
    from hasnas.nas.strategies.strategy import CostObjective, SearchProblem, create_strategy

    objectives: list[CostObjective] = []
    if settings.objectives:
        value = value_cost(settings.objectives)
        costs = [cost for cost in map(cost_called, settings.objectives) if cost is not value]
        objectives = [CostObjective(cost.field, _nothing if cost.priced else None) for cost in costs]
    create_strategy(
        settings.strategy, SearchProblem(setup.space, _everything, settings, setup.config.seed, tuple(objectives))
    )


def _everything(codes: Codes) -> NDArray[np.bool_]:
    return np.ones(len(codes), bool)


def _nothing(codes: Codes) -> NDArray[np.float64]:
    return np.ones(len(codes))


def _check_disk(folder: Path, setting: str) -> Iterator[str]:
    """Refuse a folder that cannot be written or whose disk is full; a note where it is nearly full."""
    place = next(parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.exists())
    if not place.is_dir() or not os.access(place, os.W_OK):
        raise BadInputError(f"{folder} cannot be written ({place} is no writable folder); choose another by {setting}")
    free = shutil.disk_usage(place).free
    if free < FREE_BYTES_NEEDED:
        raise BadInputError(
            f"{place}: only {free / 1e6:.0f} MB of disk are free, a run needs {FREE_BYTES_NEEDED / 1e6:.0f}; "
            f"make room or choose another by {setting}"
        )
    if free < FREE_BYTES_WANTED:
        yield f"{place}: only {free / 1e9:.1f} GB of disk are free"
