"""Rows and columns against wear and heat: nodal currents, one hot cell, and optima by brute force."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest

from hasnas.cim_estimator.mapping import (
    ORDERS,
    CrossbarLimits,
    Positions,
    SpikeGraph,
    cell_array,
    crossbars,
    executions,
    load_cells,
    temperature_k,
)
from hasnas.cim_estimator.mapping.cell_array import CellArray, Crossbar, heat_kernel

CELLS = replace(load_cells(), heating_k_per_w=4e6)  # hot enough that positions matter
SMALL = CrossbarLimits(4, 3)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def array(limits: CrossbarLimits = SMALL, wire_ohm: float = 200.0) -> CellArray:
    return cell_array(limits, 1e4, 0.5, wire_ohm, wire_ohm, CELLS)


def crossbar(seed: int, rows: int = 4, columns: int = 3, density: float = 1.0) -> Crossbar:
    draws = rng(seed)
    share = (draws.random((rows, columns)) < density).astype(float)
    spikes = draws.permutation(np.arange(1, rows + 1) * 7)
    numbers = np.arange(max(rows, columns), dtype=np.int32)
    return Crossbar(numbers[:rows], numbers[:columns], share, spikes, spikes / 50)


@pytest.mark.parametrize("wire_ohm, ratio", [(1.0, 2.72), (2.5, 5.26)])
def test_nodal_currents_of_a_full_array(wire_ohm: float, ratio: float) -> None:
    power_w = cell_array(CrossbarLimits(128, 128), 1e4, 0.5, wire_ohm, wire_ohm, CELLS).power_w
    assert np.sqrt(power_w.max() / power_w.min()) == pytest.approx(ratio, abs=0.005)


def test_cells_near_the_drivers_are_hot_and_weak() -> None:
    found = array()
    assert found.power_w.argmax() == 3 * 3  # the last row, first column: nearest to driver and ground
    assert found.endurance.argmin() == found.power_w.argmax()
    assert (np.diff(found.power_w, axis=1) < 0).all()
    without_wires = array(wire_ohm=0.0)
    np.testing.assert_allclose(without_wires.power_w, 0.5**2 / 1e4)
    hot_k = 300 + 4e6 * 0.5**2 / 1e4
    np.testing.assert_allclose(without_wires.endurance, 1e8 * np.exp(1000 / hot_k - 1000 / 300))


def test_one_hot_cell_warms_its_neighbours_by_the_kernel() -> None:
    limits = CrossbarLimits(9, 9)
    one = Crossbar(np.zeros(1, np.int32), np.zeros(1, np.int32), np.ones((1, 1)), np.array([5]), np.array([0.5]))
    at = Positions(np.array([4], np.int32), np.array([4], np.int32))
    cells = array(limits)
    warmer = temperature_k(one, at, cells) - 300
    own = 4e6 * cells.power_w[4, 4] * 0.5
    assert warmer[4, 4] == pytest.approx(own)
    assert warmer[4, 5] == warmer[3, 4] == pytest.approx(0.3 * own)
    assert warmer[5, 5] == pytest.approx(0.3 ** np.sqrt(2) * own)
    assert warmer.sum() == pytest.approx(cells.felt_k_per_w[4, 4] * cells.power_w[4, 4] * 0.5)
    assert warmer.sum() == pytest.approx(own * heat_kernel(0.3).sum())


def test_the_first_cell_that_wears_out_ends_the_life() -> None:
    one, cells = crossbar(0), array()
    at = Positions(np.arange(4, dtype=np.int32), np.arange(3, dtype=np.int32))
    expected = min(cells.endurance[r, c] / one.spikes[r] for r in range(4) for c in range(3))
    assert executions(one, at, cells) == pytest.approx(expected)
    assert executions(replace(one, spikes=np.zeros(4, int)), at, cells) == np.inf


@pytest.mark.parametrize("name", ["plain", "random", "endurance", "heat"])
@pytest.mark.parametrize("seed", range(3))
def test_rows_and_columns_are_permuted_whole(name: str, seed: int) -> None:
    one = crossbar(seed, 3, 2, density=0.7)
    found = ORDERS.get(name)(one, array(), rng(seed))
    for positions, used, size in ((found.rows, 3, 4), (found.columns, 2, 3)):
        assert len(set(positions.tolist())) == used
        assert 0 <= positions.min() <= positions.max() < size


def every(rows: int, columns: int) -> list[Positions]:
    return [
        Positions(np.array(r, np.int32), np.array(c, np.int32))
        for r in permutations(range(4), rows)
        for c in permutations(range(3), columns)
    ]


@pytest.mark.parametrize("seed", range(6))
def test_endurance_order_is_the_best_of_full_arrays(seed: int) -> None:
    one, cells = crossbar(seed), array()
    lives = [executions(one, at, cells) for at in every(4, 3)]
    plain = executions(one, ORDERS.get("plain")(one, cells, rng()), cells)
    found = executions(one, ORDERS.get("endurance")(one, cells, rng()), cells)
    assert found == pytest.approx(max(lives))
    assert found > min(lives) * 1.05
    assert found >= plain


@pytest.mark.parametrize("seed", range(6))
def test_endurance_order_of_sparse_arrays_is_near_the_best(seed: int) -> None:
    one, cells = crossbar(seed, 3, 2, density=0.7), array()
    best = max(executions(one, at, cells) for at in every(3, 2))
    plain = executions(one, ORDERS.get("plain")(one, cells, rng()), cells)
    found = executions(one, ORDERS.get("endurance")(one, cells, rng()), cells)
    assert plain <= found <= best * (1 + 1e-9)
    assert found >= 0.93 * best


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("shape", [(4, 3), (3, 2)])
def test_heat_order_is_the_coolest_or_near_it(seed: int, shape: tuple[int, int]) -> None:
    one, cells = crossbar(seed, *shape, density=0.8), array()
    means = [temperature_k(one, at, cells).mean() - 300 for at in every(*shape)]
    found = temperature_k(one, ORDERS.get("heat")(one, cells, rng()), cells).mean() - 300
    assert found <= min(means) * 1.02
    assert found < np.mean(means)


def test_crossbars_hold_exactly_the_synapses_of_their_clusters() -> None:
    graph = SpikeGraph.from_edges([0, 1, 1, 2, 3], [2, 2, 3, 3, 4], [4, 8, 2, 2, 0], 10, 2)
    first, second = crossbars(graph, np.array([0, 0, 0, 1, 1], np.int32), array())
    assert first.sources.tolist() == [0, 1]
    assert first.neurons.tolist() == [2]
    assert second.sources.tolist() == [1, 2, 3]
    assert second.neurons.tolist() == [3, 4]
    assert second.share.tolist() == [[1, 0], [1, 0], [0, 1]]
    weighed = replace(graph, strengths=np.array([0.5, -1, 0, 0.2, 1], np.float32))
    cells = replace(array(), least_share=0.1)
    strong = next(iter(crossbars(weighed, np.array([0, 0, 0, 1, 1], np.int32), cells)))
    assert strong.share[:, 0] == pytest.approx([0.1 + 0.9 * 0.5, 1])
    strong = next(iter(crossbars(weighed, np.array([0, 0, 0, 1, 1], np.int32), replace(cells, offset=True))))
    assert strong.share[:, 0] == pytest.approx([0.1 + 0.9 * 0.75, 0.1])
    assert second.duty.tolist() == [0.4, 0.1, 0.1]
