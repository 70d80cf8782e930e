"""The process interpolates, says where it does not know, and finds the noise."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from hasnas.nas.strategies.gaussian_process import (
    LENGTHSCALES,
    NOISES,
    PRIOR_LENGTHSCALE,
    PRIOR_NOISE,
    PRIOR_WIDTH,
    GaussianProcess,
    GrowingPredictions,
    distances,
    matern_3_2,
    rank_gaussian,
)


def fitted(noise: float, count: int = 60) -> tuple[GaussianProcess, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    points = rng.uniform(-2, 2, (count, 2))
    values = np.sin(points[:, 0]) + 0.5 * points[:, 1] + noise * rng.standard_normal(count)
    return GaussianProcess.fit(distances(points, points), values, 2), points, values


def test_distances_between_rows() -> None:
    first, second = np.array([[0.0, 0.0], [3.0, 0.0]]), np.array([[0.0, 4.0]])
    np.testing.assert_allclose(distances(first, second), [[4.0], [5.0]])


def test_smooth_functions_are_learnt() -> None:
    process, points, _ = fitted(noise=0.01)
    rng = np.random.default_rng(1)
    new = rng.uniform(-1.5, 1.5, (50, 2))
    mean, deviation = process.predict(distances(new, points))
    truth = np.sin(new[:, 0]) + 0.5 * new[:, 1]
    assert np.abs(mean - truth).max() < 0.15
    assert (np.abs(mean - truth) < 4 * deviation + 0.02).all()


def test_far_away_it_knows_only_the_mean() -> None:
    process, points, values = fitted(noise=0.1)
    mean, deviation = process.predict(distances(np.array([[1e3, 1e3]]), points))
    np.testing.assert_allclose(mean, values.mean())
    np.testing.assert_allclose(deviation, np.sqrt(process.scale))


def test_noise_is_recognised() -> None:
    assert fitted(noise=0.01)[0].noise < fitted(noise=0.8)[0].noise


def test_covariance_agrees_with_the_deviation() -> None:
    process, points, _ = fitted(noise=0.2)
    new = np.random.default_rng(2).uniform(-2, 2, (5, 2))
    covariance = process.covariance(distances(new, points), distances(new, new))
    np.testing.assert_allclose(np.sqrt(np.diag(covariance)), process.predict(distances(new, points))[1], rtol=1e-4)
    assert np.linalg.eigvalsh(covariance).min() > -1e-9


def test_kernel_falls_with_distance() -> None:
    values = matern_3_2(np.array([0.0, 0.5, 2.0, 50.0]), 1.0)
    assert values[0] == 1
    assert (np.diff(values) < 0).all()


def test_ranks_forget_how_far_apart_values_are() -> None:
    np.testing.assert_allclose(rank_gaussian([10.0, 88.0, 89.0]), rank_gaussian([1.0, 2.0, 3.0]))
    assert rank_gaussian([1.0, 1.0]).tolist() == [0.0, 0.0]


def test_hyperparameters_are_those_of_the_plain_grid() -> None:
    """The oracle: the marginal likelihood of every pair of the grid from a Cholesky factor of its own."""
    process, points, values = fitted(noise=0.3, count=40)
    apart, centred, count = distances(points, points), values - values.mean(), len(values)
    best = (-np.inf, 0.0, 0.0)
    for lengthscale in LENGTHSCALES:
        for noise in NOISES:
            matrix = matern_3_2(apart, lengthscale * np.sqrt(2)) + noise * np.eye(count)
            factor = np.linalg.cholesky(matrix)
            variance = float(centred @ np.linalg.solve(matrix, centred)) / count
            likelihood = -0.5 * count * np.log(variance) - np.log(np.diag(factor)).sum()
            prior = (np.log(lengthscale / PRIOR_LENGTHSCALE) ** 2 + np.log(noise / PRIOR_NOISE) ** 2) / PRIOR_WIDTH**2
            best = max(best, (likelihood - 0.5 * prior, lengthscale * np.sqrt(2), noise))
    assert (process.lengthscale, process.noise) == pytest.approx(best[1:])


def test_growing_predictions_are_those_of_the_process() -> None:
    """Also where the hyperparameters change on the way, and where targets change and features do not."""
    rng = np.random.default_rng(5)
    points = rng.uniform(-2, 2, (150, 2))
    values = np.sin(3 * points[:, 0]) + 0.3 * rng.standard_normal(150)
    candidates = rng.uniform(-2, 2, (40, 2))
    growing, parameters = GrowingPredictions(candidates), set()
    for count in (5, 6, 11, 40, 41, 90, 150, 150):
        told = points[:count]
        process = GaussianProcess.fit(distances(told, told), rank_gaussian(values[:count]), 2)
        parameters.add((process.lengthscale, process.noise))
        cross = distances(candidates, told)
        np.testing.assert_allclose(growing.predict(process, told), process.predict(cross), rtol=1e-6, atol=1e-8)
        rows = np.array([3, 30, 7])
        expected = process.covariance(cross[rows], distances(candidates[rows], candidates[rows]))
        np.testing.assert_allclose(growing.covariance(process, rows), expected, rtol=1e-6, atol=1e-8)
    assert 1 < len(parameters) < 7, "kept at times, changed at times"


def test_a_trend_is_believed_as_far_as_it_is_right() -> None:
    """Told ten candidates of two hundred: with a good trend all are ranked well, a misleading one is left aside."""
    rng = np.random.default_rng(7)
    points = rng.uniform(-1, 1, (200, 8))
    values = points @ np.arange(1.0, 9.0) + np.sin(4 * points[:, 0])
    good = (values + 3 * rng.standard_normal(200)) / np.hypot(values.std(), 3)
    told = slice(0, 10)
    apart, cross = distances(points[told], points[told]), distances(points, points[told])

    def ranked(trend: np.ndarray) -> tuple[float, float]:
        process = GaussianProcess.fit(apart, rank_gaussian(values[told]), 8, trend[told])
        guess = process.predict(cross)[0] + process.slope * trend
        return float(spearmanr(guess[10:], values[10:]).statistic), process.slope

    plain = ranked(np.zeros(200))
    assert plain[1] == 0
    assert ranked(good)[0] > plain[0] + 0.1
    assert ranked(good)[1] > 0.3
    assert ranked(-good) == plain
