"""Scores of candidates that differ in their macro: group by group, each with its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from hasnas.search_spaces.cell_groups import cell_groups
from hasnas.search_spaces.space import Codes

from .score import ScoreResult, ScoringTask


def score_by_group(
    task: ScoringTask, codes: Codes, score: Callable[[ScoringTask, Codes], ScoreResult]
) -> ScoreResult:
    """The scores of candidates of any space by a score that is written for cell spaces.

    Args:
        task: with the candidates' space.
        codes: `[N, genes]` of that space.
        score: called with the task on a `CellSpace` and codes of it.
    """
    groups = cell_groups(task.space, codes)
    results = [score(replace(task, space=group.space), group.codes) for group in groups]
    rows = np.concatenate([group.rows for group in groups])
    place = np.argsort(rows, kind="stable")
    components = {
        name: np.concatenate([result.components[name] for result in results])[place] for name in results[0].components
    }
    return ScoreResult(np.concatenate([result.total for result in results])[place], components)
