"""Events per second of the simulator, of its plain interpreter and of SimPy, on one and the same log.

Alternating, in processor time; of the largest size the slow ones run once.

`python experiments/benchmarks/simulator_speed.py [--spikes 120 1200 12000 120000] [--repeats 5]`   (needs simpy)

Spikes at random picoseconds on a mesh of 8 x 8 tiles, each to one other tile; queues of four packets, links and cores
that take their time. The SimPy model is written as its users do: a process for each queue, a resource for each link, a
container for the room behind it. All three must log the same hops and deliveries at the same times.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Generator
from typing import Any

import numpy as np

from hasnas.cim_estimator.mapping import load_network, mesh
from hasnas.cim_estimator.simulator import (
    Emissions,
    Entry,
    Machine,
    NeuronArrays,
    Placement,
    Program,
    Settings,
    Synapses,
    interpreter,
    simulation,
)
from hasnas.cim_estimator.simulator.prepare import Prepared, prepare

SIDE, FLOWS, ROOM, LOAD = 8, 4, 4, 0.002  # spikes a picosecond on the whole mesh
MOST_FOR_SLOW = 20_000  # spikes; beyond them the slow ones run once


def scene(spikes: int, seed: int, log: bool) -> tuple[Prepared, Emissions]:
    """Random traffic, ready to run."""
    rng, tiles = np.random.default_rng(seed), SIDE * SIDE
    homes = np.repeat(np.arange(tiles), FLOWS)
    to = rng.integers(0, tiles - 1, len(homes))
    to += to >= homes
    units, none, zero = len(homes), np.zeros(len(homes)), np.zeros(len(homes), np.int64)
    synapses = Synapses(np.arange(units), to * FLOWS, none, zero)
    program = Program(zero, zero, none, none, NeuronArrays.plain(units), np.zeros(units, bool), synapses, 1)
    times = np.cumsum(rng.exponential(1 / LOAD, spikes)).astype(np.int64)
    ones = np.ones(tiles)
    machine = Machine(load_network(), 5e8, ROOM, ROOM, 2e-9, 12e-9 * ones, 0.0, ones, ones, ones)
    placement = Placement(homes, np.arange(tiles), mesh(SIDE, SIDE))
    settings = Settings("free", period_s=1e-12, log=log)
    return prepare(program, placement, machine, settings), Emissions.of(times, rng.integers(0, units, spikes))


class WithSimPy:
    """The same chip in SimPy; only for packets to one destination."""

    def __init__(self, prepared: Prepared, sample: Emissions, log: bool) -> None:
        import simpy

        self.env = simpy.Environment()
        self.routes, self.units = prepared.routes, prepared.units
        self.links, clusters = int(prepared.chip.settings[0]), int(prepared.chip.settings[1])
        self.write = int(prepared.chip.settings[6])
        rows = prepared.channels.tolist()
        self.takes, self.delay = [row[0] for row in rows], [row[1] for row in rows]
        channels = self.links + clusters
        self.link = [simpy.Resource(self.env, 1) for _ in range(channels)]
        self.room = [simpy.Container(self.env, rows[n][2], rows[n][2]) for n in range(channels)]
        self.queue = [simpy.Store(self.env) for _ in rows]
        self.log: list[tuple[int, int, int, int]] | None = [] if log else None
        for number in range(self.links):
            self.env.process(self.router(number))
        for cluster in range(clusters):
            self.env.process(self.core(cluster))
            self.env.process(self.router(channels + cluster))
        self.env.process(self.source(sample, channels))

    def source(self, sample: Emissions, channels: int) -> Generator[Any, Any, None]:
        """Spikes go into the outbox of their core."""
        for moment, unit in zip(sample.moments.tolist(), sample.units.tolist(), strict=True):
            if moment > self.env.now:
                yield self.env.timeout(moment - self.env.now)
            cluster, group = int(self.units.numbers[unit, 1]), int(self.routes.group_of[unit])
            self.note(Entry.SENT, cluster, unit)
            self.queue[channels + cluster].put((int(self.routes.roots[self.routes.first_root[group]]), unit))

    def router(self, number: int) -> Generator[Any, Any, None]:
        """Packets of a queue go on one after another."""
        while True:
            node, unit = yield self.queue[number].get()
            child = int(self.routes.nodes[node, 2])
            channel = int(self.routes.nodes[child, 0])
            turn = self.link[channel].request()
            yield turn
            yield self.room[channel].get(1)
            self.note(Entry.HOP, channel, unit)
            if number < len(self.room):
                self.room[number].put(1)
            self.env.process(self.hop(child, unit, channel))
            self.env.process(self.hold(turn, channel))

    def hop(self, node: int, unit: int, channel: int) -> Generator[Any, Any, None]:
        """A packet on its way to the next queue."""
        yield self.env.timeout(self.delay[channel])
        if channel >= self.links:
            self.note(Entry.DELIVERED, channel - self.links, unit)
        self.queue[channel].put((node, unit))

    def hold(self, turn: Any, channel: int) -> Generator[Any, Any, None]:
        """A link is taken for a while."""
        yield self.env.timeout(self.takes[channel])
        self.link[channel].release(turn)

    def core(self, cluster: int) -> Generator[Any, Any, None]:
        """A core notes packets one after another."""
        while True:
            yield self.queue[self.links + cluster].get()
            yield self.env.timeout(self.write)
            self.room[self.links + cluster].put(1)

    def note(self, kind: Entry, component: int, unit: int) -> None:
        """Write into the log, if there is one."""
        if self.log is not None:
            self.log.append((int(self.env.now), int(kind), component, unit))


def same_log(spikes: int, seed: int) -> int:
    """Check all three against each other; returns the number of entries."""
    prepared, sample = scene(spikes, seed, log=True)
    fast, plain = simulation.Compiled().run(prepared, sample), interpreter.run_sample(prepared, sample)
    if not np.array_equal(fast.log, plain.log):
        raise SystemExit(f"seed {seed}: the interpreter logs otherwise")
    other = WithSimPy(prepared, sample, log=True)
    other.env.run()
    if sorted(other.log or []) != sorted(map(tuple, fast.log.tolist())):
        raise SystemExit(f"seed {seed}: SimPy logs otherwise")
    return len(fast.log)


def timed(spikes: int, seed: int, slow: bool) -> tuple[int, float, float, float]:
    """Events, and seconds of the compiled loop, the interpreter and SimPy; of the last two 0 unless they run, too."""
    prepared, sample = scene(spikes, seed, log=False)
    start = time.process_time()
    events = simulation.Compiled().run(prepared, sample).events
    fast = time.process_time() - start
    if not slow:
        return events, fast, 0.0, 0.0
    start = time.process_time()
    interpreter.run_sample(prepared, sample)
    plain = time.process_time() - start
    other = WithSimPy(prepared, sample, log=False)
    start = time.process_time()
    other.env.run()
    return events, fast, plain, time.process_time() - start


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spikes", type=int, nargs="+", default=[120, 1200, 12_000, 120_000])
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    entries = sum(same_log(2000, seed) for seed in range(3))
    print(f"the same {entries:,} entries in all three logs (3 seeds)\n")
    timed(50, 0, slow=False)
    print("| events | compiled | interpreter | SimPy | against SimPy (extremes) | against the interpreter |")
    print("|---|---|---|---|---|---|")
    for spikes in arguments.spikes:
        repeats = range(arguments.repeats)
        rows = [timed(spikes, seed, seed == 0 or spikes <= MOST_FOR_SLOW) for seed in repeats]
        print(told(rows), flush=True)


def told(rows: list[tuple[int, float, float, float]]) -> str:
    """One size as a row of the table."""
    events, all_of_them = round(statistics.median(row[0] for row in rows)), [row for row in rows if row[2]]
    compiled = statistics.median(row[0] / row[1] for row in rows)
    plain, simpy = (statistics.median(row[0] / row[at] for row in all_of_them) for at in (2, 3))
    ratios = [row[3] / row[1] for row in all_of_them]
    return (
        f"| {events:,} | {compiled / 1e6:.2f} M/s | {plain / 1e3:.0f} k/s | {simpy / 1e3:.0f} k/s "
        f"| {statistics.median(ratios):.0f} ({min(ratios):.0f} to {max(ratios):.0f}) "
        f"| {statistics.median(row[2] / row[1] for row in all_of_them):.0f} |"
    )


if __name__ == "__main__":
    main()
