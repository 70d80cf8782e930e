"""The cycle that a graph's throughput is bound by: the largest ratio of time to delay, by Howard's policy iteration.

Source: Cochet-Terrasson, Cohen, Gaubert, McGettrick, Quadrat, "Numerical computation of spectral elements in max-plus
algebra", IFAC SSC 1998; compared with others in Dasdan, "Experimental analysis of the fastest optimum cycle ratio and
mean algorithms", ACM TODAES 9(4), 2004.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
MOST_ROUNDS = 10_000
TOLERANCE = 1e-12


@dataclass(frozen=True, eq=False)
class CriticalCycle:
    """A cycle of largest ratio.

    Args:
        ratio: time over delay; infinite where the delay is 0, 0 for a graph without cycle.
        edges: edges of the cycle in order, empty without a cycle.
    """

    ratio: float
    edges: Integers


def max_cycle_ratio(nodes: int, source: Integers, target: Integers, time: Floats, delay: Integers) -> CriticalCycle:
    """The cycle with the largest sum of times over sum of delays.

    Args:
        nodes: number of nodes.
        source: node that each edge leaves, `[E]`.
        target: node that each edge enters, `[E]`.
        time: of each edge, at least 0, `[E]`.
        delay: of each edge, whole and at least 0, `[E]`.

    Returns:
        Its ratio is infinite if a cycle has no delay at all: nothing on it can ever start.

    >>> edges = np.array([0, 1, 1]), np.array([1, 0, 1])
    >>> max_cycle_ratio(2, *edges, np.array([3.0, 4.0, 5.0]), np.array([0, 2, 1])).ratio
    5.0
    """
    frozen = cycle_without_delay(nodes, source, target, delay)
    if len(frozen):
        return CriticalCycle(np.inf, frozen)
    alive = _edges_on_cycles(nodes, source, target)
    if not len(alive):
        return CriticalCycle(0.0, np.empty(0, np.int64))
    leaving = np.bincount(source[alive], minlength=nodes)  # on cycles, what is entered is left, too
    number = np.cumsum(leaving > 0) - 1
    order, end = np.argsort(source[alive], kind="stable"), number[target[alive]]
    first = np.concatenate([[0], np.cumsum(leaving[leaving > 0])])
    weight, steps = time[alive][order].astype(float), delay[alive][order].astype(np.int64)
    cycle = alive[order[_howard(first, end[order].astype(np.int64), weight, steps)]]
    return CriticalCycle(float(time[cycle].sum() / delay[cycle].sum()), cycle)


def cycle_without_delay(nodes: int, source: Integers, target: Integers, delay: Integers) -> Integers:
    """Edges of a cycle on which nothing is delayed, in order; empty if there is none."""
    still = np.flatnonzero(delay == 0)
    if not len(still):
        return still
    inside = still[_edges_on_cycles(nodes, source[still], target[still])]
    if not len(inside):
        return inside
    leaving = dict(zip(source[inside].tolist(), inside.tolist(), strict=True))
    seen: dict[int, int] = {}
    path: list[int] = []
    node = int(source[inside[0]])
    while node not in seen:
        seen[node] = len(path)
        path.append(leaving[node])
        node = int(target[path[-1]])
    return np.array(path[seen[node] :], np.int64)


def _edges_on_cycles(nodes: int, source: Integers, target: Integers) -> Integers:
    """Edges inside a strongly connected component; each lies on a cycle."""
    matrix = coo_array((np.ones(len(source), np.int8), (source, target)), shape=(nodes, nodes))
    _, component = connected_components(matrix, directed=True, connection="strong")
    return np.flatnonzero(component[source] == component[target])


@numba.njit(cache=True)
def _howard(first: Integers, end: Integers, weight: Floats, delay: Integers) -> Integers:
    """Places of the edges of a critical cycle.

    Every node has an edge inside its component; edges are sorted by the node they leave, node u has those from
    `first[u]` to `first[u + 1]`. A policy is one edge for each node. It leads every node to one cycle, whose ratio is
    the node's rate; values solve value[u] = weight - rate * delay + value[next].
    """
    nodes = len(first) - 1
    policy = first[:-1].copy()
    for node in range(nodes):
        for edge in range(first[node], first[node + 1]):
            if weight[edge] > weight[policy[node]]:
                policy[node] = edge
    rate, value = np.zeros(nodes), np.zeros(nodes)
    for _ in range(MOST_ROUNDS):
        best = _evaluate(policy, end, weight, delay, rate, value)
        if not _improve(first, end, weight, delay, rate, value, policy):
            break
    length, node = 1, end[policy[best]]
    while node != best:
        length, node = length + 1, end[policy[node]]
    cycle = np.empty(length, np.int64)
    for place in range(length):
        cycle[place] = policy[node]
        node = end[policy[node]]
    return cycle


@numba.njit(cache=True)
def _evaluate(policy: Integers, end: Integers, weight: Floats, delay: Integers, rate: Floats, value: Floats) -> int:
    """Fill rates and values of a policy; returns a node on its cycle of largest ratio."""
    nodes = len(policy)
    visited = np.full(nodes, -1, np.int64)
    done = np.zeros(nodes, np.bool_)
    path = np.empty(nodes, np.int64)
    best, highest = 0, -np.inf
    for start in range(nodes):
        length, node = 0, start
        while visited[node] < 0 and not done[node]:
            visited[node] = start
            path[length] = node
            length += 1
            node = end[policy[node]]
        if not done[node]:  # a new cycle closes at `node`
            time, delays, other = 0.0, 0, node
            while True:
                time += weight[policy[other]]
                delays += delay[policy[other]]
                other = end[policy[other]]
                if other == node:
                    break
            # The old value of one node is kept, so that values change no more than they must (and rounds end).
            rate[node], done[node] = time / delays, True
            if rate[node] > highest:
                best, highest = node, rate[node]
        for place in range(length - 1, -1, -1):
            other = path[place]
            if not done[other]:
                after = end[policy[other]]
                rate[other] = rate[after]
                value[other] = weight[policy[other]] - rate[after] * delay[policy[other]] + value[after]
                done[other] = True
    return best


@numba.njit(cache=True)
def _improve(
    first: Integers, end: Integers, weight: Floats, delay: Integers, rate: Floats, value: Floats, policy: Integers
) -> bool:
    """Lead nodes to cycles of larger ratio; where no rate can rise, along edges of larger value."""
    changed = False
    for node in range(len(policy)):
        best = rate[node] + TOLERANCE * max(1.0, abs(rate[node]))
        for edge in range(first[node], first[node + 1]):
            if rate[end[edge]] > best:
                best, policy[node], changed = rate[end[edge]], edge, True
    if changed:
        return True
    for node in range(len(policy)):
        scale = 1.0 + abs(value[node]) + abs(rate[node])
        best = value[node] + 1e3 * TOLERANCE * scale
        for edge in range(first[node], first[node + 1]):
            after = end[edge]
            if abs(rate[after] - rate[node]) <= TOLERANCE * max(1.0, abs(rate[node])):
                candidate = weight[edge] - rate[node] * delay[edge] + value[after]
                if candidate > best:
                    best, policy[node], changed = candidate, edge, True
    return changed
