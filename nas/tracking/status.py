"""What a run has done so far, read from its directory; nothing is written, and a live run may be looked at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hasnas.errors import BadInputError
from hasnas.files import DAMAGED_ARRAYS
from hasnas.nas.config.run import RunConfig
from hasnas.nas.history.goal import Candidates, Goal, distinct
from hasnas.nas.history.layout import LEDGER_FILE, SCREEN_FILE, STAGES
from hasnas.nas.history.learned import learned_rows
from hasnas.nas.history.ledger import LedgerContents, is_being_written
from hasnas.nas.history.quality import CLASSIFICATION, QUALITIES, Quality, find_quality
from hasnas.nas.history.records import Record
from hasnas.nas.history.returned import (
    BASELINE_PREFIX,
    STAGE,
    RetrainedNetwork,
    retrained_networks,
    returned_networks,
)
from hasnas.nas.history.run_config import has_ended
from hasnas.nas.history.stored_run import StoredRun, read_run
from hasnas.nas.history.trial import Trial, read_numbers
from hasnas.nas.history.worth import DataFacts, data_facts, worth_of

from .rungs import counted_rungs


def run_status(run_directory: Path) -> dict[str, Any]:
    """The state of a run as plain data.

    Args:
        run_directory: as `hasnas search` made it.

    Returns:
        `run`, `name`, `seed`, `dataset`, `space`, `hardware`; `costs` (names of those that the run prices or measures
        beside the accuracy or score); `objectives` (as the config names them); `budget` (name of a cost -> limit in SI
        units); `state` (`"running"`, `"finished"` or `"stopped"`); `stages` (name, state, seconds); `trials` (counts by
        state); `rungs` (of successive halving, see `counted_rungs`); `score` (name of the training-free score that
        ranks candidates, or `None`); `learned` (by a predictor, see `learned_rows`); `task` (`"classification"`,
        `"regression"` or `"location"`, `None` before anything was trained); `screen` (what the budget left of the
        space, `None` before the screen); `feasible_share` of the connected architectures; `data` (samples and what a
        blind answer reaches, see `DataFacts`); `front` and `returned` (networks with what they reach and cost, the best
        first; returned ones also what `worth_of` says);
        `baselines` (for each that the config names `baseline`, `tried`, the best network's figures and costs, `ahead`,
        by how much the run's answer is better on the test split, or `message`, why there is none);
        `damage` (one line, or `None`). Where the config asks for several trainings of each network, those of
        `returned` have means over them, and `trainings`, see `RetrainedNetwork.to_json`.

    Raises:
        BadInputError: if the directory holds no run.
    """
    return status_of(read_run(run_directory))


def status_of(run: StoredRun) -> dict[str, Any]:
    """The same of a run that was read already."""
    run_directory, config, contents = run.directory, run.config, run.contents
    running = is_being_written(run_directory / LEDGER_FILE)
    history, screen = _History(contents), read_screen(run_directory / SCREEN_FILE)
    trials, quality = history.others, history.quality
    best, facts = history.front(config.search.objectives), data_facts(contents.events)
    return {
        "run": str(run_directory),
        "name": config.name,
        "seed": config.seed,
        "dataset": config.dataset.name,
        "space": config.space.name,
        "hardware": config.hardware.reference,
        "costs": [cost.name for cost in config.shown_costs],
        "objectives": list(config.search.objectives),
        "budget": dict(config.budget.limits),
        "state": "running" if running else _end_state(contents.events),
        "stages": [_stage(stage, config, contents.events, running) for stage in STAGES],
        "trials": history.counts(),
        "rungs": counted_rungs(contents.rungs),
        "learned": learned_rows(contents.events),
        "score": config.search.score,
        "task": quality.task if quality else None,
        "screen": screen,
        "feasible_share": screen["feasible_share"] if screen else None,
        "front": [_network(trial, config, quality or CLASSIFICATION) for trial in best],
        "data": None if facts is None else facts.to_json(),
        "returned": [
            _returned(network, config, quality or CLASSIFICATION, facts)
            for network in returned_networks(trials, config.retrain.seeds)
        ],
        "baselines": [
            _baseline(name, trials, config, quality or CLASSIFICATION)
            for name in (config.retrain.baselines if config.retrain.enabled else ())
        ],
        # The last line of a live run may be half written at this very moment.
        "damage": None if running else contents.damage,
    }


def list_runs(directory: Path) -> list[dict[str, Any]]:
    """The status of every run directly below a directory, by name; of one that cannot be read only why."""
    return [_status_or_problem(path.parent) for path in sorted(directory.glob("*/config.yaml"))]


def _status_or_problem(run_directory: Path) -> dict[str, Any]:
    try:
        return run_status(run_directory)
    except BadInputError as error:
        return {"run": str(run_directory), "state": "unreadable", "damage": str(error)}


READ = {"stage", "state", "metrics", "costs", "verdict"}


class _History:
    """What a status tells of the trials, found in one pass that makes none of the searched ones: they may be many.

    Args:
        contents: the ledger's.
    """

    def __init__(self, contents: LedgerContents) -> None:
        self._trials, self._candidates = contents.stored_trials, Candidates()
        self._states: Counter[str] = Counter()
        self.quality: Quality | None = None
        self.others: list[Trial] = []
        for place, record in enumerate(contents.records.of_kind("trial")):
            if not record.keys() >= READ:
                Trial.from_record(record)  # says what is wrong with it
            try:
                metrics, costs = read_numbers(record["metrics"]), read_numbers(record["costs"])
            except (AttributeError, TypeError, ValueError):
                Trial.from_record(record)  # says what is wrong with it
                raise
            self.quality = self.quality or find_quality(metrics)
            if record["stage"] != "search":
                self.others.append(Trial.from_record(record))
                continue
            self._states[record["state"]] += 1
            if record["state"] == "done" and not record["verdict"]:
                self._candidates.add(place, metrics, costs)

    def counts(self) -> dict[str, int]:
        """Searched trials by their state."""
        states = {state: self._states[state] for state in ("done", "infeasible", "failed")}
        return {"total": self._states.total(), **states}

    def front(self, objectives: Sequence[str]) -> list[Trial]:
        """See `hasnas.nas.history.goal.front`."""
        return distinct(self._trials[place] for place in self._candidates.best(objectives))


def _network(trial: Trial, config: RunConfig, quality: Quality) -> dict[str, Any]:
    shown = (Goal(config.search.score, quality).metric, quality.validation, quality.test)
    figures = {name: trial.metrics.get(name) for name in shown if name in trial.metrics}
    return {
        "id": trial.id,
        "key": trial.key,
        "codes": list(trial.codes),
        **figures,
        **{cost.field: trial.costs.get(cost.field) for cost in config.shown_costs},
        "fits": config.budget.verdict(trial.costs).feasible if trial.costs else False,
        **({"choices": trial.choices} if trial.choices else {}),
    }


def _returned(
    network: RetrainedNetwork, config: RunConfig, quality: Quality, facts: DataFacts | None
) -> dict[str, Any]:
    found = _network(network.summary, config, quality) | worth_of(network.best.metrics, quality, facts)
    if network.seeds == 1:
        return found
    fits = all(config.budget.verdict(trial.costs).feasible for trial in network.finished)
    return {**found, "fits": fits, "trainings": network.to_json(quality)}


def _baseline(name: str, trials: Sequence[Trial], config: RunConfig, quality: Quality) -> dict[str, Any]:
    """The best network of a baseline by validation samples, as the run's answer was chosen."""
    stage, seeds = BASELINE_PREFIX + name, config.retrain.seeds
    tried, fitting = retrained_networks(trials, seeds, stage), returned_networks(trials, seeds, stage)
    found = {"baseline": name, "tried": len(tried)}
    if not fitting:
        return {**found, "message": _why_none(name, tried, config, trials)}
    best, answers = fitting[0], returned_networks(trials, seeds)
    told = {**found, **_network(best.summary, config, quality)}
    if best.seeds > 1:
        told["trainings"] = best.to_json(quality)
    if answers:
        told["ahead"] = quality.sign * (answers[0].mean(quality.test) - best.mean(quality.test))
    return told


def _why_none(
    name: str, tried: Sequence[RetrainedNetwork], config: RunConfig, trials: Sequence[Trial]
) -> str:
    if any(network.finished for network in tried):
        return f"none of {len(tried)} kept to the budget with its measured activity"
    if tried:
        return f"the training of all {len(tried)} failed"
    begun = sum(trial.stage == STAGE for trial in trials) >= config.retrain.seeds
    return "no plain chain of this macro fits the budget" if name == "chain" and begun else "not trained yet"


def _end_state(events: Sequence[Record]) -> str:
    ends = [event for event in events if event.get("stage") == "run"]
    return "finished" if has_ended(ends) else "stopped"


def _stage(stage: str, config: RunConfig, events: Sequence[Record], running: bool) -> dict[str, Any]:
    """Name, state and working time of a stage; a resumed stage adds up, and one that is off has none."""
    if not getattr(config, stage).enabled or (stage == "supernet" and config.search.score is not None):
        return {"stage": stage, "state": "off", "seconds": 0.0}
    seconds, begun = 0.0, None
    last = ""
    for event in events:
        if event.get("stage") == stage and event["event"] in ("stage_begin", "stage_end"):
            last = event["event"]
            if last == "stage_begin":
                begun = event.get("time", 0.0)
            elif begun is not None:
                seconds += max(event.get("time", begun) - begun, 0.0)  # a clock may be set back
    states = {"": "pending", "stage_end": "done", "stage_begin": "running" if running else "stopped"}
    return {"stage": stage, "state": states[last], "seconds": round(seconds, 3)}


def read_screen(path: Path) -> dict[str, Any] | None:
    """How much of the space the budget left; `None` if that is not known."""
    try:
        with np.load(path, allow_pickle=False) as file:
            connected, feasible, ratio = file["connected"], file["feasible"], file["cost_over_limit"]
            complete, names = bool(file["complete"]), file["columns"].tolist()
    except DAMAGED_ARRAYS:
        return None
    count = max(int(connected.sum()), 1)
    broken = (ratio[connected] > 1).sum(axis=0) / count
    limited = ~np.isnan(ratio[connected]).all(axis=0)
    return {
        "priced": len(connected),
        "complete": complete,
        "connected": int(connected.sum()),
        "feasible": int(feasible.sum()),
        "feasible_share": int(feasible.sum()) / count,
        "rejected_share": {name: float(broken[i]) for i, name in enumerate(names) if limited[i]},
    }


def quality_of_status(status: Mapping[str, Any]) -> Quality:
    """By what the networks of a run are judged; as a classification's while none was trained."""
    return CLASSIFICATION if status["task"] is None else QUALITIES[status["task"]]
