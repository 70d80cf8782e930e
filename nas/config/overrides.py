"""Changes to single keys of a config: `key=value` with a dotted key."""

from __future__ import annotations

import re
from typing import Any

from hasnas.errors import BadInputError, one_line
from hasnas.yaml_files import parse_yaml

_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")


def parse_override(text: str) -> tuple[str, Any]:
    """A dotted key and its value from a `key=value` argument; the value is typed as YAML types it.

    Raises:
        BadInputError: if there is no `=`, the key is not a dotted name or the value is not YAML.

    >>> parse_override("budget.energy=2 uJ"), parse_override("seed=1")
    (('budget.energy', '2 uJ'), ('seed', 1))
    """
    key, equals, value = text.partition("=")
    key = key.strip()
    if not equals or not _KEY.fullmatch(key):
        shown = one_line(text)
        raise BadInputError(f"override '{shown}' is not key=value; write for example seed=1 or budget.energy=\"2 uJ\"")
    return key, parse_yaml(value, one_line(f"override '{text}'"))


def apply_override(tree: dict[str, Any], key: str, value: Any) -> None:
    """Set a dotted key in a tree of sections, creating sections that are missing.

    Raises:
        BadInputError: if a part of the key is a plain value, which has no keys.

    >>> tree = {"search": {"batch": 8}}
    >>> apply_override(tree, "search.sample", 4); tree
    {'search': {'batch': 8, 'sample': 4}}
    """
    *sections, last = key.split(".")
    here = tree
    for depth, name in enumerate(sections, start=1):
        if here.get(name) is None:
            here[name] = {}
        if not isinstance(here[name], dict):
            raise BadInputError(f"override '{key}': {'.'.join(sections[:depth])} is a value, not a section with keys")
        here = here[name]
    here[last] = value
