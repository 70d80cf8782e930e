"""Prices populations fast: equal layers are priced once, candidates only add up what their layers contribute.

A population repeats few layers many times. `compress` finds the distinct layers of each slot and writes every candidate
as integer codes into them; `price_choices` prices the distinct layers with the ordinary model and sums them by code in
compiled loops. Whoever has codes already (`[N, L]`, one choice of a layer for each slot) starts at `price_choices`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hasnas.cim_estimator import spikesim
from hasnas.cim_estimator.hardware.spec import GeneralHardware, HardwareSpec, SpikeSimHardware
from hasnas.cim_estimator.workload.activity import Activity
from hasnas.cim_estimator.workload.workload import ARRAY_FIELDS, Workload
from hasnas.errors import BadInputError

from . import batch_kernels as kernels
from . import components as circuit
from . import general
from .memory import live_bits_by_layer, memory_by_layer_bits, present
from .totals import Totals

_MOST_CHOICES = 4096
_PROBE = 8192  # candidates that tell whether compressing is worth while


def price_choices(choices: Workload, codes: NDArray[Any], hardware: HardwareSpec, activity: Activity) -> Totals:
    """The totals of candidates that take one of a few layers in each slot.

    Args:
        choices: shape `[C, L]`: C layers that slot l may hold.
        codes: shape `[N, L]`, integers below C: which of them candidate n holds.
        hardware: the description; shared tiles of the general model are not separable and are refused.
        activity: how many inputs spike.

    Returns:
        Each `[N]`.

    Raises:
        BadInputError: if a code does not exist, or the hardware shares tiles between layers.

    >>> from hasnas.cim_estimator import LayerSpec, load_hardware
    >>> two = [Workload.from_layers([LayerSpec("conv", 4, width, in_size=8)], timesteps=2) for width in (4, 8)]
    >>> costs = price_choices(stack_choices(two), np.array([[1], [0]]), load_hardware("rram-22nm"), Activity.dense())
    >>> costs.parameters.tolist()
    [32, 16]
    """
    codes = np.ascontiguousarray(codes, np.int32)
    shape = choices.shape
    if len(shape) != 2 or codes.ndim != 2 or codes.shape[1] != shape[1]:
        raise BadInputError(f"codes of shape {codes.shape} do not fit choices of shape {shape}; give [N, L] and [C, L]")
    if codes.size and codes.view(np.uint32).max() >= shape[0]:  # a negative code is a very large one
        raise BadInputError(
            f"codes lie between {codes.min()} and {codes.max()}, but there are {shape[0]} choices a slot"
        )
    rates = activity.rates(choices)
    if isinstance(hardware, SpikeSimHardware):
        return _spikesim_costs(choices, codes, hardware, rates)
    if isinstance(hardware, GeneralHardware) and hardware.tile.sharing == "none":
        return _general_costs(choices, codes, hardware, rates)
    raise BadInputError("tile.sharing is 'layers', whose cost is not a sum over layers; use estimate_costs")


def stack_choices(choices: list[Workload]) -> Workload:
    """One workload of shape `[C, L]` from C networks with the same number of slots."""
    first = choices[0]
    columns = {
        name: np.stack([np.broadcast_to(getattr(each, name), each.shape) for each in choices]) for name in ARRAY_FIELDS
    }
    return Workload(names=first.names, timesteps=first.timesteps, **columns)


def compress(workload: Workload) -> tuple[Workload, NDArray[np.int32]] | None:
    """Distinct layers of each slot, and each candidate's codes into them.

    Args:
        workload: shape `[N, L]`.

    Returns:
        Choices `[C, L]` and codes `[N, L]`; None if a slot has too many distinct layers to gain from it.
    """
    columns = {name: getattr(workload, name) for name in ARRAY_FIELDS}
    differing = {name: column for name, column in columns.items() if column.ndim > 1 and column.shape[0] > 1}
    if "input_rate" in differing or not differing:
        return None
    full = [np.broadcast_to(column, workload.shape) for column in differing.values()]
    if workload.shape[0] > _PROBE and _codes([column[:_PROBE] for column in full]) is None:
        return None
    found = _codes(full)
    if found is None:
        return None
    codes, examples, count = found
    slots = np.arange(workload.shape[1])
    picked = {
        name: np.broadcast_to(column, workload.shape)[examples[:count], slots] for name, column in columns.items()
    }
    return Workload(names=workload.names, timesteps=workload.timesteps, **picked), codes


def _codes(columns: list[NDArray[Any]]) -> tuple[NDArray[np.int32], NDArray[np.int64], int] | None:
    """Codes, examples and their number; None if there are too many, or if two different layers share a hash."""
    keys = np.full(columns[0].shape, np.uint64(14695981039346656037), np.uint64)
    for column in columns:
        kernels.mix(keys, column)
    codes, examples, count = kernels.distinct(keys, _MOST_CHOICES)
    if count < 0 or not all(kernels.agrees(column, codes, examples) for column in columns):
        return None
    return codes, examples, count


def table_of(columns: list[NDArray[Any]], shape: tuple[int, ...]) -> NDArray[np.float64]:
    """`[..., L, C, K]` of K columns that broadcast to `[..., C, L]`: the numbers of one layer lie side by side."""
    table = np.empty((*shape[:-2], shape[-1], shape[-2], len(columns)))
    for number, column in enumerate(columns):
        table[..., number] = np.swapaxes(np.broadcast_to(column, shape), -2, -1)
    return table


def _common(choices: Workload, hardware: HardwareSpec) -> list[NDArray[Any]]:
    return [present(choices, choices.parameters), memory_by_layer_bits(choices, hardware)]


def named(totals: NDArray[np.float64], timesteps: int) -> Totals:
    """Column totals by name; counts are whole numbers below 2^53, so nothing is lost."""
    parameters, memory, live = totals[:, :3].astype(np.int64).T
    area, latency, interval, energy = totals[:, 3:].T
    return Totals(
        parameters, memory, memory + live, area, latency, interval, energy, np.full(len(totals), timesteps)
    )


def general_columns(choices: Workload, hardware: GeneralHardware, rates: NDArray[Any]) -> list[NDArray[Any]]:
    """What `sum_general` adds up; each broadcasts to `[C, L]`, or `[H, C, L]` where fields of the chip are `[H, 1, 1]`.

    Args:
        choices: shape `[C, L]`.
        hardware: one chip, or many in one.
        rates: share of active inputs.
    """
    terms = general.layer_terms(choices, hardware, rates)
    leaks = [name for name in terms.tile_area_m2 if name not in general.POWERED_DOWN]
    static = terms.timing.evaluations < terms.timing.timesteps
    return [
        *_common(choices, hardware),
        terms.tiles,
        _sum(terms.tile_area_m2.values()),
        _sum(terms.tile_area_m2[name] for name in leaks),
        _sum(terms.own_area_m2.values()),
        _sum(terms.energy_j.values()),
        terms.path_j_per_m,
        terms.reload_j,
        terms.reload_s,
        terms.timing.busy_s,
        np.maximum(terms.timing.evaluations, 1),
        static,
        terms.timing.feeds_back,
        terms.timing.level - terms.timing.level.min(),
        live_bits_by_layer(choices, hardware),
    ]


def schedule_of(choices: Workload, hardware: GeneralHardware) -> tuple[bool, float, int]:
    """Whether the chip is pipelined, T, and the number of levels, as `sum_general` takes them."""
    return hardware.schedule == "pipelined", float(choices.timesteps), int(np.ptp(choices.level)) + 1


def _general_costs(choices: Workload, codes: NDArray[Any], hardware: GeneralHardware, rates: NDArray[Any]) -> Totals:
    table = table_of(general_columns(choices, hardware, rates), choices.shape)
    schedule, leakage = schedule_of(choices, hardware), circuit.leakage_w_per_m2(hardware)
    return named(kernels.sum_general(table, codes, hardware.chip.tiles, schedule, leakage), choices.timesteps)


def _spikesim_costs(choices: Workload, codes: NDArray[Any], hardware: SpikeSimHardware, rates: NDArray[Any]) -> Totals:
    published = hardware.spikesim
    on = choices.on_crossbar
    outputs = np.where(on, choices.out_channels * choices.positions, 0)
    steps = choices.evaluations * choices.input_bits
    pes = spikesim.pe_counts(choices, hardware.crossbar.rows)
    inputs = np.where(on, choices.in_channels * choices.in_height * choices.in_width, 0)
    columns = [
        *_common(choices, hardware),
        on,
        pes,
        -(-pes // hardware.tile.pes),
        np.where(on, choices.kernel_places, 0),
        inputs,
        outputs,
        _sum(spikesim.energy_parts_j(choices, hardware, rates).values()),
        np.floor(published.overlap * outputs) * steps,
        outputs * steps,
        live_bits_by_layer(choices, hardware),
    ]
    array_um2, tile_um2 = spikesim.tile_area_um2(hardware)
    bits_um2 = published.memory_um2_per_bit * hardware.precision.membrane_bits
    totals = kernels.sum_spikesim(
        table_of(columns, choices.shape), codes, (hardware.tile.pes, hardware.tile.sharing == "layers"),
        published.neuron_memory_layers, (array_um2 * 1e-12, tile_um2 * 1e-12, bits_um2 * 1e-12),
        published.cycles_per_output / hardware.clock_hz,
    )  # fmt: skip
    return named(totals, choices.timesteps)


def _sum(parts: Any) -> NDArray[Any]:
    return np.asarray(sum(parts))
