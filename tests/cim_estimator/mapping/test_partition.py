"""Partitioners: within limits, optimal where that can be counted out, and better than chance where it cannot."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from hasnas.cim_estimator.mapping import (
    PARTITIONERS,
    CrossbarLimits,
    SpikeGraph,
    check_clusters,
    global_spikes,
    partition,
    refine,
    traffic,
    usage,
)
from hasnas.cim_estimator.mapping.cluster_state import external_spikes, move, net_of, state_of
from hasnas.cim_estimator.mapping.exchanging import exchange
from hasnas.cim_estimator.mapping.refining import sweep, weigh_moves
from hasnas.errors import BadInputError

from .graphs import layered, planted, random_graph, slow_global_spikes, slow_usage

NAMES = ("sequential", "random", "greedy", "metis", "kl")


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("seed", range(5))
def test_costs_and_usage_are_those_of_the_definition(seed: int) -> None:
    graph = random_graph(30, 150, seed, inputs=6)
    clusters = rng(seed).integers(4, size=30).astype(np.int32)
    clusters[-1] = 3
    assert global_spikes(graph, clusters) == slow_global_spikes(graph, clusters) > 0
    rows, columns = slow_usage(graph, clusters)
    assert usage(graph, clusters).rows.tolist() == rows
    assert usage(graph, clusters).columns.tolist() == columns
    flows = traffic(graph, clusters)
    assert flows.packets.sum() == global_spikes(graph, clusters)
    assert (flows.sources != flows.destinations).all()


@pytest.mark.parametrize("seed", range(4))
def test_moves_by_difference_equal_full_evaluation(seed: int) -> None:
    graph = random_graph(40, 250, seed, inputs=8)
    assert (graph.sources == graph.destinations).any(), "loops must be among what is tested"
    clusters = rng(seed).integers(5, size=40).astype(np.int32)
    net = net_of(graph)
    state = state_of(net, clusters, 5)
    draws = rng(seed + 100)
    for _ in range(300):
        neuron, to = int(draws.integers(8, 40)), int(draws.integers(5))
        if graph.fan_in[neuron] == 0 or to == state.cluster[neuron]:
            continue
        before, rows_before = external_spikes(net, state), int(state.rows[to])
        near, has, shared = (np.empty(5, np.int64) for _ in range(3))
        count, base = weigh_moves(net, state, neuron, near, np.full(5, -1), has, shared)
        known = to in near[:count]
        gain = base + (int(has[to]) if known else 0)
        new_rows = int(graph.fan_in[neuron]) - (int(shared[to]) if known else 0)
        move(net, state, neuron, to)
        anew = state_of(net, state.cluster, 5)
        assert external_spikes(net, anew) == external_spikes(net, state) == before - gain
        np.testing.assert_array_equal(anew.rows, state.rows)
        np.testing.assert_array_equal(anew.columns, state.columns)
        assert state.rows[to] == rows_before + new_rows


@pytest.mark.parametrize("refined", [False, True])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "graph",
    [random_graph(120, 500, 3, inputs=20), layered([60, 40, 10], 1, density=0.3), planted(6, 10, 2)[0]],
    ids=["random", "layered", "planted"],
)
def test_every_partition_fits(graph: SpikeGraph, name: str, refined: bool) -> None:
    limits = CrossbarLimits(rows=32, columns=16)
    clusters = partition(graph, limits, name, rng(), refined)
    check_clusters(graph, clusters, limits)
    assert set(clusters) == set(range(clusters.max() + 1))
    np.testing.assert_array_equal(clusters, partition(graph, limits, name, rng(), refined))


@pytest.mark.parametrize("name", ["greedy", "metis", "kl"])
@pytest.mark.parametrize("seed", range(3))
def test_planted_clusters_are_found(name: str, seed: int) -> None:
    graph, group = planted(8, 16, seed)
    clusters = partition(graph, CrossbarLimits(rows=20, columns=16), name, rng(seed), refined=True)
    assert global_spikes(graph, clusters) == slow_global_spikes(graph, group) == 8 * 7
    assert len({(int(g), int(c)) for g, c in zip(group, clusters, strict=True)}) == 8


def partitions(owners: list[int], most: int) -> Iterator[list[int]]:
    """Every way to put neurons into unnamed clusters of at most so many."""

    def extend(labels: list[int]) -> Iterator[list[int]]:
        if len(labels) == len(owners):
            yield labels
            return
        for label in range(max(labels, default=-1) + 2):
            if labels.count(label) < most:
                yield from extend([*labels, label])

    return extend([])


def optimum(graph: SpikeGraph, limits: CrossbarLimits) -> int:
    """Fewest global spikes, by trying everything; inputs are handed in where it is free."""
    owners = np.flatnonzero(graph.fan_in).tolist()
    best = None
    for labels in partitions(owners, limits.columns):
        clusters = np.zeros(graph.neurons, np.int32)
        clusters[owners] = labels
        for neuron in np.flatnonzero(graph.fan_in == 0):
            reached = graph.destinations[graph.offsets[neuron] : graph.offsets[neuron + 1]]
            clusters[neuron] = clusters[reached[0]] if len(reached) else 0
        if max(slow_usage(graph, clusters)[0]) <= limits.rows:
            cost = slow_global_spikes(graph, clusters)
            best = cost if best is None else min(best, cost)
    assert best is not None
    return best


@pytest.mark.parametrize("seed", range(6))
def test_kernighan_lin_reaches_the_optimum_of_tiny_graphs(seed: int) -> None:
    graph, limits = random_graph(10, 18, seed, inputs=2), CrossbarLimits(rows=7, columns=3)
    best = optimum(graph, limits)
    found = [global_spikes(graph, partition(graph, limits, "kl", rng(start), True)) for start in range(10)]
    assert min(found) == best
    assert np.median(found) <= 1.35 * best
    by_chance = [global_spikes(graph, partition(graph, limits, "random", rng(start))) for start in range(10)]
    assert np.median(found) < np.median(by_chance)


def test_kernighan_lin_beats_metis_and_chance_in_their_own_currency() -> None:
    graph, limits = layered([64, 96, 48, 10], 5, density=0.15), CrossbarLimits(rows=48, columns=24)
    cost = {name: global_spikes(graph, partition(graph, limits, name, rng(1))) for name in NAMES}
    assert cost["kl"] <= cost["metis"]
    assert cost["kl"] <= cost["greedy"]
    assert cost["kl"] < 0.8 * cost["random"]


@pytest.mark.parametrize("name", NAMES)
def test_refinement_never_makes_it_worse(name: str) -> None:
    graph, limits = random_graph(100, 420, 9, inputs=10), CrossbarLimits(rows=40, columns=20)
    rough = partition(graph, limits, name, rng(4))
    better = refine(graph, rough, limits, rng(4))
    inputs = graph.fan_in == 0
    better[inputs] = rough[inputs]
    check_clusters(graph, better, limits)
    assert set(PARTITIONERS.names()) >= set(NAMES)
    assert global_spikes(graph, partition(graph, limits, name, rng(4), True)) <= global_spikes(graph, rough)


def test_what_cannot_be_divided_is_said() -> None:
    graph = layered([20, 3], 0)
    with pytest.raises(BadInputError, match="neuron 20 has 20 inputs and a crossbar 8 rows; split it first"):
        partition(graph, CrossbarLimits(8, 8), "kl", rng())
    with pytest.raises(BadInputError, match="unknown partitioner 'gredy'; did you mean 'greedy'"):
        partition(graph, CrossbarLimits(32, 8), "gredy", rng())
    with pytest.raises(BadInputError, match="cluster 0 cannot fit: it needs 20 rows of 8"):
        check_clusters(graph, np.zeros(23, np.int32), CrossbarLimits(8, 8))
    with pytest.raises(BadInputError, match="clusters of 5 neurons for a graph of 23"):
        check_clusters(graph, np.zeros(5, np.int32), CrossbarLimits(8, 8))
    with pytest.raises(BadInputError, match="holds nothing"):
        CrossbarLimits(0, 8)


@pytest.mark.parametrize("name", NAMES)
def test_graphs_without_synapses_are_one_cluster(name: str) -> None:
    graph = SpikeGraph.from_edges([], [], [3, 0, 1], 5)
    assert partition(graph, CrossbarLimits(4, 4), name, rng()).tolist() == [0, 0, 0]


@pytest.mark.parametrize("seed", range(8))
def test_what_a_pass_says_it_saves_is_saved(seed: int) -> None:
    graph = random_graph(40, 200 + 40 * seed, seed, inputs=8)
    draws, net = np.random.default_rng(seed), net_of(graph)
    clusters = draws.integers(0, 4, graph.neurons)
    state = state_of(net, clusters, 4)
    before = external_spikes(net, state)
    saved = sweep(net, state, draws.permutation(np.flatnonzero(graph.fan_in)), 60, 60)
    assert saved > 0
    assert before - external_spikes(net, state_of(net, state.cluster, 4)) == saved
    state = state_of(net, clusters, 4)
    members = np.flatnonzero((state.cluster == 1) | (state.cluster == 2)).astype(np.int32)
    most_rows, most_columns = int(state.rows.max()), int(state.columns.max())
    number = np.full(graph.neurons, -1, np.int32)
    pair = np.array([1, 2], np.int32)
    saved = exchange(net, state, pair, members, most_rows, most_columns, 16, number)
    assert before - external_spikes(net, state_of(net, state.cluster, 4)) == saved >= 0
    assert state.rows.max() <= most_rows
    assert state.columns.max() <= most_columns
    assert (number == -1).all()
