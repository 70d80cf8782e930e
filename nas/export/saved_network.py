"""A network on disk: architecture or layers as JSON, weights as safetensors, a card. Loading runs no code from it.

A network that hasnas searched has `architecture.json`; one that was made of a network found elsewhere has no cells and
no macro, but `graph.json`, its layers.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hasnas import __version__
from hasnas.errors import BadInputError
from hasnas.files import CARD_FILE, check_listed, read_json, sealed, sha256_of, unwritable, write_atomic
from hasnas.nas.data.samples import Normalisation
from hasnas.nas.training.state import first_non_finite, load_tensors
from hasnas.search_spaces.architecture import ARCHITECTURE_FILE, Architecture
from hasnas.search_spaces.graph import GRAPH_FILE, LayerGraph
from hasnas.search_spaces.network import SpikingNetwork

WEIGHTS_FILE, NIR_FILE = "weights.safetensors", "network.nir"
# One key only: safetensors writes several in an order that changes from call to call.
CONTENT = "architecture and content"


def weights_bytes(state: Mapping[str, Tensor], described: Architecture | LayerGraph) -> bytes:
    """A safetensors file of parameters and buffers by their layers' names; its header carries key and digest."""
    from safetensors.torch import save

    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in state.items()}
    return save(plain, metadata={CONTENT: f"{described.key} {_digest(plain)}"})


class ReturnedNetwork(nn.Module):
    """A network that a run returned: it takes samples as the dataset gives them, and answers in the targets' units.

    Args:
        network: takes normalised samples.
        normalisation: of the training that made it.
    """

    def __init__(self, network: SpikingNetwork, normalisation: Normalisation) -> None:
        super().__init__()
        self.network = network
        self.normalisation = normalisation

    def forward(self, inputs: Tensor) -> Tensor:
        """Scores of the classes, or values, `[B, outputs]`.

        Args:
            inputs: `[B, C, H, W]`, or `[T, B, C, H, W]` for networks of sequences.
        """
        return self.normalisation.in_units(self.network(self.normalisation.apply(inputs)))


def load_network(directory: Path | str) -> ReturnedNetwork:
    """An exported network, in evaluation mode, with the normalisation of its inputs and targets.

    Args:
        directory: `export/<key>/` of a run: `architecture.json`, `weights.safetensors` and `card.json`.

    Raises:
        BadInputError: naming the file, if one is missing, damaged or does not belong to the others.
    """
    network, path = load_bare_network(directory), Path(directory) / CARD_FILE
    card = read_json(path)
    if isinstance(card, dict) and {"files", "digest"} & set(card) and sealed(card) != card:
        raise BadInputError(f"{path} is not what was exported; it was changed or damaged, export the run anew")
    if not isinstance(card, dict) or not isinstance(card.get("normalisation"), dict):
        raise BadInputError(f"{path} does not say how inputs are normalised; export the run anew: hasnas export RUN")
    try:
        return ReturnedNetwork(network, Normalisation.from_json(card["normalisation"])).eval()
    except (KeyError, TypeError, ValueError) as error:
        raise BadInputError(f"{path}: its 'normalisation' cannot be read ({error}); export the run anew") from error


def load_bare_network(directory: Path | str) -> SpikingNetwork:
    """The network that `architecture.json`, or `graph.json`, and `weights.safetensors` describe.

    It takes normalised samples.

    Its outputs are bit for bit those of the network that was saved.

    Raises:
        BadInputError: naming the file, if one is missing, damaged or does not belong to the other.
    """
    weights = Path(directory) / WEIGHTS_FILE
    check_listed(weights)
    described: Architecture | LayerGraph = (
        LayerGraph.load(Path(directory) / GRAPH_FILE)
        if (Path(directory) / GRAPH_FILE).is_file()
        else Architecture.load(Path(directory) / ARCHITECTURE_FILE)
    )
    tensors = _read_weights(weights, described)
    with torch.random.fork_rng():
        network = SpikingNetwork(described if isinstance(described, LayerGraph) else described.expand())
    load_tensors(network, tensors, str(weights))
    own = network.state_dict()
    foreign = next((name for name, tensor in tensors.items() if tensor.dtype != own[name].dtype), None)
    broken = foreign or first_non_finite(tensors.items())
    if broken is not None:
        fault = f"is {tensors[broken].dtype}" if foreign else "holds a NaN or an infinity"
        raise BadInputError(f"{weights}: tensor '{broken}' {fault}; no export writes that, export the run anew")
    return network.eval()


def save_network(network: SpikingNetwork, directory: Path | str, facts: Mapping[str, Any]) -> list[Path]:
    """Write a network that is no architecture of a space: `graph.json`, weights and card; `load_network` reads them.

    Args:
        network: with its weights.
        directory: made if absent.
        facts: plain data for the card, `normalisation` among them.

    Returns:
        The files.

    Raises:
        BadInputError: if the directory cannot be written or holds a searched network.
    """
    folder = Path(directory)
    check_no_searched(folder)
    content = {
        GRAPH_FILE: network.graph.to_text().encode(),
        WEIGHTS_FILE: weights_bytes(network.state_dict(), network.graph),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / CARD_FILE).unlink(missing_ok=True)  # it would refuse the files that are written now
    except OSError as error:
        raise unwritable(folder, error) from error
    for name, data in content.items():
        write_atomic(folder / name, data)
    graph = network.graph
    card = sealed(
        {
            "generator": f"hasnas {__version__}",
            "key": graph.key,
            "input": {"shape": list(graph.entry.shape), "static": graph.takes_static},
            "timesteps": graph.timesteps,
            "parameters": graph.parameter_count,
            **facts,
            "files": {name: sha256_of(folder / name) for name in content},
        }
    )
    write_atomic(folder / CARD_FILE, json.dumps(card, indent=1) + "\n")
    return [folder / name for name in (*content, CARD_FILE)]


def check_no_searched(folder: Path | str) -> None:
    """Refuse a folder in which `save_network` would write beside a searched network.

    Raises:
        BadInputError: naming the folder.
    """
    if (Path(folder) / ARCHITECTURE_FILE).exists():
        raise BadInputError(f"{folder} holds a searched network already; give another folder")


def _read_weights(path: Path, described: Architecture | LayerGraph) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        data = path.read_bytes()
        tensors = load(data)
        length = int.from_bytes(data[:8], "little")
        told = json.loads(data[8 : 8 + length]).get("__metadata__", {}).get(CONTENT, "")
    except OSError as error:
        raise BadInputError(f"cannot read {path}: {error.strerror or error}; check the path") from error
    except (SafetensorError, ValueError, KeyError) as error:
        raise BadInputError(f"{path} is not a whole safetensors file ({error}); export it anew") from error
    key, _, digest = told.partition(" ")
    if key != described.key:
        raise BadInputError(f"{path} says that it is of architecture '{key}', not {described.key}; export it anew")
    if digest != _digest(tensors):
        raise BadInputError(f"{path} is not what was exported; it was changed or damaged, export the run anew")
    return tensors


def _digest(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over names, types, shapes and bytes."""
    found = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name]
        found.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        found.update(tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return found.hexdigest()
