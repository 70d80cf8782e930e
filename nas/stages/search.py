"""Stage 3: a strategy proposes batches of candidates, the executor evaluates them, the ledger remembers."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from hasnas.errors import BadInputError
from hasnas.nas.executors import Outcome
from hasnas.nas.objectives import merit
from hasnas.nas.strategies.strategy import SearchProblem, create_strategy
from hasnas.nas.trial import Trial

from .context import RunContext, cost_row
from .evaluation import BriefTask, InheritedTask, evaluate_briefly, evaluate_inherited
from .supernet import data_reference, device_reference, weights_path


def run_search(context: RunContext) -> None:
    """Ask, answer from the ledger or evaluate, tell; until the evaluations are used or nothing new is proposed.

    A resumed run replays: the strategy asks again and is told what the ledger holds, in the same order.
    """
    settings = context.config.search
    if not settings.enabled:
        context.console.say("search: switched off; networks are drawn from the feasible region")
        return
    problem = SearchProblem(context.space, context.feasible_region().admits, settings, context.config.seed)
    strategy = create_strategy(settings.strategy, problem)
    done = 0
    with context.console.bar("search", settings.evaluations, "net") as bar:
        while done < settings.evaluations:
            asked = strategy.ask(min(settings.batch, settings.evaluations - done))
            if not asked:
                context.console.say(f"search: the region holds no further candidate after {done} evaluations")
                break
            for trial in _answers(context, done, asked):
                strategy.tell(trial.codes, merit(trial.metrics) if trial.metrics else None, trial.costs)
                bar.update()
                bar.set_postfix(best=f"{best_accuracy(context.trials):.1%}", refresh=False)
            done += len(asked)


def search_trials(context: RunContext) -> list[Trial]:
    """The candidates that the search evaluated, in the order of proposal."""
    return [trial for trial in context.trials if trial.stage == "search"]


def best_accuracy(trials: Sequence[Trial]) -> float:
    """The highest accuracy so far, 0 if there is none."""
    return max((merit(trial.metrics) for trial in trials if trial.metrics), default=0.0)


def _answers(context: RunContext, first: int, asked: Sequence[tuple[int, ...]]) -> list[Trial]:
    """The trials of a batch in the order they were asked; those the ledger lacks are evaluated and recorded."""
    known = [context.known(first + offset) for offset in range(len(asked))]
    for codes, trial in zip(asked, known, strict=True):
        if trial is not None and trial.codes != codes:
            raise BadInputError(
                f"trial {trial.id} of the ledger is {list(trial.codes)}, but this version proposes {list(codes)}; "
                "the run was made by another version of hasnas or its libraries, start a new run directory"
            )
    trials = [trial for trial in known if trial is not None]
    missing = asked[len(trials) :]
    if not missing:
        return trials
    costs = context.pricer.costs(np.array(missing, np.int16))
    function, tasks = evaluation_tasks(context, missing)
    for offset, outcome in enumerate(context.executor.map(function, tasks)):
        trial_id = first + len(trials)
        trial = _trial(context, trial_id, missing[offset], cost_row(costs, offset), outcome)
        context.record(trial)
        trials.append(trial)
    return trials


def evaluation_tasks(context: RunContext, codes: Sequence[tuple[int, ...]]) -> tuple[Any, list[Any]]:
    """The function that evaluates candidates of this run, and a task for each."""
    architectures = [context.space.decode(one) for one in codes]
    config, data = context.config, data_reference(context)
    if not config.supernet.enabled:
        settings = replace(context.retrain_settings, epochs=config.search.brief_epochs)
        folders = [context.checkpoints / "brief" / item.key for item in architectures]
        return evaluate_briefly, [
            BriefTask(item.to_json(), data, settings, config.seed, str(folder), device_reference(context))
            for item, folder in zip(architectures, folders, strict=True)
        ]
    weights, count, size = str(weights_path(context)), config.search.calibration_batches, config.supernet.batch_size
    return evaluate_inherited, [
        InheritedTask(item.to_json(), data, weights, count, size, config.seed, device_reference(context))
        for item in architectures
    ]


def _trial(
    context: RunContext,
    trial_id: int,
    codes: tuple[int, ...],
    costs: Mapping[str, float],
    outcome: Outcome[dict[str, float]],
) -> Trial:
    architecture = context.space.decode(codes)
    return Trial(
        id=trial_id,
        stage="search",
        key=architecture.key,
        codes=codes,
        architecture=architecture.to_json(),
        seed=context.config.seed,
        state="failed" if outcome.failed else "done",
        metrics=outcome.value or {},
        costs=costs,
        verdict=context.budget.verdict(costs).violations,
        message=outcome.error,
        time=time.time(),
        host=socket.gethostname(),
    )
