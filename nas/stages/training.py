"""Stage 4: the chosen networks, trained from scratch, tested once, and priced with their measured activity."""

from __future__ import annotations

import math
import socket
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import Any

from hasnas.errors import BadInputError, HasnasError
from hasnas.nas.budget.costs import with_measured
from hasnas.nas.budget.measured import SCORE_PREFIX, TRAINING_SECONDS
from hasnas.nas.executors import Outcome, map_once
from hasnas.nas.history.checkpoint import load_checkpoint
from hasnas.nas.history.goal import merit
from hasnas.nas.history.returned import STAGE, of_baselines, retrained_networks, training_names
from hasnas.nas.history.trial import Choice, Trial, key_of
from hasnas.nas.training.folders import BEST_FILE, read_activity, retrain_directory
from hasnas.nas.training.retrain import RetrainOutcome, RetrainTask, run_retrain_task
from hasnas.search_spaces.architecture import Architecture

from .chosen import Chosen, chosen_networks
from .context import RunContext, measured_costs
from .evaluation import TrainedTask, evaluate_trained, input_rate_metrics, rate_metrics
from .mapped import mapping_reference
from .search import search_trials
from .supernet import data_reference, device_reference
from .watch import EpochWatch, forget


def run_retrain(context: RunContext) -> None:
    """Do the trainings that the ledger does not hold yet, in parallel, and record them in order.

    Each network is trained `retrain.seeds` times, from the run's seed on; network by network, the best first, then
    those of the baselines.
    """
    if not context.config.retrain.enabled:
        context.console.say("retrain: switched off; no network is returned")
        return
    _mend_weights(context)
    wanted = [(network, seed) for network in chosen_networks(context) for seed in _seeds(context)]
    first = len(search_trials(context))
    missing = wanted[len(context.trials) - first :]
    tasks = [
        _task(context, network.architecture.to_json(), context.choices(network.placed)[1], seed)
        for network, seed in missing
    ]
    outcomes = map_once(context.executor, run_retrain_task, tasks, lambda task: task.checkpoint_directory)
    epochs, best, lock = context.config.retrain.epochs, -math.inf, Lock()
    reached, done = [0] * len(missing), (len(wanted) - len(missing)) * epochs
    named = [(network.stage, network.key(context), seed) for network, seed in wanted]
    names = training_names(named, context.config.retrain.seeds)[len(wanted) - len(missing) :]

    def on_epoch(index: int, epoch: int, merits: Mapping[str, float]) -> None:
        metrics = context.quality.of_epoch(merits)
        with lock:
            reached[index] = max(reached[index], min(epoch, epochs))
            context.tracker.on_epoch(names[index], epoch, metrics)
            bar.move_to(done + sum(reached))
            bar.show(_figures(context, metrics))

    folders = [Path(task.checkpoint_directory) for task in tasks]
    forget(folders)
    watch = EpochWatch(folders, on_epoch)
    with context.console.bar("retrain", len(wanted) * epochs, "epoch") as bar, watch.watching():
        bar.begin_at(done)
        for index, ((network, seed), outcome) in enumerate(zip(missing, outcomes, strict=True)):
            trial = _trial(context, network, seed, outcome)
            if outcome.value is not None:
                for record in outcome.value.history:
                    on_epoch(index, record.epoch, record.metrics())
            with lock:
                context.record(trial)
                reached[index] = epochs  # fewer where patience ended it
                bar.move_to(done + sum(reached))
            if trial.stage == STAGE:
                best = max(best, merit(trial.metrics))  # that of a failed one is NaN, which is never larger
            bar.show({"best": context.quality.show(context.quality.figure(best))})
    failed = [*failures(context), *(trial for trial in of_baselines(context.trials) if trial.state == "failed")]
    if len(failed) < len(wanted):
        for trial in failed:
            context.console.say(f"retrain: {_label(context, trial)} failed: {trial.message}")
    _tell_of_some_over_budget(context)


def _seeds(context: RunContext) -> range:
    """The seeds that each network is trained from."""
    first = context.config.seed
    return range(first, first + context.config.retrain.seeds)


def _label(context: RunContext, trial: Trial) -> str:
    """What a training is called: by its network, and by its seed where there are several."""
    return trial.key if context.config.retrain.seeds == 1 else f"{trial.key}, seed {trial.seed}"


def _figures(context: RunContext, metrics: Mapping[str, float]) -> dict[str, str]:
    """The latest figures of a training, for the bar."""
    loss, quality = metrics.get("loss"), context.quality
    figures = {} if loss is None else {"loss": f"{loss:.3g}"}
    return figures | {"validation": quality.show(metrics.get(quality.validation))}


def _tell_of_some_over_budget(context: RunContext) -> None:
    """Name the networks that some trainings, but not all, put over the budget: they are not returned."""
    for network in retrained_networks(context.trials):
        over = [trial for trial in network.finished if trial.verdict]
        if over and len(over) < len(network.finished):
            limits = ", ".join(network.summary.verdict)
            context.console.say(
                f"retrain: {network.key} is over the budget ({limits}) with {len(over)} of {len(network.finished)} "
                "seeds; it is not returned"
            )


def failures(context: RunContext) -> list[Trial]:
    """Trainings that failed."""
    return [trial for trial in context.trials if trial.stage == STAGE and trial.state == "failed"]


def require_a_trained_network(context: RunContext) -> None:
    """Refuse to end a run well in which every training failed.

    Raises:
        HasnasError: with the reason of the first one.
    """
    failed = failures(context)
    if failed and len(failed) == sum(trial.stage == STAGE for trial in context.trials):
        raise HasnasError(f"no network could be trained; {failed[0].key}: {failed[0].message}")


def _mend_weights(context: RunContext) -> None:
    """Train again what the ledger calls trained but whose weights are gone or damaged; it repeats exactly."""
    for trial in context.trials:
        folder = retrain_directory(context.directory, trial.trained_as, trial.seed)
        if trial.stage != STAGE or trial.state == "failed":
            continue
        try:
            load_checkpoint(folder / BEST_FILE)
            read_activity(folder)
        except BadInputError as error:
            label = _label(context, trial)
            context.console.say(f"retrain: {str(error).split(';')[0]}; making the weights of {label} again")
            task = _task(context, trial.architecture, trial.training, trial.seed)
            outcome = next(iter(context.executor.map(run_retrain_task, [task])))
            if outcome.failed:
                raise HasnasError(f"cannot make the weights of {label} again: {outcome.error}") from error


def _task(
    context: RunContext, architecture: Mapping[str, Any], training: Mapping[str, Choice], seed: int
) -> RetrainTask:
    section = context.config.retrain
    trained_as = key_of(Architecture.from_json(architecture).key, training)
    directory = retrain_directory(context.directory, trained_as, seed)
    return RetrainTask(
        architecture,
        data_reference(context),
        section.chosen(training) if training else section,
        seed,
        str(directory),
    )


def _trial(context: RunContext, network: Chosen, seed: int, outcome: Outcome[RetrainOutcome]) -> Trial:
    architecture, (hardware, training) = network.architecture, context.choices(network.placed)
    trial = Trial(
        id=len(context.trials),
        stage=network.stage,
        key=network.key(context),
        codes=network.codes,
        architecture=architecture.to_json(),
        seed=seed,
        state="failed",
        message=outcome.error,
        time=time.time(),
        host=socket.gethostname(),
        hardware=hardware,
        training=training,
    )
    if outcome.value is None:
        return trial
    result, quality = outcome.value, context.quality
    metrics = {
        **_on_hardware(context, network, result),
        quality.validation: quality.figure(result.merit),
        quality.test: quality.figure(result.test_accuracy),
        "best_epoch": float(result.best_epoch),
        **rate_metrics(architecture.expand(), result.activity),
        **input_rate_metrics(architecture.expand(), result.activity),
    }
    priced = measured_costs(context, architecture, context.hardware_of(network.placed), result.activity)
    costs = with_measured(context.config.costs, priced, {**_of_search(context, network.codes), **metrics})
    broken = context.budget.verdict(costs).violations
    return replace(trial, state="infeasible" if broken else "done", metrics=metrics, costs=costs, verdict=broken)


def _of_search(context: RunContext, codes: tuple[int, ...]) -> dict[str, float]:
    """What only the search tells of a network, and a retraining does not: its score, and how long it took to train."""
    found = next((trial.metrics for trial in search_trials(context) if trial.codes == codes), {})
    return {name: value for name, value in found.items() if name == TRAINING_SECONDS or name.startswith(SCORE_PREFIX)}


def _on_hardware(context: RunContext, network: Chosen, result: RetrainOutcome) -> dict[str, float]:
    """Accuracy on imperfect chips and costs as mapped, where the config names them; every training meets the same."""
    device = device_reference(context)
    mapping = mapping_reference(context.config, context.hardware_of(network.placed))
    named = [*([device.device] if device else []), *([mapping.recipe] if mapping else [])]
    if not named:
        return {}
    data, seed = data_reference(context), context.config.seed
    task = TrainedTask(network.architecture.to_json(), result.checkpoint, data, seed, device, mapping)
    outcome = next(iter(context.executor.map(evaluate_trained, [task])))
    if outcome.value is None:
        raise HasnasError(f"cannot try {network.architecture.key} on hardware ({', '.join(named)}): {outcome.error}")
    return outcome.value
