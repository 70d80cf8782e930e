"""Largest cycle ratio: Howard's policy iteration against a Lawler-style search with scipy, alternating in one run.

`python experiments/benchmarks/cycle_ratio.py [--repeats 5] [--sizes 100 1000 10000]`

Lawler: bisect the ratio r; a graph whose edges weigh r delay - time has a negative cycle where r is too small, which
`scipy.sparse.csgraph.bellman_ford` from an added source finds. Both answers must agree to the bisection's tolerance.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import NegativeCycleError, bellman_ford

from hasnas.cim_estimator.schedule.cycle_ratio import Floats, Integers, max_cycle_ratio

EDGES_PER_NODE = 4
TOLERANCE = 1e-6
Graph = tuple[int, Integers, Integers, Floats, Integers]


def random_graph(nodes: int, seed: int) -> Graph:
    """A ring with random chords, no two edges alike; times up to 1, delays of 1 to 3."""
    rng = np.random.default_rng(seed)
    ring = np.arange(nodes)
    chords = rng.integers(0, nodes, (2, (EDGES_PER_NODE - 1) * nodes))
    pairs = np.unique(np.concatenate([np.stack([ring, (ring + 1) % nodes]), chords], axis=1), axis=1)
    count = pairs.shape[1]
    return nodes, pairs[0], pairs[1], rng.random(count), rng.integers(1, 4, count)


def lawler(graph: Graph) -> float:
    """The largest cycle ratio by bisection."""
    nodes, source, target, weight, delay = graph
    start = np.concatenate([source, np.full(nodes, nodes)])
    end = np.concatenate([target, np.arange(nodes)])
    low, high = 0.0, float(weight.max())
    while high - low > TOLERANCE * high:
        middle = (low + high) / 2
        # Explicit zeros are no edges for scipy, so the added source lies a little away.
        weights = np.concatenate([middle * delay - weight, np.full(nodes, 1.0)])
        matrix = csr_array((weights, (start, end)), shape=(nodes + 1, nodes + 1))
        try:
            bellman_ford(matrix, directed=True, indices=nodes)
            high = middle
        except NegativeCycleError:
            low = middle
    return high


def main() -> None:
    """Print a table: size, medians, ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 1000, 10_000])
    arguments = parser.parse_args()
    max_cycle_ratio(*random_graph(10, 0))  # compiles
    print("| nodes | Howard | Lawler, scipy | ratio (extremes) |\n|---|---|---|---|")
    for nodes in arguments.sizes:
        ours, theirs = [], []
        repeats = arguments.repeats if nodes <= 1000 else min(3, arguments.repeats)
        for seed in range(repeats):
            graph = random_graph(nodes, seed)
            begin = time.process_time()
            ratio = max_cycle_ratio(*graph).ratio
            middle = time.process_time()
            reference = lawler(graph)
            ours.append(middle - begin)
            theirs.append(time.process_time() - middle)
            if abs(ratio - reference) > 2 * TOLERANCE * ratio:
                raise SystemExit(f"seed {seed}: {ratio} and {reference} differ")
        ratios = [slow / fast for slow, fast in zip(theirs, ours, strict=True)]
        print(
            f"| {nodes:,} | {statistics.median(ours) * 1e3:.3g} ms | {statistics.median(theirs) * 1e3:.4g} ms "
            f"| {statistics.median(ratios):.0f} ({min(ratios):.0f} to {max(ratios):.0f}) |"
        )


if __name__ == "__main__":
    main()
