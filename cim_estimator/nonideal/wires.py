"""Wire resistance of a crossbar: an exact nodal solve, and a fast model that folds into the cells.

Each row is driven from its left end, each column is held at virtual ground at its bottom end, and one wire segment
lies before every cell of a row and after every cell of a column. Rows that are not driven are grounded, so currents
are linear in the row voltages.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.linalg import SuperLU, splu

from hasnas.errors import BadInputError

from .conductance import Conductances, FloatArray
from .spec import NonidealSpec


@dataclass(frozen=True)
class ArraySolution:
    """Voltages across cells and currents out of columns, exact for the given drive.

    Args:
        cell_voltage_v: shape `[drives, rows, columns]`.
        column_current_a: shape `[drives, columns]`.
    """

    cell_voltage_v: NDArray[np.float64]
    column_current_a: NDArray[np.float64]


def solve_array(
    conductance_s: ArrayLike, row_voltage_v: ArrayLike, row_wire_ohm: float, column_wire_ohm: float
) -> ArraySolution:
    """Solve Kirchhoff's current law at both nodes of every cell with a sparse factorisation.

    Args:
        conductance_s: the cells, shape `[rows, columns]`.
        row_voltage_v: one or several drives, shape `[rows]` or `[drives, rows]`.
        row_wire_ohm: resistance of one segment of a row.
        column_wire_ohm: resistance of one segment of a column.

    Raises:
        BadInputError: if a conductance or resistance is negative or not finite, or the shapes disagree.

    >>> solution = solve_array([[1e-3]], [1.0], 100.0, 100.0)      # 100 ohm + 1000 ohm + 100 ohm in series
    >>> (solution.column_current_a * 1200).round(9).tolist()
    [[1.0]]
    """
    cells = _checked_cells(conductance_s, row_wire_ohm, column_wire_ohm).astype(np.float64)
    rows, columns = cells.shape[-2:]
    drive = np.atleast_2d(np.asarray(row_voltage_v, np.float64))
    if cells.ndim != 2 or drive.shape[-1] != rows:
        raise BadInputError(f"{drive.shape[-1]} row voltages for cells of shape {list(cells.shape)}; give one a row")
    # A perfect conductor has no finite conductance; a billionth of a cell's resistance stands for less than that.
    floor_ohm = 1e-9 / max(float(cells.max()), 1e-30)
    if max(row_wire_ohm, column_wire_ohm) < floor_ohm:
        return ArraySolution(np.repeat(drive[..., None], columns, axis=-1), drive @ cells)
    row_wire_ohm, column_wire_ohm = max(row_wire_ohm, floor_ohm), max(column_wire_ohm, floor_ohm)
    nodes = np.arange(rows * columns).reshape(rows, columns)
    current = np.zeros((2 * nodes.size, len(drive)))
    current[nodes[:, 0]] = drive.T / row_wire_ohm
    voltage = _factorise(cells, row_wire_ohm, column_wire_ohm).solve(current)
    on_rows, on_columns = np.split(voltage.T.reshape(len(drive), 2 * rows, columns), 2, axis=1)
    across = on_rows - on_columns
    return ArraySolution(across, np.einsum("drc,rc->dc", across, cells))


def transfer_conductance(conductance_s: ArrayLike, row_wire_ohm: float, column_wire_ohm: float) -> NDArray[np.float64]:
    """The matrix T that is exact for every input: column currents = row voltages @ T.

    By linearity, row i of T holds the column currents when row i alone is driven with one volt.

    Returns:
        Siemens, shape `[rows, columns]`.
    """
    rows = np.shape(conductance_s)[-2]
    return solve_array(conductance_s, np.eye(rows), row_wire_ohm, column_wire_ohm).column_current_a


def loaded_conductance(
    conductance_s: FloatArray,
    row_wire_ohm: float,
    column_wire_ohm: float,
    activity: ArrayLike = 1.0,
    tolerance: float = 1e-6,
) -> FloatArray:
    """The fast model: each cell weakened by the voltage it would see at the mean drive.

        G' = G * (v_row - v_column) / activity,      column current of input x = sum over rows of x G'

    The voltages come from solving all rows as ladders with the column voltages held, then all columns with the row
    voltages held, until they agree. The result is exact for inputs proportional to `activity` (the column sums),
    and close for others, because what drops on a wire depends on the other rows mostly through their sum.

    Args:
        conductance_s: the cells, shape `[..., rows, columns]`; leading axes are independent arrays.
        row_wire_ohm: resistance of one segment of a row.
        column_wire_ohm: resistance of one segment of a column.
        activity: mean drive of each row (only ratios matter), a number or shape `[rows]`; all above 0.
        tolerance: largest change of a voltage, relative to the drive, at which the iteration stops.

    Returns:
        Siemens, same shape.

    >>> (loaded_conductance(np.full((1, 1), 1e-3), 100.0, 100.0) * 1200).round(6).tolist()
    [[1.0]]
    """
    # Wires are so much better conductors than cells that the ladders need double precision.
    cells = _checked_cells(conductance_s, row_wire_ohm, column_wire_ohm).astype(np.float64)
    drive = np.broadcast_to(np.asarray(activity, np.float64), cells.shape[-2:-1])
    if not np.isfinite(drive).all() or drive.min() <= 0:
        raise BadInputError("activity of a row is not above 0; give the mean drive of every row, or leave it out")
    drive = drive / drive.mean()
    # Ladders run along the first axis, where a step over all rows (or columns) is one contiguous operation.
    by_row = np.ascontiguousarray(np.moveaxis(cells, -1, 0))
    by_column = np.ascontiguousarray(np.moveaxis(cells, -2, 0)[::-1])
    rows_factor, columns_factor = _ladder(by_row, row_wire_ohm), _ladder(by_column, column_wire_ohm)
    on_columns: FloatArray = np.zeros_like(by_row)
    while True:
        on_rows = _solve_ladder(rows_factor, by_row * on_columns, drive)
        updated = _solve_ladder(columns_factor, by_column * _turn(on_rows), 0.0)
        change = updated - _turn(on_columns)
        on_columns = _turn(updated, back=True)
        if np.abs(change).max() <= tolerance * drive.max():
            break
    share = (on_rows - on_columns) / drive
    return (cells * np.moveaxis(share, 0, -1)).astype(np.asarray(conductance_s).dtype)


def with_wire_resistance(conductances: Conductances, activity: ArrayLike = 1.0) -> Conductances:
    """A layer whose cells include the voltage lost in the wires of their arrays (fast model).

    Inputs and outputs beyond `rows` and `columns` go to further arrays. Positive and negative cells lie in arrays of
    their own; in the offset scheme the reference is the first column of each array. Without wire resistance the
    conductances come back as they are.

    Args:
        conductances: the programmed cells.
        activity: mean drive of each input, a number or shape `[inputs]`.
    """
    spec = conductances.spec
    if not spec.row_wire_ohm and not spec.column_wire_ohm:
        return conductances
    inputs, outputs = conductances.positive.shape[-2:]
    drive = np.broadcast_to(np.asarray(activity, float), (inputs,))
    positive, negative = conductances.positive.copy(), conductances.negative.copy()
    width = spec.columns if spec.signed == "differential" else spec.columns - 1
    for top in range(0, inputs, spec.rows):
        rows = slice(top, top + spec.rows)
        for array, left in enumerate(range(0, outputs, width)):
            block = (..., rows, slice(left, left + width))
            if spec.signed == "differential":
                for cells in (positive, negative):
                    cells[block] = _load(cells[block], spec, drive[rows])
            else:
                reference = (..., rows, slice(array, array + 1))
                both = np.concatenate([negative[reference], positive[block]], axis=-1)
                both = _load(both, spec, drive[rows])
                negative[reference], positive[block] = both[..., :1], both[..., 1:]
    return replace(conductances, positive=positive, negative=negative)


def _load(cells: FloatArray, spec: NonidealSpec, drive: FloatArray) -> FloatArray:
    return loaded_conductance(cells, spec.row_wire_ohm, spec.column_wire_ohm, drive, tolerance=1e-4)


def _turn(voltages: FloatArray, back: bool = False) -> FloatArray:
    """From `[columns, ..., rows]` to `[rows from the bottom, ..., columns]`, or back."""
    turned = np.swapaxes(voltages[::-1], 0, -1) if back else np.swapaxes(voltages, 0, -1)[::-1]
    return np.ascontiguousarray(turned)


def _ladder(cells: FloatArray, wire_ohm: float) -> tuple[FloatArray, float]:
    """Factors of the tridiagonal systems of wires along the first axis, fed at index 0.

    Scaled by the wire resistance: (2 + r g) v_j - v_(j-1) - v_(j+1) = r i_j, with 1 instead of 2 at the far end.
    """
    diagonal: FloatArray = cells * wire_ohm + 2
    diagonal[-1] -= 1.0
    inverse = np.empty_like(cells)
    inverse[0] = 1 / diagonal[0]
    for index in range(1, len(cells)):
        inverse[index] = 1 / (diagonal[index] - inverse[index - 1])
    return inverse, wire_ohm


def _solve_ladder(factors: tuple[FloatArray, float], current: FloatArray, source: ArrayLike) -> FloatArray:
    """Voltages along wires into which the cells send `current` and whose near end is held at `source`."""
    inverse, wire_ohm = factors
    voltage: FloatArray = current * wire_ohm
    voltage[0] = voltage[0] + source
    voltage[0] *= inverse[0]
    for index in range(1, len(voltage)):
        voltage[index] += voltage[index - 1]
        voltage[index] *= inverse[index]
    for index in range(len(voltage) - 2, -1, -1):
        voltage[index] += inverse[index] * voltage[index + 1]
    return voltage


def _factorise(cells: FloatArray, row_wire_ohm: float, column_wire_ohm: float) -> SuperLU:
    """The conductance matrix of all nodes (rows' first, then columns'), factorised."""
    rows, columns = cells.shape
    node = np.arange(rows * columns).reshape(rows, columns)
    under = node + node.size
    links = [
        (node[:, :-1], node[:, 1:], np.full((rows, columns - 1), 1 / row_wire_ohm)),
        (under[:-1], under[1:], np.full((rows - 1, columns), 1 / column_wire_ohm)),
        (node, under, cells),
    ]
    first, second, siemens = (np.concatenate([np.ravel(part) for part in parts]) for parts in zip(*links, strict=True))
    size = 2 * node.size
    diagonal = np.asarray(np.bincount(first, siemens, size) + np.bincount(second, siemens, size), np.float64)
    diagonal[node[:, 0]] += 1 / row_wire_ohm
    diagonal[under[-1]] += 1 / column_wire_ohm
    own = np.arange(size)
    values = np.concatenate([diagonal, -siemens, -siemens])
    places = (np.concatenate([own, first, second]), np.concatenate([own, second, first]))
    matrix = coo_matrix((values, places), shape=(size, size)).tocsc()
    # The matrix is symmetric and diagonally dominant: an ordering for its graph and no pivoting keep the fill small.
    return splu(matrix, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})


def _checked_cells(conductance_s: ArrayLike, row_wire_ohm: float, column_wire_ohm: float) -> FloatArray:
    cells = np.asarray(conductance_s)
    cells = cells if cells.dtype in (np.float32, np.float64) else cells.astype(np.float64)
    if cells.ndim < 2 or 0 in cells.shape:
        raise BadInputError(f"conductances have shape {list(cells.shape)}; give [rows, columns], neither of them 0")
    if not np.isfinite(cells).all() or cells.min() < 0:
        raise BadInputError("a conductance is negative or not finite; give siemens from 0")
    for name, ohm in (("row", row_wire_ohm), ("column", column_wire_ohm)):
        if not (np.isfinite(ohm) and ohm >= 0):
            raise BadInputError(f"{name}_wire_ohm is {ohm}; give a resistance from 0")
    return cells
