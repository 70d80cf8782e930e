"""Optuna's tree-structured Parzen estimator on the genes of a space."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import numpy as np

from hasnas.errors import BadInputError
from hasnas.search_spaces.space import Gene

from .random_search import RandomSearch
from .strategy import CodesOfOne, SearchProblem

try:
    import optuna
except ImportError as error:
    raise BadInputError(f"optuna_tpe needs optuna ({error}); install it: pip install 'hasnas[optuna]'") from error

# Samples without one that is new and feasible before a random member is taken instead; halved each time in a row.
PATIENCE = 16


def _distribution(gene: Gene) -> optuna.distributions.BaseDistribution:
    """What Optuna samples: whole numbers, whose neighbours are alike, for a gene with an order."""
    if gene.has_order:
        return optuna.distributions.IntDistribution(0, len(gene.choices) - 1)
    return optuna.distributions.CategoricalDistribution(range(len(gene.choices)))


class OptunaTPE:
    """Samples genes where good candidates are dense and bad ones are not.

    With costs in `problem.objectives` good ones are those of the best fronts; candidates that break a limit which only
    an evaluation tells count as bad. Samples outside the budget, and such as were proposed before in canonical form,
    cost nothing.

    Args:
        problem: the space, the budget, the settings (`population`: candidates drawn at random at first) and the seed.

    Source: Bergstra et al., "Algorithms for Hyper-Parameter Optimization", NIPS 2011; multivariate as in Falkner et
    al., "BOHB", ICML 2018.
    """

    def __init__(self, problem: SearchProblem) -> None:
        self.problem = problem
        self._random_members = RandomSearch(problem)
        self._proposed: set[CodesOfOne] = set()
        self._patience = PATIENCE
        self._genes: dict[str, optuna.distributions.BaseDistribution] = {
            gene.label: _distribution(gene) for gene in problem.space.genes
        }
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            seed = int(np.random.SeedSequence(problem.seed).generate_state(1)[0])
            sampler = optuna.samplers.TPESampler(n_startup_trials=1, multivariate=True, seed=seed)
        best, least = optuna.study.StudyDirection.MAXIMIZE, optuna.study.StudyDirection.MINIMIZE
        directions = [best, *(least for _ in problem.objectives)]
        self._study = optuna.create_study(directions=directions, sampler=sampler)

    def ask(self, count: int) -> list[CodesOfOne]:
        """See `Strategy.ask`."""
        young = len(self._proposed) < self.problem.settings.population or len(self._study.trials) < 2
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
        prices = [one.of(costs) for one in self.problem.objectives]
        limited = [one for one in (*self.problem.objectives, *self.problem.limits) if np.isfinite(one.limit)]
        excess = [one.excess(one.of(costs)) for one in limited]
        if value is None or not np.isfinite([value, *prices, *excess]).all():
            return
        chosen = dict(zip(self._genes, (int(code) for code in codes), strict=True))
        told = {"constraints": excess} if limited else {}  # where its samplers look for what is above 0
        self._study.add_trial(
            optuna.trial.create_trial(
                params=chosen, distributions=self._genes, values=[float(value), *prices], system_attrs=told
            )
        )

    def _sampled(self) -> CodesOfOne | None:
        """A new feasible sample."""
        for _ in range(self._patience):
            trial = self._study.ask(self._genes)
            self._study.tell(trial, state=optuna.trial.TrialState.FAIL)
            raw = np.array([[trial.params[label] for label in self._genes]], np.int16)
            canonical, admitted = self.problem.admissible(raw)
            codes = tuple(int(code) for code in canonical[0])
            if admitted[0] and codes not in self._proposed:
                self._patience = PATIENCE
                return codes
        self._patience = max(self._patience // 2, 1)
        return None

    def _unseen(self) -> CodesOfOne | None:
        """A random member that was not proposed, or None if there is none left."""
        while drawn := self._random_members.ask(1):
            if drawn[0] not in self._proposed:
                return drawn[0]
        return None
