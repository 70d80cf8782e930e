"""Training-free scores beside the depth counter, on tables of trained networks; Markdown.

    python experiments/benchmarks/spikenas_scores.py --data cifar10.npz cifar100.npz
    python experiments/benchmarks/spikenas_scores.py --data cifar100.npz --images DATA --networks 90

`held out` leaves out the classes of `spikenas_development_ids.txt` where a table has all architectures. Differences to
depth are of Spearman's correlation with test accuracy on the same rows; their intervals (95 %) are from drawing
architectures again, with repeats, for both scores at once. `top` is the share of the true best within the best by
score: 1 % within 10 %, of small tables 5 % within 20 %. With images, scores that run networks are judged on a
systematic part of the table, and counters and mean fields on the same part.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from spikenas_split import ARCHITECTURES, read_development_ids

from hasnas.nas.bench.bench_proxies import (
    GRADIENT_SCORES,
    as_ranked,
    bootstrap,
    interval,
    read_images,
    systematic_rows,
    top_share,
)
from hasnas.nas.bench.table import BenchmarkTable, read_table
from hasnas.nas.scoring import NETWORK_SCORES, SCORES, ScoringTask
from hasnas.nas.scoring.correlation import spearman

RESAMPLES = 500
SMALL = 1000
CHANNELS, TIMESTEPS, BATCH, GRADIENT_BATCH = 32, 3, 32, 16


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, nargs="+", required=True)
    parser.add_argument("--images", type=Path, help="folder of cifar10_jpeg.npz")
    parser.add_argument("--networks", type=int, default=90)
    parser.add_argument("--scores", nargs="+")
    given = parser.parse_args()
    names = given.scores or [name for name in SCORES.names() if given.images or name not in NETWORK_SCORES]
    print("| score | table | rows | Spearman | minus depth | 95 % | top | us each |\n|" + "---|" * 8)
    for path in given.data:
        table = read_table(path)
        for label, rows in parts(table, given.networks if given.images else None).items():
            print_part(table, f"{path.stem}, {label}", rows, names, given.images)


def parts(table: BenchmarkTable, networks: int | None) -> dict[str, NDArray[np.int64]]:
    """Rows by what is said of them."""
    if networks is not None:
        return {"systematic": systematic_rows(table, networks)}
    whole = {"all": np.arange(len(table))}
    if len(table) < ARCHITECTURES:
        return whole
    return {**whole, "held out": np.flatnonzero(~np.isin(table.ids, read_development_ids()))}


def print_part(
    table: BenchmarkTable, label: str, rows: NDArray[np.int64], names: list[str], images: Path | None
) -> None:
    """The rows of one table."""
    truth = table.test[rows]
    depth, _ = scored(table, "depth", rows, None)
    shares = (0.05, 0.2) if len(rows) < SMALL else (0.01, 0.1)
    for name in names:
        value, seconds = scored(table, name, rows, images)
        found = spearman(value, truth)
        drawn, of_depth = bootstrap(truth, value, depth, resamples=RESAMPLES).T
        low, high = interval(drawn - of_depth)
        print(f"| {name} | {label} | {len(rows)} | {found:.3f} | {found - spearman(depth, truth):+.3f} "
              f"| {low:+.3f} to {high:+.3f} | {top_share(value, truth, *shares):.2f} "
              f"| {1e6 * seconds / len(rows):.3g} |", flush=True)  # fmt: skip


def scored(
    table: BenchmarkTable, name: str, rows: NDArray[np.int64], images: Path | None
) -> tuple[NDArray[np.float64], float]:
    """A score of each row, disconnected ones last, and the seconds of processor time that all took."""
    task = ScoringTask(table.space)
    if name in NETWORK_SCORES and images is not None:
        inputs, targets = read_images(images, GRADIENT_BATCH if name in GRADIENT_SCORES else BATCH)
        macro = replace(table.space.macro, channels=CHANNELS, timesteps=TIMESTEPS)
        task = ScoringTask(replace(table.space, macro=macro), inputs, targets)
    score = SCORES.get(name)()
    score(task, table.codes[rows[:2]])  # what is made once for a space is not the price of a candidate
    began = time.process_time()
    total = score(task, table.codes[rows]).total
    return as_ranked(total), time.process_time() - began


if __name__ == "__main__":
    main()
