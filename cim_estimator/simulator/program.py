"""What cores compute: units with synapses between them, and what is sent in from outside; one sample at a time.

A unit is one value of a layer: an input, a neuron, a sum or a maximum that is handed on as a number, or an output that
is summed up. Units of one phase depend, within a timestep, only on units of earlier phases.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hasnas.cim_estimator.mapping.spike_graph import SpikeGraph
from hasnas.errors import BadInputError

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class Kind(IntEnum):
    """What a unit does with what arrives.

    SOURCE   it is told when to send, and what
    NEURON   it integrates, and spikes
    SUM      it hands the sum on
    MAXIMUM  it hands the largest on; what did not arrive counts as 0
    OUTPUT   it adds up over time
    """

    SOURCE = 0
    NEURON = 1
    SUM = 2
    MAXIMUM = 3
    OUTPUT = 4


class NeuronArrays(NamedTuple):
    """Parameters of neurons by unit, each of shape `[units]`; what they mean for other units is nothing.

    i <- i + (x - i) / synapse, and then x is i, where synapse > 0;
    v <- v + (x - (v - reset)) / tau where tau > 0, v <- v + x where it is 0; held by a register in steps of `step`
    from `lowest` to `highest` steps where `step` > 0; a spike where v >= threshold + beta a; then v <- reset, or
    v <- v - threshold where `soft`; a <- fade a + spike.
    """

    tau: Floats
    threshold: Floats
    reset: Floats
    soft: Floats
    beta: Floats
    fade: Floats
    step: Floats
    levels: Floats
    synapse: Floats

    @classmethod
    def plain(cls, units: int) -> NeuronArrays:
        """Neurons without leak, threshold 1, reset to 0."""
        zero = np.zeros(units)
        return cls(zero, np.ones(units), *(zero.copy() for _ in range(7)))


@dataclass(frozen=True, eq=False)
class Synapses:
    """Weights between units, ordered by source.

    Args:
        sources: shape `[synapses]`.
        targets: shape `[synapses]`.
        weights: shape `[synapses]`.
        delays: 0, or 1 for what acts one timestep later, shape `[synapses]`.
    """

    sources: Ints
    targets: Ints
    weights: Floats
    delays: Ints


@dataclass(frozen=True, eq=False)
class Emissions:
    """What sources send in one sample, in order of time.

    Args:
        moments: timesteps, or ticks where a simulation has no timesteps, shape `[emissions]`.
        units: shape `[emissions]`.
        values: 1 for spikes, shape `[emissions]`.
    """

    moments: Ints
    units: Ints
    values: Floats

    @classmethod
    def of(cls, moments: NDArray[np.integer], units: NDArray[np.integer], values: Floats | None = None) -> Emissions:
        """Sorted by moment, then unit; spikes unless values are given."""
        order = np.lexsort((units, moments))
        ones = np.ones(len(units)) if values is None else np.asarray(values, float)
        return cls(np.asarray(moments, np.int64)[order], np.asarray(units, np.int64)[order], ones[order])


@dataclass(frozen=True, eq=False)
class Program:
    """Units and synapses.

    Args:
        kinds: a `Kind` for each unit, shape `[units]`.
        phases: 0 for sources, then rising, shape `[units]`.
        bias: added to each unit's input at every timestep, shape `[units]`.
        late_bias: the same from the second timestep on, shape `[units]`.
        neurons: parameters.
        static: units that send once a sample what then acts at every timestep, shape `[units]`.
        synapses: between units.
        steps: timesteps of a sample.
        outputs: units of the outputs in order.

    Raises:
        BadInputError: if arrays do not fit together.
    """

    kinds: Ints
    phases: Ints
    bias: Floats
    late_bias: Floats
    neurons: NeuronArrays
    static: NDArray[np.bool_]
    synapses: Synapses
    steps: int
    outputs: Ints = field(default_factory=lambda: np.empty(0, np.int64))

    def __post_init__(self) -> None:
        for name, array in (
            ("phases", self.phases),
            ("bias", self.bias),
            ("late_bias", self.late_bias),
            ("static", self.static),
        ):
            if len(array) != self.units:
                raise BadInputError(f"a program of {self.units} units has {name} for {len(array)}; give one for each")
        ends = np.concatenate([self.synapses.sources, self.synapses.targets])
        if ends.size and not 0 <= ends.min() <= ends.max() < self.units:
            raise BadInputError(f"a synapse ends outside units 0 to {self.units - 1}; mend the program")
        forward = self.synapses.delays == 0
        early = self.phases[self.synapses.targets[forward]] <= self.phases[self.synapses.sources[forward]]
        if self.steps < 1 or (self.computes and bool(np.any(early))):
            raise BadInputError("units of a phase may depend on earlier phases only, and there is at least 1 timestep")

    @property
    def units(self) -> int:
        """How many."""
        return len(self.kinds)

    @cached_property
    def computes(self) -> bool:
        """Whether units answer what arrives; otherwise all that they send is given."""
        return bool(np.any(self.kinds != Kind.SOURCE))

    @cached_property
    def fan_in(self) -> Ints:
        """Synapses onto each unit, shape `[units]`."""
        return np.bincount(self.synapses.targets, minlength=self.units)


def replayed(graph: SpikeGraph) -> tuple[Program, list[Emissions]]:
    """A recording as a program whose units are all told when to spike, and the spikes of each sample.

    Raises:
        BadInputError: if the graph holds no spike times.
    """
    if graph.times is None:
        raise BadInputError("the graph counts spikes but holds no spike times; record them to simulate it")
    units = graph.neurons
    weights, delays = np.zeros(graph.synapses), np.zeros(graph.synapses, np.int64)
    synapses = Synapses(np.asarray(graph.sources, np.int64), np.asarray(graph.destinations, np.int64), weights, delays)
    zero = np.zeros(units, np.int64)
    program = Program(
        zero,
        zero,
        np.zeros(units),
        np.zeros(units),
        NeuronArrays.plain(units),
        np.zeros(units, bool),
        synapses,
        graph.steps,
    )
    owner = np.repeat(np.arange(units), graph.spikes)
    order = np.argsort(graph.times.samples, kind="stable")
    ends = np.searchsorted(graph.times.samples[order], np.arange(graph.samples + 1))
    steps = np.asarray(graph.times.steps, np.int64)[order]
    rows = [slice(*pair) for pair in pairwise(ends)]
    return program, [Emissions.of(steps[row], owner[order][row]) for row in rows]
