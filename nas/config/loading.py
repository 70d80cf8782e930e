"""One YAML, checked, is one run: reading it, changing single keys, saving it, and telling two runs apart."""

from __future__ import annotations

import hashlib
import json
import platform
import re
from collections.abc import Collection, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError

from hasnas.errors import BadInputError, nearest, one_line
from hasnas.files import expanded, sha256_of
from hasnas.nas.budget.budget import Budget
from hasnas.nas.budget.costs import Cost, cost_called, cost_of, standard_and
from hasnas.nas.budget.measured import JUDGED, MAPPED, SIMULATED
from hasnas.yaml_files import read_yaml, to_yaml

from .dataset import DatasetSection
from .executor import AUTO, RaySection
from .overrides import apply_override, parse_override
from .plugins import DIFFERENTIABLE, EXECUTORS, MOST_EVALUATIONS, SCORES, STRATEGIES, SUPERNET_TRAINERS, TRACKERS
from .problems import first_problem, told
from .saved import CONFIG_FILE, SUPERNET_FILE
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

OF_MAPPED = tuple(cost.name for cost in MAPPED)
OF_SIMULATED = tuple(cost.name for cost in SIMULATED)
OF_TRAINED = ("accuracy", "error", "device_accuracy", "device_error", "training_time", *OF_MAPPED, *OF_SIMULATED)
PACKAGES = ("hasnas", "torch", "spikingjelly", "nni", "numpy", "pytorch-lightning")


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
        raise ValueError(f"no such tracker{nearest(name, TRACKERS.names())}{_BESIDE}")
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


def load_config(path: Path | str, overrides: Sequence[str] = ()) -> RunConfig:
    """Read a run's YAML and change single keys.

    Args:
        path: the YAML file.
        overrides: texts such as `"budget.energy=2 uJ"` or `"hardware=rram-32nm"`, applied in order.

    Returns:
        The config, its paths absolute; see `resolve_paths`.

    Raises:
        BadInputError: in one line with file (or override), dotted key and remedy, for whatever is wrong.
    """
    tree = read_yaml(path)
    changed: dict[str, str] = {}
    for text in overrides:
        key, value = parse_override(text)
        if key.startswith("hardware."):
            tree["hardware"] = expand_hardware(tree.get("hardware"))
        apply_override(tree, key, value)
        changed[key] = text
    config = resolve_paths(config_from_tree(tree, str(path), changed), Path(path).parent, changed)
    return _with_supernet_of(config)


def _with_supernet_of(config: RunConfig) -> RunConfig:
    """The config with the section of the run whose supernet it takes.

    Raises:
        BadInputError: if the config says something else than that run was trained with, or there is no such run.
    """
    section, source = config.supernet, config.supernet.source
    if source is None:
        return config
    saved = Path(source) / CONFIG_FILE
    if config.versions and not saved.exists():  # a saved config holds that section already
        return config
    if not saved.is_file():
        raise BadInputError(f"supernet.from: {source} holds no run (no {CONFIG_FILE}); list runs with: hasnas ls")
    there = load_config(saved)
    if not there.supernet.enabled or there.search.score is not None:
        raise BadInputError(f"supernet.from: {source} trains no supernet; leave it out, or name another run")
    for name in sorted(section.model_fields_set - {"source"}):
        ours, theirs = getattr(section, name), getattr(there.supernet, name)
        if ours != theirs:
            raise BadInputError(
                f"supernet.{name} is {ours}, but the supernet of {source} was trained with {theirs}; leave it out, or "
                "leave out supernet.from"
            )
    return config.model_copy(update={"supernet": there.supernet.model_copy(update={"source": source})})


def config_from_tree(tree: Any, where: str, overrides: dict[str, str] | None = None) -> RunConfig:
    """A config from plain data.

    Args:
        tree: nested dicts as the YAML gives them.
        where: file name for messages.
        overrides: dotted key -> the command-line text that set it, for messages.

    Raises:
        BadInputError: for the first thing that is wrong; the number of others is added.

    >>> config_from_tree({"name": "a", "dataset": {"name": "digits"}, "hardware": "rram-32nm", "sead": 1}, "a.yaml")
    Traceback (most recent call last):
        ...
    hasnas.errors.BadInputError: a.yaml: unknown key 'sead'; did you mean 'seed'? Known: budget, dataset, device, \
executor, export, hardware, name, nonideal, ray, retrain, screen, search, seed, space, supernet, tracking, versions
    """
    try:
        config = RunConfig.model_validate(tree)
    except ValidationError as error:
        place = _place(".".join(first_problem(error)), where, overrides or {})
        raise BadInputError(f"{one_line(place)}: {told(error, RunConfig)}") from error
    _check_names(config, where, overrides or {})
    _check_one_shot(config, where, overrides or {})
    _check_multi_fidelity(config, where, overrides or {})
    _check_q_learning(config, where, overrides or {})
    _check_evaluations(config, where, overrides or {})
    _check_told(config, where, overrides or {})
    _check_mapping(config, where, overrides or {})
    _check_executor(config, where, overrides or {})
    return config


# Every key whose value may be a file or folder. Where devices are concerned, other texts are names of presets.
PATHS = ("dataset.root", "hardware.path", "space.file", "supernet.from", "nonideal.device", "retrain.noise.device")
_ATTRIBUTES = {"from": "source"}  # keys that are no names in Python


def resolve_paths(config: RunConfig, directory: Path, overridden: Collection[str] = ()) -> RunConfig:
    """The config with all its paths made absolute.

    A path in a YAML starts at the YAML's folder; one given on the command line where the command was started, or at the
    YAML's folder if nothing lies there. `~` is the user's home.

    Args:
        config: as it was read.
        directory: the YAML's folder.
        overridden: dotted keys that the command line set.
    """
    for key in PATHS:
        given = _value(config, key)
        if given is None or not _is_path(key, given):
            continue
        own = expanded(given, key)
        here = any(key == changed or key.startswith(changed + ".") for changed in overridden)
        starts = (Path(), directory) if here else (directory,)
        found = next((start / own for start in starts if (start / own).exists()), starts[0] / own)
        config = _changed(config, key, str(found.resolve()))
    return config


def file_contents(config: RunConfig) -> dict[str, str]:
    """SHA-256 of every file that a resolved config names, by its key; the dataset's files are not among them.

    Raises:
        BadInputError: if a file cannot be read.
    """
    found = {}
    for key in PATHS:
        path = _value(config, key)
        if key == "dataset.root" or path is None or not _is_path(key, path):
            continue
        if key == "supernet.from":
            path = str(Path(path) / SUPERNET_FILE)
        try:
            found[key] = sha256_of(path)
        except FileNotFoundError as error:
            remedy = "train it to its end" if key == "supernet.from" else "paths in a YAML start at its folder"
            raise BadInputError(f"{key}: {path} is missing; {remedy}") from error
        except OSError as error:
            raise BadInputError(f"{key}: cannot read {path}: {error.strerror or error}") from error
    return found


def _is_path(key: str, value: str) -> bool:
    return not key.endswith(".device") or "/" in value or Path(value).suffix in (".yaml", ".yml")


def _value(config: RunConfig, key: str) -> str | None:
    """The value of a dotted key."""
    part: Any = config
    for name in key.split("."):
        part = getattr(part, _ATTRIBUTES.get(name, name))
    return None if part is None else str(part)


def _changed(part: Any, key: str, value: str) -> Any:
    """The section with the value of a dotted key exchanged."""
    key, _, rest = key.partition(".")
    name = _ATTRIBUTES.get(key, key)
    return part.model_copy(update={name: _changed(getattr(part, name), rest, value) if rest else value})


def config_identity(config: RunConfig, contents: Mapping[str, str] | None = None) -> str:
    """A hash of all that decides the result; runs with equal identities may share a directory.

    Where files lie and which packages were installed do not count; the content of hardware descriptions, devices and
    spaces of one's own does (that of the dataset is compared by itself, see `hasnas.nas.stages.preflight`). Keys at
    their defaults do not count either, so that runs from before a key existed can still be resumed.

    Args:
        config: as it was read, its paths resolved.
        contents: see `file_contents`; None reads the files.
    """
    excluded: dict[str, Any] = dict.fromkeys(("versions", "executor", "ray", "tracking"), True)
    excluded |= {"dataset": {"root"}, "hardware": {"path"}, "space": {"file"}, "supernet": {"source"}}
    tree = config.model_dump(mode="json", by_alias=True, exclude=excluded, exclude_defaults=True)
    for key, digest in (file_contents(config) if contents is None else contents).items():
        *sections, name = key.split(".")
        part = tree
        for section in sections:
            part = part.setdefault(section, {})
        part.pop(name, None)
        part["sha256"] = digest
    return hashlib.blake2b(json.dumps(tree, sort_keys=True).encode(), digest_size=16).hexdigest()


def dump_config(config: RunConfig) -> str:
    """The resolved config as YAML, with the versions of the packages in use; `load_config` reads it back."""
    tree = config.model_dump(mode="json", by_alias=True)
    tree["versions"] = package_versions()
    return to_yaml(tree)


def package_versions() -> dict[str, str]:
    """Versions of the packages that decide a result, of Python, and the platform; absent packages are left out."""
    versions = {"python": platform.python_version(), "platform": platform.platform()}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return versions


def _check_names(config: RunConfig, where: str, overrides: dict[str, str]) -> None:
    """Refuse names that nothing is registered under, without importing what they stand for."""
    from hasnas.cim_estimator.hardware.presets_reader import hardware_names
    from hasnas.datasets.encoding import ENCODINGS
    from hasnas.datasets.source import DATASETS
    from hasnas.datasets.tonic_adapter import PREFIX
    from hasnas.search_spaces.operations import listed_operations
    from hasnas.search_spaces.space import SPACES

    coding = config.dataset.encoding
    chosen: list[tuple[str, str | None, Sequence[str]]] = [
        ("dataset.name", None if config.dataset.name.startswith(PREFIX) else config.dataset.name, DATASETS.names()),
        ("dataset.encoding.name", None if coding is None else coding.name, ENCODINGS.names()),
        ("space.name", None if config.space.file else config.space.name, SPACES.names()),
        ("hardware.preset", config.hardware.preset, hardware_names()),
        ("supernet.strategy", config.supernet.strategy, SUPERNET_TRAINERS.names()),
        ("search.strategy", config.search.strategy, STRATEGIES.names()),
        ("executor", None if config.executor == AUTO else config.executor, [AUTO, *EXECUTORS.names()]),
        ("search.score", config.search.score, SCORES.names()),
        *(("space.operations", name, [*listed_operations(), *_named(name)]) for name in config.space.operations or ()),
    ]
    for key, name, known in chosen:
        if name is not None and name not in known:
            place = _place(key, where, overrides)
            raise BadInputError(one_line(f"{place}: unknown {key} '{name}'{nearest(name, known)}{_BESIDE}"))


_BESIDE = " (one of another package: install that package)"


def _named(operation: str) -> list[str]:
    """The operation's name, if it says what an operation does."""
    from hasnas.search_spaces.operations import operation_named

    try:
        return [operation_named(operation).name]
    except BadInputError:
        return []


def _check_one_shot(config: RunConfig, where: str, overrides: dict[str, str]) -> None:
    """Refuse a differentiable supernet over choices that it cannot mix."""
    section, trained = config.supernet, config.supernet.enabled and config.search.score is None
    if trained and section.strategy in DIFFERENTIABLE and config.space.feedback:
        place = _place("space.feedback", where, overrides)
        raise BadInputError(
            f"{place}: supernet.strategy '{section.strategy}' mixes forward edges only, and a pair with feedback is "
            "one choice over both directions; set space.feedback to false or supernet.strategy to random_one_shot"
        )


def _check_multi_fidelity(config: RunConfig, where: str, overrides: dict[str, str]) -> None:
    """Refuse rungs of trainings where candidates inherit their weights."""
    if config.search.multi_fidelity is not None and config.supernet.enabled:
        place = _place("search.multi_fidelity", where, overrides)
        raise BadInputError(
            f"{place}: search.multi_fidelity trains candidates by themselves, and a supernet is there to spare that; "
            "set supernet.enabled to false or remove search.multi_fidelity"
        )


def _check_mapping(config: RunConfig, where: str, overrides: dict[str, str]) -> None:
    """Refuse a recipe that does not exist, and chips that nothing can be mapped onto."""
    if not config.retrain.mapping:
        if config.retrain.simulate:
            place = _place("retrain.simulate", where, overrides)
            raise BadInputError(f"{place}: retrain.simulate: networks are not mapped; set retrain.mapping to a recipe")
        return
    from hasnas.cim_estimator import load_hardware
    from hasnas.cim_estimator.mapping import chip_of, load_recipe

    try:
        load_recipe(config.retrain.mapping)
        chip_of(load_hardware(config.hardware.reference, config.hardware.overrides))
    except BadInputError as error:
        raise BadInputError(f"{_place('retrain.mapping', where, overrides)}: retrain.mapping: {error}") from error


def _check_told(config: RunConfig, where: str, overrides: dict[str, str]) -> None:
    """Refuse objectives and limits that the evaluations of this run cannot tell."""
    scored, named = config.search.score is not None, dict.fromkeys([*config.search.objectives, *config.budget.limits])
    for name in named:
        cost = cost_called(name)
        for part in [one.name for one in (cost.parts or (cost,)) if not one.priced]:
            reason = ""
            if part in ("score", "training_time") and not config.search.enabled:
                reason = "nothing is searched; switch the search on"
            elif part == "score" and not scored:
                reason = "candidates are trained, not scored; set search.score, or name the accuracy"
            elif part in OF_TRAINED and scored:
                reason = f"a search by {config.search.score} trains no candidate; name the score"
            elif part in OF_MAPPED and not config.retrain.mapping:
                reason = "networks are not mapped; set retrain.mapping, e.g. to spinemap"
            elif part in OF_SIMULATED and not config.retrain.simulate:
                reason = "networks are not simulated; set retrain.simulate to barrier or free"
            elif part.startswith("device_") and config.nonideal.device is None:
                reason = "chips are perfect; set nonideal.device"
            elif part == "training_time" and config.supernet.enabled:
                reason = "candidates inherit their weights and are not trained; switch the supernet off"
            elif part == "training_time" and config.search.multi_fidelity is not None:
                reason = "successive halving trains some for longer than others; remove search.multi_fidelity"
            if reason:
                key = "search.objectives" if name in config.search.objectives else "budget"
                raise BadInputError(f"{_place(key, where, overrides)}: {key} names '{part}', but {reason}")


def _check_q_learning(config: RunConfig, where: str, overrides: dict[str, str]) -> None:
    """Refuse an agent that walks over chips where there is one chip."""
    if config.search.strategy == "q_learning" and not config.hardware.searched:
        place = _place("search.strategy", where, overrides)
        raise BadInputError(
            f"{place}: search.strategy q_learning sizes the chip of each network, but hardware.searched names no field "
            "of it; name some, or choose regularized_evolution"
        )


def _check_evaluations(config: RunConfig, where: str, overrides: dict[str, str]) -> None:
    """Refuse more evaluations than a strategy can look back on."""
    search = config.search
    name = f"optuna/{search.sampler}" if search.strategy == "optuna" else search.strategy
    most = MOST_EVALUATIONS.get(name)
    if most is not None and search.enabled and search.evaluations > most:
        raise BadInputError(
            f"{_place('search.evaluations', where, overrides)}: search.evaluations is {search.evaluations:,}, but a "
            f"proposal of '{name}' takes a time that grows as their cube; give at most {most:,}, or choose nsga2"
        )


def _check_executor(config: RunConfig, where: str, overrides: dict[str, str]) -> None:
    """Refuse what is said of Ray where another executor is named, and a GPU by its number where Ray gives it one."""
    if config.executor != "ray" and config.ray != RaySection():
        raise BadInputError(f"{_place('ray', where, overrides)}: ray is for executor: ray; set that, or remove it")
    if config.executor == "ray" and config.device.startswith("cuda:"):
        place = _place("device", where, overrides)
        raise BadInputError(f"{place}: device is {config.device}, but Ray says which GPU; set device to cuda")


def _place(key: str, where: str, overrides: dict[str, str]) -> str:
    """The override that set a key, or the file."""
    for changed, text in reversed(overrides.items()):
        if key == changed or key.startswith(changed + ".") or changed.startswith(key + "."):
            return f"override '{text}'"
    return where
