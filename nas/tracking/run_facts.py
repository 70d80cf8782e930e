"""What TensorBoard's pages say of a run as a whole: its limits and settings, and which of them set it apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hasnas.errors import BadInputError
from hasnas.nas.budget.budget import Budget
from hasnas.nas.budget.costs import STANDARD, Cost
from hasnas.nas.config.run import RunConfig
from hasnas.nas.config.sections import HardwareSection
from hasnas.nas.history.goal import Goal
from hasnas.nas.history.layout import CONFIG_FILE
from hasnas.nas.history.worth import DataFacts
from hasnas.yaml_files import read_yaml

from .tracker import TrackedRun

ENDS = ("accuracy, at least (95 %)", "accuracy, at most (95 %)")
DEVIATION = "standard deviation over seeds"
NOT_COMPARED: Any = {
    **dict.fromkeys(("name", "versions", "tracking", "executor", "ray", "export"), True),
    "dataset": {"root"},
    "supernet": {"source"},
}
# Runs of one folder differ in these most often; a run that is started later may differ in them from all before.
USUAL = ("seed", "hardware.preset", "search.strategy", "search.evaluations")
NEIGHBOURS = 20


@dataclass(frozen=True)
class RunFacts:
    """What the pages must know of a run beside its trials.

    One row of the hparams page is a run, not a candidate: beyond 40 rows TensorBoard shows no curve until they are
    ticked one by one.

    Args:
        title: name of the run.
        budget: the limits.
        settings: dotted key -> number or text, the config's.
        columns: those of them that get a column -> whether they set the run apart, see `columns_of`.
        goal: what candidates are ranked by.
        seeds: trainings of each chosen network.
        costs: that the run prices.
        baselines: what the returned networks are compared with.
        data: what is known of its samples.
        directory: of the run, for what it holds beside the ledger.
        hardware: the chip.
    """

    title: str
    budget: Budget = field(default_factory=Budget)
    settings: Mapping[str, str | float] = field(default_factory=dict)
    columns: Mapping[str, bool] = field(default_factory=dict)
    goal: Goal = field(default_factory=Goal)
    seeds: int = 1
    costs: tuple[Cost, ...] = STANDARD
    baselines: tuple[str, ...] = ()
    data: DataFacts | None = None
    directory: Path | None = None
    hardware: HardwareSection | None = None

    @staticmethod
    def of(run: TrackedRun) -> RunFacts:
        """The facts of a configured run."""
        config = run.config
        return RunFacts(
            config.name,
            config.budget,
            settings_of(config),
            columns_of(config, run.directory),
            Goal(config.search.score, run.quality, config.search.objectives),
            config.retrain.seeds,
            config.shown_costs,
            config.retrain.baselines,
            run.data,
            run.directory,
            config.hardware,
        )

    @property
    def results(self) -> dict[str, str]:
        """Tag -> name of what the row of the run holds."""
        scored = {} if self.goal.score is None else {f"result/{self.goal.label}": self.goal.label}
        judged = [f"{split} {self.goal.quality.name}" for split in ("validation", "test")]
        sure = [] if self.data is None or self.data.task != "classification" else [f"test {end}" for end in ENDS]
        judged += [f"{name} {DEVIATION}" for name in judged] if self.seeds > 1 else []
        compared = [f"{name}, test {self.goal.quality.name}" for name in self.baselines]
        priced = [cost.curve[0] for cost in self.costs]
        return {**{f"result/{name}": name for name in [*judged, *compared, *sure, *priced, "feasible share"]}, **scored}


def settings_of(config: RunConfig) -> dict[str, str | float]:
    """The settings of a run under dotted keys."""
    return flat(config.model_dump(mode="json", exclude=NOT_COMPARED))


def columns_of(config: RunConfig, directory: Path) -> dict[str, bool]:
    """The settings that get a column, and whether they set the run apart.

    Those that differ from the runs beside it in the same folder, those that its config sets to something else than
    the default, and a few that are changed most often: TensorBoard takes the columns of all runs from one of them.
    What differs from other runs sets it apart; where there is none, what differs from the defaults.
    """
    own = settings_of(config)
    chosen = flat(config.model_dump(mode="json", exclude=NOT_COMPARED, exclude_defaults=True))
    beside = _settings_beside(directory)
    differing = {key for other in beside for key in own if other.get(key, own[key]) != own[key]}
    apart = differing if beside else set(chosen)
    return {key: key in apart for key in own if key in differing or key in chosen or key in USUAL}


def _settings_beside(directory: Path) -> list[dict[str, str | float]]:
    """The settings of the newest runs in the same folder, as their configs were saved."""
    found = [path for path in directory.parent.glob(f"*/{CONFIG_FILE}") if path.parent != directory]
    newest = sorted(found, key=lambda path: path.stat().st_mtime, reverse=True)[:NEIGHBOURS]
    settings = []
    for path in newest:
        try:
            settings.append(flat(read_yaml(path)))
        except BadInputError:  # it is for whoever opens that run to complain
            continue
    return settings


def flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, str | float]:
    """Nested settings under dotted keys.

    >>> flat({"search": {"batch": 4, "crossover": False}, "budget": {"energy": "1 uJ"}})
    {'search.batch': 4, 'search.crossover': 'false', 'budget.energy': '1 uJ'}
    """
    found: dict[str, str | float] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            found.update(flat(value, f"{prefix}{key}."))
        else:
            number = isinstance(value, int | float) and not isinstance(value, bool)
            found[prefix + key] = value if number else _plain_text(value)
    return found


def _plain_text(value: Any) -> str:
    """A setting as the YAML writes it."""
    if value is None or isinstance(value, bool):
        return str(value).lower()
    return ", ".join(str(item) for item in value) if isinstance(value, list | tuple) else str(value)
