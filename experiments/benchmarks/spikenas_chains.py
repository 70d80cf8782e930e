"""Searches against plain chains at equal energy on SpikeNAS-Bench, where every network is trained to the end; Markdown.

    python experiments/benchmarks/spikenas_chains.py --data cifar10.npz --seeds 20

A plain chain has one, two or three 3x3 convolutions in a row in each cell, all behind neurons of one threshold. Its
energy on the chip, with the spikes of the trained network, is the limit of a search, which sees the validation accuracy
of what it evaluates; random cells keep to the same limit. Differences are in points of test accuracy, over seeds of the
search; each network of the table was trained once. Thresholds: 1.0, and the one that validation likes best.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from intervals import interval

from hasnas.cim_estimator import load_hardware
from hasnas.nas.bench.campaign import CELLS, Objective, play
from hasnas.nas.bench.table import read_table
from hasnas.search_spaces.spikenas_bench import id_of_codes

PLACES = {1: (2,), 2: (0, 4), 3: (0, 3, 5)}  # genes of the convolutions in a row
THRESHOLDS = {2: 0.5, 3: 1.0, 4: 1.5}
STRATEGIES, EVALUATIONS = ("regularized_evolution", "predictor"), (25, 50, 100)


def codes_of_chain(convolutions: int, choice: int) -> tuple[int, ...]:
    """The genes of a plain chain whose convolutions all have one threshold."""
    return tuple(choice if gene in PLACES[convolutions] else 0 for gene in range(6))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--hardware", default="rram-32nm")
    parser.add_argument("--seeds", type=int, default=20)
    options = parser.parse_args()
    table, hardware = read_table(options.data), load_hardware(options.hardware)
    everything = Objective(table, "energy_j", hardware=hardware)
    print("| chain | test | cells within its energy | random cell minus chain | strategy | "
          + " | ".join(f"after {count}, minus chain" for count in EVALUATIONS)
          + " |\n" + "|---" * (5 + len(EVALUATIONS)) + "|")  # fmt: skip
    for convolutions in PLACES:
        rows = {choice: table.row(id_of_codes(codes_of_chain(convolutions, choice))) for choice in THRESHOLDS}
        for choice in (3, max(rows, key=lambda each: table.validation[rows[each]])):
            row = rows[choice]
            limit = float(everything.costs["energy_j"][everything.cell_of_row[row]])
            within = Objective(table, "energy_j", hardware=hardware, given_limit=limit)
            chain, seeds = float(table.test[row]), range(options.seeds)
            drawn = [play(within, CELLS, 1, seed, known_costs=True).test_accuracy(1) - chain for seed in seeds]
            for strategy in STRATEGIES:
                played = [play(within, strategy, EVALUATIONS[-1], seed) for seed in seeds]
                ahead = [interval(np.array([each.test_accuracy(n) for each in played]) - chain) for n in EVALUATIONS]
                label = f"{convolutions} in a row, threshold {THRESHOLDS[choice]}"
                print(f"| {label} | {chain:.2f} | {within.feasible.sum()} | {interval(np.array(drawn))} | {strategy} | "
                      f"{' | '.join(ahead)} |", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
