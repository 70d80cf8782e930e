"""The workload as it really spikes: a directed hypergraph in arrays.

A neuron has one axon: it reaches a set of neurons, and each of its spikes goes to all of them. Plain edges would count
a spike again for every synapse, although one packet serves all synapses of a crossbar.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hasnas.errors import BadInputError

Ints = NDArray[np.int64]
Ids = NDArray[np.int32]
Shares = NDArray[np.float32]


@dataclass(frozen=True)
class SpikeTimes:
    """When neurons spike; those of neuron `i` are at `offsets[i]:offsets[i + 1]`, by sample, then by timestep.

    Args:
        offsets: shape `[neurons + 1]`.
        samples: index of the sample, shape `[spikes]`.
        steps: timestep within the sample, from 0, shape `[spikes]`.
    """

    offsets: Ints
    samples: Ids
    steps: Ids


@dataclass(frozen=True)
class Layers:
    """Which layer of a network each neuron belongs to.

    Args:
        names: of the layers.
        of: layer of each neuron, an index into `names`, shape `[neurons]`.
    """

    names: tuple[str, ...]
    of: Ids


@dataclass(frozen=True)
class SpikeGraph:
    """Neurons, what their axons reach, and how often they spike; neurons without fan-in are inputs from outside.

    Args:
        offsets: the destinations of neuron `i` are at `offsets[i]:offsets[i + 1]`, shape `[neurons + 1]`.
        destinations: neurons, ascending within an axon and each once, shape `[synapses]`.
        spikes: spikes of each neuron over all samples, shape `[neurons]`.
        steps: timesteps of a sample.
        samples: number of samples that were recorded.
        step_s: seconds from one timestep to the next.
        times: when each spike happened, if it was recorded.
        strengths: weight of each synapse as a share of the largest magnitude in its layer, -1 to 1, shape `[synapses]`;
            None if all cells are taken as fully on.
        layers: of the neurons, if they come from a network that is known.

    Raises:
        BadInputError: if the arrays do not fit together.

    >>> graph = SpikeGraph.from_edges([0, 0, 1], [1, 2, 2], spikes=[5, 3, 0], steps=10)
    >>> graph.neurons, graph.synapses, graph.fan_in.tolist()
    (3, 3, [0, 1, 2])
    """

    offsets: Ints
    destinations: Ids
    spikes: Ints
    steps: int
    samples: int = 1
    step_s: float = 1e-3
    times: SpikeTimes | None = None
    strengths: Shares | None = None
    layers: Layers | None = None

    def __post_init__(self) -> None:
        check(self)

    @classmethod
    def from_edges(
        cls,
        sources: Any,
        destinations: Any,
        spikes: Any,
        steps: int,
        samples: int = 1,
        step_s: float = 1e-3,
        strengths: Any = None,
    ) -> SpikeGraph:
        """The graph of these synapses, in any order; one given twice counts once, as strong as where it stands first.

        Args:
            sources: neurons, shape `[synapses]`.
            destinations: neurons, shape `[synapses]`.
            spikes: spikes of each neuron, shape `[neurons]`.
            steps: timesteps of a sample.
            samples: number of samples.
            step_s: seconds from one timestep to the next.
            strengths: weights as shares of the largest, shape `[synapses]`.
        """
        counts = np.asarray(spikes, np.int64)
        source, destination = np.asarray(sources, np.int64), np.asarray(destinations, np.int64)
        for name, ids in (("source", source), ("destination", destination)):
            if ids.size and not 0 <= ids.min() <= ids.max() < len(counts):
                raise BadInputError(
                    f"a {name} is outside 0 to {len(counts) - 1}; give spikes for every neuron, in order"
                )
        keys, first = np.unique(source * len(counts) + destination, return_index=True)
        offsets = np.searchsorted(keys, np.arange(len(counts) + 1) * len(counts))
        shares = None if strengths is None else np.asarray(strengths, np.float32)[first]
        ends = (keys % max(len(counts), 1)).astype(np.int32)
        return cls(offsets, ends, counts, steps, samples, step_s, strengths=shares)

    @property
    def neurons(self) -> int:
        """Number of neurons, inputs from outside among them."""
        return len(self.spikes)

    @property
    def synapses(self) -> int:
        """Number of pairs of a source and a destination."""
        return len(self.destinations)

    @property
    def duration_s(self) -> float:
        """How long the recording took."""
        return self.steps * self.samples * self.step_s

    @cached_property
    def fan_in(self) -> Ints:
        """Number of sources of each neuron, shape `[neurons]`."""
        return np.bincount(self.destinations, minlength=self.neurons)

    @cached_property
    def sources(self) -> Ids:
        """The source of each synapse, in the order of `destinations`, shape `[synapses]`."""
        return np.repeat(np.arange(self.neurons, dtype=np.int32), np.diff(self.offsets))

    @cached_property
    def incoming(self) -> tuple[Ints, Ids]:
        """Offsets `[neurons + 1]` and sources `[synapses]` of what reaches each neuron; sources ascend."""
        order = np.argsort(self.destinations, kind="stable")
        offsets = np.zeros(self.neurons + 1, np.int64)
        np.cumsum(self.fan_in, out=offsets[1:])
        return offsets, self.sources[order]


def check(graph: SpikeGraph) -> None:
    """Raise what is wrong with the arrays of a graph."""
    _check_kinds(graph)
    neurons, destinations = graph.neurons, graph.destinations
    _check_offsets("offsets", graph.offsets, neurons, len(destinations))
    if neurons == 0:
        raise BadInputError("the graph has no neurons; give at least one")
    if destinations.size and not 0 <= destinations.min() <= destinations.max() < neurons:
        raise BadInputError(f"destinations hold a neuron outside 0 to {neurons - 1}; mend the graph")
    inside = np.ones(max(len(destinations) - 1, 0), bool)
    starts = graph.offsets[1:-1]
    inside[starts[(starts > 0) & (starts < len(destinations))] - 1] = False
    if np.any(np.diff(destinations)[inside] <= 0):
        raise BadInputError("destinations of an axon must ascend, each once; SpikeGraph.from_edges sorts them")
    if graph.spikes.min() < 0:
        raise BadInputError(f"neuron {int(graph.spikes.argmin())} has a negative number of spikes; give 0 or more")
    if graph.steps < 1 or graph.samples < 1 or not graph.step_s > 0:
        raise BadInputError(f"steps {graph.steps}, samples {graph.samples}, step_s {graph.step_s}: all must be above 0")
    shares = graph.strengths
    if shares is not None and (len(shares) != len(destinations) or not np.all(np.abs(shares) <= 1)):
        raise BadInputError("strengths must be one share from -1 to 1 for each synapse; mend the graph")
    if graph.layers is not None:
        of = graph.layers.of
        if len(of) != neurons or not 0 <= of.min() <= of.max() < len(graph.layers.names):
            raise BadInputError(f"layers must be one of {len(graph.layers.names)} for each neuron; mend the graph")
    if graph.times is not None:
        _check_times(graph, graph.times)


def _check_kinds(graph: SpikeGraph) -> None:
    arrays: dict[str, NDArray[Any]] = {
        "offsets": graph.offsets,
        "destinations": graph.destinations,
        "spikes": graph.spikes,
    }
    if graph.layers is not None:
        arrays["layers"] = graph.layers.of
    if graph.times is not None:
        arrays |= {f"{item.name} of spike times": getattr(graph.times, item.name) for item in fields(graph.times)}
    wrong = [name for name, array in arrays.items() if array.ndim != 1 or array.dtype.kind not in "iu"]
    if wrong:
        raise BadInputError(f"{wrong[0]} must be a list of whole numbers; mend the graph")
    if graph.strengths is not None and (graph.strengths.ndim != 1 or graph.strengths.dtype.kind != "f"):
        raise BadInputError("strengths must be a list of numbers; mend the graph")


def _check_times(graph: SpikeGraph, times: SpikeTimes) -> None:
    _check_offsets("offsets of spike times", times.offsets, graph.neurons, len(times.steps))
    if len(times.samples) != len(times.steps):
        raise BadInputError(f"{len(times.samples)} samples for {len(times.steps)} spike times; give one for each")
    if np.any(np.diff(times.offsets) != graph.spikes):
        neuron = int(np.argmax(np.diff(times.offsets) != graph.spikes))
        raise BadInputError(f"neuron {neuron} has another number of spike times than of spikes; record both together")
    for name, values, end in (("time", times.steps, graph.steps), ("sample", times.samples, graph.samples)):
        if values.size and not 0 <= values.min() <= values.max() < end:
            at = int(values.argmin()) if values.min() < 0 else int(values.argmax())
            neuron = int(np.searchsorted(times.offsets, at, "right")) - 1
            raise BadInputError(f"neuron {neuron} has a spike at {name} {values[at]}; give 0 to {end - 1}")
    moments = times.samples.astype(np.int64) * graph.steps + times.steps
    inside = np.repeat(np.arange(graph.neurons), graph.spikes)
    if np.any((np.diff(moments) <= 0) & (np.diff(inside) == 0)):
        raise BadInputError("spike times of a neuron must ascend, by sample and timestep, one spike a timestep")


def _check_offsets(name: str, offsets: Ints, neurons: int, end: int) -> None:
    if len(offsets) != neurons + 1 or offsets[0] != 0 or offsets[-1] != end or np.any(np.diff(offsets) < 0):
        raise BadInputError(f"{name} must rise from 0 to {end} in {neurons + 1} entries; mend the graph")
