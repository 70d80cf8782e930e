"""What throughput a mapped network guarantees with a barrier after each timestep, as text or JSON."""

from __future__ import annotations

from typing import Any

from hasnas.cim_estimator import format_quantity, load_hardware
from hasnas.cim_estimator.mapping import check_clusters, chip_of, open_mapping
from hasnas.cim_estimator.schedule import Guarantee, guarantee_mapped
from hasnas.cim_estimator.simulator import machine_of
from hasnas.errors import BadInputError

from .map import MapQuestion, read_graph, read_settings


def answer_mapped(question: MapQuestion, room: int | None = None) -> dict[str, Any]:
    """Plain data: throughput guaranteed and at best, what bounds them, and the room that queues need.

    Args:
        question: source, mapping and hardware.
        room: packets that fit each queue; by default as many as are needed.

    Raises:
        BadInputError: if the mapping is of another network, spike times are unknown, or queues are too small for any
            guarantee.
    """
    if question.mapping is None:
        raise BadInputError("give the mapping with --mapping M.npz; hasnas map --save writes one")
    chip = chip_of(load_hardware(question.hardware, read_settings(question.settings)), question.network)
    mapped = open_mapping(question.mapping, read_graph(question))
    check_clusters(mapped.graph, mapped.clusters, chip.limits)
    found = guarantee_mapped(mapped, machine_of(chip, mapped))
    if room is not None and room < found.room:
        raise BadInputError(
            f"queues with room for {room} packets guarantee nothing: {found.room} packets may meet in one; "
            f"give --room {found.room} or more"
        )
    guaranteed, at_best = found.samples_per_s
    return {
        "clusters": len(mapped.tiles),
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
