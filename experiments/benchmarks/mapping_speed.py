"""Placement moves a processor second: by difference (compiled) against full evaluation in numpy, by turns.

    python -m hasnas.experiments.benchmarks.mapping_speed [--rounds 9]

Both sides try the same kind of move, two tiles that change places, and cost it in energy (packets times hops): a whole
hill climbing by difference, as recipes run it, and the first thousand moves of one that evaluates in full.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np
from numpy.typing import NDArray

from hasnas.cim_estimator.mapping import Traffic, mesh, placement_figures
from hasnas.cim_estimator.mapping.placement_moves import climb
from hasnas.cim_estimator.mapping.placement_state import FIGURES, flows_of, places_of
from hasnas.cim_estimator.mapping.placers import MOST_MOVES

Tiles = NDArray[np.int32]
SIZES = ((8, 8), (16, 8), (16, 20), (32, 20))  # side of the mesh, flows that leave each cluster
NUMPY_MOVES = 1_000


def random_traffic(clusters: int, degree: int, seed: int) -> Traffic:
    """Flows from every cluster to `degree` others."""
    rng = np.random.default_rng(seed)
    destinations = [np.sort(rng.choice(clusters - 1, degree, replace=False)) for _ in range(clusters)]
    ends = np.concatenate([found + (found >= cluster) for cluster, found in enumerate(destinations)])
    sources = np.repeat(np.arange(clusters, dtype=np.int32), degree)
    return Traffic(clusters, sources, ends.astype(np.int32), rng.integers(1, 1000, len(ends)))


def full_evaluation(traffic: Traffic, tiles: Tiles, side: int) -> int:
    """Packets times hops of a whole placement, in numpy."""
    rows, columns = np.divmod(tiles, side)
    across = np.abs(columns[traffic.sources] - columns[traffic.destinations])
    along = np.abs(rows[traffic.sources] - rows[traffic.destinations])
    return int(np.dot(traffic.packets, across + along))


def numpy_rate(traffic: Traffic, tiles: Tiles, side: int, seed: int) -> float:
    """Moves a second of hill climbing that evaluates every placement in full."""
    tiles, rng = tiles.copy(), np.random.default_rng(seed)
    best, pairs = full_evaluation(traffic, tiles, side), rng.integers(len(tiles), size=(NUMPY_MOVES, 2))
    start = time.process_time()
    for one, other in pairs:
        tiles[one], tiles[other] = tiles[other], tiles[one]
        now = full_evaluation(traffic, tiles, side)
        if now < best:
            best = now
        else:
            tiles[one], tiles[other] = tiles[other], tiles[one]
    return NUMPY_MOVES / (time.process_time() - start)


def compiled_rate(traffic: Traffic, tiles: Tiles, side: int, seed: int) -> float:
    """Moves a second of hill climbing by difference."""
    topology, weights = mesh(side, side), np.eye(FIGURES)[0]
    flows = flows_of(traffic)
    places = places_of(flows, topology, tiles, weights)
    order = np.random.default_rng(seed).permutation(topology.tiles)
    start = time.process_time()
    tried = climb(flows, topology, places, weights, order, MOST_MOVES)
    seconds = time.process_time() - start
    assert places.packet_hops[0] == placement_figures(traffic, topology, places.tile_of).packet_hops
    return tried / seconds


def main() -> None:
    """Print a line for each size: medians of both rates and of their ratio, with the quartiles of the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    print("| tiles | flows | full, numpy (1/s) | by difference (1/s) | ratio (quartiles) |\n|---|---|---|---|---|")
    for side, degree in SIZES:
        traffic = random_traffic(side * side, degree, 0)
        tiles = np.random.default_rng(1).permutation(side * side).astype(np.int32)
        assert placement_figures(traffic, mesh(side, side), tiles).packet_hops == full_evaluation(traffic, tiles, side)
        compiled_rate(traffic, tiles, side, 0)
        pairs = [(numpy_rate(traffic, tiles, side, turn), compiled_rate(traffic, tiles, side, turn))
                 for turn in range(rounds)]  # fmt: skip
        slow, fast = (statistics.median(rates) for rates in zip(*pairs, strict=True))
        low, middle, high = statistics.quantiles([quick / plain for plain, quick in pairs], n=4)
        flows = len(traffic.sources)
        print(f"| {side * side} | {flows} | {slow:.0f} | {fast:.0f} | {middle:.0f} ({low:.0f} to {high:.0f}) |")


if __name__ == "__main__":
    main()
