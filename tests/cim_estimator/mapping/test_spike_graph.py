"""Spike graphs: their arrays, their files, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hasnas.cim_estimator.mapping import (
    Layers,
    SpikeGraph,
    SpikeTimes,
    open_graph,
    read_graph_text,
    save_graph,
    write_graph_text,
)
from hasnas.errors import BadInputError

GRAPH = "# two inputs, two neurons\n0 2 3\n1 3\n2 3\n"
SPIKES = "0 0 4 9\n1 2\n3 5 6 # the output\n"


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    graph, spikes = tmp_path / "graph.txt", tmp_path / "spikes.txt"
    graph.write_text(GRAPH)
    spikes.write_text(SPIKES)
    return graph, spikes


def same(one: SpikeGraph, other: SpikeGraph) -> None:
    assert (one.steps, one.samples, one.step_s) == (other.steps, other.samples, other.step_s)
    for name in ("offsets", "destinations", "spikes"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert (one.times is None) == (other.times is None)
    if one.times is not None and other.times is not None:
        for name in ("offsets", "samples", "steps"):
            np.testing.assert_array_equal(getattr(one.times, name), getattr(other.times, name))


def test_text_is_read(files: tuple[Path, Path]) -> None:
    graph = read_graph_text(*files, step_s=2e-3)
    assert (graph.neurons, graph.synapses, graph.steps) == (4, 4, 10)
    assert graph.spikes.tolist() == [3, 1, 0, 2]
    assert graph.fan_in.tolist() == [0, 0, 1, 3]
    assert graph.sources.tolist() == [0, 0, 1, 2]
    offsets, sources = graph.incoming
    assert sources[offsets[3] : offsets[4]].tolist() == [0, 1, 2]
    assert graph.duration_s == pytest.approx(0.02)
    assert graph.times is not None
    assert graph.times.steps.tolist() == [0, 4, 9, 2, 5, 6]


def test_spikes_of_a_neuron_that_is_just_too_large_are_refused(tmp_path: Path):
    (tmp_path / "graph.txt").write_text("0 1 2\n")
    (tmp_path / "spikes.txt").write_text("3 0 1\n")
    with pytest.raises(BadInputError, match=r"neuron 3 is not in .*known: 0 to 2"):
        read_graph_text(tmp_path / "graph.txt", tmp_path / "spikes.txt")


def test_text_and_npz_give_the_graph_back(files: tuple[Path, Path], tmp_path: Path) -> None:
    graph = read_graph_text(*files)
    write_graph_text(graph, tmp_path / "a.txt", tmp_path / "b.txt")
    same(read_graph_text(tmp_path / "a.txt", tmp_path / "b.txt"), graph)
    save_graph(graph, tmp_path / "g.npz")
    opened = open_graph(tmp_path / "g.npz")
    same(opened, graph)
    assert isinstance(opened.destinations, np.memmap)
    with np.load(tmp_path / "g.npz", allow_pickle=False) as plain:
        assert plain["spikes"].tolist() == [3, 1, 0, 2]


def test_several_samples_and_no_times_are_kept(tmp_path: Path) -> None:
    graph = SpikeGraph.from_edges([0, 1], [1, 2], [3, 1, 0], steps=5, samples=2, step_s=1e-6)
    save_graph(graph, tmp_path / "g.npz")
    same(open_graph(tmp_path / "g.npz"), graph)
    times = SpikeTimes(np.array([0, 3, 4, 4]), np.array([0, 0, 1, 1], np.int32), np.array([1, 4, 0, 2], np.int32))
    timed = replace(graph, times=times)
    save_graph(timed, tmp_path / "t.npz")
    same(open_graph(tmp_path / "t.npz"), timed)
    with pytest.raises(BadInputError, match="one sample"):
        write_graph_text(timed, tmp_path / "a", tmp_path / "b")


def test_edges_are_sorted_and_merged() -> None:
    graph = SpikeGraph.from_edges([2, 0, 0, 0], [1, 2, 1, 2], [1, 1, 1], steps=1)
    assert graph.offsets.tolist() == [0, 2, 2, 3]
    assert graph.destinations.tolist() == [1, 2, 1]


@pytest.mark.parametrize(
    "graph, spikes, message",
    [
        ("0 1\n", "0 3 -1\n", r"spikes.txt, line 1: time -1 is negative; give 0, 1, 2"),
        ("0 1\n", "0 0.5\n", r"time '0.5' is not a whole timestep"),
        ("0 1\n", "7 1\n", r"line 1: neuron 7 is not in .*graph.txt; known: 0 to 1"),
        ("0 1\n", "0 3 3\n", r"time 3 is listed twice"),
        ("0 1\n0 2\n", "0 1\n", r"line 2: neuron 0 has line 1 already"),
        ("0 1 1\n", "0 1\n", r"neuron 1 is listed twice"),
        ("0 -1\n", "0 1\n", r"neuron -1 is negative"),
        ("0 x\n", "0 1\n", r"neuron 'x' is not a whole number"),
        ("0 99999999999\n", "0 1\n", r"too large"),
        ("0 50000000\n", "0 1\n", r"number them from 0"),
        ("# nothing\n", "0 1\n", r"holds no neurons"),
    ],
)
def test_bad_lines_are_named(tmp_path: Path, graph: str, spikes: str, message: str) -> None:
    (tmp_path / "graph.txt").write_text(graph)
    (tmp_path / "spikes.txt").write_text(spikes)
    with pytest.raises(BadInputError, match=message) as caught:
        read_graph_text(tmp_path / "graph.txt", tmp_path / "spikes.txt")
    assert "\n" not in str(caught.value)


def test_bad_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="cannot read"):
        open_graph(tmp_path / "absent.npz")
    (tmp_path / "text.npz").write_text("hello")
    with pytest.raises(BadInputError, match=r"not a whole \.npz file"):
        open_graph(tmp_path / "text.npz")
    np.savez(tmp_path / "other.npz", a=np.arange(3))
    with pytest.raises(BadInputError, match="lacks destinations, offsets"):
        open_graph(tmp_path / "other.npz")
    np.savez(tmp_path / "objects.npz", a=np.array([{}], dtype=object))
    with pytest.raises(BadInputError, match="Python objects"):
        open_graph(tmp_path / "objects.npz")
    save_graph(SpikeGraph.from_edges([0], [1], [1, 1], 1), tmp_path / "whole.npz")
    (tmp_path / "cut.npz").write_bytes((tmp_path / "whole.npz").read_bytes()[:-40])
    with pytest.raises(BadInputError, match=r"not a whole \.npz file"):
        open_graph(tmp_path / "cut.npz")


@pytest.mark.parametrize(
    "change, message",
    [
        ({"spikes": np.array([1, -1, 0])}, "neuron 1 has a negative number of spikes"),
        ({"destinations": np.array([1, 5], np.int32)}, "outside 0 to 2"),
        ({"destinations": np.array([2, 1], np.int32), "offsets": np.array([0, 2, 2, 2])}, "must ascend"),
        ({"offsets": np.array([0, 1, 2])}, "offsets must rise"),
        ({"steps": 0}, "must be above 0"),
        ({"times": SpikeTimes(np.array([0, 1, 2, 2]), np.zeros(2, np.int32), np.array([0, 9], np.int32))}, "time 9"),
        ({"times": SpikeTimes(np.array([0, 1, 1, 1]), np.zeros(1, np.int32), np.zeros(1, np.int32))}, "another number"),
    ],
)  # fmt: skip
def test_arrays_that_do_not_fit_are_refused(change: dict[str, object], message: str) -> None:
    graph = SpikeGraph.from_edges([0, 1], [1, 2], [1, 1, 0], steps=5)
    with pytest.raises(BadInputError, match=message):
        replace(graph, **change)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"layers": Layers(("a", "b"), np.array([0.5, 1.0]))}, "layers must be a list of whole numbers"),
        ({"layers": Layers(("a", "b"), np.array([[0], [1]]))}, "layers must be a list of whole numbers"),
        ({"layers": Layers(("a", "b"), np.array([0, 2]))}, "layers must be one of 2 for each neuron"),
        ({"destinations": np.array([1.0])}, "destinations must be a list of whole numbers"),
        ({"spikes": np.array(["1", "1"])}, "spikes must be a list of whole numbers"),
        ({"strengths": np.array(["1"])}, "strengths must be a list of numbers"),
        (
            {"times": SpikeTimes(np.array([0, 1, 2]), np.array([0, 0]), np.array([0.0, 0.5]))},
            "steps of spike times must be a list of whole numbers",
        ),
    ],
)
def test_arrays_of_another_kind_are_refused(changes: dict[str, Any], message: str) -> None:
    graph = SpikeGraph.from_edges([0], [1], [1, 1], steps=1)
    with pytest.raises(BadInputError, match=message):
        replace(graph, **changes)
