"""YAML as configs use it: plain values only, one line for every mistake, dotted overrides on top.

The rules of YAML 1.2's core schema are followed where PyYAML's differ, so that `1e-3` is a number, `010` is ten,
and `no`, `on` and `12:30` are text.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import yaml

from hasnas.errors import BadInputError

MAXIMUM_CHARACTERS = 64_000
MAXIMUM_DEPTH = 20
_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")

# The core schema: tag, how a plain scalar of it looks, first characters it may have, how to read it.
_FLOAT = r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
_SCHEMA: tuple[tuple[str, str, list[str | None], Callable[[str], Any]], ...] = (
    ("bool", r"true|True|TRUE|false|False|FALSE", [*"tTfF"], lambda text: bool(("false", "true").index(text.lower()))),
    ("null", r"~|null|Null|NULL|", [*"~nN", ""], lambda text: None),
    ("int", r"[-+]?[0-9]+", [*"-+0123456789"], int),
    ("float", _FLOAT, [*"-+.0123456789"], lambda text: float(re.sub(r"\.(?=[iInN])", "", text))),
    ("str", r"", [], str),
)
_READERS = {f"tag:yaml.org,2002:{tag}": read for tag, _, _, read in _SCHEMA}


class _CoreLoader(yaml.SafeLoader):
    """Composes nodes by the core schema; refuses what can explode, aliases and deep nesting."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        mark = self.peek_event().start_mark
        if self.check_event(yaml.AliasEvent):
            raise yaml.MarkedYAMLError(problem="aliases (*name) are not supported, repeat the value", problem_mark=mark)
        if self.depth > MAXIMUM_DEPTH:
            raise yaml.MarkedYAMLError(problem="nested too deeply; a config has two or three levels", problem_mark=mark)
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


class _CoreDumper(yaml.SafeDumper):
    """Puts quotes around text that the core schema would read as something else."""


_CoreLoader.yaml_implicit_resolvers, _CoreDumper.yaml_implicit_resolvers = {}, {}
for _tag, _pattern, _first, _ in _SCHEMA:
    if _first:
        for _user in (_CoreLoader, _CoreDumper):
            _user.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"(?:{_pattern})$"), _first)


def parse_yaml(text: str, where: str) -> Any:
    """The value that a YAML text describes, made of dicts, lists, strings, numbers, booleans and None.

    Args:
        text: the YAML.
        where: file name or other place for messages.

    Raises:
        BadInputError: if the text is not YAML, too long, has a key twice, a key that is not text, or an alias.

    >>> parse_yaml("search: {rate: 1e-3, on: 010}", "example")
    {'search': {'rate': 0.001, 'on': 10}}
    >>> parse_yaml("a: {b: 1, b: 2}", "example")
    Traceback (most recent call last):
        ...
    hasnas.errors.BadInputError: example, line 1: key 'a.b' appears twice; keep one
    """
    if len(text) > MAXIMUM_CHARACTERS:
        raise BadInputError(f"{where} has {len(text)} characters; a config has at most {MAXIMUM_CHARACTERS}")
    try:
        root = yaml.compose(text, _CoreLoader)
        return None if root is None else _plain(root, "", where)
    except BadInputError:
        raise
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise BadInputError(f"{where}{line} is not valid YAML: {error.problem or error.context}") from error
    except yaml.YAMLError as error:
        raise BadInputError(f"{where} is not valid YAML: {' '.join(str(error).split())}") from error


def to_yaml(tree: Any) -> str:
    """Plain values as YAML, keys in the order given; `parse_yaml` reads the same values back.

    >>> to_yaml({"rate": "1e-3", "on": True})
    "rate: '1e-3'\\non: true\\n"
    """
    return yaml.dump(tree, Dumper=_CoreDumper, sort_keys=False, allow_unicode=True)


def one_line(text: str) -> str:
    """The text with line breaks and other control characters written out, for messages that quote a user.

    >>> print(one_line("a" + chr(10) + "b"))
    a\\nb
    """
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


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


def _plain(node: yaml.Node, path: str, where: str) -> Any:
    """The plain value below a node; `path` is its dotted key, for messages."""
    place = f"{where}, line {node.start_mark.line + 1}"
    if isinstance(node, yaml.MappingNode) and node.tag == "tag:yaml.org,2002:map":
        return _mapping(node, path, where)
    if isinstance(node, yaml.SequenceNode) and node.tag == "tag:yaml.org,2002:seq":
        return [_plain(item, path, where) for item in node.value]
    if not isinstance(node, yaml.ScalarNode) or node.tag not in _READERS:
        raise BadInputError(one_line(f"{place}: tag '{node.tag}' is not supported; use plain values"))
    try:
        return _READERS[node.tag](node.value)
    except ValueError as error:
        kind = node.tag.rpartition(":")[2]
        what = one_line(path or "the value")
        raise BadInputError(f"{place}: {what} cannot be read as {kind}; mend the value") from error


def _mapping(node: yaml.MappingNode, path: str, where: str) -> dict[str, Any]:
    """The dict of a mapping; keys are text and appear once."""
    result: dict[str, Any] = {}
    for key, value in node.value:
        place = f"{where}, line {key.start_mark.line + 1}"
        if not isinstance(key, yaml.ScalarNode) or key.tag != "tag:yaml.org,2002:str":
            raise BadInputError(f"{place}: a key must be a name; put quotes around it if it is one")
        dotted = f"{path}.{key.value}" if path else key.value
        if key.value in result:
            raise BadInputError(one_line(f"{place}: key '{dotted}' appears twice; keep one"))
        result[key.value] = _plain(value, dotted, where)
    return result
