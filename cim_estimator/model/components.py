"""Circuits of a crossbar tile: energy, area and time of each as pure functions of the description.

Digital circuits are counted in minimum-size gates, so that they scale with the node by themselves:

    E_inverter = C_gate * 2F * (1 + r_pmos) * (1 + drain share) * V^2,      A_inverter = a_inverter * F^2
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from hasnas.cim_estimator.hardware import lines
from hasnas.cim_estimator.hardware.lines import MINIMUM_WIDTH_F
from hasnas.cim_estimator.hardware.spec import CrossbarSpec, DeviceSpec, GeneralHardware, NodeSpec

FloatArray = NDArray[np.float64]
Bits = TypeVar("Bits", float, NDArray[Any])  # one number, or one for each layer

BOLTZMANN_J_PER_K = 1.380649e-23  # exact, by the definition of the kelvin (SI, 2019)
_LN10 = math.log(10.0)


def inverter_energy_j(node: NodeSpec) -> float:
    """Energy to switch a minimum-size inverter that drives its like, `C V^2`."""
    width_m = MINIMUM_WIDTH_F * node.feature_size_m * (1.0 + node.pmos_ratio)
    return node.gate_capacitance_f_per_m * width_m * (1.0 + node.drain_share) * node.supply_v**2


def nand_energy_j(node: NodeSpec) -> float:
    """Energy to switch a two-input NAND gate: its NMOS transistors are twice as wide as an inverter's."""
    return inverter_energy_j(node) * (2.0 + node.pmos_ratio) / (1.0 + node.pmos_ratio)


def inverter_area_m2(node: NodeSpec) -> float:
    """Area of a minimum-size inverter."""
    return node.inverter_area_f2 * node.feature_size_m**2


def leakage_w_per_m2(hardware: GeneralHardware) -> float:
    """Static power of a square metre of minimum-size logic, half of whose transistors are off."""
    node = hardware.node
    width_m = MINIMUM_WIDTH_F * node.feature_size_m * (1.0 + node.pmos_ratio) / 2.0
    current_a = lines.leakage_a_per_m(hardware) * width_m
    return current_a * node.supply_v / inverter_area_m2(node) * hardware.periphery.leakage_factor


def adder_energy_j(hardware: GeneralHardware, bits: Bits) -> Bits:
    """Energy of one addition of `bits` bits in a ripple-carry adder."""
    periphery = hardware.periphery
    return bits * periphery.full_adder_nands * nand_energy_j(hardware.node) * periphery.adder_activity


def adder_area_m2(hardware: GeneralHardware, bits: Bits) -> Bits:
    """Area of a ripple-carry adder of `bits` bits."""
    return bits * hardware.periphery.full_adder_nands * hardware.node.nand_area_f2 * hardware.node.feature_size_m**2


def accumulator_widths(hardware: GeneralHardware) -> tuple[int, int, int]:
    """Bits of the adders that join bit slices, input bits and arrays."""
    slice_bits = hardware.adc.bits + hardware.device.cell_bits
    input_bits = hardware.adc.bits + hardware.precision.weight_bits
    return slice_bits, input_bits, input_bits + 2


def register_energy_j(hardware: GeneralHardware) -> float:
    """Energy to clock and load one register bit."""
    periphery = hardware.periphery
    return periphery.register_inverters * inverter_energy_j(hardware.node) * periphery.register_activity


def register_area_m2(hardware: GeneralHardware) -> float:
    """Area of one register bit."""
    return hardware.periphery.register_inverters * inverter_area_m2(hardware.node)


def sram_area_m2_per_bit(hardware: GeneralHardware) -> float:
    """Area of an SRAM bit with its share of decoders and sense amplifiers."""
    return hardware.node.sram_cell_area_f2 * hardware.node.feature_size_m**2 * hardware.buffer.sram_overhead


def wire_energy_j_per_m(hardware: GeneralHardware) -> float:
    """Energy to charge one metre of repeated wire."""
    node, interconnect = hardware.node, hardware.interconnect
    capacitance = node.wire_capacitance_f_per_m * (1.0 + interconnect.repeater_share)
    return capacitance * node.supply_v**2 * interconnect.energy_factor


def wordline_energy_j(hardware: GeneralHardware) -> float:
    """Energy to drive one row: its wire and the gates of its cells' access transistors."""
    return lines.wordline_capacitance_f(hardware) * hardware.node.supply_v**2


def bitline_energy_j(hardware: GeneralHardware) -> float:
    """Energy to charge one column's wire to the read voltage."""
    return lines.bitline_wire_f(hardware) * hardware.device.read_voltage_v**2


def cell_area_m2(device: DeviceSpec, node: NodeSpec) -> float:
    """Area of one memory cell."""
    return device.cell_width_f * device.cell_height_f * node.feature_size_m**2


def mean_conductance_s(device: DeviceSpec) -> float:
    """Mean conductance of a cell and its access transistor over all levels, which are evenly spread from off to on."""
    on = 1.0 / device.on_resistance_ohm
    levels = np.linspace(on / device.on_off_ratio, on, 2**device.cell_bits)
    conductances = 1.0 / (1.0 / levels + device.access_share * device.on_resistance_ohm)
    mean: float = np.mean(conductances, axis=0)
    return mean


def rows_at_once(crossbar: CrossbarSpec) -> int:
    """Rows of an array that are driven together."""
    rows: int = np.minimum(crossbar.rows_read, crossbar.rows) if crossbar.rows_read else crossbar.rows
    return rows


@dataclass(frozen=True)
class Converter:
    """An ADC of the chosen kind, ready to price.

    The published fits give the power of a converter and of the column that feeds it:

        SAR    P = p*b + q + c*exp(-s*log10 R),    (b + 1) clock periods
        flash  P = m*(2^b - 1) + d*exp(-s*log10 R), one sensing period

    with R the column's resistance, scaled by 0.5 V / Vread. The sensing period grows with the resistance that the
    converter must tell apart, the middle of the reference ladder `Roff / (2 rows)`: `offset + slope*ln(R / 1 kohm)`.

    A column conducts while its line settles (see `lines.settling_s`) and while it is converted; a SAR converter that
    holds its sample lets go of it after the first of its b + 1 periods.

    Args:
        conversion_s: time of one conversion.
        conducting_s: time for which the column conducts.
        energy_j: energy of one conversion without the column's current.
        column_w: power of a column of 1 ohm, c or d.
        column_exponent: s / ln 10, the power with which the column's conductance enters.
        area_m2: of one converter.

    Source: DNN+NeuroSim V1.3, `SarADC.cpp` and `MultilevelSenseAmp.cpp` (fits to 65 to 22 nm LSTP circuits).
    """

    conversion_s: float
    conducting_s: float
    energy_j: float
    column_w: float
    column_exponent: float
    area_m2: float

    def column_energy_j(self, conductance_s: FloatArray, read_voltage_v: float) -> FloatArray:
        """Energy that a column's current takes from the supply during one conversion.

        Args:
            conductance_s: of all active cells of the column together.
            read_voltage_v: on the bitlines.
        """
        scaled = conductance_s * (read_voltage_v / 0.5)
        return self.column_w * scaled**self.column_exponent * self.conducting_s


def converter(hardware: GeneralHardware) -> Converter:
    """Energy, time and area of the description's ADC."""
    adc, node, settling_s = hardware.adc, hardware.node, lines.settling_s(hardware)
    if adc.kind == "fixed":
        # Joule heat of the column itself, V^2 G: the given energy knows nothing of the array.
        column_w, time_s = 0.5 * hardware.device.read_voltage_v, adc.fixed_conversion_s
        return Converter(time_s, time_s + settling_s, adc.fixed_energy_j, column_w, 1.0, adc.fixed_area_m2)
    if adc.kind == "sar":
        time_s = (adc.bits + 1) * adc.sar_clock_s
        energy_j = (adc.sar_power_per_bit_w * adc.bits + adc.sar_power_offset_w) * time_s
        sampled_s = time_s
        if adc.sampling == "hold":
            energy_j, sampled_s = energy_j + hold_energy_j(hardware), adc.sar_clock_s
        area_m2 = (adc.sar_inverters_base + adc.sar_inverters_per_bit * (adc.bits - 1)) * inverter_area_m2(node)
        exponent = adc.sar_column_exponent / _LN10
        return Converter(time_s, sampled_s + settling_s, energy_j, adc.sar_column_w, exponent, area_m2)
    levels = 2**adc.bits - 1
    time_s = flash_sense_s(hardware)
    gates_j = (levels + 1 + adc.bits) * (inverter_energy_j(node) + nand_energy_j(node))
    energy_j = adc.flash_power_per_level_w * levels * time_s + gates_j * hardware.periphery.control_activity
    area_m2 = adc.flash_inverters_per_level * levels * inverter_area_m2(node)
    exponent = adc.flash_column_exponent / _LN10
    return Converter(time_s, time_s + settling_s, energy_j, adc.flash_column_w, exponent, area_m2)


def hold_energy_j(hardware: GeneralHardware) -> float:
    """Least energy to fill a sampling capacitor whose thermal noise is that of rounding to b bits: `12 k T 4^b`.

    The noise `k T / C` equals the rounding error `(V / 2^b)^2 / 12` for `C = 12 k T 4^b / V^2`; filling it takes
    `C V^2`.
    """
    thermal_j: float = BOLTZMANN_J_PER_K * hardware.temperature_k
    return 12.0 * thermal_j * 4.0**hardware.adc.bits


def _log(value: Any) -> Any:
    """The natural logarithm of a number, or of one for each chip."""
    return math.log(value) if isinstance(value, float) else np.log(value)


def flash_sense_s(hardware: GeneralHardware) -> float:
    """Sensing period of a flash converter, set by the middle of its reference ladder, 1 to 10 times the shortest."""
    adc, device = hardware.adc, hardware.device
    middle_ohm = device.on_resistance_ohm * device.on_off_ratio / (2.0 * rows_at_once(hardware.crossbar))
    time_s = adc.flash_sense_offset_s + adc.flash_sense_slope_s * _log(middle_ohm / 1000.0)
    bounded: float = np.minimum(np.maximum(time_s, adc.flash_sense_least_s), 10.0 * adc.flash_sense_least_s)
    return bounded
