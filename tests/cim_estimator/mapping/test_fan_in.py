"""Wide neurons, split: nothing fits too tightly, every input arrives once, and spikes are those that must be sent."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from hasnas.cim_estimator.mapping import SpikeGraph, SpikeTimes, split_wide
from hasnas.errors import BadInputError

from .graphs import layered


def inputs_behind(graph: SpikeGraph, neuron: int, original: int) -> list[int]:
    """Original inputs that reach a neuron through intermediate ones, each as often as it arrives."""
    offsets, sources = graph.incoming
    found: list[int] = []
    for source in sources[offsets[neuron] : offsets[neuron + 1]].tolist():
        found += inputs_behind(graph, source, original) if source >= original else [source]
    return found


@pytest.mark.parametrize("how", ["partial-sums", "chain"])
@pytest.mark.parametrize("rows", [2, 3, 7, 16])
def test_every_input_arrives_once(how: str, rows: int) -> None:
    graph = layered([40, 5, 3], 0)
    split = split_wide(graph, rows, how)  # type: ignore[arg-type]
    assert split.fan_in.max() <= rows
    for neuron in range(40, 48):
        offsets, sources = graph.incoming
        expected = sources[offsets[neuron] : offsets[neuron + 1]].tolist()
        assert sorted(inputs_behind(split, neuron, graph.neurons)) == expected
    assert split.spikes[: graph.neurons].tolist() == graph.spikes.tolist()


def test_neighbours_hear_what_they_share_in_whole_pieces() -> None:
    """Eight neurons of 10 inputs in common and 3 of their own, which lie between them by number."""
    own = np.arange(34).reshape(-1, 2)[:12].ravel()
    shared = np.setdiff1d(np.arange(34), own)
    sources = np.concatenate([np.tile(shared, 8), own])
    targets = 34 + np.concatenate([np.repeat(np.arange(8), 10), np.repeat(np.arange(8), 3)])
    split = split_wide(SpikeGraph.from_edges(sources, targets, np.ones(42), 10), 12)
    offsets, inputs = split.incoming
    heard = [set(inputs[offsets[n] : offsets[n + 1]].tolist()) for n in range(42, split.neurons)]
    assert len(heard) == 16
    assert heard[:8] == [set(shared.tolist())] * 8
    assert set.union(*heard[8:]) == set(own.tolist())


@pytest.mark.parametrize("fan_in, rows", [(128, 127), (253, 127), (254, 127), (1000, 127)])
def test_the_chain_is_as_long_as_spinemap_makes_it(fan_in: int, rows: int) -> None:
    split = split_wide(layered([fan_in, 1], 0), rows, "chain")
    assert split.neurons - (fan_in + 1) == math.ceil((fan_in - rows) / (rows - 1))
    assert split.fan_in[fan_in + 1] == rows


def test_narrow_graphs_stay_as_they_are() -> None:
    graph = layered([8, 4], 0)
    assert split_wide(graph, 8) is graph


def test_intermediate_neurons_send_when_any_input_does() -> None:
    graph = SpikeGraph.from_edges([0, 1, 2, 3], [4] * 4, [2, 1, 2, 0, 0], steps=6, samples=2)
    steps, samples = np.array([1, 3, 3, 0, 5], np.int32), np.array([0, 0, 0, 1, 1], np.int32)
    graph = replace(graph, times=SpikeTimes(np.array([0, 2, 3, 5, 5, 5]), samples, steps))
    split = split_wide(graph, 2)
    assert split.spikes.tolist() == [2, 1, 2, 0, 0, 2, 2]  # 0 and 1 meet at timestep 3
    assert split.times is not None
    assert split.times.steps[-4:].tolist() == [1, 3, 0, 5]
    assert split.times.samples[-4:].tolist() == [0, 0, 1, 1]


def test_without_times_as_many_as_there_can_be() -> None:
    graph = SpikeGraph.from_edges([0, 1, 2, 3], [4] * 4, [2, 1, 9, 8, 0], steps=10)
    assert split_wide(graph, 2).spikes.tolist() == [2, 1, 9, 8, 0, 3, 10]
    chained = split_wide(graph, 2, "chain")
    assert chained.spikes.tolist() == [2, 1, 9, 8, 0, 3, 10]
    assert chained.incoming[1].tolist() == [3, 6, 0, 1, 2, 5]


def test_bad_ways_are_named() -> None:
    with pytest.raises(BadInputError, match="unknown splitting 'chains'; did you mean 'chain'"):
        split_wide(layered([8, 4], 0), 4, "chains")  # type: ignore[arg-type]
    with pytest.raises(BadInputError, match="crossbars of 1 row"):
        split_wide(layered([8, 4], 0), 1)
