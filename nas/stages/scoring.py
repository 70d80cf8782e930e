"""Training-free evaluation: a registered score ranks candidates, and nothing is trained before the retraining."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from hasnas.nas.executors import Outcome
from hasnas.nas.history.goal import score_metrics
from hasnas.nas.scoring.score import NETWORK_SCORES, SCORES, ScoringTask
from hasnas.search_spaces.space import SearchSpace

from .context import RunContext, Setup

if TYPE_CHECKING:
    from torch import Tensor

    from .evaluation import DataReference

CodesOfOne = tuple[int, ...]


@dataclass(frozen=True)
class Images:
    """The training samples that scores of running networks are computed on, the same for all candidates.

    Args:
        data: the samples.
        count: how many of them.
        seed: which of them.
    """

    data: DataReference
    count: int
    seed: int


@dataclass(frozen=True)
class ScoreTask:
    """Score candidates in one call.

    Args:
        score: its registered name.
        space: what the codes mean.
        codes: the candidates.
        seed: of the weights, for scores that run networks.
        images: for those scores.
    """

    score: str
    space: SearchSpace
    codes: tuple[CodesOfOne, ...]
    seed: int
    images: Images | None = None


@lru_cache(maxsize=1)
def _batch(images: Images) -> tuple[Tensor, Tensor]:
    import torch

    from hasnas.nas.data.samples import batches

    from .evaluation import splits_of

    generator = torch.Generator().manual_seed(images.seed)
    return next(iter(batches(splits_of(images.data).train, images.count, generator)))


def score_candidates(task: ScoreTask) -> list[dict[str, float]]:
    """The metrics of each candidate: the score under its name, and its parts."""
    inputs, targets = (None, None) if task.images is None else _batch(task.images)
    scoring = ScoringTask(task.space, inputs, targets, task.seed)
    found = SCORES.get(task.score)()(scoring, np.array(task.codes, np.int16))
    parts = {name: np.asarray(values, float) for name, values in found.components.items()}
    return [
        score_metrics(task.score, float(total), {name: float(values[row]) for name, values in parts.items()})
        for row, total in enumerate(found.total)
    ]


def score_tasks(setup: Setup, codes: Sequence[CodesOfOne]) -> list[ScoreTask]:
    """The calls that score candidates of a run.

    A score of codes takes all of them in one call of microseconds a candidate; one that runs networks takes them one by
    one, so that they spread over the workers.
    """
    config = setup.config
    name = str(config.search.score)
    if name not in NETWORK_SCORES:
        return [ScoreTask(name, setup.space, tuple(codes), config.seed)]
    from .supernet import data_reference  # scores of codes need nothing that trains

    images = Images(data_reference(setup), config.supernet.batch_size, config.seed)
    return [ScoreTask(name, setup.space, (one,), config.seed, images) for one in codes]


def scored(context: RunContext, asked: Sequence[CodesOfOne], known: int = 0) -> list[Outcome[dict[str, float]]]:
    """What the run's score says of a batch of candidates but the first `known`, in their order.

    A score of codes is asked about the whole batch again: the last bit of a value may depend on its neighbours.
    """
    tasks = score_tasks(context, asked)
    if tasks[0].images is None:
        return [Outcome(metrics) for metrics in score_candidates(tasks[0])[known:]]
    outcomes = context.executor.map(score_candidates, tasks[known:])
    return [Outcome(one.value[0] if one.value else None, one.error, one.details) for one in outcomes]
