"""Scores from mean-field firing rates: layers that fire about equally often learn about equally well."""

from __future__ import annotations

import warnings
from dataclasses import replace
from functools import lru_cache
from typing import cast

import numpy as np
from numpy.typing import NDArray

from hasnas.search_spaces.snasnet import CellSpace
from hasnas.search_spaces.space import Codes

from .counters import Counts
from .grouped import score_by_group
from .input_statistics import InputStatistics, statistics_of
from .mean_field import NetworkField, propagate
from .score import ScoreResult, ScoringTask, reference_codes, reject_disconnected, share_below

FloatArray = NDArray[np.float64]


def balance(field: NetworkField) -> FloatArray:
    """Minus the standard deviation of log firing rate over the neurons before live convolutions of all cells, `[N]`.

    Candidates without a convolution have no rates to balance and take the worst value, -inf.
    """
    rates = np.concatenate([cell.rate.reshape(len(cell.rate), -1) for cell in field.cells], axis=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a row of NaN: no convolution
        spread = np.nanstd(np.log(rates), axis=1)
    return np.where(np.isnan(spread), -np.inf, -spread)


class RateBalance:
    """Balance of mean-field firing rates alone.

    >>> from hasnas.search_spaces import Macro
    >>> from hasnas.search_spaces.snasnet import CellSpace
    >>> space = CellSpace(Macro(), operations=("none", "conv3x3_t0.5", "conv3x3_t1.5"))
    >>> result = RateBalance()(ScoringTask(space), np.array([[1, 0, 0, 0, 2, 0], [2, 0, 0, 0, 1, 0]]))
    >>> bool(result.total[0] > result.total[1])   # a low threshold where the input is weak
    True
    """

    def __call__(self, task: ScoringTask, codes: Codes) -> ScoreResult:
        """See `Score`."""
        return score_by_group(task, codes, self._score)

    def _score(self, task: ScoringTask, codes: Codes) -> ScoreResult:
        field = propagate(task.space, codes, statistics_of(task.inputs, task.space.macro.stem_stride))
        value = balance(field)
        return ScoreResult(reject_disconnected(value, field.connected), {"balance": value})


class BalancedDepth:
    """Depth, then balance of firing rates, then live edges:

        depth + rank(balance) + 0.5 rank(live edges),    rank = share of a fixed random reference set that is below

    Source: chosen on SpikeNAS-Bench, where depth decides between classes and balance within them.
    """

    def __call__(self, task: ScoringTask, codes: Codes) -> ScoreResult:
        """See `Score`."""
        return score_by_group(task, codes, self._score)

    def _score(self, task: ScoringTask, codes: Codes) -> ScoreResult:
        statistics = statistics_of(task.inputs, task.space.macro.stem_stride)
        counts, field = Counts(task.space, np.asarray(codes)), propagate(task.space, codes, statistics)
        reference_balance, reference_edges = _reference(cast(CellSpace, task.space), statistics)
        parts = {
            "depth": counts.depth,
            "balance": share_below(balance(field), reference_balance),
            "live_edges": share_below(counts.live_edges, reference_edges),
        }
        total = parts["depth"] + parts["balance"] + 0.5 * parts["live_edges"]
        return ScoreResult(reject_disconnected(total, counts.connected), parts)


def _reference(space: CellSpace, statistics: InputStatistics) -> tuple[FloatArray, FloatArray]:
    """The reference set's values; channels and weight bits change none of them."""
    return _values_of_reference(replace(space, macro=replace(space.macro, channels=1, weight_bits=0)), statistics)


@lru_cache(maxsize=64)
def _values_of_reference(space: CellSpace, statistics: InputStatistics) -> tuple[FloatArray, FloatArray]:
    codes = reference_codes(space)
    return balance(propagate(space, codes, statistics)), Counts(space, codes).live_edges
