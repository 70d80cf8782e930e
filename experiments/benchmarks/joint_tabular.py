"""Network and chip searched together on SpikeNAS-Bench: accuracy from the table, costs from the estimator; JSON lines.

    python experiments/benchmarks/joint_tabular.py --data cifar10.npz --seeds 10 --evaluations 300

A pair is one of the benchmark's 5,424 distinct cells on one of 364,500 chips around `rram-32nm`; evaluating it looks up
the trained network's validation accuracy and prices the chip with its firing rates. Searches, each with as many
evaluations: networks on the default chip; pairs at random; the network first, by accuracy alone, and then chips for it,
half each; one chip by price alone, before anything is evaluated, and then networks on it; chips for a cell drawn at
random; pairs. All keep to the same area, known before anything is evaluated, and
to chips whose converters cut off no more bits than the default one's, so that the table's accuracies stand for all.
The networks' search ends with designs; for the best of them within a few points of its best accuracy the joint search
is asked when it first had something at least as accurate with at most that energy-delay product.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hasnas.cim_estimator import Activity, HardwareSpec, Workload, load_hardware
from hasnas.cim_estimator.model.population import Population
from hasnas.nas.bench.costs import active_workload, mean_field_rates, measured_rates
from hasnas.nas.bench.distinct import PLACES, DistinctSpace
from hasnas.nas.bench.table import MACRO, BenchmarkTable, read_table
from hasnas.nas.budget.costs import AREA, EDP
from hasnas.nas.budget.pricer import Pricer
from hasnas.nas.config.q_learning import QLearningSection
from hasnas.nas.config.sections import SearchSection
from hasnas.nas.strategies import SearchProblem, create_strategy
from hasnas.nas.strategies.strategy import CodesOfOne, CostObjective
from hasnas.search_spaces.joint import JointSpace, SearchedField, with_searched_chip
from hasnas.search_spaces.space import Codes, sample, space_size

FloatArray = NDArray[np.float64]
DEFAULT_CHIP = "rram-32nm"
AREA_M2 = 300e-6
DRAWN, DESCENTS = 100, 10  # chips from the best of which one is improved by price alone, and how often
ROUNDING = 1e-9
MARGINS = (0.25, 1.0, 2.0)  # points of validation accuracy below the best of the networks' search
SIDES = (32, 64, 128, 256, 512)
CLOCKS = tuple(round(float(value)) for value in np.geomspace(2e8, 1e9, 9))
CHIPS = (
    SearchedField("crossbar.rows", SIDES),
    SearchedField("crossbar.columns", SIDES),
    SearchedField("crossbar.columns_per_adc", (2, 4, 8, 16, 32)),
    SearchedField("device.cell_bits", (1, 2, 4)),
    SearchedField("adc.kind", ("flash", "sar")),
    SearchedField("adc.bits", (3, 4, 5, 6, 7, 8)),
    SearchedField("clock_hz", CLOCKS, "log"),
    SearchedField("tile.pes", (1, 4, 16)),
    SearchedField("neuron.lanes", (16, 64, 256)),
)
SETTINGS = SearchSection(
    population=20, sample=10, mutation=0.15, batch=10, q_learning=QLearningSection(reward={"edp": 1.0})
)


def bits_cut_off(chip: Any) -> float:
    """Bits of a column's sum that a chip's converters do not resolve."""
    return math.log2(chip.crossbar.rows * (2**chip.device.cell_bits - 1)) - chip.adc.bits


@dataclass(frozen=True, eq=False)
class Pairs:
    """The table's networks on chips.

    Args:
        table: the trained networks.
    """

    table: BenchmarkTable

    @cached_property
    def networks(self) -> DistinctSpace:
        """One form for each distinct cell."""
        return DistinctSpace(MACRO)

    @cached_property
    def space(self) -> JointSpace:
        """Networks and chips."""
        space = with_searched_chip(self.networks, DEFAULT_CHIP, hardware=CHIPS)
        assert isinstance(space, JointSpace)
        return space

    @cached_property
    def default(self) -> HardwareSpec:
        """The chip of a search for networks."""
        return load_hardware(DEFAULT_CHIP)

    @cached_property
    def cells(self) -> Codes:
        """Each distinct cell, `[C, 6]`; the table has a network that was trained under exactly these codes."""
        forms, connected = self.networks.canonical(self.table.codes)
        return np.unique(forms[connected], axis=0)

    @cached_property
    def rows(self) -> NDArray[np.int64]:
        """Row of the table of each cell, `[C]`."""
        return np.array([self.table.row(number) for number in (self.cells @ PLACES).tolist()])

    def cell_of(self, codes: Codes) -> NDArray[np.int64]:
        """Numbers of the cells of canonical codes `[N, 6 or more]`."""
        numbers = self.cells @ PLACES
        order = np.argsort(numbers)
        return order[np.searchsorted(numbers[order], np.atleast_2d(codes)[:, :6] @ PLACES)]

    @cached_property
    def accuracy(self) -> FloatArray:
        """Validation accuracy of each cell in percent."""
        return self.table.validation[self.rows]

    @cached_property
    def test(self) -> FloatArray:
        """Test accuracy of each cell in percent; no search sees it."""
        return self.table.test[self.rows]

    @cached_property
    def measured(self) -> Population:
        """The cells with the rates of the trained networks."""
        return self._population(measured_rates(self.table.rates[self.rows]))

    @cached_property
    def expected(self) -> Population:
        """The cells with rates by mean field, as known before anything is trained."""
        return self._population(mean_field_rates(self.networks, self.cells))

    def _population(self, rates: dict[str, FloatArray]) -> Population:
        workload: Workload = active_workload(self.networks, self.cells, rates)
        return Population(workload, len(self.cells))

    def edp(self, codes: Codes, population: Population) -> FloatArray:
        """Energy times latency of canonical candidates, on their own chips or, without genes of one, on the default."""
        chips, rows = zip(*self._on_chips(codes), strict=True)
        which = np.repeat(np.arange(len(chips)), [len(own) for own in rows])
        order, found = np.concatenate(rows), np.empty(len(codes))
        totals = population.costs(self.cell_of(codes)[order], which, chips, Activity.measured())
        found[order] = EDP.of(totals)
        return found

    def _on_chips(self, codes: Codes) -> Iterator[tuple[HardwareSpec, NDArray[np.int64]]]:
        if codes.shape[1] == 6:
            yield self.default, np.arange(len(codes))
        else:
            for chosen, rows in self.space.chips(codes):
                yield self.space.chip.variant(chosen), rows

    def area(self, codes: Codes) -> FloatArray:
        """Of the chips, `[N]`; activity plays no part in it."""
        space = self.networks if codes.shape[1] == 6 else self.space
        return Pricer(space, self.default, Activity.dense(), (AREA,)).costs(codes)["area"]

    def steps_lost(self, codes: Codes) -> FloatArray:
        """Into how many of the default chip's one step of the chips' converters reaches, `[N]`; it changes accuracy."""
        found = np.empty(len(codes))
        for hardware, rows in self._on_chips(codes):
            found[rows] = 2 ** (bits_cut_off(hardware) - bits_cut_off(self.default))
        return found

    def feasible(self, codes: Codes) -> NDArray[np.bool_]:
        """Which candidates keep to the area on a chip that resolves as much as the default one."""
        fits = self.steps_lost(codes) <= 1 + ROUNDING
        fits[fits] = self.area(codes[fits]) <= AREA_M2
        return fits

    def targets(self) -> tuple[CostObjective, ...]:
        """What is known of a chip before a network is evaluated on it, with its limits."""
        return (
            CostObjective(EDP.field, lambda codes: self.edp(codes, self.expected)),
            CostObjective(AREA.field, self.area, AREA_M2),
            CostObjective("steps_lost", self.steps_lost, 1 + ROUNDING),
        )


@dataclass(frozen=True)
class Fixed:
    """The joint space with one network, or one chip: its genes are drawn and changed like others, and then set.

    Args:
        space: the joint space.
        fixed: the genes that are set.
        codes: to what.
    """

    space: JointSpace
    fixed: slice
    codes: CodesOfOne

    def __getattr__(self, name: str) -> Any:
        return getattr(self.space, name)

    def canonical(self, codes: Codes) -> tuple[Codes, NDArray[np.bool_]]:
        """See `SearchSpace.canonical`."""
        array = np.atleast_2d(np.asarray(codes)).copy()
        array[:, self.fixed] = self.codes
        return self.space.canonical(array)


def on_cell(pairs: Pairs, cell: int) -> Fixed:
    """Chips for one cell."""
    codes = tuple(pairs.cells[cell].tolist())
    return Fixed(pairs.space, slice(0, len(codes)), codes)


@dataclass(frozen=True)
class Found:
    """What a search evaluated, in order.

    Args:
        cells: numbers of the networks, `[E]`.
        accuracy: validation accuracies in percent, `[E]`.
        edp: energy-delay products in J s, `[E]`.
    """

    cells: NDArray[np.int64]
    accuracy: FloatArray
    edp: FloatArray

    def cheapest(self, accuracy: float) -> int | None:
        """Which of those that are at least that accurate has the least energy-delay product; None if there is none."""
        accurate = np.flatnonzero(self.accuracy >= accuracy)
        return int(accurate[np.argmin(self.edp[accurate])]) if len(accurate) else None

    def least_edp(self, accuracy: float) -> float:
        """Of those at least that accurate; infinite if there is none."""
        found = self.cheapest(accuracy)
        return math.inf if found is None else float(self.edp[found])

    def first(self, accuracy: float, edp: float) -> float:
        """How many evaluations it took until one was at least as accurate and no dearer."""
        there = np.flatnonzero((self.accuracy >= accuracy) & (self.edp <= edp * (1 + 1e-9)))
        return float(there[0] + 1) if len(there) else math.inf

    def then(self, other: Found) -> Found:
        """Both, one after the other."""
        pairs = zip((self.cells, self.accuracy, self.edp), (other.cells, other.accuracy, other.edp), strict=True)
        return Found(*(np.concatenate(pair) for pair in pairs))


def search(pairs: Pairs, space: Any, strategy: str, evaluations: int, seed: int, costs: bool = True) -> Found:
    """Evaluate what a strategy proposes.

    Args:
        pairs: what is known.
        space: what may be proposed.
        strategy: a registered strategy.
        evaluations: pairs it may evaluate.
        seed: of the strategy.
        costs: whether it looks for little energy and delay beside accuracy.
    """
    targets = pairs.targets()
    objectives = targets[:1] if costs else ()
    problem = SearchProblem(space, pairs.feasible, SETTINGS, seed, objectives, targets=targets)
    player = create_strategy(strategy, problem)
    cells, prices = [np.zeros(0, np.int64)], [np.zeros(0)]
    while (left := evaluations - sum(map(len, cells))) and (asked := player.ask(min(SETTINGS.batch, left))):
        codes = np.array(asked, np.int16)
        cells.append(pairs.cell_of(codes))
        prices.append(pairs.edp(codes, pairs.measured))
        for one, cell, price in zip(asked, cells[-1], prices[-1], strict=True):
            player.tell(one, float(pairs.accuracy[cell]) / 100, {EDP.field: float(price)})
    found = np.concatenate(cells)
    return Found(found, pairs.accuracy[found], np.concatenate(prices))


def network_then_chip(pairs: Pairs, strategy: str, evaluations: int, seed: int) -> Found:
    """Half the evaluations for accuracy on the default chip, the other half for chips of the best network."""
    first = search(pairs, pairs.networks, strategy, evaluations // 2, seed, costs=False)
    space = on_cell(pairs, int(first.cells[np.argmax(first.accuracy)]))
    return first.then(search(pairs, space, strategy, evaluations - evaluations // 2, seed))


def chip_only(pairs: Pairs, strategy: str, evaluations: int, seed: int) -> Found:
    """Chips for a cell drawn at random."""
    cell = int(np.random.default_rng(seed).integers(len(pairs.cells)))
    return search(pairs, on_cell(pairs, cell), strategy, evaluations, seed)


def chip_then_network(pairs: Pairs, strategy: str, evaluations: int, seed: int) -> Found:
    """Networks on one chip, which was chosen before, by price alone: nothing is evaluated for it."""
    chip = cheapest_chip(pairs, seed)
    return search(pairs, Fixed(pairs.space, pairs.space.hardware_genes, chip), strategy, evaluations, seed)


def cheapest_chip(pairs: Pairs, seed: int) -> CodesOfOne:
    """A chip of little expected EDP for a random cell: random ones, each improved one field after the other."""
    rng = np.random.default_rng(seed)
    space = on_cell(pairs, int(rng.integers(len(pairs.cells))))
    ends = [_improved(pairs, space, sample(pairs.space, rng, DRAWN)) for _ in range(DESCENTS)]
    return tuple(_least(pairs, space, np.array(ends))[pairs.space.hardware_genes].tolist())


def _improved(pairs: Pairs, space: Fixed, drawn: Codes) -> Codes:
    """The best of some candidates, with fields of its chip changed one at a time until no change helps, `[genes]`."""
    own = range(*pairs.space.hardware_genes.indices(len(pairs.space.genes)))
    changes = [(gene, code) for gene in own for code in range(len(pairs.space.genes[gene].choices))]
    last, best = None, _least(pairs, space, drawn)
    while last is None or (best != last).any():
        last, near = best, np.repeat(best[None], len(changes), axis=0)
        for row, (gene, code) in zip(near, changes, strict=True):
            row[gene] = code
        best = _least(pairs, space, np.concatenate([best[None], near]))
    return best


def _least(pairs: Pairs, space: Fixed, codes: Codes) -> Codes:
    """Of candidates that are feasible the one of least expected EDP, the first of equals, `[genes]`."""
    canonical, connected = space.canonical(codes)
    able = canonical[connected]
    able = able[pairs.feasible(able)]
    return able[np.argmin(pairs.edp(able, pairs.expected))]


def compare(pairs: Pairs, evaluations: int, seeds: Sequence[int], joint: Sequence[str]) -> Iterator[dict[str, Any]]:
    """One line for each search and margin: evaluations to the networks' final designs, and the ratio of products."""
    searches: dict[str, Callable[[int], Found]] = {
        "network only": lambda seed: search(pairs, pairs.networks, "nsga2", evaluations, seed),
        "network, then chip": lambda seed: network_then_chip(pairs, "nsga2", evaluations, seed),
        "chip by price, then network": lambda seed: chip_then_network(pairs, "nsga2", evaluations, seed),
        "chip only": lambda seed: chip_only(pairs, "nsga2", evaluations, seed),
        "random": lambda seed: search(pairs, pairs.space, "random", evaluations, seed),
    }
    for name in joint:
        searches[f"joint, {name}"] = lambda seed, name=name: search(pairs, pairs.space, name, evaluations, seed)  # type: ignore[misc]
    baseline: list[Found] = []
    for name, run in searches.items():
        start, found = time.process_time(), [run(seed) for seed in seeds]
        seconds = (time.process_time() - start) / len(seeds)
        baseline = baseline or found
        for margin in MARGINS:
            figures = against(pairs, baseline, found, margin)
            yield {"search": name, "margin": margin, "cpu_s": round(seconds, 2), **figures}


def against(pairs: Pairs, baseline: Sequence[Found], found: Sequence[Found], margin: float) -> dict[str, Any]:
    """How searches compare with those for networks alone, seed by seed, at the accuracy that the latter end with."""
    needed, own, ratios, gained = [], [], [], []
    for base, other in zip(baseline, found, strict=True):
        inside = np.flatnonzero(base.accuracy >= base.accuracy.max() - margin)
        design = inside[np.argmin(base.edp[inside])]
        accuracy, edp = float(base.accuracy[design]), float(base.edp[design])
        own.append(base.first(accuracy, edp))
        needed.append(other.first(accuracy, edp))
        ratios.append(edp / other.least_edp(accuracy))
        if (picked := other.cheapest(accuracy)) is not None:
            gained.append(float(pairs.test[other.cells[picked]] - pairs.test[base.cells[design]]))
    shares = np.array(needed) / len(baseline[0].edp)
    return {
        "evaluations": _spread(needed),
        "share_of_evaluations": _spread(shares.tolist()),
        "baseline_found_its_own_after": _spread(own),
        "reached": int(np.isfinite(needed).sum()),
        "edp_ratio": _spread(ratios),
        "test_points_gained": _spread(gained) if gained else None,
    }


def _spread(values: Sequence[float]) -> dict[str, float | None]:
    """Median, least and largest; null for what was never reached."""
    found = {name: float(of(values)) for name, of in (("median", np.median), ("min", np.min), ("max", np.max))}
    return {name: round(value, 4) if math.isfinite(value) else None for name, value in found.items()}


def main() -> None:
    """Print what is searched, and then one JSON object a line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--evaluations", type=int, default=300)
    parser.add_argument("--joint", nargs="+", default=["nsga2", "q_learning"], help="strategies of the joint search")
    given = parser.parse_args()
    pairs = Pairs(read_table(given.data))
    chips = math.prod(pairs.space.chip.sizes)
    print(json.dumps({"cells": len(pairs.cells), "chips": chips, "pairs": space_size(pairs.space)}), flush=True)
    for line in compare(pairs, given.evaluations, range(given.seeds), given.joint):
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
