"""Inside a crossbar: which input drives which row and which neuron has which column, against wear and heat.

Only whole rows and whole columns can change places.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numba import njit
from scipy.optimize import linear_sum_assignment

from hasnas.registry import Registry

from .cell_array import CellArray, Crossbar, Floats, Positions, executions
from .spike_graph import Ids, Ints

Order = Callable[[Crossbar, CellArray, np.random.Generator], Positions]
ORDERS: Registry[Order] = Registry(
    "order",
    {name: f"{__name__}:{name}" for name in ("plain", "random", "endurance", "heat")},
    "hasnas.crossbar_orders",
)
_SHARPNESS = 8.0  # of a sum of powers that stands for the largest wear
_TURNS = 6  # at most, of rows and columns


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
    """The busiest synapses on the strongest cells, so that the first cell to wear out lasts longest.

    It starts with rows and columns sorted by activity, and then, by turns, gives rows for fixed columns and columns
    for fixed rows by a linear assignment of wear to a high power, which the most worn cell rules.
    """
    busy_rows = np.where(crossbar.share.any(1), crossbar.spikes, 0)
    busy_columns = (crossbar.share * crossbar.spikes[:, None]).max(0, initial=0)
    strength = array.endurance
    columns = _strongest(strength.min(0), busy_columns)
    rows = _strongest(strength[:, columns].min(1, initial=np.inf), busy_rows)
    best = Positions(rows, _strongest(strength[rows].min(0, initial=np.inf), busy_columns))
    best_life = executions(crossbar, best, array)
    if not np.isfinite(best_life):
        return best
    columns, activity = best.columns, crossbar.spikes.astype(float)
    for _ in range(_TURNS):
        hottest = _hottest(crossbar.share, array.power_w[:, columns])
        rows = _least(activity[:, None] / array.endurance_at(hottest), hottest > 0)
        wear = _most_worn(crossbar.share, activity, array.power_w[rows], array)
        columns = _least(wear, np.ones_like(wear, bool))
        found = Positions(rows, columns)
        life = executions(crossbar, found, array)
        if life <= best_life * (1 + 1e-12):
            break
        best, best_life = found, life
    return best


def _least(wear: Floats, counts: np.ndarray) -> Ids:
    """An assignment that keeps the largest wear low, shape `[things, positions]`."""
    scaled = np.where(counts, wear / max(wear.max(), 1e-300), 0.0)
    return linear_sum_assignment(scaled**_SHARPNESS)[1].astype(np.int32)


@njit(cache=True, nogil=True)
def _hottest(share: Floats, power: Floats) -> Floats:
    """Largest power of a cell of each used row at each position, shape `[rows used, rows]`.

    Args:
        share: conductances, shape `[rows used, columns used]`.
        power: at each row and in the columns used, shape `[rows, columns used]`.
    """
    found = np.zeros((share.shape[0], power.shape[0]))
    for row in range(share.shape[0]):
        for at in range(power.shape[0]):
            largest = 0.0
            for column in range(share.shape[1]):
                largest = max(largest, share[row, column] * power[at, column])
            found[row, at] = largest
    return found


def _most_worn(share: Floats, activity: Floats, power: Floats, array: CellArray) -> Floats:
    """Largest wear of a cell of each used column at each position, shape `[columns used, columns]`.

    Args:
        share: conductances, shape `[rows used, columns used]`.
        activity: of the rows used.
        power: in the rows used and at each column, shape `[rows used, columns]`.
        array: the cells.
    """
    cells = array.cells
    return _worn(share, activity, power, cells.heating_k_per_w, cells.ambient_k, cells.endurance_k) / (
        cells.endurance_cycles
    )


@njit(cache=True, nogil=True)
def _worn(share: Floats, activity: Floats, power: Floats, heating: float, ambient: float, slope: float) -> Floats:
    found = np.zeros((share.shape[1], power.shape[1]))
    most = np.empty(len(activity))  # that any cell of a row can wear
    for row in range(len(activity)):
        most[row] = activity[row] * _wear(power[row].max(), heating, ambient, slope)
    by_most = np.argsort(-most)
    for column in range(share.shape[1]):
        for at in range(power.shape[1]):
            largest = 0.0
            for row in by_most:
                if most[row] <= largest:
                    break
                if share[row, column] > 0:
                    watts = share[row, column] * power[row, at]
                    largest = max(largest, activity[row] * _wear(watts, heating, ambient, slope))
            found[column, at] = largest
    return found


@njit(cache=True, nogil=True)
def _wear(watts: float, heating: float, ambient: float, slope: float) -> float:
    return np.exp(slope * (1 / ambient - 1 / (ambient + heating * watts)))


def _strongest(strength: Floats, activity: Ints) -> Ids:
    """The strongest positions, the very strongest for the most active."""
    positions = np.empty(len(activity), np.int32)
    positions[np.argsort(-activity, kind="stable")] = np.argsort(-strength, kind="stable")[: len(activity)]
    return positions


def heat(crossbar: Crossbar, array: CellArray, rng: np.random.Generator) -> Positions:
    """The coolest array on average: rows for fixed columns are a linear assignment, and the other way round."""
    warming = array.power_w * array.felt_k_per_w
    drive = crossbar.share * crossbar.duty[:, None]
    best = plain(crossbar, array, rng)
    columns, least = best.columns, np.inf
    while True:
        rows = linear_sum_assignment(drive @ warming[:, columns].T)[1].astype(np.int32)
        price = drive.T @ warming[rows]
        columns = linear_sum_assignment(price)[1].astype(np.int32)
        total = float(price[np.arange(len(columns)), columns].sum())
        if total >= least * (1 - 1e-9):
            return best
        best, least = Positions(rows, columns), total
