"""N-MNIST in five folds: a searched network beside a VGG-style one of equal energy, on the same recordings.

    hasnas search experiments/nmnist.yaml dataset.root=DATA retrain.enabled=false --run-dir RUN
    python experiments/benchmarks/nmnist_folds.py --run RUN --data-root DATA --out DIR

The searched cells are the run's best; they were found without training, so that no fold was seen. The baseline is two
cells of two 3x3 convolutions in a row with max pooling between them; its channels are those whose dense energy on the
same chip comes nearest. Each fold holds out a fifth of all 1,100 recordings, stratified; a tenth of the rest chooses
the epoch. A fold's held-out recordings are read once for each network. A killed run goes on.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import t as student
from sklearn.model_selection import StratifiedKFold

from hasnas.cim_estimator import Activity, estimate
from hasnas.cim_estimator.hardware.presets_reader import HardwareSpec
from hasnas.files import write_atomic
from hasnas.nas.config.training import RetrainSection
from hasnas.nas.data.samples import Split, Splits, load_splits
from hasnas.nas.history.goal import front
from hasnas.nas.history.layout import LEDGER_FILE
from hasnas.nas.history.ledger import read_ledger
from hasnas.nas.stages.context import Setup
from hasnas.nas.stages.progress import Console
from hasnas.nas.tracking.status import load_run_config
from hasnas.nas.training.evaluation import evaluate, measure_activity
from hasnas.nas.training.retrain import retrain
from hasnas.search_spaces import Architecture, Edge, Genotype
from hasnas.search_spaces.lowering import lower

CHAIN = Genotype(3, (Edge(0, 1, "conv3x3"), Edge(1, 2, "conv3x3")))
FOLDS = 5
MOST_CHANNELS = 64


def energy_j(architecture: Architecture, hardware: HardwareSpec, rates: dict[str, float] | None = None) -> float:
    """Energy of a sample, dense or with measured activity."""
    activity = Activity.dense() if rates is None else Activity.measured()
    return float(estimate(lower(architecture.expand(), rates), hardware, activity).costs()["energy_j"])


def baseline(searched: Architecture, hardware: HardwareSpec) -> Architecture:
    """The VGG-style network whose dense energy is nearest to the searched one's."""
    wanted = energy_j(searched, hardware)
    macros = [replace(searched.macro, channels=channels, reduction="max_pool") for channels in range(4, MOST_CHANNELS)]
    candidates = [Architecture((CHAIN, CHAIN), macro) for macro in macros]
    return min(candidates, key=lambda each: abs(energy_j(each, hardware) - wanted))


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
    name: str, architecture: Architecture, fold: int, splits: Splits, settings: RetrainSection, out: Path
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
            "rates": measure_activity(network, splits.validation),
            "cpu_s": time.process_time() - start,
        }
        write_atomic(path, json.dumps(found) + "\n")
    found = dict(json.loads(path.read_text()))
    print(f"{name}, fold {fold}: test {found['test']:.2%}, {found['cpu_s']:.0f} CPU s", flush=True)
    return found


def interval(values: np.ndarray) -> str:
    """Mean with its 95 % interval over folds (Student's t)."""
    half = student.ppf(0.975, len(values) - 1) * values.std(ddof=1) / len(values) ** 0.5
    return f"{100 * values.mean():.2f} ({100 * (values.mean() - half):.2f} to {100 * (values.mean() + half):.2f})"


def table(found: dict[str, list[dict[str, Any]]], networks: dict[str, Architecture], hardware: HardwareSpec) -> str:
    """Markdown of what was found."""
    lines = [
        "| network | accuracy, mean of folds (95 %) | by fold | parameters | dense uJ | measured uJ | CPU s |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, architecture in networks.items():
        tests = np.array([item["test"] for item in found[name]])
        measured = np.mean([energy_j(architecture, hardware, item["rates"]) for item in found[name]])
        each = ", ".join(f"{100 * value:.2f}" for value in tests)
        seconds = np.mean([item["cpu_s"] for item in found[name]])
        lines.append(
            f"| {name} | {interval(tests)} | {each} | {architecture.expand().parameter_count:,} | "
            f"{1e6 * energy_j(architecture, hardware):.3f} | {1e6 * measured:.3f} | {seconds:.0f} |"
        )
    first, second = (np.array([item["test"] for item in found[name]]) for name in networks)
    lines += ["", f"paired difference, searched minus VGG-style, in points: {interval(first - second)}"]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--data-root", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--folds", type=int, nargs="+", default=list(range(FOLDS)))
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    config = load_run_config(options.run)
    setup = Setup(config, Console())
    best = front(read_ledger(options.run / LEDGER_FILE).trials)[0]
    searched = Architecture.from_json(best.architecture)
    networks = {"searched": searched, "VGG-style": baseline(searched, setup.hardware)}
    section = config.dataset
    divided = folds(load_splits(section.name, options.data_root, section.validation_share, 0, section.chosen_framing))
    found = {
        name: [judge(name, each, fold, divided[fold], setup.config.retrain, options.out) for fold in options.folds]
        for name, each in networks.items()
    }
    print(table(found, networks, setup.hardware))


if __name__ == "__main__":
    main()
