"""The general cost model: crossbars, converters, neurons and digital circuits priced from device and gate up.

Each layer is read `evaluations * positions * input_bits` times per sample: one read drives the rows of one patch of the
input with one bit each and converts the columns, several of which share a converter. Energy is paid

- by what switches with the spikes: cells, wordlines and moved bits, in proportion to the share of active inputs;
- by what is clocked: converters, multiplexers, accumulators, registers and neurons. With `readout: event` an array that
  no spike reached is not converted, `1 - (1 - rate)^rows` of the reads remain, and idle neurons are not updated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hasnas.cim_estimator.hardware.lines import lines_settle_s
from hasnas.cim_estimator.hardware.spec import GeneralHardware
from hasnas.cim_estimator.hardware.units import format_quantity
from hasnas.cim_estimator.workload.workload import Workload

from . import components as circuit
from .counts import Counts
from .floorplan import own_area_parts_m2, tile_area_parts_m2
from .interconnect import chip_path_m, local_bit_meters, sent_bits
from .latency import Timing, chip_latency, layer_time_s
from .memory import membrane_bits
from .pricing import Price
from .reloading import missing_share, reload_energy_j, reload_time_s, resident_share
from .tally import Tally

FloatArray = NDArray[np.float64]
POWERED_DOWN = ("crossbar", "adc")  # cells hold without power; converters are gated between reads


@dataclass(frozen=True)
class LayerTerms:
    """What each layer contributes by itself; every array broadcasts to `[..., L]`.

    Args:
        tiles: tiles the layer asks for.
        tile_area_m2: by component, area of those tiles.
        own_area_m2: by component, area beside the tiles.
        energy_j: by component, without what depends on the whole chip.
        path_j_per_m: energy for each metre between the chip's centre and its tiles.
        reload_j, reload_s: to write all of the layer's weights.
        timing: when the layers run, without reloading.
        arrays, allotted, cells: crossbars in use, crossbars taken, cells that hold weights.
    """

    tiles: NDArray[Any]
    tile_area_m2: dict[str, NDArray[Any]]
    own_area_m2: dict[str, NDArray[Any]]
    energy_j: dict[str, NDArray[Any]]
    path_j_per_m: NDArray[Any]
    reload_j: NDArray[Any]
    reload_s: NDArray[Any]
    timing: Timing
    arrays: NDArray[Any]
    allotted: NDArray[Any]
    cells: NDArray[Any]


def layer_terms(workload: Workload, hardware: GeneralHardware, rates: FloatArray) -> LayerTerms:
    """What each layer of a workload contributes by itself.

    Args:
        workload: the layers.
        hardware: the description.
        rates: share of active inputs, broadcastable to `[..., L]`.
    """
    counts = Counts.of(workload, hardware, rates)
    wire_j_per_m = circuit.wire_energy_j_per_m(hardware)
    energy = energy_parts_j(counts)
    energy["interconnect"] = local_bit_meters(counts) * wire_j_per_m
    placement = counts.placement
    return LayerTerms(
        tiles=placement.tiles,
        tile_area_m2=tile_area_parts_m2(counts),
        own_area_m2=own_area_parts_m2(counts),
        energy_j=energy,
        path_j_per_m=sent_bits(counts) * wire_j_per_m if hardware.interconnect.kind == "htree" else np.zeros(1),
        reload_j=reload_energy_j(counts),
        reload_s=reload_time_s(counts),
        timing=Timing(
            layer_time_s(counts), workload.level, workload.evaluations, workload.timesteps, workload.delay > 0
        ),
        arrays=placement.arrays,
        allotted=placement.allotted,
        cells=workload.weights * placement.cells_per_weight,
    )


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
    terms = layer_terms(workload, hardware, rates)
    resident, missing = resident_share(terms.tiles, hardware), missing_share(terms.tiles, hardware)
    leaking = np.zeros(1)
    areas = {name: values * resident for name, values in terms.tile_area_m2.items()} | terms.own_area_m2
    for component, values in areas.items():
        area.add(component, values)
        leaking = leaking if component in POWERED_DOWN else leaking + values
    for component, values in terms.energy_j.items():
        energy.add(component, values)
    energy.add("interconnect", terms.path_j_per_m * chip_path_m(area.total)[..., np.newaxis])
    energy.add("reload", terms.reload_j * missing)
    reload_s = terms.reload_s * missing
    busy_s = terms.timing.busy_s + reload_s
    latency_s, interval_s = (
        time_s + np.broadcast_to(reload_s, busy_s.shape).sum(axis=-1)
        for time_s in chip_latency(terms.timing, hardware.schedule)
    )
    energy.add("leakage", leaking * circuit.leakage_w_per_m2(hardware) * latency_s[..., np.newaxis])
    cells = terms.allotted.sum(axis=-1) * (hardware.crossbar.rows * hardware.crossbar.columns)
    used = terms.cells.sum(axis=-1) / np.maximum(cells, 1)
    warnings = _warnings(terms.timing, hardware, bool(np.any(missing > 0)))
    return Price(energy, area, busy_s, latency_s, interval_s, np.asarray(terms.arrays, float), used, warnings)


def energy_parts_j(counts: Counts) -> dict[str, NDArray[Any]]:
    """Dynamic energy of each layer per sample by component, without wires, reload and leakage."""
    hardware, workload = counts.hardware, counts.workload
    other = hardware.periphery.other_energy_factor
    switch_j = hardware.periphery.mux_inverters * circuit.inverter_energy_j(hardware.node)
    membrane_j = 2 * membrane_bits(workload, hardware) * hardware.node.sram_access_j_per_bit
    delay_j = 2 * hardware.precision.value_bits * hardware.node.sram_access_j_per_bit
    return {
        "crossbar": _crossbar_j(counts),
        "adc": counts.conversions * counts.converter.energy_j,
        "dac": _converted_inputs(counts) * hardware.dac.energy_j,
        "mux": counts.conversions * (switch_j * hardware.periphery.control_activity * other),
        "wordline": _row_cycles(counts) * (circuit.register_energy_j(hardware) * other),
        "accumulate": _accumulate_j(counts),
        "buffer": _buffered_bits(counts) * (2 * circuit.register_energy_j(hardware) * other),
        "neuron": counts.updates * neuron_update_j(workload, hardware),
        "membrane": counts.updates * membrane_j,
        "digital": _digital_j(counts),
        "delay": counts.outputs * workload.delay * workload.evaluations * delay_j,
    }


def _crossbar_j(counts: Counts) -> NDArray[Any]:
    """Column currents, and charging of wordlines and bitlines; columns that share a converter are read in turn."""
    hardware, placement, workload = counts.hardware, counts.placement, counts.workload
    blocks, groups = np.maximum(placement.row_blocks, 1), np.maximum(placement.row_groups, 1)
    conductance = counts.rates * workload.fan_in / groups * circuit.mean_conductance_s(hardware.device)
    current_j = counts.converter.column_energy_j(conductance, hardware.device.read_voltage_v)
    turns = np.minimum(hardware.crossbar.columns_per_adc, hardware.crossbar.columns)
    driven = counts.reads * counts.rates * workload.fan_in * (placement.arrays / blocks) * turns
    columns = counts.reads * placement.columns * placement.row_groups
    charge_j = counts.conversions * circuit.bitline_energy_j(hardware)
    return columns * current_j + driven * circuit.wordline_energy_j(hardware) + charge_j


def _converted_inputs(counts: Counts) -> NDArray[Any]:
    """Inputs that pass a DAC per sample: real values, once for each array that they enter; spikes need none."""
    arrays = counts.placement.arrays / np.maximum(counts.placement.row_blocks, 1)
    real = counts.workload.input_bits > 1
    return counts.reads * counts.active_share * counts.workload.fan_in * arrays * real


def _row_cycles(counts: Counts) -> NDArray[Any]:
    """Row registers clocked per sample: all rows of an array, once for each column that shares its converter."""
    crossbar = counts.hardware.crossbar
    turns = np.minimum(crossbar.columns_per_adc, crossbar.columns)
    return counts.reads * counts.converted * counts.placement.arrays * (crossbar.rows * turns)


def _accumulate_j(counts: Counts) -> NDArray[Any]:
    """Shift-and-add of bit slices and of input bits, and the adder tree over the groups of rows of one output."""
    hardware, workload, placement = counts.hardware, counts.workload, counts.placement
    slice_bits, input_bits, sum_bits = circuit.accumulator_widths(hardware)
    by_slice = counts.conversions * _add_and_store_j(hardware, slice_bits)
    by_input = counts.conversions / placement.cells_per_weight * (workload.input_bits > hardware.dac.bits)
    summed = workload.positions * workload.evaluations * workload.out_channels * placement.row_groups * counts.converted
    registered = by_slice + by_input * _add_and_store_j(hardware, input_bits)
    total = registered + summed * circuit.adder_energy_j(hardware, sum_bits)
    return total * hardware.periphery.accumulate_energy_factor


def _add_and_store_j(hardware: GeneralHardware, bits: int) -> float:
    return circuit.adder_energy_j(hardware, bits) + (bits + 1) * circuit.register_energy_j(hardware)


def _buffered_bits(counts: Counts) -> NDArray[Any]:
    """Bits that pass a register on their way: inputs into every PE that needs them, outputs of each row of PEs."""
    workload, placement = counts.workload, counts.placement
    taken = counts.patch_bits * counts.active_share * workload.fan_in * placement.pe_columns
    given = workload.positions * workload.evaluations * workload.out_channels * placement.pe_rows * counts.converted
    return taken + given * circuit.accumulator_widths(counts.hardware)[2]


def neuron_update_j(workload: Workload, hardware: GeneralHardware) -> NDArray[Any]:
    """One LIF update of each slot: leak, integrate, compare, on adders as wide as the membranes."""
    bits = membrane_bits(workload, hardware)
    return hardware.neuron.adders_per_update * circuit.adder_energy_j(hardware, bits)


def _digital_j(counts: Counts) -> NDArray[Any]:
    """Additions of pooling, adding and scaling, as wide as the values that enter."""
    bits = np.minimum(counts.workload.input_bits, counts.hardware.precision.value_bits)
    each = circuit.adder_energy_j(counts.hardware, 1.0)
    return counts.digital_operations * counts.workload.evaluations * counts.active_share * bits * each


def _warnings(timing: Timing, hardware: GeneralHardware, reloaded: bool) -> list[str]:
    warnings = []
    if hardware.schedule == "pipelined" and bool(np.any(timing.feeds_back)):
        warnings.append("feedback connections tie one timestep to the next: such networks are timed sequentially")
    if reloaded:
        limit = hardware.chip.tiles
        warnings.append(f"the network needs more than the chip's {limit} tiles: weights are reloaded for every sample")
    needed_s = lines_settle_s(hardware)
    if hardware.crossbar.settling == "ignored" and needed_s * hardware.clock_hz > 1.0:
        warnings.append(
            f"the lines of {hardware.crossbar.rows} x {hardware.crossbar.columns} cells settle in "
            f"{format_quantity(needed_s, 's', 3)}, longer than a clock, which no time counts: set crossbar.settling"
        )
    return warnings
