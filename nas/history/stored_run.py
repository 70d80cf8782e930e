"""A run as its directory holds it: what every view of it is made of, read once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from hasnas.nas.config.run import RunConfig

from .layout import LEDGER_FILE
from .ledger import LedgerContents, ledger_so_far
from .run_config import load_run_config
from .trial import Trial


@dataclass(frozen=True, eq=False)
class StoredRun:
    """A run directory that was read.

    Args:
        directory: of the run.
        config: the resolved one, see `load_run_config`.
        contents: of its ledger, every line checked; nothing where the run has not begun.
    """

    directory: Path
    config: RunConfig
    contents: LedgerContents

    @cached_property
    def trials(self) -> Sequence[Trial]:
        """All of them, made once and kept; for one pass over very many take `contents.stored_trials`."""
        return self.contents.trials


def read_run(directory: Path | str) -> StoredRun:
    """Read a run directory as it is now.

    Raises:
        BadInputError: if it holds no run, or its ledger cannot be read.

    >>> read_run("runs/nothing")
    Traceback (most recent call last):
        ...
    hasnas.errors.BadInputError: runs/nothing holds no run (no config.yaml); list runs with: hasnas ls
    """
    contents = ledger_so_far(Path(directory) / LEDGER_FILE)
    return StoredRun(Path(directory), load_run_config(Path(directory), contents=contents), contents)
