"""Global spikes of clusters: METIS, METIS and our moves, our Kernighan-Lin, Mt-KaHyPar; by turns, at equal balance.

    python -m hasnas.experiments.benchmarks.mapping_cut [--seeds 5] [--graph NAME=FILE.npz]

METIS divides into as many parts as crossbars of 128 columns would be needed; nobody has to mind rows. The largest of
its parts is the limit for all others. Mt-KaHyPar (pip install mtkahypar) minimizes the same figure, its connectivity
objective, on one thread. Times are those of a processor, the making of each tool's own graph included.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from hasnas.cim_estimator.mapping import CrossbarLimits, SpikeGraph, global_spikes, open_graph, partition, refine
from hasnas.cim_estimator.mapping.clusters import hand_in
from hasnas.cim_estimator.mapping.partitioners import metis_parts

from .mapping_graphs import WORKLOADS, with_spikes

COLUMNS, MANY_ROWS = 128, 10**9
Clusters = np.ndarray[Any, np.dtype[np.int32]]


def windows(neurons: int, fan_in: int) -> Callable[[np.random.Generator], SpikeGraph]:
    """Neurons in a plane that hear random neighbours, numbered at random."""

    def build(rng: np.random.Generator) -> SpikeGraph:
        side = int(np.sqrt(neurons))
        y, x = np.divmod(np.repeat(np.arange(side * side), fan_in), side)
        steps = rng.integers(-4, 5, (2, len(y)))
        source = (y + steps[0]) % side * side + (x + steps[1]) % side
        number = rng.permutation(side * side)
        graph = SpikeGraph.from_edges(number[source], number[y * side + x], np.zeros(side * side), 50)
        return with_spikes(graph, rng)

    return build


def kahypar(graph: SpikeGraph, parts: int, most: int, seed: int) -> Clusters:
    """Mt-KaHyPar's clusters."""
    import mtkahypar

    global _KAHYPAR
    _KAHYPAR = _KAHYPAR or mtkahypar.initialize(1)
    mtkahypar.set_seed(seed)
    owners = np.flatnonzero(graph.fan_in)
    vertex = np.full(graph.neurons, -1)
    vertex[owners] = np.arange(len(owners))
    nets, weights = [], []
    for neuron in np.flatnonzero(np.diff(graph.offsets) * graph.spikes):
        reached = graph.destinations[graph.offsets[neuron] : graph.offsets[neuron + 1]].tolist()
        ends = {vertex[end] for end in reached} | ({vertex[neuron]} - {-1})
        if len(ends) > 1:
            nets.append([int(end) for end in ends])
            weights.append(int(graph.spikes[neuron]))
    context = _KAHYPAR.context_from_preset(mtkahypar.PresetType.DEFAULT)
    context.set_partitioning_parameters(parts, most * parts / len(owners) - 1 + 1e-9, mtkahypar.Objective.KM1)
    context.logging = False
    found = _KAHYPAR.create_hypergraph(context, len(owners), len(nets), nets, [1] * len(owners), weights)
    divided = found.partition(context)
    clusters = np.full(graph.neurons, -1, np.int32)
    clusters[owners] = [divided.block_id(number) for number in range(len(owners))]
    return hand_in(graph, clusters)


_KAHYPAR: Any = None


def compare(graph: SpikeGraph, seed: int, with_kahypar: bool) -> dict[str, tuple[int, float, int]]:
    """Global spikes, seconds and clusters of each."""
    found, rng = {}, np.random.default_rng(seed)
    start = time.process_time()
    parts = metis_parts(graph, COLUMNS, rng)
    took = time.process_time() - start
    owners = np.flatnonzero(graph.fan_in)
    most, count = int(np.bincount(parts[owners]).max()), int(parts[owners].max()) + 1
    clusters = hand_in(graph, np.where(graph.fan_in > 0, parts, -1).astype(np.int32))
    found["METIS"] = global_spikes(graph, clusters), took, count
    limits = CrossbarLimits(MANY_ROWS, most)
    start = time.process_time()
    refined = refine(graph, np.where(graph.fan_in > 0, parts, -1).astype(np.int32), limits, rng)
    moved = time.process_time() - start
    found["METIS and moves"] = global_spikes(graph, hand_in(graph, refined)), took + moved, count
    start = time.process_time()
    own = partition(graph, limits, "kl", np.random.default_rng(seed), True)
    found["Kernighan-Lin"] = global_spikes(graph, own), time.process_time() - start, int(own.max()) + 1
    if with_kahypar:
        start = time.process_time()
        others = kahypar(graph, count, most, seed)
        found["Mt-KaHyPar"] = global_spikes(graph, others), time.process_time() - start, int(others.max()) + 1
    return found


def main() -> None:
    """Print a line for each graph and tool: medians over seeds of the ratios to METIS."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--graph", action="append", default=[], metavar="NAME=FILE.npz")
    asked = parser.parse_args()
    builders = {name: WORKLOADS[name] for name in ("LeNet", "EdgeDet", "ImgSmooth")}
    builders |= {"plane, 4,096": windows(4096, 16), "plane, 40,000": windows(40_000, 16)}
    for text in asked.graph:
        name, path = text.split("=", 1)
        builders[name] = lambda rng, path=path: open_graph(path)  # type: ignore[misc]
    try:
        import mtkahypar  # noqa: F401

        with_kahypar = True
    except ImportError:
        with_kahypar = False
    print("| graph | clusters | tool | global spikes to METIS | time to METIS | seconds |\n|---|---|---|---|---|---|")
    for name, build in builders.items():
        compare(build(np.random.default_rng(0)), 0, with_kahypar)  # compiles
        runs = [compare(build(np.random.default_rng(seed)), seed, with_kahypar) for seed in range(asked.seeds)]
        for tool in runs[0]:
            cuts = [run[tool][0] / max(run["METIS"][0], 1) for run in runs]
            times = [run[tool][1] / run["METIS"][1] for run in runs]
            seconds, count = (statistics.median(run[tool][at] for run in runs) for at in (1, 2))
            cut, slower = statistics.median(cuts), statistics.median(times)
            print(f"| {name} | {count:.0f} | {tool} | {cut:.3f} ({min(cuts):.3f} to {max(cuts):.3f}) | "
                  f"{slower:.2f} | {seconds:.3f} |", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
