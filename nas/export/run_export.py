"""Export of a run: each network it returned, as files for other tools, with a card that says what it is."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from hasnas import __version__
from hasnas.cim_estimator import load_hardware
from hasnas.cim_estimator.hardware.spec import HardwareSpec
from hasnas.cim_estimator.nonideal import NonidealSpec, load_nonideal
from hasnas.errors import BadInputError
from hasnas.files import CARD_FILE, read_json, sealed, sha256_of, unwritable, write_atomic
from hasnas.nas.config.plugins import EXPORT_TARGETS
from hasnas.nas.history.checkpoint import has_checkpoint, load_checkpoint
from hasnas.nas.history.layout import LEDGER_FILE
from hasnas.nas.history.ledger import ledger_so_far
from hasnas.nas.history.quality import CLASSIFICATION, find_quality
from hasnas.nas.history.returned import RetrainedNetwork, returned_networks
from hasnas.nas.history.run_config import load_run_config, nothing_returned
from hasnas.nas.history.trial import CHOICES, Trial
from hasnas.nas.history.worth import data_facts, worth_of
from hasnas.nas.training.folders import BEST_FILE, read_activity, retrain_directory
from hasnas.nas.training.state import load_tensors
from hasnas.search_spaces.architecture import Architecture
from hasnas.search_spaces.network import SpikingNetwork
from hasnas.search_spaces.nir.primitives import TIMESTEP_S

from .target import Check, NotExpressibleError, Target, TrainedNetwork

PLAIN = ("json", "safetensors", "nir")  # what a run writes unless its config says otherwise
CHECKED_SAMPLES = 16


def export_run(run_directory: Path | str, formats: Sequence[str] | None = None) -> list[Path]:
    """Write `export/<key>/` for each network that a run returned.

    Where a network was trained from several seeds, the training with the best validation result is written, and the
    card says so and what each of them reached.

    Args:
        run_directory: holds `ledger.jsonl`, `checkpoints/` and, unless formats are given, `config.yaml`.
        formats: names of `EXPORT_TARGETS`, by default those of the config; written beside those that were exported
            before. Given here, each must be able to hold the networks; what one of the config's cannot, the card says.

    Returns:
        The files, those of the network with the best mean on validation samples first.

    Raises:
        BadInputError: if there is no ledger, nothing was retrained, a checkpoint is damaged, or a format is unknown.
        NotExpressibleError: if a format that was given cannot hold a network; the layer is named, nothing written.
    """
    directory = Path(run_directory)
    returned = _returned(directory)
    data = data_facts(ledger_so_far(directory / LEDGER_FILE).events)
    chosen = load_run_config(directory).export.formats if formats is None else formats
    files: list[Path] = []
    for network in returned:
        trained = load_trained(directory, network.best)
        worth = worth_of(network.best.metrics, find_quality(network.best.metrics) or CLASSIFICATION, data)
        trained = replace(trained, facts={**trained.facts, "worth": worth, **_trainings(network)})
        folder = directory / "export" / network.key
        wanted = [*_formats_before(folder), *chosen]
        if any(EXPORT_TARGETS.get(name).needs_device for name in wanted):
            trained = replace(trained, device=_device_of(directory, network.best))
        files += export_network(trained, folder, wanted, needed=formats or ())
    return files


def sound_export(run_directory: Path | str, formats: Sequence[str]) -> list[Path]:
    """The files of an earlier export if they are all there, whole, and of the networks that the run returned.

    Args:
        run_directory: of the run.
        formats: those that are wanted.

    Returns:
        The files; none if anything must be written anew.
    """
    directory, files = Path(run_directory), list[Path]()
    for network in _returned(directory):
        folder = directory / "export" / network.key
        try:
            card = read_json(folder / CARD_FILE)
            sums = {name: str(sha) for name, sha in card["files"].items()}
            whole = all(sha256_of(folder / name) == sha for name, sha in sums.items())
            there = {*card["formats"], *card.get("left_out", {})} >= set(formats)
            same = card["trial"] == network.best.id and card.get("trainings") == _trainings(network).get("trainings")
            if not same or not there or not whole or sealed(card) != card:
                return []
        except (OSError, BadInputError, KeyError, TypeError, AttributeError):
            return []
        files += [folder / name for name in sums] + [folder / CARD_FILE]
    return files


def _formats_before(folder: Path) -> list[str]:
    """The formats that an earlier export wrote here, if its card can be read."""
    try:
        return [name for name in read_json(folder / CARD_FILE)["formats"] if name in EXPORT_TARGETS.names()]
    except (BadInputError, KeyError, TypeError):
        return []


def _trainings(network: RetrainedNetwork) -> dict[str, Any]:
    """What the card of a network's best training also says: what the others reached, if there are others."""
    if network.seeds == 1:
        return {}
    return {"trainings": network.to_json(find_quality(network.best.metrics) or CLASSIFICATION)}


def returned_trials(run_directory: Path | str) -> list[Trial]:
    """The best training of each network that a run returned, the network with the best mean first.

    Raises:
        BadInputError: if there is no ledger or nothing was retrained.
    """
    return [network.best for network in _returned(Path(run_directory))]


def _returned(run_directory: Path) -> list[RetrainedNetwork]:
    networks = returned_networks(ledger_so_far(run_directory / LEDGER_FILE).trials)
    if not networks:
        raise nothing_returned(run_directory)
    return networks


def load_trained(run_directory: Path | str, trial: Trial) -> TrainedNetwork:
    """The network of a finished retraining.

    Raises:
        BadInputError: if its checkpoint is missing, damaged or of another architecture.
    """
    path = retrain_directory(run_directory, trial.trained_as, trial.seed) / BEST_FILE
    if not has_checkpoint(path):
        raise BadInputError(f"{path} is missing, which holds the weights of network {trial.key}; resume the run")
    tensors, meta = load_checkpoint(path)
    architecture = Architecture.from_json(trial.architecture)
    with torch.random.fork_rng():
        network = SpikingNetwork(architecture.expand())
    load_tensors(network, tensors, str(path))
    facts = {
        "trial": trial.id,
        "seed": trial.seed,
        **{name: dict(getattr(trial, name)) for name in CHOICES if getattr(trial, name)},
        "metrics": dict(trial.metrics),
        "costs": dict(trial.costs),
        "normalisation": meta.get("normalisation"),
        "activity": read_activity(path.parent),
    }
    return TrainedNetwork(architecture, network.eval(), facts)


def export_network(
    trained: TrainedNetwork, directory: Path | str, formats: Sequence[str] = PLAIN, needed: Sequence[str] = ()
) -> list[Path]:
    """Write a network into a directory, which is made if absent, and check what was written against the network.

    Args:
        trained: the network.
        directory: where to.
        formats: names of `EXPORT_TARGETS`.
        needed: those that must be able to hold the network; of the others the card says why one is left out.

    Returns:
        The files.

    Raises:
        NotExpressibleError: if a format cannot hold the network and it is needed or the only one; nothing is written.
        BadInputError: for an unknown format, or a directory that is not writable.
    """
    targets = {name: EXPORT_TARGETS.get(name) for name in dict.fromkeys(formats)}
    rendered: dict[str, Mapping[str, bytes]] = {}
    left_out: dict[str, str] = {}
    for name, target in targets.items():
        try:
            rendered[name] = target.render(trained)
        except NotExpressibleError as error:
            if name in needed or len(targets) == 1:
                raise
            left_out[name] = str(error)
    folder = Path(directory)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / CARD_FILE).unlink(missing_ok=True)  # it would refuse the files that are written now
        for path in {(folder / file).parent for files in rendered.values() for file in files}:
            path.mkdir(exist_ok=True)
    except OSError as error:
        raise unwritable(folder, error) from error
    for files in rendered.values():
        for file, content in files.items():
            write_atomic(folder / file, content)
    notes = {name: note for name in rendered if (note := targets[name].note(trained))}
    remarks = {name: said for name, said in (("left_out", left_out), ("notes", notes)) if said}
    card = sealed(_card(trained, folder, {name: targets[name] for name in rendered}, rendered) | remarks)
    write_atomic(folder / CARD_FILE, json.dumps(card, indent=1) + "\n")
    return [folder / file for files in rendered.values() for file in files] + [folder / CARD_FILE]


def _device_of(run_directory: Path, trial: Trial) -> NonidealSpec | HardwareSpec:
    """The memory cells that a returned network is meant for: those of the config's device, or of its chip."""
    config = load_run_config(run_directory)
    if config.nonideal.device is not None:
        return load_nonideal(config.nonideal.device)
    return load_hardware(config.hardware.reference, config.hardware.settings_of(trial.hardware))


def _card(
    trained: TrainedNetwork, folder: Path, targets: Mapping[str, Target], rendered: Mapping[str, Mapping[str, bytes]]
) -> dict[str, Any]:
    macro, graph = trained.architecture.macro, trained.network.graph
    quality = find_quality(trained.facts.get("metrics", {})) or CLASSIFICATION
    check = Check.of(trained, CHECKED_SAMPLES)
    differences: dict[str, float] = {"samples": CHECKED_SAMPLES}
    for target in targets.values():
        differences |= target.check(trained, folder, check)
    return {
        "generator": f"hasnas {__version__}",
        "key": trained.architecture.key,
        **trained.facts,
        "input": {"shape": list(macro.input_shape), "static": macro.static_input},
        "classes" if quality is CLASSIFICATION else "outputs": macro.classes,
        "timesteps": macro.timesteps,
        "timestep_s": TIMESTEP_S,
        "parameters": graph.parameter_count,
        "formats": {
            name: {"files": list(rendered[name]), "opens_in": target.opens_in}
            | ({"tools": tools} if (tools := target.tools(trained)) else {})
            for name, target in targets.items()
        },
        "files": {file: sha256_of(folder / file) for files in rendered.values() for file in files},
        "check": differences,
    }
