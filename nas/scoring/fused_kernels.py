"""Compiled loops of the shared forward pass: sums of scaled convolution results, their moments, and neurons.

A value is a sum of terms `raw * scale + shift`, channels last; sums and batch norms are never written to memory, each
loop below puts one position's channels together in a buffer that stays in the cache.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Raws = tuple[Floats, ...]
BLOCK = 512


@njit(cache=True, nogil=True, fastmath={"contract", "arcp"})
def gather(raws: Raws, scales: Floats, shift: Floats, step: int, row: int, out: Floats) -> None:
    """Put the channels of one position together: sum of raw * scale, plus shift.

    Args:
        raws: terms `[T or 1, rows, C]`.
        scales: `[terms, T, C]`.
        shift: `[T, C]`.
        step: timestep.
        row: position.
        out: `[C]`.
    """
    for channel in range(len(out)):
        out[channel] = shift[step, channel]
    for index in range(len(raws)):
        raw, scale = raws[index], scales[index, step]
        at = step if raw.shape[0] > 1 else 0
        for channel in range(len(out)):
            out[channel] += raw[at, row, channel] * scale[channel]


@njit(cache=True, nogil=True, fastmath={"contract", "reassoc"})
def moments(raws: Raws, scales: Floats, shift: Floats) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and variance over positions of every channel at every timestep, each `[T, C]`.

    Single precision inside blocks of positions, double between them.
    """
    steps, channels = shift.shape
    rows = raws[0].shape[1]
    mean, square = np.zeros((steps, channels)), np.zeros((steps, channels))
    buffer, low, high = np.empty(channels, np.float32), np.empty(channels, np.float32), np.empty(channels, np.float32)
    for step in range(steps):
        for start in range(0, rows, BLOCK):
            low[:] = 0
            high[:] = 0
            for row in range(start, min(start + BLOCK, rows)):
                gather(raws, scales, shift, step, row, buffer)
                for channel in range(channels):
                    low[channel] += buffer[channel]
                    high[channel] += buffer[channel] * buffer[channel]
            for channel in range(channels):
                mean[step, channel] += low[channel]
                square[step, channel] += high[channel]
    mean /= rows
    return mean, np.maximum(square / rows - mean * mean, 0)


@njit(cache=True, nogil=True, fastmath={"contract", "arcp"})
def fire(
    raws: Raws, scales: Floats, shift: Floats, neuron: tuple[float, float, float], spikes: NDArray[np.uint8]
) -> None:
    """Leaky integrate-and-fire neurons with a hard reset.

    v <- v + (x - (v - reset)) / tau;  spike where v >= threshold, then v <- reset.

    Args:
        raws: terms `[T or 1, rows, C]` of the input.
        scales: `[terms, T, C]`.
        shift: `[T, C]`, or `[1, C]` where all terms are the same at every timestep.
        neuron: tau, threshold, reset.
        spikes: result, `[T, rows, C]`.
    """
    steps, rows, channels = spikes.shape
    rate = np.float32(1 / neuron[0])
    threshold, reset = np.float32(neuron[1]), np.float32(neuron[2])
    buffer, membrane = np.empty(channels, np.float32), np.empty(channels, np.float32)
    for row in range(rows):
        membrane[:] = reset
        for step in range(steps):
            if step < shift.shape[0]:
                gather(raws, scales, shift, step, row, buffer)
            for channel in range(channels):
                potential = membrane[channel] + (buffer[channel] - (membrane[channel] - reset)) * rate
                fires = potential >= threshold
                spikes[step, row, channel] = np.uint8(fires)
                membrane[channel] = reset if fires else potential


@njit(cache=True, nogil=True, fastmath={"contract"})
def materialise(raws: Raws, scales: Floats, shift: Floats, out: Floats) -> None:
    """The value itself, `[T, rows, C]`."""
    for step in range(out.shape[0]):
        for row in range(out.shape[1]):
            gather(raws, scales, shift, step, row, out[step, row])
