"""A network run part by part: parts that are computed twice instead of kept, and what flows between them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from hasnas.search_spaces.graph import LayerGraph
from hasnas.search_spaces.layers import Neuron
from hasnas.search_spaces.network import SpikingNetwork

Group = tuple[str, ...]


@dataclass(frozen=True)
class Part:
    """Neighbouring groups of layers.

    Args:
        groups: recurrent groups of the graph, in the order to run them.
        arriving: results of earlier parts that this one needs.
        leaving: results that later parts need, or the network's.
    """

    groups: tuple[Group, ...]
    arriving: tuple[str, ...]
    leaving: tuple[str, ...]

    @property
    def names(self) -> list[str]:
        """The layers of the part."""
        return [name for group in self.groups for name in group]


@dataclass(frozen=True)
class Pass:
    """What training needs of a forward pass.

    Args:
        outputs: mean over time of the network's output, `[B, classes]`.
        rates: spikes per neuron and timestep of each layer of neurons, scalars with gradients; empty unless asked for.
    """

    outputs: Tensor
    rates: dict[str, Tensor]


def split_graph(graph: LayerGraph, count: int) -> tuple[Part, ...]:
    """The graph cut into parts of about equally many values.

    Args:
        graph: the layers.
        count: number of parts; fewer where the graph has fewer groups.
    """
    groups = graph.recurrent_groups
    sizes = [sum(graph.node(name).size for name in group) for group in groups]
    total, before = max(sum(sizes), 1), 0
    cut: dict[int, list[Group]] = {}
    for group, size in zip(groups, sizes, strict=True):
        cut.setdefault(min(count - 1, before * count // total), []).append(group)
        before += size
    return tuple(_part(graph, tuple(members)) for members in cut.values())


def single_groups(graph: LayerGraph) -> tuple[Part, ...]:
    """Every recurrent group as a part of its own."""
    return tuple(_part(graph, (group,)) for group in graph.recurrent_groups)


def _part(graph: LayerGraph, groups: tuple[Group, ...]) -> Part:
    own = {name for group in groups for name in group}
    arriving = {link.source for name in own for link in graph.inputs(name)} - own
    leaving = {link.source for link in graph.connections if link.target not in own} & own
    ordered = [node.name for node in graph.nodes]
    leaving |= {"output"} & own
    return Part(
        groups,
        tuple(name for name in ordered if name in arriving),
        tuple(name for name in ordered if name in leaving),
    )


def run_part(network: SpikingNetwork, part: Part, arriving: Mapping[str, Tensor], x: Tensor) -> dict[str, Tensor]:
    """Results of all layers of a part.

    Args:
        network: its neurons start and end at rest.
        part: which layers.
        arriving: what `part.arriving` names, as `SpikingNetwork.run` gives it.
        x: the sample batch, for the part that begins with it.
    """
    values = dict(arriving)
    network.reset()
    try:
        for group in part.groups:
            network.run_group(group, values, x)
    finally:
        network.reset()
    return {name: values[name] for name in part.names}


def forward_pass(network: SpikingNetwork, x: Tensor, recomputed_parts: int = 0, rates: bool = False) -> Pass:
    """Outputs, and firing rates if wanted, with gradients.

    With `recomputed_parts` only what flows between the parts is kept for the backward pass; each part is then computed
    a second time, with the same dropout and without counting its batch a second time in batch norm's statistics.

    Args:
        network: in any mode.
        x: `[B, C, H, W]` or `[T, B, C, H, W]`.
        recomputed_parts: number of parts; 0 keeps everything.
        rates: whether to measure firing rates.

    Source: Chen et al., "Training Deep Nets with Sublinear Memory Cost", arXiv:1604.06174, 2016.
    """
    neurons = [node.name for node in network.graph.nodes if isinstance(node.operation, Neuron)] if rates else []
    if not recomputed_parts:
        values = network.run(x)
        return Pass(values["output"].mean(0), {name: values[name].mean() for name in neurons})
    network.check_input(x)
    values, measured = {}, dict[str, Tensor]()
    for part in split_graph(network.graph, recomputed_parts):
        spiking = [name for name in part.names if name in neurons]
        results = _recomputed(network, part, values, x, spiking)
        values |= dict(zip(part.leaving, results, strict=False))
        measured |= dict(zip(spiking, results[len(part.leaving) :], strict=True))
    return Pass(values["output"].mean(0), measured)


def _recomputed(
    network: SpikingNetwork, part: Part, values: Mapping[str, Tensor], x: Tensor, spiking: list[str]
) -> tuple[Tensor, ...]:
    """What leaves a part, then the rates of its neurons."""

    def run(x: Tensor, *arriving: Tensor) -> tuple[Tensor, ...]:
        results = run_part(network, part, dict(zip(part.arriving, arriving, strict=True)), x)
        return (*(results[name] for name in part.leaving), *(results[name].mean() for name in spiking))

    def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), statistics_frozen(network)

    arriving = [values[name] for name in part.arriving]
    return checkpoint(run, x, *arriving, use_reentrant=False, context_fn=contexts)


@contextmanager
def statistics_frozen(network: nn.Module) -> Iterator[None]:
    """Batch norm in training mode uses each batch's statistics but does not remember them."""
    norms = [module for module in network.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    before = [dict(norm._buffers) for norm in norms]
    # Copies rather than none at all: what is saved for the backward pass must be as many tensors as otherwise.
    for norm in norms:
        norm._buffers.update({name: None if value is None else value.clone() for name, value in norm._buffers.items()})
    try:
        yield
    finally:
        for norm, buffers in zip(norms, before, strict=True):
            norm._buffers.update(buffers)


def autocast(device: torch.device, precision: str) -> AbstractContextManager[None]:
    """The context in which a forward pass has a precision."""
    if precision == "float32":
        return nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)
