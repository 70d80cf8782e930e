"""Mean-field propagation: variance and firing rate at every node of every candidate, without a forward pass.

Values are Gaussian over samples, places and channels, with random weights. The rules, each with its reason:

1. Convolution + batch norm: variance 1 (the norm), and independent of every other value (weights are drawn
   independently with mean 0). If its neurons are silent the norm's epsilon wins: variance q / (q + eps), q = rate / 3
   (kernels uniform within 1 / sqrt(fan in) have weight variance 1 / (3 fan in)); other kinds say their q / rate.
2. Convolution keeps correlations: E[y y'] = sum over taps of Var(w) E[s s'], so outputs at two timesteps or two places
   are as correlated as the spikes they come from.
3. Identities add coherently: a value that arrives by a paths counts a^2, independent ones add their variances.
4. A value has a share c of variance that is fixed over time; at different times it is correlated by c, so that copies
   at several lags d with coefficients a_d add up to c (sum a_d)^2 + (1 - c) sum a_d^2. Feedback sets its
   coefficients at lag 1; node values are followed over the timesteps.
5. Neurons turn (variance, c) into (rate, c'): `spiking_statistics`.
6. Places: neighbours are correlated by r, places further away by r q^(distance - 1); the part of a value that changes
   over time is independent between places. A k x k mean keeps the share g = (sum over pairs of places of
   correlation) / k^4 of the variance; its covariance with the value at its centre is beta; what is not
   explained by that value is a new one with variance g - beta^2, alike between neighbours as windows overlap.
7. Maximum over n equal neighbours with mean correlation m: mean E_n sqrt(1 - m), variance m + V_n (1 - m), covariance
   with the centre m + (1 - m) / n (a shift of all inputs shifts the maximum), E_n and V_n those of n independent
   normal values (E_9 = 1.485, V_9 = 0.357).
8. Reduction: batch norm -> variance 1 -> neurons -> convolution, norm -> 2 x 2 mean, rules 5, 1 and 6.
9. Reduction by 2 x 2 maximum: rule 7 with E_4 = 1.029, V_4 = 0.492. Of the part that the four values do not share,
   a quarter of the variance follows them linearly and V_4 - 1/4 as a square, so that over time the maximum keeps
   l / 4 + (V_4 - 1/4) l^2 of it where the values keep a share l. The cell behind it reads a value with a mean.
10. Along a line windows are 1 x k, k places in place of k^2, and reductions have 2 in place of 4.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from hasnas.search_spaces.layers import pair
from hasnas.search_spaces.macro import MAX_POOL, Macro
from hasnas.search_spaces.space import Codes, SearchSpace

from .cell_arrays import CellArrays, cell_arrays, require_field_rules
from .input_statistics import InputStatistics
from .spiking_statistics import RATE_FLOOR, spike_correlation, spike_statistics

FloatArray = NDArray[np.float64]
NORM_EPSILON = 1e-5
FOLLOWED_TIMESTEPS = 12
Window = tuple[int, int]  # height and width
SWEEPS = 4


@dataclass(frozen=True, eq=False)
class FieldValue:
    """A value's statistics, each `[N]`: variance, share fixed over time, correlation of neighbours, mean."""

    variance: FloatArray
    static_share: FloatArray
    correlation: FloatArray
    mean: FloatArray

    @staticmethod
    def constant(count: int, variance: float, static_share: float, correlation: float) -> FieldValue:
        """The same statistics for all candidates."""
        return FieldValue(*(np.full(count, number, float) for number in (variance, static_share, correlation, 0.0)))


@dataclass(frozen=True, eq=False)
class CellField:
    """A cell of N candidates.

    Args:
        arrays: its edges.
        rate: firing rate of the neurons before each convolution, `[N, nodes, nodes]`, NaN where there is none.
        variance: of each node, `[N, nodes]`.
        static_share: share of each node's variance that is fixed over time, `[N, nodes]`.
        mean: of each node, `[N, nodes]`.
        output: the last node.
    """

    arrays: CellArrays
    rate: FloatArray
    variance: FloatArray
    static_share: FloatArray
    mean: FloatArray
    output: FieldValue


@dataclass(frozen=True, eq=False)
class NetworkField:
    """All cells of N candidates.

    Args:
        cells: one for each cell.
        reduction_rates: firing rate before the convolution of the reduction after each cell but the last, NaN where
            there is none, `[N, cells - 1]`.
        head_rate: firing rate of the neurons before the classifier, `[N]`.
        connected: `[N]`; the other statistics of disconnected candidates mean nothing.
    """

    cells: tuple[CellField, ...]
    reduction_rates: FloatArray
    head_rate: FloatArray
    connected: NDArray[np.bool_]


def propagate(space: SearchSpace, codes: Codes, inputs: InputStatistics | None = None) -> NetworkField:
    """Variances and firing rates of every candidate by mean field.

    Args:
        space: cells on the macro.
        codes: `[N, genes]`.
        inputs: statistics after the stem; natural images unless given.

    Raises:
        BadInputError: if the statistics of an operation or of the neurons are not known.

    >>> from hasnas.search_spaces.snasnet import CellSpace
    >>> space = CellSpace(Macro(timesteps=5))
    >>> field = propagate(space, np.array([[0, 0, 3, 0, 0, 0]]))
    >>> np.round(field.cells[0].rate[0, 0, 3], 2), np.round(field.cells[1].rate[0, 0, 3], 2)
    (np.float64(0.11), np.float64(0.04))
    """
    require_field_rules(space, codes)
    statistics = inputs or InputStatistics()
    arrays, connected = cell_arrays(space, codes)
    macro = space.macro
    after, half = macro.reductions_of(len(arrays)), pair(macro.along(2))
    start = statistics.static_share if macro.static_input else 0.0
    value = FieldValue.constant(len(connected), 1.0, start, min(statistics.neighbour_correlation, 1.0))
    cells: list[CellField] = []
    reductions: list[FloatArray] = []
    for index, cell in enumerate(arrays):
        result = _Propagation(cell, macro, statistics.decay, value).run()
        cells.append(result)
        spikes, rate = _neurons(_normalised(result.output), macro.threshold, macro)
        reduced = index + 1 in after
        convolves = reduced and macro.reduction != MAX_POOL
        reductions.append(rate if convolves else np.full(len(connected), np.nan))
        if convolves:
            value = _halved(_convolved(spikes, rate), statistics.decay, half)
        else:
            value = _largest(result.output, statistics.decay, half) if reduced else result.output
    between = np.stack(reductions, axis=1)[:, :-1]
    return NetworkField(tuple(cells), between, rate, connected)


def _neurons(value: FieldValue, threshold: float | FloatArray, macro: Macro) -> tuple[FieldValue, FloatArray]:
    """Rules 5 and 6: statistics of the spikes (as shares and correlations) and their rate."""
    sigma = np.sqrt(np.maximum(value.variance, 1e-12))
    mean = value.mean / sigma if value.mean.any() else None
    ratio, bits = threshold / sigma, macro.membrane_bits
    spikes = spike_statistics(
        ratio, value.static_share, macro.tau, macro.timesteps, mean, macro.neuron, membrane_bits=bits
    )
    correlation = spike_correlation(spikes.rate, value.correlation)
    variance = spikes.rate * (1 - spikes.rate)
    return FieldValue(variance, spikes.static_share, correlation, spikes.rate), spikes.rate


def _convolved(spikes: FieldValue, rate: FloatArray, rate_per_variance: float | FloatArray = 3.0) -> FieldValue:
    """Rules 1 and 2."""
    power = np.where(rate > 1.01 * RATE_FLOOR, rate, 0.0) / rate_per_variance
    return FieldValue(
        power / (power + NORM_EPSILON), spikes.static_share, spikes.correlation, np.zeros_like(spikes.mean)
    )


def _normalised(value: FieldValue) -> FieldValue:
    variance = value.variance / (value.variance + NORM_EPSILON)
    return FieldValue(variance, value.static_share, value.correlation, np.zeros_like(value.mean))


def window_share(correlation: FloatArray, decay: float, window: Window) -> FloatArray:
    """g of rule 6: the variance of a window's mean over that of one value.

    >>> float(window_share(np.array(0.0), 0.8, (2, 2))), float(window_share(np.array(1.0), 1.0, (1, 3)))
    (0.25, 1.0)
    """
    height, width = window
    both = np.add.outer(_distances(height), _distances(width))
    far = both > 0
    weight = np.sum(decay ** (both[far] - 1.0)) / (height * width) ** 2
    return np.minimum(1 / (height * width) + correlation * weight, 1.0)


def _distances(side: int, shift: int = 0) -> NDArray[np.int64]:
    """Distances between any two places of a side, the second moved by a shift."""
    return np.abs(np.subtract.outer(np.arange(side), np.arange(side) + shift)).ravel()


@lru_cache(maxsize=64)
def normal_maximum(count: int) -> tuple[float, float]:
    """Mean and variance of the largest of independent standard normal values.

    >>> tuple(round(moment, 4) for moment in normal_maximum(4))
    (1.0294, 0.4917)
    """
    points, weights = np.polynomial.legendre.leggauss(400)
    density = weights * count * norm.pdf(9 * points) * norm.cdf(9 * points) ** (count - 1)
    mean, square = ((density * (9 * points) ** power).sum() / density.sum() for power in (1, 2))
    return float(mean), float(square - mean**2)


def _around_centre(decay: float, window: Window) -> float:
    """Sum over a window of correlations with its centre, but for the centre, where neighbours are correlated by 1."""
    down, across = (np.abs(np.arange(side) - side // 2) for side in window)
    both = np.add.outer(down, across)
    return float(np.sum(decay ** (both[both > 0] - 1.0)))


def _shifted_share(correlation: FloatArray, decay: float, window: Window) -> FloatArray:
    """Covariance of the means over two windows one place apart, over the variance of one value."""
    height, width = window
    both = np.add.outer(_distances(width, shift=1), _distances(height))
    return (np.sum(both == 0) + correlation * np.sum(decay ** (both[both > 0] - 1.0))) / (height * width) ** 2


def _split_share(value: FieldValue, decay: float, window: Window) -> tuple[FloatArray, FloatArray]:
    """Shares of the variance that a window's mean keeps of the fixed part and of the part that changes."""
    within = np.clip(value.correlation / np.maximum(value.static_share, 1e-9), 0, 1)
    return value.static_share * window_share(within, decay, window), (1 - value.static_share) / (window[0] * window[1])


def _halved(value: FieldValue, decay: float, window: Window) -> FieldValue:
    """Rule 8: mean over the places of a window, 2 x 2 or along a line 1 x 2, as far apart as it is wide."""
    fixed, changing = _split_share(value, decay, window)
    total = fixed + changing
    correlation = value.correlation * _windows_apart(decay, window) / total
    return FieldValue(value.variance * total, fixed / total, np.clip(correlation, 0, 1), np.zeros_like(total))


def _windows_apart(decay: float, window: Window) -> float:
    """Mean correlation of all pairs of places in two windows side by side, the nearest ones correlated by 1.

    >>> float(_windows_apart(0.5, (1, 2)))   # distances 1, 2, 2 and 3
    0.5625
    """
    height, width = window
    both = np.add.outer(_distances(width, shift=width), _distances(height))
    return float(np.mean(decay ** (both - 1.0)))


def _largest(value: FieldValue, decay: float, window: Window) -> FieldValue:
    """Rule 9: maximum over the places of a window, 2 x 2 or along a line 1 x 2, as far apart as it is wide."""
    places = window[0] * window[1]
    fixed, changing = _split_share(value, decay, window)
    alike = np.clip((places**2 * (fixed + changing) - places) / (places**2 - places), 0, 1)
    highest, spread = normal_maximum(places)
    own = 1 - alike
    total = alike + spread * own
    lasting = np.clip((value.static_share - alike) / np.maximum(own, 1e-9), 0, 1)
    share = (alike + own * (lasting / places + (spread - 1 / places) * lasting**2)) / total
    correlation = value.correlation * _windows_apart(decay, window) / total
    mean = value.mean + highest * np.sqrt(own * value.variance)
    return FieldValue(value.variance * total, share, np.clip(correlation, 0, 1), mean)


@dataclass(frozen=True, eq=False)
class _Pooled:
    """A pooled value: coefficient of the value at the centre, deviation and neighbour correlation of the rest, mean."""

    centre: FloatArray
    residual: FloatArray
    correlation: FloatArray
    peak: FloatArray


@dataclass
class _Propagation:
    """One cell, followed over time as coefficients of independent sources: the cell's input and one for each edge.

    `coefficients[n]` is `[N, sources, lags]`: how often node n holds each source's value of `lag` timesteps ago.
    """

    arrays: CellArrays
    macro: Macro
    decay: float
    entry: FieldValue
    share: FloatArray = field(init=False)
    correlation: FloatArray = field(init=False)
    strength: FloatArray = field(init=False)
    rate: FloatArray = field(init=False)

    def __post_init__(self) -> None:
        cell, count = self.arrays, len(self.arrays)
        self.steps = min(self.macro.timesteps, FOLLOWED_TIMESTEPS) if cell.has_feedback else 1
        self.edges = [tuple(pair) for pair in np.argwhere(cell.live.any(axis=0))]
        shape = (count, 1 + len(self.edges))
        self.share, self.correlation, self.strength = np.full(shape, 0.4), np.full(shape, 0.3), np.ones(shape)
        self.share[:, 0], self.correlation[:, 0] = self.entry.static_share, self.entry.correlation
        self.strength[:, 0] = self.entry.variance
        self.rate = np.full((count, cell.nodes, cell.nodes), np.nan)

    def run(self) -> CellField:
        """Sweep until the shares and correlations of fed-back values agree; without feedback once is enough."""
        for _ in range(SWEEPS if self.arrays.has_feedback else 1):
            values = self._sweep()
        variance = np.stack([value.variance for value in values], axis=1)
        share = np.stack([value.static_share for value in values], axis=1)
        mean = np.stack([value.mean for value in values], axis=1)
        return CellField(self.arrays, self.rate, variance, share, mean, values[-1])

    def _sweep(self) -> list[FieldValue]:
        """Node statistics averaged over the followed timesteps, from current source statistics."""
        count, nodes = len(self.arrays), self.arrays.nodes
        zero = np.zeros((count, self.strength.shape[1], self.steps))
        before = [zero] * nodes
        means_before = [np.zeros(count)] * nodes
        collected: list[list[FieldValue]] = [[] for _ in range(nodes)]
        for step in range(self.steps):
            now: list[FloatArray] = []
            means: list[FloatArray] = []
            for node in range(nodes):
                total, mean = zero.copy(), np.zeros(count)
                if node == 0:
                    total[:, 0, 0] = 1.0
                    mean = mean + self.entry.mean
                for index, (source, target) in enumerate(self.edges, start=1):
                    if target != node or (source > target and step == 0):
                        continue
                    delayed = source > target
                    arriving = before[source] if delayed else now[source]
                    level = means_before[source] if delayed else means[source]
                    part, shift = self._edge(index, (source, target), arriving, level)
                    total += np.roll(_without_last(part), 1, axis=2) if delayed else part
                    mean += shift
                now.append(total)
                means.append(mean)
                collected[node].append(self._statistics(total, mean))
                if step == self.steps - 1:
                    self._fire(node, _average(collected[node]))
            before, means_before = now, means
        return [_average(values) for values in collected]

    def _edge(
        self, index: int, pair: tuple[int, int], arriving: FloatArray, mean: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """What an edge adds to its target: coefficients and mean."""
        source, target = pair
        cell = self.arrays
        identity, conv = cell.identity[:, source, target], cell.conv[:, source, target]
        average, maximum = cell.averages[:, source, target], cell.maximises[:, source, target]
        part = arriving * identity[:, None, None]
        part[:, index, 0] += conv
        shift = mean * (identity | average | maximum)
        pools = average | maximum
        if pools.any():
            value = self._statistics(arriving, mean)
        sides = np.stack([cell.kernel_height[:, source, target], cell.kernel_size[:, source, target]], axis=1)
        for window in map(tuple, np.unique(sides[pools], axis=0).tolist()):
            here = pools & (sides == window).all(axis=1)
            pooled = self._pooled(value, maximum, window)
            part += arriving * (pooled.centre * here)[:, None, None]
            part[:, index, 0] += pooled.residual * here
            self.share[:, index] = np.where(here, value.static_share, self.share[:, index])
            self.correlation[:, index] = np.where(here, pooled.correlation, self.correlation[:, index])
            shift = shift + pooled.peak * (maximum & here)
        return part, shift

    def _pooled(self, value: FieldValue, maximum: NDArray[np.bool_], window: Window) -> _Pooled:
        """Rules 6 and 7."""
        height, width = window
        places = height * width
        fixed, changing = _split_share(value, self.decay, window)
        kept = fixed + changing
        alike = np.clip((places**2 * kept - places) / (places**2 - places), 0, 1)
        highest, spread = normal_maximum(places)
        mean_with_centre = (1 + value.correlation * _around_centre(self.decay, window)) / places
        centre = np.where(maximum, alike + (1 - alike) / places, mean_with_centre)
        share = np.where(maximum, alike + spread * (1 - alike), kept)
        rest = np.maximum(share - centre**2, 1e-9)
        within = np.clip(value.correlation / np.maximum(value.static_share, 1e-9), 0, 1)
        shared_places = (1 - value.static_share) * height * (width - 1) / places**2
        overlap = value.static_share * _shifted_share(within, self.decay, window) + shared_places
        neighbours = share * overlap / kept
        correlation = np.clip((neighbours - centre**2 * value.correlation) / rest, 0, 1)
        deviation = np.sqrt(value.variance)
        peak = highest * np.sqrt(1 - alike) * deviation
        return _Pooled(centre, deviation * np.sqrt(rest), correlation, peak)

    def _statistics(self, coefficients: FloatArray, mean: FloatArray) -> FieldValue:
        """Rules 3 and 4."""
        together = coefficients.sum(axis=2) ** 2
        fixed = self.strength * self.share * together
        changing = self.strength * (1 - self.share) * (coefficients**2).sum(axis=2)
        alike = self.strength * self.correlation * together
        variance = fixed.sum(axis=1) + changing.sum(axis=1)
        scale = np.maximum(variance, 1e-12)
        correlation = np.minimum(alike.sum(axis=1) / scale, 1.0)
        return FieldValue(variance, fixed.sum(axis=1) / scale, correlation, mean)

    def _fire(self, node: int, value: FieldValue) -> None:
        """Set rate and output statistics of every convolution that leaves a node."""
        for index, (source, target) in enumerate(self.edges, start=1):
            conv = self.arrays.conv[:, source, target]
            if source != node or not conv.any():
                continue
            threshold = np.where(conv, self.arrays.threshold[:, source, target], 1.0)
            spikes, rate = _neurons(value, threshold, self.macro)
            diluted = np.where(conv, self.arrays.rate_per_variance[:, source, target], 1.0)
            output = _convolved(spikes, rate, diluted)
            self.rate[:, source, target] = np.where(conv, rate, np.nan)
            self.strength[:, index] = np.where(conv, output.variance, self.strength[:, index])
            self.share[:, index] = np.where(conv, output.static_share, self.share[:, index])
            self.correlation[:, index] = np.where(conv, output.correlation, self.correlation[:, index])


def _without_last(coefficients: FloatArray) -> FloatArray:
    """Values older than the followed timesteps are forgotten before the lags move on by one."""
    kept = coefficients.copy()
    kept[:, :, -1] = 0.0
    return kept


def _average(values: list[FieldValue]) -> FieldValue:
    return FieldValue(*(np.mean([getattr(v, name) for v in values], axis=0) for name in FieldValue.__annotations__))
