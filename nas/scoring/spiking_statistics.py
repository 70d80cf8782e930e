"""Mean-field statistics of neurons whose input is Gaussian: how often they fire, and how alike their spikes are."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import RegularGridInterpolator
from scipy.stats import norm, qmc

from hasnas.errors import BadInputError
from hasnas.search_spaces.neurons import Dynamics, neuron_of

FloatArray = NDArray[np.float64]
SAMPLES_LOG2 = 12
RATIOS = np.concatenate([[0.0], np.geomspace(0.1, 8.0, 40)])
SHARES = np.array([0.0, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 1.0])
MEANS = np.linspace(-1.0, 3.0, 9)
# Below one spike in ten thousand evaluations a layer counts as silent; it keeps logarithms finite.
RATE_FLOOR = 1e-4
HERMITE_TERMS = 24


@dataclass(frozen=True)
class SpikeStatistics:
    """What a population of equal neurons does.

    Args:
        rate: share of neurons and timesteps with a spike.
        static_share: share of the spikes' variance that is the same at every timestep.
    """

    rate: FloatArray
    static_share: FloatArray


def spike_statistics(
    ratio: ArrayLike,
    static_share: ArrayLike,
    tau: float,
    timesteps: int,
    mean: ArrayLike | None = None,
    neuron: str = "lif",
    *,
    membrane_bits: int = 0,
) -> SpikeStatistics:
    """Firing rate of spiking neurons on Gaussian input.

    The input at timestep t is sigma * (mean + sqrt(c) z + sqrt(1 - c) xi_t), z and xi_t standard normal: a share c of
    its variance is fixed over the sample, as for images that are shown at every timestep. The neuron integrates
    v <- v + (x - v) / tau, fires at v >= threshold and returns to 0. Only threshold / sigma matters. For c = 1 the
    k-th timestep after a reset reaches x (1 - (1 - 1/tau)^k), so the neuron fires every k timesteps. In between there
    is no closed form: rates come from a table made once by quasi-random simulation of 4,096 neurons.

    Neurons without leak integrate v <- v + x: the fixed input x >= 0 fires every ceil(threshold / x) timesteps. A PLIF
    is taken at its initial tau, as training-free statistics must. The adaptive threshold is simulated as
    `hasnas.search_spaces.neurons.ALIF` says, at its default beta and time constant; beta is taken in proportion to the
    threshold, which is exact at threshold 1 (at 0.5 the true threshold rises twice as much, in proportion).

    Spikes that are exchangeable over time obey Var(mean over T) = V (c' + (1 - c') / T), which gives their share c'.

    Args:
        ratio: threshold / sigma.
        static_share: c, 0 to 1.
        tau: membrane time constant in timesteps.
        timesteps: T.
        mean: mean of the input over sigma; 0 unless given.
        neuron: a kind of neurons.
        membrane_bits: of the registers that hold v, as `hasnas.search_spaces.neurons.Neuron` says; 0 for float.

    Returns:
        Rate and static share, of the broadcast shape.

    Raises:
        BadInputError: if the neuron is unknown, or its statistics are.

    >>> bool(abs(spike_statistics(1.0, 1.0, tau=1.0, timesteps=5).rate - 0.1587) < 2e-3)   # tau 1: P(x >= threshold)
    True
    """
    values = [np.asarray(ratio, float), np.asarray(static_share, float)]
    if mean is not None:
        values.insert(1, np.asarray(mean, float))
    grids = [RATIOS, SHARES] if mean is None else [RATIOS, MEANS, SHARES]
    clipped = [np.clip(value, grid[0], grid[-1]) for value, grid in zip(values, grids, strict=True)]
    points = np.stack(np.broadcast_arrays(*clipped), axis=-1)
    known = neuron_of(neuron, float(tau), 1.0).dynamics
    if known is None:
        raise BadInputError(f"mean-field scores know no statistics of '{neuron}' neurons; choose another score")
    dynamics = replace(known, membrane_bits=membrane_bits)
    rate, share = _interpolators(dynamics, int(timesteps), mean is not None)
    return SpikeStatistics(np.exp(rate(points)), np.clip(share(points), 0, 1))


def spike_correlation(rate: ArrayLike, correlation: ArrayLike) -> FloatArray:
    """Correlation of two neurons' spikes, given the correlation r of their Gaussian inputs.

    Neurons that fire with probability p where their input exceeds h = Phi^-1(1 - p) have, by Mehler's formula,

        corr = sum over n >= 1 of r^n He_{n-1}(h)^2 phi(h)^2 / n! / (p (1 - p))

    Args:
        rate: p.
        correlation: r, 0 to 1.

    Source: expansion of the bivariate normal density in Hermite polynomials (Mehler, 1866).

    >>> round(float(spike_correlation(0.5, 0.5)), 3)   # arcsine law: 2 / pi * asin(r)
    0.333
    """
    p, r = np.broadcast_arrays(np.clip(np.asarray(rate, float), RATE_FLOOR, 1 - RATE_FLOOR), correlation)
    level = norm.isf(p)
    # previous, current = He_{n-1}(h) / sqrt((n-1)!) in the orthonormal recursion, which does not overflow
    previous, current = np.zeros_like(p), np.ones_like(p)
    total, power = np.zeros_like(p), np.ones_like(p)
    for order in range(1, HERMITE_TERMS + 1):
        power = power * r
        total += power * current**2 / order
        previous, current = current, (level * current - np.sqrt(order - 1) * previous) / np.sqrt(order)
    return np.clip(total * norm.pdf(level) ** 2 / (p * (1 - p)), 0, 1)


@lru_cache(maxsize=32)
def _interpolators(dynamics: Dynamics, timesteps: int, with_mean: bool) -> tuple[RegularGridInterpolator, ...]:
    """Interpolators of log rate and static share over (ratio, [mean,] static share)."""
    # A longer sample than 16 timesteps fires as one of 16 does, but for a start-up that hardly counts any more. Without
    # leak weak inputs take longer to reach the threshold.
    steps = min(timesteps, 16 if dynamics.keep < 1 else 64)
    means = MEANS if with_mean else np.zeros(1)
    rate = np.empty((len(RATIOS), len(means), len(SHARES)))
    share = np.empty_like(rate)
    normal = norm.ppf(qmc.Sobol(steps + 1, scramble=True, seed=0).random_base2(SAMPLES_LOG2))
    for column, static in enumerate(SHARES):
        noise = np.sqrt(static) * normal[:, :1] + np.sqrt(1 - static) * normal[:, 1:]
        for row, average in enumerate(means):
            rate[:, row, column], share[:, row, column] = _simulate(average + noise, dynamics)
    if with_mean:
        axes: tuple[FloatArray, ...] = (RATIOS, MEANS, SHARES)
    else:
        axes, rate, share = (RATIOS, SHARES), rate[:, 0], share[:, 0]
    log_rate = np.log(np.maximum(rate, RATE_FLOOR))
    return RegularGridInterpolator(axes, log_rate), RegularGridInterpolator(axes, share)


def _simulate(inputs: FloatArray, dynamics: Dynamics) -> tuple[FloatArray, FloatArray]:
    """Rate and static share of the spikes for every ratio; `inputs` is `[samples, T]`."""
    steps = inputs.shape[1]
    membrane = np.zeros((len(RATIOS), len(inputs)))
    largest = 2 ** (dynamics.membrane_bits - 1) if dynamics.membrane_bits else 0
    adaptation = np.zeros_like(membrane)
    current = np.zeros(len(inputs))
    spikes = np.empty((steps, *membrane.shape), bool)
    for step in range(steps):
        current = dynamics.synapse_keep * current + (1 - dynamics.synapse_keep) * inputs[:, step]
        membrane = dynamics.keep * membrane + dynamics.gain * current
        if largest:
            register_step = 2 * np.maximum(RATIOS, 1e-6)[:, None] / largest
            membrane = np.clip(np.rint(membrane / register_step), -largest, largest - 1) * register_step
        spikes[step] = membrane >= RATIOS[:, None] * (1 + dynamics.rise * adaptation)
        if dynamics.soft:
            membrane -= RATIOS[:, None] * spikes[step]
        else:
            membrane[spikes[step]] = 0.0
        if dynamics.rise:
            adaptation = dynamics.fade * adaptation + spikes[step]
    by_step = spikes.mean(axis=2)
    variance = (by_step * (1 - by_step)).mean(axis=0)
    total = spikes.mean(axis=0).var(axis=1)
    relative = total / np.maximum(variance, 1e-12)
    share = (steps * relative - 1) / (steps - 1) if steps > 1 else np.ones_like(relative)
    return by_step.mean(axis=0), np.where(variance > 0, np.clip(share, 0, 1), 0.0)
