"""Programs on chips for tests: traffic drawn at random, networks that compute, and a comparison of two runs."""

from __future__ import annotations

import numpy as np

from hasnas.cim_estimator.mapping import Topology, load_network
from hasnas.cim_estimator.simulator import (
    Emissions,
    Kind,
    Machine,
    NeuronArrays,
    Placement,
    Program,
    SampleRun,
    Synapses,
)


def machine(cores: int, room: int = 4, write_s: float = 2e-9, read_s: float = 12e-9) -> Machine:
    """A chip at 500 MHz whose hops take 2 cycles and links 1."""
    ones = np.ones(cores)
    return Machine(load_network(), 5e8, room, room, write_s, read_s * ones, 2e-9, 1e-9 * ones, 1e-12 * ones, 0 * ones)


def traffic(flows: list[tuple[int, list[int]]], clusters: int, steps: int = 1) -> tuple[Program, np.ndarray]:
    """One unit a flow, from a cluster to others; the program and where its units are.

    A cluster's receiving unit has the cluster's own number; sending ones follow.
    """
    sources = [clusters + number for number, (_, to) in enumerate(flows) for _ in to]
    targets = [cluster for _, to in flows for cluster in to]
    units, count = clusters + len(flows), len(sources)
    zero, none = np.zeros(units, np.int64), np.zeros(units)
    synapses = Synapses(np.array(sources), np.array(targets), np.zeros(count), np.zeros(count, np.int64))
    program = Program(zero, zero, none, none, NeuronArrays.plain(units), np.zeros(units, bool), synapses, steps)
    return program, np.array([*range(clusters), *(home for home, _ in flows)])


def random_traffic(topology: Topology, flows: int, spikes: int, within: int, seed: int, most: int = 4) -> tuple[
    Program, Placement, Emissions
]:  # fmt: skip
    """Flows to some tiles each, and spikes within so many timesteps or ticks."""
    rng, tiles = np.random.default_rng(seed), topology.tiles
    chosen = [
        (int(rng.integers(tiles)), rng.choice(tiles, rng.integers(1, most + 1), replace=False).tolist())
        for _ in range(flows)
    ]
    program, clusters = traffic(chosen, tiles, within)
    moments, units = rng.integers(within, size=spikes), tiles + rng.integers(flows, size=spikes)
    _, first = np.unique(moments * (tiles + flows) + units, return_index=True)
    return program, Placement(clusters, np.arange(tiles), topology), Emissions.of(moments[first], units[first])


def computing(seed: int, steps: int = 6, sizes: tuple[int, ...] = (12, 16, 9, 14, 5)) -> tuple[Program, Emissions]:
    """Layers of sources, neurons of every sort, maxima, neurons again with feedback, and outputs; all of them busy."""
    rng = np.random.default_rng(seed)
    first = np.concatenate([[0], np.cumsum(sizes)])
    units = int(first[-1])
    layer = np.repeat(np.arange(5), sizes)
    kinds = np.array([Kind.SOURCE, Kind.NEURON, Kind.MAXIMUM, Kind.NEURON, Kind.OUTPUT])[layer]
    parts = []
    for at in range(4):
        pairs = np.argwhere(rng.random((sizes[at], sizes[at + 1])) < 0.6) + [first[at], first[at + 1]]
        parts.append(np.column_stack([pairs, np.zeros(len(pairs), int)]))
    back = np.argwhere(rng.random((sizes[3], sizes[1])) < 0.2) + [first[3], first[1]]
    rows = np.concatenate([*parts, np.column_stack([back, np.ones(len(back), int)])])
    rows = rows[np.lexsort((rows[:, 1], rows[:, 0]))]
    weights = rng.normal(0.25, 0.5, len(rows))
    neurons = NeuronArrays(
        tau=np.where(np.arange(units) % 3, 4 / 3, 0.0),
        threshold=np.full(units, 0.5),
        reset=np.where(np.arange(units) % 5, 0.0, 0.125),
        soft=(np.arange(units) % 4 == 1).astype(float),
        beta=np.where(np.arange(units) % 7, 0.0, 0.2),
        fade=np.full(units, 0.7),
        step=np.where(np.arange(units) % 6, 0.0, 0.125),
        levels=np.full(units, 8.0),
        synapse=np.where(np.arange(units) % 8 == 2, 1.5, 0.0),
    )
    bias, late = rng.normal(0.05, 0.1, units), rng.normal(0, 0.05, units)
    synapses = Synapses(rows[:, 0], rows[:, 1], weights, rows[:, 2])
    outputs = np.arange(first[4], units)
    program = Program(kinds, layer, bias, late, neurons, np.zeros(units, bool), synapses, steps, outputs)
    fires = np.argwhere(rng.random((steps, sizes[0])) < 0.5)
    return program, Emissions.of(fires[:, 0], fires[:, 1])


def assert_same(one: SampleRun, other: SampleRun) -> None:
    """Everything is equal, the order of events included."""
    assert np.array_equal(one.log, other.log)
    for name in ("ended", "events", "delivered", "latency", "worst", "done"):
        assert getattr(one, name) == getattr(other, name), name
    for name in ("channels", "cores", "outputs", "raster"):
        assert np.array_equal(getattr(one, name), getattr(other, name)), name
