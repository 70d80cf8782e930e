"""What throughput a mapped network guarantees with a barrier after each timestep, as text or JSON."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hasnas.cim_estimator import format_quantity, load_hardware
from hasnas.cim_estimator.mapping import Mapped, chip_of, mesh
from hasnas.cim_estimator.schedule import Guarantee, MappedGuarantee, admit, guarantee_mapped
from hasnas.cim_estimator.simulator import Machine, machine_of
from hasnas.errors import BadInputError, NothingFitsError

from .map import MapQuestion, opened, read_graph, read_settings


def answer_mapped(question: MapQuestion, room: int | None = None) -> dict[str, Any]:
    """Plain data: throughput guaranteed and at best, what bounds them, and the room that queues need.

    Args:
        question: source, mapping and hardware.
        room: packets that fit each queue; by default as many as are needed.

    Raises:
        BadInputError: if the mapping is of another network, spike times are unknown, or queues are too small for any
            guarantee.
    """
    mapped, machine = _mapped(question)
    found = guarantee_mapped(mapped, machine)
    if room is not None and room < found.room:
        raise BadInputError(
            f"queues with room for {room} packets guarantee nothing: {found.room} packets may meet in one; "
            f"give --room {found.room} or more"
        )
    return _told(found, len(mapped.tiles))


@dataclass(frozen=True)
class AdmissionQuestion:
    """A second network that wants to join.

    Args:
        source: as `hasnas map` takes it.
        mapping: its own mapping, of which the clusters count.
        spikes: spike times, for a graph as text.
        steps_per_s: timesteps a second that both need.
        chip: tiles of the chip as text, e.g. `16x16`; by default those of the first mapping.
    """

    source: Path
    mapping: Path
    spikes: Path | None
    steps_per_s: float
    chip: str | None = None


def answer_admission(question: MapQuestion, wanted: AdmissionQuestion) -> dict[str, Any]:
    """Plain data: what is guaranteed before and after, and the tiles of the second network.

    Args:
        question: the network that runs there.
        wanted: the other one.

    Raises:
        BadInputError: if a mapping is of another network, or the first does not lie on the chip.
        NothingFitsError: if the second network may not join.
    """
    one, machine = _mapped(question)
    other, second = _mapped(replace(question, source=wanted.source, mapping=wanted.mapping, spikes=wanted.spikes))
    one = one if wanted.chip is None else _on_chip(one, wanted.chip)
    found = admit(one, other, (machine, second), wanted.steps_per_s)
    if not found.admitted or found.after is None:
        raise NothingFitsError(f"{wanted.source} cannot join {question.source}: {found.reason}")
    both = len(one.tiles) + len(other.tiles)
    return {
        "admitted": True,
        "reason": found.reason,
        "tiles": found.tiles.tolist(),
        "before": _told(found.before, len(one.tiles)),
        "after": _told(found.after, both),
    }


def _on_chip(mapped: Mapped, text: str) -> Mapped:
    """The mapping on a larger chip, in its first corner."""
    width, cross, height = text.partition("x")
    if not (cross and width.isdecimal() and height.isdecimal() and len(text) < 12):
        raise BadInputError(f"--chip is '{text}'; write WIDTHxHEIGHT in tiles, e.g. 16x16")
    chip, own = mesh(int(width), int(height)), mapped.topology
    if own.kind or chip.width < own.width or chip.height < own.height:
        raise BadInputError(f"a chip of {text} tiles does not hold the mapping's {own.width}x{own.height}; enlarge it")
    rows, columns = mapped.tiles // own.width, mapped.tiles % own.width
    return replace(mapped, tiles=rows * chip.width + columns, topology=chip)


def _mapped(question: MapQuestion) -> tuple[Mapped, Machine]:
    """A network's mapping on its chip."""
    if question.mapping is None:
        raise BadInputError("give the mapping with --mapping M.npz; hasnas map --save writes one")
    chip = chip_of(load_hardware(question.hardware, read_settings(question.settings)), question.network)
    mapped = opened(question.mapping, read_graph(question), chip)
    return mapped, machine_of(chip, mapped)


def _told(found: MappedGuarantee, clusters: int) -> dict[str, Any]:
    guaranteed, at_best = found.samples_per_s
    return {
        "clusters": clusters,
        "steps": found.steps,
        "throughput_per_s": guaranteed,
        "throughput_at_best_per_s": at_best,
        "guaranteed": _record(found.guaranteed),
        "at_best": _record(found.at_best),
        "queue_room": found.room,
        "deadlock": found.guaranteed.deadlock,
    }


def _record(found: Guarantee) -> dict[str, Any]:
    return {
        "max_cycle_ratio_s": found.max_cycle_ratio,
        "steps_per_s": found.throughput,
        "critical_actors": list(found.critical_actors),
        "actors": len(found.repetition_vector),
    }


def admission_text(data: dict[str, Any]) -> str:
    """What the command prints of two networks."""
    return f"admitted: {data['reason']}\nbefore:\n{mapped_text(data['before'])}\nboth:\n{mapped_text(data['after'])}"


def mapped_text(data: dict[str, Any]) -> str:
    """What the command prints."""
    lines = [
        f"{data['clusters']} clusters, {data['steps']} timesteps a sample",
        f"guaranteed {data['throughput_per_s']:,.6g} samples/s, at best {data['throughput_at_best_per_s']:,.6g}; "
        f"queues need room for {data['queue_room']} packets",
    ]
    for name, title in (("guaranteed", "guaranteed"), ("at_best", "at best")):
        one = data[name]
        step, cycle = format_quantity(one["max_cycle_ratio_s"], "s"), " -> ".join(one["critical_actors"])
        lines.append(f"{title}: a timestep every {step}, bound by {cycle}")
    return "\n".join(lines)
