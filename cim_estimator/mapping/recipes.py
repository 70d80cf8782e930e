"""Recipes: which partitioner, placer, objective and order within crossbars make a mapping. A recipe is data.

The published systems are combinations of the same parts; `naive` is what they compare themselves with.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, get_args

from hasnas.errors import BadInputError, nearest
from hasnas.yaml_files import read_yaml

from .crossbar_order import ORDERS
from .fan_in import Splitting
from .partitioners import PARTITIONERS
from .placers import JUDGED, OBJECTIVES, PLACERS
from .topology import TopologyKind


@dataclass(frozen=True)
class Recipe:
    """How to map.

    Args:
        name: of the recipe.
        partitioner: divides neurons among crossbars.
        refined: whether single neurons then move to other clusters while that saves global spikes.
        placer: puts crossbars on tiles.
        objective: name -> weight, what the placer lowers.
        order: of rows and columns within a crossbar.
        splitting: how neurons with more inputs than rows are spread.
        topology: `mesh` or `tree`.
    """

    name: str
    partitioner: str = "kl"
    refined: bool = False
    placer: str = "swarm"
    objective: Mapping[str, float] = field(default_factory=lambda: {"energy": 1.0})
    order: str = "plain"
    splitting: str = "partial-sums"
    topology: str = "mesh"


_LATENCY_TOO = {"energy": 1.0, "worst_latency": 0.5}
_LIFETIME_TOO = {**_LATENCY_TOO, "lifetime": 1.0}
_LEAKAGE_TOO = {**_LATENCY_TOO, "leakage": 1.0}
RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe("spinemap", "kl", True, "swarm", _LATENCY_TOO, "plain"),
        Recipe("espine", "kl", True, "swarm", _LIFETIME_TOO, "endurance"),
        Recipe("thermal", "kl", True, "climb", _LEAKAGE_TOO, "heat"),
        Recipe("naive", "sequential", False, "sequential", {"energy": 1.0}, "plain"),
        Recipe("random", "random", False, "random", {"energy": 1.0}, "random"),
    )
}


def load_recipe(name_or_path: str | Path) -> Recipe:
    """A recipe by name, or from a YAML file that holds fields of `Recipe`; those left out keep their defaults.

    Raises:
        BadInputError: for an unknown recipe, key, kind of value, or part of a recipe.

    >>> load_recipe("espine").order
    'endurance'
    >>> load_recipe("espin")
    Traceback (most recent call last):
        ...
    hasnas.errors.BadInputError: unknown recipe 'espin'; did you mean 'espine'? Known: espine, naive, random, \
spinemap, thermal
    """
    path = Path(name_or_path)
    if path.suffix not in (".yaml", ".yml"):
        if str(name_or_path) not in RECIPES:
            raise BadInputError(f"unknown recipe '{name_or_path}'{nearest(str(name_or_path), RECIPES)}")
        return RECIPES[str(name_or_path)]
    tree, known = read_yaml(path), {entry.name: entry for entry in fields(Recipe)}
    for key, value in tree.items():
        if key not in known:
            raise BadInputError(f"{path}: unknown key '{key}'{nearest(key, known)}")
        _check(f"{path}: {key}", key, value)
    return Recipe(**{"name": path.stem, **tree})


def _check(where: str, key: str, value: Any) -> None:
    if key == "refined":
        right, wanted = isinstance(value, bool), "true or false"
    elif key == "objective":
        right = isinstance(value, dict) and all(type(weight) in (int, float) for weight in value.values())
        wanted = "names with weights, e.g. {energy: 1, congestion: 0.5}"
    else:
        right, wanted = isinstance(value, str), "a name"
    if not right:
        raise BadInputError(f"{where} is {value!r}; give {wanted}")
    known: Mapping[str, list[str]] = {
        "partitioner": PARTITIONERS.names(),
        "placer": PLACERS.names(),
        "order": ORDERS.names(),
        "objective": [*OBJECTIVES, *JUDGED],
        "splitting": list(get_args(Splitting)),
        "topology": list(get_args(TopologyKind)),
    }
    for name in value if isinstance(value, dict) else [value]:
        if key in known and name not in known[key]:
            raise BadInputError(f"{where}: unknown {key} '{name}'{nearest(str(name), known[key])}")
    if isinstance(value, dict) and not all(0 <= weight < math.inf for weight in value.values()):
        raise BadInputError(f"{where} is {value}; give weights from 0")
