"""Figures of a search, drawn off screen: quality against each cost, progress, where energy goes, firing rates."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hasnas.nas.budget.costs import COSTS, ENERGY, PLAIN_UNITS, STANDARD, Cost, cost_called
from hasnas.nas.history.goal import Goal, front, goal_of
from hasnas.nas.history.pareto import non_dominated
from hasnas.nas.history.trial import Trial

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from .compare import ComparedRuns
    from .report.data import OnChips

# Okabe and Ito's colours, told apart by most colour-blind people.
GREY, BLUE, ORANGE, GREEN, RED, PURPLE = "#9aa0a6", "#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7"
COMPONENT_COLOURS = (
    BLUE, ORANGE, GREEN, RED, PURPLE, "#56b4e9", "#f0e442", "#7f3c8d", "#666666", "#a65628", "#1b4332", "#bcbd22",
)  # fmt: skip
MOST_SHAPES = 2000  # points that are drawn as shapes; more are one picture inside the figure
_PREFIXES = {"": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9, "p": 1e-12, "k": 1e3, "M": 1e6, "G": 1e9}


def axis_unit(cost: Cost, largest: float) -> tuple[float, str]:
    """What to divide a cost in SI units by, and the unit to write, so that numbers on an axis stay short.

    >>> from hasnas.nas.budget.costs import PARAMETERS
    >>> axis_unit(ENERGY, 3e-6), axis_unit(PARAMETERS, 35_000)
    ((1e-06, 'uJ'), (1000.0, 'k'))
    """
    if cost.unit == "m2":
        return 1e-6, "mm²"
    base = "" if cost.unit == "1" else cost.unit
    if not (math.isfinite(largest) and largest > 0):
        return 1.0, base
    usable = [(factor, prefix) for prefix, factor in _PREFIXES.items() if factor <= largest]
    if cost.unit in PLAIN_UNITS:
        usable = [(factor, prefix) for factor, prefix in usable if factor >= 1]
    factor, prefix = max(usable, default=(1.0, ""))
    return factor, prefix + base


def quality_against_costs(
    trials: Sequence[Trial],
    limits: Mapping[str, float],
    costs: Sequence[Cost] = STANDARD,
    objectives: Sequence[str] = (),
) -> Figure:
    """Every candidate in a panel for each cost; the front, the limits and the retrained networks stand out.

    Args:
        trials: of both stages.
        limits: name of a cost -> value in SI units, for the limits there are.
        costs: one for each panel.
        objectives: of the front; without any it is over merit and all costs.
    """
    rows = len(costs) // 3 + 1  # and a panel for the legend
    figure = blank_figure(9.6, 2.7 * rows)
    panels = figure.subplots(rows, 3).flatten()
    legend: dict[str, Any] = {}
    best = _front(trials, objectives)
    for panel, cost in zip(panels, costs, strict=False):
        legend |= _cost_panel(panel, cost, trials, limits.get(cost.name), best)
    for panel in panels[len(costs) :]:
        panel.axis("off")
    if legend:
        panels[-1].legend(legend.values(), legend.keys(), loc="center", frameon=False, fontsize=9)
    return figure


def quality_against_cost(
    cost: Cost, trials: Sequence[Trial], limits: Mapping[str, float], objectives: Sequence[str] = ()
) -> Figure:
    """One of those panels, in a size that stays readable as a thumbnail."""
    figure = blank_figure(4.6, 3.6)
    panel = figure.subplots()
    if legend := _cost_panel(panel, cost, trials, limits.get(cost.name), _front(trials, objectives)):
        panel.legend(legend.values(), legend.keys(), frameon=False, fontsize=8, loc="lower right")
    return figure


def _front(trials: Sequence[Trial], objectives: Sequence[str]) -> tuple[str, list[Trial]]:
    """What the front of the search is called, and its members."""
    metric = goal_of(trials).metric
    searched = [trial for trial in trials if trial.stage == "search" and _known(trial, metric)]
    return "Pareto front" if objectives else "Pareto front of all costs", front(searched, objectives)


def _cost_panel(
    panel: Axes, cost: Cost, trials: Sequence[Trial], value: float | None, best: tuple[str, Sequence[Trial]]
) -> dict[str, Any]:
    """Draw a panel; label -> handle of what a legend should name.

    Retrained networks have an axis of their own where candidates were ranked by a score.
    """
    field = cost.field
    priced = [trial for trial in trials if math.isfinite(trial.costs.get(field, math.nan))]
    factor, unit = axis_unit(cost, max([trial.costs[field] for trial in priced], default=value or 0.0))
    goal = goal_of(trials)
    quality = goal.quality
    searched = [trial for trial in priced if trial.stage == "search" and _known(trial, goal.metric)]
    front_name, members = best
    on_front = [trial for trial in members if math.isfinite(trial.costs.get(field, math.nan))]
    retrained = [trial for trial in priced if trial.stage == "retrain"]
    how = "before retraining" if goal.score is None else "not trained"
    accurate = panel
    if goal.score is not None and retrained:
        accurate = panel.twinx()
        accurate.set_ylabel(f"{quality.name} of retrained", fontsize=8)
        accurate.spines[["top"]].set_visible(False)
        accurate.tick_params(labelsize=8)
    groups: list[tuple[Axes, str, list[Trial], str, dict[str, Any]]] = [
        (panel, f"candidate, {how}", searched, goal.metric, {"c": GREY, "s": 14}),
        (panel, front_name, on_front, goal.metric, {"c": BLUE, "s": 26}),
        (accurate, "retrained, validation", retrained, quality.validation, {"c": ORANGE, "s": 60, "marker": "*"}),
        (accurate, "retrained, test", retrained, quality.test, {"c": GREEN, "s": 36, "marker": "D"}),
    ]
    legend: dict[str, Any] = {}
    for axes, label, members, metric, style in groups:
        shown = [trial for trial in members if _known(trial, metric)]
        if shown:
            costs, many = [trial.costs[field] / factor for trial in shown], len(shown) > MOST_SHAPES
            figures = [trial.metrics[metric] for trial in shown]
            legend[label] = axes.scatter(costs, figures, zorder=3, rasterized=many, **style)
    if value is not None:
        legend["limit"] = panel.axvline(value / factor, color=RED, linestyle="--", linewidth=1.2)
    panel.set_xlabel(f"{cost.name} ({unit})" if unit else cost.name)
    panel.set_ylabel(goal.label if goal.score else quality.name)
    together = searched if goal.score else searched + retrained
    _leave_out_outliers(panel, [trial.metrics[goal.metric] for trial in together if _known(trial, goal.metric)], goal)
    tidy(panel)
    return legend


def _leave_out_outliers(panel: Axes, values: Sequence[float], goal: Goal) -> None:
    """End the axis where most candidates are on its worse side, and say how many lie beyond."""
    if len(values) < 8:
        return
    merits = goal.sign * np.array(values)
    low, high = np.quantile(merits, [0.25, 0.75])
    end = float(low - 4 * (high - low) - (0.02 if goal.sign > 0 else 0.0))
    beyond = int((merits < end).sum())
    if beyond and goal.sign > 0:
        panel.set_ylim(bottom=end)
        panel.text(0.02, 0.02, f"{beyond} below", transform=panel.transAxes, fontsize=8, color=GREY)
    elif beyond:
        panel.set_ylim(top=-end)
        panel.text(0.02, 0.92, f"{beyond} above", transform=panel.transAxes, fontsize=8, color=GREY)


def searched(trials: Sequence[Trial], goal: Goal) -> tuple[NDArray[np.int64], NDArray[Any], NDArray[Any]]:
    """Numbers of the candidates that were judged, what each reached, and the best that fits up to it; each `[N]`.

    The best is minus infinity (plus, where less is better) before any fits.
    """
    judged = [trial for trial in trials if trial.stage == "search" and _known(trial, goal.metric)]
    values = np.array([trial.metrics[goal.metric] for trial in judged])
    fitting = np.where([bool(trial.verdict) for trial in judged], -math.inf, goal.sign * values)
    best = goal.sign * np.maximum.accumulate(fitting)
    return np.array([trial.id for trial in judged], np.int64), values, best


def progress(trials: Sequence[Trial], width: float = 9.6) -> Figure:
    """Merit of each candidate in the order of proposal, and the best feasible one so far; width in inches."""
    goal = goal_of(trials)
    numbers, values, best = searched(trials, goal)
    figure = blank_figure(width, 2.8)
    panel = figure.subplots()
    if len(numbers):
        panel.scatter(numbers, values, c=GREY, s=14, label="candidate", rasterized=len(numbers) > MOST_SHAPES)
        panel.step(numbers, best, where="post", color=BLUE, label="best feasible so far")
        panel.legend(frameon=False, fontsize=9, loc="lower right" if goal.sign > 0 else "upper right")
        _leave_out_outliers(panel, values.tolist(), goal)
    panel.set_xlabel("candidate")
    panel.set_ylabel(goal.label)
    tidy(panel)
    return figure


def energy_by_layer(tree: Mapping[str, Any], width: float = 9.6) -> Figure:
    """Energy of each layer, divided among components.

    Args:
        tree: `CostReport.to_dict()`.
        width: inches.
    """
    layers = [layer for layer in tree["layers"] if layer["energy_j"] > 0]
    components = [name for name in tree["components"]["energy_j"] if tree["components"]["energy_j"][name] > 0]
    narrow = width < 6
    figure = blank_figure(width, (2.4 if narrow else 1.2) + 0.24 * len(layers))
    panel = figure.subplots()
    factor, unit = axis_unit(ENERGY, max([layer["energy_j"] for layer in layers], default=0.0))
    left = np.zeros(len(layers))
    for index, component in enumerate(components):
        values = np.array([layer["energy_by_component_j"][component] for layer in layers]) / factor
        colour = COMPONENT_COLOURS[index % len(COMPONENT_COLOURS)]
        panel.barh([layer["name"] for layer in layers], values, left=left, color=colour, label=component)
        left += values
    panel.invert_yaxis()
    panel.set_xlabel(f"energy per sample ({unit})")
    if components and narrow:
        figure.legend(frameon=False, fontsize=8, loc="outside lower center", ncols=3)
    elif components:
        panel.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    tidy(panel)
    return figure


def on_chips(networks: Sequence[OnChips], label: str) -> Figure:
    """Of each network what it reaches on perfect and on imperfect chips: mean, deviation, worst chip."""
    figure = blank_figure(9.6, 1.4 + 0.34 * len(networks))
    panel = figure.subplots()
    names, means = [one.name for one in networks], [one.mean for one in networks]
    spread = [one.std for one in networks]
    panel.errorbar(means, names, xerr=spread, fmt="o", color=BLUE, capsize=3, label="imperfect chips, mean ± std")
    panel.scatter([one.worst for one in networks], names, color=RED, marker="x", label="worst chip")
    panel.scatter([one.perfect for one in networks], names, color=GREEN, marker="D", label="perfect chip")
    panel.invert_yaxis()
    panel.margins(y=0.2)
    panel.set_xlabel(label)
    panel.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    tidy(panel)
    return figure


def firing_rates(rates: Mapping[str, float], width: float = 9.6) -> Figure:
    """Spikes per neuron and timestep of each layer of neurons; width in inches."""
    figure = blank_figure(width, 1.0 + 0.24 * len(rates))
    panel = figure.subplots()
    panel.barh(list(rates), list(rates.values()), color=BLUE)
    panel.invert_yaxis()
    panel.set_xlabel("spikes per neuron and timestep")
    tidy(panel)
    return figure


def cell_drawing(cells: Sequence[Mapping[str, Any]], width: float = 9.6) -> Figure:
    """Cells as drawn: nodes in a row, forward edges above, feedback edges (one timestep later) below.

    Args:
        cells: `Genotype.to_json()` of each.
        width: inches.
    """
    heights = [_cell_extent(cell) for cell in cells]
    figure = blank_figure(width, 0.5 + 0.62 * sum(top - bottom for bottom, top in heights))
    ratios = [top - bottom for bottom, top in heights]
    panels = np.atleast_1d(figure.subplots(len(heights), 1, height_ratios=ratios))
    for number, (panel, cell, extent) in enumerate(zip(panels, cells, heights, strict=True), start=1):
        _draw_cell(panel, cell)
        panel.set_ylim(*extent)
        panel.set_title(f"cell {number}", fontsize=10, loc="left")
    return figure


def _cell_extent(cell: Mapping[str, Any]) -> tuple[float, float]:
    """Lowest and highest point of a drawing."""
    spans = [target - source for source, target, _ in cell["edges"]]
    return min([*spans, 0]) - 0.6, max([*spans, 0]) + 0.6


def _draw_cell(panel: Axes, cell: Mapping[str, Any]) -> None:
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path

    for source, target, operation in cell["edges"]:
        span = target - source
        gap = 0.05 / abs(span)  # the arrow starts and ends at the circles
        points = [_arc_point(source, span, *ends) for ends in ((gap, gap), (gap, 1 - gap), (1 - gap, 1 - gap))]
        arc = Path(points, [Path.MOVETO, Path.CURVE3, Path.CURVE3])
        colour = BLUE if span > 0 else RED
        panel.add_patch(FancyArrowPatch(path=arc, arrowstyle="-|>", mutation_scale=12, color=colour))
        box = {"boxstyle": "round,pad=0.15", "fc": "white", "ec": "none"}
        panel.text((source + target) / 2, span, operation, ha="center", va="center", fontsize=8, bbox=box)
    nodes = range(cell["nodes"])
    panel.scatter(nodes, [0] * cell["nodes"], s=330, c="white", edgecolors="black", zorder=3)
    for node in nodes:
        panel.text(node, 0, str(node), ha="center", va="center", zorder=4)
    panel.set_xlim(-0.5, cell["nodes"] - 0.5)
    panel.axis("off")


def _arc_point(source: float, span: float, first: float, second: float) -> tuple[float, float]:
    """Blossom of the parabola x = source + span t, y = 4 span t (1 - t): its point at t = first = second.

    With two different values it is the control point of the piece between them.
    """
    return source + span * (first + second) / 2, 2 * span * (first * (1 - second) + second * (1 - first))


def fronts(compared: ComparedRuns) -> Figure:
    """The front of each run as a staircase: the first objective against each of the others."""
    first, *others = compared.axes
    figure = blank_figure(0.8 + 4.4 * len(others), 3.8)
    panels = np.atleast_1d(figure.subplots(1, len(others)))
    for column, (panel, axis) in enumerate(zip(panels, others, strict=True), start=1):
        values = np.concatenate([points[:, column] for points in compared.comparison.points])
        factor, unit = axis_unit(cost_called(axis.name), float(values.max())) if axis.name in COSTS.names() else (1, "")
        for number, label in enumerate(compared.labels):
            colour = COMPONENT_COLOURS[number % len(COMPONENT_COLOURS)]
            points = compared.comparison.points[number][:, [column, 0]]
            kept = points[non_dominated(points, (axis.more_is_better, first.more_is_better))]
            kept = kept[np.argsort(kept[:, 0], kind="stable")]
            where = "pre" if axis.more_is_better else "post"
            panel.step(kept[:, 0] / factor, kept[:, 1], where=where, color=colour, label=label)
            panel.scatter(kept[:, 0] / factor, kept[:, 1], color=colour, s=14)
        panel.set_xlabel(f"{axis.name} ({unit})" if unit else axis.name)
        panel.set_ylabel(first.name if first.more_is_better else f"{first.name} (less is better)")
        tidy(panel)
    panels[-1].legend(frameon=False, fontsize=8)
    return figure


def to_png(figure: Figure) -> bytes:
    """The figure as a picture."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()


def to_svg(figure: Figure) -> str:
    """The figure as an `<svg>` element for a page; equal figures give equal text."""
    text = to_vector(figure, "svg").decode()
    return text.partition("<svg")[1] + text.partition("<svg")[2]


def to_vector(figure: Figure, form: str) -> bytes:
    """The figure as a file for a paper, `"pdf"` or `"svg"`; text stays text, and equal figures give equal files."""
    import matplotlib

    buffer = io.BytesIO()
    unsaid = {"svg": {"Date": None, "Creator": None}, "pdf": {"CreationDate": None, "Producer": None, "Creator": None}}
    with matplotlib.rc_context({"svg.hashsalt": "hasnas", "svg.fonttype": "none", "pdf.fonttype": 42}):
        figure.savefig(buffer, format=form, metadata=unsaid[form], dpi=200)
    return buffer.getvalue()


def blank_figure(width: float, height: float) -> Figure:
    """An empty figure that needs no screen, in inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def tidy(panel: Axes) -> None:
    """A panel without frame, with a faint grid."""
    panel.spines[["top", "right"]].set_visible(False)
    panel.grid(alpha=0.25)
    panel.tick_params(labelsize=8)


def _known(trial: Trial, metric: str) -> bool:
    return math.isfinite(trial.metrics.get(metric, math.nan))
