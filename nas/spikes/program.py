"""A deployed network as a program for the simulator: what each unit of a mapped chip computes, in double precision.

Units are numbered as in the network's spike graph, so that a mapping of that graph says where they are. Partial sums of
wide neurons are units of their own. A maximum pool becomes units beside those that read it, once in every cluster that
does: its windows arrive there by the packets that the mapping counts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, eye

from hasnas.cim_estimator.mapping import Mapped
from hasnas.cim_estimator.simulator import Emissions, Kind, NeuronArrays, Placement, Program, Synapses
from hasnas.errors import BadInputError
from hasnas.nas.export.deploy import Deployed
from hasnas.search_spaces.graph import LayerGraph, Node
from hasnas.search_spaces.layers import (
    ALIF,
    IF,
    LIF,
    Add,
    Conv2d,
    Dropout,
    Flatten,
    Input,
    Linear,
    MaxPool2d,
    Neuron,
    Output,
)
from hasnas.search_spaces.membranes import held, step_of
from hasnas.search_spaces.neurons.soft_reset import SoftResetLIF
from hasnas.search_spaces.neurons.synaptic import SynapticLIF

from .synapses import layer_matrix, sending_layers

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Built:
    """A network on a chip.

    Args:
        program: what units compute.
        placement: where they are.
        first: layer -> its first unit; units of a layer follow one another.
        static: whether a sample is one image, shown at every timestep.
    """

    program: Program
    placement: Placement
    first: dict[str, int]
    static: bool

    def emissions(self, sample: Floats) -> Emissions:
        """What the inputs send for a sample: every value that is not zero, `[C, H, W]` or `[T, C, H, W]`."""
        values = sample.reshape(1 if self.static else self.program.steps, -1)
        moments, units = np.nonzero(values)
        return Emissions.of(moments, units, values[moments, units])


def program_of(deployed: Deployed, mapped: Mapped) -> Built:
    """The program of a network whose spike graph was mapped.

    Args:
        deployed: the network, see `hasnas.nas.export.deploy`.
        mapped: a mapping of its spike graph, see `trace`; not by channel.

    Raises:
        BadInputError: if the mapping is of another network, or the simulator has no word for a layer.
    """
    layers = _Layers(deployed)
    table = layers.table()
    neurons, pieces = layers.size, mapped.graph.neurons - layers.size
    if pieces < 0:
        raise BadInputError(
            f"the mapping is of a graph of {mapped.graph.neurons} neurons, the network has {layers.size}; map it anew"
        )
    _shift_helpers(table, layers, pieces)
    clusters = np.concatenate([mapped.clusters, np.full(layers.helpers, -1)]).astype(np.int64)
    kinds = np.concatenate([layers.kinds[:neurons], np.full(pieces, Kind.SUM), layers.kinds[neurons:]])
    through_pieces(table, mapped, neurons)
    origin = _replicate(table, clusters)
    number = np.concatenate([np.arange(neurons), np.full(pieces, -1), np.arange(neurons, len(layers.kinds))])[origin]
    kinds, real = kinds[origin], number >= 0
    static = _static(table, kinds, layers.static_units, number)
    program = Program(
        kinds=kinds.astype(np.int64),
        phases=_phases(table, kinds, np.where(real, layers.layer_of[number], -1)),
        bias=np.where(real, layers.bias[number], 0.0),
        late_bias=np.where(real, layers.late_bias[number], 0.0),
        neurons=NeuronArrays(*(np.where(real, row[number], default) for row, default in layers.parameters())),
        static=static,
        synapses=Synapses(table.sources, table.targets, table.weights, table.delays),
        steps=deployed.graph.timesteps,
        outputs=np.flatnonzero(kinds == Kind.OUTPUT),
    )
    placed = Placement(table.clusters, np.asarray(mapped.tiles, np.int64), mapped.topology)
    first = {name: at for name, at in layers.first.items() if at < neurons}
    return Built(program, placed, first, deployed.graph.takes_static)


@dataclass
class _Table:
    """Synapses while the program is built; `clusters` once they are known."""

    sources: Ints
    targets: Ints
    weights: Floats
    delays: Ints
    clusters: Ints

    def choose(self, rows: NDArray[np.integer] | NDArray[np.bool_]) -> None:
        self.sources, self.targets = self.sources[rows], self.targets[rows]
        self.weights, self.delays = self.weights[rows], self.delays[rows]


Terms = dict[tuple[str, int], csr_matrix]


class _Layers:
    """Layers that send, the output, then helpers for maxima: their units and what arrives at each."""

    def __init__(self, deployed: Deployed) -> None:
        self.graph: LayerGraph = deployed.graph
        self.tensors: Mapping[str, Floats] = {
            name: tensor.detach().double().numpy() for name, tensor in deployed.tensors.items()
        }
        senders = frozenset(sending_layers(self.graph))
        named = [node for node in self.graph.nodes if node.name in senders or isinstance(node.operation, Output)]
        self.own = {node.name: node for node in named}
        self.known: dict[str, tuple[Terms, dict[int, Floats]]] = {}
        self.first: dict[str, int] = {}
        self.size, self.layer_kinds, sizes = 0, list[Kind](), list[int]()
        for node in named:
            self.first[node.name] = self.size
            self.size += node.size
            sizes.append(node.size)
            self.layer_kinds.append(_kind_of(node))
        self.sizes, self.helpers = sizes, 0

    def table(self) -> _Table:
        """All synapses, and by unit kinds, biases and parameters."""
        parts: list[tuple[Ints, Ints, Floats, Ints]] = []
        biases: dict[str, dict[int, Floats]] = {}
        waiting = [node.name for node in self.own.values() if not isinstance(node.operation, Input)]
        for name in waiting:  # grows when a maximum pool is met
            terms, biases[name] = self._into(name, waiting)
            for (source, delay), matrix in terms.items():
                found = matrix.tocoo()
                rows = found.row.astype(np.int64) + self.first[name]
                delays = np.full(len(rows), delay, np.int64)
                parts.append((found.col.astype(np.int64) + self.first[source], rows, found.data, delays))
        self.kinds = np.repeat(np.array(self.layer_kinds, np.int64), self.sizes)
        self.layer_of = np.repeat(np.arange(len(self.sizes)), self.sizes)
        self.bias, self.late_bias = np.zeros(len(self.kinds)), np.zeros(len(self.kinds))
        for name, by_delay in biases.items():
            for delay, values in by_delay.items():
                rows = slice(self.first[name], self.first[name] + len(values))
                (self.late_bias if delay else self.bias)[rows] += values
        sources, targets, weights, delays = (np.concatenate(column) for column in zip(*parts, strict=True))
        return _Table(sources, targets, weights, delays, np.empty(0, np.int64))

    @property
    def static_units(self) -> NDArray[np.bool_]:
        """Whether each unit is of a layer that depends on a static input alone."""
        static = [name.split("/")[0] in self.graph.static_nodes for name in self.first]
        return np.repeat(np.array(static), self.sizes)

    def parameters(self) -> list[tuple[Floats, float]]:
        """Rows of `NeuronArrays` by unit, each with the value of a unit that is no neuron."""
        rows = np.tile(np.array([[0.0], [1.0], *[[0.0]] * 7]), len(self.kinds))
        for name, node in self.own.items():
            if isinstance(node.operation, Neuron):
                rows[:, self.first[name] : self.first[name] + node.size] = np.array(_parameters(node))[:, None]
        return list(zip(rows, (0.0, 1.0, *[0.0] * 7), strict=True))

    def _into(self, name: str, waiting: list[str]) -> tuple[Terms, dict[int, Floats]]:
        layer, _, helper = name.partition("/")
        node = self.graph.node(layer)
        arriving, bias = self._arriving(node, waiting)
        if helper == "sums" or isinstance(node.operation, Neuron | Output | Input):
            return arriving, bias
        if helper == "maxima" or isinstance(node.operation, MaxPool2d):
            source = self._window_source(node, waiting)
            return {(source, 0): _ones(layer_matrix(node, self._shape(node), None, dtype=np.float64))}, {}
        return self._through(node, arriving, bias)

    def _window_source(self, node: Node, waiting: list[str]) -> str:
        """The layer of units whose values a maximum pool compares; sums of their own where none has these values."""
        arriving, bias = self._arriving(node, waiting)
        if not bias and len(arriving) == 1:
            ((source, delay), matrix) = next(iter(arriving.items()))
            plain = eye(matrix.shape[0], format="csr")
            if not delay and matrix.shape == plain.shape and (matrix != plain).nnz == 0:
                return source
        shape = self._shape(node)
        return self._help(f"{node.name}/sums", Kind.SUM, int(np.prod(shape)), waiting)

    def _help(self, name: str, kind: Kind, size: int, waiting: list[str]) -> str:
        if name not in self.first:
            self.first[name] = self.size + self.helpers
            self.helpers += size
            self.sizes.append(size)
            self.layer_kinds.append(kind)
            waiting.append(name)
        return name

    def _arriving(self, node: Node, waiting: list[str]) -> tuple[Terms, dict[int, Floats]]:
        terms: Terms = {}
        bias: dict[int, Floats] = {}
        for link in self.graph.inputs(node.name):
            found, found_bias = self._result(link.source, waiting)
            for (source, delay), matrix in found.items():
                key = source, self._delayed(node, source, delay, link.delay)
                terms[key] = terms[key] + matrix if key in terms else matrix
            for delay, values in found_bias.items():
                late = self._delayed(node, "", delay, link.delay)
                bias[late] = bias.get(late, 0.0) + values
        return terms, bias

    def _delayed(self, node: Node, source: str, delay: int, more: int) -> int:
        static = source.split("/")[0] in self.graph.static_nodes
        if delay + more > 1 or (static and more):
            raise BadInputError(f"layer '{node.name}' hears what is more than one timestep old; this is not simulated")
        return delay + more

    def _result(self, name: str, waiting: list[str]) -> tuple[Terms, dict[int, Floats]]:
        node = self.graph.node(name)
        if name in self.own:
            return {(name, 0): eye(node.size, format="csr")}, {}
        if name not in self.known:
            if isinstance(node.operation, MaxPool2d):
                helper = self._help(f"{name}/maxima", Kind.MAXIMUM, node.size, waiting)
                self.known[name] = {(helper, 0): eye(node.size, format="csr")}, {}
            else:
                self.known[name] = self._through(node, *self._arriving(node, waiting))
        return self.known[name]

    def _through(self, node: Node, terms: Terms, bias: dict[int, Floats]) -> tuple[Terms, dict[int, Floats]]:
        if isinstance(node.operation, Add | Dropout | Flatten):
            return terms, bias
        weight = self.tensors.get(f"{node.name}.weight")
        matrix = layer_matrix(node, self._shape(node), weight, dtype=np.float64)
        after = {delay: matrix @ values for delay, values in bias.items()}
        if isinstance(node.operation, Conv2d | Linear) and node.operation.bias:
            own = self.tensors[f"{node.name}.bias"]
            after[0] = after.get(0, 0.0) + np.repeat(own, node.size // len(own))
        return {key: (matrix @ found).tocsr() for key, found in terms.items()}, after

    def _shape(self, node: Node) -> tuple[int, ...]:
        return self.graph.node(self.graph.inputs(node.name)[0].source).shape


def _ones(matrix: csr_matrix) -> csr_matrix:
    return csr_matrix((np.ones_like(matrix.data), matrix.indices, matrix.indptr), matrix.shape)


def _kind_of(node: Node) -> Kind:
    match node.operation:
        case Input():
            return Kind.SOURCE
        case Neuron():
            return Kind.NEURON
        case Output():
            return Kind.OUTPUT
        case MaxPool2d():
            return Kind.MAXIMUM
    return Kind.SUM


def _parameters(node: Node) -> tuple[float, ...]:
    """Fields of `NeuronArrays` for a layer of neurons."""
    operation = node.operation
    if type(operation) not in (LIF, IF, ALIF, SoftResetLIF, SynapticLIF):
        raise BadInputError(f"layer '{node.name}': {type(operation).__name__} neurons are not simulated")
    assert isinstance(operation, Neuron)  # for the type checker
    threshold, bits = operation.threshold, operation.membrane_bits
    tau = operation.tau if operation.leaks else 0.0
    beta, fade, synapse = 0.0, 0.0, 0.0
    if isinstance(operation, ALIF):
        beta, fade = operation.beta, math.exp(-1 / operation.tau_adaptation)
    if isinstance(operation, SynapticLIF):
        synapse = operation.tau_synapse
    step, levels = (step_of(threshold, bits), 2.0 ** (bits - 1)) if bits else (0.0, 0.0)
    rest = held(operation.reset, threshold, bits)
    return tau, threshold, rest, float(not operation.resets_fully), beta, fade, step, levels, synapse


def _shift_helpers(table: _Table, layers: _Layers, pieces: int) -> None:
    """Make room for the partial sums between the network's units and the helpers."""
    for ends in (table.sources, table.targets):
        ends[ends >= layers.size] += pieces


def through_pieces(table: _Table, mapped: Mapped, neurons: int) -> None:
    """Lead synapses onto wide neurons through the partial sums that the mapping made for them.

    Raises:
        BadInputError: if the mapping is of another network.
    """
    graph = mapped.graph
    owner = np.arange(graph.neurons)
    for piece in range(graph.neurons - 1, neurons - 1, -1):
        following = graph.destinations[graph.offsets[piece] : graph.offsets[piece + 1]]
        if len(following) != 1:  # partial sums go on to one neuron
            raise BadInputError("the mapping is of another network: its neurons are others; map this one anew")
        owner[piece] = following[0]
    while np.any(owner >= neurons):
        owner = np.where(owner >= neurons, owner[np.minimum(owner, graph.neurons - 1)], owner)
    sources, targets = np.asarray(graph.sources, np.int64), np.asarray(graph.destinations, np.int64)
    entering = sources < neurons
    keys = sources[entering] * neurons + owner[targets[entering]]
    order = np.argsort(keys)
    own = (table.sources < neurons) & (table.targets < neurons)
    wanted = table.sources[own] * neurons + table.targets[own]
    place = np.minimum(np.searchsorted(keys[order], wanted), len(keys) - 1)
    if not len(keys) or np.any(keys[order][place] != wanted):
        raise BadInputError("the mapping is of another network: it lacks a synapse; map this one anew")
    table.targets[own] = targets[entering][order][place]
    if np.any(np.isin(owner[neurons:], table.targets[~own])):
        raise BadInputError(
            "a neuron behind a maximum pool is wider than a crossbar; such networks are simulated on larger crossbars"
        )
    onward = ~entering
    count = int(onward.sum())
    table.sources = np.concatenate([table.sources, sources[onward]])
    table.targets = np.concatenate([table.targets, targets[onward]])
    table.weights = np.concatenate([table.weights, np.ones(count)])
    table.delays = np.concatenate([table.delays, np.zeros(count, np.int64)])


def _replicate(table: _Table, clusters: Ints) -> Ints:
    """Put a copy of each helper into every cluster that reads it; which unit each unit of the program stands for."""
    origin = np.arange(len(clusters))
    while True:  # the last helpers first: those whose readers all have clusters
        homeless = clusters[table.targets] < 0
        ready = np.flatnonzero(clusters < 0)
        ready = ready[~np.isin(ready, table.sources[homeless])]
        ready = ready[np.isin(ready, table.sources)]
        if not len(ready):
            break
        leaving = np.isin(table.sources, ready)
        pairs, which = np.unique(
            np.stack([table.sources[leaving], clusters[table.targets[leaving]]], axis=1), axis=0, return_inverse=True
        )
        first = len(clusters)
        table.sources[leaving] = first + which.ravel()
        by_helper = np.argsort(table.targets, kind="stable")
        starts = np.searchsorted(table.targets[by_helper], pairs[:, 0])
        ends = np.searchsorted(table.targets[by_helper], pairs[:, 0], "right")
        rows = np.concatenate([by_helper[start:end] for start, end in zip(starts, ends, strict=True)])
        copies = np.repeat(first + np.arange(len(pairs)), ends - starts)
        kept = ~np.isin(table.targets, ready)
        table.sources = np.concatenate([table.sources[kept], table.sources[rows]])
        table.targets = np.concatenate([table.targets[kept], copies])
        table.weights = np.concatenate([table.weights[kept], table.weights[rows]])
        table.delays = np.concatenate([table.delays[kept], table.delays[rows]])
        clusters = np.concatenate([clusters, pairs[:, 1]])
        origin = np.concatenate([origin, pairs[:, 0]])
    kept = clusters >= 0
    rank = np.cumsum(kept) - 1
    table.choose(kept[table.sources] & kept[table.targets])
    table.sources, table.targets = rank[table.sources], rank[table.targets]
    table.choose(np.argsort(table.sources, kind="stable"))
    table.clusters = clusters[kept]
    return origin[kept]


def _static(table: _Table, kinds: Ints, static: NDArray[np.bool_], number: Ints) -> NDArray[np.bool_]:
    """Units that send once a sample: those of static layers, and partial sums of nothing else."""
    found = np.where(number >= 0, static[number], True) & np.isin(kinds, (Kind.SOURCE, Kind.SUM, Kind.MAXIMUM))
    while True:
        heard = np.zeros(len(found), bool)
        heard[table.targets[~found[table.sources]]] = True
        still = found & ~(heard & (number < 0))
        if np.array_equal(still, found):
            return found
        found = still


def _phases(table: _Table, kinds: Ints, layer: Ints) -> Ints:
    """The longest way from a source without delay; units of a layer share theirs, so layers go one after another."""
    phases = (kinds != Kind.SOURCE).astype(np.int64)
    now = table.delays == 0
    sources, targets = table.sources[now], table.targets[now]
    for _ in range(len(kinds) + 1):
        later = phases.copy()
        np.maximum.at(later, targets, phases[sources] + 1)
        latest = np.zeros(int(layer.max()) + 2, np.int64)
        np.maximum.at(latest, layer, later)  # partial sums have layer -1: the last place, which is not read
        later = np.where(layer >= 0, latest[layer], later)
        if np.array_equal(later, phases):
            return phases
        phases = later
    raise BadInputError("units of one timestep wait for each other in a circle; this network cannot be simulated")
