"""What all stages of a run share: the config resolved into objects, the run directory and its ledger."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hasnas.cim_estimator import Activity, HardwareSpec, estimate, load_hardware
from hasnas.datasets.catalog import is_framed
from hasnas.datasets.source import DatasetCard
from hasnas.errors import BadInputError
from hasnas.nas.budget.budget import Budget
from hasnas.nas.budget.costs import Costs, cost_called
from hasnas.nas.budget.measured import OF_REGRESSION
from hasnas.nas.budget.pricer import Pricer
from hasnas.nas.budget.region import FeasibleRegion
from hasnas.nas.config.plugins import DIFFERENTIABLE, RANDOM_ONE_SHOT
from hasnas.nas.config.run import RunConfig
from hasnas.nas.config.training import MIXES_CLASSES, UNREAD, WITHOUT_EFFECT, RetrainSection
from hasnas.nas.data.sources import check_timesteps, open_source
from hasnas.nas.executors import Executor
from hasnas.nas.history.ledger import Ledger
from hasnas.nas.history.quality import Quality, quality_of_task
from hasnas.nas.history.trial import Choice, Trial, key_of
from hasnas.search_spaces.architecture import Architecture
from hasnas.search_spaces.joint import JointSpace, with_searched_chip
from hasnas.search_spaces.lowering import REAL_BITS, bits_of_count, lower
from hasnas.search_spaces.macro import Macro
from hasnas.search_spaces.python_space import load_space_class
from hasnas.search_spaces.searched_macro import MACRO_PREFIX, SHAPING, with_searched_macro
from hasnas.search_spaces.snasnet import FEEDBACK_PREFIX
from hasnas.search_spaces.space import SPACES, KeptSpace, SearchSpace
from hasnas.search_spaces.yaml_space import load_space_file

from .progress import Console

if TYPE_CHECKING:
    from hasnas.nas.tracking import Tracker


@dataclass
class Setup:
    """A config resolved into objects; nothing is written.

    Args:
        config: the resolved config.
        console: progress bars and lines for the person who waits.
    """

    config: RunConfig
    console: Console

    @cached_property
    def card(self) -> DatasetCard:
        """The dataset's card.

        Raises:
            BadInputError: if the dataset is unknown, its frames are not the network's timesteps, or a training of its
                task cannot do what the config asks for.
        """
        section, space = self.config.dataset, self.config.space
        source = open_source(section.name, section.root, section.chosen_framing)
        card = source.card
        for timesteps in space.searched.values.get("timesteps", (space.macro.macro().timesteps,)):
            check_timesteps(card, int(timesteps), framed=is_framed(source))
        mixing = self.config.retrain.augmentation
        if card.task == "regression" and (mixing.mixup or mixing.cutmix):
            raise BadInputError(MIXES_CLASSES)
        for name in self.config.retrain.searched.values:
            if (reason := UNREAD[card.task].get(name)) is not None:
                raise BadInputError(f"retrain.searched.{name}: {reason}; remove it")
        _check_objectives(self.config, card)
        return card

    @cached_property
    def quality(self) -> Quality:
        """By what networks are judged on this dataset."""
        return quality_of_task(self.card.task, self.card.place)

    @property
    def space(self) -> SearchSpace:
        """The search space around the dataset's shapes."""
        return self._built.space

    @property
    def left_out(self) -> str:
        """What `space.exportable` left out of the space, in one line; empty if nothing."""
        return self._built.describe()

    @cached_property
    def _built(self) -> KeptSpace:
        return built_space(self.config, self.card)

    @cached_property
    def hardware(self) -> HardwareSpec:
        """The chip, where nothing of it is searched; else the one that the searched fields change."""
        if isinstance(self.space, JointSpace):
            return self.space.chip.base
        return load_hardware(self.config.hardware.reference, self.config.hardware.overrides)

    def hardware_of(self, codes: tuple[int, ...]) -> HardwareSpec:
        """The chip of one candidate."""
        return self.space.hardware_of(codes) if isinstance(self.space, JointSpace) else self.hardware

    def training_of(self, codes: tuple[int, ...]) -> RetrainSection:
        """The settings that one candidate is trained with."""
        changes = self.space.training_of(codes) if isinstance(self.space, JointSpace) else {}
        return self.config.retrain.chosen(changes) if changes else self.config.retrain

    def choices(self, codes: tuple[int, ...]) -> tuple[dict[str, Choice], dict[str, Choice]]:
        """The searched fields of one candidate's chip, and those of its training."""
        if not isinstance(self.space, JointSpace):
            return {}, {}
        return self.space.hardware_choices(codes), self.space.training_of(codes)

    def key(self, codes: tuple[int, ...]) -> str:
        """What a candidate is called; see `Trial.key`."""
        return key_of(self.architecture(codes).key, *self.choices(codes))

    def trained_as(self, codes: tuple[int, ...]) -> str:
        """By what its training is stored; see `Trial.trained_as`."""
        return key_of(self.architecture(codes).key, self.choices(codes)[1])

    @cached_property
    def budget(self) -> Budget:
        """The limits."""
        return self.config.budget

    @cached_property
    def pricer(self) -> Pricer:
        """Costs of candidates before they run."""
        priced = tuple(cost for cost in self.config.costs if cost.priced)
        return Pricer(self.space, self.hardware, assumed_activity(self.config), priced)

    def architecture(self, codes: tuple[int, ...]) -> Architecture:
        """What codes of the space mean; each is decoded once."""
        if codes not in self._decoded:
            self._decoded[codes] = self.space.decode(codes)
        return self._decoded[codes]

    @cached_property
    def _decoded(self) -> dict[tuple[int, ...], Architecture]:
        return {}


@dataclass
class RunContext(Setup):
    """One run while it goes on.

    Args:
        directory: the run directory.
        ledger: open for writing; its trials are the history so far.
        executor: runs evaluations.
        tracker: TensorBoard and other views.
        trials: the history.
        region: what the screen left of the space.
        ended: number of the ledger's records if they end a finished run; as long as it adds none, nor do events.
    """

    directory: Path
    ledger: Ledger
    executor: Executor
    tracker: Tracker
    trials: list[Trial] = field(default_factory=list)
    region: FeasibleRegion | None = None
    ended: int | None = None

    @property
    def checkpoints(self) -> Path:
        """Where stages keep what cannot be rebuilt quickly."""
        folder = self.directory / "checkpoints"
        folder.mkdir(exist_ok=True)
        return folder

    def feasible_region(self) -> FeasibleRegion:
        """The region that the screen left.

        Raises:
            BadInputError: if no stage has set it.
        """
        if self.region is None:
            raise BadInputError("the feasible region is not known; run the screen first")
        return self.region

    def event(self, name: str, stage: str, details: Mapping[str, Any] | None = None) -> None:
        """Note in the ledger that something happened."""
        record = {"kind": "event", "event": name, "stage": stage, "details": dict(details or {})}
        write = self.ledger.hold if len(self.ledger.records) == self.ended else self.ledger.append
        write({**record, "time": time.time(), "host": socket.gethostname()})

    def known(self, trial_id: int) -> Trial | None:
        """The trial that the ledger already holds under this number."""
        return self.trials[trial_id] if trial_id < len(self.trials) else None

    def record(self, trial: Trial) -> None:
        """Add a trial to the history: ledger first, views afterwards."""
        self.ledger.append(trial.to_record())
        self.trials.append(trial)
        self.tracker.on_trial(trial)


def measured_costs(
    context: Setup, architecture: Architecture, hardware: HardwareSpec, activity: Mapping[str, float]
) -> dict[str, float]:
    """What a network costs on a chip with the activity that was measured on it, trained."""
    report = estimate(lower(architecture.expand(), activity), hardware, Activity.measured())
    return Costs.of(report.costs(), context.config.costs).row(0)


def built_space(config: RunConfig, card: DatasetCard) -> KeptSpace:
    """The space of a config, its macro filled with the dataset's shapes, and what was left out of it.

    Raises:
        BadInputError: if macro and images do not fit together, an option is not the space's, the space's file does not
            describe one, or `space.exportable` leaves nothing of it.
    """
    section = config.space
    macro = section.macro.macro(card.input_shape, card.outputs, static=card.timesteps is None)
    if bits_of_count(card.largest_count) < REAL_BITS:  # counts of as many bits cost as much as real values
        macro = replace(macro, largest_count=card.largest_count)
    space = _space_on(macro, config)
    searched = section.searched.values
    kept = _kept(with_searched_macro(space, searched), config)
    _check_supernet(config, kept.space)
    chip, training = config.hardware, config.retrain.searched
    joint = with_searched_chip(
        kept.space, chip.reference, chip.overrides, chip.searched.fields, training.fields, WITHOUT_EFFECT
    )
    return replace(kept, space=joint)


def _kept(space: SearchSpace, config: RunConfig) -> KeptSpace:
    """The space without what `space.exportable` cannot say."""
    formats, device = config.space.exportable, config.nonideal.device
    if not formats:
        return KeptSpace(space)
    from hasnas.nas.export.expressible import kept_to_targets  # which needs torch

    if device is not None:
        from hasnas.cim_estimator.nonideal import load_nonideal

        return kept_to_targets(space, formats, load_nonideal(device))
    return kept_to_targets(space, formats, load_hardware(config.hardware.reference, config.hardware.overrides))


def _space_on(macro: Macro, config: RunConfig) -> SearchSpace:
    section = config.space
    if section.file is None:
        kind = SPACES.get(section.name)
    elif Path(section.file).suffix in (".yaml", ".yml"):
        return load_space_file(section.file).build(macro)
    elif Path(section.file).suffix == ".py":
        kind = load_space_class(section.file)
    else:
        raise BadInputError(f"space.file is {section.file}; give a .yaml or a .py file")
    taken = [item.name for item in fields(kind) if item.name != "macro"] if is_dataclass(kind) else []
    for name in section.options:
        if name not in taken:
            raise BadInputError(
                f"space.{name} is no option of '{section.name}', which takes {', '.join(taken) or 'none'}; remove it"
            )
    return kind(macro, **section.options)


def _check_supernet(config: RunConfig, space: SearchSpace) -> None:
    """Refuse what the supernet cannot train: searched macro values, feedback of a space of one's own."""
    if config.retrain.searched and config.search.score is not None:
        raise BadInputError(
            f"retrain.searched with search.score '{config.search.score}': a score trains nothing, so these fields "
            "change nothing in the search; remove one of them"
        )
    if not config.supernet.enabled or config.search.score is not None:
        return
    strategy = config.supernet.strategy
    if config.retrain.searched:
        raise BadInputError(
            "retrain.searched with a supernet: candidates inherit weights, so how they are trained changes nothing in "
            "the search; switch the supernet off (supernet.enabled=false)"
        )
    if config.hardware.searched and strategy != RANDOM_ONE_SHOT:
        raise BadInputError(
            f"supernet.strategy '{strategy}' learns operations on one chip; use {RANDOM_ONE_SHOT} with "
            "hardware.searched, or switch the supernet off (supernet.enabled=false)"
        )
    mixes = strategy in DIFFERENTIABLE  # a plug-in refuses by itself what it cannot train
    backward = any(choice.startswith(FEEDBACK_PREFIX) for gene in space.genes for choice in gene.choices)
    if mixes and backward:
        raise BadInputError(
            f"supernet.strategy '{strategy}' mixes forward edges only, and the space has pairs with feedback; "
            f"use {RANDOM_ONE_SHOT}"
        )
    searched = [gene.label for gene in space.genes if gene.label.startswith(MACRO_PREFIX) and len(gene.choices) > 1]
    if not searched:
        if mixes:
            from hasnas.nas.supernet.mixture import require_mixable

            require_mixable(space)
        return
    shaping = next((name for name in SHAPING if f"{MACRO_PREFIX}{name}" in searched), None)
    if shaping is not None:
        raise BadInputError(
            f"space.searched.{shaping} with a supernet: candidates of different widths share no weights; "
            "switch the supernet off (supernet.enabled=false)"
        )
    if mixes:
        raise BadInputError(
            f"supernet.strategy '{strategy}' mixes operations, not values of the macro; "
            f"use {RANDOM_ONE_SHOT} with space.searched, or switch the supernet off (supernet.enabled=false)"
        )


def _check_objectives(config: RunConfig, card: DatasetCard) -> None:
    """Refuse objectives and limits that networks of the dataset's task do not have."""
    other = OF_REGRESSION if card.task == "regression" else {error: name for name, error in OF_REGRESSION.items()}
    for name in [*config.search.objectives, *config.budget.limits]:
        cost = cost_called(name)
        wrong = next((one.name for one in cost.parts or (cost,) if one.name in other), None)
        if wrong is not None:
            key = "search.objectives" if name in config.search.objectives else "budget"
            raise BadInputError(f"{key} names '{wrong}', but {card.name} is a {card.task}; name '{other[wrong]}'")


def assumed_activity(config: RunConfig) -> Activity:
    """The assumption about spikes that the screen prices with."""
    screen = config.screen
    return Activity.dense() if screen.activity == "dense" or screen.rate is None else Activity.assumed(screen.rate)
