"""A spike graph on a chip: made by a recipe, judged by one record of metrics, saved and opened again."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hasnas.cim_estimator.hardware.lines import access_width_m, chip_clock_hz
from hasnas.cim_estimator.hardware.spec import GeneralHardware, HardwareSpec
from hasnas.cim_estimator.nonideal import load_nonideal
from hasnas.errors import BadInputError

from .cell_array import (
    CellArray,
    Crossbar,
    Floats,
    Positions,
    cell_array,
    cell_executions,
    crossbars,
    driven_power_w,
    executions,
    mean_power_w,
    temperature_k,
)
from .clusters import CrossbarLimits, check_clusters, global_spikes, traffic
from .constants import CellConstants, NetworkConstants, load_cells, load_network
from .crossbar_order import ORDERS
from .delivery import deliver
from .fan_in import split_wide
from .graph_file import open_arrays, save_arrays
from .partitioners import partition
from .placement_state import Heat
from .placers import JUDGED, OF_HEAT, place
from .recipes import Recipe
from .spike_graph import Ids, SpikeGraph
from .tile_heat import tile_kernel
from .topology import Topology, topology_for

_SAVED = {
    "clusters", "tiles", "topology", "graph", "rows", "rows_offsets", "columns", "columns_offsets", "split_rows",
    "splitting",
}  # fmt: skip


@dataclass(frozen=True)
class Chip:
    """What a mapping is made for.

    Args:
        hardware: crossbars, cells, node and clock.
        network: constants of the network between tiles.
        cells: constants of heat and wear.
        row_wire_ohm: resistance of a segment of a row.
        column_wire_ohm: resistance of a segment of a column.
    """

    hardware: GeneralHardware
    network: NetworkConstants
    cells: CellConstants
    row_wire_ohm: float
    column_wire_ohm: float

    @property
    def limits(self) -> CrossbarLimits:
        """What one crossbar holds."""
        return CrossbarLimits(self.hardware.crossbar.rows, self.hardware.crossbar.columns)

    @property
    def clock_hz(self) -> float:
        """Of the network and the cores."""
        return float(chip_clock_hz(self.hardware))

    @property
    def array(self) -> CellArray:
        """Power and endurance of cells by position."""
        device, wires = self.hardware.device, (self.row_wire_ohm, self.column_wire_ohm)
        cell_ohm = device.on_resistance_ohm * (1 + device.access_share)
        least_share, offset = 1 / max(device.on_off_ratio, 1.0), self.hardware.crossbar.signed == "offset"
        return cell_array(self.limits, cell_ohm, device.read_voltage_v, *wires, self.cells, least_share, offset)

    @property
    def cells_area_m2(self) -> float:
        """Of all cells of a crossbar."""
        device, limits = self.hardware.device, self.limits
        feature_m = self.hardware.node.feature_size_m
        return limits.rows * limits.columns * device.cell_height_f * device.cell_width_f * feature_m**2

    @property
    def cell_leakage_w(self) -> float:
        """Of one cell's access transistor at ambient temperature."""
        node = self.hardware.node
        return node.leakage_a_per_m * access_width_m(self.hardware.device, node) * node.supply_v

    def leakage_w(self, hot_k: Floats) -> float:
        """Of the transistors below cells of these temperatures: they feel the array's mean, not its filaments."""
        growth = float(np.exp(self.cells.leakage_per_k * (hot_k.mean() - self.cells.ambient_k)))
        return hot_k.size * self.cell_leakage_w * growth

    def tile_kernel(self, topology: Topology) -> Floats:
        """Kelvin by which a tile warms for each watt of another, shape `[tiles, tiles]`."""
        conducted = self.cells.substrate_w_per_m_k
        return tile_kernel(topology, self.network.tile_pitch_m, self.cells_area_m2, conducted)


@dataclass(frozen=True)
class Mapped:
    """Where everything is.

    Args:
        graph: what was mapped, with the intermediate neurons of wide ones.
        clusters: of each neuron of `graph`, shape `[neurons]`.
        topology: of the tiles.
        tiles: of each cluster, shape `[clusters]`.
        positions: rows and columns within each cluster's crossbar; sources and neurons in ascending order.
        rows: of a crossbar, over which wide neurons were spread.
        splitting: how they were spread.
    """

    graph: SpikeGraph
    clusters: Ids
    topology: Topology
    tiles: Ids
    positions: list[Positions]
    rows: int
    splitting: str = "partial-sums"


@dataclass(frozen=True)
class MappingMetrics:
    """What a mapping costs, for the whole recording.

    Args:
        recipe: its name.
        clusters: crossbars used.
        global_spikes: spikes between clusters, once for every cluster that they reach.
        communication_energy_j: of the network between tiles.
        latency_s: mean of a packet, queues included where spike times are known.
        isi_distortion_s: mean change of the gap between two spikes; None without spike times.
        lifetime_s: until the first cell is worn out, the recording repeated in real time; None if no cell ever is.
        temperature_k: mean of all crossbars used, timesteps following one another without pause.
        leakage_w: of the cells of all crossbars used, each at its mean temperature.
        seconds: that mapping took.
    """

    recipe: str
    clusters: int
    global_spikes: int
    communication_energy_j: float
    latency_s: float
    isi_distortion_s: float | None
    lifetime_s: float | None
    temperature_k: float
    leakage_w: float
    seconds: float


def chip_of(
    hardware: HardwareSpec,
    network: str | Path = "noxim",
    cells: str | Path = "unverified",
    wires: str = "rram-typical",
) -> Chip:
    """The chip of a hardware description, with the wires of a device of `nonideal`.

    Raises:
        BadInputError: if the hardware does not describe its cells, or constants are unknown.
    """
    if not isinstance(hardware, GeneralHardware):
        raise BadInputError(
            f"hardware '{hardware.name}' does not say what its cells carry; choose one of `model: general`, "
            "e.g. rram-32nm"
        )
    device = load_nonideal(wires)
    return Chip(hardware, load_network(network), load_cells(cells), device.row_wire_ohm, device.column_wire_ohm)


def map_graph(graph: SpikeGraph, recipe: Recipe, chip: Chip, seed: int = 0) -> Mapped:
    """Split, divide, place and order.

    Args:
        graph: the workload.
        recipe: how.
        chip: for what.
        seed: the only source of chance.

    Raises:
        BadInputError: if the recipe names an unknown part, or a neuron fits no crossbar.
    """
    rng, limits = np.random.default_rng(seed), chip.limits
    narrow = split_wide(graph, limits.rows, recipe.splitting)  # type: ignore[arg-type]
    clusters = partition(narrow, limits, recipe.partitioner, rng, recipe.refined)
    return arrange(narrow, clusters, recipe, chip, rng)


def arrange(narrow: SpikeGraph, clusters: Ids, recipe: Recipe, chip: Chip, rng: np.random.Generator) -> Mapped:
    """Order and place clusters that are there already.

    Args:
        narrow: the workload, its wide neurons spread.
        clusters: of each neuron; they fit.
        recipe: how; its partitioner is not asked.
        chip: for what.
        rng: the only source of chance.
    """
    order, flows = ORDERS.get(recipe.order), traffic(narrow, clusters)
    topology = topology_for(flows.clusters, recipe.topology)
    array = chip.array
    held = list(crossbars(narrow, clusters, array))
    positions = [order(crossbar, array, rng) for crossbar in held]
    wanted = {name for name, weight in recipe.objective.items() if weight}
    heat = heat_of(held, positions, topology, chip) if wanted & set(OF_HEAT) else None
    judge = None
    if wanted & set(JUDGED):

        def judge(tiles: Ids) -> np.ndarray:
            sent = deliver(narrow, clusters, tiles, topology, chip.network, chip.clock_hz)
            return np.array([sent.mean_latency_s, sent.isi_distortion_s or 0.0])

    tiles = place(flows, topology, recipe.placer, recipe.objective, rng, heat=heat, judge=judge)
    return Mapped(narrow, clusters, topology, tiles, positions, chip.limits.rows, recipe.splitting)


def heat_of(held: list[Crossbar], positions: list[Positions], topology: Topology, chip: Chip) -> Heat:
    """What crossbars give off, and how hot and worn they are, each alone on its chip."""
    array, cells = chip.array, chip.cells
    found = np.empty((len(held), 5))
    for index, (crossbar, at) in enumerate(zip(held, positions, strict=True)):
        hot_k, lives = temperature_k(crossbar, at, array), cell_executions(crossbar, at, array)
        worn_w = driven_power_w(crossbar, at, array).ravel()[lives.argmin()] if lives.size else 0.0
        life = lives.min(initial=np.inf)
        found[index] = (
            mean_power_w(crossbar, at, array),
            hot_k.max(),
            chip.leakage_w(hot_k),
            1 / life,
            cells.ambient_k + cells.heating_k_per_w * worn_w,
        )
    power_w, peak_k, leakage_w, wear, worn_k = np.ascontiguousarray(found.T)
    kernel = chip.tile_kernel(topology)
    return Heat(power_w, kernel, peak_k, leakage_w, wear, worn_k, cells.leakage_per_k, cells.endurance_k)


def warming_k(mapped: Mapped, chip: Chip) -> np.ndarray:
    """Kelvin by which the crossbars together warm each cluster through the substrate, shape `[clusters]`."""
    array = chip.array
    held = crossbars(mapped.graph, mapped.clusters, array)
    power_w = np.array([mean_power_w(one, at, array) for one, at in zip(held, mapped.positions, strict=True)])
    return chip.tile_kernel(mapped.topology)[np.ix_(mapped.tiles, mapped.tiles)] @ power_w


def evaluate(mapped: Mapped, chip: Chip, recipe: str = "", seconds: float = 0.0) -> MappingMetrics:
    """All metrics of a mapping.

    Raises:
        BadInputError: if a cluster does not fit a crossbar of this chip.
    """
    graph, clusters, array = mapped.graph, mapped.clusters, chip.array
    check_clusters(graph, clusters, chip.limits)
    sent = deliver(graph, clusters, mapped.tiles, mapped.topology, chip.network, chip.clock_hz)
    lives, means, leakage_w = [], [], 0.0
    held = crossbars(graph, clusters, array)
    for crossbar, positions, warmer_k in zip(held, mapped.positions, warming_k(mapped, chip), strict=True):
        lives.append(executions(crossbar, positions, array, warmer_k))
        hot_k = temperature_k(crossbar, positions, array, warmer_k)
        means.append(hot_k.mean())
        leakage_w += chip.leakage_w(hot_k)
    life = min(lives)
    return MappingMetrics(
        recipe=recipe,
        clusters=len(mapped.tiles),
        global_spikes=global_spikes(graph, clusters),
        communication_energy_j=sent.energy_j,
        latency_s=sent.mean_latency_s,
        isi_distortion_s=sent.isi_distortion_s,
        lifetime_s=life * graph.duration_s if np.isfinite(life) else None,
        temperature_k=float(np.mean(means)),
        leakage_w=leakage_w,
        seconds=seconds,
    )


def map_and_evaluate(graph: SpikeGraph, recipe: Recipe, chip: Chip, seed: int = 0) -> tuple[Mapped, MappingMetrics]:
    """Map by a recipe, and say what came of it; `seconds` is the time of mapping alone."""
    start = time.perf_counter()
    mapped = map_graph(graph, recipe, chip, seed)
    seconds = time.perf_counter() - start
    return mapped, evaluate(mapped, chip, recipe.name, seconds)


def save_mapping(mapped: Mapped, path: Path | str) -> None:
    """Write where everything is as .npz, with a fingerprint of the graph instead of the graph itself."""
    arrays: dict[str, Any] = {
        "clusters": mapped.clusters,
        "tiles": mapped.tiles,
        "topology": np.array(mapped.topology, np.int64),
        "graph": np.frombuffer(_fingerprint(mapped.graph), np.uint8),
        "split_rows": np.array([mapped.rows], np.int64),
        "splitting": np.frombuffer(mapped.splitting.encode(), np.uint8),
    }
    for name in ("rows", "columns"):
        parts = [getattr(positions, name) for positions in mapped.positions]
        arrays[name] = np.concatenate(parts)
        arrays[f"{name}_offsets"] = np.concatenate([[0], np.cumsum([len(part) for part in parts])])
    save_arrays(path, arrays)


def open_mapping(path: Path | str, graph: SpikeGraph) -> Mapped:
    """Open a mapping of this graph, whether or not its wide neurons are spread already.

    Raises:
        BadInputError: if the file is no mapping, or one of another network.
    """
    arrays = open_arrays(path)
    missing = _SAVED - set(arrays)
    if missing:
        raise BadInputError(f"{path} is not a mapping: it lacks {', '.join(sorted(missing))}; save it anew")
    rows, splitting = int(arrays["split_rows"][0]), arrays["splitting"].tobytes().decode()
    if arrays["graph"].tobytes() != _fingerprint(graph):
        graph = split_wide(graph, rows, splitting)  # type: ignore[arg-type]
    if arrays["graph"].tobytes() != _fingerprint(graph):
        raise BadInputError(f"{path} is a mapping of another network; map this one anew")
    parts = (np.split(arrays[name], arrays[f"{name}_offsets"][1:-1]) for name in ("rows", "columns"))
    positions = [Positions(*pair) for pair in zip(*parts, strict=True)]
    topology = Topology(*(int(number) for number in arrays["topology"]))
    return Mapped(graph, arrays["clusters"], topology, arrays["tiles"], positions, rows, splitting)


def _fingerprint(graph: SpikeGraph) -> bytes:
    digest = hashlib.sha256()
    for array in (graph.offsets, graph.destinations):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.digest()
