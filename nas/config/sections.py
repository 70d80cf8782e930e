"""The sections of a run's YAML: every key, its range, its default; data, macro and training have files of their own."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    PlainValidator,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from hasnas.cim_estimator.hardware.searched import settings_of
from hasnas.errors import BadInputError, nearest
from hasnas.nas.budget.budget import Budget
from hasnas.nas.budget.costs import COSTS, cost_called, cost_of

from .macro import MacroSection, SearchedSection
from .multi_fidelity import MultiFidelitySection
from .plugins import EXPORT_TARGETS, RANDOM_ONE_SHOT
from .q_learning import QLearningSection
from .searched import Searched, SearchedValues
from .section import Section

Count = Annotated[int, Field(ge=1, le=1_000_000_000)]
Rate = Annotated[float, Field(gt=0, le=10)]
Share = Annotated[float, Field(ge=0, le=1)]
_ONE_OR_MORE = Field(strict=False, min_length=1)
Names = Annotated[tuple[str, ...], _ONE_OR_MORE]


def _one_or_more(value: Any) -> Any:
    """A single text as a list of one."""
    return (value,) if isinstance(value, str) else () if value is None else value


class SpaceSection(Section):
    """What may be searched. What is null is as the space has it.

    Args:
        name: a registered search space; with `file`, the file's name.
        file: a space of one's own, a YAML or Python file; relative paths start at the config's folder.
        feedback: whether pairs of nodes may feed back, one timestep later.
        cells: number of cells, or of blocks.
        shared: whether all cells have the same genotype.
        nodes: nodes of a cell.
        operations: names of operations, `none` first in a cell.
        exportable: formats of `export`, one or a list, that must be able to hold every network, e.g. `nir`; what one of
            them has no word for leaves the space before anything is priced.
        searched: fields of the macro that are searched too.
        macro: what surrounds the cells.
    """

    place = "space"
    name: str = "snasnet"
    file: str | None = None
    feedback: bool | None = None
    cells: Annotated[int, Field(ge=1, le=64)] | None = None
    shared: bool | None = None
    nodes: Annotated[int, Field(ge=2, le=16)] | None = None
    operations: Names | None = None
    exportable: Annotated[tuple[str, ...], BeforeValidator(_one_or_more), Field(strict=False)] = ()
    searched: SearchedSection = SearchedSection()
    macro: MacroSection = MacroSection()

    @property
    def options(self) -> dict[str, Any]:
        """What a space is made with beside its macro, where the config says so."""
        given = {name: getattr(self, name) for name in ("feedback", "cells", "shared", "nodes", "operations")}
        return {name: value for name, value in given.items() if value is not None}

    @field_validator("exportable")
    @classmethod
    def _known_formats(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(known_format(name) for name in value))

    @model_validator(mode="before")
    @classmethod
    def _named_as_its_file(cls, tree: Any) -> Any:
        file = tree.get("file") if isinstance(tree, dict) else None
        if not isinstance(file, str):
            return tree
        stem = Path(file).stem
        if tree.get("name") not in (None, stem):
            raise ValueError(f"name and file are given; remove the name, the space is that of {file}")
        return {**tree, "name": stem}

    @model_validator(mode="after")
    def _options_are_in_the_file(self) -> SpaceSection:
        if self.file is not None and Path(self.file).suffix in (".yaml", ".yml") and self.options:
            raise ValueError(f"{', '.join(self.options)} beside a file; write it into {self.file}")
        return self


def _flatten(tree: Any) -> Any:
    """Nested overrides as dotted keys with text values: `{crossbar: {rows: 64}}` is `{"crossbar.rows": "64"}`."""
    if not isinstance(tree, dict):
        return tree
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            flat.update({f"{key}.{inner}": text for inner, text in _flatten(value).items()})
        elif value is None or isinstance(value, list) or (isinstance(value, float) and not math.isfinite(value)):
            raise ValueError(f"override '{key}' needs a plain value")
        else:
            flat[key] = str(value).lower() if isinstance(value, bool) else str(value)
    return flat


class HardwareSection(Section):
    """The chip: a preset by name or a description by path, and changes to single fields.

    In YAML a plain text is enough: `hardware: rram-32nm`, or `hardware: my_chip.yaml`.

    Args:
        preset: name of a preset.
        path: a description in YAML.
        overrides: dotted field -> value, e.g. `{crossbar.rows: 64}` or nested.
        searched: dotted field -> the values that it may take, searched beside the network: a list, or numbers
            `{from: 200 MHz, to: 1 GHz, steps: 9, scale: log}`.
    """

    place = "hardware"
    preset: str | None = None
    path: str | None = None
    overrides: Annotated[dict[str, str], BeforeValidator(_flatten)] = Field(default_factory=dict)
    searched: SearchedValues = Searched()

    @model_validator(mode="after")
    def _one_source(self) -> HardwareSection:
        if (self.preset is None) == (self.path is None):
            raise ValueError("give either 'preset' or 'path'")
        return self

    def settings_of(self, choices: Mapping[str, Any]) -> dict[str, Any]:
        """What `load_hardware` changes for one chip: the fixed fields, and the chosen ones that this chip reads.

        Raises:
            BadInputError: if the fields contradict each other.
        """
        return settings_of(self.reference, self.overrides, choices)

    @property
    def reference(self) -> str:
        """The preset's name or the description's path, as `load_hardware` takes it."""
        return str(self.preset if self.path is None else self.path)


def expand_hardware(value: Any) -> Any:
    """The long form of a hardware section that is a plain text."""
    if not isinstance(value, str):
        return value
    is_path = "/" in value or Path(value).suffix in (".yaml", ".yml")
    return {"path": value} if is_path else {"preset": value}


def _read_budget(tree: Any) -> Budget:
    """The limits of a section `cost: limit`; each cost of `hasnas.nas.budget.costs.COSTS` may be limited."""
    if isinstance(tree, Budget):
        return tree
    names = COSTS.names()
    if not isinstance(tree, dict):
        raise ValueError(f"it is a section with the keys {', '.join(names)}")
    problems: list[InitErrorDetails] = []
    limits: dict[str, float] = {}
    for name, value in tree.items():
        if name not in names and str(name).isidentifier():
            problems.append(InitErrorDetails(type="extra_forbidden", loc=(name,), input=value))
        elif value is not None:
            try:
                limits[name] = cost_called(name).parse(value)
            except BadInputError as error:
                reason = PydanticCustomError("value_error", "{reason}", {"reason": str(error)})
                problems.append(InitErrorDetails(type=reason, loc=(name,), input=value))
    if problems:
        raise ValidationError.from_exception_data("budget", problems)
    return Budget(limits)


# Limits that every proposed network must meet, by the names of costs; a limit that is left out is no limit.
BudgetSection = Annotated[Budget, PlainValidator(_read_budget), PlainSerializer(Budget.to_text)]


class ScreenSection(Section):
    """Pricing before any network runs.

    Args:
        enabled: whether the space is priced up front; proposals are checked against the budget in any case.
        activity: `"dense"` (every input spikes) or `"assumed"` (the same share of inputs everywhere).
        rate: share of inputs that spike, for `"assumed"`.
        sample: candidates to price at most where the space is larger; 20,000 are enough if 2,000 of them fit.
    """

    place = "screen"
    enabled: bool = True
    activity: Literal["dense", "assumed"] = "dense"
    rate: Share | None = None
    sample: Annotated[int, Field(ge=1, le=100_000_000)] = 1_000_000

    @model_validator(mode="after")
    def _rate_where_needed(self) -> ScreenSection:
        if self.activity == "assumed" and self.rate is None:
            raise ValueError("activity 'assumed' needs 'rate', the share of inputs that spike, e.g. 0.2")
        return self


class PenaltySection(Section):
    """A cost that a differentiable supernet strategy keeps low.

    Args:
        cost: name or field of a cost of which less is better.
        weight: the loss grows by `weight * (expected cost / mean cost of the feasible region - 1)`.
    """

    place = "supernet.penalty"
    cost: str = "energy_j"
    weight: Annotated[float, Field(ge=0, le=1e9)]

    @field_validator("cost")
    @classmethod
    def _known_and_less_is_better(cls, value: str) -> str:
        cost = cost_of(value)
        if cost.more_is_better:
            raise ValueError("a penalty keeps its cost low; choose a cost of which less is better")
        if not cost.priced:
            raise ValueError("it is only known once a network ran, and a penalty acts before; choose another cost")
        return value


class SupernetSection(Section):
    """Training of the shared weights.

    Args:
        enabled: whether a supernet is trained; without it each candidate is trained briefly by itself.
        source: written `from`: the directory of a run on the same data and space, with whatever budget and chip: its
            trained supernet is taken, and this section is that run's.
        strategy: a registered supernet trainer, as NNI's one-shot strategies: `random_one_shot` trains one feasible
            path a step; `darts`, `gumbel_darts` and `proxyless` also learn on validation samples how good each choice
            is, in cell spaces without feedback.
        epochs: passes over the train split.
        batch_size: samples per step.
        learning_rate: the step size at first; it falls to 0 along a half cosine.
        weight_decay: L2 penalty on the weights.
        architecture_learning_rate: step size of the parameters that say how good each choice is.
        penalty: a cost that those parameters are to keep low.
    """

    place = "supernet"
    enabled: bool = True
    source: Annotated[str | None, Field(alias="from")] = None
    strategy: str = RANDOM_ONE_SHOT
    epochs: Annotated[int, Field(ge=1, le=100_000)] = 20
    batch_size: Annotated[int, Field(ge=2, le=1_000_000)] = 64
    learning_rate: Rate = 0.01
    weight_decay: Share = 0.0
    architecture_learning_rate: Rate = 0.02
    penalty: PenaltySection | None = None

    @model_validator(mode="after")
    def _penalty_where_it_acts(self) -> SupernetSection:
        if self.penalty is not None and self.strategy == RANDOM_ONE_SHOT:
            raise ValueError("strategy random_one_shot learns no choices that a penalty could act on; remove 'penalty'")
        return self


class SearchSection(Section):
    """The search over inherited weights, or by a training-free score.

    Args:
        enabled: whether candidates are searched for.
        strategy: a registered search strategy.
        score: a registered training-free score that ranks candidates; then no supernet is trained. `trainability`
            prefers cells that are too deep for short trainings; for these leave it out and train candidates briefly.
        objectives: what is looked for, by name: `accuracy` (of a regression `error`, in a search by score `score`),
            `device_accuracy`, `training_time`, any cost, or an expression of them such as `energy*latency/accuracy`,
            which is kept low. Strategies that look for a front (`nsga2`, `nsga3`, `bayesian_pareto`, `optuna`,
            `deephyper`, and `predictor` with one cost) take all of them, others the accuracy or score among them, or
            else the first one. Without any, the accuracy or the score.
        evaluations: candidates to evaluate.
        batch: candidates proposed at a time, the same for any number of workers.
        asynchronous: whether candidates are proposed one by one instead, as workers come free, so that none waits for
            the slowest of a batch. What is proposed then depends on the number of workers and on how long evaluations
            take; the ledger holds the order, and resuming repeats it.
        population: candidates that evolution keeps.
        sample: candidates that evolution draws to choose a parent from.
        sampler: Optuna's sampler, for the strategy `optuna`.
        mutation: probability that a gene changes.
        crossover: whether children have two parents.
        calibration_batches: training batches that set a candidate's batch norm.
        brief_epochs: epochs that each candidate is trained for where there is no supernet.
        multi_fidelity: how candidates are trained instead, each batch as one round of successive halving; null trains
            each for `brief_epochs`.
        q_learning: settings of the strategy `q_learning`.
    """

    place = "search"
    enabled: bool = True
    strategy: str = "regularized_evolution"
    score: str | None = None
    objectives: Annotated[tuple[str, ...], Field(strict=False)] = ()
    evaluations: Annotated[int, Field(ge=1, le=10_000_000)] = 100
    batch: Annotated[int, Field(ge=1, le=100_000)] = 8
    asynchronous: bool = False
    population: Annotated[int, Field(ge=1, le=1_000_000)] = 20
    sample: Annotated[int, Field(ge=1, le=1_000_000)] = 5
    sampler: Literal["tpe", "gp", "nsgaii", "nsgaiii", "qmc"] = "tpe"
    mutation: Share = 0.2
    crossover: bool = False
    calibration_batches: Annotated[int, Field(ge=1, le=100_000)] = 4
    brief_epochs: Annotated[int, Field(ge=1, le=100_000)] = 3
    multi_fidelity: MultiFidelitySection | None = None
    q_learning: QLearningSection = QLearningSection()

    @field_validator("objectives")
    @classmethod
    def _each_objective_once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        names = tuple(cost_called(name).name for name in value)
        if len(set(names)) < len(names):
            raise ValueError(f"{', '.join(names)} names an objective twice; name each once")
        return names

    @model_validator(mode="before")
    @classmethod
    def _minimize_is_objectives(cls, tree: Any) -> Any:
        """Saved configs of runs that minimized nothing are read; others are told the key of today."""
        if not isinstance(tree, dict) or "minimize" not in tree:
            return tree
        if tree["minimize"]:
            raise ValueError("'minimize' is now 'objectives'; name the accuracy (or the score) and the costs there")
        return {name: value for name, value in tree.items() if name != "minimize"}

    @model_validator(mode="after")
    def _tournament_within_population(self) -> SearchSection:
        if self.sample > self.population:
            raise ValueError(f"sample is {self.sample}, more than the population of {self.population}; lower it")
        return self

    @model_validator(mode="after")
    def _trained_or_scored(self) -> SearchSection:
        if self.score is not None and self.multi_fidelity is not None:
            raise ValueError("score ranks candidates without training them; remove multi_fidelity or score")
        return self

    @model_validator(mode="after")
    def _rounds_are_batches(self) -> SearchSection:
        if self.asynchronous and self.multi_fidelity is not None:
            raise ValueError("multi_fidelity compares the candidates of a batch; remove it or asynchronous")
        return self


def known_device(name: str) -> str:
    """Refuse a preset of device non-ideality that does not exist; files are read when they are needed."""
    from hasnas.cim_estimator.nonideal.spec import nonideal_names

    if Path(name).suffix not in (".yaml", ".yml") and name not in nonideal_names():
        raise ValueError(f"no such preset{nearest(name, nonideal_names())}")
    return name


def known_format(name: str) -> str:
    """Refuse a format that no export target writes."""
    if name not in EXPORT_TARGETS.names():
        raise ValueError(f"no such export format{nearest(name, EXPORT_TARGETS.names())}")
    return name


class NonidealSection(Section):
    """Accuracy on imperfect chips as what the search looks for.

    Args:
        device: a preset of device non-ideality or a YAML file, e.g. `rram-typical`; without one, chips are perfect.
        chips: chips that each candidate is evaluated on; their mean accuracy counts.
    """

    place = "nonideal"
    device: Annotated[str, AfterValidator(known_device)] | None = None
    chips: Annotated[int, Field(ge=1, le=100_000)] = 8


class ExportSection(Section):
    """Files for other tools.

    Args:
        enabled: whether the returned network is exported at the end.
        formats: which files to write: json, safetensors, nir, onnx, standalone, conductances, spikesim, neurosim.
    """

    place = "export"
    enabled: bool = True
    formats: Annotated[tuple[Annotated[str, AfterValidator(known_format)], ...], Field(strict=False, min_length=1)] = (
        "json",
        "safetensors",
        "nir",
    )
