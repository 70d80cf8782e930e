"""Constants that mapping adds to a hardware description: presets as YAML, each value with its source."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from hasnas.errors import BadInputError, nearest
from hasnas.yaml_files import read_yaml

PRESETS = Path(__file__).parent / "presets"
T = TypeVar("T", "NetworkConstants", "CellConstants")


@dataclass(frozen=True)
class NetworkConstants:
    """The network between tiles.

    Args:
        hop_energy_j: energy of a packet from one router to the next.
        hop_cycles: cycles from one router to the next.
        link_cycles: cycles for which a packet takes a link, so that another must wait.
        tile_pitch_m: from the middle of a tile to that of the next.
    """

    hop_energy_j: float
    hop_cycles: float
    link_cycles: float
    tile_pitch_m: float


@dataclass(frozen=True)
class CellConstants:
    """Heat and wear of cells.

    Args:
        ambient_k: temperature of a chip that does nothing.
        heating_k_per_w: kelvin by which a cell warms itself for each watt.
        neighbour_share: share of that which a cell at a distance of one feels; its d-th power at a distance of d.
        endurance_cycles: activations that a cell at ambient temperature survives.
        endurance_k: endurance goes as `exp(endurance_k / T)`.
        leakage_per_k: leakage goes as `exp(leakage_per_k * T)`, a rule of thumb for some ten kelvin, so that a placer
            need only multiply by what other crossbars warm. The nodes' activation energies, by which chips are priced
            at their temperature (`node.leakage_activation_k`), grow less steeply, by 0.04 a kelvin at 22 nm and 300 K.
        substrate_w_per_m_k: heat that the substrate below the tiles conducts.
    """

    ambient_k: float
    heating_k_per_w: float
    neighbour_share: float
    endurance_cycles: float
    endurance_k: float
    leakage_per_k: float
    substrate_w_per_m_k: float


def load_network(name_or_path: str | Path = "noxim") -> NetworkConstants:
    """Constants of a network, from a preset or a YAML file.

    Raises:
        BadInputError: for an unknown preset or key, or a value that is missing or negative.

    >>> load_network().hop_cycles
    2.0
    """
    return _load(NetworkConstants, "network", name_or_path)


def load_cells(name_or_path: str | Path = "unverified") -> CellConstants:
    """Constants of cells, from a preset or a YAML file.

    Raises:
        BadInputError: for an unknown preset or key, or a value that is missing or negative.

    >>> load_cells().endurance_k
    1000.0
    """
    return _load(CellConstants, "cells", name_or_path)


def constant_sources(kind: str, name: str) -> dict[str, str]:
    """Where each value of a preset comes from.

    >>> "Noxim" in constant_sources("network", "noxim")["hop_energy_j"]
    True
    """
    return {key: str(entry["source"]) for key, entry in read_yaml(PRESETS / f"{kind}-{name}.yaml").items()}


def _load(constants: type[T], kind: str, name_or_path: str | Path) -> T:
    path = Path(name_or_path)
    if path.suffix not in (".yaml", ".yml"):
        known = sorted(found.stem.removeprefix(f"{kind}-") for found in PRESETS.glob(f"{kind}-*.yaml"))
        if str(name_or_path) not in known:
            raise BadInputError(f"unknown {kind} constants '{name_or_path}'{nearest(str(name_or_path), known)}")
        path = PRESETS / f"{kind}-{name_or_path}.yaml"
    tree, names = read_yaml(path), [entry.name for entry in fields(constants)]
    for key in tree:
        if key not in names:
            raise BadInputError(f"{path}: unknown key '{key}'{nearest(key, names)}")
    missing = [name for name in names if name not in tree]
    if missing:
        raise BadInputError(f"{path} lacks {', '.join(missing)}; give each a number")
    return constants(*(_number(f"{path}: {name}", tree[name]) for name in names))


def _number(where: str, entry: Any) -> float:
    value = entry.get("value") if isinstance(entry, dict) else entry
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < math.inf:
        raise BadInputError(f"{where} is {value!r}; give a number from 0")
    return float(value)
