"""Pictures of a mapping on its tiles: heat, lifetime and traffic. Imports matplotlib only when drawing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hasnas.files import make_directory

from .cell_array import cell_executions, crossbars, temperature_k
from .clusters import traffic
from .mapping import Chip, Mapped, warming_k
from .topology import places_on_chip, route

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]
MOST_CELLS = 4_000_000  # of a picture; larger chips show the hottest or weakest cell of each block


def draw_maps(mapped: Mapped, chip: Chip, directory: Path, name: str) -> list[Path]:
    """Write `<name>-heat.png`, `<name>-lifetime.png` and `<name>-traffic.png`.

    Args:
        mapped: the mapping.
        chip: for which it was made.
        directory: made if absent.
        name: of the recipe.
    """
    make_directory(directory)
    heat, lifetime = chip_maps(mapped, chip)
    pictures = {
        "heat": _picture(heat, f"{name}: mean temperature (K)", "inferno"),
        "lifetime": _picture(lifetime, f"{name}: life of cells (log10 s)", "viridis"),
        "traffic": _traffic(mapped, f"{name}: packets on links"),
    }
    files = []
    for kind, figure in pictures.items():
        files.append(directory / f"{name}-{kind}.png")
        figure.savefig(files[-1], dpi=120)
    return files


def chip_maps(mapped: Mapped, chip: Chip) -> tuple[Floats, Floats]:
    """Mean temperature in kelvin, and log10 of the life in seconds, of every cell of the chip, tile beside tile.

    Cells that never wear out, and tiles without a cluster, are NaN. Large chips are shown by blocks of cells, each as
    its hottest cell and the one that dies first.
    """
    places = places_on_chip(mapped.topology).astype(int)
    height, width = places.max(0) + 1
    rows, columns = chip.array.power_w.shape
    block = 1
    while height * width * rows * columns > MOST_CELLS * block**2 and block < min(rows, columns):
        block *= 2
    shape = -(-rows // block), -(-columns // block)
    heat = np.full((height * shape[0], width * shape[1]), np.nan)
    lifetime = heat.copy()
    held = crossbars(mapped.graph, mapped.clusters, chip.array)
    warmer = warming_k(mapped, chip)
    for index, (crossbar, at) in enumerate(zip(held, mapped.positions, strict=True)):
        y, x = places[mapped.tiles[index]] * shape
        tile = slice(y, y + shape[0]), slice(x, x + shape[1])
        heat[tile] = _largest(temperature_k(crossbar, at, chip.array, warmer[index]), block)
        life = np.full((rows, columns), np.inf)
        life[np.ix_(at.rows, at.columns)] = cell_executions(crossbar, at, chip.array, warmer[index])
        shortest = -_largest(-life, block)
        shown = np.log10(shortest * mapped.graph.duration_s)
        lifetime[tile] = np.where(np.isfinite(shown), shown, np.nan)
    return heat, lifetime


def link_loads(mapped: Mapped) -> NDArray[np.int64]:
    """Packets on each link, shape `[links]`."""
    loads = np.zeros(mapped.topology.links, np.int64)
    links = np.zeros(mapped.topology.farthest + 1, np.int64)
    flows = traffic(mapped.graph, mapped.clusters)
    for source, destination, packets in zip(flows.sources, flows.destinations, flows.packets, strict=True):
        count = route(mapped.topology, mapped.tiles[source], mapped.tiles[destination], links)
        loads[links[:count]] += packets
    return loads


def _largest(values: Floats, block: int) -> Floats:
    rows, columns = values.shape
    padded = np.full((-(-rows // block) * block, -(-columns // block) * block), -np.inf)
    padded[:rows, :columns] = values
    return padded.reshape(padded.shape[0] // block, block, padded.shape[1] // block, block).max(axis=(1, 3))


def _picture(values: Floats, title: str, colours: str) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 6), layout="constrained")
    axes = figure.add_subplot()
    image = axes.imshow(values, cmap=colours, interpolation="nearest")
    figure.colorbar(image, ax=axes)
    axes.set(title=title, xticks=[], yticks=[])
    return figure


def _traffic(mapped: Mapped, title: str) -> Figure:
    """A mesh as lines as wide as their packets; a tree as packets sent and received by each tile."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 6), layout="constrained")
    axes = figure.add_subplot()
    loads, topology, places = link_loads(mapped), mapped.topology, places_on_chip(mapped.topology)
    if topology.kind == 0:
        steps = ((0, 1, 0), (1, -1, 0), (2, 0, 1), (3, 0, -1))
        for tile, (y, x) in enumerate(places):
            for direction, dx, dy in steps:
                share = loads[4 * tile + direction] / max(loads.max(), 1)
                if share > 0:
                    shift = 0.06 * (1 if dx + dy > 0 else -1)  # the two directions side by side
                    axes.plot([x + shift * dy, x + dx + shift * dy], [y + shift * dx, y + dy + shift * dx],
                              color=(0.85, 0.2, 0.1, 0.25 + 0.75 * share), linewidth=0.5 + 4 * share)  # fmt: skip
    else:
        ends = loads[: 2 * topology.tiles].reshape(-1, 2).sum(1)
        axes.scatter(places[:, 1], places[:, 0], s=10 + 200 * ends / max(ends.max(), 1), color="tab:red", alpha=0.6)
    used = places[mapped.tiles]
    axes.scatter(used[:, 1], used[:, 0], s=12, color="tab:blue", zorder=3)
    axes.set(title=f"{title} (at most {loads.max(initial=0):,})", xticks=[], yticks=[], aspect="equal")
    axes.invert_yaxis()
    return figure
