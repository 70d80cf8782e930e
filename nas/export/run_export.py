"""Export of a run: each network it returned, as files for other tools, with a card that says what it is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from hasnas import __version__
from hasnas.errors import BadInputError, nearest
from hasnas.files import CARD_FILE, read_json, sealed, sha256_of, write_atomic
from hasnas.nas.history.checkpoint import has_checkpoint, load_checkpoint
from hasnas.nas.history.layout import LEDGER_FILE
from hasnas.nas.history.ledger import read_ledger
from hasnas.nas.history.quality import CLASSIFICATION, find_quality
from hasnas.nas.history.returned import RetrainedNetwork, returned_networks
from hasnas.nas.history.run_config import load_run_config
from hasnas.nas.history.trial import CHOICES, Trial
from hasnas.nas.history.worth import data_facts, worth_of
from hasnas.nas.training.folders import BEST_FILE, read_activity, retrain_directory
from hasnas.nas.training.state import load_tensors
from hasnas.search_spaces.architecture import Architecture
from hasnas.search_spaces.layers import Input
from hasnas.search_spaces.network import SpikingNetwork

from .deploy import deploy
from .nir_reader import read_deployed, read_nir
from .nir_writer import FLOAT_MEMBRANES, TIMESTEP_S, NotInNirError, write_nir
from .saved_network import ARCHITECTURE_FILE, NIR_FILE, WEIGHTS_FILE, load_bare_network, save_weights

FILES = {"json": ARCHITECTURE_FILE, "safetensors": WEIGHTS_FILE, "nir": NIR_FILE}
FORMATS = tuple(FILES)
CHECKED_SAMPLES = 16


@dataclass(frozen=True)
class TrainedNetwork:
    """A network with what is known of it.

    Args:
        architecture: what it is.
        network: with its weights, in evaluation mode.
        facts: plain data for the card: metrics, costs, normalisation of the inputs, ...
    """

    architecture: Architecture
    network: SpikingNetwork
    facts: dict[str, Any]


def export_run(run_directory: Path | str, formats: Sequence[str] | None = None) -> list[Path]:
    """Write `export/<key>/` for each network that a run returned.

    Where a network was trained from several seeds, the training with the best validation result is written, and the
    card says so and what each of them reached.

    Args:
        run_directory: holds `ledger.jsonl`, `checkpoints/` and, unless formats are given, `config.yaml`.
        formats: of `"json"`, `"safetensors"`, `"nir"`; by default those of the config. The card is always written.

    Returns:
        The files, those of the network with the best mean on validation samples first.

    Raises:
        BadInputError: if there is no ledger, nothing was retrained, a checkpoint is damaged, or a format is unknown.
    """
    directory = Path(run_directory)
    returned = _returned(directory)
    data = data_facts(read_ledger(directory / LEDGER_FILE).events)
    chosen = load_run_config(directory).export.formats if formats is None else formats
    files: list[Path] = []
    for network in returned:
        trained = load_trained(directory, network.best)
        worth = worth_of(network.best.metrics, find_quality(network.best.metrics) or CLASSIFICATION, data)
        trained = replace(trained, facts={**trained.facts, "worth": worth})
        files += export_network(_with_all_seeds(trained, network), directory / "export" / network.key, chosen)
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
            wanted = {FILES[name] for name in formats if name not in card.get("left_out", {})}
            whole = all(sha256_of(folder / name) == sha for name, sha in sums.items())
            if card["trial"] != network.best.id or set(sums) != wanted or not whole or sealed(card) != card:
                return []
        except (OSError, BadInputError, KeyError, TypeError, AttributeError):
            return []
        files += [folder / name for name in sums] + [folder / CARD_FILE]
    return files


def _with_all_seeds(trained: TrainedNetwork, network: RetrainedNetwork) -> TrainedNetwork:
    """The card of a network's best training also says what the others reached."""
    if network.seeds == 1:
        return trained
    quality = find_quality(network.best.metrics) or CLASSIFICATION
    return replace(trained, facts={**trained.facts, "trainings": network.to_json(quality)})


def returned_trials(run_directory: Path | str) -> list[Trial]:
    """The best training of each network that a run returned, the network with the best mean first.

    Raises:
        BadInputError: if there is no ledger or nothing was retrained.
    """
    return [network.best for network in _returned(Path(run_directory))]


def _returned(run_directory: Path) -> list[RetrainedNetwork]:
    networks = returned_networks(read_ledger(run_directory / LEDGER_FILE).trials)
    if not networks:
        raise BadInputError(f"no network of {run_directory} was retrained; finish it with 'hasnas search --resume'")
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


def export_network(trained: TrainedNetwork, directory: Path | str, formats: Sequence[str] = FORMATS) -> list[Path]:
    """Write a network into a directory, which is made if absent, and check what was written against the network.

    Where NIR has no word for a layer and other formats are wanted as well, those are written and the card says why
    there is no NIR file. Where it has no word for membranes of few bits, the card says so, and how far off the outputs
    of float membranes are.

    Returns:
        The files.

    Raises:
        BadInputError: for an unknown format, a layer that the only format cannot hold, or a directory that is not
            writable.
    """
    for name in formats:
        if name not in FORMATS:
            raise BadInputError(f"unknown export format '{name}'{nearest(name, FORMATS)}")
    target = Path(directory)
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInputError(f"cannot make {target}: {error.strerror or error}; check the path") from error
    (target / CARD_FILE).unlink(missing_ok=True)  # it would refuse the files that are written now
    if "json" in formats:
        trained.architecture.save(target / ARCHITECTURE_FILE)
    if "safetensors" in formats:
        save_weights(target / WEIGHTS_FILE, trained.network.state_dict(), trained.architecture)
    left_out: dict[str, str] = {}
    notes: dict[str, str] = {}
    if "nir" in formats:
        try:
            deployed = deploy(trained.network.graph, trained.network.state_dict())
            write_nir(target / NIR_FILE, deployed)
            notes = {"nir": FLOAT_MEMBRANES} if deployed.has_short_membranes else {}
        except NotInNirError as error:
            formats = [name for name in formats if name != "nir"]
            if not formats:
                raise
            left_out["nir"] = str(error)
    remarks = {name: said for name, said in (("left_out", left_out), ("notes", notes)) if said}
    card = sealed(_card(trained, target, formats) | remarks)
    write_atomic(target / CARD_FILE, json.dumps(card, indent=1) + "\n")
    return [target / FILES[name] for name in FORMATS if name in formats] + [target / CARD_FILE]


def _card(trained: TrainedNetwork, target: Path, formats: Sequence[str]) -> dict[str, Any]:
    macro, graph = trained.architecture.macro, trained.network.graph
    quality = find_quality(trained.facts.get("metrics", {})) or CLASSIFICATION
    return {
        "generator": f"hasnas {__version__}",
        "key": trained.architecture.key,
        **trained.facts,
        "input": {"shape": list(macro.input_shape), "static": macro.static_input},
        "classes" if quality is CLASSIFICATION else "outputs": macro.classes,
        "timesteps": macro.timesteps,
        "timestep_s": TIMESTEP_S,
        "parameters": graph.parameter_count,
        "files": {FILES[name]: sha256_of(target / FILES[name]) for name in FORMATS if name in formats},
        "check": _check(trained, target, formats),
    }


def _check(trained: TrainedNetwork, target: Path, formats: Sequence[str]) -> dict[str, float]:
    """Largest differences between the network's outputs and those of the files, on seeded random samples."""
    inputs = probe(trained.network, CHECKED_SAMPLES)
    differences: dict[str, float] = {"samples": CHECKED_SAMPLES}
    with torch.no_grad():
        expected = trained.network(inputs)
        if "json" in formats and "safetensors" in formats:
            reloaded = load_bare_network(target)(inputs)
            differences["safetensors_max_difference"] = float((reloaded - expected).abs().max())
        if "nir" in formats:
            single = read_nir(target / NIR_FILE)(inputs)
            differences["nir_max_difference_float32"] = float((single - expected).abs().max())
            double = read_nir(target / NIR_FILE, torch.float64)(inputs.double())
            exact = load_double(trained.network)(inputs.double())
            differences["nir_max_difference_float64"] = float((double - exact).abs().max())
            deployed = read_deployed(target / NIR_FILE)
            if deployed.has_short_membranes:
                elsewhere = deployed.with_float_membranes().network()(inputs)
                differences["nir_max_difference_float_membranes"] = float((elsewhere - expected).abs().max())
    return differences


def probe(network: SpikingNetwork, samples: int, seed: int = 0) -> torch.Tensor:
    """Normal random inputs in the shape a network takes."""
    entry = next(node for node in network.graph.nodes if isinstance(node.operation, Input))
    static = isinstance(entry.operation, Input) and entry.operation.static
    shape = (samples, *entry.shape) if static else (network.graph.timesteps, samples, *entry.shape)
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def load_double(network: SpikingNetwork) -> SpikingNetwork:
    """A copy that computes in double precision, in evaluation mode."""
    with torch.random.fork_rng():
        copy = SpikingNetwork(network.graph).double()
    copy.load_state_dict(network.state_dict())
    return copy.eval()
