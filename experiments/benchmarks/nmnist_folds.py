"""N-MNIST in five folds: a searched network, the plain chain of its space and random cells, on the same recordings.

    hasnas search experiments/nmnist.yaml dataset.root=DATA retrain.enabled=false --run-dir RUN
    python experiments/benchmarks/nmnist_folds.py --run RUN --data-root DATA --out DIR --epochs 12

The searched cells are the run's best; they were found without training, so that no fold was seen. The chain is the one
that a run compares itself with (`retrain.baselines`); the random candidate is another one in every fold. All keep to
the run's budget and are trained alike. Each fold holds out a fifth of all 1,100 recordings, stratified; a tenth of the
rest chooses the epoch. A fold's held-out recordings are read once for each network. A killed run goes on.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from intervals import interval
from sklearn.model_selection import StratifiedKFold

from hasnas.cim_estimator import Activity, estimate
from hasnas.cim_estimator.hardware.presets_reader import HardwareSpec
from hasnas.files import write_atomic
from hasnas.nas.budget.region import admission, draw_inside
from hasnas.nas.config.training import RetrainSection
from hasnas.nas.data.samples import Split, Splits, load_splits
from hasnas.nas.history.goal import front
from hasnas.nas.history.layout import LEDGER_FILE
from hasnas.nas.history.ledger import read_ledger
from hasnas.nas.history.run_config import load_run_config
from hasnas.nas.stages.chosen import plain_chains
from hasnas.nas.stages.context import Setup
from hasnas.nas.stages.progress import Console
from hasnas.nas.training.evaluation import evaluate, measure_activity
from hasnas.nas.training.retrain import retrain
from hasnas.search_spaces import Architecture
from hasnas.search_spaces.lowering import lower

FOLDS = 5
SEARCHED, CHAIN, RANDOM = "searched", "chain", "random"


def energy_j(architecture: Architecture, hardware: HardwareSpec, rates: dict[str, float] | None = None) -> float:
    """Energy of a sample, dense or with measured activity."""
    activity = Activity.dense() if rates is None else Activity.measured()
    return float(estimate(lower(architecture.expand(), rates), hardware, activity).costs()["energy_j"])


def networks_of(setup: Setup, run: Path) -> dict[str, list[Architecture]]:
    """The network of each fold: the run's best, the plain chain within its budget, and candidates within it."""
    best = front(read_ledger(run / LEDGER_FILE).trials)[0]
    (chain,) = plain_chains(setup, best.codes)
    admits = admission(setup.pricer, setup.budget)
    drawn = draw_inside(setup.space, admits, np.random.default_rng(setup.config.seed), FOLDS)
    return {
        SEARCHED: [Architecture.from_json(best.architecture)] * FOLDS,
        CHAIN: [chain.architecture] * FOLDS,
        RANDOM: [setup.architecture(tuple(codes)) for codes in drawn.tolist()],
    }


def folds(splits: Splits) -> list[Splits]:
    """All recordings, five times divided; the validation part is a tenth of what is not held out."""
    parts = (splits.train, splits.validation, splits.test)
    whole = Split(torch.cat([part.inputs for part in parts]), torch.cat([part.targets for part in parts]))
    divided = []
    for kept, held in StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(whole.inputs, whole.targets):
        order = torch.from_numpy(np.random.default_rng(0).permutation(kept))
        few = len(order) // 10
        divided.append(
            replace(
                splits,
                train=whole.take(order[few:]),
                validation=whole.take(order[:few]),
                test=whole.take(torch.from_numpy(held)),
            )
        )
    return divided


def judge(
    name: str,
    architecture: Architecture,
    fold: int,
    splits: Splits,
    settings: RetrainSection,
    hardware: HardwareSpec,
    out: Path,
) -> dict[str, Any]:
    """Train one network on one fold, and read its held-out recordings."""
    path = out / f"{name}_{fold}.json"
    if not path.exists():
        start, tree = time.process_time(), architecture.to_json()
        result = retrain(tree, splits, settings, fold, out / f"{name}_{fold}")
        network = result.network(tree)
        found = {
            "test": evaluate(network, splits.test),
            "validation": result.merit,
            "dense_j": energy_j(architecture, hardware),
            "measured_j": energy_j(architecture, hardware, measure_activity(network, splits.validation)),
            "cpu_s": time.process_time() - start,
        }
        write_atomic(path, json.dumps(found) + "\n")
    found = dict(json.loads(path.read_text()))
    print(f"{name}, fold {fold}: test {found['test']:.2%}, {found['cpu_s']:.0f} CPU s", flush=True)
    return found


def table(found: dict[str, list[dict[str, Any]]], networks: dict[str, list[Architecture]], folds: Sequence[int]) -> str:
    """Markdown of what was found."""
    lines = [
        "| network | accuracy, mean of folds (95 %) | by fold | parameters | dense uJ | measured uJ | CPU s |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, rows in found.items():
        tests = np.array([item["test"] for item in rows])
        each = ", ".join(f"{100 * value:.2f}" for value in tests)
        means = {key: np.mean([item[key] for item in rows]) for key in ("dense_j", "measured_j", "cpu_s")}
        parameters = np.mean([networks[name][fold].expand().parameter_count for fold in folds])
        lines.append(
            f"| {name} | {interval(100 * tests, '.2f')} | {each} | {parameters:,.0f} | {1e6 * means['dense_j']:.3f} | "
            f"{1e6 * means['measured_j']:.3f} | {means['cpu_s']:.0f} |"
        )
    first = np.array([item["test"] for item in found[SEARCHED]])
    for name in (CHAIN, RANDOM):
        other = np.array([item["test"] for item in found[name]])
        difference = interval(100 * (first - other), ".2f")
        lines += ["", f"paired difference, searched minus {name}, in points: {difference}"]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--data-root", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--folds", type=int, nargs="+", default=list(range(FOLDS)))
    parser.add_argument("--epochs", type=int, help="in place of the config's")
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    config = load_run_config(options.run)
    setup = Setup(config, Console())
    networks, section = networks_of(setup, options.run), config.dataset
    settings = config.retrain.with_changes({"epochs": options.epochs} if options.epochs else {})
    divided = folds(load_splits(section.name, options.data_root, section.validation_share, 0, section.chosen_framing))
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in networks}
    for fold in options.folds:
        for name, each in networks.items():
            found[name].append(judge(name, each[fold], fold, divided[fold], settings, setup.hardware, options.out))
    print(table(found, networks, options.folds))


if __name__ == "__main__":
    main()
