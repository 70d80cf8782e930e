"""Counters of the live cell: microseconds a candidate, and the baselines that every other score must beat."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hasnas.search_spaces.lowering_codes import lower_codes
from hasnas.search_spaces.space import Codes, SearchSpace

from .cell_arrays import CellArrays, distinct_cells
from .grouped import score_by_group
from .score import ScoreResult, ScoringTask, reject_disconnected

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Counts:
    """What can be counted in a population without arithmetic on values; each `[N]`, summed over the cells' genotypes.

    Args:
        space: the space the codes belong to; of candidates with different macros, one group of `cell_groups` at a time.
        codes: `[N, genes]`.
    """

    space: SearchSpace
    codes: Codes

    @cached_property
    def _cells(self) -> tuple[list[CellArrays], NDArray[np.bool_]]:
        return distinct_cells(self.space, self.codes)

    @property
    def connected(self) -> NDArray[np.bool_]:
        """Whether each cell has a path from input to output."""
        return self._cells[1]

    @cached_property
    def depth(self) -> FloatArray:
        """Convolutions (each behind its neurons) on the longest forward path from a cell's input to its output."""
        return sum((longest_path(cell, cell.conv.astype(float)) for cell in self._cells[0]), np.zeros(len(self.codes)))

    @cached_property
    def live_convs(self) -> FloatArray:
        """Convolutions on some path."""
        return sum((cell.conv.sum(axis=(1, 2)) for cell in self._cells[0]), np.zeros(len(self.codes)))

    @cached_property
    def live_edges(self) -> FloatArray:
        """Edges on some path, identities and pools included."""
        return sum((cell.live.sum(axis=(1, 2)) for cell in self._cells[0]), np.zeros(len(self.codes)))

    @cached_property
    def paths(self) -> FloatArray:
        """Forward paths from a cell's input to its output."""
        return sum((path_counts(cell).sum(axis=1) for cell in self._cells[0]), np.zeros(len(self.codes)))

    @cached_property
    def mean_path_depth(self) -> FloatArray:
        """Convolutions on a forward path, averaged over all of them."""
        total = np.zeros(len(self.codes))
        for cell in self._cells[0]:
            counts = path_counts(cell)
            total += (counts * np.arange(counts.shape[1])).sum(axis=1) / np.maximum(counts.sum(axis=1), 1)
        return total

    @cached_property
    def parameters(self) -> FloatArray:
        """Trainable parameters of the deployed network."""
        workload = lower_codes(self.space, self.codes)
        return np.broadcast_to(workload.parameters, (len(self.codes), workload.shape[-1])).sum(axis=1).astype(float)


def longest_path(cell: CellArrays, weight: FloatArray) -> FloatArray:
    """Largest sum of weights over the forward paths from a cell's input to its output; -1 where there is none.

    Args:
        cell: the edges.
        weight: of each edge, at least 0, `[N, nodes, nodes]`.

    Returns:
        `[N]`.
    """
    best = np.full((len(cell), cell.nodes), -np.inf)
    best[:, 0] = 0
    for target in range(1, cell.nodes):
        arriving = best[:, :target] + weight[:, :target, target]
        best[:, target] = np.where(cell.live[:, :target, target], arriving, -np.inf).max(axis=1)
    return np.where(np.isfinite(best[:, -1]), best[:, -1], -1.0)


def path_counts(cell: CellArrays) -> FloatArray:
    """Forward paths from a cell's input to its output by their number of convolutions, `[N, nodes]`."""
    counts = np.zeros((len(cell), cell.nodes, cell.nodes))
    counts[:, 0, 0] = 1
    for target in range(1, cell.nodes):
        for source in range(target):
            further = np.roll(counts[:, source], 1, axis=1)
            step = np.where(cell.conv[:, source, target, None], further, counts[:, source])
            counts[:, target] += step * cell.live[:, source, target, None]
    return counts[:, -1]


class _Counter:
    """A score that is one of the counts."""

    count: str

    def __call__(self, task: ScoringTask, codes: Codes) -> ScoreResult:
        """See `Score`."""
        return score_by_group(task, codes, self._count)

    def _count(self, task: ScoringTask, codes: Codes) -> ScoreResult:
        counts = Counts(task.space, np.asarray(codes))
        value = np.asarray(getattr(counts, self.count), float)
        return ScoreResult(reject_disconnected(value, counts.connected), {self.count: value})


class Depth(_Counter):
    """Convolutions on the longest path: the strongest single counter known on SpikeNAS-Bench.

    >>> from hasnas.search_spaces import Macro
    >>> from hasnas.search_spaces.snasnet import CellSpace
    >>> Depth()(ScoringTask(CellSpace(Macro())), np.array([[3, 0, 1, 0, 3, 0], [3, 0, 0, 0, 0, 0]])).total.tolist()
    [2.0, -inf]
    """

    count = "depth"


class LiveConvs(_Counter):
    """Convolutions on some path."""

    count = "live_convs"


class LiveEdges(_Counter):
    """Edges on some path."""

    count = "live_edges"


class MeanPathDepth(_Counter):
    """Convolutions on a path, averaged over the paths."""

    count = "mean_path_depth"


class Paths(_Counter):
    """Paths from input to output."""

    count = "paths"


class Parameters(_Counter):
    """Trainable parameters of the deployed network."""

    count = "parameters"
