"""Spaces that users write in Python: a file beside their config with one class."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from hasnas.errors import BadInputError

SUFFIX = ".py"


def load_space_class(path: Path | str) -> type:
    """The space that a Python file defines: its only class with `genes`, `decode`, `encode` and `canonical`.

    The file is imported as a module under its own name, from its folder, so that worker processes find it too.

    Args:
        path: the file.

    Raises:
        BadInputError: if it cannot be imported, another module has its name, or it defines no such class or several.
    """
    file = Path(path).resolve()
    if not file.is_file():
        raise BadInputError(f"space.file: no file {path}")
    if not file.stem.isidentifier():
        raise BadInputError(f"space.file: {path} cannot be imported; name it with letters, digits and '_'")
    folder = str(file.parent)
    if folder not in sys.path:
        sys.path.append(folder)
    try:
        module = importlib.import_module(file.stem)
    except Exception as error:  # whatever a user's module raises while it is imported
        raise BadInputError(f"space.file: {path} cannot be imported: {type(error).__name__}: {error}") from error
    if Path(getattr(module, "__file__", None) or "").resolve() != file:
        raise BadInputError(f"space.file: another module is called '{file.stem}'; rename {path}")
    found = [
        item
        for item in vars(module).values()
        if isinstance(item, type) and item.__module__ == file.stem and _is_space(item)
    ]
    if len(found) != 1:
        names = ", ".join(item.__name__ for item in found) or "none"
        wanted = "one class with genes, decode, encode and canonical"
        raise BadInputError(f"space.file: {path} must define {wanted}; it has {names}")
    return found[0]


def _is_space(item: type) -> bool:
    return all(hasattr(item, name) for name in ("genes", "decode", "encode", "canonical"))
