"""A module that was written elsewhere as a network of ours that runs, with its weights, and how alike both answer.

Layers are those of `trace_module`. Weights are copied; a batch norm whose epsilon is another gets the variance that
makes up for it, kernels along a line become those of one row, learned time constants start where they are.
"""

from __future__ import annotations

import inspect
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from hasnas.errors import BadInputError
from hasnas.search_spaces.graph import LayerGraph
from hasnas.search_spaces.layers import PLIF, BatchNorm
from hasnas.search_spaces.network import SpikingNetwork

from .elsewhere import prepare
from .run import at_rest
from .trace import runs_over_time, trace_layers

OUR_EPSILON = 1e-5  # of torch.nn.BatchNorm2d, which the networks use
SCALES = (1.0, 8.0)  # of the compared samples: a network that was not trained may stay silent for small ones
CLOSE = 1e-3  # beside the largest answer: beyond it a spike moved, or the layers compute something else


@dataclass(frozen=True)
class TracedNetwork:
    """A module as a network of ours.

    Args:
        network: with the module's weights, in evaluation mode.
        notes: what the module's layers do beyond what ours can, and whether its answers were worth comparing.
        alike: share of the tried samples that both answer alike, within a thousandth of the largest answer.
        difference: largest one between their answers.
    """

    network: SpikingNetwork
    notes: tuple[str, ...]
    alike: float
    difference: float


def traced_network(
    module: nn.Module,
    example: Tensor,
    timesteps: int,
    static: bool | None = None,
    largest_count: int = 0,
) -> TracedNetwork:
    """The layers of a module with its weights.

    Args:
        module, example, timesteps, static, largest_count: see `trace_module`; both networks are run on the example, as
            it is and eight times as large.

    Raises:
        BadInputError: naming the layer that cannot be expressed, or whose weights have no place.

    >>> net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 3))
    >>> found = traced_network(net, torch.rand(4, 1, 4, 4), timesteps=2)
    >>> found.alike, found.difference < 1e-5
    (1.0, True)
    """
    if isinstance(module, SpikingNetwork):
        return TracedNetwork(module.eval(), (), 1.0, 0.0)
    notes: list[str] = []
    graph, modules = trace_layers(module, example, timesteps, static, largest_count, notes.append)
    with torch.random.fork_rng():
        network = SpikingNetwork(graph)
    network.load_state_dict(_state(graph, modules, network.state_dict()))
    network.eval()
    tried = [scale * example for scale in SCALES]
    with torch.no_grad():
        expected = torch.cat([_answers(module, one, graph) for one in tried])
        found = torch.cat([network(_as_ours(one, graph)) for one in tried])
    if expected.shape != found.shape:
        raise BadInputError(
            f"the module answers with shape {list(expected.shape)}, its layers with {list(found.shape)}; return the "
            "result of the last layer"
        )
    if bool((expected == expected[0]).all()):
        notes.append("it answers every random sample alike, so that comparing its answers says nothing")
    return TracedNetwork(network, tuple(notes), *_compared(found, expected, timesteps))


def _compared(found: Tensor, expected: Tensor, timesteps: int) -> tuple[float, float]:
    """Share of samples alike, and the largest difference; a module may add up what ours takes the mean of."""
    scale = max(float(expected.abs().max()), 1e-12)
    candidates = []
    for factor in (1, timesteps):
        differences = (factor * found - expected).abs().flatten(1).amax(1)
        candidates.append((float((differences <= CLOSE * scale).float().mean()), float(differences.max())))
    return max(candidates, key=lambda one: (one[0], -one[1]))


def _as_ours(example: Tensor, graph: LayerGraph) -> Tensor:
    """The example as our network takes it: an image once where it is static, a frame for every timestep elsewhere."""
    shown = example.unsqueeze(-2) if _is_of_lines(example, graph) else example
    over_time = shown.dim() == len(graph.entry.shape) + 2
    if graph.takes_static:
        return shown[0] if over_time else shown
    return shown if over_time else shown.expand(graph.timesteps, *shown.shape)


def _answers(module: nn.Module, example: Tensor, graph: LayerGraph) -> Tensor:
    """What the module itself answers, the mean over timesteps."""
    copy = deepcopy(module)
    prepare(copy)
    over_time = example.dim() == len(graph.entry.shape) - _is_of_lines(example, graph) + 2
    with at_rest(copy):
        result = copy(example)
        answer = _first(result)
        # A module in multi-step mode, or one that loops, may repeat an image by itself.
        if over_time or runs_over_time(copy) or answer.dim() == len(graph.nodes[-1].shape) + 2:
            return answer.mean(0) if answer.dim() == len(graph.nodes[-1].shape) + 2 else answer
        steps = [answer]
        for _ in range(graph.timesteps - 1):
            result = copy(example, result[1]) if _carries_states(copy, result) else copy(example)
            steps.append(_first(result))
    return torch.stack(steps).mean(0)


def _carries_states(module: nn.Module, result: Any) -> bool:
    """Whether a module hands out what it remembers, to be given back to it at the next timestep."""
    gives = isinstance(result, tuple) and len(result) == 2 and not isinstance(result[0], tuple | list)
    taken = inspect.signature(module.forward).parameters.values()
    places = [one for one in taken if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)]
    return gives and (len(places) > 1 or any(one.kind == one.VAR_POSITIONAL for one in taken))


def _is_of_lines(example: Tensor, graph: LayerGraph) -> bool:
    """Whether an example holds lines `[..., C, L]`, which our network takes as maps of one row."""
    entry = graph.entry.shape
    return len(entry) == 3 and entry[1] == 1 and tuple(example.shape[-3:]) != entry


def _first(result: Any) -> Tensor:
    while isinstance(result, tuple | list):
        result = result[0]
    found: Tensor = result
    return found


def _state(graph: LayerGraph, modules: dict[str, nn.Module], own: dict[str, Tensor]) -> dict[str, Tensor]:
    """The state of our network: each tensor from the module that its layer was read off."""
    state: dict[str, Tensor] = {}
    for key, tensor in own.items():
        name, _, quantity = key.rpartition(".")
        operation = graph.node(name).operation
        if isinstance(operation, PLIF):
            state[key] = tensor  # made from the time constant that the module has now
            continue
        if name not in modules or not isinstance(getattr(modules[name], quantity, None), Tensor):
            raise BadInputError(
                f"the weights of layer '{name}' stand in no layer of their own, so they cannot be taken over; its "
                "price is known: hasnas estimate"
            )
        value = getattr(modules[name], quantity).detach().clone()
        if isinstance(operation, BatchNorm) and quantity == "running_var":
            value = _variance(name, modules[name], value)
        if value.numel() != tensor.numel():
            raise BadInputError(f"layer '{name}': {quantity} has shape {list(value.shape)}, not {list(tensor.shape)}")
        state[key] = value.reshape(tensor.shape).to(tensor.dtype)
    return state


def _variance(name: str, module: nn.Module, variance: Tensor) -> Tensor:
    """The variance that gives the same factor with our epsilon."""
    found = variance.double() + float(getattr(module, "eps", OUR_EPSILON)) - OUR_EPSILON
    if bool((found < 0).any()):
        raise BadInputError(f"layer '{name}' has variances near its epsilon; give it eps={OUR_EPSILON} or more")
    return found
