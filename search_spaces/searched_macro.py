"""Macro values as genes: any space, with timesteps, channels, neurons, bits or readout searched beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hasnas.errors import BadInputError, nearest

from .architecture import Architecture
from .cell_groups import CellGroup, cell_groups
from .macro import MAX_POOL, Macro
from .neurons import NEURONS
from .space import Codes, Gene, SearchSpace, check_codes

SEARCHABLE = (
    "timesteps", "channels", "growth", "reduction", "threshold", "tau", "neuron", "weight_bits", "membrane_bits",
    "readout",
)  # fmt: skip
SHAPING = ("channels", "growth", "reduction")  # candidates that differ in them share no weights
MACRO_PREFIX = "macro/"

Value = int | float | str


@dataclass(frozen=True)
class SearchedMacroSpace:
    """Another space whose architectures also choose values of their macro.

    The genes are those of the other space, then `macro/<field>` for each searched field. What is alive in a cell
    depends on the chosen timesteps; the macro's choices are always alive.

    Args:
        inner: the other space, a dataclass with the field `macro`; its values are the base.
        searched: fields of the macro, among `SEARCHABLE`, and the values each may take; use `with_searched_macro`.

    Raises:
        BadInputError: for unknown fields, values that the macro refuses, or a value twice.
    """

    inner: SearchSpace
    searched: tuple[tuple[str, tuple[Value, ...]], ...]

    def __post_init__(self) -> None:
        macro = self.inner.macro
        known = [name for name in SEARCHABLE if name in {item.name for item in fields(Macro)}]
        if not is_dataclass(self.inner) or "macro" not in {item.name for item in fields(self.inner)}:
            raise BadInputError(
                f"the space {type(self.inner).__name__} has no field 'macro', so no values of it can be searched"
            )
        for name, values in self.searched:
            if name not in known:
                raise BadInputError(f"unknown key 'space.searched.{name}'{nearest(str(name), known)}")
            if not values or len(set(values)) != len(values):
                raise BadInputError(f"space.searched.{name} is {list(values)}; give at least one value, each once")
            for value in values:
                _check_type(name, value, getattr(macro, name))
                self._inner_with(replace(macro, **{name: value}))
        if "timesteps" in dict(self.searched) and not macro.static_input:
            raise BadInputError(
                "space.searched.timesteps: these samples come as frames, as many as there are timesteps; remove it"
            )

    @property
    def macro(self) -> Macro:
        """The base: the macro with the values that are not searched."""
        return self.inner.macro

    @property
    def cells(self) -> int:
        """Number of cells of an architecture."""
        return self.inner.cells

    @cached_property
    def genes(self) -> tuple[Gene, ...]:
        """Those of the other space, then one for each searched field."""
        own = (Gene(MACRO_PREFIX + name, tuple(str(value) for value in values)) for name, values in self.searched)
        return (*self.inner.genes, *own)

    @cached_property
    def _inner_genes(self) -> int:
        return len(self.inner.genes)

    def macro_of(self, codes: Sequence[int]) -> Macro:
        """The macro that the last codes, one for each searched field, choose."""
        pairs = zip(self.searched, codes, strict=True)
        chosen: dict[str, Any] = {name: values[code] for (name, values), code in pairs}
        return replace(self.macro, **chosen)

    def decode(self, codes: Sequence[int]) -> Architecture:
        """The architecture with these choices."""
        plain = check_codes(self, codes)
        drawn = self.inner.decode(plain[: self._inner_genes])
        return Architecture(drawn.genotypes, self.macro_of(plain[self._inner_genes :]))

    def encode(self, architecture: Architecture) -> tuple[int, ...]:
        """The codes of an architecture.

        Raises:
            BadInputError: if a value of its macro is not among the searched ones, or the rest is not of the space.
        """
        own = []
        for name, values in self.searched:
            value = getattr(architecture.macro, name)
            if value not in values:
                raise BadInputError(f"the architecture has {name} {value}; the space searches {list(values)}")
            own.append(values.index(value))
        base = replace(architecture.macro, **{name: getattr(self.macro, name) for name, _ in self.searched})
        return (*self.inner.encode(Architecture(architecture.genotypes, base)), *own)

    def canonical(self, codes: Codes) -> tuple[Codes, NDArray[np.bool_]]:
        """Codes with dead choices at 0, each at its own timesteps.

        Neurons without leak have no time constant, and max pools do not let channels grow.
        """
        array = np.atleast_2d(np.asarray(codes)).copy()
        connected = np.zeros(len(array), bool)
        for macro, rows in self._by_macro(array, ("timesteps",)):
            found, alive = self._inner_with(macro).canonical(array[rows, : self._inner_genes])
            array[rows, : self._inner_genes] = found
            connected[rows] = alive
        names = [name for name, _ in self.searched]
        if "tau" in names:
            for macro, rows in self._by_macro(array, ("neuron",)):
                if not NEURONS.get(macro.neuron).leaks:
                    array[rows, self._inner_genes + names.index("tau")] = 0
        if "growth" in names:
            for macro, rows in self._by_macro(array, ("reduction",)):
                if macro.reduction == MAX_POOL:
                    array[rows, self._inner_genes + names.index("growth")] = 0
        return array, connected

    def cell_groups(self, codes: Codes) -> list[CellGroup]:
        """One group for each combination of macro values that the codes choose."""
        array = np.atleast_2d(np.asarray(codes))
        groups: list[CellGroup] = []
        for macro, rows in self._by_macro(array, SEARCHABLE):
            inner = cell_groups(self._inner_with(macro), array[rows, : self._inner_genes])
            groups += [CellGroup(group.space, group.codes, rows[group.rows]) for group in inner]
        return groups

    def _by_macro(self, codes: Codes, names: Sequence[str]) -> list[tuple[Macro, NDArray[np.int64]]]:
        """The macros that the codes choose, of the named fields only, and the rows of each; at least one macro."""
        own = codes[:, self._inner_genes :].astype(np.int64)
        own = own * np.array([name in names for name, _ in self.searched])
        chosen, which = np.unique(own, axis=0, return_inverse=True)
        if not len(chosen):
            return [(self.macro_of([0] * len(self.searched)), np.zeros(0, np.int64))]
        places = which.reshape(-1)
        return [(self.macro_of(row), np.flatnonzero(places == index)) for index, row in enumerate(chosen.tolist())]

    def _inner_with(self, macro: Macro) -> SearchSpace:
        return replace(self.inner, macro=macro)  # type: ignore[type-var]


def with_searched_macro(space: SearchSpace, searched: Mapping[str, Sequence[Value]]) -> SearchSpace:
    """A space with macro values searched as well; the space itself if there are none.

    Args:
        space: any space that is a dataclass with the field `macro`.
        searched: field of the macro -> values.

    Raises:
        BadInputError: for unknown fields, values that the macro refuses, or a value twice.

    >>> from hasnas.search_spaces.snasnet import SNASNetSpace
    >>> from hasnas.search_spaces.space import space_size
    >>> space = with_searched_macro(SNASNetSpace(Macro()), {"timesteps": [4, 6], "threshold": [0.5, 1.0, 1.5]})
    >>> space_size(space), space.genes[-1].label, space.decode([0, 0, 3, 0, 0, 0, 1, 0]).macro.timesteps
    (93750, 'macro/threshold', 6)
    """
    if not searched:
        return space
    return SearchedMacroSpace(space, tuple((name, tuple(values)) for name, values in searched.items()))


def _check_type(name: str, value: Any, base: Any) -> None:
    """Values look like the macro's own: a whole number, a number, or text."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    fits = isinstance(value, str) if isinstance(base, str) else number and isinstance(value, int | type(base))
    if not fits:
        wanted = {str: "text", int: "whole numbers", float: "numbers"}[type(base)]
        raise BadInputError(f"space.searched.{name} holds {value!r}; give {wanted}")
