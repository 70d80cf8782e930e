"""Stage 3: a strategy proposes batches of candidates, the executor evaluates them, the ledger remembers."""

from __future__ import annotations

import math
import socket
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hasnas.errors import BadInputError, HasnasError
from hasnas.nas.budget.costs import Cost, Costs, cost_called, with_measured
from hasnas.nas.budget.measured import QUALITIES, TRAINING_TIME, value_cost
from hasnas.nas.budget.pricer import Pricer
from hasnas.nas.config.run import RunConfig
from hasnas.nas.executors import Outcome
from hasnas.nas.history.goal import Goal, merit
from hasnas.nas.history.learned import LEARNED, learned_line
from hasnas.nas.history.rung import RungRecord
from hasnas.nas.history.trial import Trial
from hasnas.nas.strategies.begin_with import BeginWith
from hasnas.nas.strategies.predictor import PredictorSearch
from hasnas.nas.strategies.q_learning import QLearning
from hasnas.nas.strategies.recorded import Recorded
from hasnas.nas.strategies.strategy import CostObjective, SearchProblem, Strategy, create_strategy
from hasnas.search_spaces.space import Codes

from .asynchronous import run_asynchronously
from .context import RunContext
from .evaluation import BriefTask, InheritedTask, evaluate_briefly, evaluate_inherited
from .halving import halve
from .mapped import mapping_in_search
from .scoring import samples_of, score_one, score_tasks, scored
from .supernet import data_reference, device_reference, proposed_architecture, weights_path

# Candidates after which an objective that was never a number is given up.
ENOUGH_TO_JUDGE = 10


def run_search(context: RunContext) -> None:
    """Ask, answer from the ledger or evaluate, tell; until the evaluations are used or nothing new is proposed.

    A resumed run replays: the strategy asks again and is told what the ledger holds, in the same order. Where it would
    propose otherwise, as the run was made on another processor or by another version, the ledger is right.
    """
    settings = context.config.search
    if not settings.enabled:
        context.console.say("search: switched off; networks are drawn from the feasible region")
        return
    strategy = proposer = create_strategy(settings.strategy, search_problem(context))
    proposed = None if settings.score is not None else proposed_architecture(context)
    if proposed is not None:
        strategy = BeginWith(proposed, strategy)
    strategy = Recorded(_recorded(context), strategy, lambda number: _say_where_it_differs(context, number))
    goal, best, done = Goal(settings.score, context.quality), -math.inf, 0
    with context.console.bar("search", settings.evaluations, "net") as bar:

        def hear(trial: Trial) -> None:
            nonlocal best, done
            value, judged = told_value(context.config, trial), merit(trial.metrics)
            strategy.tell(trial.codes, value if math.isfinite(value) else None, trial.costs)
            best = max(best, judged if math.isfinite(judged) else best)
            bar.update()
            bar.show({"best": goal.show(goal.sign * best)})
            done += 1
            if done % settings.batch == 0 or done == settings.evaluations:
                _refuse_what_is_never_told(context, done)

        if settings.asynchronous:
            run_asynchronously(context, strategy, hear, partial(_tasks, context), partial(_told, context))
        else:
            _run_in_batches(context, strategy, hear)
    if done < settings.evaluations:
        context.console.say(f"search: the region holds no further candidate after {done} evaluations")
    refuse_failures_alone(search_trials(context)[:done])
    if isinstance(proposer, PredictorSearch):
        _say_what_was_learned(context, proposer)
    if isinstance(proposer, QLearning) and proposer.dropped:
        context.console.say(f"search: {proposer.dropped} networks dropped: no chip was found within the budget")


def _run_in_batches(context: RunContext, strategy: Strategy, hear: Callable[[Trial], None]) -> None:
    """A batch is proposed when all of the one before are told, in the order of their proposal."""
    settings, done = context.config.search, 0
    while done < settings.evaluations:
        asked = strategy.ask(min(settings.batch, settings.evaluations - done))
        for trial in _answers(context, done, asked):
            hear(trial)
        done += len(asked)
        if not asked:
            return


def _say_what_was_learned(context: RunContext, strategy: PredictorSearch) -> None:
    """A line for the reader, and an event for status and report unless an earlier part of the run noted the same."""
    found = strategy.learned()
    if not found:
        return
    rows = [asdict(one) for one in found]
    context.console.say(f"search: {learned_line(rows)}")
    details = {LEARNED: rows}
    if not any(record.get("details") == details for record in context.ledger.records.of_kind("event")):
        context.event(LEARNED, "search", details)


def told_value(config: RunConfig, trial: Trial) -> float:
    """The value that strategies are told, more being better; NaN if it is unknown."""
    cost = value_cost(config.search.objectives)
    if cost is None:
        return merit(trial.metrics)
    value = trial.costs.get(cost.field, math.nan) if trial.state == "done" else math.nan
    return value if cost.more_is_better else -value


def search_problem(context: RunContext) -> SearchProblem:
    """What this run's strategy searches: the value, and beside it what else is to be kept low or within limits."""
    settings, limits, value = context.config.search, context.budget.limits, value_cost(context.config.search.objectives)
    priced = _LastPriced(context.pricer)

    def objective(cost: Cost) -> CostObjective:
        limit = float(cost.burden(limits[cost.name])) if cost.name in limits else math.inf

        def predicted(codes: Codes) -> NDArray[np.float64]:
            return cost.burden(priced.costs(codes)[cost.name])

        return CostObjective(cost.field, predicted if cost.priced else None, limit, cost.burden)

    named = [cost_called(name) for name in settings.objectives]
    limited = [cost for cost in map(cost_called, limits) if not cost.priced and (cost not in named or cost is value)]
    return SearchProblem(
        context.space,
        context.feasible_region().admits,
        settings,
        context.config.seed,
        tuple(objective(cost) for cost in named if cost is not value),
        tuple(objective(cost) for cost in limited),
        tuple(objective(cost) for cost in _targets(context.config)),
        best=_best(context, value),
        samples=partial(samples_of, context),
    )


def _targets(config: RunConfig) -> list[Cost]:
    """The costs by which q_learning sizes chips: those it is rewarded for, and those that are limited."""
    named = dict.fromkeys([*config.search.q_learning.reward, *config.budget.limits])
    return [cost for cost in map(cost_called, named) if cost.priced]


class _LastPriced:
    """A pricer that remembers its last answer: a strategy asks for one cost after the other of the same candidates."""

    def __init__(self, pricer: Pricer) -> None:
        self.pricer = pricer
        self._last: tuple[Codes, Costs] | None = None

    def costs(self, codes: Codes) -> Costs:
        """See `Pricer.costs`."""
        if self._last is None or not np.array_equal(codes, self._last[0]):
            self._last = np.array(codes), self.pricer.costs(codes)
        return self._last[1]


def _best(context: RunContext, value: Cost | None) -> float:
    """The largest value there can be."""
    if value is None:
        return context.quality.best if context.config.search.score is None else math.inf
    return value.best if value.more_is_better else 0.0 if value in QUALITIES else math.inf


def _refuse_what_is_never_told(context: RunContext, done: int) -> None:
    """Stop a search one of whose objectives is not a number for any of its first candidates.

    Raises:
        BadInputError: if there are enough of them to say so.
    """
    trials = [trial for trial in search_trials(context)[:done] if trial.state == "done"]
    if len(trials) < min(ENOUGH_TO_JUDGE, context.config.search.evaluations):
        return
    for name in context.config.search.objectives:
        field = cost_called(name).field
        if not any(math.isfinite(trial.costs.get(field, math.nan)) for trial in trials):
            raise BadInputError(
                f"search.objectives: '{name}' is not a number for any of {len(trials)} candidates; "
                "choose another objective and start a new run directory"
            )


def refuse_failures_alone(trials: Sequence[Trial]) -> None:
    """A search that has no result says why.

    Raises:
        HasnasError: if there are trials, and all of them failed.
    """
    if trials and all(trial.state == "failed" for trial in trials):
        raise HasnasError(f"all {len(trials)} candidates of the search failed; the first: {trials[0].message}")


def search_trials(context: RunContext) -> list[Trial]:
    """The candidates that the search evaluated, in the order of proposal."""
    return [trial for trial in context.trials if trial.stage == "search"]


def _proposal(trial: Trial) -> int:
    return trial.id if trial.proposal is None else trial.proposal


def _recorded(context: RunContext) -> dict[int, tuple[int, ...]]:
    """The codes that the ledger holds, by the number of their proposal."""
    return {_proposal(trial): trial.codes for trial in search_trials(context)}


def _say_where_it_differs(context: RunContext, number: int) -> None:
    trial = next(trial for trial in search_trials(context) if _proposal(trial) == number)
    context.console.say(
        f"search: trial {trial.id} of the ledger, made on '{trial.host}', is not what this processor "
        "and version would propose; the ledger's proposals are kept"
    )


def _answers(context: RunContext, first: int, asked: Sequence[tuple[int, ...]]) -> list[Trial]:
    """The trials of a batch in the order they were asked; those the ledger lacks are evaluated and recorded."""
    known = [context.known(first + offset) for offset in range(len(asked))]
    trials = [trial for trial in known if trial is not None]
    missing = asked[len(trials) :]
    if not missing:
        return trials
    # The whole batch, as the last bit of a price may depend on what is priced beside it.
    costs = context.pricer.costs(np.array(asked, np.int16)).rows(np.arange(len(trials), len(asked)))
    rungs = None if context.config.search.multi_fidelity is None else halve(context, first, asked)[len(trials) :]
    outcomes = _outcomes(context, asked, len(trials)) if rungs is None else map(_of_rung, rungs)
    for offset, outcome in enumerate(outcomes):
        trial_id = first + len(trials)
        told = with_measured(context.config.costs, costs.row(offset), outcome.value or {})
        trial = _trial(context, trial_id, missing[offset], told, outcome)
        if rungs is not None and rungs[offset].state == "infeasible":
            trial = replace(trial, state="infeasible", verdict=rungs[offset].verdict)
        context.record(trial)
        trials.append(trial)
    return trials


def _of_rung(rung: RungRecord) -> Outcome[dict[str, float]]:
    """What is told of a candidate by the last rung that it reached."""
    return Outcome({**rung.metrics, "rung": float(rung.rung), "epochs": float(rung.epochs)}, rung.message)


def _outcomes(
    context: RunContext, asked: Sequence[tuple[int, ...]], known: int
) -> Iterable[Outcome[dict[str, float]]]:
    """Metrics of the candidates after the known ones, in order: by the run's score, or else by what was trained."""
    if context.config.search.score is not None:
        return scored(context, asked, known)
    function, tasks = evaluation_tasks(context, asked[known:])
    return context.executor.map(function, tasks)


def _tasks(context: RunContext, codes: Sequence[tuple[int, ...]]) -> tuple[Any, list[Any]]:
    """What evaluates candidates by themselves, by the run's score or by what was trained."""
    if context.config.search.score is None:
        return evaluation_tasks(context, codes)
    return score_one, score_tasks(context, codes) if codes else []


def _told(
    context: RunContext, codes: tuple[int, ...], outcome: Outcome[dict[str, float]], proposal: int, asked: int
) -> Trial:
    """The trial of a candidate that was evaluated by itself, recorded."""
    costs = context.pricer.costs(np.array([codes], np.int16)).row(0)
    told = with_measured(context.config.costs, costs, outcome.value or {})
    trial = replace(_trial(context, len(context.trials), codes, told, outcome), proposal=proposal, asked=asked)
    context.record(trial)
    return trial


def evaluation_tasks(context: RunContext, codes: Sequence[tuple[int, ...]]) -> tuple[Any, list[Any]]:
    """The function that evaluates candidates of this run, and a task for each."""
    architectures = [context.architecture(one) for one in codes]
    config, data = context.config, data_reference(context)
    if not config.supernet.enabled:
        brief, folder = {"epochs": config.search.brief_epochs}, context.checkpoints / "brief"
        timed = any(TRAINING_TIME in (cost, *cost.parts) for cost in config.costs)
        return evaluate_briefly, [
            BriefTask(
                item.to_json(),
                data,
                context.training_of(one).with_changes(brief),
                config.seed,
                str(folder / context.trained_as(one)),
                device_reference(context),
                timed,
                mapping_in_search(config, context.hardware_of(one)),
            )
            for item, one in zip(architectures, codes, strict=True)
        ]
    weights, count, size = str(weights_path(context)), config.search.calibration_batches, config.supernet.batch_size
    return evaluate_inherited, [
        InheritedTask(
            item.to_json(),
            data,
            weights,
            count,
            size,
            config.seed,
            device_reference(context),
            mapping_in_search(config, context.hardware_of(one)),
        )
        for item, one in zip(architectures, codes, strict=True)
    ]


def _trial(
    context: RunContext,
    trial_id: int,
    codes: tuple[int, ...],
    costs: Mapping[str, float],
    outcome: Outcome[dict[str, float]],
) -> Trial:
    architecture, (hardware, training) = context.architecture(codes), context.choices(codes)
    metrics = outcome.value or {}
    # A score that is not a number, or minus infinity, says that a network cannot be trained.
    message = outcome.error or ("" if math.isfinite(merit(metrics)) else f"it scored {merit(metrics)}")
    return Trial(
        id=trial_id,
        stage="search",
        key=context.key(codes),
        codes=codes,
        architecture=architecture.to_json(),
        seed=context.config.seed,
        state="failed" if message else "done",
        metrics=metrics,
        costs=costs,
        verdict=context.budget.verdict(costs).violations,
        message=message,
        time=time.time(),
        host=socket.gethostname(),
        hardware=hardware,
        training=training,
    )
