"""The check of a config and of all that it names, before anything heavy is imported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from hasnas.errors import BadInputError
from hasnas.nas.budget.budget import describe_limits
from hasnas.nas.config.loading import load_config
from hasnas.nas.history.layout import RUNS
from hasnas.nas.history.worth import DataFacts
from hasnas.nas.stages.context import Setup
from hasnas.nas.stages.extending import extended_config
from hasnas.nas.stages.preflight import Preflight, preflight
from hasnas.nas.stages.progress import Console
from hasnas.search_spaces.space import size_text, space_size


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


@dataclass(frozen=True)
class ValidConfig:
    """A config that was found sound.

    Args:
        path: the YAML.
        run: name of the run.
        dataset: its name.
        space: name of the search space.
        architectures: how many it holds, as drawn.
        hardware: name of the chip.
        budget: name of a cost -> limit in SI units.
        data: samples and what they are worth.
        notes: what a person should hear.
    """

    path: Path
    run: str
    dataset: str
    space: str
    architectures: int
    hardware: str
    budget: Mapping[str, float]
    data: DataFacts
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain data, in SI units."""
        return {**{each.name: getattr(self, each.name) for each in fields(self)}, "data": self.data.to_json()}

    def describe(self) -> str:
        """A line or two for people."""
        first = (
            f"{self.path} is valid: run {self.run}, dataset {self.dataset}, space {self.space} with "
            f"{size_text(self.architectures)} architectures, hardware {self.hardware}, "
            f"budget: {describe_limits(self.budget)}"
        )
        return "\n".join([first, f"data: {self.data.describe()}", *(f"note: {note}" for note in self.notes)])


def validate_config(path: Path, overrides: list[str]) -> ValidConfig:
    """Check a config with all that it names: dataset, space, hardware, budget, machine.

    Raises:
        BadInputError: in one line, for whatever is wrong.
    """
    setup = Setup(load_config(path, overrides), Console(quiet=True))
    found = preflight(setup)
    try:
        count, hardware = space_size(setup.space), setup.hardware.name
    except BadInputError as error:
        raise BadInputError(f"{path}: {error}") from error
    config = setup.config
    names = config.name, setup.card.name, config.space.name
    return ValidConfig(path, *names, count, hardware, dict(setup.budget.limits), found.facts, found.notes)
