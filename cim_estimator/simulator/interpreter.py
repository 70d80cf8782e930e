"""One sample on a chip, event by event, in plain Python: slow, and what `kernel.py` is tested against.

Routers, links, arbiters, inboxes and cores are objects here; rules and tie-breaks are those of the compiled loop, which
must write the same log.
"""

from __future__ import annotations

import heapq
from collections import deque
from dataclasses import dataclass, field

import numpy as np

from . import kernel
from .kernel import Entry
from .network import ARRIVE, CREDIT, EMIT, PHASE, READ, TIMER, WAKE, WRITE
from .prepare import Prepared
from .program import Emissions, Kind
from .results import SampleRun


@dataclass(eq=False)
class Packet:
    """A spike under way: where on its route, whose, carrying what, sent when, in which queue, copies yet to leave."""

    node: int
    unit: int
    value: float
    sent: int
    queue: Channel | Outbox
    pending: int = 0


@dataclass(eq=False)
class Channel:
    """A link or the way into a core, the queue at its end, and its arbiter: who asked first goes first."""

    number: int
    takes: int
    delay: int
    room: int
    taken: int = 0
    free_at: int = 0
    waking: bool = False
    queue: deque[Packet] = field(default_factory=deque)
    waiting: deque[tuple[Packet, int, int]] = field(default_factory=deque)
    passed: int = 0
    waited: int = 0
    longest: int = 0

    def open(self, time: int) -> bool:
        """Whether a packet may take it now."""
        return self.free_at <= time and self.taken < self.room


@dataclass(eq=False)
class Outbox:
    """What a core has sent and the network not yet taken."""

    queue: deque[Packet] = field(default_factory=deque)
    longest: int = 0


@dataclass(eq=False)
class Core:
    """A crossbar with its row registers."""

    number: int
    inbox: Channel
    outbox: Outbox
    parts: list[tuple[int, list[int]]]
    read_ticks: int
    reading: bool = False
    dirty: bool = False
    due: int = 0
    to_send: list[tuple[int, float]] = field(default_factory=list)
    received: int = 0
    written: int = 0
    reads: int = 0
    synops: int = 0
    fired: int = 0


@dataclass(eq=False)
class Unit:
    """What a unit remembers: sums for this timestep and the next by turns, static input, the state of a neuron."""

    sums: list[float]
    arrived: list[int]
    membrane: float
    static: float = 0.0
    adaptation: float = 0.0
    current: float = 0.0
    total: float = 0.0


def run_sample(prepared: Prepared, sample: Emissions) -> SampleRun:
    """One sample from rest; the same answer as the compiled loop's."""
    return _Interpreter(prepared, sample).run()


class _Interpreter:
    def __init__(self, prepared: Prepared, sample: Emissions) -> None:
        chip, units = prepared.chip, prepared.units
        self.routes, self.table, self.outputs = prepared.routes, units, prepared.outputs
        (self.links, clusters, barrier, computes, self.steps, self.period, self.write_ticks, self.sync_ticks,
         self.emit_ticks, self.phases, self.limit) = (int(number) for number in chip.settings)  # fmt: skip
        self.logs = prepared.log
        self.barrier, self.computes = bool(barrier), bool(computes)
        self.sample = list(zip(sample.moments.tolist(), sample.units.tolist(), sample.values.tolist(), strict=True))
        rows = prepared.channels[: self.links + clusters].tolist()
        self.channels = [Channel(n, takes, delay, room) for n, (takes, delay, room) in enumerate(rows)]
        parts: list[list[tuple[int, list[int]]]] = [[] for _ in range(clusters)]
        self.by_phase: list[list[tuple[int, list[int]]]] = []
        for phase in range(self.phases):
            self.by_phase.append([])
            for pair in range(units.first_pair[phase], units.first_pair[phase + 1]):
                cluster, first, end = (int(number) for number in units.pairs[pair])
                self.by_phase[-1].append((cluster, units.order[first:end].tolist()))
                parts[cluster].append((phase, units.order[first:end].tolist()))
        self.cores = [
            Core(n, self.channels[self.links + n], Outbox(), parts[n], int(chip.read_ticks[n])) for n in range(clusters)
        ]
        rest = units.floats[kernel.RESET].tolist()
        self.units = [Unit([0.0, 0.0], [0, 0], value) for value in rest]
        self.raster = np.zeros((self.steps if self.computes else 1, len(self.units)), np.int64)
        self.events: list[tuple[int, int, int, object]] = []
        self.sequence = self.outstanding = self.busy_cores = self.step = self.emitted = self.handled = self.now = 0
        self.phase, self.tick, self.done = -1, 0 if self.barrier else -1, False
        self.delivered = self.latency = self.worst = 0
        self.log: list[tuple[int, int, int, int]] = []

    def run(self) -> SampleRun:
        if self.barrier:
            self.schedule(0, PHASE, None)
        else:
            if self.computes:
                self.schedule(0, TIMER, None)
            if self.sample:
                self.schedule(self.sample[0][0] * self.period, EMIT, None)
        act = {ARRIVE: self.arrive, WRITE: self.write, WAKE: self.wake, CREDIT: self.serve, READ: self.read,
               TIMER: self.timer, PHASE: self.next_phase, EMIT: self.emit}  # fmt: skip
        while self.events and self.events[0][0] <= self.limit:
            self.now, kind, _, about = heapq.heappop(self.events)
            self.handled += 1
            act[kind](about)  # type: ignore[operator]
        self.now = self.limit if self.events else self.now
        return self.result()

    def schedule(self, time: int, kind: int, about: object) -> None:
        heapq.heappush(self.events, (time, kind, self.sequence, about))
        self.sequence += 1

    def note(self, kind: Entry, component: int, number: int) -> None:
        if self.logs:
            self.log.append((self.now, int(kind), component, number))

    # The network

    def advance(self, place: Channel | Outbox) -> None:
        while place.queue:
            packet = place.queue[0]
            _, _, first, end = self.routes.nodes[packet.node]
            packet.pending = int(end - first)
            left = False
            for child in range(first, end):
                channel = self.channels[self.routes.nodes[child, 0]]
                if not channel.waiting and channel.open(self.now):
                    left = self.grant(channel, packet, child, self.now)
                else:
                    channel.waiting.append((packet, child, self.now))
                    self.wake_when_free(channel)
            if not left:
                return

    def grant(self, channel: Channel, packet: Packet, child: int, since: int) -> bool:
        channel.taken += 1
        channel.free_at = self.now + channel.takes
        channel.passed += 1
        channel.waited += self.now - since
        self.note(Entry.HOP, channel.number, packet.unit)
        packet.pending -= 1
        if packet.pending:
            self.outstanding += 1
        else:
            self.leave(packet.queue)
        copy = Packet(child, packet.unit, packet.value, packet.sent, channel)
        self.schedule(self.now + channel.delay, ARRIVE, copy)
        return packet.pending == 0

    def leave(self, place: Channel | Outbox) -> None:
        place.queue.popleft()
        if isinstance(place, Channel):
            full = place.taken == place.room
            place.taken -= 1
            if full and place.waiting:
                self.schedule(self.now, CREDIT, place)

    def wake_when_free(self, channel: Channel) -> None:
        if channel.waiting and channel.free_at > self.now and not channel.waking:
            channel.waking = True
            self.schedule(channel.free_at, WAKE, channel)

    def wake(self, channel: Channel) -> None:
        channel.waking = False
        self.serve(channel)

    def serve(self, channel: Channel) -> None:
        while channel.waiting and channel.open(self.now):
            packet, child, since = channel.waiting.popleft()
            if self.grant(channel, packet, child, since):
                self.advance(packet.queue)
        self.wake_when_free(channel)

    def send(self, unit: int, value: float) -> None:
        cluster, group = int(self.table.numbers[unit, kernel.CLUSTER]), self.routes.group_of[unit]
        self.note(Entry.SENT, cluster, unit)
        if group < 0:
            return
        outbox = self.cores[cluster].outbox
        for root in self.routes.roots[self.routes.first_root[group] : self.routes.first_root[group + 1]].tolist():
            self.outstanding += 1
            outbox.queue.append(Packet(root, unit, value, self.now, outbox))
            outbox.longest = max(outbox.longest, len(outbox.queue))
            if len(outbox.queue) == 1:
                self.advance(outbox)

    def arrive(self, packet: Packet) -> None:
        channel = packet.queue
        assert isinstance(channel, Channel)
        channel.queue.append(packet)
        channel.longest = max(channel.longest, len(channel.queue))
        if channel.number < self.links:
            if len(channel.queue) == 1:
                self.advance(channel)
            return
        core = self.cores[channel.number - self.links]
        core.received += 1
        if self.table.numbers[packet.unit, kernel.CLUSTER] != core.number:
            self.delivered += 1
            self.latency += self.now - packet.sent
            self.worst = max(self.worst, self.now - packet.sent)
            self.note(Entry.DELIVERED, core.number, packet.unit)
        if len(channel.queue) == 1:
            self.schedule(self.now + self.write_ticks, WRITE, core)

    # The cores

    def write(self, core: Core) -> None:
        packet = core.inbox.queue[0]
        self.leave(core.inbox)
        core.written += 1
        if self.computes:
            core.synops += self.take_in(packet)
        self.outstanding -= 1
        if core.inbox.queue:
            self.schedule(self.now + self.write_ticks, WRITE, core)
        if self.barrier:
            self.end_phase_if_quiet()
        elif self.computes:
            core.dirty = True
            if not core.reading:
                self.start_read(core)

    def take_in(self, packet: Packet) -> int:
        table = self.table
        group = table.groups[packet.unit] + self.routes.nodes[packet.node, 1]
        synapses = range(table.first_synapse[group], table.first_synapse[group + 1])
        static = table.numbers[packet.unit, kernel.STATIC]
        for synapse in synapses:
            target, delay = table.targets[synapse]
            unit, turn = self.units[target], (self.step + delay) & 1
            if table.numbers[target, kernel.KIND] == Kind.MAXIMUM:
                unit.sums[turn] = max(unit.sums[turn], packet.value) if unit.arrived[turn] else packet.value
                unit.arrived[turn] += 1
            else:
                charge = float(table.weights[synapse]) * packet.value
                unit.static += charge if static else 0.0
                unit.sums[turn] += charge if not (static and self.barrier) else 0.0
        return len(synapses)

    def read(self, about: Core | tuple[int, list[int]]) -> None:
        if isinstance(about, Core):
            self.end_read(about)
            return
        cluster, members = about
        core = self.cores[cluster]
        core.reads += 1
        sent = [(unit, value) for unit in members for value in [self.update(unit)] if value != 0.0]
        for unit, value in sent:
            self.send(unit, value)
        self.note(Entry.READ, cluster, len(sent))
        self.busy_cores -= 1
        self.end_phase_if_quiet()

    def start_read(self, core: Core) -> None:
        due = core.due > 0
        core.dirty, core.reading = False, True
        core.due -= due
        core.reads += 1
        answers = ((unit, self.answer(unit, due)) for _, members in core.parts for unit in members)
        core.to_send = [(unit, value) for unit, value in answers if value != 0.0]
        self.schedule(self.now + core.read_ticks, READ, core)

    def end_read(self, core: Core) -> None:
        for unit, value in core.to_send:
            self.send(unit, value)
        self.note(Entry.READ, core.number, len(core.to_send))
        core.reading = False
        if core.dirty or core.due:
            self.start_read(core)

    # The units

    def update(self, number: int) -> float:
        unit, kind = self.units[number], self.table.numbers[number, kernel.KIND]
        turn, static = self.step & 1, self.table.numbers[number, kernel.STATIC]
        x, arrived = unit.sums[turn], unit.arrived[turn]
        unit.sums[turn], unit.arrived[turn] = 0.0, 0
        if kind == Kind.MAXIMUM:
            x = max(x, 0.0) if arrived < self.table.numbers[number, kernel.FAN_IN] else x
        else:
            late = self.parameter(number, kernel.LATE) if self.step > 0 else 0.0
            x += unit.static + self.parameter(number, kernel.BIAS) + late
        if kind == Kind.OUTPUT:
            unit.total += x
            return 0.0
        if kind != Kind.NEURON:
            return 0.0 if static and self.step > 0 else x
        synapse = self.parameter(number, kernel.SYNAPSE)
        if synapse > 0:
            unit.current += (x - unit.current) / synapse
            x = unit.current
        tau, v = self.parameter(number, kernel.TAU), unit.membrane
        unit.membrane = v + (x - (v - self.parameter(number, kernel.RESET))) / tau if tau > 0 else v + x
        spike = self.fire(number)
        unit.adaptation = self.parameter(number, kernel.FADE) * unit.adaptation + spike
        return spike

    def answer(self, number: int, due: bool) -> float:
        unit, kind = self.units[number], self.table.numbers[number, kernel.KIND]
        static = self.table.numbers[number, kernel.STATIC]
        if kind == Kind.MAXIMUM:
            x = max(value if count else 0.0 for value, count in zip(unit.sums, unit.arrived, strict=True))
            arrived = sum(unit.arrived)
            unit.sums, unit.arrived = [0.0, 0.0], [0, 0]
            unit.membrane = 0.0 if due else unit.membrane
            risen = x - unit.membrane
            if not arrived or risen <= 0:
                return 0.0
            unit.membrane = x
            return risen
        x = unit.sums[0] + unit.sums[1]
        unit.sums = [0.0, 0.0]
        if due and self.tick == 0:
            x += self.parameter(number, kernel.BIAS)
        elif due and not static:
            x += self.parameter(number, kernel.BIAS) + self.parameter(number, kernel.LATE) + unit.static
        if kind == Kind.OUTPUT:
            unit.total += x
            return 0.0
        if kind != Kind.NEURON:
            return x
        tau, synapse = self.parameter(number, kernel.TAU), self.parameter(number, kernel.SYNAPSE)
        if synapse > 0:
            x /= synapse
            unit.current -= unit.current / synapse if due else 0.0
            kept = unit.current if due else 0.0
            unit.current += x
            x += kept
        if due:
            unit.membrane -= (unit.membrane - self.parameter(number, kernel.RESET)) / tau if tau > 0 else 0.0
            unit.adaptation *= self.parameter(number, kernel.FADE)
        unit.membrane += x / tau if tau > 0 else x
        spike = self.fire(number)
        unit.adaptation += spike
        return spike

    def fire(self, number: int) -> float:
        unit, step = self.units[number], self.parameter(number, kernel.REGISTER)
        threshold, v = self.parameter(number, kernel.THRESHOLD), unit.membrane
        if step > 0:
            levels = self.parameter(number, kernel.LEVELS)
            v = min(max(round(v / step), -levels), levels - 1) * step
        fired = v - threshold - self.parameter(number, kernel.BETA) * unit.adaptation >= 0
        if fired:
            soft = self.parameter(number, kernel.SOFT) > 0
            v = v - threshold if soft else self.parameter(number, kernel.RESET)
            self.cores[self.table.numbers[number, kernel.CLUSTER]].fired += 1
            self.raster[min(max(self.tick, 0), len(self.raster) - 1), number] += 1
        unit.membrane = v
        return float(fired)

    def parameter(self, number: int, which: int) -> float:
        return float(self.table.floats[which, number])

    # Who says when

    def end_phase_if_quiet(self) -> None:
        if not self.outstanding and not self.busy_cores:
            self.schedule(self.now + self.sync_ticks, PHASE, None)

    def next_phase(self, _: None) -> None:
        self.phase += 1
        if self.phase >= self.phases:
            self.phase = 0
            self.step += 1
            self.tick = self.step
        if self.step == self.steps:
            self.done = True
            return
        self.note(Entry.PHASE, self.phase, self.step)
        if self.phase == 0:
            self.busy_cores = 1
            self.schedule(self.now + self.emit_ticks, EMIT, None)
            return
        self.busy_cores = len(self.by_phase[self.phase])
        for part in self.by_phase[self.phase]:
            self.schedule(self.now + self.cores[part[0]].read_ticks, READ, part)
        if not self.by_phase[self.phase]:
            self.end_phase_if_quiet()

    def emit(self, _: None) -> None:
        sample = self.sample
        now = self.step if self.barrier or self.emitted == len(sample) else sample[self.emitted][0]
        while self.emitted < len(sample) and sample[self.emitted][0] == now:
            _, unit, value = sample[self.emitted]
            self.send(unit, value)
            self.emitted += 1
        if self.barrier:
            self.busy_cores = 0
            self.end_phase_if_quiet()
        elif self.emitted < len(sample):
            self.schedule(sample[self.emitted][0] * self.period, EMIT, None)

    def timer(self, _: None) -> None:
        self.tick += 1
        for core in self.cores:
            if core.parts:
                core.due += 1
                if not core.reading:
                    self.start_read(core)
        if self.tick + 1 < self.steps:
            self.schedule(self.now + self.period, TIMER, None)

    def result(self) -> SampleRun:
        boxes: list[Channel | Outbox] = [*self.channels, *(core.outbox for core in self.cores)]
        counts = [(c.passed, c.waited) if isinstance(c, Channel) else (0, 0) for c in boxes]
        cores = np.array([(c.received, c.written, c.reads, c.synops, c.fired) for c in self.cores], np.int64)
        if self.barrier and not self.computes:
            cores[:, 2] = self.steps
        return SampleRun(
            log=np.array(self.log, np.int64).reshape(-1, 4),
            ended=self.now,
            events=self.handled,
            delivered=self.delivered,
            latency=self.latency,
            worst=self.worst,
            channels=np.array([(*pair, box.longest) for pair, box in zip(counts, boxes, strict=True)], np.int64),
            cores=cores,
            outputs=np.array([self.units[unit].total for unit in self.outputs.tolist()]),
            raster=self.raster,
            done=self.done if self.barrier else self.computes or not self.outstanding,
        )
