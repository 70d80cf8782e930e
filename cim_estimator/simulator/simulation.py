"""Samples of a program on a machine, by the compiled event loop or by the interpreter."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hasnas.errors import BadInputError, nearest

from . import interpreter, kernel, network
from .calendar import NOTHING, calendar
from .kernel import Source, State
from .machine import Machine
from .network import Network
from .prepare import Placement, Prepared, Settings, prepare
from .program import Emissions, Program
from .results import SampleRun, Simulated

ENGINES = ("compiled", "plain")
MOST_ROOM = 1 << 27  # packets, or entries of the log: 16 GiB of queues, and as much of a log where there is one
LOGGED = 4  # entries of the log for each packet that is under way at once: it is sent, takes hops, arrives, is read


def simulate(
    program: Program,
    samples: Sequence[Emissions],
    placement: Placement,
    machine: Machine,
    settings: Settings,
    engine: str = "compiled",
) -> Simulated:
    """Run samples one after another, each from rest.

    Args:
        program: what the units do.
        samples: what the sources send in each.
        placement: where units are.
        machine: how long things take and what they cost.
        settings: mode and routing.
        engine: `"compiled"`, or `"plain"` for the interpreter in plain Python, which answers the same.

    Raises:
        BadInputError: if they do not belong together, a sample cannot come to its end, or the engine is unknown.
    """
    if engine not in ENGINES:
        raise BadInputError(f"unknown engine '{engine}'{nearest(engine, ENGINES)}")
    if not samples:
        raise BadInputError("no samples to simulate; give at least one")
    prepared = prepare(program, placement, machine, settings)
    for sample in samples:
        _check(sample, program, settings)
    run = Compiled().run if engine == "compiled" else interpreter.run_sample
    runs = [run(prepared, sample) for sample in samples]
    stuck = next((number for number, found in enumerate(runs) if not found.done), None)
    if stuck is not None:
        raise BadInputError(f"sample {stuck} never ends: packets wait for each other; give the queues more room")
    return Simulated(machine, placement.topology.links, runs)


def _check(sample: Emissions, program: Program, settings: Settings) -> None:
    if not len(sample.moments):
        return
    if sample.moments[0] < 0:
        raise BadInputError(f"a spike at time {sample.moments[0]}; give times from 0")
    if settings.mode == "barrier" and sample.moments[-1] >= program.steps:
        raise BadInputError(
            f"a spike at timestep {sample.moments[-1]} of {program.steps}; give 0 to {program.steps - 1}"
        )
    if not 0 <= sample.units.min() <= sample.units.max() < program.units:
        raise BadInputError(f"a spike of a unit outside 0 to {program.units - 1}; record this network anew")


class Compiled:
    """The compiled loop; it remembers how much room a sample needed."""

    def __init__(self, room: int = 1 << 10) -> None:
        self.room = room

    def run(self, prepared: Prepared, sample: Emissions) -> SampleRun:
        """One sample; it starts again with more room where that was too little."""
        source = Source(sample.moments, sample.units, sample.values)
        while True:
            net, state = new_network(prepared, self.room), new_state(prepared)
            kernel.run_sample(net, prepared.chip, prepared.routes, prepared.units, source, state)
            if not net.numbers[network.FULL]:
                return _result(prepared, net, state)
            self.room *= 4
            if self.room > MOST_ROOM:
                raise BadInputError(f"more than {MOST_ROOM:,} packets or entries of the log; simulate fewer timesteps")


def new_network(prepared: Prepared, room: int) -> Network:
    """A network in which nothing is under way."""
    channels = np.zeros((len(prepared.channels), network.LONGEST + 1), np.int64)
    channels[:, : network.ROOM + 1] = prepared.channels
    channels[:, [network.HEAD, network.TAIL, network.WAITER, network.LAST_WAITER]] = NOTHING
    packets = np.zeros((room, network.QUEUE + 1), np.int64)
    waiters = np.zeros((room, network.FOLLOWING + 1), np.int64)
    packets[:, network.AFTER] = waiters[:, network.FOLLOWING] = np.append(np.arange(1, room), NOTHING)
    log = np.zeros((room * LOGGED if prepared.log else 1, 4), np.int64)  # time, kind, component, number
    numbers = np.zeros(network.LOGS + 1, np.int64)
    numbers[network.LOGS] = prepared.log
    return Network(calendar(room), channels, prepared.routes.nodes, packets, np.zeros(room), waiters, log, numbers)


def new_state(prepared: Prepared) -> State:
    """Cores at rest."""
    settings, units = prepared.chip.settings, len(prepared.units.numbers)
    sums = np.zeros((kernel.CURRENT + 1, units))
    sums[kernel.MEMBRANE] = prepared.units.floats[kernel.RESET]
    steps = settings[kernel.STEPS] if settings[kernel.COMPUTES] else 1
    cores = np.zeros((settings[kernel.CLUSTERS], kernel.FIRED + 1), np.int64)
    raster = np.zeros((steps, units), np.int64)
    return State(cores, sums, np.zeros((2, units), np.int64), raster)


def _result(prepared: Prepared, net: Network, state: State) -> SampleRun:
    numbers, settings = net.numbers, prepared.chip.settings
    cores = state.cores[:, [kernel.RECEIVED, kernel.WRITTEN, kernel.READS, kernel.SYNOPS, kernel.FIRED]]
    if settings[kernel.BARRIER] and not settings[kernel.COMPUTES]:
        cores[:, 2] = settings[kernel.STEPS]
    barrier = bool(settings[kernel.BARRIER])
    return SampleRun(
        log=net.log[: numbers[network.LOGGED]],
        ended=int(numbers[network.ENDED]),
        events=int(numbers[network.EVENTS]),
        delivered=int(numbers[network.DELIVERED]),
        latency=int(numbers[network.LATENCY]),
        worst=int(numbers[network.WORST]),
        channels=net.channels[:, [network.PASSED, network.WAITED, network.LONGEST]],
        cores=cores,
        outputs=state.sums[kernel.TOTAL][prepared.outputs],
        raster=state.raster,
        done=bool(numbers[network.DONE]) if barrier else settings[kernel.COMPUTES] or numbers[network.OUTSTANDING] == 0,
    )
