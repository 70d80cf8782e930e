"""Bragg peaks drawn from a formula: pseudo-Voigt spots with photon noise, whose true centres are known exactly."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .source import DatasetCard, Samples, Split, check_split

FloatArray = NDArray[np.float64]
SIDE = 11
COUNTS = {"train": 4_000, "test": 1_000}
SEEDS = {"train": 1, "test": 2}  # fixed for ever, independent of any run's seed
REACH = 2.5  # of the centre from the patch's middle, in pixels, each way
WIDTHS = (1.5, 4.0)  # full width at half maximum, in pixels
PHOTONS = (30.0, 1000.0)  # at the top, above the background
BACKGROUND = (1.0, 10.0)  # photons in a pixel


@dataclass(frozen=True)
class PeakShapes:
    """N peaks.

    Args:
        centre: (column, row) in pixels, pixel k reaching from k to k + 1, `[N, 2]`.
        width: full widths at half maximum along the peak's two axes in pixels, `[N, 2]`.
        angle: of the first axis against the columns' direction, in radians, `[N]`.
        mixing: share of the Lorentzian, 0 to 1, `[N]`.
        photons: expected at the top, above the background, `[N]`.
        background: photons expected in every pixel, `[N]`.
    """

    centre: FloatArray
    width: FloatArray
    angle: FloatArray
    mixing: FloatArray
    photons: FloatArray
    background: FloatArray


def expected_photons(peaks: PeakShapes, side: int = SIDE) -> FloatArray:
    """Pseudo-Voigt spots on patches, `[N, side, side]`:

        I = b + A (m / (1 + r^2) + (1 - m) exp(-r^2 ln 2)),   r^2 = (2 u / w_u)^2 + (2 v / w_v)^2

    with u and v the distances of a pixel's middle from the centre along the peak's axes.

    >>> one = PeakShapes(np.array([[5.5, 5.5]]), np.array([[2.0, 2.0]]), *np.array([[0.0], [0.5], [10.0], [1.0]]))
    >>> image = expected_photons(one)[0]
    >>> float(image[5, 5]), round(float(image[5, 6]), 6)
    (11.0, 6.0)
    """
    middle = np.arange(side) + 0.5
    across = middle[None, None, :] - peaks.centre[:, 0, None, None]
    down = middle[None, :, None] - peaks.centre[:, 1, None, None]
    cosine, sine = (values[:, None, None] for values in (np.cos(peaks.angle), np.sin(peaks.angle)))
    along, beside = cosine * across + sine * down, cosine * down - sine * across
    widths = peaks.width[:, :, None, None]
    squared = (2 * along / widths[:, 0]) ** 2 + (2 * beside / widths[:, 1]) ** 2
    mixing, photons, background = (
        values[:, None, None] for values in (peaks.mixing, peaks.photons, peaks.background)
    )
    shape = mixing / (1 + squared) + (1 - mixing) * np.exp(-squared * np.log(2))
    return np.asarray(background + photons * shape)


def draw_peaks(rng: np.random.Generator, count: int) -> PeakShapes:
    """Peaks of all places, widths, shapes and brightnesses; brightness is uniform in its logarithm."""
    return PeakShapes(
        centre=SIDE / 2 + rng.uniform(-REACH, REACH, (count, 2)),
        width=rng.uniform(WIDTHS[0], WIDTHS[1], (count, 2)),
        angle=rng.uniform(0, np.pi, count),
        mixing=rng.uniform(0, 1, count),
        photons=np.exp(rng.uniform(np.log(PHOTONS[0]), np.log(PHOTONS[1]), count)),
        background=rng.uniform(BACKGROUND[0], BACKGROUND[1], count),
    )


@dataclass(frozen=True)
class GeneratedPeaks:
    """Patches with a single peak each, and where its centre is. Nothing is read or downloaded.

    Args:
        card: what the dataset is.
    """

    card: DatasetCard

    def load(self, split: Split, root: Path | None = None) -> Samples:
        """Patches `[N, 1, 11, 11]` scaled to [0, 1] each, and centres `[N, 2]` as (column, row) in pixels.

        `root` is not needed.
        """
        check_split(split)
        rng = np.random.default_rng(SEEDS[split])
        peaks = draw_peaks(rng, COUNTS[split])
        photons = rng.poisson(expected_photons(peaks)).astype(np.float32)
        low, high = photons.min((1, 2), keepdims=True), photons.max((1, 2), keepdims=True)
        patches = (photons - low) / np.maximum(high - low, 1)
        return Samples(patches[:, None], peaks.centre.astype(np.float32))


BRAGG_GENERATED = GeneratedPeaks(
    DatasetCard(
        name="bragg-generated",
        title="Bragg peaks, generated",
        task="regression",
        input_shape=(1, SIDE, SIDE),
        outputs=2,
        splits=COUNTS,
        licence="Apache-2.0, as hasnas itself",
        citation="none: drawn by hasnas, pseudo-Voigt profiles with Poisson noise",
        place=True,
        notes="targets are the centre's (column, row) in pixels of the patch, whose first pixel reaches from 0 to 1",
    )
)
