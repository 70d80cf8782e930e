"""8-bit weights from search to chip beside float weights, on the networks that runs returned; prints Markdown.

    python experiments/benchmarks/against_baselines.py ... --out RUNS          # trains with float weights
    python experiments/benchmarks/weight_bits.py --runs RUNS/mnist-0 RUNS/mnist-1 RUNS/mnist-2 --out DIR

Each run's returned network and its plain chain are trained once more with 8-bit weights, with the run's data, schedule
and seed; accuracies are those on the run's test samples, read once. Both are priced on the same chips with the spikes
that the float network was measured with, beside the networks of `cim_hasnas.py` with dense activity: 8 bits take the
cells that 8 bits need, "float" those of 32 bits (a crossbar holds whole numbers, so that 32 bits stand for single
precision), 16 bits beside them. Without runs only those are priced.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from cim_hasnas import networks
from intervals import interval

from hasnas.cim_estimator import Activity, Workload, estimate, load_hardware
from hasnas.files import write_atomic
from hasnas.nas.history.layout import LEDGER_FILE
from hasnas.nas.history.ledger import read_ledger
from hasnas.nas.history.returned import BASELINE_PREFIX, STAGE
from hasnas.nas.history.run_config import load_run_config
from hasnas.nas.history.trial import Trial
from hasnas.nas.stages.context import Setup
from hasnas.nas.stages.evaluation import INPUT_RATE_PREFIX, splits_of
from hasnas.nas.stages.progress import Console
from hasnas.nas.stages.supernet import data_reference
from hasnas.nas.training.evaluation import evaluate
from hasnas.nas.training.retrain import retrain
from hasnas.search_spaces import Architecture
from hasnas.search_spaces.lowering import lower

CHIPS, FLOAT_BITS, BITS = ("rram-22nm", "rram-32nm"), 32, 8
COSTS = ("area_m2", "latency_s", "energy_j")
PUBLISHED = ("CIFAR-10 released, 256 channels, p=4", "2 x conv3x3 a cell, 128 channels")
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


def prices(network: Workload, activity: Activity, chip: str, bits: int) -> np.ndarray:
    """Area, latency and energy of a network with weights of so many bits."""
    hardware = load_hardware(chip, {"precision.weight_bits": str(bits)})
    costs = estimate(network, hardware, activity).costs()
    return np.array([float(costs[name]) for name in COSTS])


def priced(trials: Sequence[Trial]) -> dict[str, tuple[list[Workload], Activity]]:
    """The groups of networks that are priced: those of the runs, the published ones."""
    found: dict[str, tuple[list[Workload], Activity]] = {}
    for trial in trials:
        rates = {
            name.removeprefix(INPUT_RATE_PREFIX): value
            for name, value in trial.metrics.items()
            if name.startswith(INPUT_RATE_PREFIX)
        }
        group = found.setdefault("the runs' networks", ([], Activity.measured()))
        group[0].append(lower(Architecture.from_json(trial.architecture).expand(), rates))
    for name in PUBLISHED:
        found[name] = [lower(networks()[name].expand())], Activity.dense()
    return found


def savings(trials: Sequence[Trial]) -> None:
    """Print what weights of few bits cost on each chip, and what they save."""
    print("| networks | chip | weights | area mm2 | latency us | energy nJ | area saved | latency | energy saved |")
    print("|---" * 9 + "|")
    for name, (workloads, activity) in priced(trials).items():
        for chip in CHIPS:
            whole = np.array([prices(each, activity, chip, FLOAT_BITS) for each in workloads])
            for bits in (FLOAT_BITS, 16, BITS):
                costs = np.array([prices(each, activity, chip, bits) for each in workloads])
                area, latency, energy = costs.mean(axis=0) * (1e6, 1e6, 1e9)
                share = np.mean(costs / whole, axis=0)
                print(f"| {name} | {chip} | {bits} bits | {area:.3f} | {latency:.1f} | {energy:,.0f} | "
                      f"{1 - share[0]:.1%} | {1 / share[1]:.2f}x | {1 - share[2]:.1%} |")  # fmt: skip


def main() -> None:
    """Train what is not trained yet and print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, nargs="*", default=[])
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
                few = 100 * eight_bits(trial, setup, options.out / f"{run.name}_{trial.key}_{trial.seed}.json")
                name = KINDS[trial.stage]
                print(f"| {run.name} | {name} | {plain:.2f} | {few:.2f} | {few - plain:+.2f} |", flush=True)
                trials.append(trial)
                above.append(few - plain)
    if len(above) > 1:
        print(f"\nmean in points: {interval(above)}\n")
    savings(trials)


if __name__ == "__main__":
    main()
