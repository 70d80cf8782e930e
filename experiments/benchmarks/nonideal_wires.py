"""The fast model of wire resistance against the exact nodal solve, and the current ratios of a fully driven array.

python experiments/benchmarks/nonideal_wires.py --seeds 5
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from hasnas.cim_estimator.nonideal import loaded_conductance, solve_array, transfer_conductance

RATIOS = {1.0: 2.72, 2.5: 5.26}  # 128 x 128 cells of 10 kohm, all rows driven
PATTERNS = 50


def one_array(rows: int, wire_ohm: float, spikes: float, seed: int) -> tuple[float, ...]:
    """Share lost in the wires, errors of the fast model relative to the mean output, CPU seconds of both."""
    rng = np.random.default_rng(seed)
    cells = rng.uniform(1e-6, 1e-4, (rows, rows))
    drive = (rng.random((PATTERNS, rows)) < spikes).astype(float)
    start = time.process_time()
    exact = drive @ transfer_conductance(cells, wire_ohm, wire_ohm)
    solved = time.process_time()
    fast = drive @ loaded_conductance(cells, wire_ohm, wire_ohm, tolerance=1e-4)
    done = time.process_time()
    error, mean = np.abs(fast - exact), exact.mean()
    lost = 1 - mean / (drive @ cells).mean()
    return lost, error.mean() / mean, error.max() / mean, solved - start, done - solved


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    print("| 128 x 128, 10 kohm, all rows driven | max / min cell current | reference |\n|---|---|---|")
    for wire_ohm, reference in RATIOS.items():
        voltage = solve_array(np.full((128, 128), 1e-4), np.ones(128), wire_ohm, wire_ohm).cell_voltage_v
        print(f"| {wire_ohm} ohm per segment | {voltage.max() / voltage.min():.4f} | {reference} |")
    columns = "ohm per segment | active rows | lost in wires | mean error | largest error | CPU s exact | CPU s fast"
    print(f"\n| rows x columns | {columns} |")
    print("|---|---|---|---|---|---|---|---|")
    for rows in (32, 64, 128, 256):
        for wire_ohm in RATIOS:
            for spikes in (0.1, 0.5):
                runs = np.array([one_array(rows, wire_ohm, spikes, seed) for seed in range(options.seeds)])
                (lost, mean, largest, exact_s, fast_s), spread = runs.mean(0), runs[:, 1].std()
                print(
                    f"| {rows} x {rows} | {wire_ohm} | {spikes:.0%} | {lost:.1%} | {mean:.3%} +- {spread:.3%} "
                    f"| {largest:.2%} | {exact_s:.3f} | {fast_s:.4f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
