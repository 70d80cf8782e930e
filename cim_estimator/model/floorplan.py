"""Area of a chip: arrays with their periphery, PEs, tiles, and what each layer adds beside them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hasnas.cim_estimator.hardware.spec import GeneralHardware
from hasnas.cim_estimator.hardware.unused import LEVEL_SHIFT_ABOVE_V
from hasnas.cim_estimator.workload.workload import LayerKind

from . import components as circuit
from .counts import Counts
from .memory import membrane_bits


def tile_area_parts_m2(counts: Counts) -> dict[str, NDArray[Any]]:
    """Area by component of the tiles that each layer asks for."""
    hardware, placement = counts.hardware, counts.placement
    array_parts = array_parts_m2(hardware)
    arrays_per_tile = placement.allotted / np.maximum(placement.tiles, 1e-300)
    parts = {name: placement.allotted * value for name, value in array_parts.items()}
    parts["buffer"] = placement.tiles * buffer_m2(hardware)
    tile_m2 = arrays_per_tile * sum(array_parts.values())
    parts["interconnect"] = placement.tiles * interconnect_m2(hardware, tile_m2)
    return parts


def own_area_parts_m2(counts: Counts) -> dict[str, NDArray[Any]]:
    """Area by component of what each layer has beside its tiles: neurons, membranes, digital units, delayed values."""
    hardware, workload = counts.hardware, counts.workload
    sram = circuit.sram_area_m2_per_bit(hardware)
    bits = membrane_bits(workload, hardware)
    update_m2 = hardware.neuron.adders_per_update * circuit.adder_area_m2(hardware, bits)
    return {
        "neuron": np.where(workload.kind == LayerKind.LIF, hardware.neuron.lanes * update_m2, 0.0),
        "membrane": workload.neurons * (bits * sram),
        "digital": _digital_m2(counts),
        "delay": counts.outputs * workload.delay * (hardware.precision.value_bits * sram),
    }


def array_parts_m2(hardware: GeneralHardware) -> dict[str, float]:
    """Area of one array with its drivers, converters and accumulators, by component."""
    node, periphery, crossbar = hardware.node, hardware.periphery, hardware.crossbar
    converters = -(-crossbar.columns // crossbar.columns_per_adc)
    references = int(crossbar.signed == "offset")
    inverter, other = circuit.inverter_area_m2(node), periphery.other_area_factor
    lines = periphery.driver_inverters * inverter + circuit.register_area_m2(hardware)
    shifter = periphery.level_shifter_inverters * inverter
    # Wordlines, bitlines along the rows and source lines along the columns each need one.
    shifters = (2 * crossbar.rows + crossbar.columns) * (hardware.device.write_voltage_v > LEVEL_SHIFT_ABOVE_V)
    cells = crossbar.rows * (crossbar.columns + references)
    return {
        "crossbar": cells * circuit.cell_area_m2(hardware.device, node),
        "adc": (converters + references) * circuit.converter(hardware).area_m2,
        "dac": crossbar.rows * hardware.dac.area_m2,
        "mux": crossbar.columns * periphery.mux_inverters * inverter * other,
        "wordline": ((crossbar.rows + crossbar.columns) * lines + shifters * shifter) * other,
        "accumulate": converters * _accumulator_m2(hardware),
    }


def _accumulator_m2(hardware: GeneralHardware) -> float:
    """Adders and registers behind one converter: for bit slices, for input bits, and its share of the adder tree."""
    widths = circuit.accumulator_widths(hardware)
    slice_bits, input_bits, _ = widths
    adders = sum(circuit.adder_area_m2(hardware, bits) for bits in widths)
    registers = (slice_bits + 1 + input_bits + 1) * circuit.register_area_m2(hardware)
    return (adders + registers) * hardware.periphery.accumulate_area_factor


def buffer_m2(hardware: GeneralHardware) -> float:
    """Area of one tile's buffer."""
    registers = hardware.buffer.bits_per_tile * circuit.register_area_m2(hardware)
    return registers * hardware.periphery.other_area_factor


def bus_bits(hardware: GeneralHardware) -> int:
    """Wires of a tile's bus."""
    return hardware.interconnect.bus_bits or hardware.crossbar.rows


def interconnect_m2(hardware: GeneralHardware, tile_m2: NDArray[Any]) -> NDArray[Any]:
    """Wires of one tile's share of the tree or mesh: a bus as long as the tile is wide, and a router on a mesh."""
    wires = bus_bits(hardware) * hardware.node.wire_pitch_m * np.sqrt(tile_m2) * hardware.interconnect.area_factor
    if hardware.interconnect.kind == "htree":
        return wires
    registers = hardware.interconnect.router_registers_per_bit * bus_bits(hardware)
    return wires + registers * circuit.register_area_m2(hardware)


def _digital_m2(counts: Counts) -> NDArray[Any]:
    hardware, kind = counts.hardware, counts.workload.kind
    value_bits = hardware.precision.value_bits
    adder = hardware.neuron.digital_lanes * circuit.adder_area_m2(hardware, value_bits)
    sums = (kind == LayerKind.POOL) | (kind == LayerKind.ADD)
    return np.where(sums, adder, np.where(kind == LayerKind.SCALE, adder * (value_bits + 1), 0.0))


def tile_area_m2(hardware: GeneralHardware) -> float:
    """Area of one ordinary tile, `pes` PEs of `arrays_per_pe` arrays, without its wires."""
    arrays = hardware.tile.pes * hardware.tile.arrays_per_pe
    return arrays * sum(array_parts_m2(hardware).values()) + buffer_m2(hardware)


def tile_side_m(hardware: GeneralHardware) -> float:
    """Side of one ordinary tile if it is square."""
    side: float = np.sqrt(tile_area_m2(hardware))
    return side
