"""What is wrong with a config, in one line: where, which key, what it must be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from hasnas.errors import nearest, one_line
from hasnas.nas.budget.budget import Budget
from hasnas.nas.budget.costs import COSTS

_WORDS = {
    "a valid integer": "a whole number",
    "a valid number": "a number",
    "a valid string": "text",
    "a valid boolean": "true or false",
    "a valid tuple": "a list",
}

BESIDE = " (one of another package: install that package)"
"""Said of a name that nobody registered."""


def first_problem(error: ValidationError) -> tuple[str, ...]:
    """The keys that lead to the first thing that is wrong."""
    return tuple(str(part) for part in error.errors(include_url=False)[0]["loc"])


def told(error: ValidationError, section: type[BaseModel], key: str = "") -> str:
    """One line about the first thing that is wrong; the number of others is added.

    Args:
        error: what pydantic complains about.
        section: the section that was to be made.
        key: dotted key of that section; empty for a whole config.
    """
    problems = error.errors(include_url=False)
    others = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return one_line(_describe(problems[0], section, key) + others)


def place_of(key: str, where: str, overrides: Mapping[str, str]) -> str:
    """The override that set a key, or the file."""
    for changed, text in reversed(tuple(overrides.items())):
        if key == changed or key.startswith(changed + ".") or changed.startswith(key + "."):
            return f"override '{text}'"
    return where


def _describe(problem: Any, section: type[BaseModel], root: str) -> str:
    path = [str(part) for part in problem["loc"]]
    key = ".".join(filter(None, [root, *path]))
    if problem["type"] == "extra_forbidden":
        return f"unknown key '{key}'{nearest(path[-1], _sibling_keys(section, path))}"
    if problem["type"] == "missing":
        return f"'{key}' is missing; add it"
    value = _shown(problem["input"])
    if problem["type"] in ("model_type", "model_attributes_type"):
        known = ", ".join(_sibling_keys(section, [*path, ""]))
        return f"{key} is {value}; it is a section with the keys {known}"
    reason = problem["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    if isinstance(problem["input"], Mapping):
        return f"{key}: {reason}"
    if problem["type"] == "literal_error" and isinstance(problem["input"], str):
        known_words = [word.strip("'") for word in reason.replace(" or ", ", ").split(", ")]
        return f"{key} is {value}{nearest(problem['input'], known_words)}"
    wanted = reason if problem["type"] == "value_error" else f"it must be {_plain_words(reason)}"
    return f"{key} is {value}; {wanted}"


def _plain_words(reason: str) -> str:
    return _WORDS.get(reason, reason[:1].lower() + reason[1:])


def _sibling_keys(section: type[BaseModel], path: Sequence[str]) -> list[str]:
    """The keys of the section that `path` ends in."""
    for part in path[:-1]:
        inner = section.model_fields[part].annotation if part in section.model_fields else None
        if inner is Budget:
            return COSTS.names()
        kinds = (inner, *get_args(inner))  # a section that may be left out is one of two kinds
        section = next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), section)
    return sorted(field.alias or name for name, field in section.model_fields.items())


def _shown(value: Any) -> str:
    """A value as YAML shows it, shortened."""
    text = str(value).lower() if isinstance(value, bool) else "null" if value is None else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
