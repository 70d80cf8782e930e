"""Bayesian search for a front: what an evaluation would add to the hypervolume, by Gaussian processes and known costs.

The value, costs that only an evaluation tells and limits on such each have a process; costs that are known before are
taken as they are. A batch is chosen one candidate after the other, each with those before it as pending.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hasnas.errors import BadInputError
from hasnas.nas.history.pareto import non_dominated
from hasnas.search_spaces.space import Codes, all_codes, radices, sample, space_size

from .random_search import RandomSearch
from .strategy import CodesOfOne, SearchProblem
from .surrogates import GeneInputs, Surrogates, by_itself

try:
    import torch
    from botorch.acquisition import AcquisitionFunction
    from botorch.acquisition.logei import qLogNoisyExpectedImprovement
    from botorch.acquisition.multi_objective import logei
    from botorch.acquisition.multi_objective.logei import qLogNoisyExpectedHypervolumeImprovement
    from botorch.acquisition.multi_objective.objective import GenericMCMultiOutputObjective
    from botorch.acquisition.objective import GenericMCObjective
    from botorch.models import ModelListGP
    from botorch.sampling.normal import SobolQMCNormalSampler
except ImportError as error:
    raise BadInputError(
        f"bayesian_pareto needs botorch ({error}); install it: pip install 'hasnas[bayesian]'"
    ) from error

# Where it finds a compiler, BoTorch builds a kernel with this processor's instructions: half a minute without a word,
# and other proposals than on the next machine. It is told that it tried already.
logei._load_attempted = True

FloatArray = NDArray[np.float64]
# Boxes between the points of a front grow exponentially in number with the objectives.
MOST_OBJECTIVES = 4
ENUMERABLE = 2048
SAMPLES = 32
STRANGERS, MUTANTS, SHORTLIST = 256, 256, 128
PARENTS, CLIMBERS, NEIGHBOURS, CLIMBS = 16, 8, 64, 3
CHUNK = 512
PENDING = 16  # candidates that are evaluated meanwhile, the latest, which the next one is not to repeat
STEPS = (0.02, 0.08, 0.3)  # of the range of an ordered gene
MARGIN = 0.5  # of the range of a front, by which the reference point is worse than its worst


class BayesianPareto:
    """Proposes what is expected to enlarge the hypervolume most, within limits that are known only afterwards.

    The first candidates are drawn at random: two for each gene and two more, but at most the population. A process is
    fitted again only where its predictions were off, see `Surrogate`. Evaluations that fail are learnt as a limit of
    their own, so that they are not sought again. Time grows as the cube of the evaluations, see `MOST_EVALUATIONS`.

    Args:
        problem: the space, the budget, up to three costs beside the value, limits on what only an evaluation tells,
            the settings (`population`) and the seed.

    Raises:
        BadInputError: if there are more objectives.

    Source: Daulton, Balandat, Bakshy, "Parallel Bayesian optimization of multiple noisy objectives with expected
    hypervolume improvement", NeurIPS 2021, in its logarithm (Ament et al., NeurIPS 2023); the supervisor in the manner
    of PABO (Parsa et al., ICCAD 2019).
    """

    def __init__(self, problem: SearchProblem) -> None:
        if len(problem.objectives) >= MOST_OBJECTIVES:
            raise BadInputError(
                f"bayesian_pareto looks at up to {MOST_OBJECTIVES} objectives, not {len(problem.objectives) + 1}; "
                "combine some by an expression, or choose nsga3"
            )
        self.problem, self.space = problem, problem.space
        self.initial = min(2 * len(problem.space.genes) + 2, problem.settings.population)
        self.known = tuple(one for one in problem.objectives if one.predicted is not None)
        self.unknown = tuple(one for one in problem.objectives if one.predicted is None)
        self.limits = tuple(one for one in (*self.unknown, *problem.limits) if np.isfinite(one.limit))
        self.inputs = GeneInputs(problem.space)
        self.surrogates = Surrogates(self.inputs, 1 + len(self.unknown) + len(self.limits) + 1)
        self._generator = np.random.default_rng(problem.seed)
        self._random_members = RandomSearch(problem)
        self._everything: Codes | None = None
        self._proposed: set[CodesOfOne] = set()
        self._told: dict[CodesOfOne, list[float]] = {}
        self._running: dict[CodesOfOne, None] = {}

    def ask(self, count: int) -> list[CodesOfOne]:
        """See `Strategy.ask`."""
        usable = sum(np.isfinite(row[0]) for row in self._told.values())
        guided = len(self._proposed) >= self.initial and usable >= 2
        proposed = self._guided(count) if guided else []
        while len(proposed) < count and (drawn := self._random_members.beside(self._proposed)) is not None:
            self._proposed.add(drawn)
            proposed.append(drawn)
        self._running |= dict.fromkeys(proposed)
        return proposed

    def tell(self, codes: CodesOfOne, value: float | None, costs: Mapping[str, float]) -> None:
        """See `Strategy.tell`."""
        self._running.pop(tuple(codes), None)
        prices = {one.name: one.of(costs) for one in (*self.unknown, *self.limits)}
        row = [
            np.nan if value is None else float(value),
            *(-prices[one.name] for one in self.unknown),
            *(_bilog(one.excess(prices[one.name])) for one in self.limits),
        ]
        usable = bool(np.isfinite(row).all())
        self._told[tuple(codes)] = [*row, -1.0] if usable else [np.nan] * len(row) + [1.0]

    def _guided(self, count: int) -> list[CodesOfOne]:
        """Up to `count` candidates, greedily; fewer if the pool ends."""
        gain, pool = self._gain(), self._pool()
        if self._running:
            gain.expect(self._rows(np.array(list(self._running)[-PENDING:], np.int16)))
        chosen: list[CodesOfOne] = []
        while len(chosen) < count and len(pool):
            pool = self._climbed(gain, pool)
            best = tuple(int(code) for code in pool[0])
            chosen.append(best)
            self._proposed.add(best)
            gain.expect(self._rows(pool[:1]))
            pool = pool[1 : 1 + SHORTLIST] if self._everything is None else pool[1:]
        return chosen

    def _rows(self, codes: Codes) -> torch.Tensor:
        """Candidates as the processes see them, the known costs behind, more being better: `[N, columns + known]`."""
        costs = [-one.known(codes) for one in self.known]
        return torch.as_tensor(np.column_stack([self.inputs(codes), *costs]), dtype=torch.double)

    def _gain(self) -> _Gain:
        """What candidates add to what was told."""
        values = np.array(list(self._told.values()))
        usable = np.isfinite(values[:, 0])
        outputs = values.shape[1] - bool(usable.all())  # without a failure there is nothing to learn of failures
        rows = self._rows(np.array(list(self._told), np.int16))
        model = self.surrogates.learn(rows, values[:, :outputs])
        scales = _Scales(*self.surrogates.offsets(outputs), 1 + len(self.unknown), len(self.known))
        told, known = values[usable], rows[torch.as_tensor(usable), rows.shape[1] - len(self.known) :].numpy()
        objectives = np.column_stack([told[:, : scales.modelled], known])
        within = (told[:, scales.modelled : -1] <= 0).all(axis=1)
        reference = self._reference(objectives[within] if within.any() else objectives)
        seed = int(self._generator.integers(2**31))
        return _Gain(_acquisition(model, rows[torch.as_tensor(usable)], scales, reference, seed))

    def _reference(self, objectives: FloatArray) -> FloatArray:
        """The worst value of interest of each objective, more being better: as the problem says, or below the front."""
        front = objectives[non_dominated(objectives, (True,) * objectives.shape[1])]
        spread = np.ptp(front, axis=0)
        spread = np.where(spread > 0, spread, np.ptp(objectives, axis=0))
        reference = front.min(axis=0) - np.where(spread > 0, MARGIN * spread, 1e-9 + MARGIN * np.abs(front.min(axis=0)))
        worst = -np.inf if self.problem.worst is None else self.problem.worst
        said = np.array([worst, *(-one.limit for one in (*self.unknown, *self.known))])
        return np.where(np.isfinite(said), said, reference)

    def _pool(self) -> Codes:
        """Candidates to begin with: all of a small space, else strangers and neighbours of the front."""
        if space_size(self.space) <= ENUMERABLE:
            if self._everything is None:
                self._everything = np.concatenate(list(all_codes(self.space)))
            return self._unseen(self._everything)
        return self._unseen(
            np.concatenate([sample(self.space, self._generator, STRANGERS), self._near(self._front(), MUTANTS)])
        )

    def _climbed(self, gain: _Gain, pool: Codes) -> Codes:
        """The pool with neighbours of its best, theirs, and so on, what adds most first."""
        merit = gain(self._rows(pool))
        for _ in range(CLIMBS if self._everything is None else 0):
            near = self._near(pool[np.argsort(-merit, kind="stable")[:CLIMBERS]], NEIGHBOURS)
            near = self._unseen(np.concatenate([pool, near]))[len(pool) :]
            if len(near):
                pool, merit = np.concatenate([pool, near]), np.concatenate([merit, gain(self._rows(near))])
        return pool[np.argsort(-merit, kind="stable")]

    def _unseen(self, codes: Codes) -> Codes:
        """Canonical members of the region that were not proposed, each once."""
        canonical, admitted = self.problem.admissible(codes)
        rows = dict.fromkeys(tuple(row) for row in canonical[admitted].tolist())
        return np.array([row for row in rows if row not in self._proposed], np.int16).reshape(-1, codes.shape[1])

    def _front(self) -> Codes:
        """The told candidates that no other beats in what was told; at most so many as may breed, drawn at random."""
        usable = [(codes, row) for codes, row in self._told.items() if np.isfinite(row[0])]
        codes, values = np.array([one for one, _ in usable], np.int16), np.array([row for _, row in usable])
        costs = [-one.known(codes) for one in self.known]
        objectives = np.column_stack([values[:, : 1 + len(self.unknown)], *costs])
        excess = np.maximum(values[:, 1 + len(self.unknown) : -1], 0).sum(axis=1)
        if (excess <= 0).any():
            codes, objectives = codes[excess <= 0], objectives[excess <= 0]
        else:
            objectives = -excess[:, None]
        front = codes[non_dominated(objectives, (True,) * objectives.shape[1])]
        return front[self._generator.permutation(len(front))[:PARENTS]]

    def _near(self, parents: Codes, count: int) -> Codes:
        """Children: a few genes changed, ordered ones by a step; one in four is of two parents, `[count, genes]`."""
        rng, sizes = self._generator, radices(self.space)
        children = parents[rng.integers(len(parents), size=count)].astype(np.int64)
        mates = parents[rng.integers(len(parents), size=count)]
        mixed = (rng.random(count) < 0.25)[:, None] & (rng.random(children.shape) < 0.5)
        children = np.where(mixed, mates, children)
        free = np.flatnonzero(sizes > 1)
        changed = rng.random(children.shape) < 1.5 / max(len(free), 1)
        if len(free):
            changed[np.arange(count), free[rng.integers(len(free), size=count)]] = True
        width = rng.choice(STEPS, size=(count, 1)) * (sizes - 1)
        step = rng.normal(size=children.shape) * width
        step = np.sign(step) * np.maximum(np.abs(np.rint(step)), 1)
        moved = np.clip(children + step, 0, sizes - 1)
        ordered = np.array([gene.has_order for gene in self.space.genes])
        drawn = rng.integers(0, sizes, size=children.shape)
        return np.where(changed, np.where(ordered, moved, drawn), children).astype(np.int16)


@dataclass(frozen=True, eq=False)
class _Scales:
    """How outputs of the processes become objectives and limits.

    Args:
        means: of each output.
        scales: of each output.
        modelled: outputs that are objectives; those behind them are kept at or below 0.
        known: objectives that stand in the last columns of the inputs.
    """

    means: torch.Tensor
    scales: torch.Tensor
    modelled: int
    known: int

    def objectives(self, samples: torch.Tensor, X: torch.Tensor | None = None) -> torch.Tensor:
        """Of samples `[..., q, outputs]` at inputs X: `[..., q, objectives]`, more being better."""
        found = samples[..., : self.modelled] * self.scales[: self.modelled] + self.means[: self.modelled]
        if X is None or not self.known:
            return found
        costs = X[..., X.shape[-1] - self.known :]
        return torch.cat([found, costs.expand(*found.shape[:-1], self.known)], dim=-1)

    def only(self, samples: torch.Tensor, X: torch.Tensor | None = None) -> torch.Tensor:
        """The objective where there is one: `[..., q, outputs]` -> `[..., q]`."""
        return self.objectives(samples, X)[..., 0]

    @property
    def limits(self) -> list[Callable[[torch.Tensor], torch.Tensor]]:
        """For each limit: samples -> by how much it is broken."""

        def excess(output: int) -> Callable[[torch.Tensor], torch.Tensor]:
            return lambda samples: samples[..., output] * self.scales[output] + self.means[output]

        return [excess(output) for output in range(self.modelled, len(self.means))]


class _Gain:
    """An acquisition function over many candidates."""

    def __init__(self, function: AcquisitionFunction) -> None:
        self._function = function
        self._expected: list[torch.Tensor] = []

    def __call__(self, rows: torch.Tensor) -> FloatArray:
        with torch.no_grad(), by_itself(0):
            return np.concatenate([self._function(part[:, None]).numpy() for part in rows.split(CHUNK)])

    def expect(self, rows: torch.Tensor) -> None:
        """Count candidates `[N, columns]` as about to be evaluated."""
        self._expected.append(rows)
        with by_itself(0):
            self._function.set_X_pending(torch.cat(self._expected))


def _acquisition(
    model: ModelListGP, rows: torch.Tensor, scales: _Scales, reference: FloatArray, seed: int
) -> AcquisitionFunction:
    """The logarithm of the expected noisy improvement, of the hypervolume if there are several objectives."""
    sampler = SobolQMCNormalSampler(torch.Size([SAMPLES]), seed=seed)
    with by_itself(seed):
        if len(reference) == 1:
            return qLogNoisyExpectedImprovement(
                model,
                rows,
                sampler,
                GenericMCObjective(scales.only),
                constraints=scales.limits or None,
                prune_baseline=True,
            )
        return qLogNoisyExpectedHypervolumeImprovement(
            model,
            reference.tolist(),
            rows,
            sampler,
            GenericMCMultiOutputObjective(scales.objectives),
            constraints=scales.limits or None,
            prune_baseline=True,
        )


def _bilog(excess: float) -> float:
    """An excess with its large values drawn together, 0 staying 0."""
    return float(np.sign(excess) * np.log1p(abs(excess)))
