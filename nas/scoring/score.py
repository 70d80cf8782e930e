"""The seam of training-free scores: codes of many candidates in, a total and its named parts out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hasnas.registry import Registry
from hasnas.search_spaces.space import Codes, SearchSpace, sample

FloatArray = NDArray[np.float64]
REFERENCE_SEED = 0
REFERENCE_SIZE = 2000


@dataclass(frozen=True, eq=False)
class ScoringTask:
    """What candidates are scored on.

    Args:
        space: the space the codes belong to.
        inputs: a batch `[B, C, H, W]` (or `[T, B, C, H, W]`) for scores that run the network; others ignore it.
        targets: classes `[B]` or values `[B, outputs]` for scores that need a loss.
        seed: of the weights.
    """

    space: SearchSpace
    inputs: Any = None
    targets: Any = None
    seed: int = 0


@dataclass(frozen=True, eq=False)
class ScoreResult:
    """Scores of N candidates.

    Args:
        total: `[N]`, larger is better; -inf for candidates without a path from input to output.
        components: what the total is made of, each `[N]`.
    """

    total: FloatArray
    components: Mapping[str, FloatArray] = field(default_factory=dict)

    def order(self) -> NDArray[np.int64]:
        """Candidates from best to worst; NaN comes last, after -inf, and equal scores keep their order.

        >>> ScoreResult(np.array([0.5, np.nan, -np.inf, 2.0])).order().tolist()
        [3, 0, 2, 1]
        """
        return np.lexsort([-np.nan_to_num(self.total, nan=-np.inf), np.isnan(self.total)])


class Score(Protocol):
    """Ranks candidates without training them."""

    def __call__(self, task: ScoringTask, codes: Codes) -> ScoreResult:
        """Scores of the candidates `[N, genes]`."""
        ...


# Scores that run each network, by the class that computes them.
_RUN = {
    "sahd": "forward_scores:SahdMean",
    "sahd_sum": "forward_scores:SahdSum",
    "sahd_normalised": "forward_scores:SahdNormalisedMean",
    "sahd_normalised_sum": "forward_scores:SahdNormalisedSum",
    "measured_balance": "forward_scores:MeasuredBalance",
    "noise_sensitivity": "forward_scores:NoiseSensitivity",
    "synflow": "network_scores:Synflow",
    "snip": "network_scores:Snip",
    "zico": "network_scores:ZiCo",
    "jacobian": "network_scores:JacobianCovariance",
}
NETWORK_SCORES = tuple(_RUN)

SCORES: Registry[Callable[[], Score]] = Registry(
    "score",
    {
        "depth": "hasnas.nas.scoring.counters:Depth",
        "live_convs": "hasnas.nas.scoring.counters:LiveConvs",
        "live_edges": "hasnas.nas.scoring.counters:LiveEdges",
        "mean_path_depth": "hasnas.nas.scoring.counters:MeanPathDepth",
        "paths": "hasnas.nas.scoring.counters:Paths",
        "parameters": "hasnas.nas.scoring.counters:Parameters",
        "rate_balance": "hasnas.nas.scoring.rate_balance:RateBalance",
        "balanced_depth": "hasnas.nas.scoring.rate_balance:BalancedDepth",
        "isometric_depth": "hasnas.nas.scoring.isometry:IsometricDepth",
        "trainability": "hasnas.nas.scoring.isometry:Trainability",
        **{name: f"hasnas.nas.scoring.{attribute}" for name, attribute in _RUN.items()},
    },
    "hasnas.scores",
)
BASELINES = ("parameters", "live_convs", "live_edges", "depth")
DEFAULT_SCORE = "trainability"


def reject_disconnected(total: FloatArray, connected: NDArray[np.bool_]) -> FloatArray:
    """The path test: -inf where no path leads from input to output."""
    return np.where(connected, total, -np.inf)


def reference_codes(space: SearchSpace) -> Codes:
    """A fixed random set of connected candidates, against which components are ranked.

    Raises:
        BadInputError: through the space, if it cannot be sampled.
    """
    rng = np.random.default_rng(REFERENCE_SEED)
    canonical, connected = space.canonical(sample(space, rng, REFERENCE_SIZE))
    return canonical[connected]


def share_below(values: FloatArray, reference: FloatArray) -> FloatArray:
    """Empirical distribution function of a reference set, ties counted half; a candidate's rank needs no other one.

    >>> share_below(np.array([1.0, 2.5]), np.array([1.0, 2.0, 3.0])).round(3).tolist()
    [0.167, 0.667]
    """
    ordered = np.sort(reference[~np.isnan(reference)])
    if len(ordered) == 0:
        return np.zeros(len(values))
    below, upto = (np.searchsorted(ordered, values, side) for side in ("left", "right"))
    return (below + upto) / (2 * len(ordered))
