"""Networks larger than the chip: which share of the weights is written anew for every sample, and at what cost."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .counts import Counts


def missing_share(counts: Counts) -> NDArray[Any]:
    """Share of the tiles whose weights are written anew for every sample, `[..., 1]`.

    A chip with C tiles runs a network of N tiles by keeping C - s of them resident and swapping the rest through the
    other s, which hold the largest layer: `(N - C + s) / N`. All timesteps of a layer run before the next is loaded.
    """
    tiles, limit = counts.placement.tiles, counts.hardware.chip.tiles
    total = tiles.sum(axis=-1, keepdims=True)
    if not limit:
        return np.zeros(1)
    swap = np.minimum(tiles.max(axis=-1, keepdims=True), limit)
    return np.where(total > limit, (total - limit + swap) / np.maximum(total, 1), 0.0)


def is_reloaded(counts: Counts) -> bool:
    """Whether any candidate needs more tiles than the chip has."""
    return bool(np.any(missing_share(counts) > 0))


def resident_share(counts: Counts) -> NDArray[Any]:
    """Share of the tiles a network asks for that the chip really has, `[..., 1]`."""
    limit = counts.hardware.chip.tiles
    if not limit:
        return np.ones(1)
    total = counts.placement.tiles.sum(axis=-1, keepdims=True)
    return np.minimum(1.0, limit / np.maximum(total, 1))


def reload_cost(counts: Counts) -> tuple[NDArray[Any], NDArray[Any]]:
    """Energy (J) and time (s) of each layer to write the weights that do not stay on the chip, per sample.

    The rows of an array are written one after another, all arrays of a layer at once; the bus may be slower.
    """
    hardware, placement = counts.hardware, counts.placement
    share = missing_share(counts)
    cells = counts.workload.weights * placement.cells_per_weight * share
    bits = cells * hardware.device.cell_bits
    energy_j = cells * hardware.device.write_energy_j + bits * hardware.chip.reload_j_per_bit
    pulses_s = hardware.crossbar.rows * hardware.device.write_pulse_s * share * (placement.arrays > 0)
    return energy_j, np.maximum(bits / (hardware.chip.reload_bus_bits * hardware.clock_hz), pulses_s)
