"""Several objectives at once: placements of which none is better than another in all of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from hasnas.errors import BadInputError, nearest

from .cell_array import crossbars
from .clusters import traffic
from .delivery import deliver
from .fan_in import split_wide
from .mapping import Chip, Mapped, arrange, heat_of
from .partitioners import partition
from .placers import JUDGED, OBJECTIVES, placement_figures
from .recipes import Recipe
from .spike_graph import SpikeGraph

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Compromise:
    """A mapping that is not beaten.

    Args:
        weights: by objective, as the placer was given them.
        mapped: the mapping.
        figures: by objective, less being better: packets times hops for `energy` and `mean_latency`, links of the
            longest way, packets on the busiest link, kelvin, watts, and for `lifetime` the inverse of the executions.
    """

    weights: dict[str, float]
    mapped: Mapped
    figures: dict[str, float]


def compromises(
    graph: SpikeGraph, recipe: Recipe, chip: Chip, objectives: list[str], steps: int = 4, seed: int = 0
) -> list[Compromise]:
    """Map once for each set of weights and keep what no other beats.

    Weights are all shares of `steps` that sum to one, each objective at least a hundredth, so that ties are broken.

    Args:
        graph: the workload.
        recipe: how; its objective is replaced.
        chip: for what.
        objectives: at least two of `OBJECTIVES` and `JUDGED`.
        steps: parts that the weights are made of.
        seed: the only source of chance.

    Raises:
        BadInputError: for an unknown objective, or less than two.
    """
    known = [*OBJECTIVES, *JUDGED]
    for name in objectives:
        if name not in known:
            raise BadInputError(f"unknown objective '{name}'{nearest(name, known)}")
    if len(objectives) < 2 or steps < 1:
        raise BadInputError(f"{len(objectives)} objectives and {steps} steps; give at least 2 and 1")
    rng = np.random.default_rng(seed)
    narrow = split_wide(graph, chip.limits.rows, recipe.splitting)  # type: ignore[arg-type]
    clusters = partition(narrow, chip.limits, recipe.partitioner, rng, recipe.refined)
    found = []
    for parts in product(range(steps + 1), repeat=len(objectives)):
        if sum(parts) == steps:
            weights = {name: max(part / steps, 0.01) for name, part in zip(objectives, parts, strict=True)}
            chosen = replace(recipe, objective=weights)
            mapped = arrange(narrow, clusters, chosen, chip, np.random.default_rng(seed))
            found.append(Compromise(weights, mapped, _figures(mapped, chip, objectives)))
    values = np.array([[one.figures[name] for name in objectives] for one in found])
    return [one for one, kept in zip(found, unbeaten(values), strict=True) if kept]


def unbeaten(values: Floats) -> NDArray[np.bool_]:
    """Rows that no other row equals or beats in all columns and beats in one; of equal rows the first.

    >>> unbeaten(np.array([[1.0, 3.0], [2.0, 2.0], [2.0, 3.0], [1.0, 3.0]])).tolist()
    [True, True, False, False]
    """
    kept = np.ones(len(values), bool)
    for index, row in enumerate(values):
        equal = (values == row).all(axis=1)
        beaten = ((values <= row).all(axis=1) & ~equal).any()
        kept[index] = not beaten and not equal[:index].any()
    return kept


def _figures(mapped: Mapped, chip: Chip, objectives: list[str]) -> dict[str, float]:
    held = list(crossbars(mapped.graph, mapped.clusters, chip.array))
    heat = heat_of(held, mapped.positions, mapped.topology, chip)
    figures = placement_figures(traffic(mapped.graph, mapped.clusters), mapped.topology, mapped.tiles, heat)
    told = {
        "energy": figures.packet_hops, "mean_latency": figures.packet_hops, "worst_latency": figures.worst_hops,
        "congestion": figures.busiest_link, "temperature": figures.warmer_k, "peak_temperature": figures.peak_k,
        "leakage": figures.leakage_w, "lifetime": figures.wear,
    }  # fmt: skip
    if set(objectives) & set(JUDGED):
        sent = deliver(mapped.graph, mapped.clusters, mapped.tiles, mapped.topology, chip.network, chip.clock_hz)
        told |= {"queueing_latency": sent.mean_latency_s, "isi_distortion": sent.isi_distortion_s or 0.0}
    return {name: float(told[name]) for name in objectives}
