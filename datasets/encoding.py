"""Values turned into sequences of T timesteps, `[T, B, C, H, W]`: the input side of a spiking network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hasnas.errors import BadInputError
from hasnas.registry import Registry

Values = NDArray[np.float32]
DELTA_THRESHOLD = 0.1
POPULATION_NEURONS = 8
POPULATION_SHARPNESS = 1.5


@dataclass(frozen=True)
class Encoding:
    """One way to encode.

    Args:
        encode: takes values, T and a generator; see `encode`.
        channel_factor: how many channels come out for each that goes in.
        spikes: whether what comes out are spikes, 0 or 1.
    """

    encode: Callable[[Values, int, np.random.Generator], Values]
    channel_factor: int = 1
    spikes: bool = True


def sequence(values: Values, timesteps: int) -> Values:
    """Static values `[B, C, H, W]` repeated over time (without a copy); a sequence `[T, B, C, H, W]` as it is.

    Raises:
        BadInputError: if the axes or the length do not fit.

    >>> sequence(np.zeros((2, 1, 4, 4), np.float32), timesteps=3).shape
    (3, 2, 1, 4, 4)
    """
    if timesteps < 1:
        raise BadInputError(f"timesteps is {timesteps}; choose 1 or more")
    if values.ndim == 4:
        return np.broadcast_to(values, (timesteps, *values.shape))
    if values.ndim != 5 or len(values) != timesteps:
        raise BadInputError(
            f"values of shape {list(values.shape)} cannot be encoded in {timesteps} timesteps; "
            "give [B, C, H, W] or [T, B, C, H, W]"
        )
    return values


def direct(values: Values, timesteps: int) -> Values:
    """The values themselves at every timestep; the network's first layer makes spikes of them."""
    return np.array(sequence(values, timesteps), np.float32)


def poisson(values: Values, timesteps: int, rng: np.random.Generator) -> Values:
    """Independent spikes with probability x at every timestep (rate code).

    P(s(t) = 1) = x

    Args:
        values: in [0, 1].
        timesteps: T.
        rng: generator of the spikes.

    >>> float(poisson(np.full((1, 1, 1, 1), 0.25, np.float32), 4000, np.random.default_rng(0)).mean().round(2))
    0.25
    """
    probabilities = sequence(_unit(values), timesteps)
    return (rng.random(probabilities.shape, np.float32) < probabilities).astype(np.float32)


def latency(values: Values, timesteps: int) -> Values:
    """One spike, the earlier the larger the value; zero never fires (time-to-first-spike code).

    t = round((1 - x) (T - 1))

    Args:
        values: in [0, 1], static.
        timesteps: T.

    >>> latency(np.array([1, 0.5, 0], np.float32).reshape(1, 1, 1, 3), 3)[:, 0, 0, 0].tolist()
    [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]]
    """
    if values.ndim != 4:
        raise BadInputError("latency encodes static values [B, C, H, W]; choose direct, poisson or delta for sequences")
    fires_at = np.where(_unit(values) > 0, np.rint((1 - values) * (timesteps - 1)), -1)
    steps = np.arange(timesteps).reshape(-1, 1, 1, 1, 1)
    return (sequence(fires_at, timesteps) == steps).astype(np.float32)


def delta(values: Values, timesteps: int, threshold: float = DELTA_THRESHOLD) -> Values:
    """Spikes where a signal has risen (channel c) or fallen (channel C + c) by a threshold since its last spike.

    ON(t) = [x(t) - r >= theta], OFF(t) = [r - x(t) >= theta], r <- r + theta (ON - OFF), r(0) = 0

    Args:
        values: `[T, B, C, H, W]`, or static values, which the reference r then climbs to.
        timesteps: T.
        threshold: theta.

    Returns:
        `[T, B, 2C, H, W]`.

    >>> delta(np.array([0.2, 0.2, 0.0]).reshape(3, 1, 1, 1, 1), 3, threshold=0.2).reshape(3, 2).tolist()
    [[1.0, 0.0], [0.0, 0.0], [0.0, 1.0]]
    """
    if not threshold > 0:
        raise BadInputError(f"delta threshold is {threshold}; choose more than 0")
    signal = sequence(values, timesteps)
    reference = np.zeros(signal.shape[1:])
    spikes = np.empty((timesteps, signal.shape[1], 2, *signal.shape[2:]), np.float32)
    for step in range(timesteps):
        difference = signal[step] - reference
        rises, falls = difference >= threshold, -difference >= threshold
        spikes[step, :, 0], spikes[step, :, 1] = rises, falls
        reference += threshold * (rises.astype(float) - falls)
    return spikes.reshape(timesteps, signal.shape[1], -1, *signal.shape[3:])


def receptive_fields(values: Values, neurons: int) -> Values:
    """Activity of n neurons with Gaussian receptive fields that tile [0, 1].

    a_k = exp(-(x - k / (n - 1))^2 / (2 sigma^2)), sigma = 1 / (1.5 (n - 1))

    Args:
        values: in [0, 1], `[..., C, H, W]`.
        neurons: n, at least 2.

    Returns:
        `[..., n C, H, W]`; neuron k of channel c is channel n c + k.

    Source: S. Bohte, J. Kok, H. La Poutre, SpikeProp, Neurocomputing 48, 2002, with centres from edge to edge.

    >>> receptive_fields(np.ones((1, 1, 1, 1), np.float32), neurons=2).ravel().round(3)
    array([0.325, 1.   ], dtype=float32)
    """
    if neurons < 2:
        raise BadInputError(f"a population of {neurons} neurons cannot tell values apart; choose 2 or more")
    centres = np.linspace(0, 1, neurons).reshape(-1, 1, 1)
    sigma = 1 / (POPULATION_SHARPNESS * (neurons - 1))
    activity = np.exp(-((_unit(values)[..., None, :, :] - centres) ** 2) / (2 * sigma**2))
    *leading, channels, _, height, width = activity.shape
    return activity.astype(np.float32).reshape(*leading, channels * neurons, height, width)


def population(
    values: Values, timesteps: int, rng: np.random.Generator, neurons: int = POPULATION_NEURONS
) -> Values:
    """Poisson spikes of a population of neurons with Gaussian receptive fields, `[T, B, n C, H, W]`."""
    return poisson(receptive_fields(values, neurons), timesteps, rng)


def _unit(values: Values) -> Values:
    if not (np.min(values, initial=0) >= 0 and np.max(values, initial=0) <= 1):
        raise BadInputError("values outside 0 to 1 (or NaN) cannot be encoded as spikes; scale them, or choose direct")
    return values


DIRECT = Encoding(lambda values, timesteps, rng: direct(values, timesteps), spikes=False)
POISSON = Encoding(poisson)
LATENCY = Encoding(lambda values, timesteps, rng: latency(values, timesteps))
DELTA = Encoding(lambda values, timesteps, rng: delta(values, timesteps), channel_factor=2)
POPULATION = Encoding(population, channel_factor=POPULATION_NEURONS)

NAMES = ("direct", "poisson", "latency", "delta", "population")
ENCODINGS: Registry[Encoding] = Registry(
    "encoding", {name: f"hasnas.datasets.encoding:{name.upper()}" for name in NAMES}, "hasnas.encodings"
)


def encode(name: str, values: Values, timesteps: int, rng: np.random.Generator) -> Values:
    """Encode a batch by the name of an encoding.

    Args:
        name: `direct`, `poisson`, `latency`, `delta` or `population`.
        values: `[B, C, H, W]`, or a sequence `[T, B, C, H, W]` (not for latency).
        timesteps: T.
        rng: generator; encodings that draw nothing leave it alone.

    Returns:
        float32 `[T, B, C', H, W]`, where C' is C times the encoding's `channel_factor`.

    Raises:
        BadInputError: if the name is unknown or the values cannot be encoded so.

    >>> encode("latency", np.ones((1, 1, 1, 1), np.float32), 2, np.random.default_rng(0)).ravel()
    array([1., 0.], dtype=float32)
    """
    return ENCODINGS.get(name).encode(values, timesteps, rng)
