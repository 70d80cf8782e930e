"""Gains and depths of single neurons and convolutions, integrated by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.signal import convolve2d
from scipy.stats import norm

from hasnas.nas.scoring.isometry import gradient_gains, isometric_depth, seen_context, surrogate_power
from hasnas.nas.scoring.mean_field import InputStatistics, propagate
from hasnas.search_spaces import Macro
from hasnas.search_spaces.snasnet import CellSpace

OPERATIONS = ("none", "identity", "conv3x3", "conv3x3_t0.5", "conv1x1")


def space(static: bool = True, cells: int = 1, **macro: float) -> CellSpace:
    whole = Macro((3, 16, 16), classes=4, timesteps=4, channels=8, hidden=0, static_input=static, **macro)
    return CellSpace(whole, cells=cells, nodes=2, operations=OPERATIONS)


def power(deviation: float, threshold: float) -> float:
    def weighted(v: float) -> float:
        return norm.pdf(v, scale=deviation) / (1 + (np.pi * (v - threshold)) ** 2) ** 2

    return quad(weighted, -8 * deviation, 8 * deviation, points=[threshold], limit=200)[0]


@pytest.mark.parametrize("deviation, threshold", [(1.0, 1.0), (0.3, 0.5), (2.0, 0.0), (0.7, 1.5)])
def test_power_of_the_surrogate(deviation: float, threshold: float) -> None:
    found = surrogate_power(np.array([deviation]), np.array([threshold]))[0]
    assert found == pytest.approx(power(deviation, threshold), rel=1e-3)


@pytest.mark.parametrize("tau", [4 / 3, 2.0])
@pytest.mark.parametrize("choice, threshold", [(2, 1.0), (3, 0.5)])
def test_gain_of_an_input_that_stands_still(tau: float, choice: int, threshold: float) -> None:
    field = propagate(space(tau=tau), np.array([[choice]]))
    rate = float(field.cells[0].rate[0, 0, 1])
    decay = 1 - 1 / tau
    # A membrane at rest reaches the share 1 - a^t of a fixed input; its gradients add up until a spike resets it.
    start_up = np.mean([(1 - decay**step) ** 2 for step in (1, 2, 3, 4)])
    kept = tau**-2 / (1 - decay * (1 - rate)) ** 2
    expected = kept * power(float(np.sqrt(start_up)), threshold) / (rate * (1 - rate))
    assert float(gradient_gains(field.cells[0], space(tau=tau).macro)[0, 0, 1]) == pytest.approx(expected, rel=2e-3)


@pytest.mark.parametrize("tau", [4 / 3, 2.0])
def test_gain_of_white_noise_over_time(tau: float) -> None:
    moving = space(static=False, tau=tau)
    field = propagate(moving, np.array([[2]]), InputStatistics(0.0))
    rate = float(field.cells[0].rate[0, 0, 1])
    decay = 1 - 1 / tau
    kept = tau**-2 / (1 - decay**2 * (1 - rate))
    expected = kept * power((2 * tau - 1) ** -0.5, 1.0) / (rate * (1 - rate))
    assert float(gradient_gains(field.cells[0], moving.macro)[0, 0, 1]) == pytest.approx(expected, rel=2e-3)


def test_gain_of_neurons_without_leak() -> None:
    plain = space(neuron="if")
    field = propagate(plain, np.array([[2]]))
    rate = float(field.cells[0].rate[0, 0, 1])
    # What is left of a step after 0 to 3 more, summed over 1 to 4 steps.
    sums = [sum((1 - rate) ** back for back in range(steps)) for steps in (1, 2, 3, 4)]
    square = float(np.mean(np.square(sums)))
    expected = square * power(square**0.5, 1.0) / (rate * (1 - rate))
    assert float(gradient_gains(field.cells[0], plain.macro)[0, 0, 1]) == pytest.approx(expected, rel=2e-3)


def test_the_rate_of_an_input_that_stands_still() -> None:
    # v after k steps is x (1 - 4^-k): neurons with x above 4/3 fire at each of 4 steps, above 16/15 at every second,
    # above 64/63 at the third, above 256/255 at the fourth.
    share = [norm.sf(limit) for limit in (4 / 3, 16 / 15, 64 / 63, 256 / 255)]
    spikes = 4 * share[0] + 2 * (share[1] - share[0]) + (share[2] - share[1]) + (share[3] - share[2])
    found = float(propagate(space(), np.array([[2]])).cells[0].rate[0, 0, 1])
    assert found == pytest.approx(spikes / 4, rel=0.02)


def test_a_convolution_counts_by_its_gain_or_the_inverse_and_by_its_context() -> None:
    field = propagate(space(), np.array([[1], [2], [3], [4]]))
    gains = gradient_gains(field.cells[0], space().macro)[:, 0, 1]
    kept = [min(gain, 1 / gain) for gain in gains[1:]]
    assert min(kept) > 0.01
    assert max(gains[1:]) > 1 > min(gains[1:]), "both sides of isometry"
    np.testing.assert_allclose(isometric_depth(field, space().macro), [0, kept[0], kept[1], 0], rtol=1e-9)
    assert seen_context(np.array([5]), np.array([5]))[0] == pytest.approx((1 - 1 / 25) / (1 - 1 / 9))


def test_a_shared_cell_counts_where_it_is_weakest_and_own_cells_add_up() -> None:
    shared = space(cells=3)
    field = propagate(shared, np.array([[2]]))
    gains = [float(gradient_gains(cell, shared.macro)[0, 0, 1]) for cell in field.cells]
    kept = [min(gain, 1 / gain) for gain in gains]
    assert max(kept) > 1.05 * min(kept)
    assert float(isometric_depth(field, shared.macro)[0]) == pytest.approx(min(kept), rel=1e-9)
    own = CellSpace(shared.macro, cells=3, nodes=2, operations=OPERATIONS, shared=False)
    alone = propagate(own, np.array([[2, 2, 2]]))
    assert float(isometric_depth(alone, own.macro)[0]) == pytest.approx(sum(kept), rel=1e-6)


@pytest.mark.parametrize("kernel, side", [(3, 1), (3, 2), (3, 7), (5, 2), (5, 3), (5, 8), (1, 4)])
def test_weights_that_hang_over_the_edge_of_a_map_see_nothing(kernel: int, side: int) -> None:
    def neighbours(size: int) -> float:
        on_the_map = convolve2d(np.ones((side, side)), np.ones((size, size)), mode="same")
        return float(1 - 1 / on_the_map.mean())

    expected = neighbours(kernel) / neighbours(3) if side > 1 else 0.0
    found = seen_context(np.array([kernel]), np.array([kernel]), (side, side))[0]
    assert found == pytest.approx(expected, rel=1e-12)
    assert found >= (side > 1) * (kernel > 1), "a kernel that holds another sees no less"
