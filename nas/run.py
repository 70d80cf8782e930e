"""One YAML -> one run directory: the composition root. A run that was stopped at any moment goes on where it was."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from hasnas.errors import BadInputError, MachineFaultError
from hasnas.files import remove_leftovers, write_atomic

from .config.loading import config_identity, dump_config, load_config
from .config.run import RunConfig
from .executors import StopAtMachineFaults, create_executor
from .history.formats import written_now
from .history.layout import CONFIG_FILE, LEDGER_FILE, RUNS, STAGES
from .history.ledger import Ledger
from .history.records import Record
from .history.run_config import has_ended, last_identity, read_events
from .history.trial import Trial
from .stages.context import RunContext, Setup
from .stages.extending import extend, extended_config
from .stages.preflight import Preflight, preflight
from .stages.progress import Console
from .stages.screen import run_screen
from .tracking import AllTrackers, TrackedRun, create_tracker

SCREEN, *RUNNING_NETWORKS = STAGES


def start_run(
    config_path: Path | str,
    overrides: Sequence[str] = (),
    run_directory: Path | str | None = None,
    workers: int | None = None,
    checked: Preflight | None = None,
    time_limit_s: float | None = None,
) -> Path:
    """Run a config from the start, or go on if its directory holds the same run.

    Args:
        config_path: the YAML.
        overrides: dotted changes, `"budget.energy=2 uJ"`.
        run_directory: where everything goes; by default `runs/<name>`.
        workers: evaluations at a time; None is one, on a Ray cluster as many as it has room for. The result does not
            depend on it.
        checked: what `preflight` found, if it was asked already.
        time_limit_s: the longest that one evaluation or training may take; see `ProcessPool`.

    Returns:
        The run directory.

    Raises:
        BadInputError: for anything wrong in the config or about the directory.
        NothingFitsError: if the budget leaves nothing.
    """
    config = load_config(Path(config_path), overrides)
    directory, setup = Path(run_directory or RUNS / config.name), Setup(config, Console())
    found = checked or preflight(setup, directory)  # what would fail later fails before a directory is made
    _claim(directory, config, found)
    return _run(setup, directory, workers, found, time_limit_s)


def resume_run(
    run_directory: Path,
    workers: int | None = None,
    checked: Preflight | None = None,
    changes: Sequence[str] = (),
    time_limit_s: float | None = None,
) -> Path:
    """Go on with a run that was stopped; a finished one is checked and left as it is, unless more is asked of it.

    Args:
        run_directory: of the run.
        workers: see `start_run`.
        checked: what `preflight` found, if it was asked already.
        changes: what more is asked, `"search.evaluations=200"`; see `extended_config`.
        time_limit_s: see `start_run`.

    Raises:
        BadInputError: if the directory holds no run, another process works on it, or the changes make another run.
    """
    setup = Setup(extended_config(run_directory, changes), Console())
    found = checked or preflight(setup, run_directory)
    _check_contents(run_directory, read_events(run_directory), found)
    extend(run_directory, changes)
    return _run(setup, run_directory, workers, found, time_limit_s)


def _claim(directory: Path, config: RunConfig, found: Preflight) -> None:
    """Make the run directory, or make sure that it belongs to this config."""
    path = directory / CONFIG_FILE
    if path.exists():
        events = read_events(directory)
        _check_contents(directory, events, found)
        if (last_identity(events) or config_identity(load_config(path))) != config_identity(config):
            raise BadInputError(
                f"{directory} belongs to a run with another config; give another --run-dir or name, "
                f"or go on with the old one: hasnas search --resume {directory} [search.evaluations=MORE]"
            )
        if load_config(path).model_copy(update={"versions": {}}) != config:  # files were moved
            write_atomic(path, dump_config(config))
        return
    try:
        directory.mkdir(parents=True, exist_ok=True)
        foreign = [item.name for item in directory.iterdir() if not item.name.startswith(".")]
    except OSError as error:
        raise BadInputError(
            f"cannot use the run directory {directory}: {error.strerror or error}; give another --run-dir"
        ) from error
    if foreign:
        raise BadInputError(f"{directory} holds other files ({foreign[0]}, ...); give an empty or new --run-dir")
    write_atomic(path, dump_config(config))


def _run(setup: Setup, directory: Path, workers: int | None, found: Preflight, time_limit_s: float | None) -> Path:
    config, console = setup.config, setup.console
    _check_contents(directory, read_events(directory), found)
    console.say(f"data: {found.facts.describe()}")
    for note in found.notes:
        console.say(f"note: {note}")
    with ExitStack() as stack:
        ledger = stack.enter_context(Ledger(directory / LEDGER_FILE))
        if ledger.damage:
            console.say(f"ledger: {ledger.damage}")
        remove_leftovers(directory)  # nobody else works on the run now
        executor = StopAtMachineFaults(create_executor(workers, time_limit_s, config.executor, config.ray))
        stack.callback(executor.close)
        if described := executor.describe():
            console.say(f"executor: {described}")
        trials = list(map(Trial.from_record, ledger.records.of_kind("trial")))
        identity = config_identity(config)
        ended = len(ledger.records) if has_ended(ledger.records[-1:]) else None
        context = RunContext(config, console, directory, ledger, executor, AllTrackers({}), trials, ended=ended)
        at_a_time = workers if config.executor == "ray" else workers or 1  # None: as many as a cluster has room for
        where = {"workers": at_a_time, "executor": config.executor}
        found_now = {"identity": identity, "contents": found.contents, "data": found.facts.to_json()}
        details = {**written_now(), **where, **found_now}
        context.event("resume" if ledger.records else "start", "run", details)
        _do(context, SCREEN, run_screen)
        # A budget that nothing fits is told before torch is imported and views are opened.
        from .training.devices import describe, on_device

        tracked = TrackedRun(directory, config, trials, setup.quality, found.facts, setup.space.genes)
        context.tracker = create_tracker(tracked)
        stack.callback(context.tracker.close)
        device = describe(stack.enter_context(on_device(config.device)))
        console.say(f"device: {device}")
        context.event("device", "run", {"device": device})
        for stage, run in _stages_that_run_networks().items():
            _do(context, stage, run)
        context.event("end", "run")
    return directory


def _stages_that_run_networks() -> dict[str, Callable[[RunContext], None]]:
    """Name -> stage, in their order; they take seconds to import."""
    from .stages.exporting import run_export
    from .stages.search import run_search
    from .stages.supernet import run_supernet
    from .stages.training import run_retrain

    return dict(zip(RUNNING_NETWORKS, (run_supernet, run_search, run_retrain, run_export), strict=True))


def _do(context: RunContext, stage: str, run: Callable[[RunContext], None]) -> None:
    """One stage, with its begin and end in the ledger."""
    context.event("stage_begin", stage)
    try:
        run(context)
    except MachineFaultError as error:
        remedy = f"mend that, then go on with: hasnas search --resume {context.directory}"
        raise MachineFaultError(f"{stage} stopped: {error}; {remedy}") from error
    context.event("stage_end", stage)


def _check_contents(directory: Path, events: Sequence[Record], found: Preflight) -> None:
    """A run goes on with the data and the files that it was started with, wherever they lie now.

    Raises:
        BadInputError: naming what has another content.
    """
    for event in events:
        details = event.get("details", {})
        known = {**details.get("contents", {}), "dataset": details.get("data", {}).get("digest")}
        for key, digest in {**found.contents, "dataset": found.facts.digest}.items():
            if known.get(key) not in (None, digest):
                what = "another dataset" if key == "dataset" else f"another content of {key}"
                raise BadInputError(
                    f"{directory} belongs to a run with {what} (what a file holds counts, not where it lies); "
                    "put the old one back, or start a new run with another --run-dir"
                )
