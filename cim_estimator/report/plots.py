"""Pictures of a report: stacked bars of layers by component, and a roofline. Imports matplotlib only when drawing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hasnas.cim_estimator.hardware.lines import chip_clock_hz
from hasnas.cim_estimator.hardware.presets_reader import cells_per_weight
from hasnas.cim_estimator.hardware.spec import GeneralHardware, HardwareSpec
from hasnas.cim_estimator.model.components import rows_at_once
from hasnas.cim_estimator.model.floorplan import bus_bits
from hasnas.cim_estimator.model.latency import read_time_s
from hasnas.errors import BadInputError, nearest

from .report import CostReport

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_QUANTITIES = {"energy": ("energy_j", 1e6, "energy per sample (uJ)"), "area": ("area_m2", 1e6, "area (mm2)")}


@dataclass(frozen=True)
class Roofline:
    """What bounds a chip's layers: operations per second against operations per bit moved.

    Args:
        names: of the layers on crossbars.
        intensity: operations for each bit brought to the layer.
        performance: operations per second while the layer runs.
        peak: operations per second if all of the layer's crossbars are read without pause.
        bandwidth: bits per second of the bus.
    """

    names: tuple[str, ...]
    intensity: tuple[float, ...]
    performance: tuple[float, ...]
    peak: tuple[float, ...]
    bandwidth: float


def roofline(report: CostReport, hardware: HardwareSpec) -> Roofline:
    """The roofline of a report (one network, general model).

    Raises:
        BadInputError: if the hardware is described by the SpikeSim formulas, which know no bus.
    """
    if not isinstance(hardware, GeneralHardware):
        raise BadInputError(f"a roofline needs a bus, which hardware '{hardware.name}' does not describe")
    names, intensity, performance, peak = [], [], [], []
    read_s = read_time_s(hardware)
    per_read = 2.0 * rows_at_once(hardware.crossbar) * (hardware.crossbar.columns // cells_per_weight(hardware))
    for index, name in enumerate(report.layer_names):
        bits, busy_s = report.input_bits_by_layer[index], report.latency_by_layer_s[index]
        if report.crossbars_by_layer[index] > 0 and bits > 0 and busy_s > 0:
            names.append(name)
            intensity.append(float(report.operations_by_layer[index] / bits))
            performance.append(float(report.operations_by_layer[index] / busy_s))
            peak.append(float(report.crossbars_by_layer[index] * per_read / read_s))
    bandwidth = bus_bits(hardware) * chip_clock_hz(hardware)
    return Roofline(tuple(names), tuple(intensity), tuple(performance), tuple(peak), bandwidth)


def draw_breakdown(report: CostReport, quantity: str = "energy") -> Figure:
    """Stacked bars: a bar for each layer, a colour for each component (one network only).

    Args:
        report: of one network.
        quantity: `"energy"` or `"area"`.
    """
    if quantity not in _QUANTITIES:
        raise BadInputError(f"unknown quantity '{quantity}'{nearest(quantity, _QUANTITIES)}")
    key, scale, label = _QUANTITIES[quantity]
    by_component = "energy_by_component_j" if quantity == "energy" else "area_by_component_m2"
    tree = report.to_dict()
    figure = _figure()
    axes = figure.add_subplot()
    names = [layer["name"] for layer in tree["layers"]]
    bottom, places = np.zeros(len(names)), np.arange(len(names))
    colours = component_colours(tree)
    for component, total in tree["components"][key].items():
        if total > 0:
            heights = np.array([layer[by_component][component] for layer in tree["layers"]]) * scale
            axes.bar(places, heights, bottom=bottom, label=component, color=colours[component])
            bottom = bottom + heights
    axes.set_ylabel(label)
    axes.set_title(report.hardware, parse_math=False)
    axes.set_xticks(places, names, rotation=90, parse_math=False)
    axes.set_xlabel("layer")
    _legend(axes)
    return figure


def component_colours(tree: Mapping[str, Any]) -> dict[str, tuple[float, ...]]:
    """A colour for each component of a report's tree, the same in every picture; 20 before one comes twice."""
    from matplotlib import colormaps

    palette: Any = colormaps["tab20"]
    names = list(dict.fromkeys([*tree["components"]["energy_j"], *tree["components"]["area_m2"]]))
    order = [*range(0, 20, 2), *range(1, 20, 2)]  # strong colours first, then the pale ones
    return {name: palette(order[number % 20]) for number, name in enumerate(names)}


def _legend(axes: Axes) -> None:
    for text in axes.legend(fontsize="small").get_texts():
        text.set_parse_math(False)


def draw_roofline(report: CostReport, hardware: HardwareSpec) -> Figure:
    """Layers under the roofs that their crossbars and the bus set, on logarithmic axes (one network, general model)."""
    data = roofline(report, hardware)
    figure = _figure()
    axes = figure.add_subplot()
    span = np.geomspace(min(data.intensity) / 4, max(data.intensity) * 4, 64)
    axes.loglog(span, span * data.bandwidth, color="black", label="bus")
    for name, x, y, top in zip(data.names, data.intensity, data.performance, data.peak, strict=True):
        (line,) = axes.loglog([x], [y], marker="o", linestyle="none", label=name)
        axes.loglog([x, x], [y, top], color=line.get_color(), linestyle=":")
        axes.loglog([x], [top], marker="_", color=line.get_color())
    axes.set_xlabel("operations per bit moved")
    axes.set_ylabel("operations per second")
    axes.set_title(f"{hardware.name}: dots run, dashes are the crossbars' peak", parse_math=False)
    _legend(axes)
    return figure


def _figure() -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(9, 5), layout="constrained")
