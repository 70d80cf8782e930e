"""Maps a spike graph onto crossbars by one or several recipes, as text or JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from hasnas.cim_estimator import format_quantity, load_hardware, parse_quantity
from hasnas.cim_estimator.mapping import (
    Chip,
    Mapped,
    MappingMetrics,
    SpikeGraph,
    check_clusters,
    chip_of,
    evaluate,
    load_recipe,
    map_and_evaluate,
    open_graph,
    open_mapping,
    read_graph_text,
    save_graph,
    save_mapping,
    traffic_by_layer,
)
from hasnas.errors import BadInputError

from .options import reject_repeated


@dataclass(frozen=True)
class MapQuestion:
    """What to map, and how.

    Args:
        source: a graph as .npz or as text; a run, an exported network or a NIR file, which are traced.
        spikes: spike times, for a graph as text.
        recipes: names or YAML files, e.g. `"spinemap"`.
        hardware: preset or YAML file.
        settings: `field=value` changes of the hardware.
        step: duration of a timestep, for a graph as text, e.g. `"1 ms"`.
        seed: the only source of chance.
        save: where the mapping goes; for a single recipe.
        mapping: a saved mapping to judge instead of making one.
        save_graph: where the graph goes.
        samples: how many samples a network is traced on, or an .npy file of samples.
        dataset: where samples come from, for networks that do not say.
        data_root: folder that holds the datasets' files.
        by_channel: whether a channel of maps is one neuron; for networks.
        timesteps: T, for NIR files of other tools.
        wires: preset of imperfect devices whose wires the arrays have.
        by_layer: whether energy will be asked for by layer.
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
    mapping: Path | None = None
    save_graph: Path | None = None
    samples: str | None = None
    dataset: str | None = None
    data_root: Path | None = None
    by_channel: bool = False
    timesteps: int | None = None
    wires: str = "rram-typical"
    by_layer: bool = False


@dataclass(frozen=True)
class Answer:
    """A mapping, its chip and what it costs."""

    mapped: Mapped
    chip: Chip
    metrics: MappingMetrics


def answer(question: MapQuestion) -> list[Answer]:
    """One answer a recipe, in the order of the recipes; one for a saved mapping.

    Raises:
        BadInputError: if the source, a recipe, the hardware or constants cannot be used.
    """
    recipes = [load_recipe(name) for name in question.recipes]
    if question.save is not None and (len(recipes) != 1 or question.mapping is not None):
        raise BadInputError("--save holds one mapping that is new; give a single --recipe and no --mapping")
    overrides = read_settings(question.settings)
    chip = chip_of(load_hardware(question.hardware, overrides), question.network, question.cells, question.wires)
    graph = read_graph(question)
    if question.by_layer and graph.layers is None:
        raise BadInputError(f"{question.source} knows no layers; for --by-layer give a run, its export or a NIR file")
    if question.save_graph is not None:
        save_graph(graph, question.save_graph)
    if question.mapping is not None:
        mapped = opened(question.mapping, graph, chip)
        return [Answer(mapped, chip, evaluate(mapped, chip, question.mapping.stem))]
    found = []
    for recipe in recipes:
        mapped, metrics = map_and_evaluate(graph, recipe, chip, question.seed)
        _check_fits(mapped, chip)
        found.append(Answer(mapped, chip, metrics))
        if question.save is not None:
            save_mapping(mapped, question.save)
    return found


def opened(path: Path, graph: SpikeGraph, chip: Chip) -> Mapped:
    """A stored mapping of a graph onto a chip.

    Raises:
        BadInputError: if it cannot be read, or does not fit the graph or the chip.
    """
    mapped = open_mapping(path, graph)
    check_clusters(mapped.graph, mapped.clusters, chip.limits)
    _check_fits(mapped, chip)
    return mapped


def _check_fits(mapped: Mapped, chip: Chip) -> None:
    """Refuse more clusters than a chip whose tiles are counted has crossbars."""
    clusters, hardware = len(mapped.tiles), chip.hardware
    held = hardware.chip.tiles * hardware.tile.pes * hardware.tile.arrays_per_pe
    if 0 < held < clusters:
        raise BadInputError(
            f"the mapping takes {clusters} crossbars, the chip has {held} (chip.tiles is {hardware.chip.tiles}); give "
            "it more tiles, or larger crossbars"
        )


def read_graph(question: MapQuestion) -> SpikeGraph:
    """The graph in a file, or that of a network.

    Raises:
        BadInputError: if the source is neither, a text comes without spikes, or samples do not fit.
    """
    source, spikes = question.source, question.spikes
    step_s = parse_quantity(question.step, "s")
    if not 0 < step_s < float("inf"):
        raise BadInputError(f"--step is {question.step}; give a time above 0, e.g. '1 ms'")
    if source.is_dir() or source.suffix == ".nir":
        if spikes is not None:
            raise BadInputError(f"{source} is traced on samples, not on --spikes; give --samples")
        from hasnas.nas.spikes.sources import trace_source

        return trace_source(
            source,
            question.samples,
            question.dataset,
            question.data_root,
            step_s,
            question.by_channel,
            question.timesteps,
        )
    if question.samples is not None:
        raise BadInputError(f"{source} holds its spikes; --samples is for runs and NIR files")
    of_networks = {
        "--dataset": question.dataset, "--data-root": question.data_root, "--timesteps": question.timesteps,
        "--by-channel": question.by_channel,
    }  # fmt: skip
    idle = next((name for name, value in of_networks.items() if value), None)
    if idle is not None:
        raise BadInputError(f"{source} holds neurons and their spikes; {idle} is for runs and NIR files, leave it out")
    if source.suffix == ".npz":
        if spikes is not None:
            raise BadInputError(f"{source} holds its spikes; leave out --spikes")
        return open_graph(source)
    if spikes is None:
        raise BadInputError(f"{source} as text needs --spikes FILE, a line 'neuron time ...' for each neuron")
    return read_graph_text(source, spikes, step_s)


def read_settings(texts: list[str]) -> dict[str, str]:
    """Field of the hardware -> its new value.

    Raises:
        BadInputError: for a text that is not `field=value`, or a field that is named twice.
    """
    pairs = [_setting(text) for text in texts]
    reject_repeated([key for key, _ in pairs], "--set")
    return dict(pairs)


def _setting(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise BadInputError(f"--set {text}: write FIELD=VALUE, e.g. crossbar.size=64")
    return name, value


def draw(found: list[Answer], directory: Path) -> None:
    """Three PNG files for each answer.

    Raises:
        BadInputError: if the directory cannot be written.
    """
    from hasnas.cim_estimator.mapping.plots import draw_maps

    try:
        for one in found:
            draw_maps(one.mapped, one.chip, directory, one.metrics.recipe)
    except OSError as error:
        raise BadInputError(f"cannot write into {directory}: {error.strerror or error}; choose another --plot") from (
            error
        )


def to_json(found: list[Answer], by_layer: bool = False) -> str:
    """A list with one record a recipe; what cannot be known is null; `layers` if they are asked for.

    Raises:
        BadInputError: if they are, and the graph knows none.
    """
    records = [asdict(one.metrics) for one in found]
    if by_layer:
        for record, one in zip(records, found, strict=True):
            record["layers"] = [asdict(layer) for layer in traffic_by_layer(one.mapped, one.chip)]
    return json.dumps(records, indent=2)


def to_text(found: list[Answer], by_layer: bool = False) -> str:
    """A table with a column for each recipe; one with the energy of what each layer hears, if that is asked for.

    Raises:
        BadInputError: if it is, and the graph knows no layers.
    """
    metrics = [one.metrics for one in found]
    text = _aligned([list(_row(name, metrics)) for name in asdict(metrics[0])])
    if not by_layer:
        return text
    layers = [traffic_by_layer(one.mapped, one.chip) for one in found]
    head = ["communication energy by layer that hears", *(one.recipe for one in metrics)]
    rows = [
        [parts[0].layer, *(format_quantity(part.energy_j, "J") for part in parts)]
        for parts in zip(*layers, strict=True)
        if any(part.packets for part in parts)
    ]
    return f"{text}\n\n{_aligned([head, *rows])}"


def _aligned(rows: list[list[str]]) -> str:
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
