"""Stage 4: the chosen networks, trained from scratch, tested once, and priced with their measured activity."""

from __future__ import annotations

import math
import socket
import time
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from hasnas.cim_estimator import Activity, estimate
from hasnas.errors import BadInputError, HasnasError
from hasnas.nas.budget import COST_FIELDS
from hasnas.nas.checkpoint import load_checkpoint
from hasnas.nas.executors import Outcome
from hasnas.nas.objectives import front, merit, rank
from hasnas.nas.region import draw_inside
from hasnas.nas.training.folders import BEST_FILE, retrain_directory
from hasnas.nas.training.retrain import RetrainOutcome, RetrainTask, run_retrain_task
from hasnas.nas.training.settings import RetrainSettings
from hasnas.nas.trial import Trial
from hasnas.search_spaces.architecture import Architecture
from hasnas.search_spaces.lowering import lower
from hasnas.search_spaces.network import SpikingNetwork

from .context import RunContext
from .evaluation import DeviceTask, evaluate_on_device, rate_metrics
from .search import search_trials
from .supernet import data_reference, device_reference


def candidates(context: RunContext) -> list[tuple[int, ...]]:
    """The networks to retrain: the best of the front, then the best of the rest; drawn ones if nothing was searched."""
    top = context.config.retrain.top
    searched = search_trials(context)
    if not searched:
        rng = np.random.default_rng([context.config.seed, 2])
        drawn = draw_inside(context.space, context.feasible_region().admits, rng, top)
        return [tuple(row) for row in drawn.tolist()]
    best = front(searched)
    chosen = {trial.id for trial in best}
    rest = [trial for trial in searched if trial.state == "done" and not trial.verdict and trial.id not in chosen]
    return _distinct_networks(context, [trial.codes for trial in best + sorted(rest, key=rank)], top)


def _distinct_networks(context: RunContext, ranked: list[tuple[int, ...]], count: int) -> list[tuple[int, ...]]:
    """The first `count` whose layers differ: a network can be drawn in several ways."""
    seen: set[str] = set()
    kept: list[tuple[int, ...]] = []
    for codes in ranked:
        structure = context.space.decode(codes).expand().structure
        if structure not in seen and len(kept) < count:
            seen.add(structure)
            kept.append(codes)
    return kept


def run_retrain(context: RunContext) -> None:
    """Train the candidates that the ledger does not hold as retrained yet, in parallel, and record them in order."""
    if not context.config.retrain.enabled:
        context.console.say("retrain: switched off; no network is returned")
        return
    _mend_weights(context)
    chosen = candidates(context)
    first = len(search_trials(context))
    missing = chosen[len(context.trials) - first :]
    tasks = [_task(context, context.space.decode(codes), context.retrain_settings) for codes in missing]
    best = -math.inf
    with context.console.bar("retrain", len(chosen), "net") as bar:
        bar.update(len(chosen) - len(missing))
        for codes, outcome in zip(missing, context.executor.map(run_retrain_task, tasks), strict=True):
            trial = _trial(context, codes, outcome)
            if outcome.value is not None:
                for record in outcome.value.history:
                    metrics = context.quality.of_epoch(record.metrics())
                    context.tracker.on_epoch(f"retrain/{trial.key}", record.epoch, metrics)
            context.record(trial)
            bar.update()
            best = max(best, merit(trial.metrics))  # that of a failed one is NaN, which is never larger
            bar.set_postfix(best=context.quality.show(context.quality.figure(best)), refresh=False)
    failed = failures(context)
    if len(failed) < len(chosen):
        for trial in failed:
            context.console.say(f"retrain: {trial.key} failed: {trial.message}")


def failures(context: RunContext) -> list[Trial]:
    """Networks whose training failed."""
    return [trial for trial in context.trials if trial.stage == "retrain" and trial.state == "failed"]


def require_a_trained_network(context: RunContext) -> None:
    """Refuse to end a run well in which every training failed.

    Raises:
        HasnasError: with the reason of the first one.
    """
    failed = failures(context)
    if failed and len(failed) == sum(trial.stage == "retrain" for trial in context.trials):
        raise HasnasError(f"no network could be trained; {failed[0].key}: {failed[0].message}")


def _mend_weights(context: RunContext) -> None:
    """Train again what the ledger calls trained but whose weights are gone or damaged; it repeats exactly."""
    for trial in context.trials:
        path = retrain_directory(context.directory, trial.key, trial.seed) / BEST_FILE
        if trial.stage != "retrain" or trial.state == "failed":
            continue
        try:
            load_checkpoint(path)
        except BadInputError as error:
            context.console.say(f"retrain: {str(error).split(';')[0]}; making the weights of {trial.key} again")
            architecture = Architecture.from_json(trial.architecture)
            task = _task(context, architecture, context.retrain_settings)
            outcome = next(iter(context.executor.map(run_retrain_task, [task])))
            if outcome.failed:
                raise HasnasError(f"cannot make the weights of {trial.key} again: {outcome.error}") from error


def _task(context: RunContext, architecture: Architecture, settings: RetrainSettings) -> RetrainTask:
    data, seed = data_reference(context), context.config.seed
    directory = retrain_directory(context.directory, architecture.key, seed)
    return RetrainTask(
        architecture.to_json(),
        data.dataset,
        data.root,
        data.validation_share,
        data.seed,
        settings,
        seed,
        str(directory),
        data.framing,
    )


def measured_costs(context: RunContext, architecture: Architecture, activity: Mapping[str, float]) -> dict[str, float]:
    """Costs with the activity that was measured on the trained network."""
    report = estimate(lower(architecture.expand(), activity), context.hardware, Activity.measured())
    costs = report.costs()
    return {field: float(costs[field]) for field in COST_FIELDS.values()}


def _trial(context: RunContext, codes: tuple[int, ...], outcome: Outcome[RetrainOutcome]) -> Trial:
    architecture = context.space.decode(codes)
    trial = Trial(
        id=len(context.trials),
        stage="retrain",
        key=architecture.key,
        codes=codes,
        architecture=architecture.to_json(),
        seed=context.config.seed,
        state="failed",
        message=outcome.error,
        time=time.time(),
        host=socket.gethostname(),
    )
    if outcome.value is None:
        return trial
    result, quality = outcome.value, context.quality
    network = SpikingNetwork(architecture.expand())
    metrics = {
        **_on_device(context, architecture, result),
        quality.validation: quality.figure(result.validation_accuracy),
        quality.test: quality.figure(result.test_accuracy),
        "best_epoch": float(result.best_epoch),
        **rate_metrics(network, result.activity),
    }
    costs = measured_costs(context, architecture, result.activity)
    broken = context.budget.verdict(costs).violations
    return replace(trial, state="infeasible" if broken else "done", metrics=metrics, costs=costs, verdict=broken)


def _on_device(context: RunContext, architecture: Architecture, result: RetrainOutcome) -> dict[str, float]:
    """Accuracy on imperfect chips, if the config names a device."""
    device = device_reference(context)
    if device is None:
        return {}
    data, seed = data_reference(context), context.config.seed
    task = DeviceTask(architecture.to_json(), result.checkpoint, data, device, seed)
    outcome = next(iter(context.executor.map(evaluate_on_device, [task])))
    if outcome.value is None:
        raise HasnasError(f"cannot try {architecture.key} on {device.device}: {outcome.error}")
    return outcome.value
