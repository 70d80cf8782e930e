"""Generated Bragg peaks: the formula at its half maximum, samples against their centres."""

import numpy as np
import pytest

from hasnas.datasets.catalog import open_dataset
from hasnas.datasets.generated_peaks import REACH, SIDE, PeakShapes, draw_peaks, expected_photons


def peak(**changed: float) -> PeakShapes:
    values = {"mixing": 0.3, "photons": 100.0, "background": 5.0, "angle": 0.0, "widths": (2.0, 4.0), **changed}
    columns = (np.array([values[name]]) for name in ("angle", "mixing", "photons", "background"))
    return PeakShapes(np.array([[5.5, 4.5]]), np.array([values["widths"]]), *columns)


@pytest.mark.parametrize("mixing", [0.0, 0.3, 1.0])
def test_a_peak_has_its_height_in_the_centre_and_half_of_it_at_its_half_widths(mixing: float) -> None:
    image = expected_photons(peak(mixing=mixing))[0]
    assert image[4, 5] == pytest.approx(105)
    assert [image[4, 4], image[4, 6]] == pytest.approx([55, 55])
    assert [image[2, 5], image[6, 5]] == pytest.approx([55, 55])


def test_a_quarter_turn_swaps_the_widths() -> None:
    turned = expected_photons(peak(angle=np.pi / 2))
    np.testing.assert_allclose(turned, expected_photons(peak(widths=(4.0, 2.0))))


def test_lorentzian_tails_reach_further_than_gaussian_ones() -> None:
    lorentzian, gaussian = (expected_photons(peak(mixing=mixing))[0, 4, 10] for mixing in (1.0, 0.0))
    assert lorentzian - 5 == pytest.approx(100 / 26)
    assert gaussian - 5 == pytest.approx(100 * 2.0**-25)


def test_samples_are_scaled_and_their_centres_lie_where_the_light_is() -> None:
    source = open_dataset("bragg-generated")
    train, test = source.load("train"), source.load("test")
    assert train.inputs.shape == (4000, 1, SIDE, SIDE)
    assert train.inputs.min(axis=(1, 2, 3)).tolist() == [0] * 4000
    assert train.inputs.max(axis=(1, 2, 3)).tolist() == [1] * 4000
    pixels = train.targets
    assert np.abs(pixels - SIDE / 2).max() <= REACH
    brightest = np.stack(np.unravel_index(train.inputs[:, 0].reshape(4000, -1).argmax(1), (SIDE, SIDE))[::-1], 1) + 0.5
    assert np.median(np.linalg.norm(pixels - brightest, axis=1)) < 0.8
    everything = np.concatenate([train.targets, test.targets])
    assert len(np.unique(everything, axis=0)) == 5_000, "no peak is in both splits"
    np.testing.assert_array_equal(source.load("test").inputs, test.inputs)


def test_peaks_of_all_kinds_are_drawn() -> None:
    peaks = draw_peaks(np.random.default_rng(0), 4000)
    assert peaks.centre.std(0) == pytest.approx([2 * REACH / 12**0.5] * 2, rel=0.03)
    assert (peaks.photons < 173.2).mean() == pytest.approx(0.5, abs=0.03), "uniform in its logarithm"
