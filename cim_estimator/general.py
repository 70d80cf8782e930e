"""The general cost model: crossbars, converters, neurons and digital circuits priced from device and gate up.

Each layer is read `evaluations * positions * input_bits` times per sample: one read drives the rows of one patch of the
input with one bit each and converts the columns, several of which share a converter. Energy is paid

- by what switches with the spikes: cells, wordlines and moved bits, in proportion to the share of active inputs;
- by what is clocked: converters, multiplexers, accumulators, registers and neurons. With `readout: event` an array that
  no spike reached is not converted, `1 - (1 - rate)^rows` of the reads remain, and idle neurons are not updated.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import components as circuit
from .crossbars import Placement, place
from .latency import Timing, chip_latency
from .pricing import Price
from .spec import GeneralHardware
from .spikesim import any_active
from .tally import Tally
from .workload import LayerKind, Workload

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.integer[Any]]


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
    counts = _Counts.of(workload, hardware, rates)
    for component, values in area_parts_m2(counts).items():
        area.add(component, values)
    for component, values in energy_parts_j(counts, area.total).items():
        energy.add(component, values)
    busy_s = layer_time_s(counts)
    reload_j, reload_s = reload_cost(counts)
    energy.add("reload", reload_j)
    timing = Timing(busy_s + reload_s, workload.level, workload.evaluations, workload.timesteps, workload.delay > 0)
    latency_s, interval_s = chip_latency(timing, hardware.schedule)
    energy.add("leakage", _leakage(counts, area, latency_s))
    cells = counts.placement.arrays.sum(axis=-1) * (hardware.crossbar.rows * hardware.crossbar.columns)
    used = (workload.weights * counts.placement.cells_per_weight).sum(axis=-1) / np.maximum(cells, 1)
    arrays = np.asarray(counts.placement.arrays, float)
    return Price(energy, area, timing.busy_s, latency_s, interval_s, arrays, used, _warnings(counts))


@dataclass(frozen=True)
class _Counts:
    """How often each layer does what, per sample; every array broadcasts to `[..., L]`."""

    workload: Workload
    hardware: GeneralHardware
    placement: Placement
    rates: FloatArray
    converter: circuit.Converter
    reads: FloatArray  # patches x input bits x evaluations
    converted: FloatArray  # share of reads in which an array is converted
    touched: FloatArray  # share of outputs that some spike reached
    inputs: FloatArray  # input values per evaluation
    outputs: FloatArray  # output values per evaluation
    accumulator_bits: float

    @staticmethod
    def of(workload: Workload, hardware: GeneralHardware, rates: FloatArray) -> _Counts:
        placement = place(workload, hardware)
        present = workload.kind != LayerKind.NONE
        reads = np.where(workload.on_crossbar, workload.positions * workload.evaluations * workload.input_bits, 0)
        event = hardware.readout == "event"
        rows = workload.fan_in / np.maximum(placement.row_blocks, 1)
        ones = np.ones(1)
        return _Counts(
            workload, hardware, placement, rates,
            converter=circuit.converter(hardware.adc, hardware.device, hardware.node),
            reads=reads.astype(float),
            converted=any_active(rates, rows) if event else ones,
            touched=any_active(rates, np.maximum(workload.fan_in, 1)) if event else ones,
            inputs=np.where(present, workload.in_channels * workload.in_height * workload.in_width, 0).astype(float),
            outputs=np.where(present, workload.out_channels * workload.positions, 0).astype(float),
            accumulator_bits=float(hardware.adc.bits + hardware.precision.weight_bits),
        )  # fmt: skip

    def of_kind(self, kind: LayerKind, values: FloatArray) -> FloatArray:
        return np.where(self.workload.kind == kind, values, 0.0)


def energy_parts_j(counts: _Counts, chip_area_m2: FloatArray) -> dict[str, FloatArray]:
    """Dynamic energy of each layer per sample by component, without reload and leakage.

    Args:
        counts: how often each layer does what.
        chip_area_m2: area of each candidate's chip, `[...]`; wires are as long as the chip is wide.
    """
    hardware, workload, placement = counts.hardware, counts.workload, counts.placement
    periphery, precision = hardware.periphery, hardware.precision
    blocks = np.maximum(placement.row_blocks, 1)
    conductance = counts.rates * workload.fan_in / blocks * circuit.mean_conductance_s(hardware.device)
    conversions = counts.reads * placement.columns * placement.row_blocks
    references = counts.reads * placement.arrays * (hardware.crossbar.signed == "offset")
    converted = (conversions + references) * counts.converted
    other = periphery.other_energy_factor
    inverter = circuit.inverter_energy_j(hardware.node)
    register = circuit.register_energy_j(hardware)
    column_arrays = placement.arrays / blocks
    parts = {
        "crossbar": conversions * counts.converter.column_energy_j(conductance, hardware.device.read_voltage_v),
        "adc": converted * counts.converter.energy_j,
        "mux": converted * (periphery.mux_inverters * inverter * other),
        "wordline": _wordline_j(counts, column_arrays) * other,
        "accumulate": converted * _accumulate_j(hardware, counts.accumulator_bits),
        "buffer": _buffer_bits(counts) * (register * other),
        "interconnect": _moved_bits(counts) * _distance_j(counts, chip_area_m2),
        "neuron": _neuron_j(counts),
        "digital": _digital_j(counts),
    }
    memory = 2 * hardware.node.sram_access_j_per_bit
    parts["membrane"] = workload.neurons * workload.evaluations * counts.touched * (precision.membrane_bits * memory)
    delayed = counts.outputs * workload.delay * workload.evaluations
    parts["delay"] = delayed * (precision.value_bits * memory)
    return parts


def _wordline_j(counts: _Counts, column_arrays: FloatArray) -> FloatArray:
    """Active rows charge the wordline and the gates of its cells; every row's register is clocked."""
    hardware, node = counts.hardware, counts.hardware.node
    length_m = hardware.crossbar.columns * hardware.device.cell_width_f * node.feature_size_m
    gates = hardware.crossbar.columns * node.gate_capacitance_f_per_m * 2 * node.feature_size_m
    charge_j = (length_m * node.wire_capacitance_f_per_m + gates) * node.supply_v**2
    rows = counts.reads * counts.workload.fan_in * column_arrays
    drive = hardware.periphery.driver_inverters * circuit.inverter_energy_j(node)
    return rows * (counts.rates * (charge_j + drive) + counts.converted * circuit.register_energy_j(hardware))


def _accumulate_j(hardware: GeneralHardware, bits: float) -> float:
    """One conversion's shift and add: an adder and a register of the accumulator's width."""
    energy = circuit.adder_energy_j(hardware, bits) + bits * circuit.register_energy_j(hardware)
    return energy * hardware.periphery.accumulate_energy_factor


def _buffer_bits(counts: _Counts) -> FloatArray:
    """Register bits written per sample: each layer's inputs once per evaluation, its outputs once as values."""
    workload = counts.workload
    taken = counts.inputs * workload.input_bits * workload.evaluations * _moving(counts)
    given = counts.outputs * counts.hardware.precision.value_bits * workload.evaluations * counts.touched
    return np.where(workload.on_crossbar, taken + given, 0.0)


def _moved_bits(counts: _Counts) -> FloatArray:
    """Bits carried to each layer per sample; spikes cost by their number in either readout mode."""
    workload = counts.workload
    return counts.inputs * workload.input_bits * workload.evaluations * counts.rates


def _moving(counts: _Counts) -> FloatArray:
    return counts.rates if counts.hardware.readout == "event" else np.ones(1)


def _distance_j(counts: _Counts, chip_area_m2: FloatArray) -> FloatArray:
    """Energy to carry one bit to a layer: half the chip's side on a tree, across the layer's own tiles on a mesh."""
    hardware = counts.hardware
    per_m = circuit.wire_energy_j_per_m(hardware)
    if hardware.interconnect.kind == "htree":
        return 0.5 * np.sqrt(chip_area_m2)[..., np.newaxis] * per_m
    hops = 1.0 + np.sqrt(np.maximum(counts.placement.tiles, 1))
    side_m = math.sqrt(_tile_area_m2(hardware))
    router = hardware.interconnect.router_registers_per_bit * circuit.register_energy_j(hardware)
    return hops * (side_m * per_m + router)


def _neuron_j(counts: _Counts) -> FloatArray:
    """LIF updates: leak, integrate, compare."""
    hardware = counts.hardware
    update_j = hardware.neuron.adders_per_update * circuit.adder_energy_j(hardware, hardware.precision.membrane_bits)
    return counts.workload.neurons * counts.workload.evaluations * counts.touched * update_j


def _digital_operations(counts: _Counts) -> FloatArray:
    """Additions of value width per evaluation: pooling windows, element-wise sums, multiply-adds of a scale."""
    workload, precision = counts.workload, counts.hardware.precision
    operands = np.maximum(workload.in_channels // np.maximum(workload.out_channels, 1), 2)
    factor = np.select(
        [workload.kind == LayerKind.POOL, workload.kind == LayerKind.ADD, workload.kind == LayerKind.SCALE],
        [workload.kernel_size**2, operands - 1, precision.value_bits + 1],  # a multiplication is value_bits additions
        0,
    )
    return counts.outputs * factor


def _digital_j(counts: _Counts) -> FloatArray:
    precision = counts.hardware.precision
    bits = np.minimum(counts.workload.input_bits, precision.value_bits) + 0.0
    active = _moving(counts)
    each = circuit.adder_energy_j(counts.hardware, 1.0)
    return _digital_operations(counts) * counts.workload.evaluations * active * bits * each


def area_parts_m2(counts: _Counts) -> dict[str, NDArray[Any]]:
    """Area of each layer by component; a chip with fewer tiles than the layers need holds `chip.tiles` of them."""
    hardware, workload = counts.hardware, counts.workload
    tiles = counts.placement.tiles * _resident(counts)
    parts: dict[str, NDArray[Any]] = {name: tiles * value for name, value in tile_parts_m2(hardware).items()}
    bits = workload.neurons * hardware.precision.membrane_bits
    delayed = counts.outputs * workload.delay * hardware.precision.value_bits
    sram = circuit.sram_area_m2_per_bit(hardware)
    update_m2 = hardware.neuron.adders_per_update * circuit.adder_area_m2(hardware, hardware.precision.membrane_bits)
    parts["membrane"] = bits * sram
    parts["neuron"] = counts.of_kind(LayerKind.LIF, np.full(1, hardware.neuron.lanes * update_m2))
    parts["delay"] = delayed * sram
    parts["digital"] = _digital_area_m2(counts)
    return parts


def _digital_area_m2(counts: _Counts) -> FloatArray:
    hardware, kind = counts.hardware, counts.workload.kind
    value_bits = hardware.precision.value_bits
    adder = hardware.neuron.digital_lanes * circuit.adder_area_m2(hardware, value_bits)
    sums = (kind == LayerKind.POOL) | (kind == LayerKind.ADD)
    return np.where(sums, adder, np.where(kind == LayerKind.SCALE, adder * (value_bits + 1), 0.0))


def tile_parts_m2(hardware: GeneralHardware) -> dict[str, float]:
    """Area of one tile by component."""
    node, periphery, crossbar = hardware.node, hardware.periphery, hardware.crossbar
    arrays = hardware.tile.pes * hardware.tile.arrays_per_pe
    converters = -(-crossbar.columns // crossbar.columns_per_adc)
    columns = crossbar.columns + (crossbar.signed == "offset")
    adc = circuit.converter(hardware.adc, hardware.device, node)
    accumulator_bits = hardware.adc.bits + hardware.precision.weight_bits
    accumulator = circuit.adder_area_m2(hardware, accumulator_bits) + accumulator_bits * circuit.register_area_m2(
        hardware
    )
    inverter, other = circuit.inverter_area_m2(node), periphery.other_area_factor
    row = periphery.driver_inverters * inverter + circuit.register_area_m2(hardware)
    cell = circuit.cell_area_m2(hardware.device, node)
    parts = {
        "crossbar": arrays * crossbar.rows * columns * cell * periphery.array_area_factor,
        "adc": arrays * (converters + (crossbar.signed == "offset")) * adc.area_m2,
        "mux": arrays * crossbar.columns * periphery.mux_inverters * inverter * other,
        "wordline": arrays * crossbar.rows * row * other,
        "accumulate": arrays * converters * accumulator * periphery.accumulate_area_factor,
        "buffer": hardware.buffer.bits_per_tile * circuit.register_area_m2(hardware) * other,
    }
    return parts | {"interconnect": _interconnect_m2(hardware, sum(parts.values()))}


def _interconnect_m2(hardware: GeneralHardware, tile_m2: float) -> float:
    """Wires of one tile's share of the tree or mesh: a bus as long as the tile is wide, and a router on a mesh."""
    interconnect = hardware.interconnect
    wires = interconnect.bus_bits * hardware.node.wire_pitch_m * math.sqrt(tile_m2)
    registers = interconnect.router_registers_per_bit * interconnect.bus_bits if interconnect.kind == "mesh" else 0.0
    return wires * interconnect.area_factor + registers * circuit.register_area_m2(hardware)


def _tile_area_m2(hardware: GeneralHardware) -> float:
    return sum(tile_parts_m2(hardware).values())


def layer_time_s(counts: _Counts) -> FloatArray:
    """Time each layer is busy per sample.

    A read takes the conversions that share a converter, one clock to drive the rows and one to accumulate. Moving the
    inputs overlaps with reading; the slower of the two counts. Other layers take one value per lane and clock.
    """
    hardware, workload = counts.hardware, counts.workload
    clock_s = 1.0 / hardware.clock_hz
    shared = min(hardware.crossbar.columns_per_adc, hardware.crossbar.columns)
    read_s = _whole_clocks(shared * counts.converter.conversion_s, clock_s) + 2 * clock_s
    moved = counts.inputs * workload.input_bits * workload.evaluations / hardware.interconnect.bus_bits * clock_s
    crossbar = np.where(workload.on_crossbar, np.maximum(counts.reads * read_s, moved), 0.0)
    neurons = np.ceil(workload.neurons / hardware.neuron.lanes) * workload.evaluations * clock_s
    digital = np.ceil(_digital_operations(counts) / hardware.neuron.digital_lanes) * workload.evaluations * clock_s
    return crossbar + neurons + digital


def _whole_clocks(time_s: float, clock_s: float) -> float:
    return math.ceil(time_s / clock_s * (1.0 - 1e-12)) * clock_s


def _missing_tiles(counts: _Counts) -> FloatArray:
    """Share of the tiles whose weights are written anew for every sample, `[..., 1]`.

    A chip with C tiles runs a network of N tiles by keeping C - s of them resident and swapping the rest through the
    other s, which hold the largest layer: `(N - C + s) / N`. All timesteps of a layer run before the next is loaded.
    """
    tiles = counts.placement.tiles
    total = tiles.sum(axis=-1, keepdims=True)
    limit = counts.hardware.chip.tiles
    if not limit:
        return np.zeros_like(total, dtype=float)
    swap = np.minimum(tiles.max(axis=-1, keepdims=True), limit)
    return np.where(total > limit, (total - limit + swap) / np.maximum(total, 1), 0.0)


def _resident(counts: _Counts) -> FloatArray:
    total = counts.placement.tiles.sum(axis=-1, keepdims=True)
    limit = counts.hardware.chip.tiles
    if not limit:
        return np.ones_like(total, dtype=float)
    return np.asarray(np.minimum(1.0, limit / np.maximum(total, 1)), float)


def reload_cost(counts: _Counts) -> tuple[FloatArray, FloatArray]:
    """Energy and time of each layer to write the weights that do not stay on the chip, per sample."""
    hardware, workload = counts.hardware, counts.workload
    share = _missing_tiles(counts)
    cells = workload.weights * counts.placement.cells_per_weight * share
    bits = cells * hardware.device.cell_bits
    energy = cells * hardware.device.write_energy_j + bits * hardware.chip.reload_j_per_bit
    # The rows of an array are written one after another, all arrays of a layer at once; the bus may be slower.
    pulses_s = hardware.crossbar.rows * hardware.device.write_pulse_s * share * (counts.placement.arrays > 0)
    return energy, np.maximum(bits / (hardware.chip.reload_bus_bits * hardware.clock_hz), pulses_s)


def _leakage(counts: _Counts, area: Tally, latency_s: FloatArray) -> FloatArray:
    """Static energy over the sample's latency; the memory cells themselves leak nothing, they hold without power."""
    per_m2 = circuit.leakage_w_per_m2(counts.hardware.node)
    leaking = sum(values for name, values in area_parts_m2(counts).items() if name != "crossbar")
    return leaking * per_m2 * latency_s[..., np.newaxis]


def _warnings(counts: _Counts) -> list[str]:
    warnings = []
    if counts.hardware.schedule == "pipelined" and bool(np.any(counts.workload.delay > 0)):
        warnings.append("feedback connections tie one timestep to the next: such networks are timed sequentially")
    if bool(np.any(_missing_tiles(counts) > 0)):
        limit = counts.hardware.chip.tiles
        warnings.append(f"the network needs more than the chip's {limit} tiles: weights are reloaded for every sample")
    return warnings
