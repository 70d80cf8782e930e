"""The search core of DeepHyper, centralized Bayesian optimization (CBO), on the genes of a space."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hasnas.errors import BadInputError
from hasnas.search_spaces.space import all_codes, sample, space_size

from .random_search import RandomSearch
from .strategy import CodesOfOne, SearchProblem

try:
    from deephyper.hpo import CBO, HpProblem
except ImportError as error:
    raise BadInputError(f"deephyper needs its package ({error}); pip install 'hasnas[deephyper]'") from error

# Candidates to choose from; draws of so many codes, most of which may be beyond the budget; members of a listed space.
POOL, DRAWN, ENUMERABLE = 256, 1024, 2048
FAILED = "F"


class DeepHyperSearch:
    """Proposes, of feasible candidates drawn at random, those that an ensemble of trees expects most of.

    The trees, the bound of their confidence, the lies within a batch and the random Chebyshev weights of several
    objectives are DeepHyper's own, seeded. What it chooses from is given to it: members of the region that were not
    proposed yet. Candidates that fail, or break a limit which only an evaluation tells, are told as failures, which
    count as bad as the worst.

    Args:
        problem: the space, the budget, the settings (`population`: candidates drawn at random at first) and the seed.

    Source: Balaprakash et al., "DeepHyper: asynchronous hyperparameter search for deep neural networks", HiPC 2018.
    """

    def __init__(self, problem: SearchProblem) -> None:
        self.problem = problem
        self._random_members = RandomSearch(problem)
        self._generator = np.random.default_rng(problem.seed)
        self._proposed: set[CodesOfOne] = set()
        self._waiting: list[tuple[CodesOfOne, str | float | tuple[float, ...]]] = []
        self._usable = 0
        self._pool: list[dict[str, int]] = []
        genes = HpProblem()
        self._free = [place for place, gene in enumerate(problem.space.genes) if len(gene.choices) > 1]
        for place in self._free:
            gene, last = problem.space.genes[place], len(problem.space.genes[place].choices) - 1
            genes.add_hyperparameter((0, last) if gene.has_order else list(range(last + 1)), gene.label)
        genes.set_sampling_fn(lambda size: self._pool)  # no method: its owner would be copied with the problem
        self._search = CBO(
            genes,
            random_state=int(np.random.SeedSequence(problem.seed).generate_state(1)[0] >> 1),
            checkpoint_history_to_csv=False,
            acq_optimizer="sampling",
            acq_optimizer_kwargs={"n_points": POOL, "max_total_failures": -1},
            n_initial_points=1,
        )

    def ask(self, count: int) -> list[CodesOfOne]:
        """See `Strategy.ask`."""
        guided = len(self._proposed) >= self.problem.settings.population and self._usable >= 2
        proposed = self._guided(count) if guided else []
        while len(proposed) < count and (drawn := self._random_members.beside(self._proposed)) is not None:
            self._proposed.add(drawn)
            proposed.append(drawn)
        return proposed

    def tell(self, codes: CodesOfOne, value: float | None, costs: Mapping[str, float]) -> None:
        """See `Strategy.tell`."""
        told = self.problem.told(value, costs)
        if told is None or max(told.excess, default=0.0) > 0:
            self._waiting.append((codes, FAILED))
            return
        self._usable += 1
        self._waiting.append((codes, (told.value, *(-price for price in told.prices)) if told.prices else told.value))

    def _guided(self, count: int) -> list[CodesOfOne]:
        """Up to `count` candidates; fewer if few are left."""
        members = self._members()
        if not members:
            return []
        named = {tuple(codes[place] for place in self._free): codes for codes in members}
        labels = [self.problem.space.genes[place].label for place in self._free]
        self._pool = [dict(zip(labels, one, strict=True)) for one in named]
        told, self._waiting = self._waiting, []
        if told:
            self._search.tell([(self._named(codes), outcome) for codes, outcome in told])
        chosen = [tuple(int(found[label]) for label in labels) for found in self._search.ask(min(count, len(named)))]
        fresh = [named[one] for one in dict.fromkeys(chosen) if one in named]  # without news it repeats itself
        self._proposed.update(fresh)
        return fresh

    def _named(self, codes: CodesOfOne) -> dict[str, int]:
        """Codes as DeepHyper has them."""
        return {self.problem.space.genes[place].label: codes[place] for place in self._free}

    def _members(self) -> list[CodesOfOne]:
        """Canonical members of the region that were not proposed, in random order, at most as many as a pool holds."""
        space = self.problem.space
        listed = space_size(space) <= ENUMERABLE
        codes = np.concatenate(list(all_codes(space))) if listed else sample(space, self._generator, DRAWN)
        canonical, admitted = self.problem.admissible(codes[self._generator.permutation(len(codes))])
        rows = dict.fromkeys(tuple(row) for row in canonical[admitted].tolist())
        return [row for row in rows if row not in self._proposed][:POOL]
