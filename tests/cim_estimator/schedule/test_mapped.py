"""Mapped networks: what is promised lies below what the simulator takes, and that below what is possible at best."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hasnas.cim_estimator import load_hardware
from hasnas.cim_estimator.mapping import Mapped, SpikeGraph, SpikeTimes, chip_of, load_recipe, map_graph
from hasnas.cim_estimator.schedule.mapped import guarantee_mapped, rates_of
from hasnas.cim_estimator.simulator import Placement, Settings, machine_of, replayed, simulate
from hasnas.errors import BadInputError

CHIP = chip_of(load_hardware("rram-32nm", {"crossbar.size": "16"}))


def recording(seed: int, neurons: int = 60, steps: int = 12, samples: int = 2) -> SpikeGraph:
    """Neurons that reach four others each and fire at rates of their own."""
    rng = np.random.default_rng(seed)
    edges = np.repeat(np.arange(neurons), 4), rng.integers(neurons, size=4 * neurons)
    fires = rng.random((neurons, samples, steps)) < rng.beta(1, 4, (neurons, 1, 1))
    neuron, sample, step = np.nonzero(fires)
    counts = np.bincount(neuron, minlength=neurons)
    graph = SpikeGraph.from_edges(*edges, counts, steps, samples)
    offsets = np.concatenate([[0], np.cumsum(counts)])
    return replace(graph, times=SpikeTimes(offsets, sample.astype(np.int32), step.astype(np.int32)))


def mapped(seed: int, recipe: str = "naive") -> Mapped:
    """The same on crossbars of 16 x 16."""
    return map_graph(recording(seed), load_recipe(recipe), CHIP, seed)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("recipe", ["naive", "random"])
def test_promised_simulated_and_best_throughput_are_in_order(seed: int, recipe: str) -> None:
    found = mapped(seed, recipe)
    machine = machine_of(CHIP, found)
    promised = guarantee_mapped(found, machine)
    program, samples = replayed(found.graph)
    placement = Placement(found.clusters, found.tiles, found.topology)
    roomy = machine.with_room(promised.room, promised.room)
    run = simulate(program, samples, placement, roomy, Settings("barrier", multicast=False))
    rate = found.graph.steps * found.graph.samples / run.latencies_s.sum()
    assert promised.guaranteed.throughput <= rate <= promised.at_best.throughput
    assert rate < 20 * promised.guaranteed.throughput
    assert rate > 0.05 * promised.at_best.throughput
    assert max(one.channels[: -len(found.tiles), 2].max() for one in run.runs) <= promised.room


def test_rates_count_packets_by_timestep() -> None:
    found = mapped(3)
    rates, graph = rates_of(found), found.graph
    assert graph.times is not None
    table = np.zeros((len(found.tiles), len(found.tiles), graph.samples * graph.steps), int)
    for neuron in range(graph.neurons):
        reached = set(found.clusters[graph.destinations[graph.offsets[neuron] : graph.offsets[neuron + 1]]].tolist())
        for at in range(graph.times.offsets[neuron], graph.times.offsets[neuron + 1]):
            moment = graph.times.samples[at] * graph.steps + graph.times.steps[at]
            for cluster in reached:
                table[found.clusters[neuron], cluster, moment] += 1
    for (source, target), most, mean, active in zip(rates.flows, rates.most, rates.mean, rates.active, strict=True):
        assert most == table[source, target].max()
        assert mean == pytest.approx(table[source, target].mean())
        assert active == pytest.approx((table[source, target] > 0).mean())
    assert len(rates.flows) == np.count_nonzero(table.sum(axis=2))


def test_two_clusters_by_hand() -> None:
    """One spike from one core to the next: read, hop, note, barrier."""
    graph = SpikeGraph.from_edges([0, 1], [1, 2], [2, 0, 0], steps=2)
    graph = replace(
        graph, times=SpikeTimes(np.array([0, 2, 2, 2]), np.zeros(2, np.int32), np.arange(2, dtype=np.int32))
    )
    plain = map_graph(graph, load_recipe("naive"), CHIP)
    found = replace(plain, clusters=np.array([0, 1, 1], np.int32), tiles=np.array([0, 1], np.int32),
                    topology=plain.topology._replace(width=2, height=1, tiles=2, links=8))  # fmt: skip
    machine = replace(machine_of(CHIP, plain), read_s=np.array([10e-9, 12e-9]))
    promised = guarantee_mapped(found, machine)
    step_s = machine.sync_s + 12e-9 + 2 / 500e6 + machine.write_s
    assert promised.at_best.max_cycle_ratio == pytest.approx(step_s)
    assert promised.guaranteed.max_cycle_ratio == pytest.approx(step_s + 1 / 500e6)  # its own turn on the link
    assert promised.guaranteed.critical_actors == ("barrier", "core 0", "flow 0->1", "notes 1")
    assert promised.samples_per_s[1] == pytest.approx(0.5 / step_s)


def test_a_recording_without_times_promises_nothing() -> None:
    with pytest.raises(BadInputError, match="holds no spike times"):
        rates_of(replace(mapped(0), graph=replace(mapped(0).graph, times=None)))
