"""What cells of a crossbar do: current by position, the cluster that is on it, wear and heat.

Wires make cells near the drivers and the sense amplifiers carry the most current; these grow hot and wear out first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft2, next_fast_len, rfft2
from scipy.ndimage import convolve

from hasnas.cim_estimator.nonideal import solve_array

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
        felt_k_per_w: kelvin that all cells of the array together warm for each watt of this one.
        cells: constants of heat and wear.
        least_share: conductance of a cell that is off, as a share of one that is on.
        offset: whether weights are stored with an offset, so that the most negative one is off; otherwise a cell holds
            a magnitude.
    """

    power_w: Floats
    felt_k_per_w: Floats
    cells: CellConstants
    least_share: float = 0.0
    offset: bool = False

    def conductance(self, strengths: Floats) -> Floats:
        """Conductance of weights from -1 to 1, as a share of that of a cell that is on."""
        level = (1 + strengths) / 2 if self.offset else np.abs(strengths)
        return self.least_share + (1 - self.least_share) * level

    @cached_property
    def endurance(self) -> Floats:
        """Activations that a cell at the on-resistance survives, on a chip at ambient temperature."""
        return self.endurance_at(self.power_w)

    def endurance_at(self, power_w: Floats, warmer_k: float = 0.0) -> Floats:
        """Activations that cells of such a power survive, on a crossbar that is warmer than the ambient."""
        cells = self.cells
        hot_k = cells.ambient_k + warmer_k + cells.heating_k_per_w * power_w
        return cells.endurance_cycles * np.exp(cells.endurance_k * (1 / hot_k - 1 / cells.ambient_k))


@dataclass(frozen=True)
class Crossbar:
    """A cluster on its array.

    Args:
        sources: neuron that drives each used row, shape `[rows used]`.
        neurons: neuron of each used column, shape `[columns used]`.
        share: conductance of each synapse as a share of the largest there is; 0 where there is none, and its cell is
            switched off; shape `[rows used, columns used]`.
        spikes: of each source, shape `[rows used]`.
        duty: share of the timesteps at which it spikes, shape `[rows used]`.
    """

    sources: Ids
    neurons: Ids
    share: Floats
    spikes: Ints
    duty: Floats


@dataclass(frozen=True)
class Positions:
    """Row of each source and column of each neuron of a crossbar, all different."""

    rows: Ids
    columns: Ids


@lru_cache(maxsize=8)
def cell_array(
    limits: CrossbarLimits,
    cell_ohm: float,
    read_v: float,
    row_wire_ohm: float,
    column_wire_ohm: float,
    cells: CellConstants,
    least_share: float = 0.0,
    offset: bool = False,
) -> CellArray:
    """Currents of a uniform array by an exact nodal solve, and what follows from them.

        T = ambient + heating * I^2 R,      endurance = endurance_cycles * exp(endurance_k * (1 / T - 1 / ambient))

    Args:
        limits: rows and columns.
        cell_ohm: resistance of every cell.
        read_v: voltage on every row.
        row_wire_ohm: resistance of one segment of a row.
        column_wire_ohm: resistance of one segment of a column.
        cells: constants of heat and wear.
        least_share: see `CellArray`.
        offset: see `CellArray`.
    """
    shape = limits.rows, limits.columns
    volts = solve_array(np.full(shape, 1 / cell_ohm), np.full(limits.rows, read_v), row_wire_ohm, column_wire_ohm)
    power_w = volts.cell_voltage_v[0] ** 2 / cell_ohm
    felt = cells.heating_k_per_w * convolve(np.ones(shape), heat_kernel(cells.neighbour_share), mode="constant")
    return CellArray(power_w, felt, cells, least_share, offset)


def heat_kernel(neighbour_share: float) -> Floats:
    """How much of a cell's heating cells around it feel: `neighbour_share ** distance`."""
    along = np.arange(-_RADIUS, _RADIUS + 1)
    return neighbour_share ** np.hypot(along[:, None], along[None, :])


def crossbars(graph: SpikeGraph, clusters: Ids, array: CellArray) -> Iterator[Crossbar]:
    """The crossbar of every cluster; sources and neurons ascend."""
    cluster_of = clusters[graph.destinations]
    order = np.argsort(cluster_of, kind="stable")
    bounds = np.searchsorted(cluster_of[order], np.arange(int(clusters.max()) + 2))
    return (_crossbar(graph, order[start:end], array) for start, end in pairwise(bounds))


def _crossbar(graph: SpikeGraph, synapses: Ints, array: CellArray) -> Crossbar:
    sources, row = np.unique(graph.sources[synapses], return_inverse=True)
    neurons, column = np.unique(graph.destinations[synapses], return_inverse=True)
    share = np.zeros((len(sources), len(neurons)))
    share[row, column] = 1.0 if graph.strengths is None else array.conductance(graph.strengths[synapses].astype(float))
    spikes = graph.spikes[sources]
    return Crossbar(sources, neurons, share, spikes, spikes / (graph.steps * graph.samples))


def driven_power_w(crossbar: Crossbar, positions: Positions, array: CellArray) -> Floats:
    """Power of each synapse's cell while its row is driven, shape `[rows used, columns used]`."""
    return array.power_w[np.ix_(positions.rows, positions.columns)] * crossbar.share


def mean_power_w(crossbar: Crossbar, positions: Positions, array: CellArray) -> float:
    """Mean power of a whole crossbar while timesteps follow one another without pause."""
    return float((driven_power_w(crossbar, positions, array) * crossbar.duty[:, None]).sum())


def executions(crossbar: Crossbar, positions: Positions, array: CellArray, warmer_k: float = 0.0) -> float:
    """How often the recording can be repeated before the first cell is worn out; infinite if nothing spikes."""
    return float(np.min(cell_executions(crossbar, positions, array, warmer_k), initial=np.inf))


def cell_executions(crossbar: Crossbar, positions: Positions, array: CellArray, warmer_k: float = 0.0) -> Floats:
    """The same of every cell, shape `[rows used, columns used]`; infinite where nothing happens."""
    endurance = array.endurance_at(driven_power_w(crossbar, positions, array), warmer_k)
    worn = (crossbar.share > 0) * crossbar.spikes[:, None]
    return np.where(worn > 0, endurance / np.maximum(worn, 1), np.inf)


def temperature_k(crossbar: Crossbar, positions: Positions, array: CellArray, warmer_k: float = 0.0) -> Floats:
    """Mean temperature of every cell while timesteps follow one another without pause, shape `[rows, columns]`.

    T = ambient + warmer + heating * (kernel * power), where a cell's power is that of a driven cell times its row's
    duty.
    """
    power_w = np.zeros_like(array.power_w)
    used = np.ix_(positions.rows, positions.columns)
    power_w[used] = driven_power_w(crossbar, positions, array) * crossbar.duty[:, None]
    cells = array.cells
    return cells.ambient_k + warmer_k + cells.heating_k_per_w * _spread(power_w, cells.neighbour_share)


def _spread(power_w: Floats, neighbour_share: float) -> Floats:
    """The power that each cell feels, by a Fourier transform."""
    padded, transformed = _transformed_kernel(power_w.shape[0], power_w.shape[1], neighbour_share)
    spread = irfft2(rfft2(power_w, padded) * transformed, padded)
    return spread[_RADIUS : _RADIUS + power_w.shape[0], _RADIUS : _RADIUS + power_w.shape[1]]


@lru_cache(maxsize=8)
def _transformed_kernel(
    rows: int, columns: int, neighbour_share: float
) -> tuple[tuple[int, int], NDArray[np.complex128]]:
    padded = next_fast_len(rows + 2 * _RADIUS, True), next_fast_len(columns + 2 * _RADIUS, True)
    return padded, rfft2(heat_kernel(neighbour_share), padded)
