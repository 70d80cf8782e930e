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

from .components import rows_at_once

IntArray = NDArray[np.integer[Any]]
_Spread = tuple[tuple[IntArray, IntArray], tuple[IntArray, IntArray], IntArray, IntArray]


@dataclass(frozen=True)
class Placement:
    """Counts of one mapping; every array broadcasts to `[..., L]` and is zero where a slot holds no weights.

    With `unrolling: rows` a convolution takes `k*k*in/groups` rows, one after another; with `unrolling: kernel` each
    position of the kernel has PEs of its own (unless the unrolled rows do not even fill one array). The cells of one
    weight lie side by side. What exceeds an array opens further arrays; the arrays of a layer form a rectangle of rows
    and columns that is cut into PEs and tiles. Small groups of a convolution share an array block by block.

    Args:
        row_blocks: arrays over which one output is spread.
        row_groups: groups of rows, each driven at once, over which one output is spread: as many as row blocks if an
            array drives all its rows at once.
        row_steps: reads one after another until the layer's fullest array has driven all its rows.
        columns: cell columns that are read for one set of outputs, without reference columns.
        arrays: crossbars that hold weights.
        allotted: crossbars of the tiles that the layer takes, used or not.
        tiles: tiles in use.
        pe_rows, pe_columns: PEs that the layer spans.
        tile_rows, tile_columns: tiles that the layer spans.
        cells_per_weight: bit slices, twice as many with differential columns.
    """

    row_blocks: IntArray
    row_groups: IntArray
    row_steps: IntArray
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
    packed = _packed(workload, crossbar.rows, outputs, per_array)  # groups of a convolution in one array
    columns = np.where(groups > 1, -(-workload.groups // packed), -(-outputs // per_array.clip(1)))
    columns = np.where(on, columns, 0)
    arrays = positions * blocks * columns
    spread = _filled if tile.layout == "pes" else _rectangles
    pes, tile_sides, own, per_tile = spread(hardware, positions, blocks, columns)
    tiles = _tiles(arrays, own, per_tile, tile.sharing)
    row_groups, row_steps = _row_groups(workload, hardware, positions, np.where(groups > 1, packed, 1))
    return Placement(
        positions * blocks, row_groups, row_steps, np.where(on, workload.out_channels * cells, 0), arrays,
        tiles * per_tile, tiles, *pes, *tile_sides, cells,
    )  # fmt: skip


def _rectangles(hardware: GeneralHardware, positions: IntArray, blocks: IntArray, columns: IntArray) -> _Spread:
    """Rows and columns of PEs and of tiles if arrays keep their rectangle, the tiles, and the arrays of each."""
    pe_side, tile_side = rectangle(hardware.tile.arrays_per_pe), rectangle(hardware.tile.pes)
    pe_rows, pe_columns = positions * -(-blocks // pe_side[0]), -(-columns // pe_side[1])
    by_kernel = positions > 1  # a tile then holds one PE for each position
    tile_rows = np.where(by_kernel, pe_rows // positions, -(-pe_rows // tile_side[0]))
    tile_columns = np.where(by_kernel, pe_columns, -(-pe_columns // tile_side[1]))
    per_tile = np.where(by_kernel, positions, hardware.tile.pes) * hardware.tile.arrays_per_pe
    return (pe_rows, pe_columns), (tile_rows, tile_columns), tile_rows * tile_columns, per_tile


def _filled(hardware: GeneralHardware, positions: IntArray, blocks: IntArray, columns: IntArray) -> _Spread:
    """The same if arrays are filled one after another, column by column of the layer's rectangle.

    A column's sums are spread over as many PEs as its arrays fill; an input enters each PE that holds some column.
    """
    per_pe, per_tile = hardware.tile.arrays_per_pe, hardware.tile.pes * hardware.tile.arrays_per_pe
    height = positions * blocks
    sides = [(-(-height // size), np.minimum(columns, -(-(height * columns) // size))) for size in (per_pe, per_tile)]
    return sides[0], sides[1], -(-(height * columns) // per_tile), np.asarray(per_tile)


def _row_groups(
    workload: Workload, hardware: GeneralHardware, positions: IntArray, packed: IntArray
) -> tuple[IntArray, IntArray]:
    """Groups of rows of one output, and steps of the fullest array; `packed` groups of a convolution share an array."""
    rows, at_once = hardware.crossbar.rows, rows_at_once(hardware.crossbar)
    inputs = workload.fan_in // positions  # of one kernel position, or of all together
    groups = positions * (inputs // rows * -(-rows // at_once) + -(-(inputs % rows) // at_once))
    return groups, -(-np.minimum(inputs * packed, rows) // at_once)


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
    return np.where(apart, np.maximum(workload.kernel_places, 1), 1)


def _packed(workload: Workload, rows: int, outputs: IntArray, per_array: IntArray) -> IntArray:
    """Groups of a convolution that lie on the diagonal of one array."""
    along_rows = rows // np.maximum(workload.fan_in, 1)
    along_columns = per_array // np.maximum(outputs, 1)
    return np.clip(np.minimum(along_rows, along_columns), 1, np.maximum(workload.groups, 1))


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
