"""Spike graphs as text: a line `source destination ...` for each neuron, and a line `neuron time ...`.

Times are whole timesteps from 0; what follows `#` is a remark.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from hasnas.errors import BadInputError
from hasnas.files import read_text

from .spike_graph import SpikeGraph, SpikeTimes

MOST_NEURONS = 50_000_000


def read_graph_text(graph_path: Path | str, spikes_path: Path | str, step_s: float = 1e-3) -> SpikeGraph:
    """Read one sample from two text files.

    Args:
        graph_path: a line `source destination ...` for each neuron that reaches others.
        spikes_path: a line `neuron time ...` for each neuron that spikes.
        step_s: seconds from one timestep to the next.

    Raises:
        BadInputError: if a line is wrong; file and line are named.
    """
    axons = _read_lines(graph_path, "neuron")
    if not axons:
        raise BadInputError(f"{graph_path} holds no neurons; give lines such as '0 3 4': neuron 0 reaches 3 and 4")
    neurons = 1 + max(max(source, *reached) if reached else source for source, (_, reached) in axons.items())
    if neurons > MOST_NEURONS:
        raise BadInputError(f"{graph_path} numbers neurons up to {neurons - 1}; number them from 0 without gaps")
    trains = _read_lines(spikes_path, "time")
    for neuron, (line, _) in trains.items():
        if neuron >= neurons:
            raise BadInputError(f"{spikes_path}, line {line}: neuron {neuron} is not in {graph_path}; known: 0 to "
                                f"{neurons - 1}")  # fmt: skip
    offsets, destinations = _pack({source: reached for source, (_, reached) in axons.items()}, neurons)
    time_offsets, steps = _pack({neuron: times for neuron, (_, times) in trains.items()}, neurons)
    times = SpikeTimes(time_offsets, np.zeros(len(steps), np.int32), steps)
    last = int(steps.max()) + 1 if len(steps) else 1
    return SpikeGraph(offsets, destinations, np.diff(time_offsets), last, 1, step_s, times)


def write_graph_text(graph: SpikeGraph, graph_path: Path | str, spikes_path: Path | str) -> None:
    """Write one sample as two text files that `read_graph_text` reads.

    Raises:
        BadInputError: if spike times were not recorded, or for several samples.
    """
    if graph.times is None or graph.samples != 1:
        raise BadInputError("the text form holds the spike times of one sample; save the graph as .npz")
    for path, offsets, values in (
        (graph_path, graph.offsets, graph.destinations),
        (spikes_path, graph.times.offsets, graph.times.steps),
    ):
        lines = (
            " ".join(map(str, [neuron, *values[offsets[neuron] : offsets[neuron + 1]]]))
            for neuron in range(graph.neurons)
        )
        Path(path).write_text("\n".join(lines) + "\n", encoding="utf-8")


def _read_lines(path: Path | str, what: str) -> dict[int, tuple[int, list[int]]]:
    """Neuron -> number of its line and what follows it, ascending."""
    found: dict[int, tuple[int, list[int]]] = {}
    for number, words in _lines(path):
        where = f"{path}, line {number}"
        neuron, *values = (_whole(word, where, "neuron" if index == 0 else what) for index, word in enumerate(words))
        if neuron in found:
            raise BadInputError(f"{where}: neuron {neuron} has line {found[neuron][0]} already; join them")
        if len(set(values)) < len(values):
            twice = next(value for value in values if values.count(value) > 1)
            raise BadInputError(f"{where}: {what} {twice} is listed twice; list it once")
        found[neuron] = number, sorted(values)
    return found


def _lines(path: Path | str) -> Iterator[tuple[int, list[str]]]:
    for number, line in enumerate(read_text(path).splitlines(), 1):
        words = line.split("#")[0].split()
        if words:
            yield number, words


def _whole(word: str, where: str, what: str) -> int:
    try:
        value = int(word)
    except ValueError as error:
        unit = "a whole timestep" if what == "time" else "a whole number"
        raise BadInputError(f"{where}: {what} '{word}' is not {unit}; give 0, 1, 2, ...") from error
    if not 0 <= value < 2**31:
        raise BadInputError(f"{where}: {what} {value} is {'negative' if value < 0 else 'too large'}; give 0, 1, 2, ...")
    return value


def _pack(rows: dict[int, list[int]], neurons: int) -> tuple[np.ndarray, np.ndarray]:
    sizes = np.zeros(neurons, np.int64)
    for neuron, values in rows.items():
        sizes[neuron] = len(values)
    flat = [value for neuron in sorted(rows) for value in rows[neuron]]
    return np.concatenate([[0], np.cumsum(sizes)]), np.array(flat, np.int32)
