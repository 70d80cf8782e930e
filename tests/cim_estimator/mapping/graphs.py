"""Spike graphs for tests: random, layered, and with planted clusters; slow rules written out plainly."""

from __future__ import annotations

import numpy as np

from hasnas.cim_estimator.mapping import SpikeGraph


def random_graph(
    neurons: int, synapses: int, seed: int, inputs: int = 0, most_spikes: int = 9, steps: int = 20
) -> SpikeGraph:
    """A graph whose first `inputs` neurons come from outside; recurrent edges and loops happen."""
    rng = np.random.default_rng(seed)
    sources = rng.integers(neurons, size=synapses)
    destinations = rng.integers(inputs, neurons, size=synapses)
    spikes = rng.integers(0, most_spikes + 1, size=neurons)
    return SpikeGraph.from_edges(sources, destinations, spikes, steps)


def planted(groups: int, size: int, seed: int) -> tuple[SpikeGraph, np.ndarray]:
    """Groups that talk within themselves, with a weak ring between them; neurons are numbered at random.

    Returns:
        The graph, and the group of each neuron.
    """
    rng = np.random.default_rng(seed)
    edges = [
        (g * size + i, g * size + int(j))
        for g in range(groups)
        for i in range(size)
        for j in rng.choice(size, max(2, size // 2), replace=False)
    ]
    edges += [(g * size, (g + 1) % groups * size + 1) for g in range(groups)]
    number = rng.permutation(groups * size)
    sources, destinations = number[np.array(edges)].T
    group = np.empty(groups * size, int)
    group[number] = np.repeat(np.arange(groups), size)
    return SpikeGraph.from_edges(sources, destinations, np.full(groups * size, 7), 20), group


def layered(sizes: list[int], seed: int, steps: int = 50, density: float = 1.0) -> SpikeGraph:
    """A feed-forward network; the first layer comes from outside."""
    rng = np.random.default_rng(seed)
    starts = np.concatenate([[0], np.cumsum(sizes)])
    edges = [
        np.argwhere(rng.random((sizes[at], sizes[at + 1])) < density) + [starts[at], starts[at + 1]]
        for at in range(len(sizes) - 1)
    ]
    sources, destinations = np.concatenate(edges).T
    return SpikeGraph.from_edges(sources, destinations, rng.integers(0, steps, starts[-1]), steps)


def slow_global_spikes(graph: SpikeGraph, clusters: np.ndarray) -> int:
    """The definition, with sets."""
    total = 0
    for neuron in range(graph.neurons):
        reached = graph.destinations[graph.offsets[neuron] : graph.offsets[neuron + 1]]
        total += int(graph.spikes[neuron]) * len(set(clusters[reached].tolist()) - {int(clusters[neuron])})
    return total


def slow_usage(graph: SpikeGraph, clusters: np.ndarray) -> tuple[list[int], list[int]]:
    """Rows and columns by cluster, with sets."""
    count = int(clusters.max()) + 1
    rows: list[set[int]] = [set() for _ in range(count)]
    columns: list[set[int]] = [set() for _ in range(count)]
    for source, destination in zip(graph.sources.tolist(), graph.destinations.tolist(), strict=True):
        rows[clusters[destination]].add(source)
        columns[clusters[destination]].add(destination)
    return list(map(len, rows)), list(map(len, columns))


def local_layers(width: int, depth: int, reach: int, outputs: int, seed: int) -> SpikeGraph:
    """Layers in which a neuron hears a window of the layer before, as in a convolution; then a full layer."""
    rng = np.random.default_rng(seed)
    edges = [
        (layer * width + (unit + shift) % width, (layer + 1) * width + unit)
        for layer in range(depth - 1)
        for unit in range(width)
        for shift in range(-reach, reach + 1)
    ]
    last = (depth - 1) * width
    edges += [(last + unit, last + width + output) for unit in range(width) for output in range(outputs)]
    sources, destinations = np.array(edges).T
    return SpikeGraph.from_edges(sources, destinations, rng.integers(0, 20, last + width + outputs), 40)
