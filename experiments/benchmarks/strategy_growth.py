"""How time and memory of a proposal grow with the number of evaluations, for every strategy.

    python experiments/benchmarks/strategy_growth.py [--only NAME] [--at 100,1000,10000,100000] --out FILE.jsonl

A strategy is told so many evaluations, then asked for a few batches of eight more; the figure is processor time for
each of these candidates after the first batch, telling included, and what the process has grown by.
Strategies that only look at few of the told are played from the start in batches of 100; those that look at all have
drawn their whole history at random, so that what is timed are their first guided proposals after one of that length.
Each figure is made in a fork of its own, and given up after `--most` seconds of processor time.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from hasnas.nas.config.sections import SearchSection
from hasnas.nas.strategies import STRATEGIES
from hasnas.nas.strategies.predictor import PredictorSearch
from hasnas.nas.strategies.strategy import CostObjective, SearchProblem, Strategy
from hasnas.search_spaces.macro import Macro
from hasnas.search_spaces.snasnet import SNASNetSpace
from hasnas.search_spaces.space import Codes

BATCH, MEASURED, ENOUGH_S = 100, 8, 0.5
# Named with their sampler, where they have several.
NAMES = [name for name in STRATEGIES.names() if name != "optuna"] + ["optuna/tpe", "optuna/gp", "optuna/nsgaii"]
RANDOM_FIRST = ("optuna/tpe", "optuna/gp", "deephyper", "bayesian_pareto", "predictor")


def cost(codes: Codes) -> Any:
    """A cost known before evaluation, `[N]`."""
    return 1.0 + codes.astype(float).sum(axis=1)


def problem(name: str, evaluations: int) -> SearchProblem:
    """A space of many more members than are evaluated, of which every one is feasible."""
    space = SNASNetSpace(Macro((1, 8, 8), timesteps=2, channels=4, hidden=0), feedback=True, nodes=6, shared=False)
    _, _, sampler = name.partition("/")
    population = evaluations if name in RANDOM_FIRST else 50  # drawn at random before anything is learned
    chosen = {"sampler": sampler} if sampler else {}
    settings = SearchSection(population=population, sample=10, evaluations=evaluations + 21 * MEASURED, **chosen)
    objectives = (CostObjective("cost", cost),) if name in ("nsga2", "nsga3", "predictor", "bayesian_pareto") else ()
    return SearchProblem(space, lambda codes: np.ones(len(codes), bool), settings, 0, objectives)


def value(codes: tuple[int, ...]) -> float:
    """Something to climb."""
    return float(np.sin(np.dot(np.arange(1, len(codes) + 1), codes)) * 0.2 + 0.01 * sum(codes) / len(codes))


def step(strategy: Strategy, count: int) -> int:
    """Ask for some, tell them; how many there were."""
    asked = strategy.ask(count)
    for codes in asked:
        strategy.tell(codes, value(codes), {"cost": float(1 + sum(codes))})
    return len(asked)


def resident() -> int:
    """Bytes of memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def built(name: str, evaluations: int) -> Strategy:
    """The strategy, which draws so many at random if it looks at all that it was told."""
    task = problem(name, evaluations)
    if name == "predictor":
        return PredictorSearch(task, initial=evaluations)
    strategy: Strategy = STRATEGIES.get(name.partition("/")[0])(task)
    return strategy


def grown(name: str, evaluations: int, most_s: float, pipe: Any) -> None:
    """One figure, sent through a pipe; or, when the time is up, that it was given up."""

    def give_up(number: int, frame: object) -> None:
        pipe.send({"given_up": True, "seconds": most_s})
        os._exit(0)

    signal.signal(signal.SIGPROF, give_up)
    signal.setitimer(signal.ITIMER_PROF, most_s)
    strategy, batch = built(name, evaluations), evaluations if name in RANDOM_FIRST else BATCH
    begun, done, before = time.process_time(), 0, resident()
    while done < evaluations:
        done += step(strategy, min(batch, evaluations - done))
    played = time.process_time() - begun
    step(strategy, MEASURED)
    begun, found, batches = time.process_time(), 0, 0
    while batches == 0 or (batches < 20 and time.process_time() - begun < ENOUGH_S):
        found, batches = found + step(strategy, MEASURED), batches + 1
    per_proposal = (time.process_time() - begun) / max(found, 1)
    pipe.send({"ms": 1e3 * per_proposal, "mb": (resident() - before) / 1e6, "played_s": played})


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="")
    parser.add_argument("--at", default="100,1000,10000,100000")
    parser.add_argument("--most", type=float, default=60)
    parser.add_argument("--out", type=Path, required=True, help="a JSON line a figure; those that are in it are kept")
    options = parser.parse_args()
    lines = options.out.read_text().splitlines() if options.out.exists() else []
    known = {(one["strategy"], one["evaluations"]): one for one in map(json.loads, lines)}
    counts = [int(text) for text in options.at.split(",")]
    for name in NAMES:
        for evaluations in counts:
            if options.only not in name or (name, evaluations) in known:
                continue
            if any("given_up" in known.get((name, less), {}) for less in counts if less < evaluations):
                continue
            ours, theirs = multiprocessing.Pipe(duplex=False)
            process = multiprocessing.get_context("fork").Process(
                target=grown, args=(name, evaluations, options.most, theirs)
            )
            process.start()
            theirs.close()
            try:
                found = ours.recv()
            except EOFError:
                found = {"given_up": True, "seconds": 0}
            process.join()
            known[name, evaluations] = {"strategy": name, "evaluations": evaluations, **found}
            with options.out.open("a") as file:
                file.write(json.dumps(known[name, evaluations]) + "\n")
    print("| strategy | " + " | ".join(f"{count:,}" for count in counts) + " |")
    for name in NAMES:
        cells = []
        for count in counts:
            one = known.get((name, count), {})
            cells.append(f"{one['ms']:.2f} ms, {one['mb']:.0f} MB" if "ms" in one else "-")
        print(f"| {name} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    sys.exit(main())
