"""Soft-LIF on images: the spiking network's error against T, and its synaptic operations beside multiply-accumulates.

`python experiments/benchmarks/soft_lif.py --out DIR --data-root DIR [--seeds 0] [--split validation] [--dataset mnist]`

Called again with another split, it reads out the stored training.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from hasnas.files import write_atomic
from hasnas.nas.config.training import RetrainSection
from hasnas.nas.data.samples import Split, Splits, load_splits
from hasnas.nas.training.evaluation import evaluate
from hasnas.nas.training.methods.readout import read_out
from hasnas.nas.training.methods.soft_lif import SoftLIFSettings, retrain, soft_lif_network
from hasnas.nas.training.state import load_tensors
from hasnas.search_spaces import Architecture, Edge, Genotype, Macro

TIMES = (1, 2, 3, 5, 8, 10, 15, 20, 30, 40, 50, 75, 100)
JUDGED_AT = 50


def architecture(splits: Splits, channels: int, tau: float) -> Architecture:
    """Stem, a convolution, a reduction, a convolution and a classifier; MNIST's maps are 14 x 14 and 7 x 7."""
    cell = Genotype(2, (Edge(0, 1, "conv3x3"),))
    planes, height, width = splits.train.inputs.shape[1:]
    stride = 2 if height > 16 else 1
    image, classes = (planes, height, width), splits.classes
    macro = Macro(image, classes, JUDGED_AT, channels, stem_stride=stride, hidden=0, votes=1, dropout=0.1, tau=tau)
    return Architecture((cell, cell), macro)


def settings(arguments: argparse.Namespace) -> RetrainSection:
    """The recipe."""
    return RetrainSection(
        epochs=arguments.epochs, batch_size=64, learning_rate=4e-3, weight_decay=1e-2, label_smoothing=0.0
    )


def run(seed: int, arguments: argparse.Namespace, splits: Splits) -> dict[str, Any]:
    """Train once and read out on the chosen split."""
    chosen, soft = (
        architecture(splits, arguments.channels, arguments.tau),
        SoftLIFSettings(gamma=arguments.gamma, noise=arguments.noise),
    )
    start = time.perf_counter()

    def report(epoch: int, metrics: Any) -> None:
        print(f"seed {seed} epoch {epoch}: {metrics['merit']:.2%}", flush=True)

    result = retrain(
        chosen.to_json(), splits, settings(arguments), seed, arguments.out / f"seed{seed}", report, soft_lif=soft
    )
    seconds = time.perf_counter() - start
    judged = getattr(splits, arguments.split)
    times = [moment for moment in TIMES if moment <= arguments.until]
    reading = read_out(result.network(chosen.to_json()), judged, max(times))
    rates = {
        name: accuracy_of_rates(chosen, result.state_dict, judged, how)
        for name, how in (("soft", soft), ("exact", SoftLIFSettings(0.0, 0.0)), ("undelayed", SoftLIFSettings(0, 0, 0)))
    }
    return {
        "seed": seed,
        "split": arguments.split,
        "samples": len(judged),
        "parameters": chosen.expand().parameter_count,
        "settings": {**settings(arguments).to_json(), "tau": arguments.tau, "soft_lif": asdict(soft)},
        "training_s": seconds,
        "rates_accuracy": rates,
        "spiking_accuracy": {moment: float(reading.accuracy[moment - 1]) for moment in times},
        "operations_ratio": {moment: reading.ratio(moment) for moment in times},
        "multiply_accumulates": reading.multiply_accumulates,
        "input_multiply_accumulates": reading.input_multiply_accumulates,
    }


def accuracy_of_rates(
    chosen: Architecture, state: dict[str, torch.Tensor], judged: Split, how: SoftLIFSettings
) -> float:
    """Accuracy of the network of rates with the same weights."""
    network = soft_lif_network(chosen.expand(), how)
    load_tensors(network, state, "the result")
    return evaluate(network, judged)


def table(results: list[dict[str, Any]]) -> str:
    """Markdown of what was found."""
    lines = [f"{results[0]['split']} split, {results[0]['samples']} images", ""]
    lines += ["| T | " + " | ".join(f"error, seed {item['seed']}" for item in results) + " | operations / MACs |"]
    lines += ["|" + "---|" * (len(results) + 2)]
    for moment in results[0]["spiking_accuracy"]:
        errors = " | ".join(f"{1 - item['spiking_accuracy'][moment]:.2%}" for item in results)
        ratio = sum(item["operations_ratio"][moment] for item in results) / len(results)
        lines.append(f"| {moment} | {errors} | {ratio:.2f} |")
    for name in ("soft", "exact", "undelayed"):
        errors = " | ".join(f"{1 - item['rates_accuracy'][name]:.2%}" for item in results)
        lines.append(f"| rates, {name} | {errors} | |")
    gaps = [100 * (item["rates_accuracy"]["soft"] - item["spiking_accuracy"][JUDGED_AT]) for item in results]
    lines += ["", f"rates minus spikes at T={JUDGED_AT}: " + ", ".join(f"{gap:.2f}" for gap in gaps) + " points"]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--dataset", default="mnist")
    parser.add_argument("--data-root", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--split", choices=("validation", "test"), default="validation")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--channels", type=int, default=8)
    parser.add_argument("--tau", type=float, default=4.0)
    parser.add_argument("--noise", type=float, default=0.05)
    parser.add_argument("--gamma", type=float, default=0.03)
    parser.add_argument("--until", type=int, default=max(TIMES), help="timesteps that are read out, at least 50")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    splits = load_splits(arguments.dataset, arguments.data_root, validation_share=0.1, seed=0)
    results = []
    for seed in arguments.seeds:
        results.append(run(seed, arguments, splits))
        write_atomic(arguments.out / f"soft_lif_{arguments.split}.json", json.dumps(results, indent=1) + "\n")
        write_atomic(arguments.out / f"soft_lif_{arguments.split}.md", table(results))
    print(table(results))


if __name__ == "__main__":
    main()
