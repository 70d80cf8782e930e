"""The default score keeps the order of depth, and sees the data."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from hasnas.nas.scoring import ScoringTask
from hasnas.nas.scoring.counters import Counts
from hasnas.nas.scoring.input_statistics import InputStatistics, statistics_of
from hasnas.nas.scoring.trainability import Trainability
from hasnas.search_spaces import Macro
from hasnas.search_spaces.snasnet import CellSpace, SNASNetSpace
from hasnas.search_spaces.space import sample
from hasnas.search_spaces.spikenas_bench import SpikeNASBenchSpace

MACRO = Macro((3, 16, 16), classes=3, timesteps=3, channels=4, hidden=0, votes=1)
REASONS = ("isometry", "balance", "rarity", "edges", "context")


@pytest.mark.slow
@pytest.mark.parametrize("feedback", [False, True])
def test_no_reason_is_worth_a_convolution(feedback: bool) -> None:
    operations = ("none", "identity", "conv3x3", "avgpool3x3")
    space = SNASNetSpace(MACRO, feedback=True) if feedback else CellSpace(MACRO, operations=operations)
    result = Trainability()(ScoringTask(space), sample(space, np.random.default_rng(0), 300))
    some, parts = np.isfinite(result.total), result.components
    ranks = np.stack([parts[name][some] for name in REASONS])
    assert ranks.min() >= 0
    assert ranks.max() <= 1
    assert (np.ptp(ranks, axis=1) > 0.4).all(), "each reason tells candidates apart"
    depth, total = parts["depth"][some], result.total[some]
    np.testing.assert_allclose(total, depth + ranks.mean(axis=0), rtol=1e-8)
    levels = np.unique(depth)  # -1 where the only way goes back in time
    assert levels.tolist() == [-1.0] * feedback + [0.0, 1.0, 2.0, 3.0]
    for lower, upper in pairwise(levels):
        assert total[depth == upper].min() > total[depth == lower].max()


def test_depth_is_the_counter_where_all_kernels_are_alike() -> None:
    space = SpikeNASBenchSpace(MACRO)
    codes = sample(space, np.random.default_rng(1), 50)
    result, counts = Trainability()(ScoringTask(space), codes), Counts(space, codes)
    np.testing.assert_array_equal(np.floor(result.total[counts.connected]), counts.depth[counts.connected])


def smooth(rng: np.random.Generator, reach: int) -> np.ndarray:
    """Images whose values are means over windows of white noise."""
    noise = rng.normal(size=(64, 3, 16 + reach, 16 + reach))
    shifted = [noise[:, :, down : down + 16, across : across + 16] for down in range(reach) for across in range(reach)]
    return np.mean(shifted, axis=0)


def test_what_is_seen_of_the_data() -> None:
    rng = np.random.default_rng(0)
    noise, images = statistics_of(rng.normal(size=(64, 3, 16, 16))), statistics_of(smooth(rng, 6))
    assert abs(noise.neighbour_correlation) < 0.05
    assert images.neighbour_correlation > 0.4
    # The stem's places are further apart with a larger stride.
    assert statistics_of(smooth(rng, 6), stem_stride=2).neighbour_correlation < 0.8 * images.neighbour_correlation
    still, moving = rng.normal(size=(1, 64, 3, 16, 16)), rng.normal(size=(6, 64, 3, 16, 16))
    frames = statistics_of(np.sqrt(0.7) * still + np.sqrt(0.3) * moving)
    assert frames.static_share == pytest.approx(0.7, abs=0.02)
    assert statistics_of(np.zeros((4, 3, 16, 16))) == statistics_of(None) == InputStatistics()


@pytest.mark.slow
def test_the_data_decide_between_candidates_of_equal_depth() -> None:
    space = SpikeNASBenchSpace(MACRO)
    rng = np.random.default_rng(0)
    codes = sample(space, rng, 60)
    score = Trainability()
    noise = score(ScoringTask(space, rng.normal(size=(64, 3, 16, 16))), codes)
    images = score(ScoringTask(space, smooth(rng, 6)), codes)
    assert (noise.order() != images.order()).any()
    np.testing.assert_array_equal(noise.components["depth"], images.components["depth"])
