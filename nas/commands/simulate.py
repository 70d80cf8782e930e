"""A mapped network or spike graph on its chip, event by event: what it answers, how long it takes and what it costs."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from hasnas.cim_estimator import format_quantity, load_hardware
from hasnas.cim_estimator.mapping import Chip, Mapped, Topology, chip_of
from hasnas.cim_estimator.simulator import Placement, Settings, Simulated, machine_of, replayed, simulate
from hasnas.cim_estimator.simulator.perfetto import link_name, trace_json
from hasnas.errors import BadInputError
from hasnas.files import write_atomic

from .map import MapQuestion, opened, read_graph, read_settings

BUSIEST = 5


@dataclass(frozen=True)
class SimulateQuestion:
    """What to simulate, and how.

    Args:
        source: a run, an exported network or a NIR file; or a spike graph with spike times, which is replayed.
        mapping: as `hasnas map --save` wrote it.
        mode: `"barrier"` or `"free"`.
        spikes: spike times, for a graph as text.
        samples, dataset, data_root, timesteps: see `hasnas.nas.spikes.sources.open_source`.
        hardware: preset or YAML file.
        settings: `field=value` changes of the hardware.
        network: constants of the network between tiles.
        period_s: a timestep in free-running mode.
        room: packets that fit each queue.
        unicast: whether a spike travels to each of its destinations by itself.
        trace: where a trace of the first sample goes.
    """

    source: Path
    mapping: Path
    mode: str = "barrier"
    spikes: Path | None = None
    samples: str | None = None
    dataset: str | None = None
    data_root: Path | None = None
    timesteps: int | None = None
    hardware: str = "rram-32nm"
    settings: list[str] = field(default_factory=list)
    network: str = "noxim"
    period_s: float | None = None
    room: int = 4
    unicast: bool = False
    trace: Path | None = None


def answer(question: SimulateQuestion) -> dict[str, Any]:
    """Plain data.

    Raises:
        BadInputError: if source, mapping and chip do not belong together, or cannot be simulated.
    """
    chip = chip_of(load_hardware(question.hardware, read_settings(question.settings)), question.network)
    period_s = question.period_s or 1e-6
    wanted = Settings(question.mode, not question.unicast, period_s, question.trace is not None)  # type: ignore[arg-type]
    if question.period_s is not None and question.mode != "free":
        raise BadInputError("--period is for --mode free; with barriers a timestep takes as long as it needs")
    if question.trace is not None and not question.trace.parent.is_dir():
        raise BadInputError(f"--trace: there is no folder {question.trace.parent}; make it first")
    if question.source.is_dir() or question.source.suffix == ".nir":
        found, mapped, data = _network(question, chip, wanted)
    else:
        found, mapped, data = _graph(question, chip, wanted)
    if question.trace is not None:
        write_atomic(question.trace, trace_json(found, mapped.topology))
    return {"mode": question.mode, "samples": len(found.runs), **data, **record(found, mapped.topology)}


def _network(question: SimulateQuestion, chip: Chip, wanted: Settings) -> tuple[Simulated, Mapped, dict[str, Any]]:
    from hasnas.nas.spikes import trace
    from hasnas.nas.spikes.on_chip import run_on_chip
    from hasnas.nas.spikes.sources import open_source

    taken = open_source(question.source, question.samples, question.dataset, question.data_root, question.timesteps)
    mapped = opened(question.mapping, trace(taken.deployed, taken.inputs[:1]), chip)
    found = run_on_chip(taken.deployed, mapped, chip, taken.inputs, wanted, question.period_s, question.room)
    data: dict[str, Any] = {"agreement": found.agreement, "spikes": found.spikes, "other_spikes": found.other_spikes}
    if taken.targets is not None and not taken.targets.is_floating_point():
        classes = taken.targets.numpy()
        data["accuracy"] = float(np.mean(found.outputs.argmax(1) == classes))
        data["network_accuracy"] = float(np.mean(found.own_outputs.argmax(1) == classes))
    if question.mode == "free":
        data["period_s"] = found.settings.period_s
    return found.simulated, mapped, data


def _graph(question: SimulateQuestion, chip: Chip, wanted: Settings) -> tuple[Simulated, Mapped, dict[str, Any]]:
    given = MapQuestion(
        question.source, question.spikes, samples=question.samples, dataset=question.dataset,
        data_root=question.data_root, timesteps=question.timesteps,
    )  # fmt: skip
    graph = read_graph(given)
    mapped = opened(question.mapping, graph, chip)
    program, samples = replayed(mapped.graph)
    placement = Placement(mapped.clusters, mapped.tiles, mapped.topology)
    machine = machine_of(chip, mapped, question.room, question.room)
    return simulate(program, samples, placement, machine, wanted), mapped, {}


def record(found: Simulated, topology: Topology) -> dict[str, Any]:
    """What a simulation found as plain data, in SI units, each figure for a sample unless it says otherwise."""
    energy = found.energy_j
    return {
        "latency_s": found.latency_s,
        "energy_j": sum(energy.values()),
        "edp_js": found.edp_js,
        "energy_by_component_j": energy,
        "packets": found.packets / len(found.runs),
        "packet_latency_s": found.packet_latency_s,
        "worst_packet_latency_s": found.worst_packet_latency_s,
        "events": found.events,
        "busiest_links": busiest_links(found, topology),
        "busiest_cores": busiest_cores(found),
    }


def busiest_links(found: Simulated, topology: Topology) -> list[dict[str, Any]]:
    """Links that are taken for most of the time: share of the time, packets of all samples, how long these waited."""
    counts, use = found.channel_counts[: found.links], found.link_use
    return [
        {
            "link": link_name(topology, int(link)),
            "use": float(use[link]),
            "packets": int(counts[link, 0]),
            "waited_s": float(counts[link, 1]) * 1e-12,
            "longest_queue": int(counts[link, 2]),
        }
        for link in np.argsort(-use, kind="stable")[:BUSIEST]
        if use[link] > 0
    ]


def busiest_cores(found: Simulated) -> list[dict[str, Any]]:
    """Cores that note most rows, over all samples."""
    counts, clusters = found.core_counts, len(found.core_counts)
    queues = found.channel_counts[:, 2]
    return [
        {
            "core": int(core),
            "rows": int(counts[core, 1]),
            "reads": int(counts[core, 2]),
            "spikes": int(counts[core, 4]),
            "longest_inbox": int(queues[found.links + core]),
            "longest_outbox": int(queues[found.links + clusters + core]),
        }
        for core in np.argsort(-counts[:, 1], kind="stable")[:BUSIEST]
    ]


def to_json(data: dict[str, Any]) -> str:
    """The record as JSON."""
    return json.dumps(data, indent=2)


def to_text(data: dict[str, Any]) -> str:
    """The record for people."""
    lines = [f"{data['samples']} samples, mode {data['mode']}"]
    if "accuracy" in data:
        lines.append(f"accuracy {data['accuracy']:.1%}, of the network itself {data['network_accuracy']:.1%}")
    if "agreement" in data:
        lines.append(
            f"answers as the network itself on {data['agreement']:.1%} of the samples; "
            f"{data['other_spikes']:,} other spikes, of {data['spikes']:,}"
        )
    if "period_s" in data:
        lines.append(f"a timestep every {format_quantity(data['period_s'], 's')}")
    parts = ", ".join(f"{name} {format_quantity(value, 'J')}" for name, value in data["energy_by_component_j"].items())
    lines += [
        f"latency {format_quantity(data['latency_s'], 's')}, energy {format_quantity(data['energy_j'], 'J')} ({parts})",
        f"{data['packets']:,.0f} packets, {format_quantity(data['packet_latency_s'], 's')} each, "
        f"{format_quantity(data['worst_packet_latency_s'], 's')} at worst",
    ]
    for link in data["busiest_links"]:
        waited = format_quantity(link["waited_s"] / link["packets"], "s")
        lines.append(
            f"link {link['link']}: taken {link['use']:.1%} of the time, {link['packets']:,} packets that waited "
            f"{waited} on average, queue of {link['longest_queue']}"
        )
    for core in data["busiest_cores"]:
        lines.append(
            f"core {core['core']}: {core['rows']:,} rows in {core['reads']:,} reads, {core['spikes']:,} spikes, "
            f"queues of {core['longest_inbox']} and {core['longest_outbox']}"
        )
    return "\n".join(lines)
