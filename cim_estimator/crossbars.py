"""How weights lie on crossbars: which arrays, columns and tiles each layer takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hasnas.errors import BadInputError

from .spec import GeneralHardware
from .workload import Workload

IntArray = NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Placement:
    """Counts of one mapping; every array broadcasts to `[..., L]` and is zero where a slot holds no weights.

    A layer is unrolled: `k*k*in/groups` rows, and for each output channel the cells of one weight side by side. Rows
    and columns beyond the array open further arrays. Small groups of a convolution share an array block by block.

    Args:
        row_blocks: arrays over which one output is spread.
        columns: cell columns that are read for one set of outputs, without the reference column.
        arrays: crossbars in use.
        tiles: tiles in use.
        cells_per_weight: bit slices, twice as many with differential columns.
    """

    row_blocks: IntArray
    columns: IntArray
    arrays: IntArray
    tiles: IntArray
    cells_per_weight: IntArray


def place(workload: Workload, hardware: GeneralHardware) -> Placement:
    """Lay a workload's weights on the hardware's crossbars.

    Args:
        workload: the layers.
        hardware: the description.

    Raises:
        BadInputError: if one group of a convolution is larger than an array.
    """
    crossbar, on = hardware.crossbar, workload.on_crossbar
    cells = slices(workload, hardware)
    groups = np.maximum(workload.groups, 1)
    outputs = np.where(on, workload.out_channels // groups, 0)
    weights_per_array = crossbar.columns // cells
    _check_fit(workload, hardware, groups, outputs, weights_per_array)
    row_blocks = -(-workload.fan_in // crossbar.rows)
    column_blocks = -(-outputs // np.maximum(weights_per_array, 1))
    along_rows, along_columns = (
        crossbar.rows // np.maximum(workload.fan_in, 1),
        weights_per_array // np.maximum(outputs, 1),
    )
    shared = np.maximum(np.minimum(along_rows, along_columns), 1)
    arrays = np.where(on, np.where(groups > 1, -(-groups // shared), row_blocks * column_blocks), 0)
    per_tile = hardware.tile.pes * hardware.tile.arrays_per_pe
    return Placement(row_blocks, np.where(on, workload.out_channels * cells, 0), arrays, -(-arrays // per_tile), cells)


def slices(workload: Workload, hardware: GeneralHardware) -> IntArray:
    """Cells that hold one weight of each layer, `[..., L]`."""
    bits = np.where(workload.weight_bits > 0, workload.weight_bits, hardware.precision.weight_bits)
    if hardware.crossbar.signed == "differential":
        return 2 * np.maximum(1, -(-(bits - 1) // hardware.device.cell_bits))
    return -(-bits // hardware.device.cell_bits)


def _check_fit(
    workload: Workload, hardware: GeneralHardware, groups: IntArray, outputs: IntArray, weights_per_array: IntArray
) -> None:
    crossbar = hardware.crossbar
    too_large = (groups > 1) & ((workload.fan_in > crossbar.rows) | (outputs > weights_per_array))
    too_wide = workload.on_crossbar & (weights_per_array < 1)
    wrong = too_large | too_wide
    if not bool(np.any(wrong)):
        return
    wrong = np.broadcast_to(wrong, workload.shape)
    slot = int(np.nonzero(wrong.reshape(-1, wrong.shape[-1]).any(axis=0))[0][0])
    problem = "one weight is wider" if bool(np.any(too_wide)) else "one group of the convolution is larger"
    raise BadInputError(
        f"layer '{workload.names[slot]}' cannot be mapped: {problem} than a crossbar of {crossbar.rows} x "
        f"{crossbar.columns}; raise crossbar.rows and crossbar.columns, or lower weight_bits or the channels of a group"
    )
