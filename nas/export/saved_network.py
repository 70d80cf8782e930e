"""A network on disk: its architecture as JSON, its weights as safetensors. Loading runs no code from the files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from hasnas.errors import BadInputError
from hasnas.files import write_atomic
from hasnas.nas.training.state import load_tensors
from hasnas.search_spaces.architecture import Architecture
from hasnas.search_spaces.network import SpikingNetwork

ARCHITECTURE_FILE, WEIGHTS_FILE, NIR_FILE, CARD_FILE = (
    "architecture.json",
    "weights.safetensors",
    "network.nir",
    "card.json",
)


def save_weights(path: Path | str, state: Mapping[str, Tensor], architecture: Architecture) -> None:
    """Write parameters and buffers by their layers' names; the header carries the architecture's key.

    Raises:
        BadInputError: if the file cannot be written.
    """
    from safetensors.torch import save

    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in state.items()}
    # One key only: safetensors writes several in an order that changes from call to call.
    write_atomic(path, save(plain, metadata={"architecture": architecture.key}))


def load_network(directory: Path | str) -> SpikingNetwork:
    """The network that `architecture.json` and `weights.safetensors` in a directory describe, in evaluation mode.

    Its outputs are bit for bit those of the network that was saved.

    Raises:
        BadInputError: naming the file, if one is missing, damaged or does not belong to the other.
    """
    architecture = Architecture.load(Path(directory) / ARCHITECTURE_FILE)
    weights = Path(directory) / WEIGHTS_FILE
    tensors = _read_weights(weights)
    with torch.random.fork_rng():
        network = SpikingNetwork(architecture.expand())
    load_tensors(network, tensors, str(weights))
    return network.eval()


def _read_weights(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        return load(path.read_bytes())
    except OSError as error:
        raise BadInputError(f"cannot read {path}: {error.strerror or error}; check the path") from error
    except (SafetensorError, json.JSONDecodeError) as error:
        raise BadInputError(f"{path} is not a whole safetensors file ({error}); export it anew") from error
