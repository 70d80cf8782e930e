"""A run's YAML as a whole: its sections and what stands beside them."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from hasnas.errors import nearest
from hasnas.nas.budget.budget import Budget
from hasnas.nas.budget.costs import Cost, cost_of, standard_and
from hasnas.nas.budget.measured import JUDGED

from .dataset import DatasetSection
from .executor import AUTO, RaySection
from .plugins import TRACKERS
from .problems import BESIDE
from .sections import (
    BudgetSection,
    ExportSection,
    HardwareSection,
    NonidealSection,
    ScreenSection,
    SearchSection,
    Section,
    SpaceSection,
    SupernetSection,
    expand_hardware,
)
from .training import RetrainSection


def _directory_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
        raise ValueError("a name is letters, digits, '.', '_' and '-', at most 100 of them")
    return name


def _device_name(name: str) -> str:
    """Refuse what names no device; whether the machine has it is asked when a run starts."""
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", name):
        raise ValueError("no such device; give auto, cpu, cuda or cuda:N")
    return name


def _tracker_name(name: str) -> str:
    """Refuse a tracker that nobody registered."""
    if name not in TRACKERS.names():
        raise ValueError(f"no such tracker{nearest(name, TRACKERS.names())}{BESIDE}")
    return name


class RunConfig(Section):
    """Everything that decides the result of a run.

    Args:
        name: name of the run and of its directory.
        seed: source of all randomness.
        device: where networks run: `cpu`, `cuda` (worker i of a run takes GPU i modulo their number), `cuda:N`, or
            `auto`, the GPUs where there are any.
        executor: where evaluations run, `auto`, `in_process`, `process_pool` or `ray`; not part of the run's identity.
        ray: for the executor of this name; not part of the run's identity.
        dataset, space, hardware, budget, screen, supernet, search, retrain, nonideal, export: see `sections`.
        tracking: what shows the run while it goes on, see `TRACKERS`; not part of the run's identity.
        versions: packages that a saved config was made with; for the reader, not part of the run's identity.
    """

    name: Annotated[str, AfterValidator(_directory_name)]
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)] = 0
    device: Annotated[str, AfterValidator(_device_name)] = "auto"
    executor: str = AUTO
    ray: RaySection = RaySection()
    dataset: DatasetSection
    space: SpaceSection = SpaceSection()
    hardware: Annotated[HardwareSection, BeforeValidator(expand_hardware)]
    budget: BudgetSection = Budget()
    screen: ScreenSection = ScreenSection()
    supernet: SupernetSection = SupernetSection()
    search: SearchSection = SearchSection()
    retrain: RetrainSection = RetrainSection()
    nonideal: NonidealSection = NonidealSection()
    export: ExportSection = ExportSection()
    tracking: Annotated[tuple[Annotated[str, AfterValidator(_tracker_name)], ...], Field(strict=False)] = (
        "tensorboard",
        "report",
    )
    versions: dict[str, str] = Field(default_factory=dict)

    @property
    def costs(self) -> tuple[Cost, ...]:
        """The costs that the run knows of: the standard ones and whatever the config names."""
        penalty = self.supernet.penalty
        penalised = [] if penalty is None else [cost_of(penalty.cost).name]
        rewarded = self.search.q_learning.reward if self.search.strategy == "q_learning" else ()
        return standard_and([*self.budget.limits, *self.search.objectives, *penalised, *rewarded])

    @property
    def shown_costs(self) -> tuple[Cost, ...]:
        """Those that views show beside the accuracy or the score."""
        return tuple(cost for cost in self.costs if cost not in JUDGED)
