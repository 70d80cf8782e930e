"""8-bit weights from search to chip beside float weights, on the networks that runs returned; prints Markdown.

    python experiments/benchmarks/against_baselines.py ... --out RUNS          # trains with float weights
    python experiments/benchmarks/weight_bits.py --runs RUNS/mnist-0 RUNS/mnist-1 RUNS/mnist-2 --out DIR

Each run's returned network and its plain chain are trained once more with 8-bit weights, with the run's data, schedule
and seed; accuracies are those on the run's test samples, read once. Both are priced on the same chips with the spikes
that the float network was measured with: 8 bits take the cells that 8 bits need, "float" those of 32 bits (a chip of
crossbars holds whole numbers, so that 32 bits stand for single precision), 16 bits beside them.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from scipy.stats import t as student

from hasnas.cim_estimator import Activity, estimate, load_hardware
from hasnas.files import write_atomic
from hasnas.nas.history.layout import LEDGER_FILE
from hasnas.nas.history.ledger import read_ledger
from hasnas.nas.history.returned import BASELINE_PREFIX, STAGE
from hasnas.nas.history.trial import Trial
from hasnas.nas.stages.context import Setup
from hasnas.nas.stages.evaluation import INPUT_RATE_PREFIX, splits_of
from hasnas.nas.stages.progress import Console
from hasnas.nas.stages.supernet import data_reference
from hasnas.nas.tracking.status import load_run_config
from hasnas.nas.training.evaluation import evaluate
from hasnas.nas.training.retrain import retrain
from hasnas.search_spaces import Architecture
from hasnas.search_spaces.lowering import lower

CHIPS, FLOAT_BITS, BITS = ("rram-22nm", "rram-32nm"), 32, 8
COSTS = ("area_m2", "latency_s", "energy_j")
KINDS = {STAGE: "returned", BASELINE_PREFIX + "chain": "plain chain"}


def eight_bits(trial: Trial, setup: Setup, path: Path) -> float:
    """Test accuracy of a run's network, trained as there but with 8-bit weights."""
    if not path.exists():
        found = Architecture.from_json(trial.architecture)
        tree = replace(found, macro=replace(found.macro, weight_bits=BITS)).to_json()
        splits = splits_of(data_reference(setup))
        result = retrain(tree, splits, setup.config.retrain, trial.seed, path.with_suffix(""))
        write_atomic(path, json.dumps(evaluate(result.network(tree), splits.test)) + "\n")
    return float(json.loads(path.read_text()))


def prices(trial: Trial, chip: str, bits: int) -> np.ndarray:
    """Area, latency and energy of a network with weights of so many bits, with its measured spikes."""
    rates = {
        name.removeprefix(INPUT_RATE_PREFIX): value
        for name, value in trial.metrics.items()
        if name.startswith(INPUT_RATE_PREFIX)
    }
    hardware = load_hardware(chip, {"precision.weight_bits": str(bits)})
    costs = estimate(lower(Architecture.from_json(trial.architecture).expand(), rates), hardware, Activity.measured())
    return np.array([float(costs.costs()[name]) for name in COSTS])


def main() -> None:
    """Train what is not trained yet and print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, nargs="+", required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    trials: list[Trial] = []
    above: list[float] = []
    print("| run | network | float, test | 8 bits, test | 8 bits minus float, points |\n|---|---|---|---|---|")
    for run in options.runs:
        setup = Setup(load_run_config(run), Console())
        for trial in read_ledger(run / LEDGER_FILE).trials:
            if trial.stage in KINDS:
                plain = 100 * trial.metrics["test_accuracy"]
                few = 100 * eight_bits(trial, setup, options.out / f"{run.name}_{trial.key}.json")
                name = KINDS[trial.stage]
                print(f"| {run.name} | {name} | {plain:.2f} | {few:.2f} | {few - plain:+.2f} |", flush=True)
                trials.append(trial)
                above.append(few - plain)
    half = student.ppf(0.975, len(above) - 1) * np.std(above, ddof=1) / len(above) ** 0.5
    print(f"\nmean {np.mean(above):+.2f} points ({np.mean(above) - half:+.2f} to {np.mean(above) + half:+.2f})\n")
    print("| chip | weights | area mm2 | latency us | energy nJ | against float: area saved | latency | energy saved |")
    print("|---" * 8 + "|")
    for chip in CHIPS:
        whole = np.array([prices(trial, chip, FLOAT_BITS) for trial in trials])
        for bits in (FLOAT_BITS, 16, BITS):
            costs = np.array([prices(trial, chip, bits) for trial in trials])
            area, latency, energy = costs.mean(axis=0) * (1e6, 1e6, 1e9)
            share = np.mean(costs / whole, axis=0)
            print(f"| {chip} | {bits} bits | {area:.3f} | {latency:.1f} | {energy:.0f} | {1 - share[0]:.1%} | "
                  f"{1 / share[1]:.2f}x | {1 - share[2]:.1%} |")  # fmt: skip


if __name__ == "__main__":
    main()
