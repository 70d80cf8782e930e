"""q_learning's agent against plain searches: chips of one network, and chips inside a network search; JSON.

    python experiments/benchmarks/q_learning.py --data cifar10.npz --part alone
    python experiments/benchmarks/q_learning.py --data cifar10.npz --part nested

Networks and accuracies are SpikeNAS-Bench's, costs `cim_estimator`'s with every input spiking, of 129,600 chips; EDP is
to be kept low, the area below what a tenth of random pairs of network and chip keep to. Both are told the same of a
chip, and both price one chip in one call. Times are processor times of this process.

`alone`: one network a seed, an empty table. `nested`: 20 networks a seed, evolved by `q_learning` on the table's
accuracies; the agent is exchanged, the networks are the same. Variants: the agent with its table forgotten after each
network and a random start; the genetic algorithm with the last network's chip among its first ones. Plain descent, one
field one step, is there as well: alone it begins anew at random chips, nested at the last network's chip.
"""

from __future__ import annotations

import argparse
import functools
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from hasnas.cim_estimator import Activity, load_hardware
from hasnas.nas.bench.table import BenchmarkTable, read_table
from hasnas.nas.budget.costs import AREA, ENERGY, LATENCY
from hasnas.nas.budget.pricer import Pricer
from hasnas.nas.config.q_learning import QLearningSection
from hasnas.nas.config.sections import SearchSection
from hasnas.nas.strategies.chip_agent import ChipAgent, Look, Standing
from hasnas.nas.strategies.q_learning import QLearning
from hasnas.nas.strategies.strategy import CostObjective, SearchProblem
from hasnas.search_spaces.joint import JointSpace, SearchedField, with_searched_chip
from hasnas.search_spaces.space import Codes, mutate, sample

CHIP = "rram-32nm"
FIELDS = (
    SearchedField("crossbar.size", (32, 64, 128, 256, 512)),
    SearchedField("adc.bits", (4, 5, 6, 7)),
    SearchedField("adc.kind", ("flash", "sar")),
    SearchedField("device.cell_bits", (1, 2, 4)),
    SearchedField("crossbar.columns_per_adc", (1, 2, 4, 8, 16, 32)),
    SearchedField("neuron.lanes", (16, 32, 64, 128, 256)),
    SearchedField("clock_hz", (1e8, 1.5e8, 2e8, 3e8, 4e8, 5e8, 6e8, 8e8, 1e9), "log"),
    SearchedField("node", ("22nm", "32nm", "45nm", "65nm")),
)
REWARD = QLearningSection(reward={"energy": 1.0, "latency": 1.0})
BUDGETS = (25, 50, 100, 200)
NETWORKS = 20
CodesOfOne = tuple[int, ...]


@dataclass
class World:
    """Networks, chips and what they cost."""

    table: BenchmarkTable
    space: JointSpace
    pricer: Pricer
    area_m2: float = math.inf
    accuracies: dict[CodesOfOne, float] = field(default_factory=dict)

    @staticmethod
    def read(data: Path) -> World:
        table = read_table(data)
        space = with_searched_chip(table.space, CHIP, hardware=FIELDS)
        assert isinstance(space, JointSpace)
        pricer = Pricer(space, load_hardware(CHIP), Activity.dense(), (ENERGY, LATENCY, AREA))
        codes, alive = space.canonical(sample(space, np.random.default_rng(0), 400))
        world = World(table, space, pricer, float(np.quantile(pricer.costs(codes[alive])["area"], 0.1)))
        rows = table.space.canonical(table.codes)[0].tolist()
        world.accuracies = {tuple(row): value for row, value in zip(rows, table.validation.tolist(), strict=True)}
        return world

    def problem(self, seed: int) -> SearchProblem:
        """What `QLearning` searches here."""
        last: dict[bytes, Any] = {}

        def costs(codes: Codes) -> Any:
            key = codes.tobytes()
            if key not in last:
                last.clear()
                last[key] = self.pricer.costs(codes)
            return last[key]

        def target(name: str, cost_field: str, limit: float = math.inf) -> CostObjective:
            return CostObjective(cost_field, lambda codes: costs(codes)[name], limit)

        targets = (
            target("energy", "energy_j"), target("latency", "latency_s"), target("area", "area_m2", self.area_m2)
        )  # fmt: skip
        settings = SearchSection(population=8, sample=4, mutation=0.3, q_learning=REWARD)
        return SearchProblem(
            self.space, lambda codes: np.ones(len(codes), bool), settings, seed, targets=targets
        )


class GeneticAgent:
    """A plain genetic algorithm in the place of the agent: tournaments of two, uniform crossover, the best survive.

    Args:
        space: only its chip genes are bred; they mutate as everywhere here, ordered ones mostly by one step.
        seed: source of all randomness.
        looks: chips to price for each network.
        population: chips that are kept.
        warm: whether the chip of the last network is among the first ones.
    """

    def __init__(self, space: JointSpace, seed: int, looks: int, population: int, warm: bool = False) -> None:
        self.space, self.looks, self.population, self.warm = _ChipGenes(space), looks, population, warm
        self._rng = np.random.default_rng([seed, 2])

    def walk(self, start: CodesOfOne, look: Look) -> tuple[CodesOfOne, Standing] | None:
        """The best of all chips that were priced."""
        seen: dict[CodesOfOne, Standing] = {}

        def judged(chip: CodesOfOne) -> CodesOfOne:
            if chip not in seen and len(seen) < self.looks:
                seen[chip] = look(chip) or Standing(-math.inf, (True,))
            return chip

        first = [tuple(row) for row in sample(self.space, self._rng, self.population).tolist()]
        alive = [judged(chip) for chip in ([start] if self.warm else []) + first][: self.population]
        barren = 0
        while len(seen) < self.looks and barren < 50:
            before = len(seen)
            children = [judged(self._child(alive, seen)) for _ in range(self.population)]
            members = dict.fromkeys([*alive, *(child for child in children if child in seen)])
            alive = sorted(members, key=lambda chip: seen[chip].rank, reverse=True)[: self.population]
            barren = 0 if len(seen) > before else barren + 1
        best = max(seen, key=lambda chip: seen[chip].rank)
        return best, seen[best]

    def _child(self, alive: Sequence[CodesOfOne], seen: dict[CodesOfOne, Standing]) -> CodesOfOne:
        known = [chip for chip in alive if chip in seen]
        parents = []
        for _ in range(2):
            rivals = [known[place] for place in self._rng.integers(len(known), size=2)]
            parents.append(max(rivals, key=lambda chip: seen[chip].rank))
        mask = self._rng.random(len(parents[0])) < 0.5
        mixed = tuple(int(code) for code in np.where(mask, *parents))
        return mutate(self.space, mixed, self._rng, 1 / len(mixed))


class Descent:
    """Plain descent in the place of the agent: the first step that helps is taken, field by field, until none does.

    Args:
        steps: tells the steps from a chip; it is not asked to learn.
        rng: draws the chips to begin anew at.
        looks: chips priced before it no longer begins anew; 1 ends where no step helps for the first time.
    """

    def __init__(self, steps: ChipAgent, rng: np.random.Generator, looks: int = 1) -> None:
        self.steps, self.looks, self._rng = steps, looks, rng

    def walk(self, start: CodesOfOne, look: Look) -> tuple[CodesOfOne, Standing] | None:
        """The best of all chips that were priced."""
        seen: dict[CodesOfOne, Standing] = {}

        def rank(chip: CodesOfOne) -> tuple[bool, float]:
            if chip not in seen:
                seen[chip] = look(chip) or Standing(-math.inf, (True,))
            return seen[chip].rank

        self._descend(start, rank)
        while len(seen) < self.looks:
            drawn = [self._rng.integers(len(gene.choices)) for gene in self.steps.genes]
            self._descend(tuple(map(int, drawn)), rank)
        best = max(seen, key=lambda chip: seen[chip].rank)
        return best, seen[best]

    def _descend(self, chip: CodesOfOne, rank: Callable[[CodesOfOne], tuple[bool, float]]) -> None:
        helped = True
        while helped:
            helped, before = False, chip
            for field_number, code in self.steps.steps(before):
                after = (*chip[:field_number], code, *chip[field_number + 1 :])
                if rank(after) > rank(chip):
                    chip, helped = after, True


class _ChipGenes:
    """The chip's genes alone, as far as sampling and mutation look at a space."""

    def __init__(self, space: JointSpace) -> None:
        self.genes = space.genes[space.hardware_genes]


class Forgetful(ChipAgent):
    """An agent that begins anew with each network: an empty table, a random chip."""

    def walk(self, start: CodesOfOne, look: Look) -> tuple[CodesOfOne, Standing] | None:
        self.forget()
        return super().walk(tuple(int(self._rng.integers(len(gene.choices))) for gene in self.genes), look)


@dataclass
class Counting:
    """An agent that is watched: chips that it priced, and the best one after each."""

    agent: Any
    looks: list[int] = field(default_factory=list)
    found: list[Standing] = field(default_factory=list)
    course: list[Standing] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def walk(self, start: CodesOfOne, look: Look) -> tuple[CodesOfOne, Standing] | None:
        self.looks.append(0)
        self.course.clear()
        began = time.process_time()
        best = Standing(-math.inf, (True,))

        def counted(chip: CodesOfOne) -> Standing | None:
            nonlocal best
            standing = look(chip)
            self.looks[-1] += 1
            if standing is not None and standing.rank > best.rank:
                best = standing
            self.course.append(best)
            return standing

        result = self.agent.walk(start, counted)
        self.seconds.append(time.process_time() - began)
        self.found.append(best)
        return result


def agents(world: World, seed: int) -> dict[str, Callable[[], Any]]:
    """The contenders by name, made when they are needed."""
    genes = world.space.genes[world.space.hardware_genes]

    def walker(kind: type[ChipAgent]) -> ChipAgent:
        return kind(genes, REWARD, np.random.default_rng([seed, 1]))

    breeder = functools.partial(GeneticAgent, world.space, seed)
    return {
        "q_learning": lambda: walker(ChipAgent),
        "q_learning, forgetful": lambda: walker(Forgetful),
        **{f"genetic {size}, {looks}": functools.partial(breeder, looks, size)
           for size in (10, 20) for looks in (25, 50, 100, 200, 400)},
        "genetic 10, 50, warm": functools.partial(breeder, 50, 10, True),
        "descent, warm": lambda: Descent(walker(ChipAgent), np.random.default_rng([seed, 3])),
        "descent, 400": lambda: Descent(walker(ChipAgent), np.random.default_rng([seed, 3]), 400),
    }  # fmt: skip


def edp(standing: Standing) -> float:
    """Energy times latency of a chip that keeps to the area; infinite if it does not."""
    return math.inf if any(standing.missed) else math.exp(-standing.worth)


def alone(world: World, seeds: int) -> dict[str, Any]:
    """One network a seed: what each has found after how many priced chips."""
    names = ("q_learning", "descent, 400", "genetic 10, 400", "genetic 20, 400")
    courses: dict[str, list[list[float]]] = {name: [] for name in names}
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for seed in range(seeds):
        for name in names if seed % 2 == 0 else names[::-1]:
            problem = world.problem(seed)
            strategy = QLearning(problem)
            watched = Counting(agents(world, seed)[name]())
            strategy.agent = watched  # type: ignore[assignment]
            strategy.ask(1)
            courses[name].append([edp(one) for one in watched.course])
            seconds[name].append(watched.seconds[0])
    own = courses["q_learning"]
    best = [min(courses[name][seed][-1] for name in names) for seed in range(seeds)]
    rows = {name: _course_row(courses[name], own, best) for name in names}
    for name in names:
        rows[name]["seconds for a priced chip"] = _spread(
            [time_s / len(course) for time_s, course in zip(seconds[name], courses[name], strict=True)]
        )
    return {"part": "alone", "seeds": seeds, "area_mm2": world.area_m2 * 1e6, "rows": rows}


def _course_row(courses: list[list[float]], own: list[list[float]], best: list[float]) -> dict[str, Any]:
    """One contender; `own`: what q_learning found after each priced chip."""

    def at(course: list[float], looks: float) -> float:
        return course[min(max(int(looks), 1), len(course)) - 1]

    pairs = list(zip(courses, own, best, strict=True))
    return {
        "edp over the best found after": {
            looks: _spread([at(course, looks) / least for course, _, least in pairs]) for looks in BUDGETS
        },
        "priced": _spread([float(len(course)) for course in courses]),
        "edp over q_learning's last in its time": _spread([at(course, len(q)) / q[-1] for course, q, _ in pairs]),
        "... in 2.73 times its time": _spread([at(course, 2.73 * len(q)) / q[-1] for course, q, _ in pairs]),
        "time until q_learning's last edp over its time": _spread(
            [_first(course, 1.0001 * q[-1]) / len(q) for course, q, _ in pairs]
        ),
    }


def nested(world: World, seeds: int) -> dict[str, Any]:
    """The same networks a seed, each sized by every contender."""
    names = [name for name in agents(world, 0) if name != "genetic 20, 25" and not name.endswith("400")]
    found: dict[str, list[Counting]] = {name: [] for name in names}
    for seed in range(seeds):
        for name in names if seed % 2 == 0 else names[::-1]:
            strategy = QLearning(world.problem(seed))
            watched = Counting(agents(world, seed)[name]())
            strategy.agent = watched  # type: ignore[assignment]
            for _ in range(NETWORKS // 4):
                for codes in strategy.ask(4):
                    strategy.tell(codes, world.accuracies[codes[:6]], {})
            found[name].append(watched)
    products = {name: np.array([[edp(one) for one in run.found] for run in runs]) for name, runs in found.items()}
    best = np.min(list(products.values()), axis=0)
    own = found["q_learning"]
    rows = {}
    for name, runs in found.items():
        ratio = products[name] / best
        meets = np.isfinite(ratio)
        logs = np.array([np.log(row[kept]).mean() for row, kept in zip(ratio, meets, strict=True)])
        seconds = np.array([sum(run.seconds) for run in runs])
        rows[name] = {
            "edp over the best found, mean of 20 networks": _spread(np.exp(logs)),
            "of the last ten networks": _spread(np.exp(np.log(np.where(meets, ratio, 10.0))[:, 10:].mean(axis=1))),
            "share that keeps to the area": float(meets.mean()),
            "priced chips a network": _spread([float(np.mean(run.looks)) for run in runs]),
            "processor seconds of a run": _spread(seconds),
            "time over q_learning's": _spread(seconds / np.array([sum(run.seconds) for run in own])),
            "edp over q_learning's": _spread(_paired(products[name], products["q_learning"])),
        }
    return {"part": "nested", "seeds": seeds, "networks": NETWORKS, "area_mm2": world.area_m2 * 1e6, "rows": rows}


def _paired(products: np.ndarray, others: np.ndarray) -> list[float]:
    """Geometric mean over the networks that both found a chip for, by seed."""
    both = np.isfinite(products) & np.isfinite(others)
    return [float(np.exp(np.log(a[k] / b[k]).mean())) for a, b, k in zip(products, others, both, strict=True)]


def _first(course: Sequence[float], goal: float) -> float:
    return next((float(place + 1) for place, value in enumerate(course) if value <= goal), math.inf)


def _spread(values: Any) -> str:
    """Median and quartiles."""
    low, middle, high = np.quantile(np.asarray(values, float), (0.25, 0.5, 0.75), method="nearest")
    return f"{middle:.3g} ({low:.3g} to {high:.3g})"


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--part", choices=("alone", "nested"), default="alone")
    parser.add_argument("--seeds", type=int, default=10)
    given = parser.parse_args()
    world = World.read(given.data)
    print(json.dumps((alone if given.part == "alone" else nested)(world, given.seeds), indent=1))


if __name__ == "__main__":
    main()
