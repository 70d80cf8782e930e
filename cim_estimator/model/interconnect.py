"""How far bits travel: inside PEs, across tiles, and over the chip."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import components as circuit
from .counts import Counts
from .floorplan import array_parts_m2, tile_side_m

FloatArray = NDArray[np.float64]


def sent_bits(counts: Counts) -> NDArray[Any]:
    """Spikes sent to each layer per sample: every patch of the input anew, bit by bit.

    A spike is a pulse and charges its wire once; no spike costs nothing, in either readout mode.
    """
    return counts.patch_bits * counts.rates * counts.workload.fan_in


def local_bit_meters(counts: Counts) -> NDArray[Any]:
    """Bits times metres by which each layer charges wires within its tiles, and on a mesh between them.

    Spikes enter each column of tiles and of PEs. Sums leave each row of PEs and each row of tiles, once per evaluation
    for every output that was converted; one of their bits in `1 / wire_activity` charges the wire. On a mesh spikes
    come over the layer's own tiles and one more, and every hop passes a router, whose energy is counted as wire.
    """
    hardware, workload, placement = counts.hardware, counts.workload, counts.placement
    sum_bits = circuit.accumulator_widths(hardware)[2]
    outputs = workload.positions * workload.evaluations * workload.out_channels * counts.converted
    charging = outputs * (sum_bits * hardware.interconnect.wire_activity)
    pe_m = np.sqrt(hardware.tile.arrays_per_pe * sum(array_parts_m2(hardware).values()))
    tile_m = tile_side_m(hardware)
    into = placement.pe_columns * pe_m + placement.tile_columns * tile_m
    if hardware.interconnect.kind == "mesh":
        into = into + _mesh_path_m(counts, tile_m)
    return sent_bits(counts) * into + charging * (placement.pe_rows * pe_m + placement.tile_rows * tile_m)


def _mesh_path_m(counts: Counts, tile_m: float) -> NDArray[Any]:
    hardware = counts.hardware
    hops = 1.0 + np.sqrt(np.maximum(counts.placement.tiles, 1))
    router_j = hardware.interconnect.router_registers_per_bit * circuit.register_energy_j(hardware)
    return hops * (tile_m + router_j / circuit.wire_energy_j_per_m(hardware))


def chip_path_m(chip_area_m2: FloatArray) -> FloatArray:
    """Mean way from a tree's root to its leaves: half as long as the chip is wide."""
    return 0.5 * np.sqrt(chip_area_m2)
