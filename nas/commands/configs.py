"""The example configs that travel with the package: list, copy."""

from __future__ import annotations

from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from hasnas.errors import BadInputError, nearest
from hasnas.files import write_atomic


def example_configs() -> dict[str, Traversable]:
    """Name -> file of every example config.

    >>> "digits" in example_configs()
    True
    """
    entries = files("hasnas.experiments").iterdir()
    found = {entry.name.removesuffix(".yaml"): entry for entry in entries if entry.name.endswith(".yaml")}
    return dict(sorted(found.items()))


def list_configs() -> list[tuple[str, str]]:
    """Name and first comment line of every example config."""
    return [(name, _title(entry.read_text(encoding="utf-8"))) for name, entry in example_configs().items()]


def copy_config(name: str, target: Path) -> Path:
    """Copy an example config.

    Args:
        name: as `list_configs` gives it, with or without `.yaml`.
        target: a file, or a directory to put `<name>.yaml` into.

    Returns:
        The file that was written.

    Raises:
        BadInputError: if there is no such config, or the file exists.
    """
    known = example_configs()
    plain = name.removesuffix(".yaml")
    if plain not in known:
        raise BadInputError(f"unknown config '{name}'{nearest(plain, known)}")
    path = target / f"{plain}.yaml" if target.is_dir() else target
    if path.exists():
        raise BadInputError(f"{path} exists; remove it or give another name")
    write_atomic(path, known[plain].read_bytes())
    return path


def _title(text: str) -> str:
    first = text.lstrip().splitlines()[0] if text.strip() else ""
    return first.removeprefix("#").strip() if first.startswith("#") else ""
