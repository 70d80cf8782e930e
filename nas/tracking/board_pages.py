"""TensorBoard's pages: the layout of custom scalars, a card for each trained network, the front, what was rejected."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hasnas.errors import HasnasError
from hasnas.nas.budget.costs import cost_called
from hasnas.nas.history.goal import front
from hasnas.nas.history.layout import SCREEN_FILE
from hasnas.nas.history.returned import RetrainedNetwork, returned_front
from hasnas.nas.history.trial import Trial
from hasnas.nas.history.worth import warnings_on

from .event_file import Summary, custom_layout, image, text
from .figures import blank_figure, cell_drawing, energy_by_layer, firing_rates, tidy, to_png
from .priced import ordered_rates, price_layers
from .run_facts import RunFacts
from .search_curves import best_tag, recent_tag, volume_costs, volume_tag
from .shown_trial import drawn
from .status import read_screen

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CARD_WIDTH = 4.6  # inches; TensorBoard shows pictures small
TIP = "Curves of the search are steps: set *Smoothing* to 0, or add `?smoothing=0` to the address of this page."


def config_page(facts: RunFacts) -> str:
    """What the run is, its budget and its settings, as Markdown."""
    rows = "\n".join(f"| {cell(key)} | {cell(value)} |" for key, value in facts.settings.items())
    data = "" if facts.data is None else f"Data: {facts.data.describe()}\n\n"
    budget = f"Budget: {facts.budget.describe()}\n\n{TIP}"
    return f"# {cell(facts.title)}\n\n{data}{budget}\n\n| setting | value |\n|---|---|\n{rows}"


def layout(facts: RunFacts) -> Summary.Value:
    """The page of custom scalars: few charts, the important ones first; margin charts are drawn without smoothing."""
    goal, quality = facts.goal, facts.goal.quality
    best = best_tag(facts)
    volumes = [volume_tag(facts, cost) for cost in volume_costs(facts)]
    fronts = {f"Hypervolume of {tag.partition(', ')[2]}, share of what there can be": tag for tag in volumes}
    fronts["Networks on the front"] = "search/networks on the front"
    margins = {
        "Best": {f"Best {goal.label} so far, down to the median of the last ones": (best, recent_tag(facts), best)},
        "Front": {title: (tag, tag, tag) for title, tag in fronts.items()},
        "Budget": {"Share of candidates within the budget": ("search/feasible share",) * 3},
    }
    lines = {
        "Trainings": {
            f"Validation {quality.name}": [f"training/{quality.validation}"],
            "Loss": ["training/loss"],
        },
        "Costs of candidates": {cost.name: [f"cost/{re.escape(cost.curve[0])}"] for cost in facts.costs},
    }
    if not all(cost_called(name).priced for name in facts.budget.limits):  # else nothing is proposed that breaks one
        lines["Limits"] = {"Share of candidates that broke a limit": ["rejected/.*"]}
    return custom_layout(margins, lines)


def network_card(trial: Trial, name: str, facts: RunFacts) -> list[Summary.Value]:
    """A trained network: a page with its figures and its genotype, and pictures of what it is and what it spends."""
    values = [text("network/card", _card_page(trial, name, facts))]
    pictures: dict[str, Figure] = {}
    cells = trial.architecture.get("cells", ())
    if cells and all({"nodes", "edges"} <= set(one) for one in cells):
        pictures["network/genotype"] = cell_drawing(cells, width=CARD_WIDTH)
    tree = _cost_tree(trial, facts)
    if tree is not None:
        pictures["network/energy by component"] = energy_by_layer(tree, width=CARD_WIDTH)
    if rates := ordered_rates(trial.metrics, tree):
        pictures["network/firing rates by layer"] = firing_rates(rates, width=CARD_WIDTH)
    return [*values, *(image(tag, to_png(figure)) for tag, figure in pictures.items())]


def _card_page(trial: Trial, name: str, facts: RunFacts) -> str:
    quality = facts.goal.quality
    if trial.state == "failed":
        return f"# {cell(name)}\n\nIts training failed: {cell(trial.message)}"
    verdict = facts.budget.verdict(trial.costs).ratios
    shown = {f"validation {quality.name}": quality.show(trial.metrics.get(quality.validation)),
             f"test {quality.name}": quality.show(trial.metrics.get(quality.test))}  # fmt: skip
    rows = [f"| {key} | {value} | |" for key, value in shown.items()]
    for cost in facts.costs:
        share = verdict.get(cost.name, math.nan)
        of_limit = f"{share:.0%}" if math.isfinite(share) else ""
        rows.append(f"| {cost.name} | {cost.show(trial.costs.get(cost.field, math.nan))} | {of_limit} |")
    rows += [f"| {cell(key)} | {cell(value)} | |" for key, value in trial.choices.items()]
    parts = [f"# {cell(name)}", f"Key `{trial.key}`, seed {trial.seed}, trial {trial.id}: {trial.state}",
             "\n".join(["| | | of limit |", "|---|---|---|", *rows]),
             "\n".join(["```", *drawn(trial.architecture), "```"])]  # fmt: skip
    parts += [f"Warning: {cell(warning)}" for warning in warnings_on(trial.metrics, quality, facts.data)]
    return "\n\n".join(parts)


def _cost_tree(trial: Trial, facts: RunFacts) -> Mapping[str, Any] | None:
    """Costs by layer and component with the activity that was measured; None where they cannot be had here."""
    if trial.state == "failed" or facts.directory is None or facts.hardware is None:
        return None
    try:
        return price_layers(facts.directory, facts.hardware, trial).tree
    except HasnasError:  # the network's price is in the ledger; only its parts are missing
        return None


def front_page(trials: Sequence[Trial], retrained: Mapping[str, RetrainedNetwork], facts: RunFacts) -> str:
    """The front of the search and the networks that were trained, as a table in Markdown.

    Args:
        trials: of the run.
        retrained: name -> the networks to list: those of the returned front, and the best of each baseline.
        facts: of the run.
    """
    goal, quality = facts.goal, facts.goal.quality
    scored = [] if goal.score is None else [goal]
    several = facts.seeds > 1
    columns = ["network", *(one.label for one in scored), *quality.columns, *(["seeds"] if several else [])]
    chosen = list(dict.fromkeys(name for trial in trials for name in trial.choices))
    columns += [*(cost.name for cost in facts.costs), *chosen]
    lines = ["| " + " | ".join(columns) + " |", "|---" * len(columns) + "|"]
    searched = front([trial for trial in trials if trial.stage == "search"], goal.objectives)
    rows = [(f"search {trial.key}", trial, RetrainedNetwork((trial,)), "") for trial in searched]
    rows += [(name, network.summary, network, network.counted) for name, network in retrained.items()]
    for name, trial, network, counted in rows:
        scores = [one.show(trial.metrics.get(one.metric)) for one in scored]
        figures = [quality.show_mean(network.mean(key), network.deviation(key))
                   for key in (quality.validation, quality.test)]  # fmt: skip
        costs = [cost.show(trial.costs.get(cost.field, math.nan)) for cost in facts.costs]
        fields = [cell(trial.choices.get(key, "")) for key in chosen]
        line = [name, *scores, *figures, *([counted] if several else []), *costs, *fields]
        lines.append("| " + " | ".join(line) + " |")
    for name, network in retrained.items():
        warnings = warnings_on(network.best.metrics, quality, facts.data)
        lines += [f"\nWarning: {name}: {cell(warning)}" for warning in warnings]
    return "\n".join(lines)


def rejections(broken: Mapping[str, float], facts: RunFacts) -> list[Summary.Value]:
    """Why candidates were rejected: which limits the space breaks, and which the candidates of the search broke.

    Args:
        broken: limit -> share of the search's candidates that broke it.
        facts: of the run.
    """
    screen = None if facts.directory is None else read_screen(facts.directory / SCREEN_FILE)
    of_space: Mapping[str, float] = {} if screen is None else screen["rejected_share"]
    names = [name for name in facts.budget.limits if name in of_space or name in broken]
    if not names:
        return []
    rows = [f"| {name} | {cost_called(name).show_limit(facts.budget.limits[name])} "
            f"| {_share(of_space.get(name))} | {_share(broken.get(name, 0.0))} |" for name in names]  # fmt: skip
    head = ["| limit | | architectures of the space that break it | candidates of the search that broke it |",
            "|---|---|---|---|"]  # fmt: skip
    told = ""
    if screen is not None:
        told = f"{screen['feasible']:,} of {screen['connected']:,} connected architectures fit."
    page = "\n".join([told, "", *head, *rows])
    return [text("search/why rejected", page), image("search/why rejected", to_png(_bars(names, of_space, broken)))]


def _bars(names: Sequence[str], of_space: Mapping[str, float], broken: Mapping[str, float]) -> Figure:
    figure = blank_figure(4.6, 1.2 + 0.4 * len(names))
    panel = figure.subplots()
    rows = range(len(names))
    for shift, label, shares in ((-0.2, "space", of_space), (0.2, "search", broken)):
        widths = [100 * shares.get(name, 0.0) for name in names]
        panel.barh([row + shift for row in rows], widths, height=0.38, label=label)
    panel.set_yticks(list(rows), list(names))
    panel.invert_yaxis()
    panel.set_xlabel("share that breaks the limit (%)")
    panel.legend(frameon=False, fontsize=8)
    tidy(panel)
    return figure


def best_networks(
    retrained: Sequence[Trial], names: Mapping[int, str], baselines: Sequence[RetrainedNetwork], facts: RunFacts
) -> dict[str, RetrainedNetwork]:
    """Name -> network, for the front of those that the run may return and the best of each baseline.

    Args:
        retrained: the trainings.
        names: number of a trial -> what its training is called.
        baselines: the best network of each.
        facts: of the run.
    """
    networks = [*returned_front(retrained, facts.seeds, facts.goal.objectives), *baselines]
    return {names[network.trials[0].id].partition(", seed")[0]: network for network in networks}


def cell(value: Any) -> str:
    """Text that stays within a cell of a Markdown table."""
    return str(value).replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"
