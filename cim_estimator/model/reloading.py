"""Networks larger than the chip: which share of the weights is written anew for every sample, and at what cost.

All weights come through one bus, and each once a sample: reloads are serial and neither overlap with one another nor
repeat with the timesteps, `latency = latency of the work + sum over layers of reload time * missing share`. The same
sum is added to the interval between samples.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hasnas.cim_estimator.hardware.lines import chip_clock_hz
from hasnas.cim_estimator.hardware.spec import GeneralHardware

from .counts import Counts


def missing_share(tiles: NDArray[Any], hardware: GeneralHardware) -> NDArray[Any]:
    """Share of the tiles whose weights are written anew for every sample, `[..., 1]`.

    A chip with C tiles runs a network of N tiles by keeping C - s of them resident and swapping the rest through the
    other s, which hold the largest layer: `(N - C + s) / N`. All timesteps of a layer run before the next is loaded.

    Args:
        tiles: of each layer, `[..., L]`.
        hardware: the description; `chip.tiles` of 0 means as many as needed.
    """
    limit = hardware.chip.tiles
    if not limit:
        return np.zeros(1)
    total = tiles.sum(axis=-1, keepdims=True)
    swap = np.minimum(tiles.max(axis=-1, keepdims=True), limit)
    return np.where(total > limit, (total - limit + swap) / np.maximum(total, 1), 0.0)


def resident_share(tiles: NDArray[Any], hardware: GeneralHardware) -> NDArray[Any]:
    """Share of the tiles a network asks for that the chip really has, `[..., 1]`."""
    limit = hardware.chip.tiles
    if not limit:
        return np.ones(1)
    return np.minimum(1.0, limit / np.maximum(tiles.sum(axis=-1, keepdims=True), 1))


def reload_energy_j(counts: Counts) -> NDArray[Any]:
    """Energy to write all of a layer's weights: programming the cells, and bringing the bits."""
    hardware = counts.hardware
    each = hardware.device.write_energy_j + hardware.device.cell_bits * hardware.chip.reload_j_per_bit
    return counts.workload.weights * counts.placement.cells_per_weight * each


def reload_time_s(counts: Counts) -> NDArray[Any]:
    """Time to write all of a layer's weights: row after row in all its arrays at once, unless bringing them is slower.

    They come at the pace of the bus or of the memory beside the chip, whichever is slower.
    """
    hardware, placement = counts.hardware, counts.placement
    bits = counts.workload.weights * placement.cells_per_weight * hardware.device.cell_bits
    pulses_s = hardware.crossbar.rows * hardware.device.write_pulse_s * (placement.arrays > 0)
    given = np.asarray(hardware.chip.off_chip_bits_per_s, float)
    bus, memory = hardware.chip.reload_bus_bits * chip_clock_hz(hardware), np.where(given > 0, given, np.inf)
    return np.maximum(np.maximum(bits / bus, bits / memory), pulses_s)
