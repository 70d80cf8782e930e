"""Maps a spike graph onto crossbars by one or several recipes, as text or JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from hasnas.cim_estimator import format_quantity, load_hardware, parse_quantity
from hasnas.cim_estimator.mapping import (
    MappingMetrics,
    SpikeGraph,
    chip_of,
    load_recipe,
    map_and_evaluate,
    open_graph,
    read_graph_text,
    save_mapping,
)
from hasnas.errors import BadInputError


@dataclass(frozen=True)
class MapQuestion:
    """What to map, and how.

    Args:
        source: a graph as .npz or as text.
        spikes: spike times, for a graph as text.
        recipes: names or YAML files, e.g. `"spinemap"`.
        hardware: preset or YAML file.
        settings: `field=value` changes of the hardware.
        step: duration of a timestep, for a graph as text, e.g. `"1 ms"`.
        seed: the only source of chance.
        save: where the mapping goes; for a single recipe.
        network: constants of the network between tiles: preset or YAML file.
        cells: constants of heat and wear: preset or YAML file.
    """

    source: Path
    spikes: Path | None = None
    recipes: list[str] = field(default_factory=lambda: ["spinemap"])
    hardware: str = "rram-32nm"
    settings: list[str] = field(default_factory=list)
    step: str = "1 ms"
    seed: int = 0
    save: Path | None = None
    network: str = "noxim"
    cells: str = "unverified"


def answer(question: MapQuestion) -> list[MappingMetrics]:
    """One record a recipe, in the order of the recipes.

    Raises:
        BadInputError: if the graph, a recipe, the hardware or constants cannot be used.
    """
    recipes = [load_recipe(name) for name in question.recipes]
    if question.save is not None and len(recipes) != 1:
        raise BadInputError(f"--save holds one mapping, of {len(recipes)} recipes; choose one with --recipe")
    overrides = dict(_setting(text) for text in question.settings)
    chip = chip_of(load_hardware(question.hardware, overrides), question.network, question.cells)
    graph = read_graph(question.source, question.spikes, question.step)
    found = []
    for recipe in recipes:
        mapped, metrics = map_and_evaluate(graph, recipe, chip, question.seed)
        found.append(metrics)
        if question.save is not None:
            save_mapping(mapped, question.save)
    return found


def read_graph(source: Path, spikes: Path | None, step: str) -> SpikeGraph:
    """The graph in a file.

    Raises:
        BadInputError: if the file is no graph, or a text without spikes.
    """
    if source.is_dir() or source.suffix == ".nir":
        raise BadInputError(f"{source}: networks are not traced yet; give a graph as .npz, or as text with --spikes")
    if source.suffix == ".npz":
        if spikes is not None:
            raise BadInputError(f"{source} holds its spikes; leave out --spikes")
        return open_graph(source)
    if spikes is None:
        raise BadInputError(f"{source} as text needs --spikes FILE, a line 'neuron time ...' for each neuron")
    step_s = parse_quantity(step, "s")
    if not 0 < step_s < float("inf"):
        raise BadInputError(f"--step is {step}; give a time above 0, e.g. '1 ms'")
    return read_graph_text(source, spikes, step_s)


def _setting(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise BadInputError(f"--set {text}: write FIELD=VALUE, e.g. crossbar.size=64")
    return name, value


def to_json(found: list[MappingMetrics]) -> str:
    """A list with one record a recipe; what cannot be known is null."""
    return json.dumps([asdict(metrics) for metrics in found], indent=2)


def to_text(found: list[MappingMetrics]) -> str:
    """A table with a column for each recipe."""
    rows = [list(_row(name, found)) for name in asdict(found[0])]
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _row(name: str, found: list[MappingMetrics]) -> list[str]:
    title, unit = name, ""
    for suffix, known in (("_j", "J"), ("_s", "s"), ("_k", "K"), ("_w", "W")):
        if name.endswith(suffix):
            title, unit = name.removesuffix(suffix), known
    unit = "s" if name == "seconds" else unit
    return [title.replace("_", " "), *(_cell(getattr(metrics, name), unit) for metrics in found)]


def _cell(value: Any, unit: str) -> str:
    if value is None:
        return "-"
    if unit == "K":
        return f"{value:.2f} K"
    return format_quantity(value, unit) if unit else str(value)
