"""Samples of a program on a machine, by the compiled event loop or by the interpreter."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hasnas.errors import BadInputError

from . import interpreter, kernel
from .calendar import calendar
from .kernel import NOTHING, Source, State
from .machine import Machine
from .prepare import Placement, Prepared, Settings, prepare
from .program import Emissions, Program
from .results import SampleRun, Simulated

MOST_ROOM = 1 << 27  # packets or entries of the log


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
        BadInputError: if they do not belong together, or a sample cannot come to its end.
    """
    if not samples:
        raise BadInputError("no samples to simulate; give at least one")
    prepared = prepare(program, placement, machine, settings)
    for sample in samples:
        _check(sample, program, settings)
    run = compiled_run if engine == "compiled" else interpreter.run_sample
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
        raise BadInputError(f"a spike at timestep {sample.moments[-1]} of {program.steps}; give 0 to {program.steps - 1}")
    if not 0 <= sample.units.min() <= sample.units.max() < program.units:
        raise BadInputError(f"a spike of a unit outside 0 to {program.units - 1}; record this network anew")


def compiled_run(prepared: Prepared, sample: Emissions, room: int = 1 << 12) -> SampleRun:
    """One sample by the compiled loop; it starts again with more room where that was too little."""
    source = Source(sample.moments, sample.units, sample.values)
    while True:
        state = new_state(prepared, room)
        events = calendar(room)
        kernel.run_sample(events, prepared.chip, prepared.routes, prepared.units, source, state)
        if not state.numbers[kernel.FULL]:
            return _result(prepared, state)
        room *= 4
        if room > MOST_ROOM:
            raise BadInputError(f"more than {MOST_ROOM:,} packets or entries of the log; simulate fewer timesteps")


def new_state(prepared: Prepared, room: int) -> State:
    """A chip at rest."""
    chip, units = prepared.chip, len(prepared.units.numbers)
    clusters, steps = int(chip.settings[kernel.CLUSTERS]), int(chip.settings[kernel.STEPS])
    channels = np.zeros((len(chip.channels) + clusters, 11), np.int64)
    channels[:, [kernel.HEAD, kernel.TAIL, kernel.WAITER, kernel.LAST_WAITER]] = NOTHING
    packets, waiters = np.zeros((room, 6), np.int64), np.zeros((room, 4), np.int64)
    packets[:, kernel.AFTER] = waiters[:, kernel.FOLLOWING] = np.append(np.arange(1, room), NOTHING)
    sums = np.zeros((7, units))
    sums[kernel.MEMBRANE] = prepared.units.floats[kernel.RESET]
    log = np.zeros((room * 4 if chip.settings[kernel.LOGS] else 1, 4), np.int64)
    raster = np.zeros((steps if chip.settings[kernel.COMPUTES] else 1, units), np.int64)
    cores, counts = np.zeros((clusters, 8), np.int64), np.zeros((2, units), np.int64)
    return State(channels, packets, np.zeros(room), waiters, cores, sums, counts, raster, log, np.zeros(16, np.int64))


def _result(prepared: Prepared, state: State) -> SampleRun:
    numbers, settings = state.numbers, prepared.chip.settings
    cores = state.cores[:, [kernel.RECEIVED, kernel.WRITTEN, kernel.READS, kernel.SYNOPS, kernel.FIRED]]
    if settings[kernel.BARRIER] and not settings[kernel.COMPUTES]:
        cores[:, 2] = settings[kernel.STEPS]
    barrier = bool(settings[kernel.BARRIER])
    return SampleRun(
        log=state.log[: numbers[kernel.LOGGED]],
        ended=int(numbers[kernel.ENDED]),
        events=int(numbers[kernel.EVENTS]),
        delivered=int(numbers[kernel.DELIVERED]),
        latency=int(numbers[kernel.LATENCY]),
        worst=int(numbers[kernel.WORST]),
        channels=state.channels[:, [kernel.PASSED, kernel.WAITED, kernel.LONGEST]],
        cores=cores,
        outputs=state.sums[kernel.TOTAL][prepared.outputs],
        raster=state.raster,
        done=bool(numbers[kernel.DONE]) if barrier else numbers[kernel.OUTSTANDING] == 0,
    )
