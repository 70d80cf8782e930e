"""Inside a crossbar: which input drives which row and which neuron has which column, against wear and heat.

Wires make cells near the drivers and the sense amplifiers carry the most current; these grow hot and wear out first.
Only whole rows and whole columns can change places.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import convolve
from scipy.optimize import linear_sum_assignment

from hasnas.cim_estimator.nonideal import solve_array
from hasnas.registry import Registry

from .clusters import CrossbarLimits
from .constants import CellConstants
from .spike_graph import Ids, Ints, SpikeGraph

Floats = NDArray[np.float64]
_RADIUS = 4  # cells beyond which a neighbour's heat is left out


@dataclass(frozen=True)
class CellArray:
    """What the cells of an array do when every row is driven, by position; all of shape `[rows, columns]`.

    Args:
        power_w: of a cell at the on-resistance, while its row is driven.
        endurance: activations that it survives.
        felt_k_per_w: kelvin that all cells of the array together warm for each watt of this one.
        cells: constants of heat and wear.
    """

    power_w: Floats
    endurance: Floats
    felt_k_per_w: Floats
    cells: CellConstants


@dataclass(frozen=True)
class Crossbar:
    """A cluster on its array.

    Args:
        sources: neuron that drives each used row, shape `[rows used]`.
        neurons: neuron of each used column, shape `[columns used]`.
        connected: whether there is a synapse, shape `[rows used, columns used]`.
        spikes: of each source, shape `[rows used]`.
        duty: share of the timesteps at which it spikes, shape `[rows used]`.
    """

    sources: Ids
    neurons: Ids
    connected: NDArray[np.bool_]
    spikes: Ints
    duty: Floats


@dataclass(frozen=True)
class Positions:
    """Row of each source and column of each neuron of a crossbar, all different."""

    rows: Ids
    columns: Ids


Order = Callable[[Crossbar, CellArray, np.random.Generator], Positions]
ORDERS: Registry[Order] = Registry(
    "order",
    {name: f"{__name__}:{name}" for name in ("plain", "random", "endurance", "heat")},
    "hasnas.crossbar_orders",
)


@lru_cache(maxsize=8)
def cell_array(
    limits: CrossbarLimits, cell_ohm: float, read_v: float, row_wire_ohm: float, column_wire_ohm: float,
    cells: CellConstants,
) -> CellArray:  # fmt: skip
    """Currents of a uniform array by an exact nodal solve, and what follows from them.

        T = ambient + heating * I^2 R,      endurance = endurance_cycles * exp(endurance_k * (1 / T - 1 / ambient))

    Args:
        limits: rows and columns.
        cell_ohm: resistance of every cell.
        read_v: voltage on every row.
        row_wire_ohm: resistance of one segment of a row.
        column_wire_ohm: resistance of one segment of a column.
        cells: constants of heat and wear.
    """
    shape = limits.rows, limits.columns
    volts = solve_array(np.full(shape, 1 / cell_ohm), np.full(limits.rows, read_v), row_wire_ohm, column_wire_ohm)
    power_w = volts.cell_voltage_v[0] ** 2 / cell_ohm
    hot_k = cells.ambient_k + cells.heating_k_per_w * power_w
    endurance = cells.endurance_cycles * np.exp(cells.endurance_k * (1 / hot_k - 1 / cells.ambient_k))
    felt = cells.heating_k_per_w * convolve(np.ones(shape), heat_kernel(cells.neighbour_share), mode="constant")
    return CellArray(power_w, endurance, felt, cells)


def heat_kernel(neighbour_share: float) -> Floats:
    """How much of a cell's heating cells around it feel: `neighbour_share ** distance`."""
    along = np.arange(-_RADIUS, _RADIUS + 1)
    return neighbour_share ** np.hypot(along[:, None], along[None, :])


def crossbars(graph: SpikeGraph, clusters: Ids) -> list[Crossbar]:
    """The crossbar of every cluster; sources and neurons ascend."""
    cluster_of = clusters[graph.destinations]
    order = np.argsort(cluster_of, kind="stable")
    bounds = np.searchsorted(cluster_of[order], np.arange(int(clusters.max()) + 2))
    return [_crossbar(graph, order[start:end]) for start, end in pairwise(bounds)]


def _crossbar(graph: SpikeGraph, synapses: Ints) -> Crossbar:
    sources, row = np.unique(graph.sources[synapses], return_inverse=True)
    neurons, column = np.unique(graph.destinations[synapses], return_inverse=True)
    connected = np.zeros((len(sources), len(neurons)), bool)
    connected[row, column] = True
    spikes = graph.spikes[sources]
    return Crossbar(sources, neurons, connected, spikes, spikes / (graph.steps * graph.samples))


def executions(crossbar: Crossbar, positions: Positions, array: CellArray) -> float:
    """How often the recording can be repeated before the first cell is worn out; infinite if nothing spikes."""
    endurance = array.endurance[np.ix_(positions.rows, positions.columns)]
    worn = crossbar.connected * crossbar.spikes[:, None]
    return float(np.min(np.where(worn > 0, endurance / np.maximum(worn, 1), np.inf), initial=np.inf))


def temperature_k(crossbar: Crossbar, positions: Positions, array: CellArray) -> Floats:
    """Mean temperature of every cell while timesteps follow one another without pause, shape `[rows, columns]`.

    T = ambient + heating * (kernel * power), where a cell's power is that of a driven cell times its row's duty.
    """
    power_w = np.zeros_like(array.power_w)
    used = np.ix_(positions.rows, positions.columns)
    power_w[used] = array.power_w[used] * crossbar.connected * crossbar.duty[:, None]
    cells = array.cells
    return cells.ambient_k + cells.heating_k_per_w * convolve(
        power_w, heat_kernel(cells.neighbour_share), mode="constant"
    )


def plain(crossbar: Crossbar, array: CellArray, rng: np.random.Generator) -> Positions:
    """In the order of their numbers, from the drivers on and from the sense amplifiers on: the largest currents."""
    rows = len(array.power_w)
    return Positions(
        np.arange(rows - len(crossbar.sources), rows, dtype=np.int32), np.arange(len(crossbar.neurons), dtype=np.int32)
    )


def random(crossbar: Crossbar, array: CellArray, rng: np.random.Generator) -> Positions:
    """Anywhere."""
    rows, columns = array.power_w.shape
    return Positions(
        rng.permutation(rows)[: len(crossbar.sources)].astype(np.int32),
        rng.permutation(columns)[: len(crossbar.neurons)].astype(np.int32),
    )


def endurance(crossbar: Crossbar, array: CellArray, rng: np.random.Generator) -> Positions:
    """The busiest rows and columns on the strongest cells, by turns sorted until the lifetime no longer grows."""
    busy_rows = np.where(crossbar.connected.any(1), crossbar.spikes, 0)
    busy_columns = (crossbar.connected * crossbar.spikes[:, None]).max(0, initial=0)
    best = plain(crossbar, array, rng)
    best_life, found = executions(crossbar, best, array), best
    columns = _strongest(array.endurance.min(0), busy_columns)
    for _ in range(4):
        rows = _strongest(array.endurance[:, columns].min(1, initial=np.inf), busy_rows)
        columns = _strongest(array.endurance[rows].min(0, initial=np.inf), busy_columns)
        found = Positions(rows, columns)
        life = executions(crossbar, found, array)
        if life <= best_life:
            break
        best, best_life = found, life
    return best


def _strongest(strength: Floats, activity: Ints) -> Ids:
    """The strongest positions, the very strongest for the most active."""
    positions = np.empty(len(activity), np.int32)
    positions[np.argsort(-activity, kind="stable")] = np.argsort(-strength, kind="stable")[: len(activity)]
    return positions


def heat(crossbar: Crossbar, array: CellArray, rng: np.random.Generator) -> Positions:
    """The coolest array on average: rows for fixed columns are a linear assignment, and the other way round."""
    warming = array.power_w * array.felt_k_per_w
    drive = crossbar.connected * crossbar.duty[:, None]
    best = plain(crossbar, array, rng)
    rows, columns = best.rows, best.columns
    least = np.inf
    while True:
        rows = linear_sum_assignment(drive @ warming[:, columns].T)[1].astype(np.int32)
        price = drive.T @ warming[rows]
        columns = linear_sum_assignment(price)[1].astype(np.int32)
        total = float(price[np.arange(len(columns)), columns].sum())
        if total >= least * (1 - 1e-9):
            return best
        best, least = Positions(rows, columns), total
