"""The check of a config and of all that it names, before anything heavy is imported."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hasnas.nas.config.loading import load_config
from hasnas.nas.history.layout import RUNS
from hasnas.nas.stages.context import Setup
from hasnas.nas.stages.extending import extended_config
from hasnas.nas.stages.preflight import Preflight, preflight
from hasnas.nas.stages.progress import Console


def check_config(path: Path, overrides: Sequence[str], run_directory: Path | None, writes: bool) -> Preflight:
    """What `preflight` finds of a config.

    Args:
        path: the YAML.
        overrides: changes of single keys.
        run_directory: as on the command line; None for the usual one.
        writes: whether a run is to be written.

    Raises:
        BadInputError: for whatever would stop the run.
    """
    config = load_config(path, overrides)
    directory = (run_directory or RUNS / config.name) if writes else None
    return preflight(Setup(config, Console(quiet=True)), directory)


def check_run(directory: Path, changes: Sequence[str] = ()) -> Preflight:
    """What `preflight` finds of a run that is to go on, with `changes` that ask more of it.

    Raises:
        BadInputError: if the directory holds no run, or something would stop it.
    """
    return preflight(Setup(extended_config(directory, changes), Console(quiet=True)), directory)
