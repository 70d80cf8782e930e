"""Pages made of the code: what a config and a chip may say, the names of plug-ins, the commands.

Meanings come from the sections `Args` of the docstrings, types, bounds and defaults from the models, so no page can say
something else than the program does.
"""

from __future__ import annotations

import ast
import inspect
import re
import types
import typing
from collections.abc import Callable, Iterator
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from html import escape
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import typer
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from hasnas.cim_estimator.hardware.spec import GeneralHardware, SpikeSimHardware, unit_of
from hasnas.nas.budget.budget import Budget
from hasnas.nas.budget.costs import COSTS, cost_called
from hasnas.nas.config.run import RunConfig
from hasnas.nas.config.searched import Searched
from hasnas.registry import Registry

ROOT = Path(__file__).parent.parent
HEADER = "| key | type | default | unit | meaning |\n|---|---|---|---|---|\n"
# Types that a word tells better than Python does.
_WORDS = {str: "text", int: "whole number", float: "number", bool: "true, false", Budget: "limits", dict: "section"}


def meanings(owner: type) -> dict[str, str]:
    """Field -> what the docstrings of a class and of those that it inherits from say of it.

    >>> meanings(RunConfig)["seed"]
    'source of all randomness.'
    """
    found: dict[str, str] = {}
    for each in reversed(owner.__mro__):
        text = inspect.cleandoc(each.__doc__ or "")
        section = re.search(r"^Args:\n((?:    .*\n?|\n)*)", text, re.MULTILINE)
        entries = re.findall(
            r"^    (\w[\w, ]*): ((?:.*\n?)(?:     +.*\n?)*)", section.group(1) if section else "", re.M
        )
        for names, meaning in entries:
            found.update({name.strip(): " ".join(meaning.split()) for name in names.split(",")})
    return found


def summary(owner: Any) -> str:
    """The docstring up to its first section."""
    text = inspect.cleandoc(owner.__doc__ or "")
    return re.split(r"\n(?=\w+:\n    |>>> |Raises:)", text)[0].strip()


def row(key: str, kind: str, default: str, unit: str, meaning: str) -> str:
    """A line of a table."""
    cells = (f"`{key}`", kind, default, unit, meaning[:1].upper() + meaning[1:])
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def unit(name: str) -> str:
    """The unit of a key by its suffix; empty for counts, shares and words."""
    found = "us" if name.endswith("_us") else unit_of(name)
    return "" if found == "1" else found


def shown(value: Any) -> str:
    """A default as a YAML writes it."""
    if isinstance(value, BaseModel | Budget | Searched) or value == {}:
        return ""
    if isinstance(value, tuple | list):
        return f"`[{', '.join(map(str, value))}]`"
    if isinstance(value, dict):
        return "`{" + ", ".join(f"{key}: {each:g}" for key, each in value.items()) + "}`"
    if value is None or isinstance(value, bool):
        return f"`{str(value).lower().replace('none', 'null')}`"
    if isinstance(value, float):
        return f"`{value:.6g}`"
    return f"`{value}`" if value != "" else '`""`'


def kind_of(hint: Any, bounds: tuple[Any, ...] = ()) -> str:
    """A type in words, with its bounds.

    >>> kind_of(typing.Literal["lif", "if"]), kind_of(int | None), kind_of(tuple[str, ...])
    ('`lif`, `if`', 'whole number or null', 'list of text')
    """
    origin, parts = get_origin(hint), get_args(hint)
    if origin is typing.Annotated:
        return kind_of(parts[0], (*parts[1:], *bounds))
    if origin is typing.Literal:
        return ", ".join(f"`{part}`" if part != "" else '`""`' for part in parts)
    if origin in (tuple, list):
        if len(parts) == 2 and parts[1] is not Ellipsis:
            return f"list of 2: {kind_of(parts[0])}"
        return f"list of {kind_of(parts[0])}"
    if parts and origin is not dict:
        return " or ".join("null" if part is type(None) else kind_of(part, bounds) for part in parts)
    if hint is Searched:
        return "section: key -> values"
    word = _WORDS.get(origin or hint, "section")
    limits = _limits(bounds)
    return f"{word}, {limits}" if limits else word


def _limits(bounds: tuple[Any, ...]) -> str:
    """Bounds as people write them."""
    told = {}
    for bound in _flat(bounds):
        for name, sign in (("ge", "≥"), ("gt", ">"), ("le", "≤"), ("lt", "<")):
            value = getattr(bound, name, None)
            if value is not None and value < 1e6:
                told[sign] = f"{sign} {value:g}"
    return ", ".join(told.values())


def _flat(bounds: tuple[Any, ...]) -> Iterator[Any]:
    for bound in bounds:
        yield bound
        yield from getattr(bound, "metadata", ())


def _inner(hint: Any) -> type[BaseModel] | None:
    """The section that a type is, or may be."""
    if inspect.isclass(hint) and issubclass(hint, BaseModel):
        return hint
    if get_origin(hint) in (typing.Annotated, typing.Union, types.UnionType):
        return next((found for part in get_args(hint) if (found := _inner(part)) is not None), None)
    return None


def sections(owner: type[BaseModel] = RunConfig, place: str = "") -> Iterator[tuple[str, type[BaseModel]]]:
    """Every section of a config with its dotted key, outer ones first."""
    yield place, owner
    for name, entry in owner.model_fields.items():
        inner = _inner(get_type_hints(owner, include_extras=True).get(name, entry.annotation))
        if inner is not None:
            yield from sections(inner, f"{place}.{entry.alias or name}".lstrip("."))


def config_rows(owner: type[BaseModel], place: str = "") -> Iterator[tuple[str, str]]:
    """Key and line of the table for each key of a section."""
    told = (
        _macro_meanings() | meanings(owner) if place.startswith(("space.macro", "space.searched")) else meanings(owner)
    )
    hints = get_type_hints(owner, include_extras=True)
    for name, entry in owner.model_fields.items():
        key, hint = entry.alias or name, hints.get(name, entry.annotation)
        dotted = f"{place}.{key}".lstrip(".")
        meaning = told.get(name, "")
        inner = _inner(hint)
        default = entry.get_default(call_default_factory=True)
        if inner is not None or (hint is not None and dotted == "budget"):
            meaning = f"{'' if meaning.startswith('see ') else meaning} See [`{dotted}`](#{anchor(dotted)}).".strip()
        if default is PydanticUndefined:
            shown_default = "**required**"
        else:
            shown_default = shown(default)
        kind = (
            "section" + (" or null" if inner and default is None else "")
            if inner
            else kind_of(hint, tuple(entry.metadata))
        )
        yield key, row(key, kind, shown_default, unit(key), meaning)


@cache
def _macro_meanings() -> dict[str, str]:
    from hasnas.search_spaces.macro import Macro

    return meanings(Macro)


def anchor(dotted: str) -> str:
    """The anchor of a section's heading."""
    return dotted.replace(".", "-").replace("_", "-")


def config_page() -> str:
    """Every key of a run's YAML."""
    text = (
        "# Config (YAML)\n\nEverything that `hasnas search` takes. Made from the models that check a config, so it is "
        "what the program accepts. A key that is left out has its default; an unknown key is an error that names the "
        "nearest known one. On the command line a key is written with dots: `hasnas search my.yaml "
        "search.evaluations=50`.\n\n"
    )
    for place, owner in sections():
        if place:
            text += f"## `{place}` {{ #{anchor(place)} }}\n\n"
        text += f"{summary(owner)}\n\n{HEADER}" + "".join(line for _, line in config_rows(owner, place)) + "\n"
        if place == "hardware":
            text += "The fields of a chip are those of [the hardware reference](hardware.md).\n\n" + _budget_section()
    return text


def _budget_section() -> str:
    text = (
        "## `budget` { #budget }\n\nLimits that every proposed network must meet; one that is left out is no limit. "
        "The same names, and expressions of them such as `energy*latency/accuracy`, may stand in `search.objectives`."
        "\n\n| key | limit | unit | example | meaning |\n|---|---|---|---|---|\n"
    )
    for name in COSTS.names():
        cost = cost_called(name)
        limit = "at least" if cost.more_is_better else "at most"
        known = "" if cost.priced else " Measured in a run."
        label = cost.label[:1].upper() + cost.label[1:]
        text += (
            f"| `{name}` | {limit} | {'' if cost.unit == '1' else cost.unit} | `{cost.example}` | {label}.{known} |\n"
        )
    return text + "\n"


def hardware_sections() -> Iterator[tuple[str, type]]:
    """Every section of a hardware description with its key; the fields without a section first."""
    yield "", GeneralHardware
    seen = set()
    for model in (GeneralHardware, SpikeSimHardware):
        for name, kind in get_type_hints(model).items():
            if is_dataclass(kind) and name not in seen:
                seen.add(name)
                yield name, typing.cast(type, kind)


def hardware_rows(owner: type) -> Iterator[tuple[str, str]]:
    """Key and line of the table for each field of a section."""
    told, hints = meanings(owner), get_type_hints(owner)
    for entry in fields(owner):
        if entry.name in ("name", "sources") or is_dataclass(hints[entry.name]):
            continue
        rule = entry.metadata
        kind = ", ".join(f"`{word}`" for word in rule["choices"]) if rule.get("choices") else _WORDS[hints[entry.name]]
        if rule.get("least") is not None and not rule.get("choices"):
            kind += f", ≥ {rule['least']:g}"
        if "above" in rule:
            kind += f", > {rule['above']:g}"
        default = "**required**" if entry.default is MISSING else shown(entry.default)
        yield entry.name, row(entry.name, kind, default, unit(entry.name), told.get(entry.name, ""))


def hardware_page() -> str:
    """Every field of a hardware description."""
    text = (
        "# Hardware (YAML)\n\nA chip is a YAML file, or a preset (`hasnas hardware` lists them, `hasnas hardware "
        "rram-32nm` shows every constant with its source). A section is written out, or names a ready-made part "
        "(`device: neurosim-rram`), or does both: `device: {part: neurosim-rram, cell_bits: 1}`. A value with a unit "
        'is written as text (`500 MHz`, `2 pJ`), or with its source: `{value: 500 MHz, source: "data sheet"}`. '
        "`model: general` needs every section but `spikesim`; `model: spikesim` takes `crossbar`, `precision`, "
        "`tile` and `spikesim`. On the command line: `--set crossbar.size=64`; in a config: "
        "`hardware.overrides`; searched: `hardware.searched`.\n\n## The chip as a whole\n\n"
    )
    for place, owner in hardware_sections():
        if place:
            text += f"## `{place}`\n\n{summary(owner)}\n\n"
        text += HEADER + "".join(line for _, line in hardware_rows(owner)) + "\n"
    return text


def registries() -> dict[str, Registry[Any]]:
    """Where a name is written -> the names that may stand there."""
    from hasnas.datasets.encoding import ENCODINGS
    from hasnas.datasets.source import DATASETS
    from hasnas.nas.config import plugins
    from hasnas.search_spaces.neurons import NEURONS
    from hasnas.search_spaces.operations import OPERATIONS
    from hasnas.search_spaces.space import SPACES

    return {
        "dataset.name": DATASETS,
        "dataset.encoding.name": ENCODINGS,
        "space.name": SPACES,
        "space.operations (kinds)": OPERATIONS,
        "space.macro.neuron": NEURONS,
        "executor": plugins.EXECUTORS,
        "supernet.strategy": plugins.SUPERNET_TRAINERS,
        "search.strategy": plugins.STRATEGIES,
        "search.score": plugins.SCORES,
        "retrain.method": plugins.TRAINING_METHODS,
        "export.formats": plugins.EXPORT_TARGETS,
        "tracking": plugins.TRACKERS,
    }


def names_page() -> str:
    """Every name that a registry knows, with the first sentence of what stands behind it."""
    text = (
        "# Names of plug-ins\n\nWhat may be written where, as it comes with hasnas. A package of yours adds names "
        "by an entry point of the group; see "
        "[your own strategy](../tutorials/your-own-strategy.md) and its neighbours.\n\n"
    )
    for place, registry in registries().items():
        text += f"## `{place}`\n\nEntry point group: `{registry._group}`\n\n| name | what it is |\n|---|---|\n"
        for name in registry.builtin_names:
            text += f"| `{name}` | {first_sentence(registry._paths[name])} |\n"
        text += "\n"
    return text


def first_sentence(path: str) -> str:
    """The first sentence of a docstring, by `module:attribute`, read from the file: nothing is imported.

    An attribute without a docstring of its own is told by the class that it is made of, or else by its module.
    """
    module, _, attribute = path.partition(":")
    file = ROOT.joinpath(*module.split(".")[1:])
    tree = _parsed(file.with_suffix(".py") if file.with_suffix(".py").exists() else file / "__init__.py")
    told = {n.name: n for n in tree.body if isinstance(n, ast.ClassDef | ast.FunctionDef) and ast.get_docstring(n)}
    # `POISSON = Encoding(poisson)` is told by what it is made with, or else by its class.
    names = [attribute, *_made_of(tree).get(attribute, [])]
    owner = next((told[name] for name in names if name in told), tree)
    return " ".join((ast.get_docstring(owner) or "").split("\n\n")[0].split()).replace("|", "\\|")


def _made_of(tree: ast.Module) -> dict[str, list[str]]:
    """Variable of a module -> the names that it is made of, those within a call before what is called."""
    found: dict[str, list[str]] = {}
    for node in tree.body:
        if not isinstance(node, ast.Assign | ast.AnnAssign) or node.value is None:
            continue
        target = node.targets[0] if isinstance(node, ast.Assign) else node.target
        several = isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple)
        pairs = zip(target.elts, node.value.elts, strict=True) if several else [(target, node.value)]
        for each, value in pairs:
            inner = [part.id for part in ast.walk(value) if isinstance(part, ast.Name)]
            found[ast.unparse(each)] = inner[::-1]
    return found


@cache
def _parsed(source: Path) -> ast.Module:
    return ast.parse(source.read_text(encoding="utf-8"))


def commands() -> Iterator[tuple[str, Any]]:
    """Every command of the command line with its full name."""
    from hasnas.nas.cli import app

    def below(name: str, command: Any) -> Iterator[tuple[str, Any]]:
        inner = getattr(command, "commands", None)
        if inner is None:
            yield name, command
        for each in inner or {}:
            yield from below(f"{name} {each}", inner[each])

    yield from below("hasnas", typer.main.get_command(app))


def commands_page() -> str:
    """Every command with its arguments and options."""
    text = (
        "# Commands\n\nMade from the command line itself; `hasnas COMMAND --help` says the same. "
        "`hasnas --install-completion` completes commands and options in your shell. What a command answers with is "
        "in [exit codes](exit-codes.md).\n\n"
    )
    for name, command in commands():
        arguments = [each for each in command.params if each.param_type_name == "argument"]
        options = [each for each in command.params if each.param_type_name == "option" and each.name != "help"]
        usage = " ".join([name, *(["[OPTIONS]"] if options else []), *(_metavar(each) for each in arguments)])
        text += f"## `{name}`\n\n```text\n{usage}\n```\n\n{inspect.cleandoc(command.help or '')}\n\n"
        if command.params:
            text += "| | default | meaning |\n|---|---|---|\n"
        for each in [*arguments, *options]:
            shape = f" {_metavar(each)}" if each in options and not each.is_flag else ""
            called = ", ".join(each.opts) + shape if each in options else _metavar(each)
            help_text = escape(" ".join((each.help or "").split()), quote=False).replace("|", "\\|")
            text += f"| `{called}` | {_default(each)} | {help_text} |\n"
        text += "\n"
    return text


def _metavar(parameter: Any) -> str:
    """What stands for a value in the usage."""
    if parameter.metavar:
        return str(parameter.metavar)
    if parameter.param_type_name == "argument":
        return str(parameter.name).upper()
    annotation = parameter.type_descriptor.annotation
    return {int: "N", float: "X", Path: "PATH"}.get(annotation, "TEXT")


def _default(parameter: Any) -> str:
    if parameter.required:
        return "**required**"
    value = parameter.default
    plain = isinstance(value, int | float | str | Path) and not isinstance(value, bool) and value not in ("", None)
    return f"`{value}`" if plain else ""


PAGES: dict[str, Callable[[], str]] = {
    "reference/config.md": config_page,
    "reference/hardware.md": hardware_page,
    "reference/names.md": names_page,
    "reference/commands.md": commands_page,
}
