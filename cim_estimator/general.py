"""The general cost model: crossbars, converters, neurons and digital circuits priced from device and gate up.

Each layer is read `evaluations * positions * input_bits` times per sample: one read drives the rows of one patch of the
input with one bit each and converts the columns, several of which share a converter. Energy is paid

- by what switches with the spikes: cells, wordlines and moved bits, in proportion to the share of active inputs;
- by what is clocked: converters, multiplexers, accumulators, registers and neurons. With `readout: event` an array that
  no spike reached is not converted, `1 - (1 - rate)^rows` of the reads remain, and idle neurons are not updated.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import components as circuit
from .counts import Counts
from .floorplan import area_parts_m2
from .interconnect import moved_bit_meters
from .latency import Timing, chip_latency, layer_time_s
from .pricing import Price
from .reloading import is_reloaded, reload_cost
from .spec import GeneralHardware
from .tally import Tally
from .workload import Workload

FloatArray = NDArray[np.float64]
_POWERED_DOWN = ("crossbar", "adc")  # cells hold without power; converters are gated between reads


def price(workload: Workload, hardware: GeneralHardware, rates: FloatArray, keep: bool) -> Price:
    """Price a workload with the general model.

    Args:
        workload: the layers.
        hardware: the description.
        rates: share of active inputs, broadcastable to `[..., L]`.
        keep: whether to keep the parts by layer and component.
    """
    leading = workload.shape[:-1]
    energy, area = Tally(leading, keep), Tally(leading, keep)
    counts = Counts.of(workload, hardware, rates)
    areas = area_parts_m2(counts)
    for component, values in areas.items():
        area.add(component, values)
    for component, values in energy_parts_j(counts, area.total).items():
        energy.add(component, values)
    reload_j, reload_s = reload_cost(counts)
    energy.add("reload", reload_j)
    busy_s = layer_time_s(counts) + reload_s
    timing = Timing(busy_s, workload.level, workload.evaluations, workload.timesteps, workload.delay > 0)
    latency_s, interval_s = chip_latency(timing, hardware.schedule)
    leaking = sum(values for name, values in areas.items() if name not in _POWERED_DOWN)
    energy.add("leakage", leaking * circuit.leakage_w_per_m2(hardware) * latency_s[..., np.newaxis])
    cells = counts.placement.allotted.sum(axis=-1) * (hardware.crossbar.rows * hardware.crossbar.columns)
    used = (workload.weights * counts.placement.cells_per_weight).sum(axis=-1) / np.maximum(cells, 1)
    arrays = np.asarray(counts.placement.arrays, float)
    return Price(energy, area, busy_s, latency_s, interval_s, arrays, used, _warnings(counts))


def energy_parts_j(counts: Counts, chip_area_m2: FloatArray) -> dict[str, NDArray[Any]]:
    """Dynamic energy of each layer per sample by component, without reload and leakage.

    Args:
        counts: how often each layer does what.
        chip_area_m2: area of each candidate's chip, `[...]`; wires are as long as the chip is wide.
    """
    hardware, workload = counts.hardware, counts.workload
    other = hardware.periphery.other_energy_factor
    switch_j = hardware.periphery.mux_inverters * circuit.inverter_energy_j(hardware.node)
    membrane_j = 2 * hardware.precision.membrane_bits * hardware.node.sram_access_j_per_bit
    delay_j = 2 * hardware.precision.value_bits * hardware.node.sram_access_j_per_bit
    return {
        "crossbar": _crossbar_j(counts),
        "adc": counts.conversions * counts.converter.energy_j,
        "mux": counts.conversions * (switch_j * hardware.periphery.control_activity * other),
        "wordline": _row_cycles(counts) * (circuit.register_energy_j(hardware) * other),
        "accumulate": _accumulate_j(counts),
        "buffer": _buffered_bits(counts) * (2 * circuit.register_energy_j(hardware) * other),
        "interconnect": moved_bit_meters(counts, chip_area_m2) * circuit.wire_energy_j_per_m(hardware),
        "neuron": counts.updates * neuron_update_j(hardware),
        "membrane": counts.updates * membrane_j,
        "digital": _digital_j(counts),
        "delay": counts.outputs * workload.delay * workload.evaluations * delay_j,
    }


def _crossbar_j(counts: Counts) -> NDArray[Any]:
    """Column currents, and charging of wordlines and bitlines; columns that share a converter are read in turn."""
    hardware, placement, workload = counts.hardware, counts.placement, counts.workload
    blocks = np.maximum(placement.row_blocks, 1)
    conductance = counts.rates * workload.fan_in / blocks * circuit.mean_conductance_s(hardware.device)
    current_j = counts.converter.column_energy_j(conductance, hardware.device.read_voltage_v)
    turns = min(hardware.crossbar.columns_per_adc, hardware.crossbar.columns)
    driven = counts.reads * counts.rates * workload.fan_in * (placement.arrays / blocks) * turns
    columns = counts.reads * placement.columns * placement.row_blocks
    charge_j = counts.conversions * circuit.bitline_energy_j(hardware)
    return columns * current_j + driven * circuit.wordline_energy_j(hardware) + charge_j


def _row_cycles(counts: Counts) -> NDArray[Any]:
    """Row registers clocked per sample: all rows of an array, once for each column that shares its converter."""
    crossbar = counts.hardware.crossbar
    turns = min(crossbar.columns_per_adc, crossbar.columns)
    return counts.reads * counts.converted * counts.placement.arrays * (crossbar.rows * turns)


def _accumulate_j(counts: Counts) -> NDArray[Any]:
    """Shift-and-add of bit slices and of input bits, and the adder tree over the arrays of one output."""
    hardware, workload, placement = counts.hardware, counts.workload, counts.placement
    slice_bits, input_bits, sum_bits = accumulator_widths(hardware)
    by_slice = counts.conversions * _add_and_store_j(hardware, slice_bits)
    by_input = counts.conversions / placement.cells_per_weight * (workload.input_bits > 1)
    summed = workload.positions * workload.evaluations * workload.out_channels * placement.row_blocks * counts.converted
    registered = by_slice + by_input * _add_and_store_j(hardware, input_bits)
    total = registered + summed * circuit.adder_energy_j(hardware, sum_bits)
    return total * hardware.periphery.accumulate_energy_factor


def accumulator_widths(hardware: GeneralHardware) -> tuple[int, int, int]:
    """Bits of the adders that join bit slices, input bits and arrays."""
    slice_bits = hardware.adc.bits + hardware.device.cell_bits
    input_bits = hardware.adc.bits + hardware.precision.weight_bits
    return slice_bits, input_bits, input_bits + 2


def _add_and_store_j(hardware: GeneralHardware, bits: int) -> float:
    return circuit.adder_energy_j(hardware, bits) + (bits + 1) * circuit.register_energy_j(hardware)


def _buffered_bits(counts: Counts) -> NDArray[Any]:
    """Bits that pass a register on their way: inputs into every PE that needs them, outputs of each row of PEs."""
    workload, placement = counts.workload, counts.placement
    taken = counts.reads * counts.moving * workload.fan_in * placement.pe_columns
    given = workload.positions * workload.evaluations * workload.out_channels * placement.pe_rows * counts.converted
    return taken + given * accumulator_widths(counts.hardware)[2]


def neuron_update_j(hardware: GeneralHardware) -> float:
    """One LIF update: leak, integrate, compare."""
    return hardware.neuron.adders_per_update * circuit.adder_energy_j(hardware, hardware.precision.membrane_bits)


def _digital_j(counts: Counts) -> NDArray[Any]:
    """Additions of pooling, adding and scaling, as wide as the values that enter."""
    bits = np.minimum(counts.workload.input_bits, counts.hardware.precision.value_bits)
    each = circuit.adder_energy_j(counts.hardware, 1.0)
    return counts.digital_operations * counts.workload.evaluations * counts.moving * bits * each


def _warnings(counts: Counts) -> list[str]:
    warnings = []
    if counts.hardware.schedule == "pipelined" and bool(np.any(counts.workload.delay > 0)):
        warnings.append("feedback connections tie one timestep to the next: such networks are timed sequentially")
    if is_reloaded(counts):
        limit = counts.hardware.chip.tiles
        warnings.append(f"the network needs more than the chip's {limit} tiles: weights are reloaded for every sample")
    return warnings
