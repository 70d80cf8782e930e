"""What a search returned beside the plain chain and the random candidate of the same run, paired over seeds.

    python experiments/benchmarks/against_baselines.py dataset.root=DATA retrain.epochs=12 \
        --config experiments/nmnist.yaml --out DIR --seeds 0 1 2 3 4

Each seed is a run of its own: split, search and trainings are new. All three networks keep to the same budget and are
trained with the same schedule and seed; each reads the test split once. With `--trainings N` (or `retrain.seeds=N`)
each run's networks are trained N times, a row each: a dear search is needed once. A run that was killed goes on.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from intervals import interval

from hasnas.files import write_atomic
from hasnas.nas.history.layout import LEDGER_FILE
from hasnas.nas.history.ledger import read_ledger
from hasnas.nas.history.returned import BASELINE_PREFIX, STAGE
from hasnas.nas.history.run_config import load_run_config
from hasnas.nas.history.trial import Trial
from hasnas.nas.stages.context import Setup
from hasnas.nas.stages.evaluation import splits_of
from hasnas.nas.stages.progress import Console
from hasnas.nas.stages.supernet import data_reference
from hasnas.nas.training.evaluation import evaluate
from hasnas.nas.training.retrain import retrain

BASELINES = ("chain", "random")


def run(config: Path, seed: int, overrides: list[str], directory: Path) -> dict[str, Any]:
    """The status of a run, which is made or gone on with first; kept in a file."""
    path = directory.with_suffix(".json")
    if path.exists():
        return dict(json.loads(path.read_text()))
    command = [sys.executable, "-m", "hasnas"]
    search = ["search", str(config), f"seed={seed}", *overrides, "--run-dir", str(directory)]
    subprocess.run([*command, *search], check=True, stdout=subprocess.DEVNULL)
    told = subprocess.run([*command, "status", str(directory), "--json"], check=True, capture_output=True, text=True)
    write_atomic(path, told.stdout)
    return dict(json.loads(told.stdout))


def trained(status: dict[str, Any], directory: Path) -> dict[int, list[Trial]]:
    """The returned network and each baseline, by the seed of the training."""
    best = [status["returned"][0], *(next(of_kind(status, name)) for name in BASELINES)]
    found: dict[int, list[Trial]] = {}
    trials = [trial for trial in read_ledger(directory / LEDGER_FILE).trials if "test_accuracy" in trial.metrics]
    for stage, network in zip((STAGE, *(BASELINE_PREFIX + name for name in BASELINES)), best, strict=True):
        for trial in trials:
            if (trial.stage, trial.key) == (stage, network["key"]):
                found.setdefault(trial.seed, []).append(trial)
    return found


def of_kind(status: dict[str, Any], name: str) -> Iterator[dict[str, Any]]:
    """The baselines of one kind, the best by validation first."""
    return (each for each in status["baselines"] if each["baseline"] == name)


def further(networks: list[Trial], seed: int, directory: Path) -> list[float]:
    """Test accuracies of a run's networks, trained once more with its data and schedule from another seed."""
    path = directory.with_name(f"{directory.name}-training-{seed}.json")
    found: list[float] = json.loads(path.read_text()) if path.exists() else []
    setup = Setup(load_run_config(directory), Console())
    splits = splits_of(data_reference(setup))
    for place, network in enumerate(networks[len(found) :], start=len(found)):
        folder = directory.with_name(f"{directory.name}-training-{seed}-{place}")
        result = retrain(network.architecture, splits, setup.config.retrain, seed, folder)
        found.append(evaluate(result.network(network.architecture), splits.test))
        write_atomic(path, json.dumps(found) + "\n")
    return found


def main() -> None:
    """Run all seeds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--trainings", type=int, default=1, help="of each network, from the seed of its run on")
    parser.add_argument("overrides", nargs="*")
    options = parser.parse_args()
    print("| seed | returned | plain chain | random | measured energy in nJ of each |")
    print("|---|---|---|---|---|")
    rows = []
    for seed in options.seeds:
        directory = options.out / f"{options.config.stem}-{seed}"
        status = run(options.config, seed, options.overrides, directory)
        found, number = [], seed
        for number, found in trained(status, directory).items():
            rows.append([100 * each.metrics["test_accuracy"] for each in found])
            shown = " | ".join(f"{value:.2f}" for value in rows[-1])
            energies = ", ".join(f"{1e9 * each.costs['energy_j']:.0f}" for each in found)
            print(f"| {number} | {shown} | {energies} |", flush=True)
        for more in range(number + 1, seed + options.trainings):
            rows.append([100 * accuracy for accuracy in further(found, more, directory)])
            print(f"| {more} | {' | '.join(f'{value:.2f}' for value in rows[-1])} | |", flush=True)
    table = np.array(rows)
    print(f"| mean | {' | '.join(f'{value:.2f}' for value in table.mean(axis=0))} | |")
    if len(rows) > 1:
        for column, name in enumerate(BASELINES, start=1):
            print(f"returned minus {name}, points: {interval(table[:, 0] - table[:, column])}")


if __name__ == "__main__":
    main()
