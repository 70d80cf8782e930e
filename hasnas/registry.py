"""Named plug-ins: built-in ones by import path (listing them imports nothing), others by decorator or entry point."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Callable, Mapping
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, distributions
from pathlib import Path
from typing import Generic, TypeVar

from hasnas.errors import BadInputError, HasnasError, nearest, one_line
from hasnas.extras import missing_extra

T = TypeVar("T")


class Registry(Generic[T]):
    """Maps a name to an implementation.

    Args:
        kind: what is registered, for messages, e.g. `"dataset"`.
        builtin: name -> `"module:attribute"`, imported on first use.
        entry_point_group: group under which other packages announce theirs, e.g. `"hasnas.datasets"`.

    >>> paths = Registry("path", {"join": "posixpath:join"}, "hasnas.doctest")
    >>> paths.get("join")("a", "b")
    'a/b'
    >>> paths.get("joyn")
    Traceback (most recent call last):
        ...
    hasnas.errors.BadInputError: unknown path 'joyn'; did you mean 'join'? Known: join (one of another package: \
install that package)
    """

    def __init__(self, kind: str, builtin: Mapping[str, str], entry_point_group: str) -> None:
        self.kind = kind
        self._paths = dict(builtin)
        self._loaded: dict[str, T] = {}
        self._group = entry_point_group

    def register(self, name: str) -> Callable[[T], T]:
        """Decorator that adds an implementation under `name`; a name that is taken is refused."""
        if name in self.names():
            raise HasnasError(f"{self.kind} '{name}' is registered already; choose another name")

        def add(implementation: T) -> T:
            self._loaded[name] = implementation
            return implementation

        return add

    def names(self) -> list[str]:
        """Every known name, sorted."""
        return sorted(set(_announced(self._group, tuple(sys.path))) | set(self._paths) | set(self._loaded))

    @property
    def builtin_names(self) -> tuple[str, ...]:
        """Names of the built-in implementations, in their order; looking at them reads no installed package."""
        return tuple(self._paths)

    def get(self, name: str) -> T:
        """The implementation called `name`.

        Raises:
            BadInputError: if nothing has that name; the nearest known one is named.
        """
        if name not in self._loaded:
            self._loaded[name] = self._load(name)
        return self._loaded[name]

    def _load(self, name: str) -> T:
        if name in self._paths:
            module, _, attribute = self._paths[name].partition(":")
            return getattr(import_module(module), attribute)
        announced = _announced(self._group, tuple(sys.path))
        if name in announced:
            return self._load_foreign(announced[name])
        raise BadInputError(
            f"unknown {self.kind} '{name}'{nearest(name, self.names())} (one of another package: install that package)"
        )

    def _load_foreign(self, point: EntryPoint) -> T:
        _FOREIGN[point.module.partition(".")[0]] = point.dist.name if point.dist else point.module
        try:
            return point.load()
        except (HasnasError, MemoryError):
            raise
        except Exception as error:  # whatever importing somebody's module raises
            if isinstance(error, ModuleNotFoundError) and missing_extra(error, self.kind):
                raise
            reason = one_line(f"{type(error).__name__}: {error}")
            told = f"{self.kind} '{point.name}' cannot be loaded from {point.value}: {reason}"
            raise BadInputError(f"{told}; mend or reinstall its package") from error


_FOREIGN: dict[str, str] = {}  # top module of a plug-in that was loaded -> its package


def raised_by_plugin(error: BaseException) -> str | None:
    """Which package's plug-in an error comes from, with file and line; None where no plug-in of another had a part."""
    found, trace = None, error.__traceback__
    while trace is not None:
        module = str(trace.tb_frame.f_globals.get("__name__", "")).partition(".")[0]
        if module in _FOREIGN:
            where = f"{Path(trace.tb_frame.f_code.co_filename).name}, line {trace.tb_lineno}"
            found = f"a plug-in of the package {_FOREIGN[module]} ({where})"
        trace = trace.tb_next
    return found


@cache
def _announced(group: str, path: tuple[str, ...]) -> Mapping[str, EntryPoint]:
    """What the packages on `path` (that is `sys.path`) announce under a group; of two the first on it is meant."""
    return {point.name: point for point in reversed(_of_all_groups(path).get(group, []))}


@cache
def _of_all_groups(path: tuple[str, ...]) -> Mapping[str, list[EntryPoint]]:
    """Group -> what is announced; reading that of every package takes some 10 ms, however little of it is ours."""
    found: dict[str, list[EntryPoint]] = defaultdict(list)
    for package in distributions():
        for point in package.entry_points:
            found[point.group].append(point)
    return found
