"""Integer codes -> Workload for a population, as arrays, without an object for each candidate.

Codes and graphs must agree slot by slot: `lower` is the oracle that the arrays are tested against.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from hasnas.cim_estimator.workload.workload import LayerKind, Workload

from .cell_groups import as_cells
from .graph import Connection, LayerGraph, Node
from .layers import LIF, Input
from .lowering import REAL_BITS, SPIKE_BITS, Integers, SlotTable, bits_of_count, lower, shape_fields
from .macro import MAX_POOL, RATE, Macro
from .neurons import NEURONS
from .operations import CellOperation
from .snasnet import CellSpace
from .space import Codes, SearchSpace


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
    table = SlotTable(macro.weight_bits)
    sizes, widths = macro.map_sizes(space.cells), macro.cell_channels(space.cells)
    after = macro.reductions_of(space.cells)
    stem = shape_fields(macro.input_shape, (widths[0], *sizes[0]), (macro.along(3), macro.along(macro.stem_stride), 1))
    static = np.full(len(canonical), macro.static_input)
    level: Integers = np.ones(len(canonical), np.int64)
    runs = 1 if macro.static_input else macro.timesteps
    stem = {**stem, **_conv_fields(macro.places(3) * macro.input_shape[0], widths[0])}
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
            shape = (widths[index], *sizes[index])
            level = _write_reduction(table, name, macro, shape, widths[index + 1], (level, first))
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
    return {**shape_fields(shape, shape), "kind": LayerKind.LIF, "parameters": learned, **bits}


EDGE_FIELDS = (
    "kind in_channels in_height in_width out_channels out_height out_width kernel_size kernel_height stride groups "
    "biases parameters input_bits"
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

    def write(self, table: SlotTable, static: NDArray[np.bool_], level: Integers) -> tuple[Integers, NDArray[np.bool_]]:
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
        table: SlotTable,
        node: int,
        counts: tuple[NDArray[np.bool_], Integers, Integers],
        values: tuple[list[Integers], list[NDArray[np.bool_]]],
    ) -> None:
        exists, arrivals, delayed = counts
        channels, height, width = self.shape
        row = shape_fields((0, height, width), self.shape)
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

    def _write_neurons(self, table: SlotTable, node: int, level: Integers) -> None:
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

    def _write_edges(self, table: SlotTable, level: list[Integers], static: list[NDArray[np.bool_]]) -> None:
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
        empty = {**shape_fields(self.shape, self.shape), "kind": LayerKind.NONE, "biases": 0, "parameters": 0}
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
    table: SlotTable, name: str, macro: Macro, shape: tuple[int, int, int], wider: int, entry: tuple[Integers, Integers]
) -> Integers:
    """Add a reduction's slots.

    Args:
        shape: of the maps that it shrinks.
        wider: channels behind it.
        entry: level of its input, and how often the layer that reads it runs.

    Returns:
        The level of its output.
    """
    level, first = entry
    channels, height, width = shape
    pool = {"kind": LayerKind.POOL, "input_bits": REAL_BITS}
    if macro.reduction == MAX_POOL:
        fields = shape_fields(shape, (channels, *macro.shrunk(height, width, 2)), (macro.along(2), macro.along(2), 1))
        table.add(f"{name}.pool", {**fields, **pool, "evaluations": first, "level": level + 1})
        return level + 1
    wide, pooled = (wider, height, width), (wider, *macro.shrunk(height, width, 2))
    scale = {"kind": LayerKind.SCALE, "biases": channels, "parameters": 2 * channels, "input_bits": REAL_BITS}
    conv = {**_conv_fields(macro.places(3) * channels, wider), "input_bits": SPIKE_BITS}
    always = {"evaluations": macro.timesteps}
    table.add(f"{name}.norm_in", {**shape_fields(shape, shape), **scale, "evaluations": first, "level": level + 1})
    neurons = {**_neuron_fields(macro, shape), **always, "level": level + 2}
    table.add(f"{name}.lif", neurons)
    table.add_states(f"{name}.lif", neurons, NEURONS.get(macro.neuron))
    kernel, half = shape_fields(shape, wide, (macro.along(3), 1, 1)), (macro.along(2), macro.along(2), 1)
    table.add(f"{name}.conv", {**kernel, **conv, **always, "level": level + 3})
    table.add(f"{name}.pool", {**shape_fields(wide, pooled, half), **pool, **always, "level": level + 4})
    return level + 4


def _write_head(table: SlotTable, macro: Macro, shape: tuple[int, int, int], entry: tuple[Integers, Integers]) -> None:
    level, first = entry
    channels, height, width = shape
    window = macro.along(macro.final_pool)
    pooled = (channels, *macro.shrunk(height, width, macro.final_pool))
    features, outputs = pooled[0] * pooled[1] * pooled[2], macro.classes * macro.votes
    pooled_bits = bits_of_count(macro.places(macro.final_pool))
    slots: list[tuple[str, dict[str, int | Integers]]] = [
        ("norm", {**shape_fields(shape, shape), "kind": LayerKind.SCALE, "biases": channels,
                  "parameters": 2 * channels, "input_bits": REAL_BITS}),
        ("lif", _neuron_fields(macro, shape)),
        ("pool", {**shape_fields(shape, pooled, (window, window, 1)), "kind": LayerKind.POOL,
                  "input_bits": SPIKE_BITS}),
    ]  # fmt: skip
    last, last_bits = features, pooled_bits
    if macro.hidden:
        hidden = (macro.hidden, 1, 1)
        slots.append(("hidden", {**shape_fields((features, 1, 1), hidden), "kind": LayerKind.LINEAR,
                                 "parameters": features * macro.hidden, "input_bits": pooled_bits}))  # fmt: skip
        slots.append(("hidden_lif", _neuron_fields(macro, hidden)))
        last, last_bits = macro.hidden, SPIKE_BITS
    slots.append(("classifier", {**shape_fields((last, 1, 1), (outputs, 1, 1)), "kind": LayerKind.LINEAR,
                                 "biases": outputs, "parameters": last * outputs + outputs,
                                 "input_bits": last_bits}))  # fmt: skip
    if macro.readout == RATE:
        slots.append(("readout_lif", _neuron_fields(macro, (outputs, 1, 1))))
    if macro.votes > 1:
        votes = shape_fields((outputs, 1, 1), (macro.classes, 1, 1))
        vote_bits = SPIKE_BITS if macro.readout == RATE else REAL_BITS
        slots.append(("vote", {**votes, "kind": LayerKind.ADD, "input_bits": vote_bits}))
    for offset, (name, row) in enumerate(slots):
        runs = first if name == "norm" else macro.timesteps
        whole = {**row, "evaluations": runs, "level": level + 1 + offset}
        table.add(f"head.{name}", whole)
        if row["kind"] is LayerKind.LIF:
            table.add_states(f"head.{name}", whole, NEURONS.get(macro.neuron))
