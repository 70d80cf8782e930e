"""Queues against closed forms, energy against mapping's count, and congestion that does not lock up."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hasnas.cim_estimator import load_hardware
from hasnas.cim_estimator.mapping import (
    SpikeGraph,
    SpikeTimes,
    chip_of,
    deliver,
    load_recipe,
    map_graph,
    mesh,
)
from hasnas.cim_estimator.simulator import Emissions, Placement, Settings, machine_of, replayed, simulate
from hasnas.errors import BadInputError

from .scenes import machine, random_traffic, traffic

TICK = Settings("free", period_s=1e-12)
SERVICE = 2000  # ticks for which a packet takes a link
HOP = 4000


def line(spikes: np.ndarray, flows: int = 1) -> tuple:
    """Two tiles; units on the first send to the second at these ticks."""
    program, clusters = traffic([(0, [1])] * flows, 2)
    units = 2 + np.arange(len(spikes)) % flows
    return program, [Emissions.of(spikes, units)], Placement(clusters, np.arange(2), mesh(2, 1))


@pytest.mark.parametrize("load", [0.3, 0.6, 0.85])
def test_a_link_is_an_m_d_1_queue(load: float) -> None:
    """Poisson arrivals, constant service: mean wait = load service / (2 (1 - load)) (Pollaczek and Khinchine)."""
    rng = np.random.default_rng(7)
    arrivals = np.cumsum(rng.exponential(SERVICE / load, 60_000)).astype(np.int64)
    program, samples, placement = line(arrivals)
    found = simulate(program, samples, placement, machine(2, 1 << 20, write_s=0.0), TICK)
    waited = found.packet_latency_s * 1e12 - HOP
    assert waited == pytest.approx(load * SERVICE / (2 * (1 - load)), rel=0.06)
    assert found.link_use.max() == pytest.approx(load, rel=0.02)


def test_a_saturated_link_passes_a_packet_each_service_time() -> None:
    arrivals = np.arange(500) * (SERVICE // 2)
    program, samples, placement = line(arrivals)
    found = simulate(program, samples, placement, machine(2, write_s=0.0), TICK)
    assert found.link_use.max() == pytest.approx(1.0, abs=0.01)
    assert found.runs[0].ended == 499 * SERVICE + HOP
    waits = np.arange(500) * (SERVICE - SERVICE // 2)  # each packet waits for half a service time more
    assert found.packet_latency_s * 1e12 == pytest.approx(HOP + waits.mean())


def test_a_full_inbox_holds_packets_back() -> None:
    """A core that needs 20 ns for a packet sets the pace; its queues stay as short as there is room."""
    program, samples, placement = line(np.zeros(200, np.int64), flows=200)
    found = simulate(program, samples, placement, machine(2, 3, write_s=20e-9), TICK)
    (run,) = found.runs
    assert run.ended == pytest.approx(200 * 20_000, rel=0.01)
    assert run.channels[:-2, 2].max() == 3
    assert run.channels[-2, 2] > 150  # the rest waits where it was sent


@pytest.mark.parametrize("seed", range(5))
def test_queues_of_one_place_never_lock_up(seed: int) -> None:
    """XY routes turn once, so channels never wait for each other in a circle, multicast or not."""
    program, placement, spikes = random_traffic(mesh(4, 4), 60, 3000, 50, seed, most=8)
    for multicast in (True, False):
        found = simulate(program, [spikes], placement, machine(16, 1), Settings("free", multicast, 1e-9))
        assert found.runs[0].done
        assert found.runs[0].channels[:, 2][:-16].max() == 1


def test_multicast_shares_links_and_reaches_the_same_cores() -> None:
    program, clusters = traffic([(0, [2, 3, 7, 6])], 8)
    placement = Placement(clusters, np.arange(8), mesh(4, 2))
    samples = [Emissions.of(np.zeros(1, np.int64), np.array([8]))]
    one, other = (simulate(program, samples, placement, machine(8), Settings("free", way)) for way in (True, False))
    assert one.packets == other.packets == 4
    assert np.array_equal(one.core_counts, other.core_counts)
    hops = [int(found.channel_counts[: found.links, 0].sum()) for found in (one, other)]
    assert hops == [5, 2 + 3 + 4 + 3]  # 0-1-2-3, 2-6, 3-7; then each way for itself


def recorded(graph: SpikeGraph, seed: int) -> SpikeGraph:
    """The graph with spike times drawn at random."""
    rng, all_steps = np.random.default_rng(seed), graph.steps * graph.samples
    trains = [np.sort(rng.choice(all_steps, int(count), replace=False)) for count in graph.spikes]
    moments = np.concatenate(trains)
    times = SpikeTimes(
        np.concatenate([[0], np.cumsum([len(train) for train in trains])]),
        (moments // graph.steps).astype(np.int32),
        (moments % graph.steps).astype(np.int32),
    )
    return replace(graph, times=times)


def ring(neurons: int, spikes: int, steps: int) -> SpikeGraph:
    """Each neuron reaches three others."""
    source = np.repeat(np.arange(neurons), 3)
    target = (source + np.tile([1, 5, 9], neurons)) % neurons
    return SpikeGraph.from_edges(source, target, np.full(neurons, spikes), steps, samples=2)


def test_energy_without_conflicts_is_what_mapping_counts() -> None:
    chip = chip_of(load_hardware("rram-32nm", {"crossbar.size": "16"}))
    mapped = map_graph(recorded(ring(60, 6, 10), 3), load_recipe("naive"), chip)
    program, samples = replayed(mapped.graph)
    sent = deliver(mapped.graph, mapped.clusters, mapped.tiles, mapped.topology, chip.network, chip.hardware.clock_hz)
    found = simulate(
        program,
        samples,
        Placement(mapped.clusters, mapped.tiles, mapped.topology),
        machine_of(chip, mapped),
        Settings("free", multicast=False, period_s=1e-3),
    )
    assert found.packets == sent.packets > 300
    assert found.energy_j["network"] * len(samples) == pytest.approx(sent.energy_j, rel=1e-9)
    alone = Settings("free", multicast=False, period_s=1e-12)
    spread = [Emissions.of(np.arange(len(one.units)) * 10**6, one.units) for one in samples]  # one after another
    calm = simulate(program, spread, Placement(mapped.clusters, mapped.tiles, mapped.topology),
                    machine_of(chip, mapped).with_room(99, 99), alone)  # fmt: skip
    hops = calm.channel_counts[: calm.links, 0].sum()
    waits = calm.packet_latency_s * calm.packets - hops * chip.network.hop_cycles / chip.hardware.clock_hz
    assert calm.energy_j["network"] == found.energy_j["network"]
    assert 0 <= waits < calm.packets * 10e-9  # a spike's own packets leave one after another


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"mode": "fre"}, "did you mean 'free'"), ({"period_s": -1.0}, "give a time"), ({"period_s": 0.0}, "give a time")],
)
def test_settings_that_cannot_be(settings: dict, message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        Settings(**settings)


def test_input_that_does_not_fit() -> None:
    program, samples, placement = line(np.array([1, 2]))
    with pytest.raises(BadInputError, match="give at least one"):
        simulate(program, [], placement, machine(2), TICK)
    with pytest.raises(BadInputError, match="unknown engine 'plane'; did you mean 'plain'"):
        simulate(program, samples, placement, machine(2), TICK, "plane")
    with pytest.raises(BadInputError, match="3 cores for 2 clusters"):
        simulate(program, samples, placement, machine(3), TICK)
    with pytest.raises(BadInputError, match="give times from 0"):
        simulate(program, [Emissions.of(np.array([-1]), np.array([2]))], placement, machine(2), TICK)
    with pytest.raises(BadInputError, match="give 0 to 0"):
        simulate(program, samples, placement, machine(2), Settings("barrier"))
    with pytest.raises(BadInputError, match="map this network anew"):
        simulate(program, samples, Placement(placement.clusters[1:], placement.tiles, mesh(2, 1)), machine(2), TICK)
    with pytest.raises(BadInputError, match="outside 0 to 1"):
        Placement(np.array([0, 1]), np.array([0, 2]), mesh(2, 1))
    with pytest.raises(BadInputError, match="let none pass"):
        machine(2, 0)
    with pytest.raises(BadInputError, match="times of at least 0"):
        machine(2, write_s=-1e-9)
