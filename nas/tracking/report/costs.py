"""What a returned network is and costs: cells, layers and components, the chip's constants with their sources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hasnas.cim_estimator.report.constants import ConstantRow
from hasnas.nas.budget.costs import AREA, ENERGY, STANDARD, Cost
from hasnas.nas.tracking.html import Markup, Text, details, element, table

from .data import ReturnedNetwork
from .drawings import Drawings
from .shown import costs_of, percent

UNVERIFIED = "unverified"  # is said in the source of a constant that was not looked up


def network(found: ReturnedNetwork, drawings: Drawings) -> list[Text]:
    """Everything about one returned network."""
    trial = found.trial
    parts: list[Text] = [element("h2", f"Network {trial.key}"), element("p", found.note, css="note")]
    if "macro" in trial.architecture:
        parts.append(element("p", _around_the_cells(trial.architecture["macro"])))
    cells = trial.architecture.get("cells", [])
    if cells:
        parts += drawings.cells(cells)
    if found.costs:
        parts += _costs(found.costs, drawings)
        parts.append(_constants(found.constants))
    if found.firing_rates:
        parts += [element("h3", "Firing rates"), *drawings.firing_rates(found.firing_rates)]
    return parts


def _around_the_cells(macro: Mapping[str, Any]) -> str:
    """What may be searched beside the cells, in words."""
    bits = macro.get("weight_bits", 0)
    weights = f"weights of {bits} bits" if bits else "weights as the hardware stores them"
    neurons, membrane_bits = str(macro.get("neuron", "lif")).upper(), macro.get("membrane_bits", 0)
    membranes = f", membranes of {membrane_bits} bits" if membrane_bits else ""
    return (
        f"{macro['timesteps']} timesteps, {macro['channels']} channels in the first cell, {neurons} neurons with "
        f"threshold {macro['threshold']:g}, {weights}{membranes}."
    )


def _costs(tree: Mapping[str, Any], drawings: Drawings) -> list[Text]:
    """Costs by layer and component as figures and as a tree, and components over all layers."""
    rows: list[list[Text]] = []
    marked: dict[int, str] = {}
    for layer in tree["layers"]:
        rows.append([layer["name"], layer["kind"], *costs_of(layer, STANDARD), f"{layer['crossbars']:g}"])
        for part in _parts(layer):
            marked[len(rows)] = "part"
            rows.append(part)
    crossbars = sum(layer["crossbars"] for layer in tree["layers"])
    marked[len(rows)] = "total"
    rows.append(["total", "", *costs_of(tree, STANDARD), f"{crossbars:g}"])
    header = ["layer, component", "kind", *(cost.name for cost in STANDARD), "crossbars"]
    warnings = [element("p", f"Note: {warning}", css="note") for warning in tree["warnings"]]
    return [
        element("h3", "Costs"),
        *drawings.costs(tree),
        details(f"Cost tree: {len(tree['layers'])} layers and their components", table(header, rows, marked)),
        details("Components over all layers", *(_components(tree, cost) for cost in (ENERGY, AREA))),
        *warnings,
    ]


def _parts(layer: Mapping[str, Any]) -> list[list[Text]]:
    """A row for each component of a layer that takes energy or area."""
    energy, area = layer["energy_by_component_j"], layer["area_by_component_m2"]
    names = [name for name in dict.fromkeys([*energy, *area]) if energy.get(name) or area.get(name)]
    taken = {ENERGY: energy, AREA: area}
    return [
        [name, "", *(cost.show(taken[cost][name]) if taken.get(cost, {}).get(name) else "" for cost in STANDARD), ""]
        for name in names
    ]


def _components(tree: Mapping[str, Any], cost: Cost) -> Markup:
    found = tree["components"][cost.field]
    total = sum(found.values()) or 1.0
    ordered = sorted(found.items(), key=lambda item: -item[1])
    rows = [[name, cost.show(value), percent(value / total, 1)] for name, value in ordered if value]
    return table([f"component of {cost.name}", cost.name, "share"], rows)


def _constants(rows: Sequence[ConstantRow]) -> Markup:
    """Every constant that these costs rest on, and where it comes from."""
    recalled = sum(UNVERIFIED in source for *_, source in rows)
    said = f"; {recalled} of them are recalled and unverified, and say so" if recalled else ""
    title = f"The chip's {len(rows)} constants and where each comes from{said}"
    return details(title, table(["constant", "value", "unit", "source"], [[*row] for row in rows], css="sources"))
