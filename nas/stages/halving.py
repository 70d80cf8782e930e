"""Successive halving: a batch of candidates is trained a little, the best go on, and the ledger holds every rung."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator, Sequence

import numpy as np

from hasnas.errors import BadInputError
from hasnas.nas.budget.costs import cost_called, with_measured
from hasnas.nas.config.multi_fidelity import MultiFidelitySection
from hasnas.nas.executors import Outcome, map_once
from hasnas.nas.history.goal import merit
from hasnas.nas.history.pareto import non_dominated
from hasnas.nas.history.rung import RUNG, RungRecord

from .context import RunContext, measured_costs
from .evaluation import RungOutcome, RungTask, evaluate_rung
from .mapped import mapping_in_search
from .supernet import data_reference, device_reference

CodesOfOne = tuple[int, ...]


def halve(context: RunContext, first: int, asked: Sequence[CodesOfOne]) -> list[RungRecord]:
    """Train a batch of candidates by successive halving.

    Rungs that the ledger holds are not trained again.

    Args:
        context: the run.
        first: number of the batch's first trial.
        asked: the candidates.

    Returns:
        The last rung of each, in their order.
    """
    section = context.config.search.multi_fidelity
    if section is None:
        raise BadInputError("search.multi_fidelity says nothing of the rungs; set it")
    known = _known(context, first, asked)
    last: dict[int, RungRecord] = {}
    climbing = list(range(len(asked)))
    for number in range(len(section.rungs)):
        missing = [place for place in climbing if (first + place, number) not in known]
        for record in _climb(context, section, first, asked, missing, number):
            context.ledger.append(record.to_record())
            known[record.trial, number] = record
        last.update({place: known[first + place, number] for place in climbing})
        sound = [place for place in climbing if last[place].state == "done"]
        order = ranked(context, [last[place] for place in sound], [asked[place] for place in sound])
        climbing = sorted(sound[index] for index in order[: section.survivors(len(climbing))])
    return [last[place] for place in range(len(asked))]


def ranked(context: RunContext, rungs: Sequence[RungRecord], codes: Sequence[CodesOfOne]) -> list[int]:
    """Candidates of a rung, the best first: those that no other beats, those that only these beat, and so on.

    They are compared by the search's objectives, costs as they are known before any training, or else by merit; within
    each front by merit, then in their order.
    """
    if not rungs:
        return []
    objectives = [cost_called(name) for name in context.config.search.objectives]
    table = context.pricer.costs(np.array(codes, np.int16))
    known = [{**rung.metrics, **table.row(row)} for row, rung in enumerate(rungs)]
    merits = np.array([merit(rung.metrics) for rung in rungs])
    columns = [np.array([cost.value(one) for one in known]) for cost in objectives]
    values = np.column_stack(columns or [merits])
    upward = tuple(cost.more_is_better for cost in objectives) or (True,)
    order: list[int] = []
    left = np.arange(len(rungs))
    while len(left):
        best = non_dominated(values[left], upward)
        best = best if best.any() else np.ones(len(left), bool)  # what is no number beats nothing
        order += sorted(left[best].tolist(), key=lambda row: (-merits[row], row))
        left = left[~best]
    return order


def _known(context: RunContext, first: int, asked: Sequence[CodesOfOne]) -> dict[tuple[int, int], RungRecord]:
    """What the ledger holds of a batch: number of the trial and of the rung -> the rung."""
    found = {}
    for record in context.ledger.records.of_kind(RUNG):
        if first <= record["trial"] < first + len(asked):
            rung = RungRecord.from_record(record)
            if rung.key == context.key(asked[rung.trial - first]):  # else another machine had proposed it
                found[rung.trial, rung.rung] = rung
    return found


def _climb(
    context: RunContext,
    section: MultiFidelitySection,
    first: int,
    asked: Sequence[CodesOfOne],
    places: Sequence[int],
    number: int,
) -> Iterator[RungRecord]:
    """Train some candidates of a batch up to a rung, each as soon as it is there; equal trainings are done once."""
    tasks = [_task(context, section, asked[place], number) for place in places]
    outcomes = map_once(context.executor, evaluate_rung, tasks, lambda task: task.checkpoint_directory)
    for place, outcome in zip(places, outcomes, strict=True):
        yield _record(context, section, first + place, asked[place], number, outcome)


def _task(context: RunContext, section: MultiFidelitySection, codes: CodesOfOne, number: int) -> RungTask:
    config, architecture = context.config, context.architecture(codes)
    changes = {"epochs": section.epochs[-1], "patience": None, "devices": 1, "nodes": 1}
    return RungTask(
        architecture.to_json(),
        data_reference(context),
        context.training_of(codes).with_changes(changes),
        config.seed,
        str(context.checkpoints / "rungs" / context.trained_as(codes)),
        section.rungs[: number + 1],
        section.dead_rate,
        device_reference(context),
        mapping_in_search(config, context.hardware_of(codes)),
    )


def _record(
    context: RunContext,
    section: MultiFidelitySection,
    trial: int,
    codes: CodesOfOne,
    number: int,
    outcome: Outcome[RungOutcome],
) -> RungRecord:
    rung, reached = section.rungs[number], outcome.value
    architecture, hardware = context.architecture(codes), context.hardware_of(codes)
    priced = {} if reached is None else measured_costs(context, architecture, hardware, reached.activity)
    costs = {} if reached is None else with_measured(context.config.costs, priced, reached.metrics)
    limits = context.budget if number == len(section.rungs) - 1 else context.budget.known_before
    broken = limits.verdict(costs).violations if costs else {}
    message = outcome.error if reached is None else reached.dead
    return RungRecord(
        trial,
        number,
        context.key(codes),
        0 if reached is None else reached.epochs,
        rung.timesteps,
        rung.data,
        "failed" if message else "infeasible" if broken else "done",
        {} if reached is None else reached.metrics,
        costs,
        broken,
        message,
        time.time(),
        socket.gethostname(),
    )
