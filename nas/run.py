"""One YAML -> one run directory: the composition root. A run that was stopped at any moment goes on where it was."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from hasnas.errors import BadInputError
from hasnas.files import write_atomic

from .config.loading import RunConfig, config_identity, dump_config, load_config
from .executors import create_executor
from .history.layout import CONFIG_FILE, LEDGER_FILE, STAGES
from .history.ledger import Ledger
from .history.trial import Trial
from .stages.context import RunContext, Setup
from .stages.exporting import run_export
from .stages.forecast import Forecast, forecast
from .stages.progress import Console
from .stages.screen import run_screen
from .stages.search import run_search
from .stages.supernet import run_supernet
from .stages.training import run_retrain
from .tracking import create_tracker

RUNS = Path("runs")
RUNNERS: dict[str, Callable[[RunContext], None]] = dict(
    zip(STAGES, (run_screen, run_supernet, run_search, run_retrain, run_export), strict=True)
)


def start_run(
    config_path: Path | str, overrides: Sequence[str] = (), run_directory: Path | str | None = None, workers: int = 1
) -> Path:
    """Run a config from the start, or go on if its directory holds the same run.

    Args:
        config_path: the YAML.
        overrides: dotted changes, `"budget.energy=2 uJ"`.
        run_directory: where everything goes; by default `runs/<name>`.
        workers: processes that evaluate candidates; the result does not depend on it.

    Returns:
        The run directory.

    Raises:
        BadInputError: for anything wrong in the config or about the directory.
        NothingFitsError: if the budget leaves nothing.
    """
    config = load_config(Path(config_path), overrides)
    directory, setup = Path(run_directory or RUNS / config.name), Setup(config, Console())
    _ = setup.card, setup.space  # what cannot be used is refused before a directory is made
    _claim(directory, config)
    return _run(setup, directory, workers)


def resume_run(run_directory: Path, workers: int = 1) -> Path:
    """Go on with a run that was stopped; a finished one is checked and left as it is.

    Raises:
        BadInputError: if the directory holds no run, or another process works on it.
    """
    path = run_directory / CONFIG_FILE
    if not path.exists():
        raise BadInputError(f"{run_directory} holds no run (no {CONFIG_FILE}); start one with: hasnas search CONFIG")
    return _run(Setup(load_config(path), Console()), run_directory, workers)


def _claim(directory: Path, config: RunConfig) -> None:
    """Make the run directory, or make sure that it belongs to this config."""
    path = directory / CONFIG_FILE
    if path.exists():
        if config_identity(load_config(path)) != config_identity(config):
            raise BadInputError(
                f"{directory} belongs to a run with another config; give another --run-dir or name, "
                f"or go on with the old one: hasnas search --resume {directory}"
            )
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


def _run(setup: Setup, directory: Path, workers: int) -> Path:
    config, console = setup.config, setup.console
    with ExitStack() as stack:
        ledger = stack.enter_context(Ledger(directory / LEDGER_FILE))
        if ledger.damage:
            console.say(f"ledger: {ledger.damage}")
        executor = create_executor(workers)
        stack.callback(executor.close)
        trials = [Trial.from_record(record) for record in ledger.records if record.get("kind") == "trial"]
        identity = config_identity(config)
        _check_identity(directory, ledger, identity)
        tracker = create_tracker(directory, config, trials, setup.quality)
        stack.callback(tracker.close)
        context = RunContext(config, console, directory, ledger, executor, tracker, trials)
        context.event("resume" if ledger.records else "start", "run", {"workers": workers, "identity": identity})
        for stage in STAGES:
            context.event("stage_begin", stage)
            RUNNERS[stage](context)
            context.event("stage_end", stage)
        context.event("end", "run")
    return directory


def _check_identity(directory: Path, ledger: Ledger, identity: str) -> None:
    """A run goes on with the config that it was started with, or not at all."""
    for record in ledger.records:
        known = record.get("details", {}).get("identity", identity)
        if known != identity:
            raise BadInputError(
                f"{directory / CONFIG_FILE} was changed after the run had started; put the old one back, "
                "or start a new run with: hasnas search CONFIG --run-dir DIR"
            )


def dry_run(config_path: Path, overrides: Sequence[str] = ()) -> Forecast:
    """What `start_run` would do: size of the space, share that fits the budget, estimated time. Writes nothing.

    Raises:
        BadInputError: for anything wrong in the config.
        NothingFitsError: if the budget leaves nothing.
    """
    return forecast(Setup(load_config(config_path, overrides), Console()))
