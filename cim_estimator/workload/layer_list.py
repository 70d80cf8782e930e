"""Reads a network written as a list of layers in YAML."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from hasnas.errors import BadInputError, nearest
from hasnas.yaml_files import read_yaml

from .workload import MOST, LayerSpec, Workload

_KEYS = tuple(entry.name for entry in fields(LayerSpec))
_TOP_KEYS = ("timesteps", "layers", "neurons", "name")
_NEURONS = ("lif", "none")


def read_layers(path: Path | str) -> Workload:
    """The network in a layer-list file.

    The file has `timesteps:`, `layers:` (a list of mappings with the fields of `LayerSpec`) and, if wanted, `neurons:`.
    `neurons: lif` puts neurons after every convolution and fully connected layer; that is also what happens if the list
    names none of its own, because a spiking network has them. `neurons: none` leaves the list as it is.

    Args:
        path: the YAML file.

    Raises:
        BadInputError: if a key or value is wrong; the message names file, layer and key.

    Example file:
        timesteps: 5
        layers:
          - {kind: conv, in_channels: 3, out_channels: 64, kernel_size: 3, in_size: 32, out_size: 32}
          - {kind: linear, in_channels: 64, out_channels: 10}
    """
    content = read_yaml(path)
    for key in content:
        if key not in _TOP_KEYS:
            raise BadInputError(f"{path}: unknown key '{key}'{nearest(str(key), _TOP_KEYS)}")
    timesteps = content.get("timesteps")
    if isinstance(timesteps, bool) or not isinstance(timesteps, int) or not 1 <= timesteps <= MOST:
        raise BadInputError(f"{path}: timesteps is {timesteps!r}; give a whole number of at least 1, at most {MOST}")
    entries = content.get("layers")
    if not isinstance(entries, list) or not entries:
        raise BadInputError(f"{path}: layers must be a list of at least one layer")
    layers = [_read_layer(entry, index, path) for index, entry in enumerate(entries)]
    return Workload.from_layers(_with_neurons(layers, content.get("neurons"), path), timesteps)


def _read_layer(entry: Any, index: int, path: Path | str) -> LayerSpec:
    where = f"{path}: layers[{index}]"
    if not isinstance(entry, dict):
        raise BadInputError(f"{where} is {entry!r}; give a mapping: {{kind: conv, in_channels: 3, out_channels: 64}}")
    for key in entry:
        if key not in _KEYS:
            raise BadInputError(f"{where}: unknown key '{key}'{nearest(str(key), _KEYS)}")
    for key in ("kind", "in_channels", "out_channels"):
        if key not in entry:
            raise BadInputError(f"{where}: '{key}' is missing; every layer has kind, in_channels and out_channels")
    try:
        return LayerSpec(**{"name": f"{entry['kind']}{index}", **_tuples(entry)})
    except BadInputError as error:
        raise BadInputError(f"{where}: {error}") from error


def _tuples(entry: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()}


def _with_neurons(layers: list[LayerSpec], neurons: Any, path: Path | str) -> list[LayerSpec]:
    if neurons not in (None, *_NEURONS):
        raise BadInputError(f"{path}: neurons is {neurons!r}{nearest(str(neurons), _NEURONS)}")
    if neurons == "none" or (neurons is None and any(layer.kind == "lif" for layer in layers)):
        return layers
    result: list[LayerSpec] = []
    for index, layer in enumerate(layers):
        level = 2 * index if layer.level is None else 2 * layer.level
        result.append(replace(layer, level=level))
        if layer.kind in ("conv", "linear"):
            result.append(_neurons_after(layer, level + 1))
    return result


def _neurons_after(layer: LayerSpec, level: int) -> LayerSpec:
    size = layer.output_shape
    channels = layer.out_channels
    return LayerSpec("lif", channels, channels, in_size=size, out_size=size, level=level, name=f"{layer.name}.lif")
