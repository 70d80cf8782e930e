"""What a run returned: its networks beside the limits, their trainings, and what they are compared with."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from hasnas.nas.budget.costs import Cost
from hasnas.nas.history.quality import Quality
from hasnas.nas.history.returned import RetrainedNetwork
from hasnas.nas.history.worth import DataFacts
from hasnas.nas.tracking.html import Markup, Text, card, element, link, table
from hasnas.nas.tracking.status_text import baseline_line

from .data import ReportData
from .drawings import Drawings
from .shown import choices, costs_of, costs_of_trial, folded, mean_shown, percent

TO_MEASURE = "hasnas search CONFIG nonideal.device=rram-typical"


def winner(data: ReportData) -> list[Text]:
    """The numbers of the best network against the limits."""
    if not data.returned:
        return [element("p", "No network has been retrained within the budget yet.")]
    network, quality = data.returned[0].network, data.quality
    seeds = f", {network.counted} seeds" if network.seeds > 1 else ""
    interval = data.status["returned"][0]["test_interval"]
    within = f", {quality.show(interval[0])} to {quality.show(interval[1])} (95 %)" if interval else ""
    test = mean_shown(network, quality.test, quality)
    cards = [card(f"test {quality.name}", test, f"network {network.key}{seeds}{within}")]
    for cost in data.costs:
        value, limit = network.summary.costs.get(cost.field, math.nan), data.status["budget"].get(cost.name)
        cards.append(card(cost.name, cost.show(value), *_beside(cost, value, limit)))
    return [element("div", *cards, css="cards")]


def _beside(cost: Cost, value: float, limit: float | None) -> tuple[str, float | None]:
    """A value beside its limit in words, and the share of it that is used."""
    if limit is None:
        return "no limit", None
    used = float(cost.burden(value) / cost.burden(limit))
    margin = f", {percent(abs(1 - used), 1)} {'to spare' if used <= 1 else 'over'}" if math.isfinite(used) else ""
    return f"of {cost.show_limit(limit)}{margin}", used


def returned(data: ReportData, folder: str) -> list[Text]:
    """A table of the networks, and what speaks against them.

    Args:
        data: of the run.
        folder: where the run is, seen from the page; ends in a slash if it is not empty.
    """
    if not data.returned:
        return []
    quality, costs = data.quality, data.costs
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
            link(network.key, f"{folder}export/{network.key}/card.json"),
            *(mean_shown(network, name, quality) for name in (quality.validation, quality.test)),
            *([network.counted] if several else []),
            *costs_of_trial(network.summary, costs),
        ]
        for network in networks
    ]
    header = ["network", *quality.columns, *(["seeds"] if several else []), *(cost.name for cost in costs)]
    parts: list[Text] = [element("h2", "Returned networks"), element("p", note, css="note")]
    parts.append(table(header, rows, {0: "best"}))
    if chosen := choices({one.key: one.best.choices for one in networks}):
        parts += [element("h3", "Their chips and trainings"), *chosen]
    parts += _worth(data.status)
    return [*parts, _trainings(networks, quality, costs)] if several else parts


def baselines(data: ReportData) -> list[Text]:
    """What the returned networks are compared with."""
    quality, costs, found = data.quality, data.costs, data.status["baselines"]
    if not found:
        return []
    note = (
        "Plain chains (3 x 3 convolutions one after another on the same macro) and candidates drawn at random, within "
        "the same budget, trained with the same schedule and seeds; of each the best on validation samples is shown."
    )
    rows: list[list[Text]] = [
        [each["baseline"], each["key"], *(_figure(each, name, quality) for name in (quality.validation, quality.test)),
         *costs_of(each, costs)]
        for each in found
        if "key" in each
    ]  # fmt: skip
    parts: list[Text] = [element("h2", "Compared with random search and plain chains"), element("p", note, css="note")]
    if rows:
        parts.append(table(["baseline", "network", *quality.columns, *(cost.name for cost in costs)], rows))
    return [*parts, *(element("p", f"{baseline_line(each, quality)}.") for each in found)]


def imperfect_chips(data: ReportData, drawings: Drawings) -> list[Text]:
    """What devices that vary leave of the networks' figures."""
    heading = element("h2", "On imperfect chips")
    if data.device is None:
        return [heading, element("p", f"Not measured in this run; to search for it: {TO_MEASURE}", css="note")]
    networks, (device, chips), quality = data.on_chips, data.device, data.quality
    if not networks:
        return [heading, element("p", "No network has been tried on them yet.", css="note")]
    note = f"The weights on {chips} chips whose devices are {device}; validation {quality.name}."
    rows: list[list[Text]] = [
        [one.name, quality.show(one.perfect), quality.show_mean(one.mean, one.std), quality.show(one.worst)]
        for one in networks
    ]
    header = ["network", "perfect chip", "mean ± standard deviation", "worst chip"]
    return [heading, element("p", note, css="note"), table(header, rows), *drawings.on_chips(networks, quality.name)]


def _figure(network: Mapping[str, Any], name: str, quality: Quality) -> str:
    deviation = network["trainings"][name]["std"] if "trainings" in network else None
    return quality.show_mean(network.get(name), deviation)


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
            shown = [""] * len(costs) if trial.state == "failed" else costs_of_trial(trial, costs)
            rows.append([network.key, str(trial.seed), *figures, *shown, said])
    header = ["network", "seed", *quality.columns, *(cost.name for cost in costs), ""]
    return folded("Trainings", header, rows)
