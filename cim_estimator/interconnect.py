"""How far bits travel: inside PEs, across tiles, and over the chip."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import components as circuit
from .counts import Counts
from .floorplan import array_parts_m2, tile_side_m

FloatArray = NDArray[np.float64]


def moved_bit_meters(counts: Counts, chip_area_m2: FloatArray) -> NDArray[Any]:
    """Bits times metres by which each layer charges wires per sample.

    Every patch of the input is sent anew over the chip, then through the tile to each column of tiles and of PEs; a spike
    is a pulse and charges the wire once, no spike costs nothing. Sums leave each row of PEs and each row of tiles, once
    per evaluation for every output that was converted; one of their bits in `1 / wire_activity` charges the wire. On the
    chip a tree's path is half as long as the chip is wide; on a mesh it leads across the layer's own tiles and one more,
    and every hop passes a router, whose energy is counted as wire.

    Args:
        counts: how often each layer does what.
        chip_area_m2: of each candidate, `[...]`.
    """
    hardware, workload, placement = counts.hardware, counts.workload, counts.placement
    sum_bits = hardware.adc.bits + hardware.precision.weight_bits + 2
    spikes = counts.reads * counts.rates * workload.fan_in
    outputs = workload.positions * workload.evaluations * workload.out_channels * counts.converted
    charging = outputs * (sum_bits * hardware.interconnect.wire_activity)
    pe_m = math.sqrt(hardware.tile.arrays_per_pe * sum(array_parts_m2(hardware).values()))
    tile_m = tile_side_m(hardware)
    into = placement.pe_columns * pe_m + placement.tile_columns * tile_m + _path_m(counts, chip_area_m2, tile_m)
    return spikes * into + charging * (placement.pe_rows * pe_m + placement.tile_rows * tile_m)


def _path_m(counts: Counts, chip_area_m2: FloatArray, tile_m: float) -> NDArray[Any]:
    hardware = counts.hardware
    if hardware.interconnect.kind == "htree":
        return 0.5 * np.sqrt(chip_area_m2)[..., np.newaxis]
    hops = 1.0 + np.sqrt(np.maximum(counts.placement.tiles, 1))
    router_j = hardware.interconnect.router_registers_per_bit * circuit.register_energy_j(hardware)
    return hops * (tile_m + router_j / circuit.wire_energy_j_per_m(hardware))
