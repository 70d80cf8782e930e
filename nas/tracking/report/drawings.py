"""The figures of a page: Bokeh's charts, or Matplotlib's drawings where Bokeh is not installed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from hasnas.nas.budget.costs import AREA, ENERGY
from hasnas.nas.tracking import figures
from hasnas.nas.tracking.compare import ComparedRuns
from hasnas.nas.tracking.html import Markup, Text, details, element

from .controls import controls
from .data import OnChips, ReportData

if TYPE_CHECKING:
    from bokeh.plotting import figure as BokehFigure


class Drawings(Protocol):
    """Who draws a page. Each method gives what stands on the page, nothing if the tables beside it say it all."""

    def search(self, data: ReportData) -> list[Text]:
        """Every candidate by quality and costs, and how the search went on."""
        ...

    def cells(self, cells: Sequence[Mapping[str, Any]]) -> list[Text]:
        """Cells, `Genotype.to_json()` of each."""
        ...

    def costs(self, tree: Mapping[str, Any]) -> list[Text]:
        """Costs by layer and component; `tree` is `CostReport.to_dict()`."""
        ...

    def firing_rates(self, rates: Mapping[str, float]) -> list[Text]:
        """Spikes per neuron and timestep of each layer."""
        ...

    def on_chips(self, networks: Sequence[OnChips], label: str) -> list[Text]:
        """Accuracy of networks on imperfect chips."""
        ...

    def times(self, seconds: Mapping[str, float]) -> list[Text]:
        """Working time of each stage."""
        ...

    def fronts(self, compared: ComparedRuns) -> list[Text]:
        """The fronts of several runs."""
        ...


def bokeh_is_installed() -> bool:
    """Whether charts can be drawn that answer to a pointer."""
    try:
        import bokeh  # noqa: F401
    except ModuleNotFoundError:
        return False
    return True


class StillDrawings:
    """Matplotlib's, as SVG."""

    def search(self, data: ReportData) -> list[Text]:
        status = data.status
        drawn = figures.quality_against_costs(data.trials, status["budget"], data.costs, status["objectives"])
        return [_still(drawn), _still(figures.progress(data.trials))]

    def cells(self, cells: Sequence[Mapping[str, Any]]) -> list[Text]:
        return [_still(figures.cell_drawing(cells))]

    def costs(self, tree: Mapping[str, Any]) -> list[Text]:
        return [_still(figures.energy_by_layer(tree))]

    def firing_rates(self, rates: Mapping[str, float]) -> list[Text]:
        return [_still(figures.firing_rates(rates))]

    def on_chips(self, networks: Sequence[OnChips], label: str) -> list[Text]:
        return []

    def times(self, seconds: Mapping[str, float]) -> list[Text]:
        return []

    def fronts(self, compared: ComparedRuns) -> list[Text]:
        return [_still(figures.fronts(compared))]


def _still(figure: Any) -> Markup:
    return element("div", Markup(figures.to_svg(figure)), css="still")


class BokehDrawings:
    """Bokeh's; what stands on the page are their places, and `charts` is what the page's script puts there.

    Args:
        charts: one for each place, as Bokeh's script reads it.
        columns: of the explorer, once it is drawn.
    """

    def __init__(self) -> None:
        self.charts: list[dict[str, Any]] = []
        self.columns: dict[str, Any] | None = None

    def search(self, data: ReportData) -> list[Text]:
        from . import charts
        from .candidates import candidates

        self.columns = candidates(data)
        places = element("div", self._place(charts.explorer(len(data.trials))), css="wide")
        panel = element("div", element("div", css="facts", attributes={"id": "facts"}), self._cells([]), css="narrow")
        shown = element("div", places, panel, css="side")
        return [controls(self.columns), shown, self._place(charts.progress(data.trials, data.goal))]

    def cells(self, cells: Sequence[Mapping[str, Any]]) -> list[Text]:
        return [self._cells(cells)]

    def _cells(self, cells: Sequence[Mapping[str, Any]]) -> Markup:
        from . import charts

        drawn = [[cell["nodes"], [list(edge) for edge in cell["edges"]]] for cell in cells]
        return self._place(charts.genotype(), cells=drawn)

    def costs(self, tree: Mapping[str, Any]) -> list[Text]:
        from . import charts

        energy, area = (self._place(charts.by_layer(tree, cost)) for cost in (ENERGY, AREA))
        return [energy, details("Area by layer", area)]

    def firing_rates(self, rates: Mapping[str, float]) -> list[Text]:
        from . import charts

        return [self._place(charts.bars(rates, "spikes per neuron and timestep"))]

    def on_chips(self, networks: Sequence[OnChips], label: str) -> list[Text]:
        from . import charts

        return [self._place(charts.on_chips(networks, label))]

    def times(self, seconds: Mapping[str, float]) -> list[Text]:
        from . import charts

        return [self._place(charts.bars(seconds, "seconds"))]

    def fronts(self, compared: ComparedRuns) -> list[Text]:
        from . import charts

        return [self._place(charts.fronts(compared, column)) for column in range(1, len(compared.axes))]

    def _place(self, chart: BokehFigure, cells: Sequence[Any] = ()) -> Markup:
        from bokeh.embed import json_item

        place = f"chart{len(self.charts)}"
        chart.tags = [place]
        doc = json.loads(json.dumps(json_item(chart)["doc"]))
        self.charts.append({"doc": _renamed(doc, place), "cells": list(cells)})
        return element("div", css="chart", attributes={"id": place, "style": f"min-height:{chart.height}px"})


def _renamed(doc: Any, place: str) -> Any:
    """A chart whose models are named by its place, not by what the process drew before: equal runs, equal pages.

    >>> _renamed([{"id": "p1007", "text": "p1007"}, {"id": "p1007"}], "chart0")
    [{'id': 'chart0.1', 'text': 'p1007'}, {'id': 'chart0.1'}]
    """
    names: dict[str, str] = {}

    def renamed(node: Any, key: str = "") -> Any:
        if isinstance(node, dict):
            return {name: renamed(value, name) for name, value in node.items()}
        if isinstance(node, list):
            return [renamed(value) for value in node]
        return names.setdefault(node, f"{place}.{len(names) + 1}") if key == "id" and isinstance(node, str) else node

    return renamed(doc)
