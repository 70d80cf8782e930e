"""What the sections of a config say together: names that are known, choices that go with each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hasnas.errors import BadInputError, nearest, one_line
from hasnas.nas.budget.costs import cost_called
from hasnas.nas.budget.measured import MAPPED, SIMULATED

from .executor import AUTO, RaySection
from .plugins import DIFFERENTIABLE, EXECUTORS, MOST_EVALUATIONS, SCORES, STRATEGIES, SUPERNET_TRAINERS
from .problems import BESIDE, place_of
from .run import RunConfig

OF_MAPPED = tuple(cost.name for cost in MAPPED)
OF_SIMULATED = tuple(cost.name for cost in SIMULATED)
OF_TRAINED = ("accuracy", "error", "device_accuracy", "device_error", "training_time", *OF_MAPPED, *OF_SIMULATED)


def check_together(config: RunConfig, where: str, overrides: Mapping[str, str]) -> None:
    """Refuse a config whose sections are right one by one, but not together.

    Args:
        config: as its sections were read.
        where: file name for messages.
        overrides: dotted key -> the command-line text that set it, for messages.

    Raises:
        BadInputError: for the first thing that is wrong, with what to change.
    """
    for check in _CHECKS:
        check(config, where, overrides)


def _check_names(config: RunConfig, where: str, overrides: Mapping[str, str]) -> None:
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
            place = place_of(key, where, overrides)
            raise BadInputError(one_line(f"{place}: unknown {key} '{name}'{nearest(name, known)}{BESIDE}"))


def _named(operation: str) -> list[str]:
    """The operation's name, if it says what an operation does."""
    from hasnas.search_spaces.operations import operation_named

    try:
        return [operation_named(operation).name]
    except BadInputError:
        return []


def _check_one_shot(config: RunConfig, where: str, overrides: Mapping[str, str]) -> None:
    """Refuse a differentiable supernet over choices that it cannot mix."""
    section, trained = config.supernet, config.supernet.enabled and config.search.score is None
    if trained and section.strategy in DIFFERENTIABLE and config.space.feedback:
        place = place_of("space.feedback", where, overrides)
        raise BadInputError(
            f"{place}: supernet.strategy '{section.strategy}' mixes forward edges only, and a pair with feedback is "
            "one choice over both directions; set space.feedback to false or supernet.strategy to random_one_shot"
        )


def _check_multi_fidelity(config: RunConfig, where: str, overrides: Mapping[str, str]) -> None:
    """Refuse rungs of trainings where candidates inherit their weights."""
    if config.search.multi_fidelity is not None and config.supernet.enabled:
        place = place_of("search.multi_fidelity", where, overrides)
        raise BadInputError(
            f"{place}: search.multi_fidelity trains candidates by themselves, and a supernet is there to spare that; "
            "set supernet.enabled to false or remove search.multi_fidelity"
        )


def _check_mapping(config: RunConfig, where: str, overrides: Mapping[str, str]) -> None:
    """Refuse a recipe that does not exist, and chips that nothing can be mapped onto."""
    if not config.retrain.mapping:
        if config.retrain.simulate:
            place = place_of("retrain.simulate", where, overrides)
            raise BadInputError(f"{place}: retrain.simulate: networks are not mapped; set retrain.mapping to a recipe")
        return
    from hasnas.cim_estimator import load_hardware
    from hasnas.cim_estimator.mapping import chip_of, load_recipe

    try:
        load_recipe(config.retrain.mapping)
        chip_of(load_hardware(config.hardware.reference, config.hardware.overrides))
    except BadInputError as error:
        raise BadInputError(f"{place_of('retrain.mapping', where, overrides)}: retrain.mapping: {error}") from error


def _check_told(config: RunConfig, where: str, overrides: Mapping[str, str]) -> None:
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
                raise BadInputError(f"{place_of(key, where, overrides)}: {key} names '{part}', but {reason}")


def _check_q_learning(config: RunConfig, where: str, overrides: Mapping[str, str]) -> None:
    """Refuse an agent that walks over chips where there is one chip."""
    if config.search.strategy == "q_learning" and not config.hardware.searched:
        place = place_of("search.strategy", where, overrides)
        raise BadInputError(
            f"{place}: search.strategy q_learning sizes the chip of each network, but hardware.searched names no field "
            "of it; name some, or choose regularized_evolution"
        )


def _check_evaluations(config: RunConfig, where: str, overrides: Mapping[str, str]) -> None:
    """Refuse more evaluations than a strategy can look back on."""
    search = config.search
    name = f"optuna/{search.sampler}" if search.strategy == "optuna" else search.strategy
    most = MOST_EVALUATIONS.get(name)
    if most is not None and search.enabled and search.evaluations > most:
        raise BadInputError(
            f"{place_of('search.evaluations', where, overrides)}: search.evaluations is {search.evaluations:,}, but a "
            f"proposal of '{name}' takes a time that grows as their cube; give at most {most:,}, or choose nsga2"
        )


def _check_executor(config: RunConfig, where: str, overrides: Mapping[str, str]) -> None:
    """Refuse what is said of Ray where another executor is named, and a GPU by its number where Ray gives it one."""
    if config.executor != "ray" and config.ray != RaySection():
        raise BadInputError(f"{place_of('ray', where, overrides)}: ray is for executor: ray; set that, or remove it")
    if config.executor == "ray" and config.device.startswith("cuda:"):
        place = place_of("device", where, overrides)
        raise BadInputError(f"{place}: device is {config.device}, but Ray says which GPU; set device to cuda")


_CHECKS = (
    _check_names,
    _check_one_shot,
    _check_multi_fidelity,
    _check_q_learning,
    _check_evaluations,
    _check_told,
    _check_mapping,
    _check_executor,
)
