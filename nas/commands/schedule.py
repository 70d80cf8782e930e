"""What throughput a dataflow graph guarantees, alone, on tiles and with buffers, as text or JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hasnas.cim_estimator.schedule import Guarantee, guarantee, read_sdf3, schedule, trade_off
from hasnas.errors import BadInputError


@dataclass(frozen=True)
class ScheduleQuestion:
    """What to analyse.

    Args:
        source: an SDF3 file.
        tiles: text `actor=tile,actor=tile`, for a static order on tiles.
        one_at_a_time: whether no actor fires again before it has finished; SDF3 lets them unless the file says so.
        buffers: whether the trade-off between buffer space and throughput is wanted.
    """

    source: Path
    tiles: str | None = None
    one_at_a_time: bool = False
    buffers: bool = False


def answer(question: ScheduleQuestion) -> dict[str, Any]:
    """Plain data: repetition vector, largest cycle ratio, throughput, latency, and what was asked beside them.

    Raises:
        BadInputError: if the graph or the tiles cannot be used; a deadlock is an answer where nothing is scheduled.
    """
    graph = read_sdf3(question.source)
    graph = graph.one_firing_at_a_time() if question.one_at_a_time else graph
    data: dict[str, Any] = {"graph": graph.name, **_record(guarantee(graph))}
    if question.tiles is not None:
        found = schedule(graph, read_tiles(question.tiles))
        orders = {str(tile): list(order) for tile, order in found.orders.items()}
        data["on_tiles"] = {**_record(found.guarantee), "orders": orders}
    if question.buffers:
        data["buffers"] = [
            {"total": one.total, "throughput_per_time_unit": one.throughput, "capacities": one.capacities}
            for one in trade_off(graph)
        ]
    return data


def read_tiles(text: str) -> dict[str, int]:
    """Actor -> tile.

    Raises:
        BadInputError: if the text reads otherwise.

    >>> read_tiles("a=0,b=1")
    {'a': 0, 'b': 1}
    """
    tiles: dict[str, int] = {}
    for part in text.split(","):
        name, _, tile = part.strip().rpartition("=")
        if not (name and tile.isdecimal()):
            raise BadInputError(f"--tiles: '{part.strip()}' is not ACTOR=TILE with a number, e.g. conv1=0")
        if name in tiles:
            raise BadInputError(f"--tiles: actor '{name}' is bound twice; keep one")
        tiles[name] = int(tile)
    return tiles


def _record(found: Guarantee) -> dict[str, Any]:
    """Infinities become null: JSON has none."""
    return {
        "repetition_vector": found.repetition_vector,
        "max_cycle_ratio": None if found.deadlock else found.max_cycle_ratio,
        "throughput_per_time_unit": None if found.max_cycle_ratio == 0 else found.throughput,
        "latency": None if found.deadlock else found.latency,
        "critical_actors": list(found.critical_actors),
        "deadlock": found.deadlock,
    }


def to_text(data: dict[str, Any]) -> str:
    """What the command prints."""
    lines = [f"{data['graph']}: {_told(data)}"]
    counts = ", ".join(f"{name} {count:,}" for name, count in data["repetition_vector"].items())
    lines.append(f"firings in an iteration: {counts}")
    if "on_tiles" in data:
        lines.append(f"on tiles: {_told(data['on_tiles'])}")
        orders = data["on_tiles"]["orders"].items()
        lines += [f"  tile {tile}: {' '.join(order[:20])}{' ...' if len(order) > 20 else ''}" for tile, order in orders]
    for one in data.get("buffers", ()):
        sizes = ", ".join(f"{name} {size}" for name, size in one["capacities"].items())
        lines.append(f"{one['total']} tokens of buffers: {one['throughput_per_time_unit']:.6g} a time unit ({sizes})")
    return "\n".join(lines)


def _told(record: dict[str, Any]) -> str:
    cycle = " -> ".join(record["critical_actors"])
    if record["deadlock"]:
        return f"deadlocked: {cycle} wait for each other for ever"
    if record["max_cycle_ratio"] == 0:
        return f"nothing bounds its throughput; an iteration takes {record['latency']:g}"
    ratio, throughput = record["max_cycle_ratio"], record["throughput_per_time_unit"]
    return (
        f"an iteration every {ratio:g} time units ({throughput:.6g} a time unit), the first within "
        f"{record['latency']:g}; bound by {cycle}"
    )


def to_json(data: dict[str, Any]) -> str:
    """The same as JSON."""
    return json.dumps(data, indent=2)
