"""A run as Python sees it: what it found, as plain data, data frames and torch modules; the other face is `cli.py`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hasnas.errors import BadInputError

from .history.run_config import load_run_config, nothing_returned
from .history.stored_run import read_run
from .tracking.html import Markup, element, table
from .tracking.shown_trial import ShownTrial, shown_trials
from .tracking.status import run_status
from .tracking.status_text import describe_status
from .tracking.tables import pareto_rows

if TYPE_CHECKING:
    from .export.saved_network import ReturnedNetwork


def search(
    config: Path | str,
    overrides: Mapping[str, Any] | Sequence[str] = (),
    run_directory: Path | str | None = None,
    workers: int | None = None,
) -> Run:
    """Search, retrain and export as `hasnas search` does; a run that is there already is gone on with.

    Args:
        config: the YAML.
        overrides: dotted changes, `{"budget.energy": "2 uJ"}` or `["budget.energy=2 uJ"]`.
        run_directory: where everything goes; by default `runs/<name>`.
        workers: processes that evaluate candidates; None is one, with Ray all that there is room for. The result does
            not depend on it.

    Raises:
        BadInputError: for anything wrong in the config or about the directory.
        NothingFitsError: if the budget leaves nothing.
    """
    from .run import start_run

    if not isinstance(workers, int | None):
        raise BadInputError(f"workers is {workers!r}; give a whole number, or None for one")
    return Run(start_run(config, _as_changes(overrides), run_directory, workers))


def _as_changes(overrides: Mapping[str, Any] | Sequence[str]) -> list[str]:
    """Dotted changes as the command line has them.

    Raises:
        BadInputError: if they are something else, a single text among them.
    """
    if isinstance(overrides, Mapping):
        try:
            return [f"{name}={json.dumps(value)}" for name, value in overrides.items()]
        except (TypeError, ValueError) as error:
            raise BadInputError(f"overrides: {error}; give numbers, texts, lists and mappings as values") from error
    if isinstance(overrides, str) or not isinstance(overrides, Sequence):
        raise BadInputError(
            f"overrides is {overrides!r}; give a mapping such as {{'seed': 1}}, or a list such as ['seed=1']"
        )
    return list(overrides)


def open_run(directory: Path | str) -> Run:
    """A run that is there, finished or not.

    Raises:
        BadInputError: if the directory holds no run.
    """
    run = Run(Path(directory))
    load_run_config(run.directory)
    return run


@dataclass(frozen=True)
class Run:
    """A run directory.

    Args:
        directory: as `hasnas search` made it.

    >>> Run(Path("runs/nothing")).best
    Traceback (most recent call last):
        ...
    hasnas.errors.BadInputError: runs/nothing holds no run (no config.yaml); list runs with: hasnas ls
    """

    directory: Path

    @property
    def status(self) -> dict[str, Any]:
        """What `hasnas status --json` says, see `hasnas.nas.tracking.status.run_status`."""
        return run_status(self.directory)

    @property
    def returned(self) -> list[FoundNetwork]:
        """The networks that the run returned, the best first."""
        return [FoundNetwork(self.directory, facts) for facts in self.status["returned"]]

    @property
    def best(self) -> FoundNetwork:
        """The run's answer.

        Raises:
            BadInputError: if no network was returned yet.
        """
        status = self.status
        if not status["returned"]:
            raise nothing_returned(self.directory)
        return FoundNetwork(self.directory, status["returned"][0])

    def show(self, trial: int | str) -> list[ShownTrial]:
        """A trial beside the limits, by its number; or all trials of a network, by its key or the key's beginning.

        Raises:
            BadInputError: if there is none.
        """
        return shown_trials(self.directory, str(trial))

    def front(self) -> Any:
        """The rows of `pareto.csv` in SI units: a pandas frame where pandas is installed, else a list of mappings."""
        names, rows = self._front_rows()
        records = [dict(zip(names, row, strict=True)) for row in rows]
        try:
            from pandas import DataFrame
        except ModuleNotFoundError:
            return records
        return DataFrame(records, columns=names)

    def _front_rows(self) -> tuple[list[str], list[list[Any]]]:
        run = read_run(self.directory)
        names, *rows = pareto_rows(run.trials, run.config.search.objectives)
        return names, rows

    def __str__(self) -> str:
        return describe_status(self.status)

    def _repr_html_(self) -> str:
        """How a notebook shows the run."""
        names, rows = self._front_rows()
        shown = [[value if isinstance(value, str) else format(value, ".6g") for value in row] for row in rows]
        parts = element("h3", f"Run {self.directory}"), element("pre", str(self)), table(names, shown)
        return "".join(part.html for part in parts if isinstance(part, Markup))


@dataclass(frozen=True)
class FoundNetwork:
    """A network that a run returned.

    Args:
        run_directory: of the run.
        facts: its entry in `Run.status["returned"]`: key, figures, costs in SI units, what they are worth.
    """

    run_directory: Path
    facts: Mapping[str, Any]

    @property
    def key(self) -> str:
        """Of the architecture; names its folder below `export/`."""
        return str(self.facts["key"])

    @property
    def folder(self) -> Path:
        """Where it is exported."""
        return self.run_directory / "export" / self.key

    def load(self) -> ReturnedNetwork:
        """The trained network as a torch module, in evaluation mode; it takes samples as the dataset gives them.

        Raises:
            BadInputError: if it was not exported as json and safetensors, or a file is damaged.
        """
        from .export.saved_network import load_network

        return load_network(self.folder)
