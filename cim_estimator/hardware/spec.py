"""A hardware description: frozen sections, SI units in the names of their fields.

A field's unit is its suffix: `_j`, `_s`, `_m2`, `_hz` and so on; text such as `"2 pJ"` is converted on reading. The
published SpikeSim constants keep the units they were published in (`_pj`, `_um2`), so that no bit of them is lost.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from typing import Any

from hasnas.errors import BadInputError, nearest

from .constants import Constant

MODELS = ("general", "spikesim")
SUFFIX_UNITS = {
    "_j": "J", "_s": "s", "_m2": "m2", "_m": "m", "_hz": "Hz", "_w": "W", "_v": "V", "_ohm": "ohm", "_a": "A",
    "_pj": "pJ", "_um2": "um2", "_nm": "nm", "_j_per_bit": "J/bit", "_f_per_m": "F/m", "_a_per_m": "A/m",
    "_w_per_m2": "W/m2", "_um2_per_bit": "um2/bit", "_ohm_m": "ohm m", "_ohm_per_m": "ohm/m", "_k": "K",
    "_bits_per_s": "bit/s",
}  # fmt: skip


MOST, MOST_CELLS, MOST_BITS = 10**9, 2**20, 64
"""The largest value of a field that has no other bound, of a side of an array, and of the width of a number."""


@cache
def unit_of(name: str) -> str:
    """Unit of a field by its suffix; `"1"` for counts, ratios and words.

    >>> unit_of("clock_hz"), unit_of("energy_j_per_bit"), unit_of("rows")
    ('Hz', 'J/bit', '1')
    """
    if name == "bits" or name.endswith("_bits") or name.startswith("bits_"):
        return "bit"
    suffixes = [suffix for suffix in SUFFIX_UNITS if name.endswith(suffix)]
    return SUFFIX_UNITS[max(suffixes, key=len)] if suffixes else "1"


def at_least(least: float, *, default: Any = None, most: int = MOST) -> Any:
    """A field with bounds (and perhaps a default); the loader checks it."""
    return _entry({"least": least, "most": most}, default)


def above(bound: float, *, default: Any = None) -> Any:
    """A field that must be greater than `bound`."""
    return _entry({"above": bound}, default)


def choice(*names: str, default: str | None = None) -> Any:
    """A field that is one of a few words."""
    return _entry({"choices": names}, default)


def _entry(metadata: dict[str, Any], default: Any) -> Any:
    return field(metadata=metadata) if default is None else field(default=default, metadata=metadata)


@dataclass(frozen=True)
class CrossbarSpec:
    """One crossbar array: how many wordlines and bitlines, how weights lie on it, and how it is read.

    Args:
        rows: wordlines, that is inputs of one array.
        columns: bitlines of one array; `crossbar.size` sets rows and columns at once.
        device: the cell whose constants the SpikeSim formulas take; the general model takes the section `device`.
        columns_per_adc: columns that share one converter, one after another.
        signed: how weights below zero are stored: `differential`, in a second column; `offset`, all moved up, with a
            column of references that is subtracted; `unsigned`, not at all.
        unrolling: how kernels lie on arrays: `rows` one below another, as in a matrix; `kernel`, an array for each of
            the k * k places.
        rows_read: rows that are driven at once, one group of them after another; 0 means all.
        settling: whether a read waits until wordline and bitline have settled, see `lines.py`: `ignored`; `wait`, more
            clocks; `slow-clock`, the chip's clock is lowered until they settle within one; `refuse`, an error if the
            clock is too fast for them.
        sensing: what moves a bitline: `clamped`, its converter's switch, as where currents are read; `charged`, the
            cells, as where voltages are read; slowest with one cell on.
    """

    rows: int = at_least(1, most=MOST_CELLS)
    columns: int = at_least(1, most=MOST_CELLS)
    device: str = choice("rram", "sram", default="rram")
    columns_per_adc: int = at_least(1, most=MOST_CELLS, default=8)
    signed: str = choice("differential", "offset", "unsigned", default="offset")
    unrolling: str = choice("rows", "kernel", default="rows")
    rows_read: int = at_least(0, most=MOST_CELLS, default=0)
    settling: str = choice("ignored", "wait", "slow-clock", "refuse", default="ignored")
    sensing: str = choice("clamped", "charged", default="clamped")


@dataclass(frozen=True)
class PrecisionSpec:
    """Bits of what is stored and moved.

    Args:
        weight_bits: of a weight, where the network does not say (`space.macro.weight_bits`).
        bias_bits: of a bias.
        membrane_bits: of a membrane potential, where the network does not say.
        value_bits: of real values that are moved, and of values that wait for the next timestep.
    """

    weight_bits: int = at_least(1, most=MOST_BITS)
    bias_bits: int = at_least(1, most=MOST_BITS)
    membrane_bits: int = at_least(1, most=MOST_BITS)
    value_bits: int = at_least(1, most=MOST_BITS)


@dataclass(frozen=True)
class NodeSpec:
    """The CMOS node around the arrays; areas of cells in squares of the feature size.

    Leakage and wires are those at 300 K.

    Args:
        feature_size_m: F, the half pitch that the node is named after.
        supply_v: of the digital circuits.
        gate_capacitance_f_per_m: of a transistor, for each metre of its width.
        drain_share: capacitance of a drain over that of a gate.
        pmos_ratio: width of a PMOS over that of an NMOS that drives as much.
        leakage_a_per_m: current of a transistor that is off, for each metre of its width.
        access_resistance_ohm_m: resistance of a transistor that is on, times its width.
        inverter_area_f2: area of a minimum inverter, in F^2.
        nand_area_f2: area of a NAND gate of two inputs, in F^2.
        sram_cell_area_f2: area of an SRAM cell, in F^2.
        sram_access_j_per_bit: energy to read or write a bit of SRAM.
        wire_pitch_m: width of a wire and its gap.
        wire_capacitance_f_per_m: of a wire.
        wire_resistance_ohm_per_m: of a wire; needed where `crossbar.settling` is not `ignored`.
        leakage_activation_k: activation energy of leakage over Boltzmann's constant.
    """

    feature_size_m: float = above(0)
    supply_v: float = above(0)
    gate_capacitance_f_per_m: float = above(0)
    drain_share: float = at_least(0)
    pmos_ratio: float = above(0)
    leakage_a_per_m: float = at_least(0)
    access_resistance_ohm_m: float = above(0)
    inverter_area_f2: float = above(0)
    nand_area_f2: float = above(0)
    sram_cell_area_f2: float = above(0)
    sram_access_j_per_bit: float = above(0)
    wire_pitch_m: float = above(0)
    wire_capacitance_f_per_m: float = above(0)
    wire_resistance_ohm_per_m: float = at_least(0, default=0.0)
    leakage_activation_k: float = at_least(0, default=0.0)


@dataclass(frozen=True)
class DeviceSpec:
    """The memory cell.

    Args:
        cell_bits: bits that a cell stores.
        on_resistance_ohm: of a cell that conducts best.
        on_off_ratio: its conductance over that of a cell that conducts least.
        cell_width_f: along a wordline, in F.
        cell_height_f: along a bitline, in F.
        read_voltage_v: across a cell that is read.
        access_share: resistance of the access transistor over `on_resistance_ohm`.
        write_voltage_v: across a cell that is written.
        write_energy_j: to write a cell.
        write_pulse_s: time to write a row of cells.
    """

    cell_bits: int = at_least(1, most=MOST_BITS)
    on_resistance_ohm: float = above(0)
    on_off_ratio: float = above(1)
    cell_width_f: float = above(0)
    cell_height_f: float = above(0)
    read_voltage_v: float = above(0)
    access_share: float = above(0)
    write_voltage_v: float = above(0)
    write_energy_j: float = at_least(0)
    write_pulse_s: float = at_least(0)


@dataclass(frozen=True)
class AdcSpec:
    """The converter shared by a few columns; `fixed` takes its energy, time and area as given.

    Args:
        kind: successive approximation (`sar`), `flash`, or `fixed`.
        bits: of its answer.
        sampling: whether a SAR converter holds what it samples: `none`, the column conducts for all its cycles; `hold`,
            for the first one, which fills a capacitor.
        sar_power_per_bit_w: power for each bit.
        sar_power_offset_w: power that does not depend on the bits.
        sar_column_w: power that the current of a column of 1 ohm adds.
        sar_column_exponent: power of the column's conductance with which that grows, times ln 10.
        sar_clock_s: one of its cycles; a conversion takes a cycle for each bit and one more.
        sar_inverters_base: its area at one bit, in minimum inverters.
        sar_inverters_per_bit: area of each further bit, in minimum inverters.
        flash_power_per_level_w: power of the sense amplifier of each level.
        flash_column_w: power that the current of a column of 1 ohm adds.
        flash_column_exponent: power of the column's conductance with which that grows, times ln 10.
        flash_sense_least_s: shortest time to sense; the longest is ten times that.
        flash_sense_offset_s: time to sense a column of 1 kohm.
        flash_sense_slope_s: what is added for each factor e of the column's resistance.
        flash_inverters_per_level: area of each level, in minimum inverters.
        fixed_energy_j: of a conversion, for `fixed`.
        fixed_conversion_s: time of a conversion, for `fixed`.
        fixed_area_m2: of a converter, for `fixed`.
    """

    kind: str = choice("sar", "flash", "fixed")
    bits: int = at_least(1, most=MOST_BITS)
    sampling: str = choice("none", "hold", default="none")
    sar_power_per_bit_w: float = at_least(0, default=0.0)
    sar_power_offset_w: float = at_least(0, default=0.0)
    sar_column_w: float = at_least(0, default=0.0)
    sar_column_exponent: float = at_least(0, default=2.303)
    sar_clock_s: float = at_least(0, default=1e-9)
    sar_inverters_base: float = at_least(0, default=0.0)
    sar_inverters_per_bit: float = at_least(0, default=0.0)
    flash_power_per_level_w: float = at_least(0, default=0.0)
    flash_column_w: float = at_least(0, default=0.0)
    flash_column_exponent: float = at_least(0, default=2.303)
    flash_sense_least_s: float = at_least(0, default=1e-9)
    flash_sense_offset_s: float = at_least(0, default=0.0)
    flash_sense_slope_s: float = at_least(0, default=0.0)
    flash_inverters_per_level: float = at_least(0, default=0.0)
    fixed_energy_j: float = at_least(0, default=0.0)
    fixed_conversion_s: float = at_least(0, default=0.0)
    fixed_area_m2: float = at_least(0, default=0.0)


@dataclass(frozen=True)
class DacSpec:
    """What drives a row: with `bits: 1` a plain driver, and real values enter bit by bit; else a DAC for each row.

    Args:
        bits: that enter at once.
        energy_j: of a conversion, beyond one bit.
        area_m2: of one DAC, beyond one bit.
    """

    bits: int = at_least(1, most=MOST_BITS, default=1)
    energy_j: float = at_least(0, default=0.0)
    area_m2: float = at_least(0, default=0.0)


@dataclass(frozen=True)
class TileSpec:
    """How arrays are grouped: a tile holds processing elements (PEs), a PE holds arrays.

    Args:
        pes: PEs of a tile.
        arrays_per_pe: arrays of a PE.
        sharing: `layers` lets two layers use one tile, as the SpikeSim script does.
        copies: `fill` repeats a layer's weights in the arrays of its tiles that would lie idle and reads them side by
            side; `one` leaves them idle.
        layout: `rectangle` puts a layer's rectangle of arrays onto rectangles of PEs and tiles, so that sums run down
            and inputs run across; `pes` fills arrays and PEs one after another, which needs a tile that adds the sums
            of any of its PEs.
    """

    pes: int = at_least(1, most=MOST_CELLS)
    arrays_per_pe: int = at_least(1, most=MOST_CELLS, default=1)
    sharing: str = choice("none", "layers", default="none")
    copies: str = choice("one", "fill", default="one")
    layout: str = choice("rectangle", "pes", default="rectangle")


@dataclass(frozen=True)
class BufferSpec:
    """Registers that hold a tile's inputs and outputs; membranes and delayed values lie in SRAM.

    Args:
        bits_per_tile: registers of a tile, in bits.
        sram_overhead: area of an SRAM over that of its cells.
    """

    bits_per_tile: int = at_least(0)
    sram_overhead: float = at_least(1)


@dataclass(frozen=True)
class InterconnectSpec:
    """What carries spikes and values within and between tiles.

    Args:
        kind: a tree of wires (`htree`), or routers in a grid (`mesh`).
        bus_bits: wires of the bus; 0 means as many as an array has rows.
        wire_activity: share of the bits that charge a wire.
        repeater_share: capacitance of repeaters over that of the wire.
        router_registers_per_bit: registers that a bit passes in a router of the mesh.
        area_factor: what layout and further levels add to the area of wires; a fitted one says so in its source.
        energy_factor: the same for their energy.
    """

    kind: str = choice("htree", "mesh")
    bus_bits: int = at_least(0)
    wire_activity: float = above(0)
    repeater_share: float = at_least(0)
    router_registers_per_bit: float = at_least(0)
    area_factor: float = above(0)
    energy_factor: float = above(0)


@dataclass(frozen=True)
class PeripherySpec:
    """Digital periphery in gates, and factors for what layout adds; a fitted factor says so in its source.

    Args:
        full_adder_nands: NAND gates of a full adder.
        register_inverters: area and energy of a flip-flop, in minimum inverters.
        driver_inverters: the switches that drive a row, in minimum inverters.
        mux_inverters: the switch between a column and its converter, in minimum inverters.
        level_shifter_inverters: what lifts a row's signal to the cells' voltage, in minimum inverters.
        adder_activity: share of an adder's gates that switch in an addition.
        register_activity: share of a register's bits that switch in a clock.
        control_activity: share of the control's gates that switch.
        accumulate_area_factor: on the area of adders and their registers.
        accumulate_energy_factor: on their energy.
        other_area_factor: on the area of all other periphery.
        other_energy_factor: on its energy.
        leakage_factor: on the leakage.
    """

    full_adder_nands: float = above(0)
    register_inverters: float = above(0)
    driver_inverters: float = above(0)
    mux_inverters: float = above(0)
    level_shifter_inverters: float = at_least(0)
    adder_activity: float = above(0)
    register_activity: float = above(0)
    control_activity: float = above(0)
    accumulate_area_factor: float = above(0)
    accumulate_energy_factor: float = above(0)
    other_area_factor: float = above(0)
    other_energy_factor: float = above(0)
    leakage_factor: float = above(0)


@dataclass(frozen=True)
class NeuronSpec:
    """LIF circuits and the units that pool, add and scale: lanes that take one value a clock.

    Args:
        lanes: neurons that a layer updates at once.
        digital_lanes: values that a layer pools, adds or scales at once.
        adders_per_update: adders of one neuron, for leak, integration and threshold.
    """

    lanes: int = at_least(1)
    digital_lanes: int = at_least(1)
    adders_per_update: float = above(0)


@dataclass(frozen=True)
class ChipSpec:
    """What one chip holds, and how it reloads weights that it does not hold. A sample's input is not counted.

    Args:
        tiles: of the chip; 0 means as many as the network needs.
        reload_bus_bits: wires to the memory beside the chip, at the chip's clock.
        reload_j_per_bit: energy to move a bit from there.
        off_chip_bits_per_s: bandwidth of that memory; 0 is no limit of its own.
    """

    tiles: int = at_least(0)
    reload_bus_bits: int = at_least(1)
    reload_j_per_bit: float = at_least(0)
    off_chip_bits_per_s: float = at_least(0, most=10**15, default=0.0)


@dataclass(frozen=True)
class SpikeSimSpec:
    """Constants of the published SpikeSim script, in its own units.

    Args:
        crossbar_rram_pj: one RRAM array in a cycle of a PE.
        crossbar_sram_pj: one SRAM array in a cycle of a PE.
        adc_pj: a converter in a cycle.
        mux_pj: a multiplexer in a cycle.
        subtract_pj: one subtraction.
        temporary_buffer_pj: the buffer of partial sums in a cycle.
        tile_buffer_pj: the tile's buffer in a cycle.
        htree_pj: the H-tree in a cycle.
        fetch_pj: fetching the input in a cycle.
        neuron_pj: the neuron unit in a cycle.
        crossbar_rram_um2: one RRAM array.
        crossbar_sram_um2: one SRAM array.
        adc_um2: one converter.
        mux_um2: one multiplexer.
        subtract_um2: one subtractor.
        temporary_buffer_um2: the buffer of partial sums.
        tile_buffer_um2: the tile's buffer.
        htree_um2: the H-tree of a tile.
        memory_um2_per_bit: memory of inputs and neurons.
        subtractions_per_column: subtractions that are charged for each group of columns.
        cycles_per_output: clocks until an output is there.
        overlap: share of a layer that is done when the next one starts.
        neuron_memory_layers: first layers whose neuron memory counts; 0 counts all.
    """

    crossbar_rram_pj: float = at_least(0)
    crossbar_sram_pj: float = at_least(0)
    adc_pj: float = at_least(0)
    mux_pj: float = at_least(0)
    subtract_pj: float = at_least(0)
    temporary_buffer_pj: float = at_least(0)
    tile_buffer_pj: float = at_least(0)
    htree_pj: float = at_least(0)
    fetch_pj: float = at_least(0)
    neuron_pj: float = at_least(0)
    crossbar_rram_um2: float = at_least(0)
    crossbar_sram_um2: float = at_least(0)
    adc_um2: float = at_least(0)
    mux_um2: float = at_least(0)
    subtract_um2: float = at_least(0)
    temporary_buffer_um2: float = at_least(0)
    tile_buffer_um2: float = at_least(0)
    htree_um2: float = at_least(0)
    memory_um2_per_bit: float = at_least(0)
    subtractions_per_column: int = at_least(0)
    cycles_per_output: int = at_least(1)
    overlap: float = at_least(0)
    neuron_memory_layers: int = at_least(0)


@dataclass(frozen=True, kw_only=True)
class HardwareSpec:
    """What every hardware description has; read one with `load_hardware`.

    Args:
        name: of the preset or file.
        model: `general` (physically consistent) or `spikesim` (the published script's formulas, generalised).
        clock_hz: of the digital circuits.
        readout: `clocked` converts every column at every step; `event` only those that a spike reached.
        schedule: `sequential` runs layer after layer; `pipelined` overlaps layers and timesteps.
        sources: field path, e.g. `"adc.bits"` -> where its value comes from.
    """

    name: str
    model: str = choice(*MODELS)
    clock_hz: float = above(0)
    readout: str = choice("clocked", "event", default="clocked")
    schedule: str = choice("sequential", "pipelined", default="sequential")
    crossbar: CrossbarSpec
    precision: PrecisionSpec
    tile: TileSpec
    sources: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)

    def constant(self, path: str) -> Constant:
        """A value of the description with its unit and source, by its path, e.g. `"adc.bits"`.

        Raises:
            BadInputError: if there is no such path.
        """
        if path not in self.sources:
            raise BadInputError(f"hardware '{self.name}' has no '{path}'{nearest(path, self.sources)}")
        *section, name = path.split(".")
        owner = getattr(self, section[0]) if section else self
        return Constant(getattr(owner, name), unit_of(name), self.sources[path])


@dataclass(frozen=True, kw_only=True)
class GeneralHardware(HardwareSpec):
    """Hardware for the general, physically consistent model.

    Args:
        temperature_k: of the chip; changes leakage, the resistance of wires, and thermal noise. Transistors and cells
            are taken to conduct as at 300 K.
    """

    temperature_k: float = at_least(150, most=600, default=300.0)

    node: NodeSpec
    device: DeviceSpec
    adc: AdcSpec
    buffer: BufferSpec
    interconnect: InterconnectSpec
    periphery: PeripherySpec
    neuron: NeuronSpec
    chip: ChipSpec
    dac: DacSpec


@dataclass(frozen=True, kw_only=True)
class SpikeSimHardware(HardwareSpec):
    """Hardware for the published SpikeSim formulas."""

    spikesim: SpikeSimSpec


HARDWARE_CLASSES: dict[str, type[HardwareSpec]] = {"general": GeneralHardware, "spikesim": SpikeSimHardware}


def check_fields(section: Any, where: Callable[[str], str]) -> None:
    """Refuse values outside the bounds that the fields declare.

    Args:
        section: an instance of one of the sections.
        where: name of a field -> how a message calls it.
    """
    for entry in fields(section):
        value, rule = getattr(section, entry.name), entry.metadata
        if rule.get("choices") and value not in rule["choices"]:
            raise BadInputError(f"{where(entry.name)}: unknown '{value}'{nearest(str(value), rule['choices'])}")
        if isinstance(value, (int, float)) and not math.isfinite(value):
            raise BadInputError(f"{where(entry.name)} is {value}; give a finite number")
        if "least" in rule and value < rule["least"]:
            raise BadInputError(f"{where(entry.name)} is {value}; give at least {rule['least']}")
        if "most" in rule and value > rule["most"]:
            raise BadInputError(f"{where(entry.name)} is {value}; give at most {rule['most']}")
        if "above" in rule and not value > rule["above"]:
            raise BadInputError(f"{where(entry.name)} is {value}; give more than {rule['above']}")
