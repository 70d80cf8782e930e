"""A report as comma-separated values, and as a table for a terminal or a page."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hasnas.cim_estimator.hardware.units import format_quantity
from hasnas.files import csv_text

from .report import CostReport
from .units import UNITS

if TYPE_CHECKING:
    from rich.table import Table


def to_csv(report: CostReport, labels: Mapping[str, Any] | None = None, heading: bool = True) -> str:
    """Comma-separated values in SI: a line for each layer, a column for each total and component (one network only).

    Args:
        report: of one network.
        labels: columns that say the same in every line, e.g. what a sweep has set.
        heading: whether the first line names the columns.

    >>> from hasnas.cim_estimator import LayerSpec, Workload, estimate, load_hardware
    >>> network = Workload.from_layers([LayerSpec("linear", 128, 10, name="fc")], timesteps=4)
    >>> to_csv(estimate(network, load_hardware("rram-22nm"))).splitlines()[1].split(",")[:4]
    ['fc', 'linear', '1280', '10240']
    """
    tree = report.to_dict()
    rows: list[list[Any]] = []
    totals = ("name", "kind", *UNITS, "crossbars")
    energies = [f"energy_{name}_j" for name in report.energy_components]
    areas = [f"area_{name}_m2" for name in report.area_components]
    if heading:
        rows.append([*(labels or {}), "layer", *totals[1:], *energies, *areas])
    for layer in tree["layers"]:
        parts = [*layer["energy_by_component_j"].values(), *layer["area_by_component_m2"].values()]
        rows.append([*(labels or {}).values(), *(layer[name] for name in totals), *parts])
    return csv_text(rows)


def to_table(report: CostReport, components: bool = False) -> Table:
    """A table for `rich` to print: a row for each layer, or for each component, and the totals (one network only).

    Args:
        report: of one network.
        components: rows are components instead of layers.
    """
    from rich.table import Table

    tree = report.to_dict()
    table = Table(title=f"{report.hardware}: bottleneck {report.bottleneck}")
    if components:
        for heading in ("component", "energy", "area"):
            table.add_column(heading, justify="left" if heading == "component" else "right")
        energies, areas = tree["components"]["energy_j"], tree["components"]["area_m2"]
        for name in dict.fromkeys((*energies, *areas)):
            table.add_row(name, _shown(energies.get(name), "J"), _shown(areas.get(name), "m2"))
        table.add_section()
        table.add_row("total", _shown(tree["energy_j"], "J"), _shown(tree["area_m2"], "m2"))
        return table
    for heading in ("layer", "kind", "parameters", "memory", "area", "latency", "energy"):
        table.add_column(heading, justify="left" if heading in ("layer", "kind") else "right")
    for layer in tree["layers"]:
        table.add_row(layer["name"], layer["kind"], *_costs(layer))
    table.add_section()
    table.add_row("total", "", *_costs(tree))
    return table


def to_html(report: CostReport) -> str:
    """Layers and components as a page shows them, see `to_table`; every name is escaped.

    >>> from hasnas.cim_estimator import LayerSpec, Workload, estimate, load_hardware
    >>> network = Workload.from_layers([LayerSpec("linear", 128, 10, name="<fc>")], timesteps=5)
    >>> "&lt;fc&gt;" in to_html(estimate(network, load_hardware("rram-32nm")))
    True
    """
    from rich.console import Console

    console = Console(record=True, file=io.StringIO(), width=110)
    for components in (False, True):
        console.print(to_table(report, components))
    return console.export_html(inline_styles=True, code_format="<pre>{code}</pre>")


def _costs(tree: dict[str, float]) -> list[str]:
    return [_shown(tree[name], unit) for name, unit in UNITS.items()]


def _shown(value: float | None, unit: str) -> str:
    return "" if value is None else format_quantity(value, unit)
