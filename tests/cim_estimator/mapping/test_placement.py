"""Placers: routes by hand, moves by difference equal to counting anew, and optima of tiny problems by brute force."""

from __future__ import annotations

from itertools import combinations, pairwise, permutations

import numpy as np
import pytest

from hasnas.cim_estimator.mapping import PLACERS, Traffic, mesh, place, placement_figures, topology_for, tree
from hasnas.cim_estimator.mapping.placement_moves import climb
from hasnas.cim_estimator.mapping.placement_state import FIGURES, Heat, cost, flows_of, hops_saved, places_of, swap
from hasnas.cim_estimator.mapping.tile_heat import tile_kernel
from hasnas.cim_estimator.mapping.topology import Topology, hops, route
from hasnas.errors import BadInputError

PLACER_NAMES = ("sequential", "random", "climb", "anneal", "swarm")


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def random_traffic(clusters: int, flows: int, seed: int) -> Traffic:
    draws = rng(seed)
    keys = draws.choice(clusters * clusters, flows, replace=False)
    keys = np.sort(keys[keys // clusters != keys % clusters])
    sources, destinations = (keys // clusters).astype(np.int32), (keys % clusters).astype(np.int32)
    return Traffic(clusters, sources, destinations, draws.integers(1, 50, len(keys)))


def slow_route(topology: Topology, one: int, other: int) -> list[tuple[int, ...]]:
    """Links as pairs of places, walked step by step."""
    if topology.kind == 0:
        (x, y), (to_x, to_y) = divmod(one, topology.width)[::-1], divmod(other, topology.width)[::-1]
        steps = [(x, y)]
        while x != to_x:
            x += 1 if to_x > x else -1
            steps.append((x, y))
        while y != to_y:
            y += 1 if to_y > y else -1
            steps.append((x, y))
        return [(*a, *b) for a, b in pairwise(steps)]
    up, down, level = [], [], 0
    while one != other:
        up.append((level, one, 0))
        down.append((level, other, 1))
        one, other, level = one // topology.width, other // topology.width, level + 1
    return up + down[::-1]


def slow_figures(traffic: Traffic, topology: Topology, tiles: np.ndarray) -> tuple[int, int, int]:
    packet_hops, worst = 0, 0
    load: dict[tuple[int, ...], int] = {}
    for source, destination, packets in zip(traffic.sources, traffic.destinations, traffic.packets, strict=True):
        way = slow_route(topology, int(tiles[source]), int(tiles[destination]))
        packet_hops, worst = packet_hops + int(packets) * len(way), max(worst, len(way))
        for link in way:
            load[link] = load.get(link, 0) + int(packets)
    return packet_hops, worst, max(load.values())


@pytest.mark.parametrize("topology", [mesh(4, 3), mesh(1, 5), tree(2, 3), tree(4, 2)], ids=str)
def test_routes_are_those_walked_step_by_step(topology: Topology) -> None:
    names: dict[int, tuple[int, ...]] = {}
    room = np.zeros(topology.farthest + 1, np.int64)
    for one in range(topology.tiles):
        for other in range(topology.tiles):
            count = route(topology, one, other, room)
            way = slow_route(topology, one, other)
            assert count == hops(topology, one, other) == len(way) <= topology.farthest
            for link, name in zip(room[:count].tolist(), way, strict=True):
                assert 0 <= link < topology.links
                assert names.setdefault(link, name) == name
    assert len(set(names.values())) == len(names)


def random_heat(clusters: int, topology: Topology) -> Heat:
    draws = rng(5)
    power_w = draws.random(clusters)
    kernel = tile_kernel(topology, 1e-3, 1e-6, 130.0)
    peak_k, leakage_w, wear = 300 + 20 * draws.random(clusters), draws.random(clusters), draws.random(clusters)
    return Heat(power_w, kernel, peak_k, leakage_w, wear, 310 + 20 * draws.random(clusters), 0.07, 1000.0)


def slow_heat(heat: Heat, tiles: np.ndarray) -> tuple[float, ...]:
    """Mean warming, peak temperature, leakage and wear, by the definitions."""
    warmer = np.array([sum(heat.kernel[at, other] * w for other, w in zip(tiles, heat.power_w, strict=True))
                       for at in tiles])  # fmt: skip
    shorter = np.exp(1000 / heat.worn_k - 1000 / (heat.worn_k + warmer))
    leakage_w = (heat.leakage_w * np.exp(0.07 * warmer)).sum()
    return warmer.mean(), (heat.peak_k + warmer).max(), leakage_w, (heat.wear * shorter).max()


def test_heat_spreads_as_from_points_and_discs() -> None:
    kernel = tile_kernel(mesh(3, 2), 1e-3, np.pi * 4e-6, 100.0)
    assert kernel[0, 1] == kernel[0, 3] == pytest.approx(1 / (2 * np.pi * 100 * 1e-3))
    assert kernel[0, 4] == pytest.approx(kernel[0, 1] / np.sqrt(2))
    assert np.diag(kernel) == pytest.approx(8 / (3 * np.pi**2 * 100 * 2e-3))
    assert tile_kernel(tree(4, 2), 1e-3, 1e-6, 100.0)[0, 5] == pytest.approx(1 / (2 * np.pi * 100 * 3e-3))


@pytest.mark.slow
@pytest.mark.parametrize("at, objective", enumerate(["temperature", "peak_temperature", "leakage", "lifetime"]))
def test_heat_is_spread_as_well_as_can_be(at: int, objective: str) -> None:
    topology, traffic = mesh(3, 2), random_traffic(5, 9, 0)
    heat = random_heat(5, topology)
    every = [slow_heat(heat, np.array(tiles))[at] for tiles in permutations(range(6), 5)]
    places = [place(traffic, topology, "anneal", {objective: 1}, rng(start), heat=heat) for start in range(4)]
    found = [slow_heat(heat, tiles)[at] for tiles in places]
    assert min(found) == pytest.approx(min(every))
    assert max(every) > min(every) * 1.0001
    told = placement_figures(traffic, topology, places[0], heat)
    assert (told.warmer_k, told.peak_k, told.leakage_w, told.wear) == pytest.approx(slow_heat(heat, places[0]))


def test_objectives_of_heat_need_heat_and_judged_ones_a_judge() -> None:
    traffic = random_traffic(5, 9, 0)
    for name in ("leakage", "isi_distortion"):
        with pytest.raises(BadInputError, match=f"objective '{name}' needs more than traffic"):
            place(traffic, mesh(3, 3), "climb", {name: 1}, rng())


def test_judged_objectives_are_lowered_by_swaps() -> None:
    traffic = random_traffic(5, 9, 0)
    found = place(traffic, mesh(3, 3), "random", {"isi_distortion": 1}, rng(), judge=lambda t: np.array([0.0, t @ t]))
    start = place(traffic, mesh(3, 3), "random", {"energy": 1}, rng())
    assert found @ found == 0 + 1 + 4 + 9 + 16 < start @ start


@pytest.mark.parametrize("weights", [(1.0, 0, 0, 0, 0, 0, 0), (1.0, 2.0, 3.0, 0, 0, 0, 0), (1.0, 2.0, 3.0, 4, 5, 6, 7)])
@pytest.mark.parametrize("topology", [mesh(4, 4), tree(4, 2)], ids=str)
def test_moves_by_difference_equal_full_evaluation(topology: Topology, weights: tuple[float, ...]) -> None:
    traffic, draws = random_traffic(13, 60, 1), rng(2)
    weight = np.array(weights)
    heat = random_heat(13, topology)
    flows = flows_of(traffic, heat)
    tiles = draws.permutation(16)[:13].astype(np.int32)
    places = places_of(flows, topology, tiles, weight)
    for one, other in draws.integers(16, size=(200, 2)):
        if one == other:
            continue
        saved, before = hops_saved(flows, places, one, other), int(places.packet_hops[0])
        swap(flows, topology, places, one, other, weight)
        assert places.packet_hops[0] == before - saved
        figures = slow_figures(traffic, topology, places.tile_of)
        assert places.packet_hops[0] == figures[0]
        assert cost(flows, places, weight) == pytest.approx(np.dot(weight, figures + slow_heat(heat, places.tile_of)))
        found = placement_figures(traffic, topology, places.tile_of)
        assert (found.packet_hops, found.worst_hops, found.busiest_link) == figures
        assert (places.cluster_on[places.tile_of] == np.arange(13)).all()


@pytest.mark.parametrize("longest", [0.0, 300.0], ids=["hops", "and the longest way"])
@pytest.mark.parametrize("topology", [mesh(4, 4), tree(4, 2)], ids=str)
def test_climbing_keeps_what_full_evaluation_keeps(topology: Topology, longest: float) -> None:
    traffic, order = random_traffic(13, 60, 1), rng(4).permutation(16)
    weights = np.eye(FIGURES)[0] + longest * np.eye(FIGURES)[1]
    flows, start = flows_of(traffic), rng(7).permutation(16)[:13].astype(np.int32)
    places = places_of(flows, topology, start, weights)
    tried = climb(flows, topology, places, weights, order, 10_000)
    on = {int(tile): cluster for cluster, tile in enumerate(start)}
    tiles, expected, rounds, improved = start.copy(), 0, 0, True
    apart = np.array([[len(slow_route(topology, a, b)) for b in range(16)] for a in range(16)])

    def price(at: np.ndarray) -> float:
        ways = apart[at[traffic.sources], at[traffic.destinations]]
        return float(traffic.packets @ ways + longest * ways.max())

    while improved:
        improved, rounds = False, rounds + 1
        for one, other in combinations(order.tolist(), 2):
            moved, pair = tiles.copy(), (on.get(one), on.get(other))
            for cluster, tile in zip(pair, (other, one), strict=True):
                if cluster is not None:
                    moved[cluster] = tile
            expected += pair != (None, None)
            if price(moved) < price(tiles):
                tiles, improved = moved, True
                on = {int(tile): cluster for cluster, tile in enumerate(tiles)}
    assert rounds > 2, "those after the first use the table"
    assert tried == expected
    np.testing.assert_array_equal(places.tile_of, tiles)


@pytest.mark.parametrize("name", PLACER_NAMES)
@pytest.mark.parametrize("topology", [mesh(5, 5), tree(3, 3)], ids=str)
def test_every_cluster_has_its_own_tile(name: str, topology: Topology) -> None:
    traffic = random_traffic(20, 90, 3)
    tiles = place(traffic, topology, name, {"energy": 1, "worst_latency": 1, "congestion": 1}, rng(1))
    assert len(set(tiles.tolist())) == 20
    assert 0 <= tiles.min() <= tiles.max() < topology.tiles
    again = place(traffic, topology, name, {"energy": 1, "worst_latency": 1, "congestion": 1}, rng(1))
    np.testing.assert_array_equal(tiles, again)
    assert set(PLACERS.names()) >= set(PLACER_NAMES)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["climb", "anneal", "swarm"])
@pytest.mark.parametrize("objective", ["energy", "congestion"])
def test_tiny_problems_are_solved(name: str, objective: str) -> None:
    topology, figure = mesh(3, 2), {"energy": 0, "congestion": 2}[objective]
    for seed in range(3):
        traffic = random_traffic(6, 18, seed)
        every = [slow_figures(traffic, topology, np.array(tiles))[figure] for tiles in permutations(range(6))]
        found = [
            slow_figures(traffic, topology, place(traffic, topology, name, {objective: 1}, rng(start)))[figure]
            for start in range(6)
        ]
        assert min(found) == min(every)
        assert np.mean(found) < np.mean(every)


@pytest.mark.slow
def test_the_longest_way_is_shortened() -> None:
    traffic = random_traffic(9, 12, 4)
    near = place(traffic, mesh(3, 3), "anneal", {"worst_latency": 1, "energy": 0.1}, rng(0))
    best = min(
        slow_figures(traffic, mesh(3, 3), np.array(tiles))[1] for tiles in rng(1).permuted([range(9)] * 20000, axis=1)
    )
    assert placement_figures(traffic, mesh(3, 3), near).worst_hops <= best


@pytest.mark.parametrize("name", ["climb", "anneal", "swarm"])
def test_a_chain_is_laid_out_along_neighbours(name: str) -> None:
    chain = np.arange(15, dtype=np.int32)
    traffic = Traffic(16, chain, chain + 1, np.full(15, 10))
    found = [
        placement_figures(traffic, mesh(4, 4), place(traffic, mesh(4, 4), name, {"energy": 1}, rng(start))).packet_hops
        for start in range(5)
    ]
    by_chance = placement_figures(traffic, mesh(4, 4), rng(0).permutation(16)).packet_hops
    assert 150 <= min(found) <= 190
    assert max(found) < 0.7 * by_chance


def test_bad_problems_are_named() -> None:
    traffic = random_traffic(5, 9, 0)
    with pytest.raises(BadInputError, match="5 clusters do not fit 4 tiles"):
        place(traffic, mesh(2, 2), "climb", {"energy": 1}, rng())
    with pytest.raises(BadInputError, match="unknown placer 'swam'; did you mean 'swarm'"):
        place(traffic, mesh(3, 3), "swam", {"energy": 1}, rng())
    with pytest.raises(BadInputError, match="unknown objective 'enrgy'; did you mean 'energy'"):
        place(traffic, mesh(3, 3), "climb", {"enrgy": 1}, rng())
    with pytest.raises(BadInputError, match="weight -1"):
        place(traffic, mesh(3, 3), "climb", {"energy": -1}, rng())
    with pytest.raises(BadInputError, match="unknown topology 'mash'; did you mean 'mesh'"):
        topology_for(4, "mash")
    with pytest.raises(BadInputError, match="has no tile"):
        mesh(0, 3)
    with pytest.raises(BadInputError, match="give at least 2 and 1"):
        tree(1, 3)


@pytest.mark.parametrize("tiles, expected", [(1, (1, 1)), (5, (3, 2)), (9, (3, 3)), (10, (4, 3))])
def test_the_mesh_is_as_small_as_can_be(tiles: int, expected: tuple[int, int]) -> None:
    assert topology_for(tiles)[1:3] == expected
    assert [topology_for(count, "tree").tiles for count in (1, 4, 5, 16, 17)] == [4, 4, 16, 16, 64]
