"""How weights lie on crossbars: which arrays, columns and tiles each layer takes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hasnas.cim_estimator.hardware.presets_reader import cells_of_bits
from hasnas.cim_estimator.hardware.spec import GeneralHardware
from hasnas.cim_estimator.workload.workload import Workload
from hasnas.errors import BadInputError

IntArray = NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Placement:
    """Counts of one mapping; every array broadcasts to `[..., L]` and is zero where a slot holds no weights.

    With `unrolling: rows` a convolution takes `k*k*in/groups` rows, one after another; with `unrolling: kernel` each
    position of the kernel has PEs of its own (unless the unrolled rows do not even fill one array). The cells of one
    weight lie side by side. What exceeds an array opens further arrays; the arrays of a layer form a rectangle of rows
    and columns that is cut into PEs and tiles. Small groups of a convolution share an array block by block.

    Args:
        row_blocks: arrays over which one output is spread.
        columns: cell columns that are read for one set of outputs, without reference columns.
        arrays: crossbars that hold weights.
        allotted: crossbars of the tiles that the layer takes, used or not.
        tiles: tiles in use.
        pe_rows, pe_columns: PEs that the layer spans.
        tile_rows, tile_columns: tiles that the layer spans.
        cells_per_weight: bit slices, twice as many with differential columns.
    """

    row_blocks: IntArray
    columns: IntArray
    arrays: IntArray
    allotted: NDArray[Any]
    tiles: NDArray[Any]
    pe_rows: IntArray
    pe_columns: IntArray
    tile_rows: IntArray
    tile_columns: IntArray
    cells_per_weight: IntArray


def place(workload: Workload, hardware: GeneralHardware) -> Placement:
    """Lay a workload's weights on the hardware's crossbars.

    Args:
        workload: the layers.
        hardware: the description.

    Raises:
        BadInputError: if one group of a convolution is larger than an array.
    """
    crossbar, tile, on = hardware.crossbar, hardware.tile, workload.on_crossbar
    cells = slices(workload, hardware)
    groups = np.maximum(workload.groups, 1)
    outputs = np.where(on, workload.out_channels // groups, 0)
    per_array = crossbar.columns // cells
    _check_fit(workload, hardware, groups, outputs, per_array)
    positions = _kernel_positions(workload, hardware, groups)
    blocks = -(-(workload.fan_in // positions) // crossbar.rows)  # of one kernel position, or of all together
    columns = np.where(
        groups > 1, _packed(workload, crossbar.rows, outputs, per_array), -(-outputs // per_array.clip(1))
    )
    columns = np.where(on, columns, 0)
    pe_side, tile_side = rectangle(tile.arrays_per_pe), rectangle(tile.pes)
    pe_rows, pe_columns = positions * -(-blocks // pe_side[0]), -(-columns // pe_side[1])
    by_kernel = positions > 1  # a tile then holds one PE for each position
    tile_rows = np.where(by_kernel, pe_rows // positions, -(-pe_rows // tile_side[0]))
    tile_columns = np.where(by_kernel, pe_columns, -(-pe_columns // tile_side[1]))
    arrays, per_tile = positions * blocks * columns, np.where(by_kernel, positions, tile.pes) * tile.arrays_per_pe
    tiles = _tiles(arrays, tile_rows * tile_columns, per_tile, tile.sharing)
    return Placement(
        positions * blocks, np.where(on, workload.out_channels * cells, 0), arrays, tiles * per_tile, tiles,
        pe_rows, pe_columns, tile_rows, tile_columns, cells,
    )  # fmt: skip


def rectangle(count: int) -> tuple[int, int]:
    """Rows and columns of the most square block of `count` places.

    >>> rectangle(16), rectangle(8), rectangle(5)
    ((4, 4), (2, 4), (1, 5))
    """
    rows = next(rows for rows in range(math.isqrt(count), 0, -1) if count % rows == 0)
    return rows, count // rows


def slices(workload: Workload, hardware: GeneralHardware) -> IntArray:
    """Cells that hold one weight of each layer, `[..., L]`."""
    bits = np.where(workload.weight_bits > 0, workload.weight_bits, hardware.precision.weight_bits)
    return cells_of_bits(hardware, bits)


def _kernel_positions(workload: Workload, hardware: GeneralHardware, groups: IntArray) -> IntArray:
    """Positions of the kernel that lie on arrays of their own; 1 where the kernel is unrolled along the rows."""
    if hardware.crossbar.unrolling == "rows":
        return np.ones(1, np.int64)
    apart = workload.on_crossbar & (groups == 1) & (workload.fan_in >= hardware.crossbar.rows)
    return np.where(apart, np.maximum(workload.kernel_size, 1) ** 2, 1)


def _packed(workload: Workload, rows: int, outputs: IntArray, per_array: IntArray) -> IntArray:
    """Arrays of a grouped convolution, whose groups lie on the array's diagonal."""
    along_rows = rows // np.maximum(workload.fan_in, 1)
    along_columns = per_array // np.maximum(outputs, 1)
    return -(-workload.groups // np.maximum(np.minimum(along_rows, along_columns), 1))


def _tiles(arrays: IntArray, own: IntArray, per_tile: IntArray, sharing: str) -> NDArray[Any]:
    """Tiles of each layer; shared tiles are filled to the last array and divided among the layers that fill them."""
    if sharing == "none":
        return own
    filled = arrays / per_tile
    total = filled.sum(axis=-1, keepdims=True)
    return filled * (np.ceil(total * (1 - 1e-12)) / np.maximum(total, np.finfo(float).tiny))


def _check_fit(
    workload: Workload, hardware: GeneralHardware, groups: IntArray, outputs: IntArray, per_array: IntArray
) -> None:
    crossbar = hardware.crossbar
    too_large = (groups > 1) & ((workload.fan_in > crossbar.rows) | (outputs > per_array))
    too_wide = workload.on_crossbar & (per_array < 1)
    wrong = too_large | too_wide
    if not bool(np.any(wrong)):
        return
    wrong = np.broadcast_to(wrong, np.broadcast_shapes(wrong.shape, workload.shape))
    slot = int(np.nonzero(wrong.reshape(-1, wrong.shape[-1]).any(axis=0))[0][0])
    problem = "one weight is wider" if bool(np.any(too_wide)) else "one group of the convolution is larger"
    rows, columns = (np.ravel(side)[0] for side in (crossbar.rows, crossbar.columns))
    raise BadInputError(
        f"layer '{workload.names[slot]}' cannot be mapped: {problem} than a crossbar of {rows} x "
        f"{columns}; raise crossbar.rows and crossbar.columns, or lower weight_bits or the channels of a group"
    )
