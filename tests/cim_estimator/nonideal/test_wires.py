"""Wire resistance: closed forms, the published current ratios, and the fast model against the exact solve."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hasnas.cim_estimator.nonideal import (
    NonidealSpec,
    loaded_conductance,
    program,
    solve_array,
    to_conductances,
    to_weights,
    transfer_conductance,
    with_wire_resistance,
)
from hasnas.errors import BadInputError

CELLS = np.random.default_rng(0).uniform(1e-6, 1e-4, (24, 17))


def kirchhoff(cells: np.ndarray, drive: np.ndarray, row_ohm: float, column_ohm: float) -> np.ndarray:
    """Column currents from a dense matrix written down node by node."""
    rows, columns = cells.shape
    size = 2 * rows * columns
    matrix, current = np.zeros((size, size)), np.zeros(size)

    def link(first: int, second: int | None, siemens: float, source_v: float = 0.0) -> None:
        matrix[first, first] += siemens
        if second is None:
            current[first] += siemens * source_v
        else:
            matrix[second, second] += siemens
            matrix[first, second] -= siemens
            matrix[second, first] -= siemens

    for i in range(rows):
        for j in range(columns):
            top, under = i * columns + j, rows * columns + i * columns + j
            link(top, under, cells[i, j])
            link(top, top - 1 if j else None, 1 / row_ohm, drive[i])
            link(under, under + columns if i + 1 < rows else None, 1 / column_ohm)
    voltage = np.linalg.solve(matrix, current)
    return voltage[-columns:] / column_ohm


@pytest.mark.parametrize("wire_ohm, ratio", [(1.0, 2.72), (2.5, 5.26)])
def test_current_ratios_of_128_driven_rows(wire_ohm: float, ratio: float) -> None:
    solution = solve_array(np.full((128, 128), 1e-4), np.ones(128), wire_ohm, wire_ohm)
    current = solution.cell_voltage_v[0] * 1e-4
    assert current.max() / current.min() == pytest.approx(ratio, abs=0.005)


def test_one_driven_cell_is_a_series_circuit_and_ideal_wires_a_product() -> None:
    cells = np.zeros((8, 6))
    cells[2, 3] = 1e-4
    drive = np.eye(8)[2]
    # 4 row segments to column 3, the cell, 6 column segments from row 2 down to the sense amplifier
    expected = 1 / (4 * 2.0 + 1e4 + 6 * 3.0)
    assert solve_array(cells, drive, 2.0, 3.0).column_current_a[0, 3] == pytest.approx(expected, rel=1e-9)
    np.testing.assert_allclose(solve_array(CELLS, np.ones(24), 0, 0).column_current_a[0], CELLS.sum(0), rtol=1e-14)


@pytest.mark.parametrize("row_ohm, column_ohm", [(1.0, 1.0), (5.0, 0.5), (200.0, 300.0)])
def test_sparse_solve_equals_the_dense_one(row_ohm: float, column_ohm: float) -> None:
    drive = np.random.default_rng(1).random(24)
    solution = solve_array(CELLS, drive, row_ohm, column_ohm)
    np.testing.assert_allclose(solution.column_current_a[0], kirchhoff(CELLS, drive, row_ohm, column_ohm), rtol=1e-9)


@given(st.integers(1, 12), st.integers(1, 12), st.floats(0.01, 300), st.floats(0.01, 300), st.integers(0, 2**31))
@settings(max_examples=40, deadline=None)
def test_superposition_and_losses(rows: int, columns: int, row_ohm: float, column_ohm: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    cells, drive = rng.uniform(0, 1e-3, (rows, columns)), rng.random(rows)
    transfer = transfer_conductance(cells, row_ohm, column_ohm)
    solution = solve_array(cells, drive, row_ohm, column_ohm)
    np.testing.assert_allclose(drive @ transfer, solution.column_current_a[0], rtol=1e-6, atol=1e-15)
    assert (transfer >= -1e-15).all()
    assert transfer.sum() <= cells.sum() * (1 + 1e-9), "wires only lose current"
    worse = transfer_conductance(cells, row_ohm * 2, column_ohm * 2)
    assert worse.sum() <= transfer.sum() * (1 + 1e-9)


@given(st.floats(0, 300), st.floats(0, 300), st.integers(0, 2**31))
@example(1.0, 5e-324, 0)
@example(0.0, 300.0, 0)
@example(1e-7, 1e-6, 0)
@settings(max_examples=25, deadline=None)
def test_the_fast_model_is_exact_at_its_operating_point(row_ohm: float, column_ohm: float, seed: int) -> None:
    activity = np.random.default_rng(seed).uniform(0.05, 1, 24)
    exact = solve_array(CELLS, activity, row_ohm, column_ohm).column_current_a[0]
    fast = activity @ loaded_conductance(CELLS, row_ohm, column_ohm, activity, tolerance=1e-10)
    np.testing.assert_allclose(fast, exact, rtol=1e-5)


@pytest.mark.parametrize("rows, bound", [(32, 1e-3), (64, 3e-3)])
def test_the_fast_model_is_close_for_random_spikes(rows: int, bound: float) -> None:
    rng = np.random.default_rng(2)
    cells = rng.uniform(1e-6, 1e-4, (rows, rows))
    spikes = (rng.random((50, rows)) < 0.2).astype(float)
    exact = spikes @ transfer_conductance(cells, 1.0, 1.0)
    error = spikes @ loaded_conductance(cells, 1.0, 1.0) - exact
    assert np.abs(error).mean() / exact.mean() < bound
    lost = (spikes @ cells - exact).mean() / exact.mean()
    assert np.abs(error).mean() / exact.mean() < lost / 20, "the model explains more than 95 % of what wires lose"


def test_many_arrays_at_once_in_their_own_precision() -> None:
    stack = np.stack([CELLS, CELLS[::-1], 0.1 * CELLS]).astype(np.float32)[None]
    together = loaded_conductance(stack, 2.0, 3.0)
    assert together.dtype == np.float32
    assert together.shape == (1, 3, 24, 17)
    for index in range(3):
        alone = loaded_conductance(stack[0, index].astype(float), 2.0, 3.0)
        np.testing.assert_allclose(together[0, index], alone, rtol=1e-5)


@pytest.mark.parametrize("signed", ["differential", "offset"])
def test_a_layer_is_cut_into_arrays_and_loses_weight_with_distance(signed: str) -> None:
    weights = np.full((10, 30), 0.9)
    weights[0, 0] = 1.0
    spec = NonidealSpec(rows=16, columns=6, off_resistance_ohm=1e6).with_changes({"signed": signed})
    design = to_conductances(weights, spec)
    assert with_wire_resistance(design) is design
    design = to_conductances(weights, spec.with_changes({"row_wire_ohm": 10.0, "column_wire_ohm": 10.0}))
    loaded = with_wire_resistance(design)
    width = 6 if signed == "differential" else 5
    block = design.positive[0, 16:, :width]
    if signed == "offset":
        block = np.concatenate([design.negative[0, 16:, :1], block], axis=1)
    alone = loaded_conductance(block, 10.0, 10.0, tolerance=1e-4)[:, -width:]
    np.testing.assert_allclose(loaded.positive[0, 16:, :width], alone, rtol=1e-12, err_msg="array of rows 16 to 29")
    stored = to_weights(loaded)
    assert (stored[1:] < 0.9).all()
    assert (stored > 0.5).all()
    assert stored[width, 15] > stored[width - 1, 1], "the bottom of a first column is nearest to driver and amplifier"


def test_chips_keep_their_axis() -> None:
    spec = NonidealSpec(device_variation=0.1, row_wire_ohm=5.0, column_wire_ohm=5.0, rows=16)
    chips = program(to_conductances(np.ones((4, 20)), spec), 3, 0)
    assert to_weights(with_wire_resistance(chips)).shape == (3, 4, 20)


@pytest.mark.parametrize("bad", [-1.0, math.nan])
def test_impossible_circuits_are_refused(bad: float) -> None:
    with pytest.raises(BadInputError, match="row_wire_ohm is"):
        solve_array(CELLS, np.ones(24), bad, 1.0)
    with pytest.raises(BadInputError, match="a conductance is negative or not finite"):
        loaded_conductance(np.full((2, 2), bad), 1.0, 1.0)
    with pytest.raises(BadInputError, match="23 row voltages"):
        solve_array(CELLS, np.ones(23), 1.0, 1.0)
    with pytest.raises(BadInputError, match="activity of a row"):
        loaded_conductance(CELLS, 1.0, 1.0, bad)
