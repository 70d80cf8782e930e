"""Optuna's samplers on the genes of a space."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping

import numpy as np

from hasnas.errors import BadInputError
from hasnas.search_spaces.space import Gene

from .random_search import RandomSearch
from .strategy import CodesOfOne, SearchProblem

try:
    import optuna
    from optuna.samplers import BaseSampler, GPSampler, NSGAIIISampler, NSGAIISampler, QMCSampler, TPESampler
except ImportError as error:
    raise BadInputError(f"optuna needs its package ({error}); pip install 'hasnas[optuna]'") from error

# Samples without one that is new and feasible before a random member is taken instead; halved each time in a row. Of a
# Gaussian process they are dear.
PATIENCE, PATIENCE_OF_PROCESS = 16, 4

# `search.sampler` -> the sampler of a seed and a population.
SAMPLERS: dict[str, Callable[[int, int], BaseSampler]] = {
    "tpe": lambda seed, population: TPESampler(seed=seed, n_startup_trials=population, multivariate=True),
    "gp": lambda seed, population: GPSampler(seed=seed, n_startup_trials=population),
    "nsgaii": lambda seed, population: NSGAIISampler(seed=seed, population_size=max(population, 2)),
    "nsgaiii": lambda seed, population: NSGAIIISampler(seed=seed, population_size=max(population, 2)),
    "qmc": lambda seed, population: QMCSampler(seed=seed, scramble=True),
}


def _distribution(gene: Gene) -> optuna.distributions.BaseDistribution:
    """What Optuna samples: whole numbers, whose neighbours are alike, for a gene with an order."""
    if gene.has_order:
        return optuna.distributions.IntDistribution(0, len(gene.choices) - 1)
    return optuna.distributions.CategoricalDistribution(range(len(gene.choices)))


class OptunaSampler:
    """Samples genes as the sampler `search.sampler` of Optuna does, once a population was drawn at random.

    `tpe` samples where good candidates are dense and bad ones are not, `gp` where a Gaussian process expects the most
    (seconds for a candidate where there are several objectives and limits; its time grows as the cube of the
    evaluations, see `MOST_EVALUATIONS`), `nsgaii` and `nsgaiii` breed, `qmc` spreads candidates evenly and does not
    learn. CMA-ES, which knows no categories and one objective only, is not among them. With costs in
    `problem.objectives` good ones are those of the best fronts; candidates that break a limit which only an evaluation
    tells count as bad. Samples outside the budget, and such as were proposed before in canonical form, cost nothing.

    Args:
        problem: the space, the budget, the settings (`sampler`, `population`: candidates drawn at random at first, and
            that breed) and the seed.

    Source: Akiba et al., "Optuna", KDD 2019; TPE: Bergstra et al., "Algorithms for Hyper-Parameter Optimization", NIPS
    2011, multivariate as in Falkner et al., "BOHB", ICML 2018.
    """

    def __init__(self, problem: SearchProblem) -> None:
        self.problem = problem
        self._random_members = RandomSearch(problem)
        self._proposed: set[CodesOfOne] = set()
        self._open: dict[CodesOfOne, optuna.Trial] = {}
        self._most = self._patience = PATIENCE_OF_PROCESS if problem.settings.sampler == "gp" else PATIENCE
        self._genes: dict[str, optuna.distributions.BaseDistribution] = {
            gene.label: _distribution(gene) for gene in problem.space.genes
        }
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            seed = int(np.random.SeedSequence(problem.seed).generate_state(1)[0])
            sampler = SAMPLERS[problem.settings.sampler](seed, problem.settings.population)
        best, least = optuna.study.StudyDirection.MAXIMIZE, optuna.study.StudyDirection.MINIMIZE
        directions = [best, *(least for _ in problem.objectives)]
        self._study = optuna.create_study(directions=directions, sampler=sampler)
        self._told = 0

    def ask(self, count: int) -> list[CodesOfOne]:
        """See `Strategy.ask`."""
        young = len(self._proposed) < self.problem.settings.population or self._told < 2
        found: list[CodesOfOne] = []
        while len(found) < count:
            candidate = (None if young else self._sampled()) or self._unseen()
            if candidate is None:
                break
            self._proposed.add(candidate)
            found.append(candidate)
        return found

    def tell(self, codes: CodesOfOne, value: float | None, costs: Mapping[str, float]) -> None:
        """See `Strategy.tell`."""
        # What was asked ends as failed, as its codes were not canonical; what is told is a trial of its own.
        opened = self._open.pop(codes, None) or self._study.ask(self._genes)
        asked = self._study.tell(opened, state=optuna.trial.TrialState.FAIL)
        told = self.problem.told(value, costs)
        if told is None:
            return
        chosen = dict(zip(self._genes, (int(code) for code in codes), strict=True))
        limited = {"constraints": list(told.excess)} if told.excess else {}  # where they look for what is above 0
        generation = {key: one for key, one in asked.system_attrs.items() if key.endswith(":generation")}
        self._study.add_trial(
            optuna.trial.create_trial(
                params=chosen,
                distributions=self._genes,
                values=[told.value, *told.prices],
                system_attrs={**generation, **limited},
            )
        )
        self._told += 1

    def _sampled(self) -> CodesOfOne | None:
        """A new feasible sample; what is neither stays open, so that samplers that look at open trials avoid it."""
        for _ in range(self._patience):
            trial = self._study.ask(self._genes)
            raw = np.array([[trial.params[label] for label in self._genes]], np.int16)
            canonical, admitted = self.problem.admissible(raw)
            codes = tuple(int(code) for code in canonical[0])
            if admitted[0] and codes not in self._proposed:
                self._patience = self._most
                self._open[codes] = trial
                return codes
        self._patience = max(self._patience // 2, 1)
        return None

    def _unseen(self) -> CodesOfOne | None:
        """A random member that was not proposed, or None if there is none left."""
        drawn = self._random_members.beside(self._proposed)
        if drawn is not None:
            self._open[drawn] = self._study.ask(self._genes)
        return drawn
