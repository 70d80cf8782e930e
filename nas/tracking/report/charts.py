"""Bokeh's charts of a report; colours that depend on a reader's light or dark setting are set by the page's script."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hasnas.nas.budget.costs import COSTS, Cost, cost_called
from hasnas.nas.history.goal import Goal
from hasnas.nas.history.pareto import non_dominated
from hasnas.nas.history.trial import Trial
from hasnas.nas.tracking.figures import BLUE, COMPONENT_COLOURS, GREEN, GREY, ORANGE, PURPLE, RED, axis_unit, searched

if TYPE_CHECKING:
    from bokeh.plotting import figure as Figure

    from hasnas.nas.tracking.compare import ComparedRuns

    from .data import OnChips

# Groups of the explorer, later ones above: how their points look.
GROUPS = {
    "failed": {"marker": "cross", "color": GREY, "size": 6},
    "over budget": {"marker": "x", "color": GREY, "size": 6},
    "fits": {"marker": "circle", "color": "#2b8cc4", "size": 6},  # a blue that stands out from white and from black
    "front of the search": {"marker": "circle", "color": ORANGE, "size": 9},
    "baseline": {"marker": "triangle", "color": PURPLE, "size": 10},
    "returned": {"marker": "star", "color": GREEN, "size": 14},
}
SPLIT = {"energy": "energy_by_component_j", "area": "area_by_component_m2"}  # of a layer of `CostReport.to_dict()`
TOLD = ("key", "across", "up", "verdict")  # of a trial that is pointed at
MANY = 2000
LEGEND_COLUMNS = 4  # where the page is not narrow
TOOLS = "pan,wheel_zoom,box_zoom,reset,save"


def explorer(count: int) -> Figure:
    """Axes, groups and lines without data; the page's script fills them from the columns.

    Args:
        count: of the trials; very many are drawn small and thin.
    """
    from bokeh.models import ColumnDataSource, HoverTool, Span, TapTool

    chart = _blank(440)
    chart.sizing_mode = "stretch_both"  # the page's style says how high
    chart.name = "explorer"
    thin = {"fill_alpha": 0.25, "line_alpha": 0.35} if count > MANY else {"fill_alpha": 0.7, "line_alpha": 0.9}
    line = ColumnDataSource({"x": [], "y": []}, name="line")
    chart.line("x", "y", source=line, line_color=ORANGE, line_width=1.5, legend_label="front of these axes")
    points = []
    for name, style in GROUPS.items():
        empty: dict[str, list[Any]] = {column: [] for column in ("x", "y", "row", *TOLD)}
        source = ColumnDataSource(empty, name=name)
        drawn = {**style, **(thin if name in ("failed", "over budget", "fits") else {})}
        points.append(chart.scatter("x", "y", source=source, legend_label=name, **drawn))
    for name, dimension in (("limit x", "height"), ("limit y", "width")):
        chart.add_layout(
            Span(name=name, dimension=dimension, location=0, visible=False, line_color=RED, line_dash="dashed")
        )
    tooltips = [("", f"@{column}") for column in TOLD]
    chart.add_tools(HoverTool(renderers=points, tooltips=tooltips, limit=1), TapTool(renderers=points))
    chart.legend.click_policy = "hide"
    _legend_below(chart)
    return chart


def genotype() -> Figure:
    """Nodes, arcs and words without data; the page's script fills them."""
    from bokeh.models import ColumnDataSource, Range1d

    chart = _blank(240, tools="")
    chart.name = "genotype"
    chart.toolbar_location = None
    chart.axis.visible = False
    chart.grid.visible = False
    chart.x_range, chart.y_range = Range1d(-0.5, 3.5), Range1d(-1, 2)
    arcs = ColumnDataSource({name: [] for name in ("x0", "y0", "x1", "y1", "cx", "cy", "color")}, name="arcs")
    chart.quadratic("x0", "y0", "x1", "y1", "cx", "cy", source=arcs, line_color="color", line_width=1.6)
    heads = ColumnDataSource({name: [] for name in ("x", "y", "angle", "color")}, name="heads")
    chart.scatter("x", "y", angle="angle", source=heads, marker="triangle", size=9, color="color")
    nodes = ColumnDataSource({"x": [], "y": [], "text": []}, name="nodes")
    chart.scatter("x", "y", source=nodes, size=22, fill_color="white", line_color="black", name="circles")
    chart.text("x", "y", "text", source=nodes, text_align="center", text_baseline="middle", text_font_size="12px")
    words = ColumnDataSource({name: [] for name in ("x", "y", "text", "baseline")}, name="words")
    style: dict[str, Any] = {"text_align": "center", "text_baseline": "baseline", "text_font_size": "11px"}
    chart.text("x", "y", "text", source=words, **style)
    return chart


def progress(trials: Sequence[Trial], goal: Goal) -> Figure:
    """What each candidate reached, in the order of proposal, and the best that fits so far."""
    numbers, values, best = searched(trials, goal)
    chart = _blank(270, tooltips=[("trial", "@x"), (goal.label, "@y")])
    dots, alpha = {"x": numbers.tolist(), "y": values.tolist()}, 0.3 if len(numbers) > MANY else 1.0
    chart.scatter("x", "y", source=dots, size=4, color=GREY, alpha=alpha, legend_label="candidate")
    line = {"x": numbers.tolist(), "y": best.tolist()}
    chart.step("x", "y", source=line, mode="after", color=BLUE, line_width=2, legend_label="best that fits so far")
    chart.xaxis.axis_label, chart.yaxis.axis_label = "trial", goal.label
    _legend_below(chart)
    return chart


def by_layer(tree: Mapping[str, Any], cost: Cost) -> Figure:
    """A cost of each layer, divided among components.

    Args:
        tree: `CostReport.to_dict()`.
        cost: energy or area.
    """
    parts = {layer["name"]: layer[SPLIT[cost.name]] for layer in tree["layers"] if layer[cost.field] > 0}
    names = [name for name in next(iter(parts.values()), {}) if any(part[name] for part in parts.values())]
    factor, unit = axis_unit(cost, max((sum(part.values()) for part in parts.values()), default=0.0))
    chart = _bars_of(parts, extra=26 * -(-len(names) // LEGEND_COLUMNS))
    left = np.zeros(len(parts))
    for at, name in enumerate(names):
        values = np.array([part[name] for part in parts.values()]) / factor
        source = {
            "y": list(parts),
            "left": left.tolist(),
            "right": (left + values).tolist(),
            "part": [name] * len(values),
            "value": [cost.show(value * factor) for value in values.tolist()],
        }
        colour = COMPONENT_COLOURS[at % len(COMPONENT_COLOURS)]
        chart.hbar("y", left="left", right="right", height=0.8, source=source, color=colour, legend_label=name)
        left += values
    _hover(chart, [("layer", "@y"), ("component", "@part"), (cost.name, "@value")])
    chart.xaxis.axis_label = f"{cost.name} ({unit})" if unit else cost.name
    chart.x_range.start = 0
    if names:
        _legend_below(chart)
    return chart


def bars(values: Mapping[str, float], label: str) -> Figure:
    """A bar for each name."""
    chart = _bars_of(values)
    source = {"y": list(values), "right": list(values.values())}
    chart.hbar("y", left=0, right="right", height=0.8, source=source, color=BLUE)
    _hover(chart, [("", "@y"), (label, "@right{0.[0000]}")])
    chart.xaxis.axis_label = label
    chart.x_range.start = 0
    return chart


def on_chips(networks: Sequence[OnChips], label: str) -> Figure:
    """Of each network what it reaches on perfect and on imperfect chips: mean, deviation, worst chip."""
    names = [one.name for one in networks]
    chart = _bars_of(names, extra=60)
    low = [one.mean - one.std for one in networks]
    high = [one.mean + one.std for one in networks]
    chart.segment(low, names, high, names, line_width=3, color=BLUE, legend_label="± standard deviation")
    for title, marker, colour, values in (
        ("mean of the chips", "circle", BLUE, [one.mean for one in networks]),
        ("worst chip", "x", RED, [one.worst for one in networks]),
        ("perfect chip", "diamond", GREEN, [one.perfect for one in networks]),
    ):
        source = {"x": values, "y": names, "what": [title] * len(names)}
        chart.scatter("x", "y", source=source, marker=marker, color=colour, size=10, legend_label=title)
    _hover(chart, [("", "@y"), ("@what", "@x")])
    chart.xaxis.axis_label = label
    _legend_below(chart)
    return chart


def fronts(compared: ComparedRuns, column: int) -> Figure:
    """The front of each run as a staircase: the first objective against one of the others."""
    first, axis = compared.axes[0], compared.axes[column]
    values = np.concatenate([points[:, column] for points in compared.comparison.points])
    factor, unit = axis_unit(cost_called(axis.name), float(values.max())) if axis.name in COSTS.names() else (1.0, "")
    chart = _blank(320)
    for number, label in enumerate(compared.labels):
        points = compared.comparison.points[number][:, [column, 0]]
        rows = np.flatnonzero(non_dominated(points, (axis.more_is_better, first.more_is_better)))
        rows = rows[np.argsort(points[rows, 0], kind="stable")]
        keys = [compared.trials[number][row].key for row in rows]
        source = {"x": (points[rows, 0] / factor).tolist(), "y": points[rows, 1].tolist(), "key": keys}
        source["run"] = [label] * len(keys)
        colour = COMPONENT_COLOURS[number % len(COMPONENT_COLOURS)]
        mode = "before" if axis.more_is_better else "after"
        chart.step("x", "y", source=source, mode=mode, color=colour, legend_label=label)
        chart.scatter("x", "y", source=source, color=colour, size=7, legend_label=label)
    _hover(chart, [("run", "@run"), ("network", "@key"), (axis.name, "@x"), (first.name, "@y")])
    chart.xaxis.axis_label = f"{axis.name} ({unit})" if unit else axis.name
    chart.yaxis.axis_label = first.name
    chart.legend.click_policy = "hide"
    _legend_below(chart)
    return chart


def _blank(height: int, tools: str = TOOLS, y_range: Any = None, tooltips: Any = None) -> Figure:
    """A chart as wide as the page. No tool is at work before it is chosen, so that a finger scrolls the page."""
    from bokeh.plotting import figure

    ranges = {} if y_range is None else {"y_range": y_range}
    chart = figure(height=height, sizing_mode="stretch_width", tools=tools, active_drag=None, **ranges)
    chart.toolbar.logo = None
    chart.toolbar.autohide = True
    if tooltips:
        _hover(chart, tooltips)
    return chart


def _bars_of(names: Collection[str], extra: int = 0) -> Figure:
    """A chart with a row for each name, the first on top; `extra` is the height in pixels for a legend."""
    from bokeh.models import FactorRange

    chart = _blank(70 + 20 * max(len(names), 3) + extra, y_range=FactorRange(*reversed(list(names))))
    chart.ygrid.visible = False
    return chart


def _legend_below(chart: Figure) -> None:
    chart.legend.orientation = "horizontal"
    chart.legend.ncols = LEGEND_COLUMNS
    chart.legend.location = "top_left"
    chart.add_layout(chart.legend[0], "below")


def _hover(chart: Figure, tooltips: Sequence[tuple[str, str]]) -> None:
    from bokeh.models import HoverTool

    chart.add_tools(HoverTool(tooltips=list(tooltips), limit=3))
