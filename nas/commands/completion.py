"""What a shell offers where a run, an example config, a dataset, a format or a chip is to be named."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

CONFIG_FILE = "config.yaml"  # `history/layout.py` has it too, whose package takes longer to import than a key press


def runs(incomplete: str) -> list[str]:
    """Run directories, those in folders that hold some, and other folders on the way.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> (folder / "first").mkdir(), (folder / "first" / "config.yaml").touch(), (folder / "further").mkdir()
    (None, None, None)
    >>> [name.removeprefix(f"{folder}/") for name in runs(f"{folder}/fi")]
    ['first']
    >>> [name.removeprefix(f"{folder}/") for name in runs(f"{folder}/fur")]
    ['further/']
    """
    folder, start = os.path.split(incomplete)
    found: list[str] = []
    for path in (os.path.join(folder, name) for name in _folders(folder or ".") if name.startswith(start)):
        inside = [] if _is_run(path) else [os.path.join(path, name) for name in _folders(path)]
        found += [path] if _is_run(path) else [run for run in inside if _is_run(run)] or [f"{path}{os.sep}"]
    return found


def _folders(place: str) -> list[str]:
    try:
        return sorted(entry.name for entry in os.scandir(place) if entry.is_dir())
    except OSError:
        return []


def _is_run(path: str) -> bool:
    return Path(path, CONFIG_FILE).is_file()


def example_configs(incomplete: str) -> list[str]:
    """Names that `hasnas configs cp` takes."""
    from .configs import example_configs

    return _beginning(incomplete, example_configs())


def datasets(incomplete: str) -> list[str]:
    """Names of datasets."""
    from hasnas.datasets.source import DATASETS

    return _beginning(incomplete, DATASETS.names())


def hardware(incomplete: str) -> list[str]:
    """Names of chips."""
    from hasnas.cim_estimator.hardware.presets_reader import hardware_names

    return _beginning(incomplete, hardware_names())


def formats(incomplete: str) -> list[str]:
    """Names of export formats, behind those that are written already: `nir,onnx`."""
    from hasnas.nas.config.plugins import EXPORT_TARGETS

    before, _, last = incomplete.rpartition(",")
    chosen = before.split(",") if before else []
    names = [name for name in _beginning(last, EXPORT_TARGETS.names()) if name not in chosen]
    return [",".join([*chosen, name]) for name in names]


def _beginning(start: str, names: Iterable[str]) -> list[str]:
    return [name for name in names if name.startswith(start)]
