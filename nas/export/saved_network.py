"""A network on disk: architecture as JSON, weights as safetensors, a card. Loading runs no code from the files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from hasnas.errors import BadInputError
from hasnas.files import read_json, write_atomic
from hasnas.nas.data.samples import Normalisation
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
    if not isinstance(card, dict) or not isinstance(card.get("normalisation"), dict):
        raise BadInputError(f"{path} does not say how inputs are normalised; export the run anew: hasnas export RUN")
    try:
        return ReturnedNetwork(network, Normalisation.from_json(card["normalisation"])).eval()
    except (KeyError, TypeError, ValueError) as error:
        raise BadInputError(f"{path}: its 'normalisation' cannot be read ({error}); export the run anew") from error


def load_bare_network(directory: Path | str) -> SpikingNetwork:
    """The network that `architecture.json` and `weights.safetensors` describe; it takes normalised samples.

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
