"""Placers: traffic between clusters and an objective -> a tile for each cluster.

sequential   cluster 0 on tile 0, cluster 1 on tile 1, ...
random       any tile
climb        swaps that help, from a random start, until none is left
anneal       simulated annealing, then climb
swarm        particle swarm, then climb from the best particle
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from hasnas.errors import BadInputError, nearest
from hasnas.registry import Registry

from .clusters import Traffic
from .placement_moves import anneal as run_anneal
from .placement_moves import climb as run_climb
from .placement_moves import fly
from .placement_state import FIGURES, Flows, Places, Weights, cost, flows_of, places_of, swap
from .spike_graph import Ids
from .topology import Topology

# What may be weighed, and which figure measures it: without queues a packet's mean time is as its hops.
OBJECTIVES = {"energy": 0, "mean_latency": 0, "worst_latency": 1, "congestion": 2}
PARTICLES, FLIGHTS = 16, 60
PULL = 0.2, 0.2, 0.02
MOST_MOVES = 20_000_000


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
    """

    packet_hops: int
    worst_hops: int
    busiest_link: int


def place(
    traffic: Traffic,
    topology: Topology,
    placer: str,
    objective: Mapping[str, float],
    rng: np.random.Generator,
    moves: int = MOST_MOVES,
) -> Ids:
    """Choose a tile for each cluster.

    Args:
        traffic: packets between clusters.
        topology: the tiles.
        placer: name of a placer.
        objective: weights of `energy`, `mean_latency`, `worst_latency` and `congestion`; each figure is measured
            in units of what a random placement costs, so that weights compare.
        rng: the only source of chance.
        moves: most swaps to try.

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
    flows = flows_of(traffic)
    scale = _typical(traffic, topology, np.random.default_rng(0))
    weights = np.zeros(FIGURES)
    for name, weight in objective.items():
        if name not in OBJECTIVES:
            raise BadInputError(f"unknown objective '{name}'{nearest(name, OBJECTIVES)}")
        if not 0 <= weight < np.inf:
            raise BadInputError(f"objective '{name}' has weight {weight}; give a number from 0")
        weights[OBJECTIVES[name]] += weight / scale[OBJECTIVES[name]]
    return PLACERS.get(placer)(Problem(flows, topology, weights), rng, moves)


def placement_figures(traffic: Traffic, topology: Topology, tiles: Ids) -> PlacementFigures:
    """What a placement costs, counted in full."""
    places = places_of(flows_of(traffic), topology, np.asarray(tiles, np.int32), np.ones(FIGURES))
    worst = int(np.flatnonzero(places.by_hops).max(initial=0))
    return PlacementFigures(int(places.packet_hops[0]), worst, int(places.load.max(initial=0)))


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
    before, differences = cost(places, problem.weights), []
    for one, other in rng.integers(tiles, size=(64, 2)):
        swap(problem.flows, problem.topology, places, one, other, problem.weights)
        after = cost(places, problem.weights)
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


def _typical(traffic: Traffic, topology: Topology, rng: np.random.Generator) -> list[float]:
    found = [
        placement_figures(traffic, topology, rng.permutation(topology.tiles)[: traffic.clusters].astype(np.int32))
        for _ in range(3)
    ]
    means = np.mean([(one.packet_hops, one.worst_hops, one.busiest_link) for one in found], axis=0)
    return [float(max(mean, 1.0)) for mean in means]
