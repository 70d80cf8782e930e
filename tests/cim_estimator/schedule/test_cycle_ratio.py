"""Howard's algorithm against every cycle of small graphs, and against a linear program."""

from __future__ import annotations

import itertools

import networkx as nx
import numpy as np
import pytest
from scipy.optimize import linprog

from hasnas.cim_estimator.schedule.cycle_ratio import cycle_without_delay, max_cycle_ratio

Edges = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def random_edges(rng: np.random.Generator, nodes: int, count: int, least_delay: int) -> Edges:
    source, target = rng.integers(0, nodes, (2, count))
    return source, target, rng.integers(0, 20, count).astype(float), rng.integers(least_delay, 4, count)


def largest_ratio_of_all_cycles(nodes: int, edges: Edges) -> float:
    source, target, time, delay = edges
    graph = nx.DiGraph(list(zip(source.tolist(), target.tolist(), strict=True)))
    best = 0.0
    for cycle in nx.simple_cycles(graph):
        steps = zip(cycle, [*cycle[1:], cycle[0]], strict=True)
        parallel = [np.flatnonzero((source == a) & (target == b)) for a, b in steps]
        for chosen in itertools.product(*parallel):
            delays = sum(int(delay[edge]) for edge in chosen)
            best = max(best, sum(time[edge] for edge in chosen) / delays if delays else np.inf)
    return best


@pytest.mark.parametrize("least_delay", [0, 1])
def test_equals_the_best_of_all_cycles(least_delay: int) -> None:
    rng = np.random.default_rng(least_delay)
    for _ in range(100):
        nodes, count = int(rng.integers(1, 7)), int(rng.integers(1, 14))
        edges = random_edges(rng, nodes, count, least_delay)
        assert max_cycle_ratio(nodes, *edges).ratio == pytest.approx(largest_ratio_of_all_cycles(nodes, edges))


def test_equals_a_linear_program() -> None:
    """The ratio is the least r with potentials x[target] - x[source] >= time - r delay for all edges."""
    rng = np.random.default_rng(7)
    for nodes in (5, 20, 60):
        source, target, time, delay = random_edges(rng, nodes, 4 * nodes, 1)
        matrix = np.zeros((len(source), nodes + 1))
        rows = np.arange(len(source))
        np.add.at(matrix, (rows, source), 1.0)
        np.add.at(matrix, (rows, target), -1.0)
        matrix[:, -1] = -delay
        bounds = [(None, None)] * nodes + [(0, None)]
        solved = linprog(np.eye(nodes + 1)[-1], matrix, -time, bounds=bounds)
        assert solved.success
        assert max_cycle_ratio(nodes, source, target, time, delay).ratio == pytest.approx(solved.fun)


def test_the_critical_cycle_is_a_cycle_of_that_ratio() -> None:
    rng = np.random.default_rng(3)
    for _ in range(20):
        source, target, time, delay = random_edges(rng, 12, 40, 1)
        found = max_cycle_ratio(12, source, target, time, delay)
        assert source[found.edges].tolist() == np.roll(target[found.edges], 1).tolist()
        assert found.ratio == time[found.edges].sum() / delay[found.edges].sum()


def test_a_graph_without_cycle_has_no_bound() -> None:
    found = max_cycle_ratio(3, np.array([0, 1]), np.array([1, 2]), np.array([4.0, 5.0]), np.array([0, 1]))
    assert found.ratio == 0
    assert len(found.edges) == 0


def test_a_cycle_without_delay_is_found_among_others() -> None:
    source, target, delay = np.array([0, 1, 2, 3, 1]), np.array([1, 0, 3, 2, 2]), np.array([1, 0, 0, 0, 0])
    assert sorted(cycle_without_delay(4, source, target, delay).tolist()) == [2, 3]
    assert max_cycle_ratio(4, source, target, np.ones(5), delay).ratio == np.inf
