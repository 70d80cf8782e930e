"""Packets on their way: closed forms on one link, and queues."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hasnas.cim_estimator.mapping import (
    NetworkConstants,
    SpikeGraph,
    SpikeTimes,
    constant_sources,
    deliver,
    load_network,
    mesh,
)
from hasnas.cim_estimator.mapping.constants import PRESETS
from hasnas.errors import BadInputError

NETWORK = NetworkConstants(hop_energy_j=2e-12, hop_cycles=2, link_cycles=1, tile_pitch_m=5e-4)
CLOCK_HZ = 1e9


def two_tiles(trains: list[list[int]], samples: list[list[int]] | None = None) -> SpikeGraph:
    """Neurons on tile 0 that all reach the last neuron, which is on tile 1 and silent."""
    count = len(trains)
    spikes = [len(train) for train in trains] + [0]
    number = 1 if samples is None else 1 + max(max(sample, default=0) for sample in samples)
    graph = SpikeGraph.from_edges(range(count), [count] * count, spikes, 10, number, step_s=1e-6)
    steps = np.array([step for train in trains for step in train], np.int32)
    which = np.zeros(len(steps), np.int32) if samples is None else np.concatenate(samples).astype(np.int32)
    return replace(graph, times=SpikeTimes(np.concatenate([[0], np.cumsum(spikes)]), which, steps))


def carried(graph: SpikeGraph):  # type: ignore[no-untyped-def]
    clusters = np.zeros(graph.neurons, np.int32)
    clusters[-1] = 1
    return deliver(graph, clusters, np.array([0, 1], np.int32), mesh(2, 1), NETWORK, CLOCK_HZ)


def test_one_packet_over_one_link() -> None:
    found = carried(two_tiles([[3, 7]]))
    assert found.packets == 2
    assert found.energy_j == pytest.approx(2 * 2e-12)
    assert found.mean_latency_s == found.worst_latency_s == pytest.approx(2e-9)
    assert found.isi_distortion_s == 0


def test_the_second_of_two_packets_waits_one_cycle_and_its_gap_is_bent() -> None:
    # Both spike at 3; only neuron 1 spikes at 7, so its second packet does not wait.
    found = carried(two_tiles([[3], [3, 7]]))
    assert found.worst_latency_s == pytest.approx(3e-9)
    assert found.mean_latency_s == pytest.approx((2 + 3 + 2) / 3 * 1e-9)
    assert found.isi_distortion_s == pytest.approx(1e-9)


def test_gaps_do_not_cross_samples() -> None:
    found = carried(two_tiles([[3], [3, 7]], [[0], [0, 1]]))
    assert found.isi_distortion_s == 0
    assert found.worst_latency_s == pytest.approx(3e-9)


def test_queues_last_into_the_next_timestep_where_the_network_is_slow() -> None:
    slow = NetworkConstants(2e-12, hop_cycles=1500, link_cycles=1500, tile_pitch_m=5e-4)  # a timestep has 1000 cycles
    graph = two_tiles([[0, 1, 2]])
    clusters, tiles = np.array([0, 1], np.int32), np.array([0, 1], np.int32)
    found = deliver(graph, clusters, tiles, mesh(2, 1), slow, CLOCK_HZ)
    assert found.worst_latency_s == pytest.approx(2.5e-6)
    assert found.mean_latency_s == pytest.approx((1.5 + 2 + 2.5) / 3 * 1e-6)
    assert found.isi_distortion_s == pytest.approx(0.5e-6)


def test_without_times_queues_are_left_out() -> None:
    found = carried(replace(two_tiles([[3], [3, 7]]), times=None))
    assert found.mean_latency_s == found.worst_latency_s == pytest.approx(2e-9)
    assert found.isi_distortion_s is None


def test_what_stays_within_a_cluster_is_free() -> None:
    graph = two_tiles([[3], [4]])
    found = deliver(graph, np.zeros(3, np.int32), np.zeros(1, np.int32), mesh(1, 1), NETWORK, CLOCK_HZ)
    assert (found.packets, found.energy_j, found.mean_latency_s, found.isi_distortion_s) == (0, 0, 0, 0)


def test_one_packet_serves_all_synapses_of_a_cluster() -> None:
    graph = SpikeGraph.from_edges([0, 0, 0], [1, 2, 3], [6, 0, 0, 0], 10)
    found = deliver(
        graph, np.array([0, 1, 1, 2], np.int32), np.array([0, 2, 1], np.int32), mesh(3, 1), NETWORK, CLOCK_HZ
    )
    assert found.packets == 12
    assert found.energy_j == pytest.approx((6 * 2 + 6 * 1) * 2e-12)


def test_every_constant_has_a_source_and_unknown_ones_are_named(tmp_path) -> None:  # type: ignore[no-untyped-def]
    for path in sorted(PRESETS.glob("*.yaml")):
        kind, _, name = path.stem.partition("-")
        assert all(source.strip() for source in constant_sources(kind, name).values())
    parts_pj = 0.762 + 0.534 + 0.221 + 0.06 + 0.05 + 32 * 0.025
    assert load_network().hop_energy_j == pytest.approx(parts_pj * 1e-12)
    with pytest.raises(BadInputError, match="unknown network constants 'noxm'; did you mean 'noxim'"):
        load_network("noxm")
    (tmp_path / "mine.yaml").write_text(
        "hop_energy_j: 1e-12\nhop_cycles: {value: 3}\nlink_cycles: 1\ntile_pitch_m: 0.001\n"
    )
    assert load_network(tmp_path / "mine.yaml") == NetworkConstants(1e-12, 3, 1, 1e-3)
    (tmp_path / "mine.yaml").write_text("hop_energy_j: -1\nhop_cycles: 3\nlink_cycles: 1\ntile_pitch_m: 0.001\n")
    with pytest.raises(BadInputError, match="hop_energy_j is -1; give a number from 0"):
        load_network(tmp_path / "mine.yaml")
    (tmp_path / "mine.yaml").write_text("hop_energy: 1\n")
    with pytest.raises(BadInputError, match="unknown key 'hop_energy'; did you mean 'hop_energy_j'"):
        load_network(tmp_path / "mine.yaml")
    (tmp_path / "mine.yaml").write_text("hop_cycles: 1\n")
    with pytest.raises(BadInputError, match="lacks hop_energy_j, link_cycles"):
        load_network(tmp_path / "mine.yaml")
