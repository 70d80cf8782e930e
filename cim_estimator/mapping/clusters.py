"""Clusters of neurons, one a crossbar: what they take, whether they fit, and what passes between them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from hasnas.errors import BadInputError

from .cluster_state import State, external_spikes, net_of, state_of
from .spike_graph import Ids, Ints, SpikeGraph


@dataclass(frozen=True)
class CrossbarLimits:
    """What a crossbar holds.

    Args:
        rows: distinct inputs, from within the cluster or from others.
        columns: neurons that have inputs; an input from outside takes a row and no column.

    Raises:
        BadInputError: if either is below 1.
    """

    rows: int
    columns: int

    def __post_init__(self) -> None:
        if min(self.rows, self.columns) < 1:
            raise BadInputError(f"a crossbar of {self.rows} x {self.columns} holds nothing; give rows and columns")


@dataclass(frozen=True)
class Usage:
    """What each cluster takes of a crossbar; both arrays of shape `[clusters]`."""

    rows: Ints
    columns: Ints


@dataclass(frozen=True)
class Traffic:
    """Packets from cluster to cluster, ordered by source and destination, none to itself.

    Args:
        clusters: how many there are.
        sources: shape `[flows]`.
        destinations: shape `[flows]`.
        packets: spikes that take this way, each once however many neurons it reaches there, shape `[flows]`.
    """

    clusters: int
    sources: Ids
    destinations: Ids
    packets: Ints


def usage(graph: SpikeGraph, clusters: Ids) -> Usage:
    """Rows and columns that each cluster takes."""
    state = _state(graph, clusters)
    return Usage(state.rows, state.columns)


def global_spikes(graph: SpikeGraph, clusters: Ids) -> int:
    """Spikes between clusters: each counts once for every other cluster that it reaches.

    >>> graph = SpikeGraph.from_edges([0, 0, 0], [1, 2, 3], spikes=[5, 0, 0, 0], steps=10)
    >>> global_spikes(graph, np.array([0, 0, 1, 1]))
    5
    """
    return int(external_spikes(net_of(graph), _state(graph, clusters)))


def axon_clusters(graph: SpikeGraph, clusters: Ids) -> csr_matrix:
    """Synapses of each axon in each cluster, shape `[neurons, clusters]`."""
    shape = graph.neurons, int(clusters.max()) + 1
    ones = np.ones(graph.synapses, np.int64)
    found = csr_matrix((ones, (graph.sources, clusters[graph.destinations])), shape)
    found.sum_duplicates()
    return found


def traffic(graph: SpikeGraph, clusters: Ids) -> Traffic:
    """Packets between clusters."""
    reached = axon_clusters(graph, clusters).tocoo()
    home = clusters[reached.row]
    leaves = (reached.col != home) & (graph.spikes[reached.row] > 0)
    count = reached.shape[1]
    spikes = graph.spikes[reached.row[leaves]]
    flows = csr_matrix((spikes, (home[leaves], reached.col[leaves])), (count, count))
    flows.sum_duplicates()
    flows = flows.tocoo()
    return Traffic(count, flows.row.astype(np.int32), flows.col.astype(np.int32), flows.data)


def check_clusters(graph: SpikeGraph, clusters: Ids, limits: CrossbarLimits) -> None:
    """Raise unless every cluster fits a crossbar.

    Raises:
        BadInputError: for clusters of another graph, or one that needs more rows or columns than a crossbar has.
    """
    if len(clusters) != graph.neurons or clusters.min() < 0:
        raise BadInputError(f"clusters of {len(clusters)} neurons for a graph of {graph.neurons}; map this graph anew")
    used = usage(graph, clusters)
    for what, taken, most in (("rows", used.rows, limits.rows), ("columns", used.columns, limits.columns)):
        if taken.max() > most:
            cluster = int(taken.argmax())
            raise BadInputError(
                f"cluster {cluster} cannot fit: it needs {taken[cluster]} {what} of {most}; use larger crossbars"
            )


def hand_in(graph: SpikeGraph, clusters: Ids) -> Ids:
    """Put each input from outside into the cluster where it has most synapses, so that one delivery is free."""
    placed = clusters.copy()
    inputs = np.flatnonzero(graph.fan_in == 0)
    placed[inputs] = np.where(clusters[inputs] < 0, 0, clusters[inputs])
    safe = np.maximum(clusters, 0)
    reached = axon_clusters(graph, safe)[inputs].tocoo()
    order = np.lexsort((reached.col, -reached.data, reached.row))
    rows, first = np.unique(reached.row[order], return_index=True)
    placed[inputs[rows]] = reached.col[order][first]
    return placed


def renumber(clusters: NDArray[np.integer]) -> Ids:
    """The same clusters without gaps, numbered in the order in which neurons meet them."""
    _, first, inverse = np.unique(clusters, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int32)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[inverse]


def _state(graph: SpikeGraph, clusters: Ids) -> State:
    """The state with inputs where `clusters` has them."""
    net = net_of(graph)
    state = state_of(net, clusters, int(clusters.max()) + 1)
    return state._replace(cluster=np.asarray(clusters, np.int32))
