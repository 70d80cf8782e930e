"""Hypervolume after 100 evaluations of problems with known fronts: bayesian_pareto beside evolution and sampling.

Run: python experiments/benchmarks/analytic_fronts.py [SEEDS] [OUT.json]
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median

import numpy as np
import optuna
from pymoo.algorithms.moo import nsga2
from pymoo.core.population import Population
from pymoo.core.problem import Problem
from pymoo.core.termination import NoTermination

from hasnas.nas.bench.analytic import PROBLEMS, AnalyticProblem, play
from hasnas.nas.config.sections import SearchSection
from hasnas.nas.strategies.strategy import CodesOfOne, SearchProblem, Strategy, create_strategy

EVALUATIONS, BATCH, POPULATION = 100, 5, 20
SETTINGS = SearchSection(population=POPULATION, sample=5, batch=BATCH)


class OptunaSampler:
    """A sampler of Optuna on the variables, told every objective and constraint."""

    def __init__(self, problem: SearchProblem, make: Callable[..., optuna.samplers.BaseSampler]) -> None:
        self.problem, self.limits = problem, problem.limits
        self.variables = {
            gene.label: optuna.distributions.IntDistribution(0, len(gene.choices) - 1) for gene in problem.space.genes
        }
        constraints = (lambda trial: trial.user_attrs["excess"]) if problem.limits else None
        self.study = optuna.create_study(
            directions=["minimize"] * (1 + len(problem.objectives)),
            sampler=make(seed=problem.seed, constraints_func=constraints),
        )
        self.open: list[tuple[CodesOfOne, optuna.Trial]] = []

    def ask(self, count: int) -> list[CodesOfOne]:
        """See `Strategy.ask`; a candidate may come again, as this sampler likes it."""
        trials = [self.study.ask(self.variables) for _ in range(count)]
        asked = [tuple(int(trial.params[label]) for label in self.variables) for trial in trials]
        self.open += zip(asked, trials, strict=True)
        return asked

    def tell(self, codes: CodesOfOne, value: float | None, costs: Mapping[str, float]) -> None:
        """See `Strategy.tell`."""
        place = next(number for number, (asked, _) in enumerate(self.open) if asked == codes)
        _, trial = self.open.pop(place)
        trial.set_user_attr("excess", [costs[limit.name] - limit.limit for limit in self.limits])
        self.study.tell(trial, [-(value or 0.0), *(costs[one.name] for one in self.problem.objectives)])


class PymooSampler:
    """NSGA-II of pymoo with its own operators (simulated binary crossover, polynomial mutation) on the variables."""

    def __init__(self, problem: SearchProblem) -> None:
        self.problem = problem
        genes = problem.space.genes
        self.most = len(genes[0].choices) - 1
        self.algorithm = nsga2.NSGA2(pop_size=POPULATION, n_offsprings=BATCH, output=None)
        objectives, limits = 1 + len(problem.objectives), len(problem.limits)
        box = Problem(n_var=len(genes), n_obj=objectives, n_ieq_constr=limits, xl=0.0, xu=1.0)
        self.algorithm.setup(box, seed=problem.seed, termination=NoTermination())
        self.waiting: list[np.ndarray] = []
        self.told: list[tuple[np.ndarray, list[float], list[float]]] = []
        self.generation = 0

    def ask(self, count: int) -> list[CodesOfOne]:
        """See `Strategy.ask`."""
        if not self.waiting:
            if self.told:
                points, values, excess = (np.array(part) for part in zip(*self.told, strict=True))
                self.algorithm.tell(infills=Population.new(X=points, F=values, G=excess))
                self.told = []
            self.waiting = list(self.algorithm.ask().get("X"))
        asked, self.waiting = self.waiting[:count], self.waiting[count:]
        return [tuple(round(float(x) * self.most) for x in point) for point in asked]

    def tell(self, codes: CodesOfOne, value: float | None, costs: Mapping[str, float]) -> None:
        """See `Strategy.tell`."""
        values = [-(value or 0.0), *(costs[one.name] for one in self.problem.objectives)]
        excess = [costs[limit.name] - limit.limit for limit in self.problem.limits]
        self.told.append((np.array(codes) / self.most, values, excess))


def _tpe(seed: int, constraints_func: Callable[..., list[float]] | None) -> optuna.samplers.BaseSampler:
    return optuna.samplers.TPESampler(seed=seed, constraints_func=constraints_func, multivariate=True)


def _nsga(seed: int, constraints_func: Callable[..., list[float]] | None) -> optuna.samplers.BaseSampler:
    return optuna.samplers.NSGAIISampler(seed=seed, constraints_func=constraints_func, population_size=POPULATION)


STRATEGIES: dict[str, Callable[[SearchProblem], Strategy]] = {
    "bayesian_pareto": lambda problem: create_strategy("bayesian_pareto", problem),
    "nsga2": lambda problem: create_strategy("nsga2", problem),
    "Optuna TPE": lambda problem: OptunaSampler(problem, _tpe),
    "Optuna NSGA-II": lambda problem: OptunaSampler(problem, _nsga),
    "pymoo NSGA-II": PymooSampler,
    "random": lambda problem: create_strategy("random", problem),
}


def measure(problem: AnalyticProblem, name: str, seed: int) -> tuple[float, float]:
    """Hypervolume and seconds."""
    began = time.perf_counter()
    done = play(problem, STRATEGIES[name](problem.problem(SETTINGS, seed)), EVALUATIONS, BATCH)
    return problem.volume(done), time.perf_counter() - began


def main(seeds: int, out: Path) -> None:
    """Measure every pair of problem and strategy, alternating, and print the table."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.simplefilter("ignore")  # Optuna's constraints are experimental
    found: dict[str, list[tuple[float, float]]] = json.loads(out.read_text()) if out.exists() else {}
    problems = [make() for make in PROBLEMS]
    for seed in range(seeds):
        for problem in problems:
            for name in STRATEGIES:
                runs = found.setdefault(f"{problem.name}/{name}", [])
                if len(runs) <= seed:
                    runs.append(measure(problem, name, seed))
                    out.write_text(json.dumps(found))
    for problem in problems:
        cells = []
        for name in STRATEGIES:
            volumes = [volume for volume, _ in found[f"{problem.name}/{name}"]][:seeds]
            seconds = median(one for _, one in found[f"{problem.name}/{name}"][:seeds])
            cells.append(f"{name} {median(volumes):.4f} [{min(volumes):.4f}, {max(volumes):.4f}] {seconds:.1f} s")
        print(f"{problem.name}: " + "; ".join(cells))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10, Path(sys.argv[2] if len(sys.argv) > 2 else "fronts.json"))
