"""One YAML, checked, is one run: reading it, changing single keys, saving it, and telling two runs apart."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Collection, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from hasnas.errors import BadInputError, one_line
from hasnas.files import expanded, sha256_of
from hasnas.yaml_files import read_yaml, to_yaml

from .checks import check_together
from .overrides import apply_override, parse_override
from .problems import first_problem, place_of, told
from .run import RunConfig
from .saved import CONFIG_FILE, SUPERNET_FILE
from .sections import expand_hardware

PACKAGES = ("hasnas", "torch", "spikingjelly", "nni", "numpy", "pytorch-lightning")


def load_config(path: Path | str, overrides: Sequence[str] = ()) -> RunConfig:
    """Read a run's YAML and change single keys.

    Args:
        path: the YAML file.
        overrides: texts such as `"budget.energy=2 uJ"` or `"hardware=rram-32nm"`, applied in order.

    Returns:
        The config, its paths absolute; see `resolve_paths`.

    Raises:
        BadInputError: in one line with file (or override), dotted key and remedy, for whatever is wrong.
    """
    tree = read_yaml(path)
    changed: dict[str, str] = {}
    for text in overrides:
        key, value = parse_override(text)
        if key.startswith("hardware."):
            tree["hardware"] = expand_hardware(tree.get("hardware"))
        apply_override(tree, key, value)
        changed[key] = text
    config = resolve_paths(config_from_tree(tree, str(path), changed), Path(path).parent, changed)
    return _with_supernet_of(config)


def _with_supernet_of(config: RunConfig) -> RunConfig:
    """The config with the section of the run whose supernet it takes.

    Raises:
        BadInputError: if the config says something else than that run was trained with, or there is no such run.
    """
    section, source = config.supernet, config.supernet.source
    if source is None:
        return config
    saved = Path(source) / CONFIG_FILE
    if config.versions and not saved.exists():  # a saved config holds that section already
        return config
    if not saved.is_file():
        raise BadInputError(f"supernet.from: {source} holds no run (no {CONFIG_FILE}); list runs with: hasnas ls")
    there = load_config(saved)
    if not there.supernet.enabled or there.search.score is not None:
        raise BadInputError(f"supernet.from: {source} trains no supernet; leave it out, or name another run")
    for name in sorted(section.model_fields_set - {"source"}):
        ours, theirs = getattr(section, name), getattr(there.supernet, name)
        if ours != theirs:
            raise BadInputError(
                f"supernet.{name} is {ours}, but the supernet of {source} was trained with {theirs}; leave it out, or "
                "leave out supernet.from"
            )
    return config.model_copy(update={"supernet": there.supernet.model_copy(update={"source": source})})


def config_from_tree(tree: Any, where: str, overrides: dict[str, str] | None = None) -> RunConfig:
    """A config from plain data.

    Args:
        tree: nested dicts as the YAML gives them.
        where: file name for messages.
        overrides: dotted key -> the command-line text that set it, for messages.

    Raises:
        BadInputError: for the first thing that is wrong; the number of others is added.

    >>> config_from_tree({"name": "a", "dataset": {"name": "digits"}, "hardware": "rram-32nm", "sead": 1}, "a.yaml")
    Traceback (most recent call last):
        ...
    hasnas.errors.BadInputError: a.yaml: unknown key 'sead'; did you mean 'seed'? Known: budget, dataset, device, \
executor, export, hardware, name, nonideal, ray, retrain, screen, search, seed, space, supernet, tracking, versions
    """
    try:
        config = RunConfig.model_validate(tree)
    except ValidationError as error:
        place = place_of(".".join(first_problem(error)), where, overrides or {})
        raise BadInputError(f"{one_line(place)}: {told(error, RunConfig)}") from error
    check_together(config, where, overrides or {})
    return config


# Every key whose value may be a file or folder. Where devices are concerned, other texts are names of presets.
PATHS = ("dataset.root", "hardware.path", "space.file", "supernet.from", "nonideal.device", "retrain.noise.device")
_ATTRIBUTES = {"from": "source"}  # keys that are no names in Python


def resolve_paths(config: RunConfig, directory: Path, overridden: Collection[str] = ()) -> RunConfig:
    """The config with all its paths made absolute.

    A path in a YAML starts at the YAML's folder; one given on the command line where the command was started, or at the
    YAML's folder if nothing lies there. `~` is the user's home.

    Args:
        config: as it was read.
        directory: the YAML's folder.
        overridden: dotted keys that the command line set.
    """
    for key in PATHS:
        given = _value(config, key)
        if given is None or not _is_path(key, given):
            continue
        own = expanded(given, key)
        here = any(key == changed or key.startswith(changed + ".") for changed in overridden)
        starts = (Path(), directory) if here else (directory,)
        found = next((start / own for start in starts if (start / own).exists()), starts[0] / own)
        config = _changed(config, key, str(found.resolve()))
    return config


def file_contents(config: RunConfig) -> dict[str, str]:
    """SHA-256 of every file that a resolved config names, by its key; the dataset's files are not among them.

    Raises:
        BadInputError: if a file cannot be read.
    """
    found = {}
    for key, path in _named_files(config).items():
        if key == "supernet.from":
            path = str(Path(path) / SUPERNET_FILE)
        try:
            found[key] = sha256_of(path)
        except FileNotFoundError as error:
            remedy = "train it to its end" if key == "supernet.from" else "paths in a YAML start at its folder"
            raise BadInputError(f"{key}: {path} is missing; {remedy}") from error
        except OSError as error:
            raise BadInputError(f"{key}: cannot read {path}: {error.strerror or error}") from error
    return found


def _named_files(config: RunConfig) -> dict[str, str]:
    """Key -> the file that a config names there, but for the dataset's."""
    named = {key: _value(config, key) for key in PATHS if key != "dataset.root"}
    return {key: path for key, path in named.items() if path is not None and _is_path(key, path)}


def _is_path(key: str, value: str) -> bool:
    return not key.endswith(".device") or "/" in value or Path(value).suffix in (".yaml", ".yml")


def _value(config: RunConfig, key: str) -> str | None:
    """The value of a dotted key."""
    part: Any = config
    for name in key.split("."):
        part = getattr(part, _ATTRIBUTES.get(name, name))
    return None if part is None else str(part)


def _changed(part: Any, key: str, value: str) -> Any:
    """The section with the value of a dotted key exchanged."""
    key, _, rest = key.partition(".")
    name = _ATTRIBUTES.get(key, key)
    return part.model_copy(update={name: _changed(getattr(part, name), rest, value) if rest else value})


def config_identity(config: RunConfig, contents: Mapping[str, str] | None = None) -> str:
    """A hash of all that decides the result; runs with equal identities may share a directory.

    Where files lie and which packages were installed do not count; the content of hardware descriptions, devices and
    spaces of one's own does (that of the dataset is compared by itself, see `hasnas.nas.stages.preflight`). Keys at
    their defaults do not count either, so that runs from before a key existed can still be resumed.

    Args:
        config: as it was read, its paths resolved.
        contents: see `file_contents`; None reads the files.
    """
    excluded: dict[str, Any] = dict.fromkeys(("versions", "executor", "ray", "tracking"), True)
    excluded |= {"dataset": {"root"}, "hardware": {"path"}, "space": {"file"}, "supernet": {"source"}}
    tree = config.model_dump(mode="json", by_alias=True, exclude=excluded, exclude_defaults=True)
    known = file_contents(config) if contents is None else contents
    unknown = dict.fromkeys(_named_files(config).keys() - known.keys(), "")  # named since the contents were told
    for key, digest in {**known, **unknown}.items():
        *sections, name = key.split(".")
        part = tree
        for section in sections:
            part = part.setdefault(section, {})
        part.pop(name, None)
        part["sha256"] = digest
    return hashlib.blake2b(json.dumps(tree, sort_keys=True).encode(), digest_size=16).hexdigest()


def dump_config(config: RunConfig) -> str:
    """The resolved config as YAML, with the versions of the packages in use; `load_config` reads it back."""
    tree = config.model_dump(mode="json", by_alias=True)
    tree["versions"] = package_versions()
    return to_yaml(tree)


def package_versions() -> dict[str, str]:
    """Versions of the packages that decide a result, of Python, and the platform; absent packages are left out."""
    versions = {"python": platform.python_version(), "platform": platform.platform()}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return versions
