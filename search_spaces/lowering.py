"""LayerGraph -> Workload for one network, and the table of slots that a whole population fills as well."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hasnas.cim_estimator.workload.workload import LayerKind, Workload
from hasnas.errors import BadInputError

from .graph import LayerGraph, Node
from .layers import (
    Add,
    AvgPool2d,
    BatchNorm,
    Conv2d,
    Dropout,
    Flatten,
    Input,
    Linear,
    MaxPool2d,
    Neuron,
    Output,
    Sides,
    Vote,
    pair,
)

REAL_BITS = 8
SPIKE_BITS = 1
INPUTS = ".inputs"  # behind the name of neurons: the share of their inputs that are not zero; the name alone: of spikes
BITS = ("weight_bits", "membrane_bits")  # 0 where the hardware decides
Integers = NDArray[np.int64]
Window = tuple[Sides, Sides, int]  # sides, strides, groups


def bits_of_count(largest: int) -> int:
    """Bits of whole numbers from 0 to `largest`, at most those of real values, for which `largest` is 0.

    >>> bits_of_count(1), bits_of_count(2), bits_of_count(0), bits_of_count(1000)
    (1, 2, 8, 8)
    """
    return min(largest.bit_length(), REAL_BITS) if largest else REAL_BITS


def lower(graph: LayerGraph, rates: Mapping[str, float] | None = None) -> Workload:
    """The workload of one network.

    A batch norm that follows a convolution or a fully connected layer alone is folded into it, any other is a layer of
    its own. Layers without arithmetic (flatten, dropout, a vote of one) disappear. Neurons of every type cost what LIF
    neurons do; the adaptive threshold is a second state that decays and is added, and costs the same once more.

    Args:
        graph: the deployed network.
        rates: measured share of non-zero inputs by the name of a layer, behind which `INPUTS` stands if they are
            neurons, as `SpikingNetwork.activity` returns them; unknown ones stay NaN.

    Returns:
        Arrays of shape `[L]`.
    """
    table = SlotTable()
    counts = largest_counts(graph)
    level: dict[str, int] = {}
    for node in graph.nodes:
        links = graph.inputs(node.name)
        sources = [link.source for link in links if not link.delay]
        level[node.name] = max((level[name] for name in sources), default=0)
        if _is_folded(graph, node):
            table.fold(links[0].source, biases=node.shape[0], parameters=node.parameter_count)
            continue
        row = _row_of(graph, node)
        if row is None:
            continue
        level[node.name] += 1
        row.update(
            evaluations=1 if node.name in graph.static_nodes else graph.timesteps,
            input_bits=max(bits_of_count(counts[link.source]) for link in links),
            level=level[node.name],
        )
        rate = (rates or {}).get(rate_name(node), math.nan)
        table.add(node.name, row, rate)
        if isinstance(node.operation, Neuron):
            table.add_states(node.name, row, type(node.operation), rate)
    return table.workload(graph.timesteps)


def rate_name(node: Node) -> str:
    """Under which name `lower` looks for the share of a layer's inputs that are not zero."""
    return node.name + INPUTS if isinstance(node.operation, Neuron) else node.name


def largest_counts(graph: LayerGraph) -> dict[str, int]:
    """By layer, the largest whole number that its results can be: 1 for spikes; 0 where they are real values.

    A sum of spikes counts its operands, the mean over a window has as many levels above zero as the window has spikes;
    whatever has passed weights is real. What comes back through feedback is taken for real unless neurons send it.
    """
    known: dict[str, int] = {node.name: int(isinstance(node.operation, Neuron)) for node in graph.nodes}
    for node in graph.nodes:
        known[node.name] = _largest_count(node, [known[link.source] for link in graph.inputs(node.name)])
    return known


def _largest_count(node: Node, arriving: list[int]) -> int:
    match node.operation:
        case Neuron():
            return 1
        case Input(_, largest):
            return largest
        case Add():
            return sum(arriving) if all(arriving) else 0
        case AvgPool2d() as pool:
            return pool.places * arriving[0]
        case Vote(group_size):
            return group_size * arriving[0]
        case Conv2d() | Linear() | BatchNorm():
            return 0
        case MaxPool2d() | Flatten() | Dropout() | Output():
            return arriving[0]
    raise BadInputError(f"layer '{node.name}': no rule says the bits of what {type(node.operation).__name__} hands on")


def _is_folded(graph: LayerGraph, node: Node) -> bool:
    if not isinstance(node.operation, BatchNorm):
        return False
    source = graph.inputs(node.name)[0].source
    readers = [link for link in graph.connections if link.source == source]
    return isinstance(graph.node(source).operation, Conv2d | Linear) and len(readers) == 1


def _row_of(graph: LayerGraph, node: Node) -> dict[str, int] | None:
    """Integer fields of a node's slot, or None if it costs nothing."""
    links = graph.inputs(node.name)
    channels, height, width = _map(node.shape)
    match node.operation:
        case Conv2d(_, _, kernel, stride, _, groups, bias):
            kind, shape, biases = LayerKind.CONV, (kernel, stride, groups), channels * bias
        case Linear(_, _, bias):
            kind, shape, biases = LayerKind.LINEAR, (1, 1, 1), channels * bias
        case AvgPool2d(kernel, stride, _) | MaxPool2d(kernel, stride, _):
            kind, shape, biases = LayerKind.POOL, (kernel, stride, 1), 0
        case Add() | Vote():
            kind, shape, biases = LayerKind.ADD, (1, 1, 1), 0
        case Neuron():
            kind, shape, biases = LayerKind.LIF, (1, 1, 1), 0
        case BatchNorm():
            kind, shape, biases = LayerKind.SCALE, (1, 1, 1), channels
        case Input() | Flatten() | Dropout() | Output():
            return None
        case _:
            raise BadInputError(f"layer '{node.name}': no rule says what {type(node.operation).__name__} costs")
    if isinstance(node.operation, Vote) and node.operation.group_size == 1:
        return None
    in_channels, in_height, in_width = _map(graph.node(links[0].source).shape)
    summed = len(links) if isinstance(node.operation, Add) else 1
    return {
        **shape_fields((in_channels * summed, in_height, in_width), (channels, height, width), shape),
        "kind": kind,
        "biases": biases,
        "parameters": node.parameter_count,
        "weight_bits": getattr(node.operation, "weight_bits", 0),
        "membrane_bits": getattr(node.operation, "membrane_bits", 0),
        "delay": sum(link.delay for link in links),
    }


def _map(shape: tuple[int, ...]) -> tuple[int, int, int]:
    return (shape[0], shape[1], shape[2]) if len(shape) == 3 else (shape[0], 1, 1)


def shape_fields(
    before: tuple[int, int, int], after: tuple[int, int, int], window: Window = (1, 1, 1)
) -> dict[str, int]:
    """Fields of a slot: maps `[C, H, W]` before and after; sides, stride and groups of the window between them."""
    height, width = pair(window[0])
    return {
        "in_channels": before[0],
        "in_height": before[1],
        "in_width": before[2],
        "out_channels": after[0],
        "out_height": after[1],
        "out_width": after[2],
        "kernel_size": width,
        "kernel_height": 0 if height == width else height,
        "stride": pair(window[1])[1],
        "groups": window[2],
    }


@dataclass
class SlotTable:
    """Slots in the making: a value, or one for each candidate, for each field; `weight_bits` where rows say none."""

    weight_bits: int = 0
    names: list[str] = field(default_factory=list)
    rows: list[dict[str, int | Integers]] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)

    def add(self, name: str, row: Mapping[str, int | Integers], rate: float = math.nan) -> None:
        """One more slot; fields that most layers lack may be left out."""
        empty: dict[str, int | Integers] = dict.fromkeys(("biases", "parameters", "delay", *BITS), 0)
        if self.weight_bits:
            weighted = np.isin(row["kind"], (LayerKind.CONV, LayerKind.LINEAR))
            empty["weight_bits"] = np.where(weighted, self.weight_bits, 0)
        self.names.append(name)
        self.rows.append({**empty, **row})
        self.rates.append(rate)

    def add_states(
        self, name: str, row: Mapping[str, int | Integers], neurons: type[Neuron], rate: float = math.nan
    ) -> None:
        """States of neurons beside the membrane: a slot like theirs for each, of as many bits as the hardware says."""
        for state in neurons.further_states:
            self.add(f"{name}.{state}", {**row, "membrane_bits": 0}, rate)

    def fold(self, name: str, biases: int, parameters: int) -> None:
        """Let a batch norm disappear into the layer before it: its affine map becomes one bias for each channel."""
        row = self.rows[self.names.index(name)]
        row["biases"] = biases
        row["parameters"] = row["parameters"] + parameters

    def workload(self, timesteps: int) -> Workload:
        """The slots as arrays.

        Raises:
            BadInputError: if there is none.
        """
        if not self.rows:
            raise BadInputError("the network has no layer that costs anything; give one with weights, neurons or pools")
        columns = {key: _stack([row[key] for row in self.rows]) for key in self.rows[0]}
        return Workload(names=tuple(self.names), timesteps=timesteps, input_rate=np.array(self.rates), **columns)


def _stack(values: list[int | Integers]) -> Integers:
    """`[L]` if no candidate differs, else `[N, L]`."""
    return np.stack(np.broadcast_arrays(*[np.asarray(value, np.int64) for value in values]), axis=-1)
