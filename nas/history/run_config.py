"""The config of a run that is there: as it was started, with what was asked of it since."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hasnas.errors import BadInputError
from hasnas.files import is_there
from hasnas.nas.config.loading import config_identity, load_config
from hasnas.nas.config.run import RunConfig

from .layout import CONFIG_FILE, LEDGER_FILE
from .ledger import LedgerContents, ledger_so_far
from .records import Record

EXTEND = "extend"


def load_run_config(
    run_directory: Path, changes: Sequence[str] = (), contents: LedgerContents | None = None
) -> RunConfig:
    """The resolved config of a run.

    Args:
        run_directory: of the run.
        changes: further ones, which the ledger need not know yet.
        contents: of its ledger, where they were read already.

    Raises:
        BadInputError: if the directory holds no run, or its config is not the one that the ledger tells of.
    """
    path = run_directory / CONFIG_FILE
    if not is_there(path):
        raise BadInputError(f"{run_directory} holds no run (no {CONFIG_FILE}); list runs with: hasnas ls")
    contents = contents or ledger_so_far(run_directory / LEDGER_FILE)
    config, events, missed = load_config(path, changes), contents.events, list[str]()
    if last_identity(events) is None:  # it has not begun
        return config
    config = load_config(path)
    found = told_identity(config, events)
    for event in events:  # a crash between the ledger's line and the config's leaves the config as it was before
        if event.get("event") == EXTEND and event["details"]["former"] == found:
            missed += event["details"]["changes"]
            config = load_config(path, missed)
            found = told_identity(config, events)
    if last_identity(events) != found and contents.damage is None:  # else the newest may be lost
        raise BadInputError(
            f"{path} was changed after the run had started; put the old one back, "
            "or start a new run with: hasnas search CONFIG --run-dir DIR"
        )
    return load_config(path, [*missed, *changes]) if changes else config


def nothing_returned(run_directory: Path) -> BadInputError:
    """What to raise where a network is wanted of a run that has returned none: why, and what brings one."""
    contents = ledger_so_far(run_directory / LEDGER_FILE)
    config, told = load_run_config(run_directory, contents=contents), f"{run_directory} has returned no network"
    if contents.damage:
        return BadInputError(f"{told} yet ({contents.damage}); go on: hasnas search --resume {run_directory}")
    if not config.retrain.enabled:
        return BadInputError(f"{told}: its config has retrain.enabled = false; start a run that retrains")
    if has_ended(contents.events):
        return BadInputError(f"{told}: none that was retrained fits the budget; see hasnas status {run_directory}")
    return BadInputError(f"{told} yet; go on: hasnas search --resume {run_directory}")


def read_events(run_directory: Path) -> Sequence[Record]:
    """The events of a run's ledger; none if there is no ledger yet."""
    return ledger_so_far(run_directory / LEDGER_FILE).events


def has_ended(events: Sequence[Record]) -> bool:
    """Whether a run was finished when the last of its events was written."""
    return bool(events) and events[-1].get("event") == "end"


def last_identity(events: Sequence[Record]) -> str | None:
    """The identity of the config that a run has now; None before it has begun."""
    found = [event["details"]["identity"] for event in events if "identity" in event.get("details", {})]
    return found[-1] if found else None


def told_identity(config: RunConfig, events: Sequence[Record]) -> str:
    """The identity of a config, the files that it names being those that the ledger tells of, wherever they are now."""
    told = [event["details"]["contents"] for event in events if "contents" in event.get("details", {})]
    return config_identity(config, told[-1] if told else None)
