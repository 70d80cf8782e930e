"""Neurons with more inputs than a crossbar has rows, spread over several crossbars.

partial sums   every piece sums up to `rows` inputs and sends its sum on; sums of sums where there are many. Inputs that
               reach many neurons and inputs that reach few share no piece: neighbours then hear the same in whole
               pieces, which one crossbar holds
chain          SpiNeMap: a neuron passes its `rows` inputs to the next, which has one row less for its own
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from hasnas.errors import BadInputError, nearest

from .spike_graph import Ids, Ints, Layers, SpikeGraph, SpikeTimes

Splitting = Literal["partial-sums", "chain"]
_ALIKE = 2.0
"""Inputs of one piece, ordered by how many neurons they reach, differ from the next by at most this factor.

It is the largest step within one kind of input: at the borders of a 3 x 3 kernel 9, 6 and 4 places are reached, with a
stride of 2 inside 4, 2 and 1. Steps between kinds are larger: an input that whole positions share, and one of a neuron
alone.
"""


def split_wide(graph: SpikeGraph, rows: int, how: Splitting = "partial-sums") -> SpikeGraph:
    """The graph with intermediate neurons, so that none has more than `rows` inputs.

    Neurons keep their numbers; intermediate ones follow them, the first of every wide neuron before all second ones. An
    intermediate neuron sends at every timestep at which any of its inputs does: known from the spike times, otherwise
    at most the sum of its inputs' spikes and at most once a timestep.

    Args:
        graph: any graph.
        rows: most inputs of a neuron, at least 2.
        how: partial sums, or SpiNeMap's chain of `ceil((n - rows) / (rows - 1))` intermediate neurons before the
            original (github.com/drexel-DISCO/SpiNeMap, fan-in unrolling).

    Raises:
        BadInputError: if a crossbar has a single row, or `how` is unknown.
    """
    if how not in get_args(Splitting):
        raise BadInputError(f"unknown splitting '{how}'{nearest(str(how), get_args(Splitting))}")
    while graph.fan_in.max() > rows:
        if rows < 2:
            raise BadInputError("neurons with several inputs cannot be split over crossbars of 1 row; give 2 or more")
        graph = _split_once(graph, rows, how)
    return graph


def _split_once(graph: SpikeGraph, rows: int, how: Splitting) -> SpikeGraph:
    sources = graph.incoming[1]
    targets = np.repeat(np.arange(graph.neurons), graph.fan_in)
    wide = np.flatnonzero(graph.fan_in > rows)
    piece, added = _summed(graph, rows) if how == "partial-sums" else _chained(graph, rows)
    first = np.cumsum(added) - added  # place of a neuron's first piece, neuron by neuron
    owner = np.repeat(wide, added[wide])
    nth = np.arange(len(owner)) - first[owner]
    number = np.empty(len(owner), np.int64)  # first pieces come first: neighbours hear much the same in them
    number[np.lexsort((owner, nth))] = graph.neurons + np.arange(len(owner))
    split = piece < added[targets]
    targets[split] = number[(first[targets] + piece)[split]]
    is_last = nth == added[owner] - 1
    following = np.where(is_last | (how == "partial-sums"), owner, np.append(number[1:], 0))
    pieces = number
    neurons = graph.neurons + len(pieces)
    spikes = np.concatenate([graph.spikes, np.zeros(len(pieces), np.int64)])
    edges = np.concatenate([sources, pieces]), np.concatenate([targets, following])
    strengths = None
    if graph.strengths is not None:  # what an intermediate neuron sends on is not weighed again
        order = np.argsort(graph.destinations, kind="stable")
        strengths = np.concatenate([graph.strengths[order], np.ones(len(pieces), np.float32)])
    wider = SpikeGraph.from_edges(*edges, spikes, graph.steps, graph.samples, graph.step_s, strengths)
    if graph.layers is not None:  # pieces belong to their neuron's
        of = np.append(graph.layers.of, np.zeros(len(pieces), np.int32))
        of[pieces] = graph.layers.of[owner]
        wider = replace(wider, layers=Layers(graph.layers.names, of))
    if graph.times is None:
        return replace(wider, spikes=_most_spikes(wider, graph.neurons))
    return _with_times(wider, graph.times, graph.neurons, neurons)


def _chained(graph: SpikeGraph, rows: int) -> tuple[Ints, Ints]:
    """Piece of each input as `graph.incoming` has them, and pieces of each neuron."""
    wide, added = graph.fan_in > rows, np.zeros(graph.neurons, np.int64)
    added[wide] = -(-(graph.fan_in[wide] - rows) // (rows - 1))
    rank = np.arange(graph.synapses) - np.repeat(graph.incoming[0][:-1], graph.fan_in)
    return np.maximum(rank - 1, 0) // (rows - 1), added


def _summed(graph: SpikeGraph, rows: int) -> tuple[Ints, Ints]:
    """The same for partial sums; inputs of a neuron that reach alike many neurons are cut into pieces of their own."""
    sources = graph.incoming[1]
    targets = np.repeat(np.arange(graph.neurons), graph.fan_in)
    group = _groups(graph, rows, sources, targets)
    order = np.lexsort((sources, group))
    sizes = np.bincount(group)
    heads = np.cumsum(sizes) - sizes
    owner = targets[order][heads]
    pieces = np.where(graph.fan_in[owner] > rows, -(-sizes // rows), 0)
    before = np.cumsum(pieces) - pieces
    before -= before[np.searchsorted(owner, owner)]  # pieces of the neuron's groups of more reach
    rank = np.arange(graph.synapses) - np.repeat(heads, sizes)
    piece = np.empty(graph.synapses, np.int64)
    piece[order] = np.repeat(before, sizes) + rank * np.repeat(pieces, sizes) // np.repeat(sizes, sizes)
    return piece, np.bincount(owner, pieces, graph.neurons).astype(np.int64)


def _groups(graph: SpikeGraph, rows: int, sources: Ids, targets: Ints) -> Ints:
    """Group of each input, neuron after neuron, those of most reach first; a single one where they are too many."""
    reach = np.diff(graph.offsets)[sources]
    order = np.lexsort((-reach, targets))
    falls = reach[order][:-1] > _ALIKE * reach[order][1:]
    other = targets[1:] != targets[:-1]  # `order` keeps each neuron's inputs together
    found = np.empty(graph.synapses, np.int64)
    found[order] = np.cumsum(np.append(0, falls | other))
    sizes = np.bincount(found)
    owner = targets[np.cumsum(sizes) - sizes]
    many = np.bincount(owner, -(-sizes // rows), graph.neurons) > rows
    found[order] = np.cumsum(np.append(0, (falls & ~many[targets[1:]]) | other))
    return found


def _most_spikes(graph: SpikeGraph, first: int) -> Ints:
    spikes, (offsets, sources) = graph.spikes.copy(), graph.incoming
    for neuron in range(first, graph.neurons):  # in this order: the next of a chain hears the one before
        heard = spikes[sources[offsets[neuron] : offsets[neuron + 1]]].sum()
        spikes[neuron] = min(heard, graph.steps * graph.samples)
    return spikes


def _with_times(graph: SpikeGraph, times: SpikeTimes, first: int, neurons: int) -> SpikeGraph:
    offsets, sources = graph.incoming
    moments = times.samples.astype(np.int64) * graph.steps + times.steps
    trains: list[NDArray[np.int64]] = np.split(moments, times.offsets[1:-1])
    known: dict[bytes, NDArray[np.int64]] = {}  # pieces of neighbours often have the same inputs
    for neuron in range(first, neurons):
        inputs = sources[offsets[neuron] : offsets[neuron + 1]]
        key = inputs.tobytes()
        if key not in known:
            known[key] = np.unique(np.concatenate([trains[source] for source in inputs]))
        trains.append(known[key])
    counts = np.array([len(train) for train in trains], np.int64)
    joined = np.concatenate(trains)
    new_times = SpikeTimes(
        np.concatenate([[0], np.cumsum(counts)]),
        (joined // graph.steps).astype(np.int32),
        (joined % graph.steps).astype(np.int32),
    )
    return replace(graph, spikes=counts, times=new_times)
