"""One trial of a run, or all trials of one network: what was drawn, what it costs beside the limits, what it scored."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hasnas.errors import BadInputError
from hasnas.nas.budget.budget import Budget, Verdict
from hasnas.nas.budget.costs import Cost, cost_called, costs_of_fields
from hasnas.nas.history.goal import PART_PREFIX, SCORE_PREFIX
from hasnas.nas.history.quality import CLASSIFICATION, Quality, find_quality
from hasnas.nas.history.rung import RungRecord
from hasnas.nas.history.stored_run import read_run
from hasnas.nas.history.trial import Trial, plain_numbers
from hasnas.nas.history.worth import RATE_PREFIX, rates_of_layers
from hasnas.search_spaces.architecture import Architecture
from hasnas.search_spaces.cells import Genotype

from .aligned import align

SHORTEST_KEY = 4  # characters by which a key may be named


@dataclass(frozen=True)
class ShownTrial:
    """A trial beside what its run asked for.

    Args:
        trial: the record.
        budget: of the run.
        rungs: how it stood at the rungs of successive halving, if there were any.
        seconds: from the beginning of the run to its end; `None` where that is not known.
    """

    trial: Trial
    budget: Budget
    rungs: tuple[RungRecord, ...] = ()
    seconds: float | None = None

    @property
    def verdict(self) -> Verdict | None:
        """Its costs against the limits, so far as they are known; `None` of a trial that was not priced."""
        if not self.trial.costs:
            return None
        ratios = self.budget.verdict(self.trial.costs).ratios.items()
        return Verdict({name: ratio for name, ratio in ratios if math.isfinite(ratio)} | dict(self.trial.verdict))

    def to_json(self) -> dict[str, Any]:
        """Plain data, in SI units.

        Returns:
            The fields of the ledger's record (`id`, `stage`, `key`, `codes`, `architecture`, `seed`, `state`,
            `metrics`, `costs`, `message`, `time`, ...), and `limits` (name of a cost -> limit), `over_limit` (name ->
            cost over limit, for each limit), `fits`, `rungs`, and `seconds` since the run began.
        """
        found, verdict = self.trial.to_record(), self.verdict
        del found["kind"]
        return {
            **found,
            "limits": dict(self.budget.limits),
            "over_limit": {} if verdict is None else plain_numbers(verdict.ratios),
            "fits": verdict is not None and verdict.feasible,
            "rungs": [rung.to_record() for rung in self.rungs],
            "seconds": self.seconds,
        }

    def describe(self) -> str:
        """The same as text for people."""
        trial, quality = self.trial, find_quality(self.trial.metrics) or CLASSIFICATION
        lines = [f"trial {trial.id}, {trial.stage}: {trial.state}", f"  key:     {trial.key}"]
        lines += [f"  message: {trial.message}"] if trial.message else []
        lines += [f"  seed:    {trial.seed}", f"  ended:   {self._when()}"]
        lines += [f"  chosen:  {', '.join(f'{name} {value}' for name, value in trial.choices.items())}"] * bool(
            trial.choices
        )
        verdict = "not priced" if self.verdict is None else self.verdict.describe()
        parts = [
            ["  drawn:", *_indented(drawn(trial.architecture))],
            ["  scores:", *_indented(_scores(trial.metrics, quality))],
            [f"  costs: {verdict}", *_indented(self._costs())],
            ["  rungs:", *_indented(_rungs(self.rungs, quality))] if self.rungs else [],
        ]
        return "\n".join([*lines, *(line for part in parts for line in part)])

    def _when(self) -> str:
        if not self.trial.time:
            return "unknown"
        told = datetime.fromtimestamp(self.trial.time, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        since = "" if self.seconds is None or self.seconds < 0 else f", {self.seconds:.1f} s after the run began"
        return f"{told}{since}" + (f", on {self.trial.host}" if self.trial.host else "")

    def _costs(self) -> list[str]:
        """A line a cost, with its limit and by how much that is used."""
        if self.verdict is None:
            return ["none"]
        used, known = self.verdict.ratios, costs_of_fields(self.trial.costs)
        limited = [cost_called(name) for name in self.budget.limits]
        rows = [("COST", "VALUE", "LIMIT", "OF LIMIT")]
        rows += [self._cost_row(cost, used.get(cost.name)) for cost in dict.fromkeys([*known, *limited])]
        return align(rows).splitlines()

    def _cost_row(self, cost: Cost, used: float | None) -> tuple[str, str, str, str]:
        value, limit = self.trial.costs.get(cost.field), self.budget.limits.get(cost.name)
        shown = "unknown" if value is None else cost.show(value)
        if limit is None:
            return cost.name, shown, "", ""
        return cost.name, shown, cost.show_limit(limit), "" if used is None else f"{used:.1%}"


def shown_trials(run_directory: Path, which: str) -> list[ShownTrial]:
    """The trial with a number, or the trials of the network with a key, in the order in which they ended.

    Args:
        run_directory: of the run.
        which: a number, or a key or its beginning, of at least four characters.

    Raises:
        BadInputError: if the directory holds no run, or the run no such trial.
    """
    run = read_run(run_directory)
    contents, trials, rungs = run.contents, run.trials, run.contents.rungs
    numbered = [trial for trial in trials if str(trial.id) == which]
    found = numbered or _by_key(run_directory, trials, which, contents.damage)
    begun = next((event["time"] for event in contents.events if "time" in event), None)
    return [
        ShownTrial(
            trial,
            run.config.budget,
            tuple(rung for rung in rungs if rung.trial == trial.id and trial.stage == "search"),
            trial.time - begun if trial.time and begun is not None else None,
        )
        for trial in found
    ]


def _by_key(run_directory: Path, trials: Sequence[Trial], which: str, damage: str | None) -> list[Trial]:
    found = [trial for trial in trials if len(which) >= SHORTEST_KEY and trial.key.startswith(which)]
    keys = list(dict.fromkeys(trial.key for trial in found))
    if not found:
        lowest, highest = (end((trial.id for trial in trials), default=0) for end in (min, max))
        key = f"or give at least {SHORTEST_KEY} characters of its key"
        there = f"its trials are {lowest} to {highest}, {key}" if trials else "it has none yet"
        why = damage or f"hasnas status {run_directory}"
        raise BadInputError(f"{run_directory} has no trial '{which}'; {there} ({why})")
    if len(keys) > 1:
        raise BadInputError(f"'{which}' begins {len(keys)} keys of {run_directory}: {keys[0]}, {keys[1]}; give more")
    return found


def drawn(architecture: Mapping[str, Any]) -> list[str]:
    """The cells of an architecture as lines: each edge, those that reach nothing in brackets.

    >>> cell = {"nodes": 4, "edges": [[0, 3, "conv3x3"], [0, 1, "identity"], [3, 2, "conv1x1"], [2, 3, "conv1x1"]]}
    >>> print(*drawn({"version": 1, "cells": [cell], "macro": {}}), sep="\\n")
    cell 1, 4 nodes: 0->3 conv3x3, 2->3 conv1x1, 3->2 conv1x1 (a timestep later), [0->1 identity]
    """
    try:
        cells = [Genotype.from_json(cell) for cell in architecture.get("cells", ())]
    except BadInputError as error:
        return [f"not a form of cells that this release knows: {error}"]
    try:
        timesteps: int | None = Architecture.from_json(dict(architecture)).macro.timesteps
    except BadInputError:
        timesteps = None
    return [_cell(number, cell, timesteps) for number, cell in enumerate(cells, start=1)] or ["no cells"]


def _cell(number: int, cell: Genotype, timesteps: int | None) -> str:
    alive = cell.canonical(timesteps).edges
    edges = sorted(cell.edges, key=lambda edge: (edge not in alive, edge.delay, edge))
    texts = [
        f"{edge.source}->{edge.target} {edge.operation}{' (a timestep later)' if edge.delay else ''}" for edge in edges
    ]
    shown = [text if edge in alive else f"[{text}]" for text, edge in zip(texts, edges, strict=True)]
    return f"cell {number}, {cell.nodes} nodes: {', '.join(shown) or 'no edge'}"


def _scores(metrics: Mapping[str, float], quality: Quality) -> list[str]:
    if not metrics:
        return ["none"]
    rows = []
    for name, value in metrics.items():
        if not name.startswith(RATE_PREFIX):
            is_quality = name in (quality.validation, quality.test) or name.startswith(quality.device)
            rows.append((_plain(name), quality.show(value) if is_quality else f"{value:.6g}"))
    rates = [f"{name} {value:.3g}" for name, value in rates_of_layers(metrics).items()]
    lines = align(rows).splitlines() if rows else []
    return lines + ([f"firing rates: {', '.join(rates)}"] if rates else [])


def _plain(name: str) -> str:
    """A metric as people read it.

    >>> _plain("score/trainability"), _plain("score part/balance"), _plain("training_s")
    ('score trainability', 'part of it: balance', 'training_s')
    """
    if name.startswith(SCORE_PREFIX):
        return f"score {name.removeprefix(SCORE_PREFIX)}"
    return f"part of it: {name.removeprefix(PART_PREFIX)}" if name.startswith(PART_PREFIX) else name


def _rungs(rungs: Sequence[RungRecord], quality: Quality) -> list[str]:
    rows = [("RUNG", "EPOCHS", "TIMESTEPS", "DATA", "STATE", "VALIDATION")]
    for rung in rungs:
        shares = f"{rung.timesteps:.0%}", f"{rung.data:.0%}"
        figure = quality.show(rung.metrics.get(quality.validation))
        rows.append((str(rung.rung), str(rung.epochs), *shares, rung.state, figure))
    return align(rows).splitlines()


def _indented(lines: Sequence[str]) -> list[str]:
    return ["    " + line for line in lines]
