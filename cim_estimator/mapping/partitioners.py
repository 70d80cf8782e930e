"""Partitioners: a graph and the limits of a crossbar -> clusters that fit.

sequential   the order in which neurons are numbered, one crossbar after another
random       the same in a random order
greedy       crossbars grown around what their neurons share
metis        METIS on the edges, weighted by spikes; parts that are too large are packed anew
kl           greedy, then Kernighan-Lin on spikes between every two clusters that share an axon
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from hasnas.errors import BadInputError
from hasnas.registry import Registry

from .cluster_state import Net, State, external_spikes, net_of, state_of
from .clusters import CrossbarLimits, axon_clusters, hand_in, renumber
from .exchanging import exchange
from .packing import grow, next_fit
from .refining import sweep
from .spike_graph import Ids, SpikeGraph

Partitioner = Callable[[SpikeGraph, CrossbarLimits, np.random.Generator], Ids]

PARTITIONERS: Registry[Partitioner] = Registry(
    "partitioner",
    {name: f"{__name__}:{name}" for name in ("sequential", "random", "greedy", "metis", "kl")},
    "hasnas.partitioners",
)
ROUNDS = 8  # at most; each saves less than the one before
PATIENCE = 16  # moves without gain after which an exchange between two clusters stops
PARTNERS = 8  # clusters with which each is tried, the strongest first


def partition(
    graph: SpikeGraph, limits: CrossbarLimits, name: str, rng: np.random.Generator, refined: bool = False
) -> Ids:
    """Divide the neurons among crossbars.

    Args:
        graph: no neuron may have more inputs than a crossbar has rows; see `split_wide`.
        limits: of a crossbar.
        name: of a partitioner.
        rng: for orders and ties.
        refined: whether moves to other clusters follow, as long as they save global spikes.

    Returns:
        Cluster of each neuron, numbered from 0 without gaps, shape `[neurons]`.

    Raises:
        BadInputError: for an unknown partitioner, or a neuron that fits no crossbar.
    """
    widest = int(graph.fan_in.argmax())
    if graph.fan_in[widest] > limits.rows:
        raise BadInputError(
            f"neuron {widest} has {graph.fan_in[widest]} inputs and a crossbar {limits.rows} rows; split it first"
        )
    clusters = PARTITIONERS.get(name)(graph, limits, rng)
    if refined:
        clusters = refine(graph, clusters, limits, rng)
    return renumber(hand_in(graph, clusters))


def sequential(graph: SpikeGraph, limits: CrossbarLimits, rng: np.random.Generator) -> Ids:
    """Neurons in the order of their numbers."""
    return next_fit(net_of(graph), np.flatnonzero(graph.fan_in), limits.rows, limits.columns)


def random(graph: SpikeGraph, limits: CrossbarLimits, rng: np.random.Generator) -> Ids:
    """Neurons in a random order."""
    return next_fit(net_of(graph), _shuffled(graph, rng), limits.rows, limits.columns)


def greedy(graph: SpikeGraph, limits: CrossbarLimits, rng: np.random.Generator) -> Ids:
    """Crossbars grown from random neurons."""
    part = np.zeros(graph.neurons, np.int32)
    return grow(net_of(graph), _shuffled(graph, rng), part, limits.rows, limits.columns)


def metis(graph: SpikeGraph, limits: CrossbarLimits, rng: np.random.Generator) -> Ids:
    """METIS balances parts and knows no rows: parts that do not fit are packed into several crossbars."""
    owners = np.flatnonzero(graph.fan_in)
    if len(owners) <= limits.columns:  # METIS refuses to make one part
        return greedy(graph, limits, rng)
    found = metis_parts(graph, limits.columns, rng)
    order = owners[np.argsort(found[owners], kind="stable")]
    return grow(net_of(graph), order, found, limits.rows, limits.columns)


def metis_parts(graph: SpikeGraph, columns: int, rng: np.random.Generator) -> Ids:
    """The parts that METIS makes, about `columns` neurons with fan-in each, at least two; shape `[neurons]`.

    Edges weigh as their spikes; two neurons that hear each other share one edge.
    """
    import pymetis

    away = graph.sources != graph.destinations
    ends = graph.sources[away], graph.destinations[away]
    edges = csr_matrix((graph.spikes[ends[0]] + 1e-3, ends), (graph.neurons,) * 2)
    both = (edges + edges.T).tocsr()
    scale = max(1.0, both.data.max(initial=1.0) / 1e6)
    weights = np.maximum(both.data / scale, 1).astype(np.int64)
    adjacency = pymetis.CSRAdjacency(both.indptr.astype(np.int64), both.indices.astype(np.int64))
    options = pymetis.Options(seed=int(rng.integers(2**31)))
    takes = (graph.fan_in > 0).astype(np.int64)
    parts = max(2, -(-int(takes.sum()) // columns))
    _, part = pymetis.part_graph(parts, adjacency, vweights=takes, eweights=weights, options=options)
    return np.asarray(part, np.int32)


def kl(graph: SpikeGraph, limits: CrossbarLimits, rng: np.random.Generator) -> Ids:
    """Kernighan-Lin between pairs of clusters, in rounds, until nothing is saved.

    It starts from grown clusters, or from neurons in the order of their numbers where that is the better start.
    """
    starts = greedy(graph, limits, rng), sequential(graph, limits, rng)
    best = min(starts, key=lambda clusters: external_spikes(*_state(graph, clusters)))
    return _kernighan_lin(graph, best, limits, rng)


def _kernighan_lin(graph: SpikeGraph, start: Ids, limits: CrossbarLimits, rng: np.random.Generator) -> Ids:
    net, state = _state(graph, start)
    order, number = _shuffled(graph, rng), np.full(graph.neurons, -1, np.int32)
    changes = np.zeros(len(state.rows), np.int64)  # how often each cluster has changed
    tried: dict[tuple[int, int], tuple[int, int]] = {}  # pair -> changes of both when an exchange last failed
    for _ in range(ROUNDS):
        before, changes_before = state.cluster.copy(), changes.sum()
        sweep(net, state, order, limits.rows, limits.columns)
        moved = before != state.cluster
        changes[np.union1d(before[moved], state.cluster[moved])] += 1
        members = _members(order, state.cluster, len(state.rows))
        for one, other in _pairs(graph, state.cluster):
            if tried.get((one, other)) == (changes[one], changes[other]):
                continue
            pair, both = np.array([one, other], np.int32), np.concatenate([members[one], members[other]])
            if exchange(net, state, pair, both, limits.rows, limits.columns, PATIENCE, number):
                members[one], members[other] = (both[state.cluster[both] == cluster] for cluster in pair)
                changes[pair] += 1
            else:
                tried[one, other] = int(changes[one]), int(changes[other])
        if changes.sum() == changes_before:
            break
    return state.cluster


def _members(order: NDArray[np.int64], cluster: Ids, count: int) -> list[Ids]:
    ranked = order[np.argsort(cluster[order], kind="stable")].astype(np.int32)
    return np.split(ranked, np.searchsorted(cluster[ranked], np.arange(1, count)))


def refine(graph: SpikeGraph, clusters: Ids, limits: CrossbarLimits, rng: np.random.Generator) -> Ids:
    """Move single neurons between clusters until that saves no more global spikes; never worse, always within limits.

    Args:
        graph: the graph.
        clusters: of each neuron, shape `[neurons]`; they fit.
        limits: of a crossbar.
        rng: for the order.
    """
    net, state = _state(graph, clusters)
    for _ in range(ROUNDS):
        if sweep(net, state, _shuffled(graph, rng), limits.rows, limits.columns) == 0:
            break
    return state.cluster


def _state(graph: SpikeGraph, clusters: Ids) -> tuple[Net, State]:
    net = net_of(graph)
    return net, state_of(net, clusters, max(int(clusters.max()), 0) + 1)


def _shuffled(graph: SpikeGraph, rng: np.random.Generator) -> NDArray[np.int64]:
    return rng.permutation(np.flatnonzero(graph.fan_in))


def _pairs(graph: SpikeGraph, cluster: Ids) -> list[tuple[int, int]]:
    """Pairs of clusters that share axons, each with its strongest partners, the strongest first."""
    safe = np.maximum(cluster, 0)
    reached = axon_clusters(graph, safe)
    reached.data[:] = 1
    owners = np.flatnonzero(cluster >= 0)
    home = csr_matrix((np.ones(len(owners), np.int64), (owners, cluster[owners])), reached.shape)
    touched = (reached + home).tocsr()
    touched.data[:] = 1
    shared = (touched.T @ touched.multiply(graph.spikes[:, None] + 1).tocsr()).tocsr()
    strength: dict[tuple[int, int], int] = {}
    for one in range(shared.shape[0]):
        row = slice(shared.indptr[one], shared.indptr[one + 1])
        others, weights = shared.indices[row], shared.data[row]
        away = others != one
        others, weights = others[away], weights[away]
        for at in np.argsort(-weights, kind="stable")[:PARTNERS]:
            strength[min(one, int(others[at])), max(one, int(others[at]))] = int(weights[at])
    return sorted(strength, key=lambda pair: (-strength[pair], pair))
