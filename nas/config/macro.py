"""The macro in a run's YAML: its keys, types, defaults and ranges are those of `hasnas.search_spaces.macro.Macro`."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

from pydantic import Field, create_model, model_validator

from hasnas.search_spaces.macro import Macro
from hasnas.search_spaces.searched_macro import SEARCHABLE

from .section import Section

FROM_THE_DATASET = ("input_shape", "classes", "static_input", "largest_count")
_HINTS = get_type_hints(Macro)


class MacroFields(Section):
    """What surrounds the cells: the fields of `Macro` that the dataset leaves open."""

    place = "space.macro"

    def macro(self, input_shape: tuple[int, int, int] = (3, 32, 32), classes: int = 10, static: bool = True) -> Macro:
        """The macro for a dataset's shapes."""
        return Macro(input_shape=input_shape, classes=classes, static_input=static, **self.model_dump())

    @model_validator(mode="before")
    @classmethod
    def _lists_as_tuples(cls, tree: Any) -> Any:
        return _with_tuples(tree)

    @model_validator(mode="after")
    def _as_the_macro_wants(self) -> MacroFields:
        self.macro()
        return self


class SearchedFields(Section):
    """Fields of the macro that are searched too, each with its values; null for one that is not."""

    place = "space.searched"

    @property
    def values(self) -> dict[str, tuple[int | float | str, ...]]:
        """Those that are searched."""
        return {name: values for name, values in self.model_dump().items() if values is not None}

    @model_validator(mode="before")
    @classmethod
    def _lists_as_tuples(cls, tree: Any) -> Any:
        return _with_tuples(tree)

    @model_validator(mode="after")
    def _as_the_macro_wants(self) -> SearchedFields:
        for name, values in self.values.items():
            for value in values:
                Macro(**{name: value})  # type: ignore[arg-type]
        return self


def _with_tuples(tree: Any) -> Any:
    """YAML has lists where `Macro` has tuples."""
    if not isinstance(tree, dict):
        return tree
    return {key: tuple(value) if isinstance(value, list) else value for key, value in tree.items()}


if TYPE_CHECKING:

    class MacroSection(MacroFields):
        """See `MacroFields`."""

    class SearchedSection(SearchedFields):
        """See `SearchedFields`."""

else:
    _OPEN = [each for each in fields(Macro) if each.name not in FROM_THE_DATASET]
    MacroSection = create_model(
        "MacroSection",
        __base__=MacroFields,
        __doc__=MacroFields.__doc__,
        __module__=__name__,
        **{each.name: (_HINTS[each.name], each.default) for each in _OPEN},
    )
    SearchedSection = create_model(
        "SearchedSection",
        __base__=SearchedFields,
        __doc__=SearchedFields.__doc__,
        __module__=__name__,
        **{name: (Annotated[tuple[_HINTS[name], ...], Field(min_length=1)] | None, None) for name in SEARCHABLE},
    )
