"""Spaces that users write: one YAML file says nodes, cells, operations and searched macro values; no code is needed."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hasnas.errors import BadInputError, nearest
from hasnas.yaml_files import read_yaml

from .autosnn import AutoSNNSpace
from .macro import Macro
from .operations import listed_operations, operation_like, operation_named
from .searched_macro import SEARCHABLE, Value, with_searched_macro
from .snasnet import CellSpace
from .space import SearchSpace

SPACE_VERSION = 1
MOST_CELLS, MOST_NODES = 64, 16
CELL, BLOCKS = "cell", "blocks"
KEYS = {
    CELL: ("version", "name", "kind", "nodes", "cells", "shared", "feedback", "operations", "searched"),
    BLOCKS: ("version", "name", "kind", "cells", "operations", "searched"),
}
OPERATION_KEYS = ("name", "kind", "kernel_size", "threshold")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,99}", re.ASCII)


@dataclass(frozen=True)
class SpaceFile:
    """A space as its file describes it, before it is put on a macro.

    Args:
        where: the file, for messages.
        name: of the space.
        kind: `"cell"` (every pair of nodes carries an operation) or `"blocks"` (a chain of skip, convolution and
            residual blocks).
        operations: names, own operations under the name that says what they do.
        options: what else the space takes.
        searched: fields of the macro and the values that are searched.
    """

    where: str
    name: str
    kind: str
    operations: tuple[str, ...]
    options: Mapping[str, Any]
    searched: Mapping[str, tuple[Value, ...]]

    def build(self, macro: Macro) -> SearchSpace:
        """The space on a macro.

        Raises:
            BadInputError: naming the file, if the parts do not fit together.
        """
        try:
            if self.kind == BLOCKS:
                space: SearchSpace = AutoSNNSpace(macro, operations=self.operations, **self.options)
            else:
                space = CellSpace(macro, operations=self.operations, **self.options)
            return with_searched_macro(space, self.searched)
        except BadInputError as error:
            raise BadInputError(f"{self.where}: {error}") from error


def load_space_file(path: Path | str) -> SpaceFile:
    """Read a space file.

    Raises:
        BadInputError: in one line with file, key and the nearest known one, for whatever is wrong.
    """
    return space_from_tree(read_yaml(path), str(path))


def space_from_tree(tree: Any, where: str) -> SpaceFile:
    """A space from plain data.

    Args:
        tree: what the YAML holds.
        where: file name for messages.

    Raises:
        BadInputError: for the first thing that is wrong.

    >>> tree = {"version": 1, "name": "wide", "kind": "cell", "nodes": 3, "cells": 2,
    ...         "operations": ["none", "identity", {"name": "large", "kind": "conv", "kernel_size": 7}]}
    >>> space_from_tree(tree, "wide.yaml").build(Macro()).choices
    ('none', 'identity', 'conv7x7')
    >>> space_from_tree({**tree, "kind": "cel"}, "wide.yaml")
    Traceback (most recent call last):
        ...
    hasnas.errors.BadInputError: wide.yaml: unknown kind 'cel'; did you mean 'cell'? Known: blocks, cell
    """
    if not isinstance(tree, Mapping):
        raise BadInputError(f"{where} holds no keys; a space starts with 'version: {SPACE_VERSION}', 'name', 'kind'")
    _check_keys(tree, sorted({key for keys in KEYS.values() for key in keys}), where)
    version, kind = _needed(tree, "version", where), _needed(tree, "kind", where)
    if version != SPACE_VERSION or isinstance(version, bool):
        raise BadInputError(f"{where}: version is {_shown(version)}; this release reads version {SPACE_VERSION}")
    if kind not in (CELL, BLOCKS):
        raise BadInputError(f"{where}: unknown kind '{_text(kind)}'{nearest(_text(kind), KEYS)}")
    for key in tree:
        if key not in KEYS[kind]:
            raise BadInputError(f"{where}: key '{key}' is for 'kind: {CELL}'; a space of kind '{kind}' has none")
    name = _needed(tree, "name", where)
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise BadInputError(f"{where}: name is {_shown(name)}; give a letter, then letters, digits, '_' and '-'")
    operations = _operations(_needed(tree, "operations", where), where)
    return SpaceFile(where, name, kind, operations, _options(tree, where), _searched(tree.get("searched"), where))


def _options(tree: Mapping[str, Any], where: str) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for key, (smallest, largest) in {"nodes": (2, MOST_NODES), "cells": (1, MOST_CELLS)}.items():
        if key in tree:
            value = tree[key]
            if not isinstance(value, int) or isinstance(value, bool) or not smallest <= value <= largest:
                raise BadInputError(f"{where}: {key} is {_shown(value)}; give a number from {smallest} to {largest}")
            options[key] = value
    for key in ("shared", "feedback"):
        if key in tree:
            if not isinstance(tree[key], bool):
                raise BadInputError(f"{where}: {key} is {_shown(tree[key])}; give true or false")
            options[key] = tree[key]
    return options


def _operations(items: Any, where: str) -> tuple[str, ...]:
    if not isinstance(items, list | tuple) or not items:
        raise BadInputError(f"{where}: operations is {_shown(items)}; give a list of names or of name, kind, ...")
    called: dict[str, str] = {}
    for number, item in enumerate(items, start=1):
        place = f"{where}: operations, entry {number}"
        own, name = _operation(item, place)
        if name in called:
            raise BadInputError(f"{place}: '{own}' is the same as '{called[name]}'; name each operation once")
        if own in called.values():
            raise BadInputError(f"{place}: there are two operations '{own}'; give each a name of its own")
        called[name] = own
    return tuple(called)


def _operation(item: Any, place: str) -> tuple[str, str]:
    """What a user calls an operation, and the name that says what it does."""
    if isinstance(item, str):
        return item, _placed(lambda: operation_named(item).name, place)
    if not isinstance(item, Mapping):
        raise BadInputError(f"{place} is {_shown(item)}; give a name, or name, kind, kernel_size and threshold")
    _check_keys(item, OPERATION_KEYS, place)
    own, kind, size = (_needed(item, key, place) for key in ("name", "kind", "kernel_size"))
    if not isinstance(own, str) or not _NAME.fullmatch(own) or own in listed_operations():
        raise BadInputError(f"{place}: name is {_shown(own)}; give a new name of letters, digits, '_' and '-'")
    if not isinstance(size, int) or isinstance(size, bool):
        raise BadInputError(f"{place}: kernel_size is {_shown(size)}; give an odd number")
    threshold = item.get("threshold")
    if threshold is not None and not _is_number(threshold):
        raise BadInputError(f"{place}: threshold is {_shown(threshold)}; give a positive number")
    return own, _placed(lambda: operation_like(_text(kind), size, threshold).name, place)


def _searched(tree: Any, where: str) -> dict[str, tuple[Value, ...]]:
    if tree is None:
        return {}
    place = f"{where}: searched"
    if not isinstance(tree, Mapping):
        raise BadInputError(f"{place} is {_shown(tree)}; give fields of the macro with their values")
    _check_keys(tree, SEARCHABLE, place)
    for key, values in tree.items():
        fits = isinstance(values, list | tuple) and all(isinstance(v, str) or _is_number(v) for v in values)
        if not fits or not values:
            raise BadInputError(f"{place}.{key} is {_shown(values)}; give a list of values")
    return {key: tuple(values) for key, values in tree.items()}


def _check_keys(tree: Mapping[Any, Any], known: Any, where: str) -> None:
    for key in tree:
        if key not in known:
            raise BadInputError(f"{where}: unknown key '{_text(key)}'{nearest(_text(key), known)}")


def _needed(tree: Mapping[str, Any], key: str, where: str) -> Any:
    if key not in tree:
        raise BadInputError(f"{where}: '{key}' is missing; add it")
    return tree[key]


def _placed(read: Callable[[], str], place: str) -> str:
    try:
        return read()
    except BadInputError as error:
        raise BadInputError(f"{place}: {error}") from error


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _text(value: Any) -> str:
    """A user's text in one line, shortened."""
    text = str(value)[:200]
    plain = "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)
    return plain if len(plain) <= 60 else plain[:57] + "..."


def _shown(value: Any) -> str:
    return _text(repr(value)) if not isinstance(value, int) or abs(value) < 10**30 else "a number that is too large"
