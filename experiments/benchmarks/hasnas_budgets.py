"""HASNAS's four limits on a CIFAR macro with a small head: networks that fit, found without training; prints Markdown.

    python experiments/benchmarks/hasnas_budgets.py --loop-seconds 2.7 [--spaces snasnet]

Limits: 4e6 parameters, 100 mm2, 400 ms, 120 uJ (arXiv 2407.00641), all layers counted, dense activity (an upper bound
of any measured one). Macro: 128 channels, T = 5, the 16 x 16 maps averaged to one value a channel, 1,024 hidden
neurons: 364,644 weights and biases in the fully connected layers. The space is priced first, what fits is scored by
the default score, the best is the answer; `snasnet` is priced whole, `hasnas` (two different cells of seven operations)
as a sample whose best is improved gene by gene. Beside it, in turns, the strongest simple opponent: the same with the
depth counter for a score. `--loop-seconds` is what SNASNet's loop needs for one candidate (`sahd_speed.py`).
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import dataclass

import numpy as np
from cim_hasnas import LIMITS, networks, verdict
from numpy.typing import NDArray

from hasnas.cim_estimator import Activity, load_hardware
from hasnas.nas.budget.budget import Budget
from hasnas.nas.budget.costs import cost_of
from hasnas.nas.budget.pricer import Pricer
from hasnas.nas.scoring import DEFAULT_SCORE, SCORES, ScoringTask
from hasnas.search_spaces import Macro
from hasnas.search_spaces.layers import Linear
from hasnas.search_spaces.lowering import lower
from hasnas.search_spaces.snasnet import CellSpace
from hasnas.search_spaces.space import SPACES, Codes, all_codes, radices, sample, space_size

BUDGET = Budget({cost_of(field).name: limit for field, limit in LIMITS.items()})
MACRO = Macro(channels=128, final_pool=16, hidden=1024, votes=10)
HEAD_WEIGHTS = 500_000
CHIPS = tuple(
    (name, {"crossbar.size": size})
    for name in ("spikesim-65nm-rram", "rram-22nm", "rram-32nm")
    for size in ("64", "128")
)
CANDIDATES, BEST, ROUNDS, TURNS = 5000, 20, 6, 3
COUNTER = "depth"


@dataclass
class Search:
    """Cost screen, then score.

    Args:
        space: the space.
        pricer: of the chip.
        samples: how many architectures are drawn where the space is too large to price whole.
        score: what ranks those that fit.
    """

    space: CellSpace
    pricer: Pricer
    samples: int
    score: str = DEFAULT_SCORE
    priced: int = 0
    feasible: int = 0

    def run(self, seed: int) -> tuple[Codes, NDArray[np.float64]] | None:
        """Codes that fit and their scores, best first; None if nothing fits."""
        if space_size(self.space) <= self.samples:
            found = self._screened(np.concatenate(list(all_codes(self.space))))
            return self._ranked(found) if len(found) else None
        rng = np.random.default_rng(seed)
        found = self._screened(sample(self.space, rng, self.samples))
        for _ in range(ROUNDS if len(found) else 0):
            codes, _ = self._ranked(found)
            found = np.unique(np.concatenate([found, self._screened(self._neighbours(codes[:BEST]))]), axis=0)
        return self._ranked(found) if len(found) else None

    def _screened(self, drawn: Codes) -> Codes:
        canonical, connected = self.space.canonical(drawn)
        distinct = np.unique(canonical[connected], axis=0)
        self.priced += len(distinct)
        kept = distinct[BUDGET.check(self.pricer.costs(distinct)).feasible] if len(distinct) else distinct
        self.feasible += len(kept)
        return kept

    def _ranked(self, codes: Codes) -> tuple[Codes, NDArray[np.float64]]:
        result = SCORES.get(self.score)()(ScoringTask(self.space), codes)
        order = result.order()
        return codes[order], result.total[order]

    def _neighbours(self, codes: Codes) -> Codes:
        """Every change of one gene."""
        rows = []
        for gene, count in enumerate(radices(self.space)):
            for choice in range(count):
                changed = codes.copy()
                changed[:, gene] = choice
                rows.append(changed)
        return np.concatenate(rows)


def head_weights(space: CellSpace, codes: tuple[int, ...]) -> int:
    """Trainable parameters of the fully connected layers."""
    graph = space.decode(codes).expand()
    return sum(node.parameter_count for node in graph.nodes if isinstance(node.operation, Linear))


def published() -> None:
    """What the networks on the published macros break."""
    print("| published macro | " + " | ".join(f"{name} {values['crossbar.size']}" for name, values in CHIPS) + " |")
    print("|---" * (len(CHIPS) + 1) + "|")
    for name, architecture in networks().items():
        network = lower(architecture.expand())
        verdicts = " | ".join(verdict(network, chip, Activity.dense()) for chip in CHIPS)
        print(f"| {name} | {verdicts} |", flush=True)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--loop-seconds", type=float, required=True)
    parser.add_argument("--samples", type=int, default=40_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--spaces", nargs="+", default=["snasnet", "hasnas"])
    given = parser.parse_args()
    published()
    loop = CANDIDATES * given.loop_seconds
    print(f"\nSNASNet's loop: {CANDIDATES} x {given.loop_seconds} s = {loop:,.0f} s\n")
    print("| space | chip | fit / priced | pick | score | parameters (head) | mm2 | ms | uJ | CPU s, "
          f"median of {TURNS} | counter's CPU s | counter over ours | the loop over ours | over the counter |\n|"
          + "---|" * 14)  # fmt: skip
    for name in given.spaces:
        space = SPACES.get(name)(MACRO)
        warm = sample(space, np.random.default_rng(1), 64)
        for chip in CHIPS:
            pricer = Pricer(space, load_hardware(*chip), Activity.dense())
            pricer.costs(space.canonical(warm)[0][space.canonical(warm)[1]])  # compiles what was not compiled yet
            spent: dict[str, list[float]] = {DEFAULT_SCORE: [], COUNTER: []}
            for _ in range(TURNS):
                for score in (COUNTER, DEFAULT_SCORE):
                    search, start = Search(space, pricer, given.samples, score), time.process_time()
                    found = search.run(given.seed)
                    spent[score].append(time.process_time() - start)
            label = f"| {name} | {chip[0]} {chip[1]['crossbar.size']} | {search.feasible} / {search.priced} "
            if found is None:
                print(f"{label}| nothing fits |" + " |" * 10, flush=True)
                continue
            codes, scores = found
            pick = tuple(codes[0].tolist())
            costs = pricer.costs(codes[:1]).row(0)
            head = head_weights(space, pick)
            fits = head <= HEAD_WEIGHTS and all(costs[field] <= limit for field, limit in LIMITS.items())
            ours, counter = (statistics.median(spent[score]) for score in (DEFAULT_SCORE, COUNTER))
            ratio = statistics.median(
                theirs / own for theirs, own in zip(spent[COUNTER], spent[DEFAULT_SCORE], strict=True)
            )
            print(
                f"{label}| {''.join(map(str, pick))}{'' if fits else ' BREAKS'} | {scores[0]:.2f} "
                f"| {costs['parameters']:,.0f} ({head:,}) | {costs['area_m2'] * 1e6:.1f} "
                f"| {costs['latency_s'] * 1e3:.3g} | {costs['energy_j'] * 1e6:.1f} | {ours:.2f} | {counter:.2f} "
                f"| {ratio:.2f}x | {loop / ours:,.0f}x | {loop / counter:,.0f}x |",
                flush=True,
            )


if __name__ == "__main__":
    main()
