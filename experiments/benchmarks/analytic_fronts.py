"""Hypervolume after 100 evaluations of problems with known fronts: bayesian_pareto beside evolution and sampling.

    python experiments/benchmarks/analytic_fronts.py --out fronts.jsonl --seeds 10 [--only bayesian_pareto]

A JSON line for each problem, strategy and seed; those that stand in the file are not measured again. The table is of
the seeds that each strategy has.
"""

from __future__ import annotations

import argparse
import json
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


def measure(problem: AnalyticProblem, name: str, seed: int) -> dict[str, str | int | float]:
    """Hypervolume and seconds of the processor."""
    began = time.process_time()
    done = play(problem, STRATEGIES[name](problem.problem(SETTINGS, seed)), EVALUATIONS, BATCH)
    volume, seconds = problem.volume(done), time.process_time() - began
    return {"problem": problem.name, "strategy": name, "seed": seed, "volume": volume, "cpu_s": seconds}


def main() -> None:
    """Measure what is missing, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--only", choices=tuple(STRATEGIES), action="append")
    given = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.simplefilter("ignore")  # Optuna's constraints are experimental
    found = [json.loads(line) for line in given.out.read_text().splitlines()] if given.out.exists() else []
    known = {(one["problem"], one["strategy"], one["seed"]) for one in found}
    problems = [make() for make in PROBLEMS]
    for seed in range(given.seeds):
        for problem in problems:
            for name in given.only or STRATEGIES:
                if (problem.name, name, seed) not in known:
                    found.append(measure(problem, name, seed))
                    with given.out.open("a") as lines:
                        lines.write(json.dumps(found[-1]) + "\n")
    for problem in problems:
        cells = []
        for name in STRATEGIES:
            mine = [one for one in found if (one["problem"], one["strategy"]) == (problem.name, name)]
            if volumes := [one["volume"] for one in mine if one["seed"] < given.seeds]:
                seconds = median(one["cpu_s"] for one in mine)
                cells.append(
                    f"{name} {median(volumes):.3f} ({min(volumes):.3f}-{max(volumes):.3f}), {len(volumes)} seeds, "
                    f"{seconds:.1f} s"
                )
        print(f"{problem.name}: " + "; ".join(cells))


if __name__ == "__main__":
    main()
