"""The workloads of the mapping literature on their chips: promised, simulated and best throughput; energy and latency.

`python -m hasnas.experiments.benchmarks.simulator_workloads [--recipe spinemap] [--only LeNet ...] [--steps N]`

Each recording is replayed with a barrier after each timestep, packets to one destination each, queues with the room
that the guarantee names. Guaranteed <= simulated <= contention-free is checked, and the network's energy against the
count of `hasnas map`. Workloads by channel (AlexNet, VGG16) have no spike times; theirs are drawn at random. A timestep
of theirs is one position of the largest map, 2.5 million a recording: with `--steps` only the first are replayed.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hasnas.cim_estimator import load_hardware
from hasnas.cim_estimator.mapping import SpikeGraph, SpikeTimes, chip_of, deliver, load_recipe, map_graph
from hasnas.cim_estimator.schedule import guarantee_mapped
from hasnas.cim_estimator.simulator import Placement, Settings, machine_of, replayed, simulate

from .mapping_graphs import WORKLOADS

Ints = NDArray[np.int64]


def with_times(graph: SpikeGraph, seed: int) -> SpikeGraph:
    """The graph with spike times; drawn at random where it has none."""
    if graph.times is not None:
        return graph
    rng = np.random.default_rng(seed)
    trains = [np.sort(rng.choice(graph.steps, int(count), replace=False)) for count in graph.spikes]
    steps = np.concatenate(trains).astype(np.int32)
    return replace(graph, times=_times(graph.spikes, steps))


def shortened(graph: SpikeGraph, steps: int, seed: int) -> SpikeGraph:
    """The first timesteps of a recording of one sample; as many spikes as fall there if their times are not known."""
    if steps >= graph.steps:
        return graph
    if graph.times is None:
        spikes = np.random.default_rng(seed).binomial(graph.spikes, steps / graph.steps)
        return replace(graph, spikes=spikes, steps=steps)
    owner, kept = np.repeat(np.arange(graph.neurons), graph.spikes), graph.times.steps < steps
    spikes = np.bincount(owner[kept], minlength=graph.neurons)
    return replace(graph, spikes=spikes, steps=steps, times=_times(spikes, graph.times.steps[kept]))


def _times(spikes: Ints, steps: NDArray[np.int32]) -> SpikeTimes:
    return SpikeTimes(np.concatenate([[0], np.cumsum(spikes)]), np.zeros(len(steps), np.int32), steps)


def row(name: str, recipe: str, seed: int, steps: int) -> str:
    """One workload as a row of the table."""
    chip = chip_of(load_hardware("rram-32nm"))
    graph = with_times(shortened(WORKLOADS[name](np.random.default_rng(seed)), steps, seed), seed)
    mapped = map_graph(graph, load_recipe(recipe), chip, seed)
    machine, placement = machine_of(chip, mapped), Placement(mapped.clusters, mapped.tiles, mapped.topology)
    promised = guarantee_mapped(mapped, machine)
    program, samples = replayed(mapped.graph)
    roomy = machine.with_room(promised.room, promised.room)
    start = time.process_time()
    alone = simulate(program, samples, placement, roomy, Settings("barrier", multicast=False))
    seconds = time.process_time() - start
    shared = simulate(program, samples, placement, machine, Settings("barrier"))
    all_steps = mapped.graph.steps * len(samples)
    rates = [all_steps / float(found.latencies_s.sum()) for found in (alone, shared)]
    low, high = promised.guaranteed.throughput, promised.at_best.throughput
    if not low <= rates[0] <= high:
        raise SystemExit(f"{name}: {low} <= {rates[0]} <= {high} does not hold")
    counted = deliver(mapped.graph, mapped.clusters, mapped.tiles, mapped.topology, chip.network, chip.clock_hz)
    energy_j = alone.energy_j["network"] * len(samples)
    if abs(energy_j - counted.energy_j) > 1e-9 * counted.energy_j:
        raise SystemExit(f"{name}: {energy_j} J of hops, counted {counted.energy_j} J")
    return (
        f"| {name} | {len(mapped.tiles)} | {all_steps:,} "
        f"| {low / 1e3:,.4g} | {rates[0] / 1e3:,.4g} | {rates[1] / 1e3:,.4g} "
        f"| {high / 1e3:,.4g} | {promised.room:,} | {energy_j * 1e6:.4g} "
        f"| {shared.energy_j['network'] * len(samples) * 1e6:.4g} | {alone.packet_latency_s * 1e9:.4g} "
        f"| {counted.mean_latency_s * 1e9:.4g} | {alone.events:,} | {seconds:.3g} s |"
    )


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", default="spinemap")
    parser.add_argument("--only", nargs="+", default=list(WORKLOADS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=1 << 40)
    arguments = parser.parse_args()
    titles = "workload|clusters|timesteps|guaranteed, 1000 steps/s|simulated|with multicast|at best|room|uJ = counted"
    print(f"| {titles.replace('|', ' | ')} | uJ with multicast | packet ns | counted | events | time |")
    print("|" + "---|" * 14)
    for name in arguments.only:
        print(row(name, arguments.recipe, arguments.seed, arguments.steps), flush=True)


if __name__ == "__main__":
    main()
