"""Training-free evaluation: a registered score ranks candidates, and nothing is trained before the retraining."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hasnas.datasets.choices import View
from hasnas.errors import BadInputError
from hasnas.nas.config.plugins import COUNTERS
from hasnas.nas.data.needs import DataReference, Needs
from hasnas.nas.data.sources import open_source
from hasnas.nas.executors import Outcome
from hasnas.nas.history.goal import score_metrics
from hasnas.nas.scoring.score import NETWORK_SCORES, SCORES, ScoreResult, ScoringTask
from hasnas.search_spaces.space import SearchSpace

from .context import RunContext, Setup

if TYPE_CHECKING:
    from torch import Tensor

CodesOfOne = tuple[int, ...]
LOOKED_AT = 64


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
        samples: `[B, C, H, W]` or `[T, B, C, H, W]`, for scores that look at the data alone.
    """

    score: str
    space: SearchSpace
    codes: tuple[CodesOfOne, ...]
    seed: int
    images: Images | None = None
    samples: NDArray[np.float32] | None = None

    @property
    def needs(self) -> Needs:
        """See `Travels`."""
        return Needs() if self.images is None else Needs(self.images.data.key)


@lru_cache(maxsize=1)
def _batch(images: Images) -> tuple[Tensor, Tensor]:
    import torch

    from hasnas.nas.data.samples import batches

    from .evaluation import splits_of

    generator = torch.Generator().manual_seed(images.seed)
    return next(iter(batches(splits_of(images.data).train, images.count, generator)))


def score_candidates(task: ScoreTask) -> list[dict[str, float]]:
    """The metrics of each candidate: the score under its name, and its parts."""
    inputs, targets = (task.samples, None) if task.images is None else _batch(task.images)
    scoring = ScoringTask(task.space, inputs, targets, task.seed)
    found = SCORES.get(task.score)()(scoring, np.array(task.codes, np.int16))
    if not isinstance(found, ScoreResult) or len(found.total) != len(task.codes):
        answered = f"{len(found.total)} totals" if isinstance(found, ScoreResult) else f"a {type(found).__name__}"
        raise BadInputError(
            f"score '{task.score}' answered {answered} for {len(task.codes)} candidates; a score returns a ScoreResult "
            "with one total for each"
        )
    parts = {name: np.asarray(values, float) for name, values in found.components.items()}
    return [
        score_metrics(task.score, float(total), {name: float(values[row]) for name, values in parts.items()})
        for row, total in enumerate(found.total)
    ]


def score_one(task: ScoreTask) -> dict[str, float]:
    """The metrics of a task's first candidate."""
    return score_candidates(task)[0]


def score_tasks(setup: Setup, codes: Sequence[CodesOfOne]) -> list[ScoreTask]:
    """The calls that score candidates of a run.

    A score of codes takes all of them in one call of microseconds a candidate; one that runs networks takes them one by
    one, so that they spread over the workers.
    """
    config = setup.config
    name = str(config.search.score)
    if name not in NETWORK_SCORES:
        samples = None if name in COUNTERS else samples_of(setup)
        return [ScoreTask(name, setup.space, tuple(codes), config.seed, samples=samples)]
    from .supernet import data_reference  # scores of codes need nothing that trains

    images = Images(data_reference(setup), config.supernet.batch_size, config.seed)
    return [ScoreTask(name, setup.space, (one,), config.seed, images) for one in codes]


def samples_of(setup: Setup) -> NDArray[np.float32] | None:
    """Some training samples without their classes; None, with a note, where the data are not at hand."""
    section = setup.config.dataset
    root = None if section.root is None else Path(section.root)
    try:
        return _samples(section.name, root, section.chosen_framing, setup.config.seed)
    except BadInputError as error:
        setup.console.say(f"score: it takes the data for natural images, as no sample can be read ({error})")
        return None


@lru_cache(maxsize=4)
def _samples(name: str, root: Path | None, framing: View, seed: int) -> NDArray[np.float32]:
    train = open_source(name, root, framing).load("train", root)
    drawn = np.random.default_rng(seed).permutation(len(train))[:LOOKED_AT]
    inputs = train.floats(np.sort(drawn))
    channels = tuple(axis for axis in range(inputs.ndim) if axis != inputs.ndim - 3)
    spread = inputs.std(axis=channels, keepdims=True)
    centred = (inputs - inputs.mean(axis=channels, keepdims=True)) / np.where(spread > 0, spread, 1)
    return centred if centred.ndim == 4 else centred.swapaxes(0, 1)


def scored(context: RunContext, asked: Sequence[CodesOfOne], known: int = 0) -> Iterator[Outcome[dict[str, float]]]:
    """What the run's score says of a batch of candidates but the first `known`, in their order, each when it is there.

    A score of codes is asked about the whole batch again: the last bit of a value may depend on its neighbours.
    """
    tasks = score_tasks(context, asked)
    if tasks[0].images is None:
        yield from map(Outcome, score_candidates(tasks[0])[known:])
        return
    for one in context.executor.map(score_candidates, tasks[known:]):
        yield Outcome(one.value[0] if one.value else None, one.error, one.details)
