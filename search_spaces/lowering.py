"""LayerGraph -> Workload for one network; integer codes -> Workload for a population, as arrays.

The two must agree slot by slot: the graph is the oracle that the arrays are tested against.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from hasnas.cim_estimator.workload.workload import LayerKind, Workload
from hasnas.errors import BadInputError

from .cell_groups import as_cells
from .graph import Connection, LayerGraph, Node
from .layers import (
    LIF,
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
    Vote,
)
from .macro import MAX_POOL, RATE, Macro
from .neurons import NEURONS
from .operations import CellOperation
from .snasnet import CellSpace
from .space import Codes, SearchSpace

REAL_BITS = 8
SPIKE_BITS = 1
INPUTS = ".inputs"  # behind the name of neurons: the share of their inputs that are not zero; the name alone: of spikes
BITS = ("weight_bits", "membrane_bits")  # 0 where the hardware decides
Integers = NDArray[np.int64]


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
    table = _Table()
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
        case AvgPool2d(window, _, _):
            return window**2 * arriving[0]
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
        **_shape_fields((in_channels * summed, in_height, in_width), (channels, height, width), shape),
        "kind": kind,
        "biases": biases,
        "parameters": node.parameter_count,
        "weight_bits": getattr(node.operation, "weight_bits", 0),
        "membrane_bits": getattr(node.operation, "membrane_bits", 0),
        "delay": sum(link.delay for link in links),
    }


def _map(shape: tuple[int, ...]) -> tuple[int, int, int]:
    return (shape[0], shape[1], shape[2]) if len(shape) == 3 else (shape[0], 1, 1)


def _shape_fields(
    before: tuple[int, int, int], after: tuple[int, int, int], window: tuple[int, int, int] = (1, 1, 1)
) -> dict[str, int]:
    return {
        "in_channels": before[0],
        "in_height": before[1],
        "in_width": before[2],
        "out_channels": after[0],
        "out_height": after[1],
        "out_width": after[2],
        "kernel_size": window[0],
        "stride": window[1],
        "groups": window[2],
    }


@dataclass
class _Table:
    """Slots in the making: a value, or one for each candidate, for each field; `weight_bits` where rows say none."""

    weight_bits: int = 0
    names: list[str] = field(default_factory=list)
    rows: list[dict[str, int | Integers]] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)

    def add(self, name: str, row: Mapping[str, int | Integers], rate: float = math.nan) -> None:
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
        if not self.rows:
            raise BadInputError("the network has no layer that costs anything; give one with weights, neurons or pools")
        columns = {key: _stack([row[key] for row in self.rows]) for key in self.rows[0]}
        return Workload(names=tuple(self.names), timesteps=timesteps, input_rate=np.array(self.rates), **columns)


def _stack(values: list[int | Integers]) -> Integers:
    """`[L]` if no candidate differs, else `[N, L]`."""
    return np.stack(np.broadcast_arrays(*[np.asarray(value, np.int64) for value in values]), axis=-1)


def lower_codes(space: SearchSpace, codes: Codes) -> Workload:
    """The workloads of many candidates with one macro, without an object for each.

    Args:
        space: the space the codes belong to; of candidates with different macros, one group of `cell_groups` at a time.
        codes: shape `[N, genes]`; dead genes are found here and cost nothing.

    Returns:
        Arrays of shape `[N, L]`, or `[L]` where all candidates agree; slots a candidate lacks are `LayerKind.NONE`.
        The costs of candidates that are not connected mean nothing.

    Raises:
        BadInputError: if the candidates have different macros, or the space does not say how they read as cells.
    """
    space, codes = as_cells(space, codes)
    macro = space.macro
    canonical, _ = space.canonical(codes)
    table = _Table(macro.weight_bits)
    sizes, widths = macro.map_sizes(space.cells), macro.cell_channels(space.cells)
    after = macro.reductions_of(space.cells)
    stem = _shape_fields(macro.input_shape, (widths[0], *sizes[0]), (3, macro.stem_stride, 1))
    static = np.full(len(canonical), macro.static_input)
    level: Integers = np.ones(len(canonical), np.int64)
    runs = 1 if macro.static_input else macro.timesteps
    stem = {**stem, **_conv_fields(9 * macro.input_shape[0], widths[0])}
    entering = bits_of_count(macro.largest_count)
    table.add("stem.conv", {**stem, "evaluations": runs, "input_bits": entering, "level": 1})
    for index in range(space.cells):
        start = 0 if space.shared else index * len(space.pairs)
        part = canonical[:, start : start + len(space.pairs)]
        cell = _CellColumns(space, f"cell{index + 1}", (widths[index], *sizes[index]), part.astype(np.int64))
        level, static = cell.write(table, static, level)
        first = np.where(static, 1, macro.timesteps)
        if index + 1 in after:
            name = f"reduction{index + 1}"
            level = _write_reduction(table, name, macro, (widths[index], *sizes[index]), (level, first))
            static = static & (macro.reduction == MAX_POOL)
    _write_head(table, macro, (widths[-1], *sizes[-1]), (level, first))
    return table.workload(macro.timesteps)


def _conv_fields(fan_in: int, outputs: int) -> dict[str, int]:
    """A convolution without bias and the batch norm folded into it."""
    return {"kind": LayerKind.CONV, "biases": outputs, "parameters": fan_in * outputs + 2 * outputs}


def _neuron_fields(macro: Macro, shape: tuple[int, int, int]) -> dict[str, int | Integers]:
    """A layer of neurons, one for each element of a map."""
    learned = macro.parameters_per_neuron_layer
    bits = {"input_bits": REAL_BITS, "membrane_bits": macro.membrane_bits}
    return {**_shape_fields(shape, shape), "kind": LayerKind.LIF, "parameters": learned, **bits}


EDGE_FIELDS = (
    "kind in_channels in_height in_width out_channels out_height out_width kernel_size stride groups biases parameters "
    "input_bits"
).split()


@dataclass(frozen=True)
class EdgeSlots:
    """What an operation on an edge costs, read off its layers by the same rule that prices graphs.

    Args:
        rows: integer fields of each slot but `evaluations` and `level`.
        levels: of each slot, above that of the source node.
        repeats: whether each slot runs at every timestep although the source is static.
        depth: level of the result above that of the source node.
        static: whether the result is static where the source is.
    """

    rows: tuple[Mapping[str, int], ...]
    levels: tuple[int, ...]
    repeats: tuple[bool, ...]
    depth: int
    static: bool


@lru_cache(maxsize=1024)
def edge_slots(operation: CellOperation, shape: tuple[int, int, int]) -> EdgeSlots:
    """The slots of an operation on maps of a shape, without those of the neurons that it reads.

    >>> from .operations import operation_named
    >>> slots = edge_slots(operation_named("conv3x3"), (4, 8, 8))
    >>> slots.depth, slots.levels, slots.rows[0]["parameters"]
    (2, (2,), 152)
    """
    layers = operation.layers(shape[0])
    if not layers:
        return EdgeSlots((), (), (), depth=0, static=True)
    nodes = [Node("source", Input(static=True), shape)]
    if operation.spiking:
        nodes.append(Node("neurons", LIF(), shape))
    nodes += [Node(f"edge.{name}", layer, shape) for name, layer in layers]
    links = tuple(Connection(one.name, other.name) for one, other in pairwise(nodes))
    graph = LayerGraph(tuple(nodes), links, timesteps=2)  # 2, so that a layer that runs once can be told from others
    workload = lower(graph)
    own = [slot for slot, name in enumerate(workload.names) if name != "neurons"]
    rows = tuple({name: int(getattr(workload, name)[slot]) for name in EDGE_FIELDS} for slot in own)
    return EdgeSlots(
        rows=rows,
        levels=tuple(int(workload.level[slot]) for slot in own),
        repeats=tuple(bool(workload.evaluations[slot] > 1) for slot in own),
        depth=max((int(level) for level in workload.level), default=0),
        static=nodes[-1].name in graph.static_nodes,
    )


class _CellColumns:
    """The slots of one cell for all candidates: a sum, neurons for each threshold, and those of each pair's edge."""

    def __init__(self, space: CellSpace, name: str, shape: tuple[int, int, int], codes: Integers) -> None:
        self.space, self.name, self.shape, self.codes = space, name, shape, codes
        operations = [space.operation_of(choice) for choice in range(len(space.choices))]
        backward = np.arange(len(operations)) >= len(space.operations)
        self.slots = [edge_slots(operation, shape) for operation in operations]
        self.spiking = np.array([item.spiking for item in operations])[codes]
        self.depth = np.array([item.depth for item in self.slots])[codes]
        self.keeps_static = np.array([item.static for item in self.slots])[codes]
        self.live, self.backward = codes > 0, backward[codes] & (codes > 0)
        self.threshold = np.array([-1 if item.threshold is None else item.threshold for item in operations])[codes]
        self.thresholds = sorted({-1 if o.threshold is None else o.threshold for o in operations if o.spiking})

    def write(self, table: _Table, static: NDArray[np.bool_], level: Integers) -> tuple[Integers, NDArray[np.bool_]]:
        """Add the slots; returns the level of the cell's output and whether it is static."""
        nodes, zero = self.space.nodes, np.zeros(len(self.codes), np.int64)
        arrivals = [zero.copy() for _ in range(nodes)]
        delayed = [zero.copy() for _ in range(nodes)]
        value_level = [zero.copy() for _ in range(nodes)]
        value_static = [np.ones(len(self.codes), bool) for _ in range(nodes)]
        arrivals[0] += 1
        value_level[0], value_static[0] = level, static.copy()
        for pair, (low, high) in enumerate(self.space.pairs):
            arrivals[high] += self.live[:, pair] & ~self.backward[:, pair]
            delayed[low] += self.backward[:, pair]
        for node in range(nodes):
            value_static[node] &= delayed[node] == 0
            exists = (delayed[node] > 0) | (arrivals[node] > 1)
            value_level[node] = value_level[node] + exists
            self._write_sum(table, node, (exists, arrivals[node], delayed[node]), (value_level, value_static))
            self._write_neurons(table, node, value_level[node])
            self._spread(node, value_level, value_static)
        self._write_edges(table, value_level, value_static)
        return value_level[-1], value_static[-1]

    def _sides(self, pair: int, node: int) -> NDArray[np.bool_]:
        """Which candidates have a live edge of this pair that leaves `node`."""
        low, _ = self.space.pairs[pair]
        runs_backward = self.backward[:, pair]
        return self.live[:, pair] & (~runs_backward if node == low else runs_backward)

    def _write_sum(
        self,
        table: _Table,
        node: int,
        counts: tuple[NDArray[np.bool_], Integers, Integers],
        values: tuple[list[Integers], list[NDArray[np.bool_]]],
    ) -> None:
        exists, arrivals, delayed = counts
        channels, height, width = self.shape
        row = _shape_fields((0, height, width), self.shape)
        table.add(
            f"{self.name}.{node}.sum",
            {
                **row,
                "in_channels": channels * np.maximum(arrivals + delayed, 1),
                "kind": np.where(exists, LayerKind.ADD, LayerKind.NONE),
                "delay": delayed,
                "evaluations": self._evaluations(values[1][node]),
                "input_bits": REAL_BITS,
                "level": values[0][node],
            },
        )

    def _write_neurons(self, table: _Table, node: int, level: Integers) -> None:
        leaving = [
            self._sides(pair, node) & self.spiking[:, pair]
            for pair, ends in enumerate(self.space.pairs)
            if node in ends
        ]
        pairs = [pair for pair, ends in enumerate(self.space.pairs) if node in ends]
        for threshold in self.thresholds:
            present = np.any(
                [mask & (self.threshold[:, pair] == threshold) for mask, pair in zip(leaving, pairs, strict=True)],
                axis=0,
            )
            suffix = "lif" if threshold < 0 else f"lif_t{str(threshold).replace('.', '_')}"
            row = {
                **_neuron_fields(self.space.macro, self.shape),
                "kind": np.where(present, LayerKind.LIF, LayerKind.NONE),
                "evaluations": self.space.macro.timesteps,
                "level": level + 1,
            }
            table.add(f"{self.name}.{node}.{suffix}", row)
            table.add_states(f"{self.name}.{node}.{suffix}", row, NEURONS.get(self.space.macro.neuron))

    def _spread(self, node: int, level: list[Integers], static: list[NDArray[np.bool_]]) -> None:
        """Carry a node's level and staticness along its forward edges."""
        for pair, (low, high) in enumerate(self.space.pairs):
            if low != node:
                continue
            forward = self._sides(pair, node)
            arriving = level[node] + self.depth[:, pair]
            level[high] = np.where(forward, np.maximum(level[high], arriving), level[high])
            static[high] &= ~forward | (static[node] & self.keeps_static[:, pair])

    def _write_edges(self, table: _Table, level: list[Integers], static: list[NDArray[np.bool_]]) -> None:
        for pair, (low, high) in enumerate(self.space.pairs):
            source_level = np.where(self.backward[:, pair], level[high], level[low])
            source_static = np.where(self.backward[:, pair], static[high], static[low])
            for number in range(max(len(slots.rows) for slots in self.slots)):
                fields, levels, repeats = self._edge_columns(number)
                chosen = self.codes[:, pair]
                table.add(
                    f"{self.name}.{low}_{high}" + (f".{number + 1}" if number else ""),
                    {
                        **{name: values[chosen] for name, values in fields.items()},
                        "evaluations": self._evaluations(source_static & ~repeats[chosen]),
                        "level": source_level + levels[chosen],
                    },
                )

    def _edge_columns(self, number: int) -> tuple[dict[str, Integers], Integers, NDArray[np.bool_]]:
        """Fields, level and repetition of one of an edge's slots for each choice; choices without it leave it empty."""
        empty = {**_shape_fields(self.shape, self.shape), "kind": LayerKind.NONE, "biases": 0, "parameters": 0}
        empty["input_bits"] = REAL_BITS
        present = [number < len(slots.rows) for slots in self.slots]
        rows = [slots.rows[number] if here else empty for slots, here in zip(self.slots, present, strict=True)]
        levels = [slots.levels[number] if here else 1 for slots, here in zip(self.slots, present, strict=True)]
        repeats = [slots.repeats[number] if here else True for slots, here in zip(self.slots, present, strict=True)]
        fields = {name: np.array([row[name] for row in rows], np.int64) for name in EDGE_FIELDS}
        return fields, np.array(levels, np.int64), np.array(repeats)

    def _evaluations(self, static: NDArray[np.bool_]) -> Integers:
        return np.where(static, 1, self.space.macro.timesteps)


def _write_reduction(
    table: _Table, name: str, macro: Macro, shape: tuple[int, int, int], entry: tuple[Integers, Integers]
) -> Integers:
    """Add a reduction's slots.

    Args:
        entry: level of its input, and how often the layer that reads it runs.

    Returns:
        The level of its output.
    """
    level, first = entry
    channels, height, width = shape
    pool = {"kind": LayerKind.POOL, "input_bits": REAL_BITS}
    if macro.reduction == MAX_POOL:
        fields = _shape_fields(shape, (channels, height // 2, width // 2), (2, 2, 1))
        table.add(f"{name}.pool", {**fields, **pool, "evaluations": first, "level": level + 1})
        return level + 1
    wide, pooled = (2 * channels, height, width), (2 * channels, height // 2, width // 2)
    scale = {"kind": LayerKind.SCALE, "biases": channels, "parameters": 2 * channels, "input_bits": REAL_BITS}
    conv = {**_conv_fields(9 * channels, 2 * channels), "input_bits": SPIKE_BITS}
    always = {"evaluations": macro.timesteps}
    table.add(f"{name}.norm_in", {**_shape_fields(shape, shape), **scale, "evaluations": first, "level": level + 1})
    neurons = {**_neuron_fields(macro, shape), **always, "level": level + 2}
    table.add(f"{name}.lif", neurons)
    table.add_states(f"{name}.lif", neurons, NEURONS.get(macro.neuron))
    table.add(f"{name}.conv", {**_shape_fields(shape, wide, (3, 1, 1)), **conv, **always, "level": level + 3})
    table.add(f"{name}.pool", {**_shape_fields(wide, pooled, (2, 2, 1)), **pool, **always, "level": level + 4})
    return level + 4


def _write_head(table: _Table, macro: Macro, shape: tuple[int, int, int], entry: tuple[Integers, Integers]) -> None:
    level, first = entry
    channels, height, width = shape
    window = macro.final_pool
    pooled = (channels, height // window, width // window)
    features, outputs = pooled[0] * pooled[1] * pooled[2], macro.classes * macro.votes
    pooled_bits = bits_of_count(window**2)
    slots: list[tuple[str, dict[str, int | Integers]]] = [
        ("norm", {**_shape_fields(shape, shape), "kind": LayerKind.SCALE, "biases": channels,
                  "parameters": 2 * channels, "input_bits": REAL_BITS}),
        ("lif", _neuron_fields(macro, shape)),
        ("pool", {**_shape_fields(shape, pooled, (window, window, 1)), "kind": LayerKind.POOL,
                  "input_bits": SPIKE_BITS}),
    ]  # fmt: skip
    last, last_bits = features, pooled_bits
    if macro.hidden:
        hidden = (macro.hidden, 1, 1)
        slots.append(("hidden", {**_shape_fields((features, 1, 1), hidden), "kind": LayerKind.LINEAR,
                                 "parameters": features * macro.hidden, "input_bits": pooled_bits}))  # fmt: skip
        slots.append(("hidden_lif", _neuron_fields(macro, hidden)))
        last, last_bits = macro.hidden, SPIKE_BITS
    slots.append(("classifier", {**_shape_fields((last, 1, 1), (outputs, 1, 1)), "kind": LayerKind.LINEAR,
                                 "biases": outputs, "parameters": last * outputs + outputs,
                                 "input_bits": last_bits}))  # fmt: skip
    if macro.readout == RATE:
        slots.append(("readout_lif", _neuron_fields(macro, (outputs, 1, 1))))
    if macro.votes > 1:
        votes = _shape_fields((outputs, 1, 1), (macro.classes, 1, 1))
        vote_bits = SPIKE_BITS if macro.readout == RATE else REAL_BITS
        slots.append(("vote", {**votes, "kind": LayerKind.ADD, "input_bits": vote_bits}))
    for offset, (name, row) in enumerate(slots):
        runs = first if name == "norm" else macro.timesteps
        whole = {**row, "evaluations": runs, "level": level + 1 + offset}
        table.add(f"head.{name}", whole)
        if row["kind"] is LayerKind.LIF:
            table.add_states(f"head.{name}", whole, NEURONS.get(macro.neuron))
