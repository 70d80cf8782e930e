"""The log of a sample as a trace that Perfetto and Chrome open (ui.perfetto.dev): cores, links and phases in time.

Format: "Trace Event Format", github.com/google/trace-viewer; times are in microseconds.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from hasnas.cim_estimator.mapping.topology import Topology

from .kernel import Entry
from .machine import TICK_S, ticks
from .results import SampleRun, Simulated

_US = TICK_S * 1e6  # microseconds in a tick
_CORES, _LINKS, _CHIP = 1, 2, 3


def trace_json(simulated: Simulated, topology: Topology, sample: int = 0) -> str:
    """One sample as JSON.

    Args:
        simulated: with logs.
        topology: of the tiles.
        sample: which of the samples.
    """
    groups = {_CORES: "cores", _LINKS: "links", _CHIP: "chip"}
    names = [_meta(pid, 0, "process_name", name) for pid, name in groups.items()]
    events = list(_events(simulated.runs[sample], simulated, topology))
    used = {(event["pid"], event["tid"]) for event in events}
    for pid, tid in sorted(used):
        title = {_CORES: f"core {tid}", _LINKS: link_name(topology, tid), _CHIP: "phases"}[pid]
        names.append(_meta(pid, tid, "thread_name", title))
    return json.dumps({"traceEvents": [*names, *events], "displayTimeUnit": "ns"})


def link_name(topology: Topology, link: int) -> str:
    """The tiles that a link of a mesh joins; its number in a tree.

    >>> from hasnas.cim_estimator.mapping.topology import mesh
    >>> link_name(mesh(3, 2), 4 * 1 + 2)
    '1->4'
    """
    if topology.kind:
        return f"link {link}"
    tile, way = divmod(link, 4)
    return f"{tile}->{tile + (1, -1, topology.width, -topology.width)[way]}"


def _meta(pid: int, tid: int, kind: str, name: str) -> dict[str, Any]:
    return {"ph": "M", "pid": pid, "tid": tid, "name": kind, "args": {"name": name}}


def _events(run: SampleRun, simulated: Simulated, topology: Topology) -> Iterator[dict[str, Any]]:
    machine, open_phase = simulated.machine, None
    for time, kind, component, number in run.log.tolist():
        if kind == Entry.HOP and component < topology.links:
            yield _slice(_LINKS, component, f"unit {number}", time, machine.link_ticks)
        elif kind == Entry.READ:
            length = ticks(float(machine.read_s[component]))
            yield _slice(_CORES, component, f"read, {number} sent", max(time - length, 0), length)
        elif kind == Entry.SENT:
            yield _instant(component, f"unit {number} sends", time)
        elif kind == Entry.DELIVERED:
            yield _instant(component, f"from unit {number}", time)
        elif kind == Entry.PHASE:
            if open_phase is not None:
                yield _slice(_CHIP, 0, open_phase[1], open_phase[0], time - open_phase[0])
            open_phase = time, f"timestep {number}, phase {component}"
    if open_phase is not None:
        yield _slice(_CHIP, 0, open_phase[1], open_phase[0], run.ended - open_phase[0])


def _slice(pid: int, tid: int, name: str, start: int, length: int) -> dict[str, Any]:
    return {"ph": "X", "pid": pid, "tid": tid, "name": name, "ts": start * _US, "dur": length * _US}


def _instant(core: int, name: str, time: int) -> dict[str, Any]:
    return {"ph": "i", "s": "t", "pid": _CORES, "tid": core, "name": name, "ts": time * _US}
