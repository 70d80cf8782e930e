"""Operation analysis by ablation: which operations of a space its feasible architectures need, before any training.

HASNAS's first step is to optimise the operations that a search may use. Each operation is taken away, from the space
and from single architectures; what that does to a training-free score, the feasible share and costs is measured.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from hasnas.errors import BadInputError, NothingFitsError
from hasnas.nas.budget.costs import STANDARD, Costs
from hasnas.search_spaces.joint import JOINT_PREFIXES
from hasnas.search_spaces.searched_macro import MACRO_PREFIX
from hasnas.search_spaces.snasnet import FEEDBACK_PREFIX
from hasnas.search_spaces.space import Codes, SearchSpace, radices

FloatArray = NDArray[np.float64]
DRAWS, PATIENCE = 2048, 64
# Spaces up to this size are priced completely.
ENUMERABLE = 1 << 15
RESAMPLES = 1000
# The best of a sample is one noisy number; a climb from the best of each of so many blocks has a spread.
BLOCKS = 10
# Neighbours that are tried in each step of a climb.
NEIGHBOURS = 16
TOP = 0.1
EQUAL = 1e-9


@dataclass(frozen=True)
class Interval:
    """A difference with its 95 % bootstrap interval; NaN where there was nothing to compare."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Level:
    """How well a set of candidates scores.

    Args:
        count: candidates.
        feasible_share: share of the connected draws that keep to the budget.
        mean: of the score.
        top_decile: mean of the best tenth.
        best: the best one.
    """

    count: int
    feasible_share: float
    mean: float
    top_decile: float
    best: float


@dataclass(frozen=True)
class OperationEffect:
    """What one operation does.

    Args:
        name: of the operation.
        used_by: share of the feasible candidates that have it.
        without: candidates of the space that lacks it.
        top_decile: change of the mean score of the best tenth when it is taken from the space.
        best: change of the score that a search reaches, over climbs from the best of blocks.
        leave_one_out: score of a candidate that has it, over the same candidate with those edges removed.
        disconnects: share of the candidates that have it and lose every path with it.
        cost_per_edge: field of a cost -> what one edge of it costs, from the pairs that differ in nothing else.
        like: operations that may stand in its place everywhere without any change of the score.
    """

    name: str
    used_by: float
    without: Level
    top_decile: Interval
    best: Interval
    leave_one_out: Interval
    disconnects: float
    cost_per_edge: dict[str, float]
    like: tuple[str, ...]


@dataclass(frozen=True)
class Removal:
    """One step of the reduction.

    Args:
        removed: operations that were taken from the space together.
        top_decile: what that changed.
        best: what that changed.
    """

    removed: tuple[str, ...]
    top_decile: Interval
    best: Interval


@dataclass(frozen=True)
class OperationAnalysis:
    """What was found.

    Args:
        score: name of the training-free score.
        samples: feasible candidates that were asked for, for each set of operations.
        seed: of the draws.
        full: candidates of the space with all operations.
        effects: one for each operation.
        removals: in the order of the reduction.
        recommended: operations that are left, in the order of the space.
        undecided: operations among them that the score cannot tell from another one that is left.
        seconds: what the analysis took.
    """

    score: str
    samples: int
    seed: int
    full: Level
    effects: tuple[OperationEffect, ...]
    removals: tuple[Removal, ...]
    recommended: tuple[str, ...]
    undecided: tuple[str, ...]
    seconds: float

    @property
    def yaml(self) -> str:
        """The line of a config's `space` section."""
        return f"operations: [{', '.join(self.recommended)}]"

    def to_json(self) -> dict[str, object]:
        """Plain data."""
        return {**asdict(self), "yaml": self.yaml}


@dataclass(frozen=True, eq=False)
class AnalysisTask:
    """What is analysed.

    Args:
        space: a space whose genes choose operations.
        admits: canonical, connected codes `[N, genes]` -> which of them keep to the budget.
        costs: the same codes -> what they cost.
        score: canonical codes `[N, genes]` -> values `[N]`, larger is better.
        score_name: its name.
        samples: feasible candidates for each set of operations.
        steps: of each climb from the best of them.
        seed: of the draws.
    """

    space: SearchSpace
    admits: Callable[[Codes], NDArray[np.bool_]]
    costs: Callable[[Codes], Costs]
    score: Callable[[Codes], FloatArray]
    score_name: str
    samples: int = 2000
    steps: int = 60
    seed: int = 0

    def __post_init__(self) -> None:
        if self.samples < 10 * BLOCKS:
            raise BadInputError(f"samples is {self.samples}; give at least {10 * BLOCKS}")


def operations_of(space: SearchSpace) -> tuple[str, ...]:
    """The operations that genes may choose beside their first choice, which stands for no operation of its own.

    >>> from hasnas.search_spaces import Macro
    >>> from hasnas.search_spaces.snasnet import CellSpace
    >>> operations_of(CellSpace(Macro(), feedback=True, operations=("none", "identity", "conv3x3")))
    ('identity', 'conv3x3')
    """
    return tuple(dict.fromkeys(name for names in _names(space) for name in names[1:] if name))


def analyse_operations(task: AnalysisTask) -> OperationAnalysis:
    """Take every operation away in turn, then those that are not missed one after the other.

    An operation stays if without it nothing fits the budget, or if its removal lowers the mean score of the best tenth
    of random candidates, or the score that climbs from them reach, by more than noise: the 95 % interval lies below 0.
    Operations that the score cannot tell apart stay or go together.

    Raises:
        NothingFitsError: if the space holds no feasible candidate.
        BadInputError: if its genes choose no operations.
    """
    started = time.perf_counter()
    samples = _Samples(task)
    names = operations_of(task.space)
    if not names:
        raise BadInputError("the space has no operations to analyse; give one whose genes choose operations")
    full = samples.of(frozenset())
    if not len(full.codes):
        raise NothingFitsError("no architecture within the budget was found; loosen its limits")
    like = {name: tuple(other for other in names if other != name and _same(task, full, name, other)) for name in names}
    effects = tuple(_effect(task, samples, name, like[name]) for name in names)
    removals = _reduce(samples, _units(names, like))
    gone = {name for removal in removals for name in removal.removed}
    left = [name for name in names if name not in gone]
    return OperationAnalysis(
        score=task.score_name,
        samples=task.samples,
        seed=task.seed,
        full=full.level,
        effects=effects,
        removals=tuple(removals),
        recommended=(task.space.genes[0].choices[0], *left),
        undecided=tuple(name for name in left if any(other in left for other in like[name])),
        seconds=time.perf_counter() - started,
    )


@dataclass(frozen=True, eq=False)
class _Sample:
    codes: Codes
    scores: FloatArray
    feasible_share: float

    @property
    def level(self) -> Level:
        scores = self.scores
        if not len(scores):
            return Level(0, self.feasible_share, np.nan, np.nan, np.nan)
        return Level(len(scores), self.feasible_share, float(scores.mean()), _top(scores), float(scores.max()))


class _Samples:
    """Feasible candidates for each set of removed operations, drawn once."""

    def __init__(self, task: AnalysisTask) -> None:
        self.task = task
        self._known: dict[frozenset[str], _Sample] = {}
        self._summits: dict[frozenset[str], FloatArray] = {}

    def of(self, removed: frozenset[str]) -> _Sample:
        """The sample of the space that lacks some operations."""
        if removed not in self._known:
            codes, share = _draw(self.task, removed)
            scores = self.task.score(codes) if len(codes) else np.empty(0)
            usable = np.isfinite(scores)
            self._known[removed] = _Sample(codes[usable], scores[usable], share)
        return self._known[removed]

    def summits(self, removed: frozenset[str]) -> FloatArray:
        """Scores that climbs from the best of each block reach in the space that lacks some operations, `[BLOCKS]`."""
        if removed not in self._summits:
            self._summits[removed] = _climb(self.task, self.of(removed), removed)
        return self._summits[removed]

    def change(self, before: frozenset[str], after: frozenset[str]) -> tuple[Interval, Interval]:
        """Change of the top decile, and of what climbs reach, when more operations are removed."""
        rng = np.random.default_rng([self.task.seed, 1])
        old, new = self.of(before).scores, self.of(after).scores
        if len(new) < BLOCKS or len(old) < BLOCKS:
            return Interval(-np.inf, -np.inf, -np.inf), Interval(-np.inf, -np.inf, -np.inf)
        reached = self.summits(before), self.summits(after)
        return _difference(old, new, _top, rng), _difference(*reached, _mean, rng)


def _climb(task: AnalysisTask, sample: _Sample, removed: frozenset[str]) -> FloatArray:
    """From the best of each block, the best of some neighbours again and again, all climbs side by side."""
    rng = np.random.default_rng([task.seed, 3])
    allowed = [np.flatnonzero([name not in removed for name in names]) for names in _names(task.space)]
    starts = [block[np.argmax(sample.scores[block])] for block in np.array_split(np.arange(len(sample.scores)), BLOCKS)]
    codes, scores = sample.codes[starts], sample.scores[starts]
    for _ in range(task.steps):
        children = np.repeat(codes, NEIGHBOURS, axis=0)
        genes = rng.integers(len(allowed), size=len(children))
        children[np.arange(len(children)), genes] = [rng.choice(allowed[gene]) for gene in genes]
        canonical, connected = task.space.canonical(children)
        usable = connected.copy()
        usable[connected] = task.admits(canonical[connected])
        values = np.full(len(children), -np.inf)
        if usable.any():
            values[usable] = np.nan_to_num(task.score(canonical[usable]), nan=-np.inf)
        best = np.arange(BLOCKS) * NEIGHBOURS + values.reshape(BLOCKS, NEIGHBOURS).argmax(axis=1)
        better = values[best] > scores
        codes = np.where(better[:, None], canonical[best], codes)
        scores = np.where(better, values[best], scores)
    return scores


def _draw(task: AnalysisTask, removed: frozenset[str]) -> tuple[Codes, float]:
    """Distinct feasible candidates without some operations, and the share of connected draws that is feasible."""
    rng = np.random.default_rng([task.seed, 0])
    allowed = [np.flatnonzero([name not in removed for name in names]) for names in _names(task.space)]
    found: dict[tuple[int, ...], None] = {}
    connected = feasible = barren = 0
    for drawn in _chunks(allowed, rng):
        before = len(found)
        canonical, alive = task.space.canonical(drawn)
        rows, counts = np.unique(canonical[alive], axis=0, return_counts=True)
        fits = task.admits(rows) if len(rows) else np.zeros(0, bool)
        connected, feasible = connected + int(counts.sum()), feasible + int(counts[fits].sum())
        inside = rows[fits][rng.permutation(int(fits.sum()))]
        found.update(dict.fromkeys(tuple(row) for row in inside.tolist()))
        barren = 0 if len(found) > before else barren + 1
        if len(found) >= task.samples or barren == PATIENCE:
            break
    kept = list(found)[: task.samples]
    return np.array(kept, np.int16).reshape(len(kept), len(task.space.genes)), feasible / max(connected, 1)


def _chunks(allowed: Sequence[NDArray[np.int64]], rng: np.random.Generator) -> Iterator[Codes]:
    """All codes at once where they are few, else random ones without end; `allowed` are the choices of each gene."""
    sizes = [len(choices) for choices in allowed]
    if math.prod(sizes) <= ENUMERABLE:
        index = np.unravel_index(np.arange(math.prod(sizes)), sizes)
        yield np.stack([choices[row] for choices, row in zip(allowed, index, strict=True)], axis=1).astype(np.int16)
        return
    while True:
        columns = [choices[rng.integers(len(choices), size=DRAWS)] for choices in allowed]
        yield np.stack(columns, axis=1).astype(np.int16)


def _effect(task: AnalysisTask, samples: _Samples, name: str, like: tuple[str, ...]) -> OperationEffect:
    full = samples.of(frozenset())
    top_decile, best = samples.change(frozenset(), frozenset({name}))
    edges = _holds(task.space, full.codes, name)
    users = edges.any(axis=1)
    codes, before, count = full.codes[users], full.scores[users], edges[users].sum(axis=1)
    bare, alive = task.space.canonical(np.where(edges[users], 0, codes).astype(np.int16))
    codes, bare, before, count = codes[alive], bare[alive], before[alive], count[alive]
    gain, cost = Interval(np.nan, np.nan, np.nan), dict.fromkeys((one.field for one in STANDARD), float("nan"))
    if len(codes):
        rng = np.random.default_rng([task.seed, 2])
        after = task.score(bare)
        gain = _difference(np.zeros(1), (before - after)[np.isfinite(after)], _mean, rng)
        # What else falls dead with an edge is not its own price.
        alone = (codes > 0).sum(axis=1) - (bare > 0).sum(axis=1) == count
        if alone.any():
            more, less = task.costs(codes[alone]), task.costs(bare[alone])
            each = {field: (more[field] - less[field]) / count[alone] for field in cost}
            cost = {field: float(values.mean()) for field, values in each.items()}
    return OperationEffect(
        name=name,
        used_by=float(users.mean()),
        without=samples.of(frozenset({name})).level,
        top_decile=top_decile,
        best=best,
        leave_one_out=gain,
        disconnects=float(1 - alive.mean()) if len(alive) else 0.0,
        cost_per_edge=cost,
        like=like,
    )


def _same(task: AnalysisTask, full: _Sample, name: str, other: str) -> bool:
    """Whether a score never changes when one operation takes another's place."""
    names, codes = _names(task.space), full.codes.copy()
    for gene, choices in enumerate(names):
        for code, choice in enumerate(choices):
            if choice == name and other in choices:
                # A backward choice becomes the backward choice of the other operation.
                place = [index for index, found in enumerate(choices) if found == other]
                rank = [index for index, found in enumerate(choices) if found == name].index(code)
                codes[full.codes[:, gene] == code, gene] = place[min(rank, len(place) - 1)]
    changed = (codes != full.codes).any(axis=1)
    canonical, alive = task.space.canonical(codes[changed])
    return bool(alive.all()) and bool(np.allclose(task.score(canonical), full.scores[changed], rtol=EQUAL, atol=EQUAL))


def _units(names: Sequence[str], like: dict[str, tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Operations that stay or go together."""
    units: dict[str, tuple[str, ...]] = {}
    for name in names:
        together = tuple(other for other in names if other == name or (other in like[name] and name in like[other]))
        units.setdefault(together[0], together)
    return list(units.values())


def _reduce(samples: _Samples, units: list[tuple[str, ...]]) -> list[Removal]:
    """Remove what is missed least, as long as it is not missed beyond noise."""
    removals: list[Removal] = []
    gone: frozenset[str] = frozenset()
    left = list(units)
    while len(left) > 1:
        options = [Removal(unit, *samples.change(gone, gone | set(unit))) for unit in left]
        harmless = [option for option in options if min(option.top_decile.high, option.best.high) >= 0]
        if not harmless:
            break
        chosen = max(harmless, key=lambda option: option.top_decile.mean)
        removals.append(chosen)
        gone |= set(chosen.removed)
        left.remove(chosen.removed)
    return removals


def _names(space: SearchSpace) -> list[list[str]]:
    """The operation that each choice of each gene stands for; values of macro, chip and training are none."""
    return [
        [""] * len(gene.choices)
        if gene.label.startswith((MACRO_PREFIX, *JOINT_PREFIXES))
        else [choice.removeprefix(FEEDBACK_PREFIX) for choice in gene.choices]
        for gene in space.genes
    ]


def _holds(space: SearchSpace, codes: Codes, name: str) -> NDArray[np.bool_]:
    """Which genes chose an operation, `[N, genes]`."""
    table = np.zeros((len(space.genes), int(radices(space).max())), bool)
    for gene, names in enumerate(_names(space)):
        table[gene, : len(names)] = [found == name for found in names]
    return np.take_along_axis(table, codes.T.astype(np.int64), axis=1).T


def _top(scores: FloatArray) -> float:
    """Mean of the best tenth, at least one."""
    count = max(round(TOP * len(scores)), 1)
    return float(np.partition(scores, len(scores) - count)[-count:].mean())


def _mean(values: FloatArray) -> float:
    return float(values.mean())


def _difference(
    old: FloatArray, new: FloatArray, statistic: Callable[[FloatArray], float], rng: np.random.Generator
) -> Interval:
    """Statistic of new values minus that of old ones, with both sides resampled."""
    drawn = [
        statistic(new[rng.integers(len(new), size=len(new))]) - statistic(old[rng.integers(len(old), size=len(old))])
        for _ in range(RESAMPLES)
    ]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Interval(statistic(new) - statistic(old), float(low), float(high))
