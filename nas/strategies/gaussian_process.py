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
CORRELATIONS = (0.0, 0.2, 0.4, 0.6, 0.8)  # of a trend with the targets, over all candidates


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


def tridiagonal(symmetric: FloatArray, vectors: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Reduce a symmetric matrix to tridiagonal form by an orthogonal map, and apply the same map to vectors `[n, k]`.

    The reduced matrix plus a multiple of the identity is solved in linear time; that makes a grid of noises cheap.

    Returns:
        Diagonal `[n]`, off-diagonal `[n - 1]`, the mapped vectors `[n, k]`.

    >>> diagonal, off_diagonal, mapped = tridiagonal(np.diag([1.0, 2.0, 3.0]), np.array([[1.0], [2.0], [2.0]]))
    >>> float(diagonal.sum()), float(np.linalg.norm(mapped))
    (6.0, 3.0)
    """
    if len(vectors) < 3:
        return np.diag(symmetric).copy(), np.diag(symmetric, 1).copy(), vectors
    reflectors, diagonal, off_diagonal, factors, _ = lapack.dsytrd(symmetric, lower=1, lwork=64 * len(vectors))
    below = np.asfortranarray(reflectors[1:, :-1])
    mapped, _, _ = lapack.dormqr("L", "T", below, factors, vectors[1:], lwork=64 * vectors.shape[1])
    return diagonal, off_diagonal, np.concatenate([vectors[:1], mapped])


@dataclass(frozen=True, eq=False)
class GaussianProcess:
    """A fitted process.

    Args:
        lengthscale: of the kernel.
        noise: variance of the noise over that of the signal.
        scale: variance of the signal.
        mean: of what the trend leaves of the targets.
        factor: lower Cholesky factor of kernel + noise over the told candidates.
        weights: (kernel + noise)^-1 (targets - trend - mean).
        slope: by which a trend enters; predictions here leave out `slope * trend`.
    """

    lengthscale: float
    noise: float
    scale: float
    mean: float
    factor: FloatArray
    weights: FloatArray
    slope: float = 0.0

    @staticmethod
    def fit(
        told: FloatArray,
        targets: FloatArray,
        dimensions: int,
        trend: FloatArray | None = None,
        generator: np.random.Generator | None = None,
    ) -> GaussianProcess:
        """The process whose hyperparameters have the largest marginal likelihood times a weak log-normal prior.

        Args:
            told: distances between told candidates, `[n, n]`.
            targets: `[n]`.
            dimensions: number of features, the unit of the lengthscale.
            trend: what is believed of each told candidate before anything is told, `[n]`, in units of its deviation
                over all candidates. How far to believe it is told by the likelihood as well: for each of
                `CORRELATIONS` with the targets over all candidates, the slope that it has among these.
            generator: draws hyperparameters, each as probable as what was told makes it, in place of the likeliest.
        """
        count, slopes = len(targets), _slopes(targets, trend)
        before = np.zeros(count) if trend is None else trend
        centred = np.stack([targets - targets.mean(), before - before.mean()], axis=1)
        grid: list[tuple[float, float, float, float]] = []
        for lengthscale in LENGTHSCALES:
            diagonal, off_diagonal, rotated = tridiagonal(matern_3_2(told, lengthscale * np.sqrt(dimensions)), centred)
            for slope in slopes:
                left = rotated[:, 0] - slope * rotated[:, 1]
                for noise in NOISES:
                    pivots, _, solved, _ = lapack.dptsv(diagonal + noise, off_diagonal, left)
                    variance = max(float(left @ solved) / count, 1e-12)
                    likelihood = -0.5 * (count * np.log(variance) + np.log(pivots).sum())
                    prior = np.log(lengthscale / PRIOR_LENGTHSCALE) ** 2 + np.log(noise / PRIOR_NOISE) ** 2
                    found = likelihood - 0.5 * prior / PRIOR_WIDTH**2
                    grid.append((found, float(lengthscale), float(noise), slope))
        _, relative, noise, slope = _chosen(grid, generator)
        lengthscale, rest = relative * np.sqrt(dimensions), targets - slope * before
        factor = cholesky(matern_3_2(told, lengthscale) + noise * np.eye(count), lower=True)
        weights = cho_solve((factor, True), rest - rest.mean())
        scale = max(float((rest - rest.mean()) @ weights) / count, 1e-12)
        return GaussianProcess(lengthscale, noise, scale, float(rest.mean()), factor, weights, slope)

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


def _chosen(
    grid: list[tuple[float, float, float, float]], generator: np.random.Generator | None
) -> tuple[float, float, float, float]:
    """The entry with the largest logarithm of the probability, which comes first, or one drawn by it."""
    if generator is None:
        return max(grid)
    logs = np.array([entry[0] for entry in grid])
    weights = np.exp(logs - logs.max())
    return grid[generator.choice(len(grid), p=weights / weights.sum())]


def _slopes(targets: FloatArray, trend: FloatArray | None) -> tuple[float, ...]:
    """Slopes that a trend of deviation 1 over all candidates has among the told, for each of `CORRELATIONS`.

    Where it explains a share r^2 of the variance over all, among told ones of deviation d the targets vary by
    r^2 d^2 + 1 - r^2 in the same units; their own deviation gives the unit.
    """
    if trend is None or not np.ptp(trend) or not np.ptp(targets):
        return (0.0,)
    squares = trend.var()
    return tuple(float(r * targets.std() / np.sqrt(r**2 * squares + 1 - r**2)) for r in CORRELATIONS)


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
