"""The one reader of YAML: plain values only, one line for every mistake, bounded in size, depth and digits.

The rules of YAML 1.2's core schema are followed where PyYAML's differ, so that `1e-3` is a number, `010` is ten,
and `no`, `on` and `12:30` are text. Aliases, tags and keys given twice are refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from hasnas.errors import BadInputError, one_line
from hasnas.files import read_text

MAXIMUM_CHARACTERS = 256_000
MAXIMUM_DEPTH = 20
MAXIMUM_DIGITS = 100
_SHOWN_CHARACTERS = 60


def _integer(text: str) -> int:
    base = {"0o": 8, "0x": 16}.get(text[:2])
    return int(text[2:], base) if base else int(text)


# The core schema: tag -> how a plain scalar of it looks, first characters it may have, how to read it.
_FLOAT = r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
_SCHEMA: dict[str, tuple[re.Pattern[str], list[str | None], Callable[[str], Any]]] = {
    "bool": (re.compile(r"true|True|TRUE|false|False|FALSE"), [*"tTfF"], lambda text: text.lower() == "true"),
    "null": (re.compile(r"~|null|Null|NULL|"), [*"~nN", ""], lambda text: None),
    "int": (re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+"), [*"-+0123456789"], _integer),
    "float": (re.compile(_FLOAT), [*"-+.0123456789"], lambda text: float(re.sub(r"\.(?=[iInN])", "", text))),
}
_TAG = "tag:yaml.org,2002:"


class _CoreDumper(yaml.SafeDumper):
    """Puts quotes around text that the core schema would read as something else."""


_CoreDumper.yaml_implicit_resolvers = {}
for _name, (_pattern, _first, _) in _SCHEMA.items():
    _CoreDumper.add_implicit_resolver(_TAG + _name, re.compile(f"(?:{_pattern.pattern})$"), _first)


def read_yaml(path: Path | str) -> dict[str, Any]:
    """The keys and values in a YAML file.

    Args:
        path: the file.

    Raises:
        BadInputError: in one line with file and line, if the file cannot be read, is not YAML as `parse_yaml` takes it,
            or holds anything but keys and values.
    """
    content = parse_yaml(read_text(path, MAXIMUM_CHARACTERS), str(path))
    if not isinstance(content, dict):
        what = "nothing" if content is None else "a list" if isinstance(content, list) else "a single value"
        raise BadInputError(f"{path} holds no keys but {what}; write keys and values, for example 'name: x'")
    return content


def parse_yaml(text: str, where: str) -> Any:
    """The value that a YAML text describes, made of dicts, lists, strings, numbers, booleans and None.

    Args:
        text: the YAML.
        where: file name or other place for messages.

    Raises:
        BadInputError: if the text is not YAML, too long, nested too deeply, has a key twice, a key that is not text, a
            number of too many digits, a tag or an alias.

    >>> parse_yaml("search: {rate: 1e-3, on: 010}", "example")
    {'search': {'rate': 0.001, 'on': 10}}
    >>> parse_yaml("a: {b: 1, b: 2}", "example")
    Traceback (most recent call last):
        ...
    hasnas.errors.BadInputError: example, line 1: key 'a.b' appears twice; keep one
    """
    if len(text) > MAXIMUM_CHARACTERS:
        raise BadInputError(f"{where} has {len(text)} characters; a file has at most {MAXIMUM_CHARACTERS}, shorten it")
    try:
        return _Reader(yaml.parse(text, yaml.SafeLoader), where).document()
    except BadInputError:
        raise
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        problem = one_line(str(error.problem or error.context))
        raise BadInputError(f"{where}{line} is not valid YAML: {problem}") from error
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # the last two from escapes and directives
        raise BadInputError(f"{where} is not valid YAML: {one_line(' '.join(str(error).split()))}") from error


def to_yaml(tree: Any) -> str:
    """Plain values as YAML, keys in the order given; `parse_yaml` reads the same values back.

    >>> to_yaml({"rate": "1e-3", "on": True})
    "rate: '1e-3'\\non: true\\n"
    """
    return yaml.dump(tree, Dumper=_CoreDumper, sort_keys=False, allow_unicode=True)


@dataclass
class _Reader:
    """Turns the parser's events into plain values; nothing is built that was not written out."""

    events: Iterator[Any]
    where: str

    def document(self) -> Any:
        """The value of the only document; None if there is none."""
        next(self.events)  # the stream starts
        if isinstance(next(self.events), yaml.StreamEndEvent):
            return None
        value = self.value(next(self.events), "", 0)
        next(self.events)  # the document ends
        after = next(self.events)
        if not isinstance(after, yaml.StreamEndEvent):
            raise self.error(after, "a second document starts; keep one")
        return value

    def value(self, event: Any, path: str, depth: int) -> Any:
        """The value that an event starts; `path` is its dotted key, for messages."""
        if isinstance(event, yaml.AliasEvent):
            raise self.error(event, "aliases (*name) are not supported, repeat the value")
        if depth > MAXIMUM_DEPTH:
            raise self.error(event, f"nested too deeply; at most {MAXIMUM_DEPTH} levels are read")
        if isinstance(event, yaml.ScalarEvent):
            return self.scalar(event, path)
        kind = "map" if isinstance(event, yaml.MappingStartEvent) else "seq"
        if event.tag not in (None, _TAG + kind):
            raise self.error(event, f"tag '{event.tag}' is not supported; use plain values")
        return self.mapping(path, depth) if kind == "map" else self.sequence(path, depth)

    def sequence(self, path: str, depth: int) -> list[Any]:
        """The items up to the end of the list."""
        items: list[Any] = []
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            items.append(self.value(event, path, depth + 1))
        return items

    def mapping(self, path: str, depth: int) -> dict[str, Any]:
        """The keys and values up to the end of the mapping; keys are text and appear once."""
        result: dict[str, Any] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            key = self.scalar(event, path) if isinstance(event, yaml.ScalarEvent) else None
            if not isinstance(key, str):
                raise self.error(event, "a key must be a name; put quotes around it if it is one")
            if key == "<<" and event.implicit[0]:
                raise self.error(event, "merges (<<) are not supported, write the values out")
            dotted = f"{path}.{key}" if path else key
            if key in result:
                raise self.error(event, f"key '{_shown(dotted)}' appears twice; keep one")
            result[key] = self.value(next(self.events), dotted, depth + 1)
        return result

    def scalar(self, event: Any, path: str) -> Any:
        """The value of a scalar: by its tag, else by the core schema if it is plain, else text."""
        text, tag = event.value, event.tag
        if tag is None and event.implicit[0]:
            fitting = (name for name, (pattern, _, _) in _SCHEMA.items() if pattern.fullmatch(text))
            tag = _TAG + next(fitting, "str")
        name = "str" if tag is None else tag.removeprefix(_TAG)
        if name == "str":
            return text
        if name not in _SCHEMA:
            raise self.error(event, f"tag '{tag}' is not supported; use plain values")
        pattern, _, read = _SCHEMA[name]
        what = _shown(path) if path else "the value"
        if not pattern.fullmatch(text):
            raise self.error(event, f"{what} cannot be read as {name}; mend the value")
        if name in ("int", "float") and len(text) > MAXIMUM_DIGITS:
            raise self.error(event, f"{what} has {len(text)} digits; give a number of at most {MAXIMUM_DIGITS}")
        return read(text)

    def error(self, event: Any, what: str) -> BadInputError:
        """A complaint about a place in the text."""
        return BadInputError(one_line(f"{self.where}, line {event.start_mark.line + 1}: {what}"))


def _shown(path: str) -> str:
    """The end of a dotted key, which says most."""
    return path if len(path) <= _SHOWN_CHARACTERS else f"...{path[-_SHOWN_CHARACTERS:]}"
