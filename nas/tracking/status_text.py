"""The status of a run, or of many, as text for people."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from hasnas.nas.budget.budget import describe_limits
from hasnas.nas.budget.costs import ENERGY, Cost, cost_called
from hasnas.nas.history.goal import Goal
from hasnas.nas.history.learned import learned_line
from hasnas.nas.history.quality import CLASSIFICATION, Quality
from hasnas.nas.history.returned import counted
from hasnas.nas.history.worth import DataFacts

from .aligned import align
from .rungs import HEADER, rung_cells
from .status import quality_of_status


def describe_status(status: Mapping[str, Any]) -> str:
    """The state of a run as text for people."""
    costs = [cost_called(name) for name in status["costs"]]
    trials, quality = status["trials"], quality_of_status(status)
    counts = f"{trials['done']} done, {trials['infeasible']} over budget, {trials['failed']} failed"
    lines = [
        f"{status['run']}: {status['state']}",
        f"  {status['dataset']}, space {status['space']}, {status['hardware']}, seed {status['seed']}",
        *([f"  objectives: {', '.join(status['objectives'])}"] if status["objectives"] else []),
        *([f"  data:   {DataFacts.from_json(status['data']).describe()}"] if status["data"] else []),
        f"  budget: {describe_limits(status['budget'])}",
        "  stages: " + ", ".join(_describe_stage(stage) for stage in status["stages"]),
        f"  trials: {trials['total']} ({counts})",
        *([f"  space:  {_describe_screen(status['screen'])}"] if status["screen"] else []),
        *_describe_rungs(status["rungs"], quality),
        *([f"  {learned_line(status['learned'])}"] if status["learned"] else []),
        *_describe_front(Goal(status["score"], quality), status["front"], costs),
        *_describe_networks(_returned_title(status["returned"]), status["returned"], costs, quality),
        *_describe_worth(status["returned"], quality),
        *_describe_baselines(status["baselines"], costs, quality),
        *([f"  {quality.remark}"] if quality.remark and (status["front"] or status["returned"]) else []),
        *([f"  damage: {status['damage']}"] if status["damage"] else []),
    ]
    return "\n".join(lines)


def describe_runs(runs: Sequence[Mapping[str, Any]]) -> str:
    """One line for each run; nothing if there is none."""
    header = ("RUN", "STATE", "TRIALS", "FEASIBLE", "TEST", "ENERGY")
    return align([header, *(_describe_run(run) for run in runs)]) if runs else ""


def _describe_run(run: Mapping[str, Any]) -> tuple[str, ...]:
    if run["state"] == "unreadable":
        return run["run"], run["state"], "", "", "", ""
    best = run["returned"][0] if run["returned"] else {}
    seeds = f" ({_counted(best)} seeds)" if "trainings" in best else ""
    share = "" if run["feasible_share"] is None else f"{run['feasible_share']:.1%}"
    energy = ENERGY.show(best[ENERGY.field]) if best else ""
    quality = quality_of_status(run)
    test = quality.show_alone(best.get(quality.test), _deviation(best, quality.test))
    return run["run"], run["state"], str(run["trials"]["total"]), share, test + seeds, energy


def _describe_stage(stage: Mapping[str, Any]) -> str:
    return f"{stage['stage']} {stage['state']}" + (f" ({stage['seconds']:.1f} s)" if stage["seconds"] else "")


def _describe_screen(screen: Mapping[str, Any]) -> str:
    rejected = ", ".join(f"{name} {share:.1%}" for name, share in screen["rejected_share"].items())
    priced = "priced completely" if screen["complete"] else f"sampled ({screen['priced']:,})"
    fits = f"{screen['feasible_share']:.1%} of {screen['connected']:,} connected architectures fit"
    return f"{priced}; {fits}" + (f"; rejected by: {rejected}" if rejected else "")


def _describe_rungs(rungs: Sequence[Mapping[str, Any]], quality: Quality) -> list[str]:
    if not rungs:
        return []
    table = align([HEADER, *(rung_cells(row, quality) for row in rungs)])
    return ["  rungs of successive halving:", *("    " + line for line in table.splitlines())]


def _describe_front(goal: Goal, networks: Sequence[Mapping[str, Any]], costs: Sequence[Cost]) -> list[str]:
    if goal.score is None:
        return _describe_networks("front, before retraining", networks, costs, goal.quality)
    return _describe_networks(f"front, by {goal.label} without training", networks, costs, goal.quality, goal)


def _describe_networks(
    title: str,
    networks: Sequence[Mapping[str, Any]],
    costs: Sequence[Cost],
    quality: Quality,
    goal: Goal | None = None,
) -> list[str]:
    """A table with what networks reach, or with the score that candidates were ranked by."""
    if not networks:
        return []
    ranked = tuple(name.upper() for name in quality.columns) if goal is None else (goal.label.upper(),)
    several = any("trainings" in network for network in networks)
    rows = [("KEY", *ranked, *(("SEEDS",) if several else ()), *(cost.name.upper() for cost in costs), "FITS")]
    for network in networks:
        shown = ["" if network[cost.field] is None else cost.show(network[cost.field]) for cost in costs]
        names = quality.validation, quality.test
        figures = tuple(quality.show_mean(network.get(name), _deviation(network, name)) for name in names)
        values = figures if goal is None else (goal.show(network.get(goal.metric)),)
        seeds = (_counted(network),) if several else ()
        rows.append((network["key"], *values, *seeds, *shown, "yes" if network["fits"] else "no"))
    return [f"  {title}:", *("    " + line for line in align(rows).splitlines()), *_describe_choices(networks)]


def _describe_baselines(
    baselines: Sequence[Mapping[str, Any]], costs: Sequence[Cost], quality: Quality
) -> list[str]:
    """What the returned networks are compared with, and by how much the run's answer is ahead."""
    trained = [{**each, "key": f"{each['baseline']} {each['key']}"} for each in baselines if "key" in each]
    title = "baselines, trained alike, the best of each by validation samples"
    lines = _describe_networks(title, trained, costs, quality)
    return [*lines, *(f"    {baseline_line(each, quality)}" for each in baselines)]


def baseline_line(baseline: Mapping[str, Any], quality: Quality) -> str:
    """One baseline beside the run's answer, in words.

    >>> baseline_line({"baseline": "chain", "tried": 2, "key": "ab", "ahead": 0.0125, "codes": []}, CLASSIFICATION)
    'chain (best of 2, not of the space): the returned network is ahead of it by 1.25 points on the test split'
    """
    name, tried = baseline["baseline"], baseline["tried"]
    if "key" not in baseline:
        return f"{name}: {baseline['message']}"
    outside = "" if baseline["codes"] else ", not of the space"
    best, ahead = f"{name} (best of {tried}{outside})", baseline.get("ahead")
    if ahead is None or not math.isfinite(ahead):
        return best
    by = f"{100 * abs(ahead):.2f} points" if quality is CLASSIFICATION else quality.show(abs(ahead))
    how = f"{'ahead of' if ahead > 0 else 'behind'} it by {by}" if ahead else "as good as it"
    return f"{best}: the returned network is {how} on the test split"


def _describe_choices(networks: Sequence[Mapping[str, Any]]) -> list[str]:
    """A table with the chip and the training of networks, where these are searched."""
    header, rows = choice_rows({network["key"]: network.get("choices", {}) for network in networks})
    if not header:
        return []
    lines = align([("KEY", *header), *rows]).splitlines()
    return ["    chip and training of each:", *("      " + line for line in lines)]


def choice_rows(networks: Mapping[str, Mapping[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Networks' choices as columns.

    Args:
        networks: key -> searched field -> value.

    Returns:
        The fields, `hardware/` left out, and for each network its key and values.

    >>> choice_rows({"ab": {"hardware/adc.bits": 4, "training/learning_rate": 0.01}})
    (['adc.bits', 'training/learning_rate'], [['ab', '4', '0.01']])
    """
    names = list(dict.fromkeys(name for chosen in networks.values() for name in chosen))
    rows = [[key, *(str(chosen.get(name, "")) for name in names)] for key, chosen in networks.items()]
    return [name.removeprefix("hardware/") for name in names], rows


def _describe_worth(networks: Sequence[Mapping[str, Any]], quality: Quality) -> list[str]:
    """The interval of each returned network's test figure, and what speaks against the network."""
    lines = []
    for network in networks:
        if network["test_interval"] is not None:
            low, high = (quality.show(limit) for limit in network["test_interval"])
            lines.append(f"    {network['key']}: test {low} to {high} with 95 % confidence")
        lines += [f"    warning: {network['key']}: {warning}" for warning in network["warnings"]]
    return lines


def _returned_title(networks: Sequence[Mapping[str, Any]]) -> str:
    trainings = next((network["trainings"] for network in networks if "trainings" in network), None)
    if trainings is None:
        return "returned, retrained and with measured activity"
    first = trainings["each"][0]["seed"]
    seeds = f"seeds {first} to {first + trainings['seeds'] - 1}"
    return f"returned, retrained from {seeds} (mean ± standard deviation) and with measured activity"


def _deviation(network: Mapping[str, Any], name: str) -> float | None:
    """Standard deviation over the trainings of a returned network, if there are several."""
    deviation: float | None = network["trainings"][name]["std"] if "trainings" in network else None
    return deviation


def _counted(network: Mapping[str, Any]) -> str:
    """How many of its seeds the figures of a returned network are of."""
    return counted(network["trainings"]["trained"], network["trainings"]["seeds"])
