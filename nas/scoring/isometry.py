"""Depth that gradients can use: each convolution counts as much as it keeps the size of the gradients that pass it.

Training a deep network needs layers that neither shrink nor blow up gradients (dynamical isometry). Going backward
through neurons, convolution and batch norm, the mean square of a gradient is multiplied by

    chi = k E[g'(v - threshold)^2] / (p (1 - p))

- Batch norm divides by the standard deviation of the convolution's output, whose variance is the weights' times that of
  the spikes, p (1 - p); the convolution itself multiplies by the same weight variance, which cancels.
- g' is the surrogate derivative 1 / (1 + (pi u)^2) (arctangent), averaged over the membrane v ~ N(0, s^2).
- k is what reaches an input through the membrane's memory. With decay a = 1 - 1/tau, and memory lost where a spike
  resets it (a share p of the neurons): for gradients that are independent from one timestep to the next
  k = tau^-2 / (1 - a^2 (1 - p)), for gradients that are the same at all timesteps k = tau^-2 / (1 - a (1 - p))^2. The
  share c of the value that is fixed over time weighs the two.
- A node value with mean mu (behind max pools) moves the membrane by mu times the mean over t of 1 - a^t.
- s^2 = sigma^2 (c m + (1 - c) / (2 tau - 1)): inputs that change are averaged by the membrane, fixed ones are followed
  up to a start-up, m = mean over t of (1 - a^t)^2.

Neurons without leak keep all until a spike resets them; an adaptive threshold and the rounding of membranes of few bits
(whose gradient passes straight through) are left out of these rules; the rates p know both.

A convolution then counts min(chi, 1 / chi): 1 at isometry, less the more it shrinks or blows up gradients. What it adds
to a network for images is context, so this is multiplied by the share of its weights that see a neighbouring place of
the map, on a large one 1 - 1 / (places of the kernel), in units of a 3 x 3 kernel's: a 1 x 1 kernel mixes channels and
sees no neighbour. A path counts the sum of its convolutions. No constant of these rules is fitted.

Source: mean-field theory of signal propagation (Schoenholz et al., ICLR 2017; Yang et al., "A mean field theory of
batch normalization", ICLR 2019), carried over to leaky integrate-and-fire neurons here.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from hasnas.search_spaces.macro import Macro
from hasnas.search_spaces.neurons import NEURONS
from hasnas.search_spaces.space import Codes

from .counters import longest_path
from .grouped import score_by_group
from .input_statistics import statistics_of
from .mean_field import CellField, NetworkField, propagate
from .score import ScoreResult, ScoringTask, reject_disconnected

FloatArray = NDArray[np.float64]
NODES, WEIGHTS = np.polynomial.legendre.leggauss(240)
STANDARD_DEVIATIONS = 6.0
GAIN_RANGE = (1e-3, 1e3)


def surrogate_power(deviation: FloatArray, threshold: FloatArray) -> FloatArray:
    """E[g'(v - threshold)^2] for v ~ N(0, deviation^2) and g'(u) = 1 / (1 + (pi u)^2).

    >>> surrogate_power(np.array([1e-9]), np.array([1.0])).round(5).tolist()   # (1 + pi^2)^-2
    [0.00846]
    """
    normal = STANDARD_DEVIATIONS * NODES
    density = WEIGHTS * norm.pdf(normal)
    distance = deviation[..., None] * normal - threshold[..., None]
    return ((density / density.sum()) / (1 + (np.pi * distance) ** 2) ** 2).sum(axis=-1)


def gradient_gains(cell: CellField, macro: Macro) -> FloatArray:
    """chi of every convolution, `[N, nodes, nodes]`, NaN where there is none."""
    conv = np.nonzero(cell.arrays.conv)
    candidate, source = conv[0], conv[1]
    rate, threshold = cell.rate[conv], cell.arrays.threshold[conv]
    variance, fixed = cell.variance[candidate, source], cell.static_share[candidate, source]
    mean = cell.mean[candidate, source]
    # Candidates share most combinations of statistics; each is integrated once.
    rows = np.round(np.stack([rate, threshold, variance, fixed, mean], axis=1), 4)
    distinct, where = np.unique(rows, axis=0, return_inverse=True)
    gains = np.full(cell.rate.shape, np.nan)
    gains[conv] = _gain(np.asarray(distinct, np.float64), macro)[where.ravel()]
    return gains


def _gain(statistics: FloatArray, macro: Macro) -> FloatArray:
    """chi from rate, threshold, the node's variance, its share that is fixed over time, and mean, the columns given."""
    rate, threshold, variance, fixed, mean = statistics.T
    reached, start_up, changing, independent, same = _sums(rate, macro)
    deviation = np.sqrt(variance * (fixed * start_up + (1 - fixed) * changing))
    through_membrane = fixed * same + (1 - fixed) * independent
    power = surrogate_power(deviation, threshold - mean * reached)
    return np.clip(through_membrane * power / np.maximum(rate * (1 - rate), 1e-12), *GAIN_RANGE)


def _sums(rate: FloatArray, macro: Macro) -> tuple[FloatArray, ...]:
    """What membranes sum up: mean, mean square of fixed and changing inputs; k of independent and same gradients.

    Each is for inputs of size 1. Without leak only resets forget, and the sums go over the sample's timesteps.
    """
    neuron = NEURONS.get(macro.neuron)
    wiped = rate if neuron.resets_fully else np.zeros_like(rate)
    if not neuron.leaks:
        kept = (1 - wiped)[:, None] ** np.arange(macro.timesteps)
        total = np.cumsum(kept, axis=1)
        squares = np.cumsum(kept**2, axis=1).mean(axis=1)
        return total.mean(axis=1), (total**2).mean(axis=1), squares, total.mean(axis=1), (total**2).mean(axis=1)
    decay = 1 - 1 / macro.tau
    reached = 1 - decay ** np.arange(1, macro.timesteps + 1)
    memory = decay * (1 - wiped)
    one = np.ones_like(rate)
    return (
        np.mean(reached) * one,
        np.mean(reached**2) * one,
        one / (2 * macro.tau - 1),
        macro.tau**-2 / (1 - decay * memory),
        macro.tau**-2 / (1 - memory) ** 2,
    )


def seen_context(
    width: NDArray[np.int64], height: NDArray[np.int64], map_size: tuple[int, int] | None = None
) -> FloatArray:
    """Share of what a kernel sees that is not its own place, a 3 x 3 kernel's on the same map being 1.

    It is 1 - 1/n for a kernel that sees n places on average; weights that hang over the edge see nothing. A kernel that
    holds another never sees less, and on a map that the smaller one covers no more. On maps of one row (signals) the
    unit is a 1 x 3 kernel's.

    Args:
        width, height: of each kernel.
        map_size: height and width of its maps, beyond which weights see nothing; large ones unless given.

    >>> sides = np.array([1, 3, 5])
    >>> seen_context(sides, sides).round(2).tolist()
    [0.0, 1.0, 1.08]
    >>> seen_context(sides, sides, (2, 2)).round(2).tolist()   # the larger kernel sees nothing that the smaller lacks
    [0.0, 1.0, 1.0]
    """
    rows, columns = (np.array(min(side, 3)) for side in map_size or (3, 3))
    usual = _neighbours_seen(np.where(columns > 1, 3, 1), np.where(rows > 1, 3, 1), map_size)
    seen = _neighbours_seen(np.maximum(width, 1), np.maximum(height, 1), map_size)
    return seen / usual if usual > 0 else np.zeros(np.shape(width))


def _neighbours_seen(
    width: NDArray[np.int64], height: NDArray[np.int64], map_size: tuple[int, int] | None
) -> FloatArray:
    """1 - 1/n, n the number of the map's places that a kernel of odd sides sees from one of them, on average."""
    taps = np.ones(np.shape(width))
    for kernel, side in zip((height, width), map_size or (0, 0), strict=True):
        within = np.minimum(kernel // 2, side - 1)
        # A tap at distance d lies on the map from `side - d` of its `side` places.
        taps = taps * (1 + 2 * within - within * (within + 1) / side if side else 1.0 * kernel)
    return np.asarray(1 - 1 / taps)


def isometric_depth(field: NetworkField, macro: Macro) -> FloatArray:
    """Longest path counted in convolutions that keep gradients and see neighbours, `[N]`.

    Cells follow each other, so what genotypes of their own count adds up; a genotype that several cells share counts
    once, where it is weakest. On SpikeNAS-Bench, whose cells share one, the mean over the cells in place of the weakest
    lowers the rank correlation with validation accuracy on the development architectures from 0.842 to 0.824.
    """
    depths: dict[int, FloatArray] = {}
    for cell, size in zip(field.cells, macro.map_sizes(len(field.cells)), strict=True):
        gain = np.nan_to_num(gradient_gains(cell, macro), nan=0.0)
        keeps = np.where(cell.arrays.conv, np.minimum(gain, 1 / np.maximum(gain, GAIN_RANGE[0])), 0.0)
        counts = keeps * seen_context(cell.arrays.kernel_size, cell.arrays.kernel_height, size)
        depth, genotype = longest_path(cell.arrays, counts), id(cell.arrays)
        depths[genotype] = np.minimum(depths.get(genotype, depth), depth)
    return np.sum(list(depths.values()), axis=0)


class IsometricDepth:
    """Longest path of convolutions, each weighted by how well it keeps gradients and by the neighbours it sees.

    >>> from hasnas.search_spaces import Macro
    >>> from hasnas.search_spaces.spikenas_bench import SpikeNASBenchSpace
    >>> task = ScoringTask(SpikeNASBenchSpace(Macro()))
    >>> low, high = IsometricDepth()(task, np.array([[0, 0, 2, 0, 0, 0], [0, 0, 4, 0, 0, 0]])).total
    >>> bool(1 > low > high > 0)   # a threshold of 1.5 silences neurons on the weak input of the second cell
    True
    """

    def __call__(self, task: ScoringTask, codes: Codes) -> ScoreResult:
        """See `Score`."""
        return score_by_group(task, codes, self._score)

    def _score(self, task: ScoringTask, codes: Codes) -> ScoreResult:
        field = propagate(task.space, codes, statistics_of(task.inputs, task.space.macro.stem_stride))
        value = isometric_depth(field, task.space.macro)
        return ScoreResult(reject_disconnected(value, field.connected), {"isometric_depth": value})
