"""The process interpolates, says where it does not know, and finds the noise."""

from __future__ import annotations

import numpy as np

from hasnas.nas.strategies.gaussian_process import GaussianProcess, distances, matern_3_2, rank_gaussian


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
