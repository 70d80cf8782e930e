"""What all sections of a config have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic._internal._model_construction import ModelMetaclass

from hasnas.errors import BadInputError

from .problems import told


class _SectionType(ModelMetaclass):
    """Turns pydantic's complaints into ours where a section is made in Python."""

    def __call__(self, *args: Any, **values: Any) -> Any:
        try:
            return super().__call__(*args, **values)
        except ValidationError as error:
            raise BadInputError(told(error, self, self.place)) from error  # type: ignore[arg-type, attr-defined]


class Section(BaseModel, metaclass=_SectionType):
    """A part of a config: unknown keys, wrong types, NaN and infinity are refused, nothing is converted silently.

    Made in Python, a section raises `BadInputError` with its place in a config.

    >>> from hasnas.nas.config.sections import SearchSection
    >>> SearchSection(batch=0)
    Traceback (most recent call last):
        ...
    hasnas.errors.BadInputError: search.batch is 0; it must be greater than or equal to 1
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)
    place: ClassVar[str] = ""

    def with_changes(self, changes: Mapping[str, Any]) -> Self:
        """The same section with some fields changed.

        Raises:
            BadInputError: for an unknown field or an impossible value.
        """
        fields = type(self).model_fields
        now = {name: getattr(self, name) for name in fields} | dict(changes)
        return type(self)(**{(fields[name].alias or name) if name in fields else name: now[name] for name in now})
