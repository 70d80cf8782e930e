"""A spiking residual network of 50 layers with and without batch norm on currents and tuned surrogate widths.

    python experiments/benchmarks/deep_training.py --out DIR [--seeds 0 1 2] [--epochs 6] [--residual-scale 0]

Stem, 24 blocks of two convolutions whose shortcut is added before the second neuron, classifier. Each of the four
combinations starts from the same weights for a seed and trains with the same recipe on scikit-learn's digits; what
differs is batch norm and the surrogates' widths. Gradient norms are those before training, by layer. With a residual
scale, the last batch norm of each block starts there in place of at 1, and only networks with batch norm are trained.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hasnas.files import write_atomic
from hasnas.nas.config.training import RetrainSection
from hasnas.nas.data.samples import Splits, batches, load_splits
from hasnas.nas.training.evaluation import evaluate
from hasnas.nas.training.loop import EpochRecord, TrainingDivergedError, TrainingLoop, run_loop, training_loss
from hasnas.nas.training.surrogates import gradient_norms, tune_widths
from hasnas.search_spaces.graph import Connection, LayerGraph, Node
from hasnas.search_spaces.layers import (
    LIF,
    Add,
    AvgPool2d,
    BatchNorm,
    Conv2d,
    Flatten,
    Input,
    Linear,
    Operation,
    Output,
)
from hasnas.search_spaces.network import SpikingNetwork, build_network

CASES = tuple(product((False, True), (False, True)))  # (batch norm, tuned widths)
SHOWN = 7


def residual_graph(blocks: int, channels: int, timesteps: int, threshold: float, norm: bool) -> LayerGraph:
    """A residual network on 8x8 images: 2 * blocks + 2 layers with weights."""
    shape, nodes, links = (channels, 8, 8), [Node("input", Input(), (1, 8, 8))], []

    def add(name: str, operation: Operation, size: tuple[int, ...], *sources: str) -> str:
        nodes.append(Node(name, operation, size))
        links.extend(Connection(source, name) for source in sources)
        return name

    def convolution(name: str, source: str, inputs: int) -> str:
        last = add(f"{name}.conv", Conv2d(inputs, channels, 3, padding=1), shape, source)
        return add(f"{name}.norm", BatchNorm(channels), shape, last) if norm else last

    def spike(name: str, source: str) -> str:
        return add(name, LIF(threshold=threshold), shape, source)

    last = spike("stem.lif", convolution("stem", "input", 1))
    for index in range(1, blocks + 1):
        inner = spike(f"block{index}.lif1", convolution(f"block{index}.first", last, channels))
        outer = convolution(f"block{index}.second", inner, channels)
        last = spike(f"block{index}.lif2", add(f"block{index}.sum", Add(), shape, outer, last))
    last = add("pool", AvgPool2d(4, 4), (channels, 2, 2), last)
    last = add("flat", Flatten(), (4 * channels,), last)
    add("output", Output(), (10,), add("classifier", Linear(4 * channels, 10), (10,), last))
    return LayerGraph(tuple(nodes), tuple(links), timesteps)


def first_batch(splits: Splits, settings: RetrainSection, seed: int) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """Inputs of a training batch, and the loss on it."""
    generator = torch.Generator().manual_seed(seed)
    inputs, targets = next(batches(splits.train, settings.batch_size, generator))
    return inputs, lambda outputs: training_loss(outputs, targets, settings)


def run_case(
    splits: Splits, settings: RetrainSection, options: argparse.Namespace, seed: int, case: tuple[bool, bool]
) -> dict[str, Any]:
    """One training; the test split is evaluated once, with the weights of the last epoch."""
    norm, tuned = case
    graph = residual_graph(options.blocks, options.channels, options.timesteps, options.threshold, norm)
    network: SpikingNetwork = build_network(graph, seed)
    if options.residual_scale is not None:
        for name, module in network.named_modules():
            if name.endswith("second.norm"):
                torch.nn.init.constant_(module.weight, options.residual_scale)  # type: ignore[arg-type]
    inputs, loss = first_batch(splits, settings, seed)
    widths = tune_widths(network, inputs, loss).widths if tuned else {}
    norms = gradient_norms(network, inputs, loss)
    history: list[EpochRecord] = []

    def after_epoch(record: EpochRecord) -> bool:
        history.append(record)
        return True

    started, diverged = time.process_time(), ""
    try:
        run_loop(TrainingLoop(network, splits, settings, seed, 0, after_epoch), settings.epochs, settings)
    except TrainingDivergedError as error:
        diverged = str(error)
    return {
        "norm": norm,
        "tuned": tuned,
        "seed": seed,
        "gradient_norms": dict(reversed(norms.items())),
        "widths": widths,
        "validation": [record.merit for record in history],
        "loss": [record.loss for record in history],
        "test": evaluate(network, splits.test),
        "diverged": diverged,
        "cpu_s": time.process_time() - started,
    }


def table(results: list[dict[str, Any]]) -> str:
    """Markdown: one row for each combination."""
    names = list(results[0]["gradient_norms"])
    shown = [names[round(index * (len(names) - 1) / (SHOWN - 1))] for index in range(SHOWN)]
    lines = ["gradient norm at the input currents before training, as a share of the last layer's, mean over seeds", ""]
    lines += [f"| batch norm | widths | {' | '.join(shown)} | smallest | largest |", "|---" * (SHOWN + 4) + "|"]
    for case in dict.fromkeys((item["norm"], item["tuned"]) for item in results):
        mine = [item for item in results if (item["norm"], item["tuned"]) == case]
        rows = [[item["gradient_norms"][name] / item["gradient_norms"][names[-1]] for name in names] for item in mine]
        means = [statistics.fmean(values) for values in zip(*rows, strict=True)]
        chosen = [f"{means[names.index(name)]:.2g}" for name in shown]
        extremes = f"{min(map(min, rows)):.2g} | {max(map(max, rows)):.2g}"
        lines.append(f"| {_label(case)} | {' | '.join(chosen)} | {extremes} |")
    head = "| batch norm | widths | validation | test, mean ± sd | by seed | diverged | CPU s |"
    lines += ["", head, "|---" * 7 + "|"]
    for case in dict.fromkeys((item["norm"], item["tuned"]) for item in results):
        mine = [item for item in results if (item["norm"], item["tuned"]) == case]
        tests = [item["test"] for item in mine]
        last = statistics.fmean(item["validation"][-1] if item["validation"] else 0.0 for item in mine)
        spread = statistics.stdev(tests) if len(tests) > 1 else 0.0
        diverged = sum(bool(item["diverged"]) for item in mine)
        each = statistics.fmean(item["cpu_s"] for item in mine)
        by_seed = ", ".join(f"{value:.1%}" for value in tests)
        accuracy = f"{statistics.fmean(tests):.1%} ± {spread:.1%}"
        lines.append(f"| {_label(case)} | {last:.1%} | {accuracy} | {by_seed} | {diverged}/{len(mine)} | {each:.0f} |")
    return "\n".join(lines)


def _label(case: tuple[bool, bool]) -> str:
    return f"{'yes' if case[0] else 'no'} | {'tuned' if case[1] else 'usual'}"


def main() -> None:
    """Run all combinations and write `results.json` and `table.md`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--blocks", type=int, default=24)
    parser.add_argument("--channels", type=int, default=8)
    parser.add_argument("--timesteps", type=int, default=4)
    parser.add_argument("--threshold", type=float, default=0.5)
    parser.add_argument("--residual-scale", type=float)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    settings = RetrainSection(epochs=options.epochs, batch_size=64)
    results: list[dict[str, Any]] = []
    for seed in options.seeds:
        splits = load_splits("digits", None, validation_share=0.2, seed=seed)
        for case in CASES if options.residual_scale is None else CASES[2:]:
            results.append(run_case(splits, settings, options, seed, case))
            print(_label(case), seed, f"test {results[-1]['test']:.1%}", f"{results[-1]['cpu_s']:.0f} s", flush=True)
            write_atomic(options.out / "results.json", json.dumps(results, indent=1) + "\n")
    write_atomic(options.out / "table.md", table(results) + "\n")
    print(table(results))


if __name__ == "__main__":
    main()
