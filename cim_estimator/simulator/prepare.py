"""A program, a placement and a machine as the arrays that the event loops read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components

from hasnas.cim_estimator.mapping.topology import Topology
from hasnas.errors import BadInputError, nearest

from . import kernel, network
from .calendar import PRIORITY_BITS
from .kernel import Chip, Units
from .machine import UNLIMITED, Machine, ticks
from .program import Kind, Program
from .routes import Routes, routes_of

Ints = NDArray[np.int64]
Mode = Literal["barrier", "free"]
NEVER = 1 << (62 - PRIORITY_BITS)  # ticks: the last moment that a calendar can hold, see `calendar.push`


@dataclass(frozen=True, eq=False)
class Placement:
    """Where units are.

    Args:
        clusters: of each unit, shape `[units]`.
        tiles: of each cluster, shape `[clusters]`.
        topology: of the tiles.

    Raises:
        BadInputError: if a unit or cluster is nowhere.
    """

    clusters: NDArray[np.integer[Any]]
    tiles: NDArray[np.integer[Any]]
    topology: Topology

    def __post_init__(self) -> None:
        if len(self.clusters) and not 0 <= self.clusters.min() <= self.clusters.max() < len(self.tiles):
            raise BadInputError(f"a unit is on a cluster outside 0 to {len(self.tiles) - 1}; map the network anew")
        if len(self.tiles) and not 0 <= self.tiles.min() <= self.tiles.max() < self.topology.tiles:
            raise BadInputError(f"a cluster is on a tile outside 0 to {self.topology.tiles - 1}; map the network anew")


@dataclass(frozen=True)
class Settings:
    """How to simulate.

    Args:
        mode: `"barrier"`: layers and timesteps one after another for the whole chip. `"free"`: cores read whatever has
            arrived, and their timers go on; outputs are read when nothing happens any more, at the latest when as
            many timesteps as a sample has have passed after it.
        multicast: whether a spike travels once where the ways to its destinations coincide.
        period_s: from one timestep to the next in free-running mode.
        log: whether to keep the log of events.

    Raises:
        BadInputError: for an unknown mode or a period that is not positive.
    """

    mode: Mode = "barrier"
    multicast: bool = True
    period_s: float = 1e-6
    log: bool = False

    def __post_init__(self) -> None:
        if self.mode not in get_args(Mode):
            raise BadInputError(f"unknown mode '{self.mode}'{nearest(str(self.mode), get_args(Mode))}")
        if not 0 < self.period_s < 1e3 or ticks(self.period_s) < 1:
            raise BadInputError(f"a timestep of {self.period_s} s; give a time from 1 ps to 1000 s")


@dataclass(frozen=True, eq=False)
class Prepared:
    """What `kernel.run_sample` and `interpreter.run_sample` take.

    Args:
        channels: ticks for which a packet takes each, ticks until it arrives, room at the end: links, ways into cores,
            outboxes; `[channels, 3]`.
        chip, routes, units: see there.
        outputs: units of the outputs in order.
        log: whether to keep the log.
    """

    channels: Ints
    chip: Chip
    routes: Routes
    units: Units
    outputs: Ints
    log: bool


def prepare(program: Program, placement: Placement, machine: Machine, settings: Settings) -> Prepared:
    """Arrays for the event loops.

    Raises:
        BadInputError: if the placement is of another network, or the program cannot run freely.
    """
    if len(placement.clusters) != program.units:
        raise BadInputError(
            f"a placement of {len(placement.clusters)} units for a network of {program.units}; map this network anew"
        )
    if len(machine.read_s) != len(placement.tiles):
        raise BadInputError(f"{len(machine.read_s)} cores for {len(placement.tiles)} clusters; make the machine anew")
    if settings.mode == "free":
        _refuse_maxima_of_values(program)
        _refuse_sums_in_circles(program)
    units, offsets, reached = _units(program, placement)
    clusters = np.asarray(placement.clusters, np.int64)
    routes = routes_of(
        clusters, offsets, reached, np.asarray(placement.tiles, np.int64), placement.topology, settings.multicast
    )
    chip = _chip(program, placement, machine, settings)
    return Prepared(_channels(placement, machine), chip, routes, units, program.outputs, settings.log)


def _refuse_maxima_of_values(program: Program) -> None:
    kinds, synapses = program.kinds, program.synapses
    spiking = np.isin(kinds, (Kind.NEURON, Kind.MAXIMUM)) | ((kinds == Kind.SOURCE) & ~program.static)
    into = (kinds[synapses.targets] == Kind.MAXIMUM) & ~spiking[synapses.sources]
    if bool(np.any(into)):
        raise BadInputError(
            "this network takes maxima of sums, which are only known once all has arrived; use the mode barrier"
        )


def _refuse_sums_in_circles(program: Program) -> None:
    sums, synapses = program.kinds == Kind.SUM, program.synapses
    inside = sums[synapses.sources] & sums[synapses.targets]
    ends = synapses.sources[inside], synapses.targets[inside]
    found = csr_matrix((np.ones(len(ends[0])), ends), (program.units, program.units))
    _, part = connected_components(found, connection="strong")
    if bool(np.any(part[ends[0]] == part[ends[1]])):
        raise BadInputError(
            "this network feeds sums back that meet no neuron, so without timesteps they never settle; "
            "use the mode barrier"
        )


def _chip(program: Program, placement: Placement, machine: Machine, settings: Settings) -> Chip:
    links, clusters = placement.topology.links, len(placement.tiles)
    read = np.array([ticks(seconds) for seconds in machine.read_s], np.int64)
    numbers = np.zeros(kernel.LIMIT + 1, np.int64)
    numbers[kernel.LINKS], numbers[kernel.CLUSTERS] = links, clusters
    numbers[kernel.BARRIER], numbers[kernel.COMPUTES] = settings.mode == "barrier", program.computes
    numbers[kernel.STEPS], numbers[kernel.PERIOD] = program.steps, ticks(settings.period_s)
    numbers[kernel.WRITE_TICKS], numbers[kernel.SYNC_TICKS] = ticks(machine.write_s), ticks(machine.sync_s)
    numbers[kernel.EMIT_TICKS] = 0 if program.computes else read.max(initial=0)
    free = settings.mode == "free" and program.computes
    numbers[kernel.LIMIT] = 2 * program.steps * ticks(settings.period_s) if free else NEVER
    numbers[kernel.PHASES] = int(program.phases.max(initial=0)) + 1
    return Chip(read, numbers)


def _channels(placement: Placement, machine: Machine) -> Ints:
    """Times and rooms of `Network.channels`."""
    links, clusters = placement.topology.links, len(placement.tiles)
    channels = np.zeros((links + 2 * clusters, network.ROOM + 1), np.int64)
    channels[:links] = machine.link_ticks, machine.hop_ticks, min(machine.router_room, UNLIMITED)
    channels[links : links + clusters, network.ROOM] = min(machine.inbox_room, UNLIMITED)
    channels[links + clusters :, network.ROOM] = UNLIMITED
    return channels


def _units(program: Program, placement: Placement) -> tuple[Units, Ints, Ints]:
    """Units by cluster, and the clusters that each reaches as offsets and clusters."""
    synapses, count = program.synapses, len(placement.tiles)
    clusters = np.asarray(placement.clusters, np.int64)
    keys = synapses.sources * count + clusters[synapses.targets]
    order = np.lexsort((synapses.targets, keys)) if len(keys) else np.empty(0, np.int64)
    groups, first = np.unique(keys[order], return_index=True)
    offsets = np.searchsorted(groups, np.arange(program.units + 1) * count).astype(np.int64)
    targets = np.stack([synapses.targets[order], synapses.delays[order]], axis=1).astype(np.int64)
    numbers = np.stack([program.kinds, clusters, program.static, program.fan_in], axis=1).astype(np.int64)
    floats = np.stack([program.bias, program.late_bias, *program.neurons]).astype(np.float64)
    pairs, first_pair, ordered = _phases(program, clusters)
    by_cluster = np.argsort(pairs[:, 0], kind="stable")
    first_member = np.searchsorted(pairs[by_cluster, 0], np.arange(count + 1))
    units = Units(
        numbers,
        floats,
        offsets,
        np.append(first, len(order)).astype(np.int64),
        targets,
        synapses.weights[order].astype(np.float64),
        pairs,
        first_pair,
        ordered,
        by_cluster.astype(np.int64),
        first_member.astype(np.int64),
    )
    return units, offsets, groups % max(count, 1)


def _phases(program: Program, clusters: Ints) -> tuple[Ints, Ints, Ints]:
    """`Units.pairs`, `first_pair` and `order`."""
    computing = np.flatnonzero(program.kinds != Kind.SOURCE)
    ordered = computing[np.lexsort((computing, clusters[computing], program.phases[computing]))]
    keys = np.stack([program.phases[ordered], clusters[ordered]], axis=1)
    changes = np.any(np.diff(keys, axis=0) != 0, axis=1) if len(keys) else np.empty(0, bool)
    starts = np.concatenate([[0] if len(keys) else [], np.flatnonzero(changes) + 1]).astype(np.int64)
    ends = np.append(starts[1:], len(ordered)).astype(np.int64) if len(keys) else starts
    pairs = np.stack([keys[starts, 1], starts, ends], axis=1) if len(keys) else np.empty((0, 3), np.int64)
    phases = int(program.phases.max(initial=0)) + 1
    first_pair = np.searchsorted(keys[starts, 0], np.arange(phases + 1)) if len(keys) else np.zeros(phases + 1)
    return pairs.astype(np.int64), first_pair.astype(np.int64), ordered.astype(np.int64)
