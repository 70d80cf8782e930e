"""Placers: traffic between clusters and an objective -> a tile for each cluster.

sequential   cluster 0 on tile 0, cluster 1 on tile 1, ...
random       any tile
climb        swaps that help, from a random start, until none is left
anneal       simulated annealing, then climb
swarm        particle swarm, then climb from the best particle
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import astuple, dataclass, replace

import numpy as np

from hasnas.errors import BadInputError, nearest
from hasnas.registry import Registry

from .clusters import Traffic
from .placement_moves import anneal as run_anneal
from .placement_moves import climb as run_climb
from .placement_moves import fly
from .placement_state import (
    BUSIEST,
    FIGURES,
    HOPS,
    LEAKAGE,
    MEAN_K,
    PEAK_K,
    WEAR,
    WORST,
    Flows,
    Heat,
    Places,
    Weights,
    cost,
    flows_of,
    heat_figures,
    places_of,
    swap,
)
from .spike_graph import Ids
from .topology import Topology

# What may be weighed, and which figure measures it: without queues a packet's mean time is as its hops.
OBJECTIVES = {
    "energy": HOPS, "mean_latency": HOPS, "worst_latency": WORST, "congestion": BUSIEST, "temperature": MEAN_K,
    "peak_temperature": PEAK_K, "leakage": LEAKAGE, "lifetime": WEAR,
}  # fmt: skip
JUDGED = ("queueing_latency", "isi_distortion")  # only carrying every packet tells them: few swaps are tried
OF_HEAT = ("temperature", "peak_temperature", "leakage", "lifetime")
PARTICLES, FLIGHTS = 16, 60
PULL = 0.2, 0.2, 0.02
MOST_MOVES = 20_000_000
JUDGED_MOVES = 200
MANY_TILES, HEAT_EVALUATIONS = 256, 50_000_000  # a swap weighs the heat of every cluster anew


@dataclass(frozen=True)
class Problem:
    """What a placer is given: flows, tiles and weights of the figures."""

    flows: Flows
    topology: Topology
    weights: Weights

    @property
    def clusters(self) -> int:
        """How many clusters are to be placed."""
        return len(self.flows.offsets) - 1

    def at(self, tiles: Ids) -> Places:
        """The state of a placement."""
        return places_of(self.flows, self.topology, tiles, self.weights)


Judge = Callable[[Ids], Weights]
Placer = Callable[[Problem, np.random.Generator, int], Ids]
PLACERS: Registry[Placer] = Registry(
    "placer",
    {name: f"{__name__}:{name}" for name in ("sequential", "random", "climb", "anneal", "swarm")},
    "hasnas.placers",
)


@dataclass(frozen=True)
class PlacementFigures:
    """What a placement costs.

    Args:
        packet_hops: packets times the links they cross.
        worst_hops: links of the longest way that packets take.
        busiest_link: packets on it.
        warmer_k: kelvin by which crossbars warm each other and themselves through the substrate, mean over them.
        peak_k: temperature of the hottest cell; 0 if heat is unknown, as all that follows.
        leakage_w: of all crossbars.
        wear: inverse of the executions until the first cell is worn out.
    """

    packet_hops: int
    worst_hops: int
    busiest_link: int
    warmer_k: float = 0.0
    peak_k: float = 0.0
    leakage_w: float = 0.0
    wear: float = 0.0


def place(
    traffic: Traffic,
    topology: Topology,
    placer: str,
    objective: Mapping[str, float],
    rng: np.random.Generator,
    moves: int = MOST_MOVES,
    heat: Heat | None = None,
    judge: Judge | None = None,
) -> Ids:
    """Choose a tile for each cluster.

    Args:
        traffic: packets between clusters.
        topology: the tiles.
        placer: name of a placer.
        objective: weights of `OBJECTIVES` and `JUDGED`; each figure is measured in units of what a random placement
            costs, so that weights compare.
        rng: the only source of chance.
        moves: most swaps to try.
        heat: what clusters give off, for objectives of heat.
        judge: tiles -> the figures of `JUDGED`, for these.

    Returns:
        Tile of each cluster, all different, shape `[clusters]`.

    Raises:
        BadInputError: for an unknown placer or objective, a negative weight, or too few tiles.

    >>> two = Traffic(2, np.array([0], np.int32), np.array([1], np.int32), np.array([5]))
    >>> from hasnas.cim_estimator.mapping.topology import mesh
    >>> tiles = place(two, mesh(3, 3), "climb", {"energy": 1.0}, np.random.default_rng(0))
    >>> placement_figures(two, mesh(3, 3), tiles).packet_hops
    5
    """
    if traffic.clusters > topology.tiles:
        raise BadInputError(f"{traffic.clusters} clusters do not fit {topology.tiles} tiles; give a larger topology")
    for name, weight in objective.items():
        if name not in OBJECTIVES and name not in JUDGED:
            raise BadInputError(f"unknown objective '{name}'{nearest(name, [*OBJECTIVES, *JUDGED])}")
        if not 0 <= weight < np.inf:
            raise BadInputError(f"objective '{name}' has weight {weight}; give a number from 0")
        if (name in OF_HEAT and heat is None) or (name in JUDGED and judge is None):
            raise BadInputError(f"objective '{name}' needs more than traffic; map a graph by a recipe")
    scale = _typical(traffic, topology, np.random.default_rng(0), heat)
    weights = np.zeros(FIGURES)
    for name, weight in objective.items():
        if name in OBJECTIVES:
            weights[OBJECTIVES[name]] += weight / scale[OBJECTIVES[name]]
    problem = Problem(flows_of(traffic, heat), topology, weights)
    tiles = _placed(problem, placer, rng, moves)
    judged = np.array([objective.get(name, 0.0) for name in JUDGED])
    return tiles if judge is None or not judged.any() else _polished(problem, tiles, judged, judge, rng)


def _placed(problem: Problem, placer: str, rng: np.random.Generator, moves: int) -> Ids:
    """The placer's answer; where heat counts on many tiles, that of the traffic alone, and then some swaps for all."""
    run = PLACERS.get(placer)
    if problem.topology.tiles <= MANY_TILES or not problem.weights[MEAN_K:].any():
        return run(problem, rng, moves)
    traffic_only = problem.weights.copy()
    traffic_only[MEAN_K:] = 0
    tiles = run(replace(problem, weights=traffic_only), rng, moves)
    return _climbed(problem, tiles, rng, min(moves, HEAT_EVALUATIONS // problem.clusters))


def _polished(problem: Problem, tiles: Ids, judged: Weights, judge: Judge, rng: np.random.Generator) -> Ids:
    """Keep those of some random swaps that help, packets carried for each."""
    places = problem.at(tiles)
    typical = np.maximum(judge(places.tile_of), 1e-300)

    def total() -> float:
        return cost(problem.flows, places, problem.weights) + float(judged @ (judge(places.tile_of) / typical))

    best = total()
    for one, other in rng.integers(problem.topology.tiles, size=(JUDGED_MOVES, 2)):
        if one == other or max(places.cluster_on[one], places.cluster_on[other]) < 0:
            continue
        swap(problem.flows, problem.topology, places, one, other, problem.weights)
        now = total()
        if now < best:
            best = now
        else:
            swap(problem.flows, problem.topology, places, one, other, problem.weights)
    return places.tile_of


def placement_figures(traffic: Traffic, topology: Topology, tiles: Ids, heat: Heat | None = None) -> PlacementFigures:
    """What a placement costs, counted in full."""
    flows = flows_of(traffic, heat)
    weights = np.ones(FIGURES)
    if heat is None:
        weights[MEAN_K:] = 0
    places = places_of(flows, topology, np.asarray(tiles, np.int32), weights)
    worst = int(np.flatnonzero(places.by_hops).max(initial=0))
    hot = (0.0, 0.0, 0.0, 0.0) if heat is None else heat_figures(flows, places)
    return PlacementFigures(int(places.packet_hops[0]), worst, int(places.load.max(initial=0)), *hot)


def sequential(problem: Problem, rng: np.random.Generator, moves: int) -> Ids:
    """Clusters in the order of their numbers."""
    return np.arange(problem.clusters, dtype=np.int32)


def random(problem: Problem, rng: np.random.Generator, moves: int) -> Ids:
    """Random tiles."""
    return rng.permutation(problem.topology.tiles)[: problem.clusters].astype(np.int32)


def climb(problem: Problem, rng: np.random.Generator, moves: int) -> Ids:
    """Hill climbing from a random start."""
    return _climbed(problem, random(problem, rng, moves), rng, moves)


def anneal(problem: Problem, rng: np.random.Generator, moves: int) -> Ids:
    """Annealing from the size of a typical difference to a thousandth of it; then hill climbing."""
    places = problem.at(random(problem, rng, moves))
    tiles = problem.topology.tiles
    before, differences = cost(problem.flows, places, problem.weights), []
    for one, other in rng.integers(tiles, size=(64, 2)):
        swap(problem.flows, problem.topology, places, one, other, problem.weights)
        after = cost(problem.flows, places, problem.weights)
        differences.append(abs(after - before))
        before = after
    hot = max(float(np.mean(differences)), 1e-12)
    draws = rng.random((min(200 * tiles, moves, 2_000_000), 3))
    found = run_anneal(problem.flows, problem.topology, places, problem.weights, draws, hot, hot / 1000)
    return _climbed(problem, found, rng, moves - len(draws))


def swarm(problem: Problem, rng: np.random.Generator, moves: int) -> Ids:
    """A swarm of random placements, then hill climbing from the best."""
    start = np.array([random(problem, rng, moves) for _ in range(PARTICLES)])
    rounds = min(FLIGHTS, max(1, moves // (PARTICLES * problem.clusters)), 20_000_000 // start.size)
    draws = rng.random((rounds, *start.shape, 2))
    places = problem.at(start[0])
    found = fly(problem.flows, problem.topology, places, problem.weights, start, draws, PULL)
    return _climbed(problem, found, rng, moves)


def _climbed(problem: Problem, tiles: Ids, rng: np.random.Generator, moves: int) -> Ids:
    places = problem.at(tiles)
    order = rng.permutation(problem.topology.tiles)
    run_climb(problem.flows, problem.topology, places, problem.weights, order, max(moves, 0))
    return places.tile_of


def _typical(traffic: Traffic, topology: Topology, rng: np.random.Generator, heat: Heat | None) -> list[float]:
    draws = [rng.permutation(topology.tiles)[: traffic.clusters].astype(np.int32) for _ in range(3)]
    found = [astuple(placement_figures(traffic, topology, tiles, heat)) for tiles in draws]
    return [float(mean) if mean > 0 else 1.0 for mean in np.mean(found, axis=0)]
