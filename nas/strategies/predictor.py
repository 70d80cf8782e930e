"""Predictor-guided search: a Gaussian process on features of the cell's graph proposes what promises most.

It begins with what the default training-free score believes, and learns from each told candidate where that is wrong
and how far to believe it at all.

One objective: expected improvement. With a cost beside it: expected hypervolume improvement, where the cost of a
candidate is what an estimator says, corrected by what told candidates turned out to cost.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from hasnas.errors import BadInputError
from hasnas.nas.scoring import DEFAULT_SCORE, SCORES, ScoringTask
from hasnas.nas.scoring.graph_features import canonical_classes, graph_features
from hasnas.nas.scoring.score import believed, reference_codes
from hasnas.search_spaces.space import Codes, all_codes, crossover, mutate, sample, space_size

from .gaussian_process import GaussianProcess, GrowingPredictions, distances, rank_gaussian
from .learned import Learned, learned_after
from .strategy import CodesOfOne, CostObjective, SearchProblem

FloatArray = NDArray[np.float64]
ENUMERABLE = 50_000
SHORTLIST = 200
PARENTS, MUTANTS, STRANGERS = 20, 40, 1000
PATIENCE = 64
QUANTILES = norm.ppf((np.arange(9) + 0.5) / 9)


class PredictorSearch:
    """Proposes first a few candidates by training-free score and at random, then by a Gaussian process.

    Small spaces are enumerated. In larger ones every proposal comes from a new pool: mutants and children of the best
    told candidates, and members drawn at random. Candidates that differ only in node numbers or identities are
    proposed once, as long as there are others. Time grows as the cube of the evaluations, see `MOST_EVALUATIONS`.

    Args:
        problem: the space, the budget, the seed, and at most one cost to keep low beside the value.
        initial: candidates before the process takes over, with a cost only such as are predicted to fit; 20 unless
            given, 10 with a cost. The default training-free score picks half of them, the others are random.

    Raises:
        BadInputError: if there is more than one cost, or it is not known before evaluation.

    Source: predictor-guided search in the manner of BANANAS (White et al., AAAI 2021), with a Matern-3/2 process on
    graph features instead of an ensemble of networks.
    """

    def __init__(self, problem: SearchProblem, initial: int | None = None) -> None:
        if len(problem.objectives) > 1:
            names = ", ".join(objective.name for objective in problem.objectives)
            raise BadInputError(f"predictor minimizes one cost, not {names}; keep one, or choose nsga2 or nsga3")
        self.problem, self.space = problem, problem.space
        self.cost = _known(problem.objectives[0]) if problem.objectives else None
        self.initial = initial if initial is not None else 10 if self.cost else 20
        self.warm = self.initial // 2
        self._generator = np.random.default_rng(problem.seed)
        self._everything: _Pool | None = None
        self._growing: tuple[GrowingPredictions, GrowingPredictions] | None = None
        self._proposed: dict[CodesOfOne, None] = {}
        self._classes: set[int] = set()
        self._told: dict[CodesOfOne, tuple[float, float]] = {}
        self._score_of: dict[CodesOfOne, float] = {}  # of those that were proposed or told
        self._scaling: tuple[FloatArray, FloatArray] | None = None
        self._reference: FloatArray | None = None

    def ask(self, count: int) -> list[CodesOfOne]:
        """See `Strategy.ask`."""
        proposed: list[CodesOfOne] = []
        while len(proposed) < count:
            pool = self._pool()
            if not len(pool.codes):
                break
            chosen = self._choose(pool, count - len(proposed))
            for row in chosen:
                codes = tuple(pool.codes[row].tolist())
                self._proposed[codes] = None
                self._classes.add(int(pool.classes[row]))
                self._score_of[codes] = float(pool.scores[row])
                proposed.append(codes)
        return proposed

    def tell(self, codes: CodesOfOne, value: float | None, costs: Mapping[str, float]) -> None:
        """See `Strategy.tell`."""
        usable = value is not None and np.isfinite(value)
        price = self.cost.of(costs) if self.cost else np.nan
        self._told[tuple(codes)] = (float(cast(float, value)) if usable else np.nan, price)

    def _pool(self) -> _Pool:
        """Candidates that may be proposed now."""
        if space_size(self.space) > ENUMERABLE:
            return self._drawn_pool()
        if self._everything is None:
            self._everything = self._admitted(np.concatenate(list(all_codes(self.space))))
        return self._unseen(self._everything)

    def _drawn_pool(self) -> _Pool:
        for _ in range(PATIENCE):
            rows = [sample(self.space, self._generator, STRANGERS)]
            parents = self._best(PARENTS)
            for parent in parents:
                mate = parents[int(self._generator.integers(len(parents)))]
                pairs = [crossover(parent, mate, self._generator) for _ in range(MUTANTS // 2)]
                bred = [mutate(self.space, one, self._generator, 0.1) for one in pairs + [parent] * (MUTANTS // 2)]
                rows.append(np.array(bred, np.int16))
            pool = self._unseen(self._admitted(np.concatenate(rows)))
            if len(pool.codes):
                break
        return replace(pool, numbers=np.arange(len(pool.codes)))

    def _admitted(self, codes: Codes) -> _Pool:
        canonical, admitted = self.problem.admissible(codes)
        distinct = np.unique(canonical[admitted], axis=0)
        if not len(distinct):
            return _Pool(distinct, np.zeros(0, np.uint64), np.zeros((0, 1)), np.zeros(0), np.zeros(0, np.int64))
        classes, scores = canonical_classes(self.space, distinct), self._scores(distinct)
        return _Pool(distinct, classes, self._features(distinct), scores, np.arange(len(distinct)))

    def _unseen(self, pool: _Pool) -> _Pool:
        """Without candidates that were proposed; those of proposed classes only while there are others."""
        new = np.array([tuple(row) not in self._proposed for row in pool.codes.tolist()], bool)
        fresh = new & ~np.isin(pool.classes, np.array(list(self._classes), np.uint64))
        return pool.rows(np.flatnonzero(fresh if fresh.any() else new))

    def _best(self, count: int) -> list[CodesOfOne]:
        usable = [(value, codes) for codes, (value, _) in self._told.items() if np.isfinite(value)]
        return [codes for _, codes in sorted(usable, key=lambda item: -item[0])[:count]]

    def _choose(self, pool: _Pool, count: int) -> NDArray[np.int64]:
        """Rows of the pool to propose, at least one, of distinct classes as far as there are."""
        usable = sum(np.isfinite(value) for value, _ in self._told.values())
        if len(self._proposed) < self.initial or usable < 3:
            return self._first(pool, min(count, max(self.initial - len(self._proposed), 1)))
        return self._guided(pool, count)

    def _first(self, pool: _Pool, count: int) -> NDArray[np.int64]:
        """The next of the initial candidates: as many as are due by score, the others at random."""
        fits = np.arange(len(pool.codes))
        if self.cost is not None and (affordable := self.cost.known(pool.codes) <= self.cost.limit).any():
            fits = np.flatnonzero(affordable)
        return fits[self._first_of(pool.rows(fits), count)]

    def _first_of(self, pool: _Pool, count: int) -> NDArray[np.int64]:
        """Rows by score, then at random, of distinct classes."""
        by_score = max(0, min(count, self.warm - len(self._proposed)))
        rows: list[int] = []
        if by_score:
            order = np.argsort(-pool.scores, kind="stable")
            rows = pool.distinct(order.tolist(), by_score)
        if len(rows) < count:
            taken = set(pool.classes[rows].tolist())
            shuffled = self._generator.permutation(len(pool.codes)).tolist()
            rest = [row for row in shuffled if pool.classes[row] not in taken]
            rows += pool.distinct(rest, count - len(rows))
        return np.array(rows, np.int64)

    def _guided(self, pool: _Pool, count: int) -> NDArray[np.int64]:
        """Greedy batch: after each choice its predicted value is taken as observed.

        Few told candidates leave open how quickly values change and how far the score is right. Each batch believes
        another of the probable answers, so that no single one leads all batches to the same corner of the space.
        """
        codes, values = self._usable()
        told, before = self._features(codes), self._believed(self._scores_of(codes))
        among, growing = distances(told, told), self._growing_predictions(pool)
        if self.cost is None:
            process = GaussianProcess.fit(among, rank_gaussian(values), told.shape[1], before, self._generator)
            gain: _Acquisition = _Improvement(float((process.predict(among)[0] + process.slope * before).max()))
        else:
            scale = _ErrorScale(self.problem.best)
            process = GaussianProcess.fit(among, scale.target(values), told.shape[1], before, self._generator)
            gain = self._hypervolume(pool, codes, values, (told, among, growing[1]))
        mean, deviation = (array[pool.numbers] for array in growing[0].predict(process, told))
        mean = mean + process.slope * self._believed(pool.scores)
        merit = gain(mean, deviation, np.arange(len(mean)))
        shortlist = np.array(pool.distinct(np.argsort(-merit, kind="stable").tolist(), max(SHORTLIST, count)), np.int64)
        covariance = growing[0].covariance(process, pool.numbers[shortlist])
        return shortlist[_greedy(mean[shortlist], covariance, process, gain, shortlist, count)]

    def _growing_predictions(self, pool: _Pool) -> tuple[GrowingPredictions, GrowingPredictions]:
        """Of values and of costs: for all candidates of an enumerated space, else for a pool that is new each time."""
        if self._everything is None:
            return GrowingPredictions(pool.features), GrowingPredictions(pool.features)
        if self._growing is None:
            features = self._everything.features
            self._growing = GrowingPredictions(features), GrowingPredictions(features)
        return self._growing

    def _features(self, codes: Codes) -> FloatArray:
        """Standardised over the space, features that never differ left out."""
        if self._scaling is None:
            drawn = np.random.default_rng(0)
            reference = graph_features(self.space, self.space.canonical(sample(self.space, drawn, 4000))[0])
            spread = reference.std(axis=0)
            self._scaling = (reference.mean(axis=0), np.where(spread > 1e-9, spread, np.inf))
        centre, spread = self._scaling
        kept = np.isfinite(spread)
        return ((graph_features(self.space, codes) - centre) / spread)[:, kept]

    def _usable(self) -> tuple[Codes, FloatArray]:
        """The told with a value, and those values, in the order of the telling."""
        usable = {codes: value for codes, (value, _) in self._told.items() if np.isfinite(value)}
        return np.array(list(usable), np.int16), np.array(list(usable.values()))

    def _believed(self, scores: FloatArray) -> FloatArray:
        """The rank that candidates have by their scores, 0 on average and with deviation 1.

        The rank counts those of a fixed random set of the space that lie below.
        """
        if self._reference is None:
            self._reference = self._scores(reference_codes(self.space))
        return believed(scores, self._reference)

    def _scores_of(self, codes: Codes) -> FloatArray:
        """Scores of told candidates, each computed once."""
        rows = [tuple(row) for row in codes.tolist()]
        new = [row for row in rows if row not in self._score_of]
        if new:
            self._score_of |= dict(zip(new, self._scores(np.array(new, np.int16)).tolist(), strict=True))
        return np.array([self._score_of[row] for row in rows])

    def _scores(self, codes: Codes) -> FloatArray:
        """What the default training-free score says of candidates."""
        return SCORES.get(DEFAULT_SCORE)()(ScoringTask(self.space, self._samples), codes).total

    @cached_property
    def _samples(self) -> Any:
        return self.problem.samples()

    def learned(self) -> list[Learned]:
        """What the told have brought, see `learned_after`."""
        codes, values = self._usable()
        if not len(values):
            return []
        return learned_after(self._features(codes), self._believed(self._scores_of(codes)), values)

    def _hypervolume(
        self, pool: _Pool, codes: Codes, values: FloatArray, known_of: tuple[FloatArray, FloatArray, GrowingPredictions]
    ) -> _HypervolumeImprovement:
        """What candidates of the pool add; `known_of`: features of the told, distances among them, cost predictions."""
        cost, (told, among, growing) = cast(CostObjective, self.cost), known_of
        prices = np.array([price for value, price in self._told.values() if np.isfinite(value)])
        logs = np.log(cost.known(pool.codes))
        spread: FloatArray = np.full(len(logs), 1e-6)
        measured = np.isfinite(prices) & (prices > 0)
        prior = np.log(cost.known(codes))
        if measured.sum() >= 5 and np.ptp(np.log(prices[measured]) - prior[measured]) > 1e-9:
            surprise = np.log(prices[measured]) - prior[measured]
            process = GaussianProcess.fit(among[np.ix_(measured, measured)], surprise, pool.features.shape[1])
            correction, spread = (array[pool.numbers] for array in growing.predict(process, told[measured]))
            logs = logs + correction
        known = np.where(measured, prices, np.exp(prior))
        limit = cost.limit if np.isfinite(cost.limit) else 1.1 * float(known.max())
        fits = norm.cdf((np.log(limit) - logs) / spread)
        worst = self.problem.worst if self.problem.worst is not None else float(values.min())
        scale = _ErrorScale(self.problem.best)
        corner = (limit, float(scale.error(np.array(worst))))
        return _HypervolumeImprovement(scale, corner, (np.exp(logs), fits), (known, scale.error(values)))


def _known(cost: CostObjective) -> CostObjective:
    """The cost, if it is known before evaluation."""
    if cost.predicted is None:
        raise BadInputError(
            f"predictor minimizes a cost that is known before a network runs, not {cost.name}; "
            "choose bayesian_pareto, nsga2 or nsga3"
        )
    return cost


@dataclass(frozen=True)
class _ErrorScale:
    """What the process fits: minus the log of the error where there is a best value, else the plain value."""

    best: float

    def error(self, values: FloatArray) -> FloatArray:
        """To be kept low."""
        return self.best - values if np.isfinite(self.best) else -values

    def target(self, values: FloatArray) -> FloatArray:
        """To be kept high."""
        if not np.isfinite(self.best):
            return values
        return -np.log(np.maximum(self.error(values), max(1e-5 * self.best, 1e-12)))

    def error_of(self, target: FloatArray) -> FloatArray:
        """The error of a target."""
        return np.exp(-target) if np.isfinite(self.best) else -target


@dataclass(frozen=True, eq=False)
class _Pool:
    codes: Codes
    classes: NDArray[np.uint64]
    features: FloatArray
    scores: FloatArray
    numbers: NDArray[np.int64]  # among the candidates that predictions are kept for

    def rows(self, rows: NDArray[np.int64]) -> _Pool:
        return _Pool(self.codes[rows], self.classes[rows], self.features[rows], self.scores[rows], self.numbers[rows])

    def distinct(self, order: list[int], count: int) -> list[int]:
        """The first `count` rows of an order, each of another class."""
        chosen: dict[int, int] = {}
        for row in order:
            chosen.setdefault(int(self.classes[row]), row)
            if len(chosen) == count:
                break
        return list(chosen.values())


class _Improvement:
    """Expected improvement over an incumbent."""

    def __init__(self, incumbent: float) -> None:
        self.incumbent = incumbent

    def __call__(self, mean: FloatArray, deviation: FloatArray, rows: NDArray[np.int64]) -> FloatArray:
        ahead = (mean - self.incumbent) / deviation
        return deviation * (ahead * norm.cdf(ahead) + norm.pdf(ahead))

    def assume(self, row: int, mean: float) -> None:
        """Raise the incumbent to a chosen candidate's predicted value."""
        self.incumbent = max(self.incumbent, mean)


class _HypervolumeImprovement:
    """Expected gain of area between the front of (cost, error) and the corner (limit, worst error).

    A candidate of cost c and error e adds the integral from c to the limit of max(0, f(cost) - e), f the lowest error
    of the front up to that cost; the expectation over e is a mean over nine quantiles of its log, times the
    probability that the cost keeps to the limit.
    """

    def __init__(
        self,
        scale: _ErrorScale,
        corner: tuple[float, float],
        pool: tuple[FloatArray, FloatArray],
        told: tuple[FloatArray, FloatArray],
    ) -> None:
        self.scale, (self.limit, self.worst) = scale, corner
        self.prices, self.fits = pool
        self._points = [(float(price), float(error)) for price, error in zip(*told, strict=True)]

    def _steps(self) -> tuple[FloatArray, FloatArray]:
        """Costs at which the front's error falls, and the error from there on."""
        costs, errors = [0.0], [self.worst]
        for price, error in sorted(self._points):
            if price <= self.limit and error < errors[-1]:
                costs.append(price)
                errors.append(error)
        return np.array([*costs, self.limit]), np.array(errors)

    def __call__(self, mean: FloatArray, deviation: FloatArray, rows: NDArray[np.int64]) -> FloatArray:
        edges, errors = self._steps()
        prices = self.prices[rows]
        widths = np.maximum(edges[1:] - np.maximum(edges[:-1], prices[:, None]), 0.0)
        gain = np.zeros(len(mean))
        for quantile in QUANTILES:
            error = self.scale.error_of(mean + quantile * deviation)
            gain += (widths * np.maximum(errors - error[:, None], 0.0)).sum(axis=1)
        return gain / len(QUANTILES) * self.fits[rows]

    def assume(self, row: int, mean: float) -> None:
        """Add a chosen candidate's predicted point to the front."""
        self._points.append((float(self.prices[row]), float(self.scale.error_of(np.array(mean)))))


_Acquisition = _Improvement | _HypervolumeImprovement


def _greedy(
    mean: FloatArray,
    covariance: FloatArray,
    process: GaussianProcess,
    gain: _Acquisition,
    rows: NDArray[np.int64],
    count: int,
) -> NDArray[np.int64]:
    """Positions chosen one after the other; each is taken as observed at its mean, which narrows the others."""
    covariance = covariance.copy()
    free = np.ones(len(mean), bool)
    chosen: list[int] = []
    noise = process.noise * process.scale
    while len(chosen) < min(count, len(mean)):
        deviation = np.sqrt(np.maximum(np.diag(covariance), 1e-12))
        merit = np.where(free, gain(mean, deviation, rows), -np.inf)
        best = int(np.argmax(merit))
        chosen.append(best)
        free[best] = False
        gain.assume(int(rows[best]), float(mean[best]))
        column = covariance[:, best].copy()
        covariance -= np.outer(column, column) / (column[best] + noise)
    return np.array(chosen, np.int64)
