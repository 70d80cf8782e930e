"""The digits demo over several seeds, evolution beside random search at the same number of evaluations.

python experiments/benchmarks/digits_seeds.py --out /tmp/digits --seeds 0 1 2
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

STRATEGIES = ("regularized_evolution", "random")


def run(config: str, directory: Path, seed: int, strategy: str, workers: int) -> dict[str, float]:
    """One run; its returned network's figures."""
    overrides = [f"seed={seed}", f"search.strategy={strategy}"]
    arguments = ["search", config, *overrides, "--run-dir", str(directory), "--workers", str(workers)]
    subprocess.run([sys.executable, "-m", "hasnas", *arguments], check=True, stdout=subprocess.DEVNULL)
    text = subprocess.run(
        [sys.executable, "-m", "hasnas", "status", str(directory), "--json"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    status = json.loads(text)
    best = max(status["returned"], key=lambda network: network["validation_accuracy"])
    everything_fits = all(network["fits"] for network in status["returned"])
    searched = max(member["validation_accuracy"] for member in status["front"])
    return {
        "test_accuracy": best["test_accuracy"],
        "validation_accuracy": best["validation_accuracy"],
        "inherited_accuracy": searched,
        "fits": everything_fits,
    }


def main() -> None:
    """Run all seeds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", default="experiments/digits.yaml")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    print("| strategy | seed | best inherited validation | returned: validation | returned: test | all fit |")
    print("|---|---|---|---|---|---|")
    for strategy in STRATEGIES:
        rows = []
        for seed in options.seeds:
            row = run(options.config, options.out / f"{strategy}-{seed}", seed, strategy, options.workers)
            rows.append(row)
            figures = " | ".join(
                f"{row[name]:.2%}" for name in ("inherited_accuracy", "validation_accuracy", "test_accuracy")
            )
            print(f"| {strategy} | {seed} | {figures} | {row['fits']} |", flush=True)
        tests = [row["test_accuracy"] for row in rows]
        spread = statistics.stdev(tests) if len(tests) > 1 else 0.0
        print(f"| {strategy} | mean ± sd | | | {statistics.mean(tests):.2%} ± {spread:.2%} | |", flush=True)


if __name__ == "__main__":
    main()
