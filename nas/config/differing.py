"""In what the configs of several runs differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .loading import RunConfig


def flat_settings(config: RunConfig) -> dict[str, Any]:
    """Dotted key -> plain value, of all settings but the name of the run.

    >>> from .loading import config_from_tree
    >>> config = config_from_tree({"name": "a", "dataset": {"name": "digits"}, "hardware": "rram-32nm"}, "a.yaml")
    >>> flat_settings(config)["hardware.preset"]
    'rram-32nm'
    """
    flat = _flattened(config.model_dump(mode="json", by_alias=True))
    return {key: value for key, value in flat.items() if key != "name"}


def differing_settings(configs: Sequence[RunConfig]) -> dict[str, list[Any]]:
    """Dotted key -> its value in each config, of those that are not the same in all; `None` where a key is absent."""
    flat = [flat_settings(config) for config in configs]
    keys = dict.fromkeys(key for settings in flat for key in settings)
    values = {key: [settings.get(key) for settings in flat] for key in keys}
    differing = {key: found for key, found in values.items() if any(value != found[0] for value in found)}
    return {key: found for key, found in differing.items() if any(value not in ({}, None) for value in found)}


def _flattened(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        key = f"{prefix}{name}"
        flat.update(_flattened(value, f"{key}.") if isinstance(value, Mapping) and value else {key: value})
    return flat
