"""`report.html`: one page without scripts that shows what a run found, what it costs, and what was rejected."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hasnas.files import write_atomic
from hasnas.nas.budget.costs import AREA, ENERGY, STANDARD, Cost, cost_called
from hasnas.nas.history.goal import Goal
from hasnas.nas.history.quality import CLASSIFICATION, QUALITIES, Quality
from hasnas.nas.history.returned import RetrainedNetwork
from hasnas.nas.history.trial import Trial
from hasnas.nas.history.worth import DataFacts

from .figures import cell_drawing, energy_by_layer, firing_rates, progress, quality_against_costs, to_svg
from .html import Markup, Text, card, details, element, link, page, table
from .report_data import ReportData, ReturnedNetwork, collect
from .rungs import HEADER, rung_cells
from .status import baseline_line, choice_rows

REPORT_FILE = "report.html"


def write_report(run_directory: Path) -> Path:
    """Write `report.html` into a run directory.

    Raises:
        BadInputError: if the directory holds no run or is not writable.
    """
    path = run_directory / REPORT_FILE
    write_atomic(path, render_report(collect(run_directory)))
    return path


def render_report(data: ReportData) -> str:
    """The page; equal data give equal text."""
    content: list[Text] = [*_heading(data), *_winner(data), *_networks(data), *_baselines(data.status),
                           *_budget(data.status), *_search(data)]
    for network in data.returned:
        content += _network(network)
    return page(f"{data.status['name']}: hasnas report", [*content, *_settings(data)])


def _heading(data: ReportData) -> list[Text]:
    status = data.status
    line = f"{status['dataset']} on {status['hardware']}, space {status['space']}, seed {status['seed']}"
    # A run writes this page before it ends, so that it is still running says nothing.
    state = "; the run was stopped before its end" if status["state"] == "stopped" else ""
    return [element("h1", status["name"]), element("p", f"{line}{state}.", css="note")]


def _winner(data: ReportData) -> list[Text]:
    """The numbers of the best network against the limits."""
    if not data.returned:
        return [element("p", "No network has been retrained within the budget yet.")]
    network, limits, quality = data.returned[0].network, data.status["budget"], _quality(data.status)
    seeds = f", {network.counted} seeds" if network.seeds > 1 else ""
    trial, test = network.summary, _mean(network, quality.test, quality)
    interval = data.status["returned"][0]["test_interval"]
    within = f", {quality.show(interval[0])} to {quality.show(interval[1])} (95 %)" if interval else ""
    cards = [card(f"test {quality.name}", test, f"network {trial.key}{seeds}{within}")]
    for cost in _costs(data.status):
        value, limit = trial.costs.get(cost.field, math.nan), limits.get(cost.name)
        note = "no limit" if limit is None else f"of {cost.show_limit(limit)}"
        share = None if limit is None else float(cost.burden(value) / cost.burden(limit))
        cards.append(card(cost.name, cost.show(value), note, share))
    return [element("div", *cards, css="cards")]


def _networks(data: ReportData) -> list[Text]:
    if not data.returned:
        return []
    quality, costs = _quality(data.status), _costs(data.status)
    networks = [network.network for network in data.returned]
    several = any(network.seeds > 1 for network in networks)
    how = (
        f"Trained from scratch, chosen by validation {quality.name}, evaluated once on the test split; costs with "
        "measured activity."
    )
    if several:
        how = (
            f"Each trained from scratch from several seeds, each training evaluated once on the test split: mean ± "
            f"standard deviation over seeds, mean costs with measured activity. Ranked by the mean validation "
            f"{quality.name}; the training with the best one is exported."
        )
    note = f"{how} The first one is the run's answer. {quality.remark}".strip()
    rows: list[list[Text]] = [
        [
            link(network.key, f"export/{network.key}/card.json"),
            *(_mean(network, name, quality) for name in (quality.validation, quality.test)),
            *([network.counted] if several else []),
            *_trial_costs(network.summary, costs),
        ]
        for network in networks
    ]
    header = ["network", *quality.columns, *(["seeds"] if several else []), *(cost.name for cost in costs)]
    parts: list[Text] = [element("h2", "Returned networks"), element("p", note, css="note")]
    parts += [table(header, rows, {0: "best"}), *_choices({one.key: one.best.choices for one in networks}, True)]
    parts += _worth(data.status)
    return [*parts, _trainings(networks, quality, costs)] if several else parts


def _baselines(status: Mapping[str, Any]) -> list[Text]:
    """What the returned networks are compared with."""
    quality, costs, baselines = _quality(status), _costs(status), status["baselines"]
    if not baselines:
        return []
    note = (
        "Plain chains (3 x 3 convolutions one after another on the same macro) and candidates drawn at random, within "
        "the same budget, trained with the same schedule and seeds; of each the best on validation samples is shown."
    )
    rows: list[list[Text]] = [
        [each["baseline"], each["key"], *(_figure(each, name, quality) for name in (quality.validation, quality.test)),
         *_shown(each, costs)]
        for each in baselines
        if "key" in each
    ]  # fmt: skip
    parts: list[Text] = [element("h2", "Baselines"), element("p", note, css="note")]
    if rows:
        parts.append(table(["baseline", "network", *quality.columns, *(cost.name for cost in costs)], rows))
    return [*parts, *(element("p", f"{baseline_line(each, quality)}.") for each in baselines)]


def _figure(network: Mapping[str, Any], name: str, quality: Quality) -> str:
    deviation = network["trainings"][name]["std"] if "trainings" in network else None
    return quality.show_mean(network.get(name), deviation)


def _choices(networks: Mapping[str, Mapping[str, Any]], titled: bool = False) -> list[Text]:
    """A table with chips and trainings, where these are searched."""
    header, rows = choice_rows(networks)
    if not header:
        return []
    shown: list[list[Text]] = [[*row] for row in rows]
    return [*([element("h3", "Their chips and trainings")] if titled else []), table(["network", *header], shown)]


def _worth(status: Mapping[str, Any]) -> list[Text]:
    """What the samples are, and what speaks against the networks."""
    parts: list[Text] = []
    if status["data"] is not None:
        parts.append(element("p", f"Data: {DataFacts.from_json(status['data']).describe()}.", css="note"))
    for network in status["returned"]:
        parts += [element("p", f"Warning: {network['key']}: {warning}.") for warning in network["warnings"]]
    return parts


def _trainings(networks: Sequence[RetrainedNetwork], quality: Quality, costs: Sequence[Cost]) -> Markup:
    """What each seed of each network gave."""
    rows: list[list[Text]] = []
    for network in networks:
        for trial in network.trials:
            figures = [quality.show(trial.metrics.get(name)) for name in (quality.validation, quality.test)]
            said = "exported" if trial is network.best else trial.message
            shown = [""] * len(costs) if trial.state == "failed" else _trial_costs(trial, costs)
            rows.append([network.key, str(trial.seed), *figures, *shown, said])
    header = ["network", "seed", *quality.columns, *(cost.name for cost in costs), ""]
    return details(f"Trainings ({len(rows)})", table(header, rows))


def _budget(status: Mapping[str, Any]) -> list[Text]:
    """Limits, and what share of the space each of them rejects."""
    screen = status["screen"] or {}
    rejected = screen.get("rejected_share", {})
    rows: list[list[Text]] = []
    for cost in _costs(status):
        limit = status["budget"].get(cost.name)
        shown = "none" if limit is None else cost.show_limit(limit)
        rows.append([cost.name, shown, _percent(rejected[cost.name], 1) if cost.name in rejected else "-"])
    parts: list[Text] = [element("h2", "Budget")]
    if screen:
        how = "every one" if screen["complete"] else f"a sample of {screen['priced']:,}"
        fit = f"{screen['feasible']:,} of {screen['connected']:,} connected architectures"
        parts.append(
            element("p", f"Priced before any training ({how}): {fit} fit ({_percent(screen['feasible_share'], 1)}).")
        )
    return [*parts, table(["limit", "value", "share of the space it rejects"], rows)]


def _search(data: ReportData) -> list[Text]:
    searched = [trial for trial in data.trials if trial.stage == "search"]
    counts = data.status["trials"]
    line = f"{counts['done']} candidates done, {counts['infeasible']} over budget, {counts['failed']} failed."
    if data.status["score"] is not None:
        line += f" They were ranked by the score '{data.status['score']}', without training."
    if data.status["objectives"]:
        line += f" Objectives: {', '.join(data.status['objectives'])}."
    parts: list[Text] = [element("h2", "Search"), element("p", line), _stages(data.status["stages"])]
    if data.status["rungs"]:
        rungs: list[list[Text]] = [[*rung_cells(row, _quality(data.status))] for row in data.status["rungs"]]
        parts += [element("h3", "Rungs of successive halving"), table([name.lower() for name in HEADER], rungs)]
    if searched:
        costs = _costs(data.status)
        figure = quality_against_costs(data.trials, data.status["budget"], costs, data.status["objectives"])
        parts += [Markup(to_svg(figure)), Markup(to_svg(progress(data.trials)))]
        front, goal = data.status["front"], Goal(data.status["score"], _quality(data.status))
        rows = [[item["key"], goal.show(item.get(goal.metric)), *_shown(item, costs)] for item in front]
        header = ["network", goal.label, *(cost.name for cost in costs)]
        chosen = _choices({item["key"]: item.get("choices", {}) for item in front})
        parts.append(details(f"Pareto front of the search ({len(front)})", table(header, rows), *chosen))
    failed = [trial for trial in data.trials if trial.state == "failed"]
    if failed:
        reasons = [[str(trial.id), trial.key, trial.message] for trial in failed]
        parts.append(details(f"Failed candidates ({len(failed)})", table(["trial", "network", "reason"], reasons)))
    return parts


def _stages(stages: Sequence[Mapping[str, Any]]) -> Markup:
    before = [item for item in stages if item["stage"] != "export"]  # which is what writes this page
    rows = [[item["stage"], item["state"], f"{item['seconds']:.1f} s" if item["seconds"] else ""] for item in before]
    return table(["stage", "state", "time"], rows)


def _network(network: ReturnedNetwork) -> list[Text]:
    trial = network.trial
    parts: list[Text] = [element("h2", f"Network {trial.key}"), element("p", network.note, css="note")]
    if "macro" in trial.architecture:
        parts.append(element("p", _around_the_cells(trial.architecture["macro"])))
    cells = trial.architecture.get("cells", [])
    if cells:
        parts.append(Markup(to_svg(cell_drawing(cells))))
    if network.costs:
        parts += _cost_tables(network.costs)
    if network.firing_rates:
        parts += [element("h3", "Firing rates"), Markup(to_svg(firing_rates(network.firing_rates)))]
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


def _cost_tables(tree: Mapping[str, Any]) -> list[Text]:
    """Energy by layer as a figure; layers, and components of energy and area, as tables."""
    rows = [
        [layer["name"], layer["kind"], *_shown(layer, STANDARD), f"{layer['crossbars']:g}"] for layer in tree["layers"]
    ]
    rows.append(["total", "", *_shown(tree, STANDARD), f"{sum(layer['crossbars'] for layer in tree['layers']):g}"])
    layers = table(["layer", "kind", *(cost.name for cost in STANDARD), "crossbars"], rows, {len(rows) - 1: "total"})
    warnings = [element("p", f"Note: {warning}", css="note") for warning in tree["warnings"]]
    return [
        element("h3", "Costs"),
        Markup(to_svg(energy_by_layer(tree))),
        details("Layers", layers),
        details("Components", *(_components(tree, cost) for cost in (ENERGY, AREA))),
        *warnings,
    ]


def _components(tree: Mapping[str, Any], cost: Cost) -> Markup:
    found = tree["components"][cost.field]
    total = sum(found.values()) or 1.0
    ordered = sorted(found.items(), key=lambda item: -item[1])
    rows = [[name, cost.show(value), _percent(value / total, 1)] for name, value in ordered if value]
    return table([f"component of {cost.name}", cost.name, "share"], rows)


def _settings(data: ReportData) -> list[Text]:
    damage = data.status["damage"]
    parts: list[Text] = [element("h2", "Settings")]
    if damage:
        parts.append(element("p", f"The ledger is damaged: {damage}"))
    return [*parts, details("Resolved config and versions", element("pre", data.config))]


def _quality(status: Mapping[str, Any]) -> Quality:
    return QUALITIES.get(status["task"], CLASSIFICATION)


def _mean(network: RetrainedNetwork, name: str, quality: Quality) -> str:
    return quality.show_mean(network.mean(name), network.deviation(name))


def _costs(status: Mapping[str, Any]) -> list[Cost]:
    """The costs that the run prices."""
    return [cost_called(name) for name in status["costs"]]


def _trial_costs(trial: Trial, costs: Sequence[Cost]) -> list[str]:
    return [cost.show(trial.costs.get(cost.field, math.nan)) for cost in costs]


def _shown(tree: Mapping[str, Any], costs: Sequence[Cost]) -> list[str]:
    return [cost.show(math.nan if tree[cost.field] is None else tree[cost.field]) for cost in costs]


def _percent(share: float | None, digits: int = 2) -> str:
    return "" if share is None or not math.isfinite(share) else f"{share:.{digits}%}"
