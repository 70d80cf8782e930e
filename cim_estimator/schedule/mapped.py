"""A mapped network as a dataflow graph: what throughput its chip guarantees, and what it could reach at best.

An iteration is a timestep behind a barrier: the barrier starts all cores, each reads its crossbar and sends its spikes
(the tokens), packets travel, receivers note them, and when all is noted the barrier falls again. The actors are the
barrier, the cores, one for each flow between two clusters, and the noting of each receiver; an actor of a flow lasts as
long as the last of its packets may need.

- Guaranteed: tokens are the most packets of any timestep. Since queues have room, a packet waits in one only while a
  link is busy that the queue's packets go on with; so it leaves within

      (sum of the packets on the links that follow) * link time

  and a hop, whatever the order in which packets are served. Only then are all of a receiver's packets noted.
- At best: packets of a mean timestep, each alone on its way, noted while others arrive. No recording can be faster: the
  mean of a maximum is at least the maximum of the means.

Flows of unicast packets are counted; multicast sends fewer, so that both still hold for the first.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hasnas.cim_estimator.mapping.clusters import axon_clusters
from hasnas.cim_estimator.mapping.mapping import Mapped
from hasnas.cim_estimator.mapping.topology import Topology, route
from hasnas.cim_estimator.simulator.machine import Machine
from hasnas.errors import BadInputError

from .dataflow import Actor, Channel, DataflowGraph
from .throughput import Guarantee, guarantee

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Rates:
    """Packets from cluster to cluster in a timestep.

    Args:
        flows: cluster that sends and cluster that receives (perhaps the same), `[flows, 2]`.
        most: packets of each flow in the timestep with most of them, `[flows]`.
        mean: in a mean timestep, `[flows]`.
        active: share of the timesteps in which the flow has any, `[flows]`.
    """

    flows: Ints
    most: Ints
    mean: Floats
    active: Floats


@dataclass(frozen=True)
class MappedGuarantee:
    """What a mapped network's timesteps take.

    Args:
        guaranteed: for the recorded rates at their worst; times in seconds.
        at_best: for mean rates without waiting.
        room: packets that fit each queue, so that the guarantee holds.
        steps: timesteps of a sample.
    """

    guaranteed: Guarantee
    at_best: Guarantee
    room: int
    steps: int

    @property
    def samples_per_s(self) -> tuple[float, float]:
        """Guaranteed, and at best."""
        return self.guaranteed.throughput / self.steps, self.at_best.throughput / self.steps


def rates_of(mapped: Mapped) -> Rates:
    """Packets by flow in a recording.

    Raises:
        BadInputError: if spike times are not known.
    """
    graph = mapped.graph
    if graph.times is None:
        raise BadInputError("the graph counts spikes but holds no spike times, so its worst timestep is not known")
    clusters = np.asarray(mapped.clusters, np.int64)
    reached = axon_clusters(graph, mapped.clusters)
    count, moments = len(mapped.tiles), graph.steps * graph.samples
    owner = np.repeat(np.arange(graph.neurons), graph.spikes)
    moment = graph.times.samples.astype(np.int64) * graph.steps + graph.times.steps
    fan = np.diff(reached.indptr)[owner]
    spike = np.repeat(np.arange(len(owner)), fan)
    place = np.arange(len(spike)) - np.repeat(np.cumsum(fan) - fan, fan) + reached.indptr[owner][spike]
    keys = clusters[owner][spike] * count + reached.indices[place]
    flows, flow = np.unique(keys, return_inverse=True)
    both, packets = np.unique(flow * moments + moment[spike], return_counts=True)
    most, total = np.zeros(len(flows), np.int64), np.zeros(len(flows), np.int64)
    np.maximum.at(most, both // moments, packets)
    np.add.at(total, both // moments, packets)
    active = np.bincount(both // moments, minlength=len(flows)) / moments
    return Rates(np.stack(np.divmod(flows, count), axis=1), most, total / moments, active)


def guarantee_mapped(mapped: Mapped, machine: Machine) -> MappedGuarantee:
    """The throughput of a mapped recording with a barrier after each timestep.

    Args:
        mapped: with spike times.
        machine: of the same mapping; its queues must have the room that the answer names.

    Raises:
        BadInputError: if spike times are not known.
    """
    return guarantee_rates(rates_of(mapped), mapped.tiles, mapped.topology, machine, mapped.graph.steps)


def guarantee_rates(
    rates: Rates, tiles: NDArray[np.integer[Any]], topology: Topology, machine: Machine, steps: int
) -> MappedGuarantee:
    """The same for clusters on tiles of which only the rates are known.

    Args:
        rates: packets between clusters.
        tiles: of each cluster, `[clusters]`.
        topology: of the tiles.
        machine: of these clusters.
        steps: timesteps of a sample.
    """
    load = _Load(tiles, topology, machine, rates)
    alone = np.ones(len(rates.most), np.int64)
    worst = dataflow(machine, rates.flows, load.worst_times_s(), rates.most, load.most_notes_s)
    best = dataflow(machine, rates.flows, load.times_alone_s(), alone, load.mean_notes_s, overlap=True)
    return MappedGuarantee(guarantee(worst), guarantee(best), load.room, steps)


class _Load:
    """Packets on links, at routers and in cores."""

    def __init__(self, tiles: NDArray[np.integer[Any]], topology: Topology, machine: Machine, rates: Rates) -> None:
        self.machine, self.rates = machine, rates
        links = np.zeros(topology.farthest + 1, np.int64)
        self.ways: list[list[int]] = []
        for source, target in rates.flows.tolist():
            self.ways.append(links[: route(topology, int(tiles[source]), int(tiles[target]), links)].tolist())
        self.on_link = np.zeros(topology.links, np.int64)
        for way, most in zip(self.ways, rates.most.tolist(), strict=True):
            self.on_link[way] += most
        noted = np.bincount(rates.flows[:, 1], rates.most, len(tiles))
        self.most_notes_s: Floats = np.asarray(noted * machine.write_s, float)
        received = np.bincount(rates.flows[:, 1], rates.mean, len(tiles))
        self.mean_notes_s: Floats = np.asarray(received * machine.write_s, float)
        self.room = int(max(self.on_link.max(initial=1), noted.max(initial=1)))
        self._find_following(rates)

    def _find_following(self, rates: Rates) -> None:
        """Links that the packets in a queue go on with: by the link at whose end it is, -1 - cluster for outboxes."""
        self.following: dict[int, set[int]] = {}
        for way, source in zip(self.ways, rates.flows[:, 0].tolist(), strict=True):
            for queue, link in pairwise([-1 - source, *way]):
                self.following.setdefault(queue, set()).add(link)

    def worst_times_s(self) -> Floats:
        """Until the last packet of each flow is in its core's inbox, `[flows]`."""
        link_s = self.machine.network.link_cycles / self.machine.clock_hz
        hop_s = self.machine.network.hop_cycles / self.machine.clock_hz
        busy_s = {queue: link_s * sum(map(int, self.on_link[list(links)])) for queue, links in self.following.items()}
        return np.array(
            [
                sum(busy_s.get(queue, 0.0) for queue in (-1 - source, *way)) + len(way) * hop_s
                for way, source in zip(self.ways, self.rates.flows[:, 0].tolist(), strict=True)
            ]
        )

    def times_alone_s(self) -> Floats:
        """Mean over timesteps of what one packet of each flow needs until it is noted, `[flows]`."""
        hop_s = self.machine.network.hop_cycles / self.machine.clock_hz
        return (np.array([len(way) * hop_s for way in self.ways]) + self.machine.write_s) * self.rates.active


def dataflow(
    machine: Machine,
    flows: Ints,
    times_s: Floats,
    tokens: Ints,
    notes_s: Floats,
    overlap: bool = False,
) -> DataflowGraph:
    """The graph of a timestep: barrier, cores, flows, receivers.

    Args:
        machine: times of cores and barrier.
        flows: sender and receiver, `[flows, 2]`.
        times_s: that each flow's actor lasts, `[flows]`.
        tokens: packets of each flow, `[flows]`.
        notes_s: for which each core notes packets, `[clusters]`.
        overlap: whether cores note packets while others are under way.
    """
    clusters = range(len(notes_s))
    read_s = float(machine.read_s.max(initial=0.0))  # all spikes leave together, with the slowest core
    actors = [Actor("barrier", machine.sync_s)]
    actors += [Actor(f"core {cluster}", read_s) for cluster in clusters]
    actors += [Actor(f"notes {cluster}", float(notes_s[cluster])) for cluster in clusters]
    channels = [Channel(f"start {cluster}", "barrier", f"core {cluster}") for cluster in clusters]
    channels += [Channel(f"read {cluster}", f"core {cluster}", f"notes {cluster}") for cluster in clusters]
    channels += [Channel(f"done {cluster}", f"notes {cluster}", "barrier", initial_tokens=1) for cluster in clusters]
    for (source, target), time, count in zip(flows.tolist(), times_s.tolist(), tokens.tolist(), strict=True):
        name = f"flow {source}->{target}"
        actors.append(Actor(name, time))
        channels.append(Channel(f"{name} leaves", f"core {source}", name, count, count))
        if overlap:
            channels.append(Channel(f"{name} arrives", name, "barrier", count, count, count))
        else:
            channels.append(Channel(f"{name} arrives", name, f"notes {target}", count, count))
    return DataflowGraph(tuple(actors), tuple(channels), "timestep")
