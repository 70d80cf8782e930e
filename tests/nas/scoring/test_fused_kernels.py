"""Compiled loops of the shared forward pass against the same sums in numpy."""

from __future__ import annotations

import numpy as np
import pytest

from hasnas.nas.scoring.fused_kernels import BLOCK, fire, materialise, moments

T, CHANNELS = 3, 5


def terms(rows: int) -> tuple[tuple[np.ndarray, ...], np.ndarray, np.ndarray, np.ndarray]:
    """Two terms, one the same at every timestep, with scales and a shift, and the value that they add up to."""
    rng = np.random.default_rng(0)
    raws = tuple(rng.normal(1, 2, (steps, rows, CHANNELS)).astype(np.float32) for steps in (T, 1))
    scales = rng.normal(size=(2, T, CHANNELS)).astype(np.float32)
    shift = rng.normal(size=(T, CHANNELS)).astype(np.float32)
    value = shift[:, None] + sum(
        raw.astype(float) * scale[:, None] for raw, scale in zip(raws, scales, strict=True)
    )  # `[T, rows, C]`
    return raws, scales, shift, value


@pytest.mark.parametrize("rows", [1, 7, BLOCK, 2 * BLOCK + 3])
def test_moments_are_mean_and_variance_over_places(rows: int) -> None:
    raws, scales, shift, value = terms(rows)
    mean, variance = moments(raws, scales, shift)
    np.testing.assert_allclose(mean, value.mean(axis=1), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(variance, value.var(axis=1), rtol=1e-3, atol=1e-3)


def test_a_value_is_its_terms_by_their_scales() -> None:
    raws, scales, shift, value = terms(4)
    out = np.empty((T, 4, CHANNELS), np.float32)
    materialise(raws, scales, shift, out)
    np.testing.assert_allclose(out, value, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("tau, threshold, reset", [(2.0, 1.0, 0.0), (4 / 3, 0.7, -0.25)])
def test_neurons_leak_fire_and_return(tau: float, threshold: float, reset: float) -> None:
    raws, scales, shift, value = terms(40)
    spikes = np.empty((T, 40, CHANNELS), np.uint8)
    fire(raws, scales, shift, (tau, threshold, reset), spikes)
    membrane = np.full((40, CHANNELS), reset)
    for step in range(T):
        membrane = membrane + (value[step] - (membrane - reset)) / tau
        near = np.abs(membrane - threshold) < 1e-4
        expected = membrane >= threshold
        assert (spikes[step] == expected)[~near].all()
        assert 0.05 < expected.mean() < 0.95
        membrane = np.where(expected, reset, membrane)
