"""How long packets take, queues at links included, and how the network bends the gaps between spikes.

All spikes of a timestep start at its beginning. Packets take links in the order of sending: by time, then by neuron,
then by cluster. A packet waits for a link until those before it have passed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from .clusters import axon_clusters, traffic
from .constants import NetworkConstants
from .spike_graph import Ids, Ints, SpikeGraph
from .topology import Topology, hops, route


@dataclass(frozen=True)
class Delivery:
    """What the network does to the packets of a recording.

    Args:
        packets: spikes times the other clusters that each reaches.
        energy_j: for all of them.
        mean_latency_s: from sending to arrival; 0 if there are no packets. Without spike times queues are left out.
        worst_latency_s: the longest.
        isi_distortion_s: mean of |gap between two arrivals - gap between the two spikes|, for spikes of a neuron that
            follow one another within a sample, at each cluster; None if spike times are unknown.
    """

    packets: int
    energy_j: float
    mean_latency_s: float
    worst_latency_s: float
    isi_distortion_s: float | None


def deliver(
    graph: SpikeGraph, clusters: Ids, tiles: Ids, topology: Topology, network: NetworkConstants, clock_hz: float
) -> Delivery:
    """Carry every spike of a recording to the clusters that its axon reaches.

    Args:
        graph: the workload.
        clusters: of each neuron, shape `[neurons]`.
        tiles: of each cluster, shape `[clusters]`.
        topology: of the tiles.
        network: energy and cycles.
        clock_hz: of the network.
    """
    flows = traffic(graph, clusters)
    ends = zip(tiles[flows.sources], tiles[flows.destinations], strict=True)
    ways = np.array([hops(topology, one, other) for one, other in ends], np.int64)
    packets, packet_hops = int(flows.packets.sum()), int((flows.packets * ways).sum())
    energy_j = packet_hops * network.hop_energy_j
    if graph.times is None:
        mean = packet_hops / max(packets, 1) * network.hop_cycles / clock_hz
        return Delivery(packets, energy_j, mean, int(ways.max(initial=0)) * network.hop_cycles / clock_hz, None)
    reached = axon_clusters(graph, clusters)
    reached.sort_indices()
    neuron = np.repeat(np.arange(graph.neurons, dtype=np.int32), graph.spikes)
    moments = graph.times.samples.astype(np.int64) * graph.steps + graph.times.steps
    order = np.argsort(moments, kind="stable")
    total, worst, distortion, gaps = _carry(
        topology,
        topology.farthest + 1,
        neuron[order],
        moments[order],
        graph.steps,
        reached.indptr.astype(np.int64),
        reached.indices.astype(np.int32),
        np.asarray(clusters, np.int32),
        np.asarray(tiles, np.int32),
        np.array([network.hop_cycles, network.link_cycles, graph.step_s * clock_hz]),
    )
    return Delivery(packets, energy_j, total / max(packets, 1) / clock_hz, worst / clock_hz,
                    distortion / max(gaps, 1) / clock_hz)  # fmt: skip


@njit(cache=True, nogil=True)
def _carry(
    topology: Topology,
    room: int,
    neurons: Ids,
    moments: Ints,
    steps: int,
    offsets: Ints,
    reached: Ids,
    clusters: Ids,
    tiles: Ids,
    cycles: NDArray[np.float64],
) -> tuple[float, float, float, int]:
    """Sum and largest of latencies, sum of bent gaps, all in cycles, and the number of gaps."""
    hop, link_time, step = cycles
    free = np.zeros(topology.links)
    links = np.zeros(room, np.int64)
    last_moment = np.full(len(reached), -1, np.int64)
    last_delay = np.zeros(len(reached))
    total, worst, distortion, gaps = 0.0, 0.0, 0.0, 0
    for index in range(len(neurons)):
        neuron, moment = neurons[index], moments[index]
        home = clusters[neuron]
        for at in range(offsets[neuron], offsets[neuron + 1]):
            if reached[at] == home:
                continue
            sent = moment * step
            now = sent
            for position in range(route(topology, tiles[home], tiles[reached[at]], links)):
                link = links[position]
                start = max(now, free[link])
                free[link] = start + link_time
                now = start + hop
            delay = now - sent
            total += delay
            worst = max(worst, delay)
            if last_moment[at] >= 0 and last_moment[at] // steps == moment // steps:
                distortion += abs(delay - last_delay[at])  # the gaps differ by the difference of the two delays
                gaps += 1
            last_moment[at], last_delay[at] = moment, delay
    return total, worst, distortion, gaps
