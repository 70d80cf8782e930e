"""Rank correlation of training-free scores with trained test accuracy: all architectures, and those not developed on.

    python experiments/benchmarks/spikenas_scores.py --data cifar10.npz

Prints Markdown. `all` are the 15,625; `held out` leaves out the classes of `spikenas_development_ids.txt`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from spikenas_split import read_development_ids

from hasnas.nas.bench.bench_proxies import proxy_row
from hasnas.nas.bench.table import read_table
from hasnas.nas.scoring import NETWORK_SCORES, SCORES, ScoringTask

COLUMNS = ("spearman", "spearman_alive", "kendall", "spearman_at_depth_1", "spearman_at_depth_2", "spearman_at_depth_3",
           "top_share")  # fmt: skip


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--scores", nargs="+", default=[name for name in SCORES.names() if name not in NETWORK_SCORES])
    given = parser.parse_args()
    table = read_table(given.data)
    held_out = np.flatnonzero(~np.isin(table.ids, read_development_ids()))
    print("| score | rows | " + " | ".join(COLUMNS) + " | us each |\n|" + "---|" * (len(COLUMNS) + 3))
    for name in given.scores:
        for label, rows in (("all", np.arange(len(table))), ("held out", held_out)):
            row = proxy_row(table, name, rows, ScoringTask(table.space))
            values = " | ".join(f"{row[column]:.3f}" for column in COLUMNS)
            print(f"| {name} | {label} {row['n']} | {values} | {1e6 * row['cpu_s']:.1f} |", flush=True)


if __name__ == "__main__":
    main()
