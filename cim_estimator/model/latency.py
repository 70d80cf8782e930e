"""How long each layer is busy, and from there the latency of a sample and the interval between samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hasnas.cim_estimator.hardware.lines import chip_clock_hz, settling_s
from hasnas.cim_estimator.hardware.spec import GeneralHardware

from . import components as circuit
from .counts import Counts
from .floorplan import bus_bits

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Timing:
    """When layers run; every array broadcasts to `[..., L]`.

    Args:
        busy_s: time of each layer per sample, over all its evaluations.
        level: layers of one level run side by side, levels one after another.
        evaluations: times each layer runs per sample.
        timesteps: T.
        feeds_back: layers whose output acts one timestep later.
    """

    busy_s: FloatArray
    level: IntArray
    evaluations: IntArray
    timesteps: int
    feeds_back: NDArray[np.bool_]


def chip_latency(timing: Timing, schedule: str) -> tuple[FloatArray, FloatArray]:
    """Latency of a sample and interval between samples, both `[...]`, of a chip that holds all weights.

    - sequential: levels one after another, `sum over levels of max(busy)`, and sample after sample.
    - pipelined: every level works on its own timestep. Static layers run first, then the first timestep passes through
      all levels, then one timestep follows another at the pace of the slowest level:
      `static + sum(step) + (T - 1) * max(step)`. Feedback forbids the overlap of timesteps, but not of samples.

    >>> timing = Timing(np.array([10.0, 20.0]), np.array([0, 1]), np.array([5, 5]), 5, np.array([False]))
    >>> [float(value) for value in chip_latency(timing, "sequential")]
    [30.0, 30.0]
    >>> [float(value) for value in chip_latency(timing, "pipelined")]
    [22.0, 20.0]
    """
    shape = np.broadcast_shapes(timing.busy_s.shape, timing.level.shape, timing.evaluations.shape)
    busy = np.broadcast_to(timing.busy_s, shape)
    sequential = _sum_of_level_maxima(busy, timing.level)
    if schedule == "sequential":
        return sequential, sequential
    static = timing.evaluations < timing.timesteps
    step = np.where(static, 0.0, busy / np.maximum(timing.evaluations, 1))
    slowest = step.max(axis=-1)
    once = _sum_of_level_maxima(np.where(static, busy, 0.0), timing.level)
    overlapped = once + _sum_of_level_maxima(step, timing.level) + (timing.timesteps - 1) * slowest
    looped = np.broadcast_to(timing.feeds_back & (busy > 0), shape).any(axis=-1)
    latency = np.where(looped, sequential, np.minimum(overlapped, sequential))
    interval = np.where(looped, sequential, busy.max(axis=-1))
    return latency, interval


def _sum_of_level_maxima(busy: FloatArray, level: IntArray) -> FloatArray:
    """Sum over the levels of the longest time within each."""
    total = np.zeros(busy.shape[:-1])
    if not busy.size:
        return total
    if level.ndim == 1 and level.size == busy.shape[-1]:  # the same levels for every candidate
        for value in np.unique(level):
            total = total + busy[..., level == value].max(axis=-1)
        return total
    for value in range(int(level.min()), int(level.max()) + 1):
        total = total + np.where(level == value, busy, 0.0).max(axis=-1)
    return total


def layer_time_s(counts: Counts) -> FloatArray:
    """Time each layer is busy per sample.

    A read takes `read_time_s` for each group of rows that is driven at once. Moving the inputs overlaps with reading;
    the slower of the two counts. Other layers take one value per lane and clock.
    """
    hardware, workload, placement = counts.hardware, counts.workload, counts.placement
    clock_s = 1.0 / chip_clock_hz(hardware)
    reading = counts.reads * placement.row_steps * read_time_s(hardware)
    if hardware.tile.copies == "fill":
        reading = reading / np.maximum(placement.allotted // np.maximum(placement.arrays, 1), 1)
    transfer = counts.inputs * workload.input_bits * workload.evaluations * (clock_s / bus_bits(hardware))
    crossbar = np.where(workload.on_crossbar, np.maximum(reading, transfer), 0.0)
    neurons = np.ceil(workload.neurons / hardware.neuron.lanes)
    digital = np.ceil(counts.digital_operations / hardware.neuron.digital_lanes)
    return crossbar + (neurons + digital) * workload.evaluations * clock_s


def read_time_s(hardware: GeneralHardware) -> float:
    """Time of one read in whole clocks: one to drive the rows, the columns that share a converter, one to accumulate.

    The columns are read in turn. Each turn drives the rows anew, as its energy says, waits until they and the column
    have settled, unless `crossbar.settling` is `ignored`, and converts.

    >>> from hasnas.cim_estimator import load_hardware
    >>> chips = [load_hardware("rram-22nm", {"crossbar.settling": word}) for word in ("ignored", "wait")]
    >>> [round(float(read_time_s(chip)) * 1e9, 9) for chip in chips]  # 8 turns of 1 ns; of 1.44 ns
    [12.0, 16.0]
    """
    turns = np.minimum(hardware.crossbar.columns_per_adc, hardware.crossbar.columns)
    clock_hz = chip_clock_hz(hardware)
    turn_s = circuit.converter(hardware).conversion_s + settling_s(hardware)
    clocks = np.ceil(turns * turn_s * clock_hz * (1.0 - 1e-12)) + 2
    time_s: float = clocks / clock_hz
    return time_s
