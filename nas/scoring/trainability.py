"""The default score: depth decides, and between candidates of equal depth five reasons of equal weight.

Accuracy follows depth on every table of trained networks known here, and what decides within a depth changes from one
data set to another. So nothing in this score is worth a convolution:

    depth + mean of the ranks of (isometry, balance, rarity, edges, context)

Each is a reason why one of two equally deep networks should train better:

- depth: convolutions on the longest path, each by how many neighbouring places it sees
  (`isometry.seen_context`);
- isometry: the same path, each convolution also by how well it keeps the size of gradients (`isometry`);
- balance: layers that fire about equally often learn about equally well (`rate_balance`);
- rarity: the neurons on inner edges read sums, whose size grows with their terms; where they fire often the variance
  p (1 - p) of their spikes is large, and the gradients that go back through them to the convolutions before shrink;
- edges: more of them carry more of the input and of the gradient past any one layer;
- context: as depth, pools included, which see neighbours but learn nothing.

A rank is the share of a fixed random reference set of the same space that lies below. Weights are equal because nothing
says which reason is the strongest on data that nobody has trained on yet.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import cast

import numpy as np
from numpy.typing import NDArray

from hasnas.search_spaces.snasnet import CellSpace
from hasnas.search_spaces.space import Codes

from .cell_arrays import CellArrays
from .counters import Counts, longest_path
from .grouped import score_by_group
from .input_statistics import InputStatistics, statistics_of
from .isometry import isometric_depth, seen_context
from .mean_field import NetworkField, propagate
from .rate_balance import balance
from .score import ScoreResult, ScoringTask, reference_codes, reject_disconnected, share_below

FloatArray = NDArray[np.float64]
DEPTH = "depth"
# The ranks together stay below the shortest step of depth, so that equal reasons never make up for a convolution.
BELOW_ONE = 1 - 1e-9


class Trainability:
    """Depth, then the mean rank of five reasons for which networks of equal depth differ.

    >>> from hasnas.search_spaces import Macro
    >>> from hasnas.search_spaces.spikenas_bench import SpikeNASBenchSpace
    >>> task = ScoringTask(SpikeNASBenchSpace(Macro()))
    >>> cells = np.array([[4, 0, 0, 4, 0, 4], [2, 0, 0, 0, 4, 0], [4, 0, 0, 0, 2, 0]])
    >>> deep, rising, falling = Trainability()(task, cells).total
    >>> bool(deep > 3 > rising > falling > 2)   # the first cell is the deepest; low thresholds belong first
    True
    """

    def __call__(self, task: ScoringTask, codes: Codes) -> ScoreResult:
        """See `Score`."""
        return score_by_group(task, codes, self._score)

    def _score(self, task: ScoringTask, codes: Codes) -> ScoreResult:
        space = cast(CellSpace, task.space)
        statistics = statistics_of(task.inputs, space.macro.stem_stride)
        found, connected = _values(space, codes, statistics)
        reference = _reference(replace(space, macro=replace(space.macro, channels=1, weight_bits=0)), statistics)
        ranks = {name: share_below(found[name], reference[name]) for name in found if name != DEPTH}
        total = found[DEPTH] + np.minimum(np.mean(list(ranks.values()), axis=0), BELOW_ONE)
        return ScoreResult(reject_disconnected(total, connected), {DEPTH: found[DEPTH], **ranks})


@lru_cache(maxsize=64)
def _reference(space: CellSpace, statistics: InputStatistics) -> Mapping[str, FloatArray]:
    return _values(space, reference_codes(space), statistics)[0]


def _values(
    space: CellSpace, codes: Codes, statistics: InputStatistics
) -> tuple[dict[str, FloatArray], NDArray[np.bool_]]:
    """Depth and the reasons, each `[N]`, and which candidates are connected."""
    field, counts = propagate(space, codes, statistics), Counts(space, np.asarray(codes))
    values = {
        DEPTH: _seen_depth(field, space, lambda cell: cell.conv),
        "isometry": isometric_depth(field, space.macro),
        "balance": balance(field),
        "rarity": rarity(field),
        "edges": counts.live_edges,
        "context": _seen_depth(field, space, lambda cell: cell.conv | cell.pool),
    }
    return values, counts.connected


def rarity(field: NetworkField) -> FloatArray:
    """Minus the mean log firing rate of the neurons on inner edges, those that do not start at a cell's input, `[N]`.

    Candidates without such neurons have nothing between their convolutions and take the worst value, -inf.
    """
    rates = np.concatenate([cell.rate[:, 1:].reshape(len(cell.rate), -1) for cell in field.cells], axis=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a row of NaN: no inner convolution
        mean = np.nanmean(np.log(rates), axis=1)
    return np.where(np.isnan(mean), -np.inf, -mean)


def _seen_depth(
    field: NetworkField, space: CellSpace, counted: Callable[[CellArrays], NDArray[np.bool_]]
) -> FloatArray:
    """Longest path in edges that are counted, each by the context it sees; a genotype that cells share counts once."""
    depths: dict[int, FloatArray] = {}
    for cell, size in zip(field.cells, space.macro.map_sizes(len(field.cells)), strict=True):
        context = seen_context(cell.arrays.kernel_size, cell.arrays.kernel_height, size)
        weight = np.where(counted(cell.arrays), context, 0.0)
        depth, genotype = longest_path(cell.arrays, weight), id(cell.arrays)
        depths[genotype] = np.minimum(depths.get(genotype, depth), depth)
    return np.sum(list(depths.values()), axis=0)
