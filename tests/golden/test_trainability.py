"""The default score and its parts on five written-out networks, so that no change of a rule goes unseen.

The first network is also worked out on paper in `tests/nas/scoring/test_isometry.py` and below; the others are what the
rules gave when this file was written. Change a value only together with a rule, and say which in the commit.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from hasnas.nas.scoring import DEFAULT_SCORE, SCORES, ScoringTask
from hasnas.search_spaces import Architecture, Edge, Genotype, Macro
from hasnas.search_spaces.autosnn import AutoSNNSpace
from hasnas.search_spaces.hasnas import HASNASSpace
from hasnas.search_spaces.snasnet import CellSpace, SNASNetSpace
from hasnas.search_spaces.space import SearchSpace
from hasnas.search_spaces.spikenas_bench import SpikeNASBenchSpace

IMAGES = Macro((3, 32, 32), classes=10, timesteps=5, channels=16)
FRAMES = Macro((2, 32, 32), classes=11, timesteps=8, channels=16, static_input=False, tau=2.0, neuron="alif")
PARTS = ("depth", "isometry", "balance", "rarity", "edges", "context")

# One 3 x 3 convolution between an input and an output.
SINGLE = Genotype(2, (Edge(0, 1, "conv3x3"),))
# Three thresholds on the longest path, one convolution beside it.
CHAIN = Genotype(
    4, (Edge(0, 1, "conv3x3_t0.5"), Edge(1, 2, "conv3x3_t1.0"), Edge(2, 3, "conv3x3_t1.5"), Edge(0, 3, "conv3x3_t1.0"))
)
# The output comes back to the input one timestep later, and once more as it is.
LOOPED = Genotype(
    4, (Edge(0, 1, "conv3x3"), Edge(1, 3, "conv3x3"), Edge(0, 2, "avgpool3x3"), Edge(2, 3, "identity"),
        Edge(3, 0, "conv1x1"), Edge(2, 1, "identity")),
)  # fmt: skip
# Two cells of their own: pools and large kernels.
POOLED = Genotype(4, (Edge(0, 1, "maxpool3x3"), Edge(1, 2, "conv5x5"), Edge(2, 3, "conv3x3"), Edge(0, 3, "identity")))
WIDE = Genotype(4, (Edge(0, 1, "conv5x5"), Edge(0, 2, "avgpool3x3"), Edge(1, 3, "identity"), Edge(2, 3, "conv3x3")))

# Space, genotypes, and what they score: depth, the five ranks, total.
CASES: dict[str, tuple[SearchSpace, tuple[Genotype, ...], tuple[float, ...]]] = {
    "one convolution": (
        CellSpace(IMAGES, cells=1, nodes=2, operations=("none", "conv3x3")),
        (SINGLE,),
        (1.0, 0.5, 0.5, 0.5, 0.5, 0.5, 1.5),
    ),
    "chain of thresholds": (
        SpikeNASBenchSpace(IMAGES),
        (CHAIN, CHAIN),
        (3.0, 0.995138178096, 0.619242579324, 0.808597748209, 0.449078812692, 0.89329580348, 3.75307062436),
    ),
    "feedback, frames": (
        SNASNetSpace(FRAMES, feedback=True),
        (LOOPED, LOOPED),
        (2.0, 0.981074943225, 0.937168811506, 0.478425435276, 0.820590461771, 0.891370174111, 2.821725965178),
    ),
    "pools and large kernels": (
        HASNASSpace(IMAGES),
        (POOLED, WIDE),
        (3.166693673951, 0.74898167006, 0.035641547862, 0.877800407332, 0.274949083503, 0.827902240326, 3.719748663767),
    ),
    "blocks": (
        AutoSNNSpace(IMAGES),
        AutoSNNSpace(IMAGES).decode((3, 1, 0, 4, 2)).genotypes,
        (6.257482561374, 0.59946714032, 0.146536412078, 0.615452930728, 0.240230905861, 0.645204262877, 6.706860891747),
    ),
}


def scored(name: str, score: str = DEFAULT_SCORE) -> dict[str, float]:
    space, genotypes, _ = CASES[name]
    codes = np.array([space.encode(Architecture(genotypes, space.macro))])
    result = SCORES.get(score)()(ScoringTask(space), codes)
    return {part: float(values[0]) for part, values in result.components.items()} | {"total": float(result.total[0])}


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_the_default_score_and_its_parts(name: str) -> None:
    assert DEFAULT_SCORE == "trainability"
    found = scored(name)
    assert tuple(found) == (*PARTS, "total")
    for (part, value), expected in zip(found.items(), CASES[name][2], strict=True):
        assert value == pytest.approx(expected, rel=1e-6), part


def test_large_kernels_on_paper() -> None:
    # On a map of side s a 5 x 5 kernel sees n = (5 - 6/s)^2 places on average, a 3 x 3 one (3 - 2/s)^2: 1 - 1/n each.
    large = [(1 - (5 - 6 / side) ** -2) / (1 - (3 - 2 / side) ** -2) for side in (32, 16)]
    # The first cell's longest path has both kernels behind each other, the second's the large one alone.
    assert scored("pools and large kernels")["depth"] == pytest.approx(large[0] + 1 + large[1], rel=1e-9)


def test_one_convolution_on_paper() -> None:
    # Fixed inputs x ~ N(0, 1), tau 4/3: after k steps a membrane holds x (1 - 4^-k). Neurons with x above
    # 1 / (1 - 4^-k) fire at every k-th of five timesteps.
    above = [norm.sf(1 / (1 - 0.25**k)) for k in range(1, 6)]
    spikes = sum(5 // k * (above[k - 1] - (above[k - 2] if k > 1 else 0)) for k in range(1, 6))
    rate = spikes / 5
    deviation = np.sqrt(np.mean([(1 - 0.25**k) ** 2 for k in range(1, 6)]))

    def surrogate(v: float) -> float:
        return norm.pdf(v, scale=deviation) / (1 + (np.pi * (v - 1)) ** 2) ** 2

    kept = 0.75**2 / (1 - 0.25 * (1 - rate)) ** 2
    gain = kept * quad(surrogate, -8, 8, points=[1.0])[0] / (rate * (1 - rate))
    # The rate comes from a table that 4,096 simulated neurons fill.
    found = scored("one convolution", "isometric_depth")["isometric_depth"]
    assert found == pytest.approx(min(gain, 1 / gain), rel=0.01)
    # The only connected candidate of its space stands in the middle of 2,000 that are like it.
    ranks = scored("one convolution")
    assert [ranks[part] for part in PARTS] == [1.0, 0.5, 0.5, 0.5, 0.5, 0.5]
