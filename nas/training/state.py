"""A training's state as named tensors, so that it can be stored without pickling and restored bit for bit."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from hasnas.errors import BadInputError
from hasnas.nas.config.training import RetrainSection

MODEL, OPTIMIZER, BEST = "model.", "optimizer.", "best."


def derived_seed(seed: int, purpose: str, epoch: int) -> int:
    """A seed of its own for each purpose and epoch, so that an epoch does not depend on how the ones before it ran.

    >>> derived_seed(0, "shuffle", 1) != derived_seed(0, "dropout", 1) != derived_seed(0, "dropout", 2)
    True
    """
    digest = hashlib.blake2b(f"{seed}/{purpose}/{epoch}".encode(), digest_size=7).digest()
    return int.from_bytes(digest, "big")


def build_optimizer(network: nn.Module, settings: RetrainSection) -> torch.optim.Optimizer:
    """The optimizer of the settings; weight decay pulls on kernels and matrices only."""
    parameters = list(network.parameters())
    groups = [
        {"params": [item for item in parameters if item.ndim > 1], "weight_decay": settings.weight_decay},
        {"params": [item for item in parameters if item.ndim <= 1], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    if settings.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=settings.learning_rate, momentum=0.9)
    kind = torch.optim.AdamW if settings.optimizer == "adamw" else torch.optim.Adam
    return kind(groups, lr=settings.learning_rate)


def optimizer_tensors(optimizer: torch.optim.Optimizer, network: nn.Module) -> dict[str, Tensor]:
    """The optimizer's memory as `optimizer.<parameter>.<quantity>`."""
    tensors: dict[str, Tensor] = {}
    for name, parameter in network.named_parameters():
        for quantity, value in optimizer.state.get(parameter, {}).items():
            if isinstance(value, Tensor):
                tensors[f"{OPTIMIZER}{name}.{quantity}"] = value
    return tensors


def restore_optimizer(optimizer: torch.optim.Optimizer, network: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Put back what `optimizer_tensors` gave."""
    for name, parameter in network.named_parameters():
        prefix = f"{OPTIMIZER}{name}."
        # A weight may be named like the beginning of another: what follows the prefix holds no further dot.
        quantities = {key[len(prefix) :]: value for key, value in tensors.items() if key.startswith(prefix)}
        # Adam counts its steps on the CPU, wherever the parameters are.
        optimizer.state[parameter] = {
            key: value.clone() if key == "step" else value.clone().to(parameter.device)
            for key, value in quantities.items()
            if "." not in key
        }


def with_prefix(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Names with `prefix` in front."""
    return {prefix + name: tensor for name, tensor in tensors.items()}


def without_prefix(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names begin with `prefix`, by the rest of their names."""
    return {name[len(prefix) :]: tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def load_tensors(network: nn.Module, tensors: Mapping[str, Tensor], where: str) -> None:
    """Load a state by name.

    Args:
        network: receives the values.
        tensors: exactly the network's parameters and buffers, by name.
        where: the file they come from, for messages.

    Raises:
        BadInputError: if a tensor is missing, surplus or of another shape.
    """
    own = network.state_dict()
    for name in own.keys() | tensors.keys():
        if name not in tensors or name not in own:
            problem = "lacks" if name not in tensors else "has a surplus"
            raise BadInputError(f"{where} {problem} tensor '{name}'; it belongs to another architecture")
        if own[name].shape != tensors[name].shape:
            raise BadInputError(
                f"{where}: tensor '{name}' has shape {list(tensors[name].shape)}, the architecture "
                f"{list(own[name].shape)}; it belongs to another architecture"
            )
    network.load_state_dict(dict(tensors))


def first_non_finite(tensors: Iterable[tuple[str, Tensor]]) -> str | None:
    """The name of the first tensor that holds a NaN or an infinity."""
    return next((name for name, tensor in tensors if not torch.isfinite(tensor).all()), None)
