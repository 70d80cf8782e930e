"""More of a run that is there: further evaluations, networks, seeds or files; what was done is not done again."""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hasnas.errors import BadInputError
from hasnas.files import write_atomic
from hasnas.nas.config.loading import dump_config, load_config
from hasnas.nas.config.overrides import parse_override
from hasnas.nas.config.plugins import STRATEGIES
from hasnas.nas.config.run import RunConfig
from hasnas.nas.history.formats import written_now
from hasnas.nas.history.layout import CONFIG_FILE, LEDGER_FILE
from hasnas.nas.history.ledger import Ledger, ledger_so_far
from hasnas.nas.history.records import Record
from hasnas.nas.history.run_config import EXTEND, load_run_config, told_identity
from hasnas.nas.history.rung import RUNG

from .preflight import NNI_STRATEGIES

GROWS = ("search.evaluations", "retrain.top", "retrain.seeds")
MAY_CHANGE = (*GROWS, "export.formats")
ELSEWHERE = ("executor", "ray", "tracking")  # where a run goes on and what shows it, which decide nothing


def extended_config(directory: Path, changes: Sequence[str]) -> RunConfig:
    """The config of a run with more asked of it; nothing is written.

    Args:
        directory: of the run.
        changes: `"search.evaluations=200"`, also of `retrain.top`, `retrain.seeds` and `export.formats`; and where
            it goes on and what shows it, `executor`, `ray` and `tracking`.

    Raises:
        BadInputError: for a change that makes another run, or asks for less.
    """
    old = load_run_config(directory)
    if not changes:
        return old
    keys = [parse_override(change)[0] for change in changes]
    for key, change in zip(keys, changes, strict=True):
        if key not in MAY_CHANGE and key.partition(".")[0] not in ELSEWHERE:
            raise BadInputError(
                f"--resume takes more of {', '.join(GROWS)}, and other {MAY_CHANGE[-1]}; '{change}' would make another "
                f"run: hasnas search {directory / CONFIG_FILE} '{change}' --run-dir DIR"
            )
    new = load_run_config(directory, changes)
    for name in GROWS:
        before, after = _number(old, name), _number(new, name)
        if after < before:
            raise BadInputError(f"{name}={after}: the run was asked for {before} already; give more, or leave it out")
    if new.search.evaluations > old.search.evaluations and old.search.enabled and _spreads(old.search.strategy):
        raise BadInputError(
            f"search.strategy '{old.search.strategy}' spreads its steps over search.evaluations, so more of them are "
            f"another search: hasnas search {directory / CONFIG_FILE} search.evaluations={new.search.evaluations} "
            "--run-dir DIR"
        )
    return new


def extend(directory: Path, changes: Sequence[str]) -> RunConfig:
    """Ask more of a run: its ledger ends where the larger run would have gone on, and its config says what is wanted.

    Trainings that the ledger forgets are found again by their checkpoints. Where the last batch of the search was not
    a full one, as it would be in the larger run, its candidates are evaluated again. What is cut off is kept as
    `ledger.before-N.jsonl`.

    Args:
        directory: of the run.
        changes: see `extended_config`.

    Returns:
        The new config.

    Raises:
        BadInputError: see `extended_config`; or if another process works on the run.
    """
    contents = ledger_so_far(directory / LEDGER_FILE)  # may be long; without changes it is read once
    old, events = load_run_config(directory, contents=contents), contents.events
    new = extended_config(directory, changes) if changes else old
    former, identity = told_identity(old, events), told_identity(new, events)
    if former != identity:
        _tell_ledger(directory, old, new, {"former": former, "identity": identity, "changes": list(changes)})
    if load_config(directory / CONFIG_FILE) != new:
        write_atomic(directory / CONFIG_FILE, dump_config(new))
    return new


def _tell_ledger(directory: Path, old: RunConfig, new: RunConfig, details: dict[str, Any]) -> None:
    with Ledger(directory / LEDGER_FILE) as ledger:
        known = _known(ledger.records, old, more=new.search.evaluations > old.search.evaluations)
        ledger.cut(known)
        record = {"kind": "event", "event": EXTEND, "stage": "run", "details": {**written_now(), **details}}
        ledger.append({**record, "time": time.time(), "host": socket.gethostname()})


def _known(records: Sequence[Record], old: RunConfig, more: bool) -> int:
    """How many records the larger run shares: those before the first retraining, and full batches if it asks more."""
    whole = old.search.evaluations
    full = whole - whole % old.search.batch if more and not old.search.asynchronous else whole
    for place, record in enumerate(records):
        if record.get("kind") == "trial" and (record["stage"] != "search" or record["id"] >= full):
            return place
        if record.get("kind") == RUNG and record["trial"] >= full:
            return place
    return len(records)


def _spreads(strategy: str) -> bool:
    """Whether a strategy plans its steps by the number of evaluations; NNI's do not, and take long to import."""
    return strategy not in NNI_STRATEGIES and getattr(STRATEGIES.get(strategy), "spreads_over_evaluations", False)


def _number(config: RunConfig, key: str) -> int:
    section, _, name = key.partition(".")
    return int(getattr(getattr(config, section), name))
