"""The training methods beside each other on the digits: equal epochs, seeds and networks.

`python experiments/benchmarks/conversion.py --out DIR [--seeds 0 1 2] [--timesteps 4 16] [--neuron if]`
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import torch

from hasnas.files import write_atomic
from hasnas.nas.config.training import RetrainSection
from hasnas.nas.data.samples import Splits, load_splits
from hasnas.nas.training.evaluation import evaluate
from hasnas.nas.training.methods import TRAINING_METHODS
from hasnas.search_spaces import Architecture, Edge, Genotype, Macro


def architecture(neuron: str, timesteps: int) -> Architecture:
    """Two cells of a convolution each, 8 channels."""
    cell = Genotype(2, (Edge(0, 1, "conv3x3"),))
    macro = Macro((1, 8, 8), 10, timesteps, 8, hidden=0, votes=1, dropout=0.0, tau=2.0, neuron=neuron)
    return Architecture((cell, cell), macro)


def run(method: str, chosen: Architecture, seed: int, splits: Splits, arguments: argparse.Namespace) -> dict[str, Any]:
    """One training; accuracies of what is deployed."""
    folder = arguments.out / f"{method}-{chosen.macro.neuron}-T{chosen.macro.timesteps}-{seed}"
    settings = RetrainSection(epochs=arguments.epochs, batch_size=32)
    start = time.process_time()
    result = TRAINING_METHODS.get(method)(chosen.to_json(), splits, settings, seed, folder)
    seconds = time.process_time() - start
    return {
        "method": method,
        "timesteps": chosen.macro.timesteps,
        "seed": seed,
        "before_deployment": max(record.merit for record in result.history[: arguments.epochs]),
        "validation": result.merit,
        "test": evaluate(result.network(chosen.to_json()), splits.test),
        "processor_s": seconds,
    }


def table(results: list[dict[str, Any]]) -> str:
    """Markdown of what was found."""
    lines = ["| method | T | best while training, validation | deployed, validation | deployed, test | processor s |"]
    lines.append("|" + "---|" * 6)
    for method, timesteps in dict.fromkeys((item["method"], item["timesteps"]) for item in results):
        own = [item for item in results if (item["method"], item["timesteps"]) == (method, timesteps)]
        figures = [spread([item[name] for item in own]) for name in ("before_deployment", "validation", "test")]
        seconds = statistics.median(item["processor_s"] for item in own)
        lines.append(f"| {method} | {timesteps} | {' | '.join(figures)} | {seconds:.0f} |")
    return "\n".join(lines) + "\n"


def spread(values: list[float]) -> str:
    """Mean and, of several values, standard deviation."""
    deviation = f" ± {statistics.stdev(values):.2%}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.2%}{deviation}"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--timesteps", type=int, nargs="+", default=[4, 16])
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--neuron", default="lif")
    parser.add_argument("--methods", nargs="+", default=TRAINING_METHODS.names())
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    results = []
    for seed in arguments.seeds:
        splits = load_splits("digits", None, validation_share=0.2, seed=seed)
        for timesteps in arguments.timesteps:
            for method in arguments.methods:
                results.append(run(method, architecture(arguments.neuron, timesteps), seed, splits, arguments))
                print(results[-1], flush=True)
                write_atomic(arguments.out / "conversion.json", json.dumps(results, indent=1) + "\n")
    write_atomic(arguments.out / "conversion.md", table(results))
    print(table(results))


if __name__ == "__main__":
    main()
