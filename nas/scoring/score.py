"""The seam of training-free scores: codes of many candidates in, a total and its named parts out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hasnas.nas.config.plugins import BASELINES, DEFAULT_SCORE, NETWORK_SCORES, SCORES
from hasnas.search_spaces.space import Codes, SearchSpace, sample

__all__ = ["BASELINES", "DEFAULT_SCORE", "NETWORK_SCORES", "SCORES", "Score", "ScoreResult", "ScoringTask"]

FloatArray = NDArray[np.float64]
REFERENCE_SEED = 0
REFERENCE_SIZE = 2000


@dataclass(frozen=True, eq=False)
class ScoringTask:
    """What candidates are scored on.

    Args:
        space: the space the codes belong to.
        inputs: a batch `[B, C, H, W]` (or `[T, B, C, H, W]`) for scores that run the network. Those of mean fields only
            measure it, and take natural images without; counters ignore it.
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


def believed(values: FloatArray, reference: FloatArray) -> FloatArray:
    """`share_below` as what is believed of candidates: 0 on average and of deviation 1 over the reference set.

    >>> believed(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 3.0])).round(3).tolist()
    [-1.155, 0.0, 1.155]
    """
    return (share_below(values, reference) - 0.5) * np.sqrt(12)
