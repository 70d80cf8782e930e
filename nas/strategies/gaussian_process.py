"""Gaussian-process regression for a few hundred told candidates, with hyperparameters from a grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import cho_solve, cholesky, lapack, solve_triangular
from scipy.stats import norm, rankdata

FloatArray = NDArray[np.float64]
LENGTHSCALES = np.geomspace(0.35, 6.0, 9)  # times the square root of the number of features
NOISES = np.geomspace(0.003, 0.8, 9)  # variance of the noise over that of the signal
PRIOR_LENGTHSCALE, PRIOR_NOISE, PRIOR_WIDTH = 1.0, 0.1, 1.5


def matern_3_2(distance: FloatArray, lengthscale: float) -> FloatArray:
    """(1 + a) exp(-a), a = sqrt(3) distance / lengthscale.

    >>> float(matern_3_2(np.array(0.0), 2.0))
    1.0
    """
    scaled = np.sqrt(3.0) * distance / lengthscale
    return (1 + scaled) * np.exp(-scaled)


def distances(first: FloatArray, second: FloatArray) -> FloatArray:
    """Euclidean distances between rows, `[N, M]`."""
    squares = (first**2).sum(axis=1)[:, None] + (second**2).sum(axis=1) - 2 * first @ second.T
    return np.sqrt(np.maximum(squares, 0.0))


def rank_gaussian(values: ArrayLike) -> FloatArray:
    """Values replaced by normal quantiles of their ranks: outliers no longer rule the fit.

    >>> rank_gaussian([3.0, 1.0, 2.0]).round(2).tolist()
    [0.97, -0.97, 0.0]
    """
    array = np.asarray(values, float)
    return norm.ppf((rankdata(array) - 0.5) / max(len(array), 1))


def tridiagonal(symmetric: FloatArray, vector: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Reduce a symmetric matrix to tridiagonal form by an orthogonal map, and apply the same map to a vector.

    The reduced matrix plus a multiple of the identity is solved in linear time; that makes a grid of noises cheap.

    Returns:
        Diagonal `[n]`, off-diagonal `[n - 1]`, the mapped vector `[n]`.

    >>> diagonal, off_diagonal, mapped = tridiagonal(np.diag([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 2.0]))
    >>> float(diagonal.sum()), float(np.linalg.norm(mapped))
    (6.0, 3.0)
    """
    if len(vector) < 3:
        return np.diag(symmetric).copy(), np.diag(symmetric, 1).copy(), vector
    reflectors, diagonal, off_diagonal, factors, _ = lapack.dsytrd(symmetric, lower=1, lwork=64 * len(vector))
    below = np.asfortranarray(reflectors[1:, :-1])
    mapped, _, _ = lapack.dormqr("L", "T", below, factors, vector[1:, None], lwork=64)
    return diagonal, off_diagonal, np.concatenate([vector[:1], mapped[:, 0]])


@dataclass(frozen=True, eq=False)
class GaussianProcess:
    """A fitted process.

    Args:
        lengthscale: of the kernel.
        noise: variance of the noise over that of the signal.
        scale: variance of the signal.
        mean: of the targets.
        factor: lower Cholesky factor of kernel + noise over the told candidates.
        weights: (kernel + noise)^-1 (targets - mean).
    """

    lengthscale: float
    noise: float
    scale: float
    mean: float
    factor: FloatArray
    weights: FloatArray

    @staticmethod
    def fit(told: FloatArray, targets: FloatArray, dimensions: int) -> GaussianProcess:
        """The process whose hyperparameters have the largest marginal likelihood times a weak log-normal prior.

        Args:
            told: distances between told candidates, `[n, n]`.
            targets: `[n]`.
            dimensions: number of features, the unit of the lengthscale.
        """
        centred, count = targets - targets.mean(), len(targets)
        best = (-np.inf, 1.0, 0.1)
        for lengthscale in LENGTHSCALES:
            diagonal, off_diagonal, rotated = tridiagonal(matern_3_2(told, lengthscale * np.sqrt(dimensions)), centred)
            for noise in NOISES:
                pivots, _, solved, _ = lapack.dptsv(diagonal + noise, off_diagonal, rotated)
                variance = max(float(rotated @ solved) / count, 1e-12)
                likelihood = -0.5 * (count * np.log(variance) + np.log(pivots).sum())
                prior = np.log(lengthscale / PRIOR_LENGTHSCALE) ** 2 + np.log(noise / PRIOR_NOISE) ** 2
                best = max(best, (likelihood - 0.5 * prior / PRIOR_WIDTH**2, float(lengthscale), float(noise)))
        _, relative, noise = best
        lengthscale = relative * np.sqrt(dimensions)
        factor = cholesky(matern_3_2(told, lengthscale) + noise * np.eye(count), lower=True)
        weights = cho_solve((factor, True), centred)
        scale = max(float(centred @ weights) / count, 1e-12)
        return GaussianProcess(lengthscale, noise, scale, float(targets.mean()), factor, weights)

    def predict(self, cross: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Mean and standard deviation of the noiseless value.

        Args:
            cross: distances to the told candidates, `[N, n]`.
        """
        kernel = matern_3_2(cross, self.lengthscale)
        explained = solve_triangular(self.factor, kernel.T, lower=True)
        variance = np.maximum(1 - (explained**2).sum(axis=0), 1e-9)
        return self.mean + kernel @ self.weights, np.sqrt(self.scale * variance)

    def covariance(self, cross: FloatArray, among: FloatArray) -> FloatArray:
        """Posterior covariance of the noiseless values of N candidates.

        Args:
            cross: distances to the told candidates, `[N, n]`.
            among: distances between the candidates, `[N, N]`.
        """
        explained = solve_triangular(self.factor, matern_3_2(cross, self.lengthscale).T, lower=True)
        return self.scale * (matern_3_2(among, self.lengthscale) - explained.T @ explained)


class GrowingPredictions:
    """Predictions for fixed candidates by processes that are told more and more; the same as theirs, sooner.

    Distances to the told are computed once. As long as lengthscale and noise stay the same, the Cholesky factor grows
    at its end, and what n told candidates explain of each of N others is extended in time n N in place of n^2 N.

    Args:
        candidates: features, `[N, features]`.
    """

    def __init__(self, candidates: FloatArray) -> None:
        self.candidates = candidates
        self._apart, self._kernel, self._explained = (_Rows(len(candidates)) for _ in range(3))
        self._variance = np.ones(len(candidates))
        self._parameters = (np.nan, np.nan)

    def predict(self, process: GaussianProcess, told: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Mean and standard deviation of the noiseless values.

        Args:
            process: fitted to the told.
            told: their features `[n, features]`, those of the last call first.
        """
        self._apart.append(distances(told[len(self._apart) :], self.candidates))
        if (process.lengthscale, process.noise) != self._parameters:
            self._parameters = (process.lengthscale, process.noise)
            self._kernel.clear()
            self._explained.clear()
            self._variance = np.ones(len(self.candidates))
        known = len(self._kernel)
        if known < len(told):
            self._kernel.append(matern_3_2(self._apart.filled[known:], process.lengthscale))
            new = self._kernel.filled[known:] - process.factor[known:, :known] @ self._explained.filled
            self._explained.append(solve_triangular(process.factor[known:, known:], new, lower=True))
            self._variance -= (self._explained.filled[known:] ** 2).sum(axis=0)
        variance = np.maximum(self._variance, 1e-9)
        return process.mean + process.weights @ self._kernel.filled, np.sqrt(process.scale * variance)

    def covariance(self, process: GaussianProcess, rows: NDArray[np.int64]) -> FloatArray:
        """Posterior covariance of the noiseless values of some candidates, by the process of the last prediction."""
        near, explained = self.candidates[rows], self._explained.filled[:, rows]
        return process.scale * (matern_3_2(distances(near, near), process.lengthscale) - explained.T @ explained)


class _Rows:
    """A matrix that grows by rows."""

    def __init__(self, width: int) -> None:
        self._space, self._count = np.empty((64, width)), 0

    def __len__(self) -> int:
        return self._count

    @property
    def filled(self) -> FloatArray:
        return self._space[: self._count]

    def append(self, rows: FloatArray) -> None:
        count = self._count + len(rows)
        if count > len(self._space):
            grown = np.empty((2 * count, self._space.shape[1]))
            grown[: self._count] = self.filled
            self._space = grown
        self._space[self._count : count] = rows
        self._count = count

    def clear(self) -> None:
        self._count = 0
