"""How fast the lines of an array settle, the clock that this bounds, and what the temperature changes.

A line of N cells with the resistance R and the capacitance C, driven through a resistance S, is a ladder whose far end
has the Elmore delay

    tau = S C + R C (N + 1) / (2 N),      S C + R C / 2 for a long line,

the sum over all capacitances of each times the resistance on its way from the driver. The slowest pole of a ladder is
faster than its Elmore delay, so that after `tau ln 2^(b + 1)` the far end is within half a step of b bits.

Sources: W. C. Elmore, J. Appl. Phys. 19, 55 (1948) for the delay; wires, cells and gates are those of the description.
"""

from __future__ import annotations

import math

import numpy as np

from .spec import DeviceSpec, GeneralHardware, NodeSpec

REFERENCE_K = 300.0  # at which the nodes' leakage and wires are given
WIRE_PER_K = 0.00451  # DNN+NeuroSim V1.3 Param.cpp: resistivity of copper wires for each kelvin beyond 300 K
MINIMUM_WIDTH_F = 2.0  # width of a minimum-size transistor in feature sizes


def access_width_m(device: DeviceSpec, node: NodeSpec) -> float:
    """Width of a cell's access transistor, whose resistance is a set share of Ron; at least one feature size."""
    width_m = node.access_resistance_ohm_m / (device.access_share * device.on_resistance_ohm)
    widest: float = np.maximum(width_m, node.feature_size_m)
    return widest


def wordline_capacitance_f(hardware: GeneralHardware) -> float:
    """Capacitance of one row: its wire and the gates of its cells' access transistors."""
    node, device = hardware.node, hardware.device
    wire_f = device.cell_width_f * node.feature_size_m * node.wire_capacitance_f_per_m
    gate_f = access_width_m(device, node) * node.gate_capacitance_f_per_m
    return hardware.crossbar.columns * (wire_f + gate_f)


def bitline_wire_f(hardware: GeneralHardware) -> float:
    """Capacitance of one column's wire alone."""
    length_m = hardware.crossbar.rows * hardware.device.cell_height_f * hardware.node.feature_size_m
    return length_m * hardware.node.wire_capacitance_f_per_m


def wordline_delay_s(hardware: GeneralHardware) -> float:
    """Elmore delay of a row, whose driver is as wide as `periphery.driver_inverters` minimum-size inverters.

    >>> from hasnas.cim_estimator import load_hardware
    >>> short, long = (load_hardware("rram-22nm", {"crossbar.size": size}) for size in ("128", "256"))
    >>> bool(2 < wordline_delay_s(long) / wordline_delay_s(short) < 4)  # between a mere driver and a mere wire
    True
    """
    length_m = hardware.crossbar.columns * hardware.device.cell_width_f * hardware.node.feature_size_m
    capacitance_f = wordline_capacitance_f(hardware)
    driver_ohm = _switch_ohm(hardware.node, hardware.periphery.driver_inverters)
    return elmore_s(driver_ohm, length_m * wire_ohm_per_m(hardware), capacitance_f, hardware.crossbar.columns)


def bitline_delay_s(hardware: GeneralHardware) -> float:
    """Elmore delay of a column with its wire and the drains of its cells.

    With `crossbar.sensing: clamped` its converter's switch drives it, as wide as `periphery.mux_inverters` minimum-size
    inverters; with `charged` the farthest cell does, through its access transistor, while no other conducts.
    """
    node, device, crossbar = hardware.node, hardware.device, hardware.crossbar
    length_m = crossbar.rows * device.cell_height_f * node.feature_size_m
    drain_f = access_width_m(device, node) * node.gate_capacitance_f_per_m * node.drain_share
    capacitance_f = bitline_wire_f(hardware) + crossbar.rows * drain_f
    if crossbar.sensing == "clamped":
        source_ohm = _switch_ohm(node, hardware.periphery.mux_inverters)
    else:
        source_ohm = device.on_resistance_ohm * (1.0 + device.access_share)
    return elmore_s(source_ohm, length_m * wire_ohm_per_m(hardware), capacitance_f, crossbar.rows)


def elmore_s(source_ohm: float, line_ohm: float, line_f: float, cells: int) -> float:
    """Elmore delay of a ladder's far end.

    Args:
        source_ohm: resistance of the driver.
        line_ohm: of the whole line.
        line_f: capacitance of the whole line.
        cells: steps of the ladder.

    >>> round(elmore_s(1e3, 0.0, 1e-12, 64) * 1e9, 9), round(elmore_s(0.0, 1e3, 1e-12, 10**9) * 1e9, 6)
    (1.0, 0.5)
    """
    return line_f * (source_ohm + line_ohm * (cells + 1) / (2 * cells))


def wire_ohm_per_m(hardware: GeneralHardware) -> float:
    """Resistance of a metre of wire at the chip's temperature."""
    return hardware.node.wire_resistance_ohm_per_m * (1.0 + WIRE_PER_K * (hardware.temperature_k - REFERENCE_K))


def leakage_a_per_m(hardware: GeneralHardware) -> float:
    """Off-current of a metre of transistor width at the chip's temperature T, `I exp(Ea/k (1/300 K - 1/T))`.

    Subthreshold currents are thermally activated; the nodes' Ea/k joins what DNN+NeuroSim V1.3 tabulates for 300 and
    400 K, and is within 4 % of its table between them. The chip has one temperature here. `cim_estimator.mapping`,
    whose crossbars differ in theirs, takes another rule for the same currents: see `CellConstants.leakage_per_k`.
    """
    node = hardware.node
    warmer = np.exp(node.leakage_activation_k * (1.0 / REFERENCE_K - 1.0 / hardware.temperature_k))
    current: float = node.leakage_a_per_m * warmer
    return current


def settling_s(hardware: GeneralHardware) -> float:
    """The time that a conversion waits for its lines; zero with `settling: ignored`."""
    return 0.0 if hardware.crossbar.settling == "ignored" else lines_settle_s(hardware)


def lines_settle_s(hardware: GeneralHardware) -> float:
    """From driving a row until its columns are within half a step of the converter: `tau ln 2^(bits + 1)`.

    The row's and the column's delays add up: a cell conducts once its row has risen.
    """
    steps = (hardware.adc.bits + 1) * math.log(2.0)
    return (wordline_delay_s(hardware) + bitline_delay_s(hardware)) * steps


def chip_clock_hz(hardware: GeneralHardware) -> float:
    """The clock the chip runs at: the one given, with `settling: slow-clock` at most one in which the lines settle."""
    if hardware.crossbar.settling != "slow-clock":
        return hardware.clock_hz
    slowed: float = np.minimum(hardware.clock_hz, 1.0 / settling_s(hardware))
    return slowed


def _switch_ohm(node: NodeSpec, inverters: float) -> float:
    """Resistance of a transistor as wide as some minimum-size inverters."""
    return node.access_resistance_ohm_m / (inverters * MINIMUM_WIDTH_F * node.feature_size_m)
