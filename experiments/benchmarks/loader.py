"""What feeds a training beside the training itself: samples per second, and the loader's share of a step.

python experiments/benchmarks/loader.py --data-root ROOT     # ROOT: mnist/, cifar10_jpeg.npz, nmnist_small.tar.xz

Every round takes some batches of every recipe and some training steps, in turns, in one thread, by processor time. The
network has two cells of two 3x3 convolutions with a shortcut, 24 channels, and a stem of stride 2.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from hasnas.datasets.frames import Framing
from hasnas.nas.config.training import AugmentationSection, RetrainSection
from hasnas.nas.data.samples import Split, Splits, training_normalisation
from hasnas.nas.data.sources import open_source
from hasnas.nas.training.loop import EpochBatches, training_loss
from hasnas.nas.training.parts import forward_pass
from hasnas.nas.training.state import build_optimizer
from hasnas.search_spaces import Architecture, Edge, Genotype, Macro
from hasnas.search_spaces.network import build_network

IMAGES = {
    "nothing": AugmentationSection(),
    "shift 2": AugmentationSection(shift=2),
    "flip, shift 2": AugmentationSection(flip=0.5, shift=2),
    "flip, shift 2, 2 operations": AugmentationSection(flip=0.5, shift=2, operations=2),
    "mixup, cutmix": AugmentationSection(mixup=0.2, cutmix=1.0),
    "all of them": AugmentationSection(flip=0.5, shift=2, operations=2, mixup=0.2, cutmix=1.0),
}
EVENTS = {
    "nothing": AugmentationSection(),
    "shift 2": AugmentationSection(shift=2),
    "drop events": AugmentationSection(drop_events=0.3),
    "shift 2, drop events": AugmentationSection(shift=2, drop_events=0.3),
}


def load(name: str, root: Path, samples: int, timesteps: int | None) -> Splits:
    """The first samples of a dataset's train split as tensors, standardised as a run does it."""
    source = open_source(name, root, None if timesteps is None else Framing(timesteps))
    stored = source.load("train", root)
    chosen = np.arange(min(samples, len(stored)))
    raw = Split(torch.from_numpy(np.array(stored.floats(chosen))), torch.from_numpy(stored.targets[chosen]))
    normalisation = training_normalisation(raw)
    train = Split(normalisation.apply(raw.inputs), raw.targets)
    return Splits(train, train.take(torch.arange(2)), train.take(torch.arange(2)), normalisation, source.card.outputs)


def feeding(splits: Splits, recipe: AugmentationSection, batch_size: int, batches: int) -> Callable[[], int]:
    """Takes some batches; gives their samples."""
    settings = RetrainSection(batch_size=batch_size, augmentation=recipe)
    loader = EpochBatches(splits, settings, lambda purpose: torch.Generator().manual_seed(len(purpose)))

    def run() -> int:
        return sum(len(targets) for _, targets in islice(loader, batches))

    return run


def training(splits: Splits, timesteps: int, batch_size: int, batches: int) -> Callable[[], int]:
    """Takes some steps on one batch; gives their samples."""
    cell = Genotype(3, (Edge(0, 1, "conv3x3"), Edge(1, 2, "conv3x3"), Edge(0, 2, "identity")))
    channels, height, width = splits.train.inputs.shape[-3:]
    static = splits.train.is_static
    macro = Macro((channels, height, width), classes=10, timesteps=timesteps, channels=24, stem_stride=2,
                  static_input=static)  # fmt: skip
    network = build_network(Architecture((cell, cell), macro).expand(), seed=0).train()
    settings = RetrainSection(batch_size=batch_size)
    optimizer = build_optimizer(network, settings)
    inputs, targets = next(iter(EpochBatches(splits, settings, lambda _: torch.Generator().manual_seed(0))))

    def run() -> int:
        for _ in range(batches):
            optimizer.zero_grad()
            training_loss(forward_pass(network, inputs).outputs, targets, settings).backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
        return batches * len(targets)

    return run


def measure(calls: dict[str, Callable[[], int]], rounds: int) -> dict[str, list[float]]:
    """Microseconds of processor time a sample, in every round, after one that does not count."""
    found: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(rounds + 1):
        for name, call in calls.items():
            begin = time.process_time()
            samples = call()
            if number:
                found[name].append(1e6 * (time.process_time() - begin) / samples)
    return found


def rows(title: str, found: dict[str, list[float]]) -> list[str]:
    """Lines of the table; the share is that of medians, loader / (loader + step)."""
    step = statistics.median(found["step"])
    lines = []
    for name, times in found.items():
        middle, low, high = statistics.median(times), min(times), max(times)
        rate = f"{1e6 / middle:,.0f} ({1e6 / high:,.0f} to {1e6 / low:,.0f})"
        share = "" if name == "step" else f"{middle / (middle + step):.1%}"
        lines.append(f"| {title} | {'training step' if name == 'step' else name} | {middle:,.1f} | {rate} | {share} |")
    return lines


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-root", type=Path, required=True)
    parser.add_argument("--samples", type=int, default=2048)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--batches", type=int, default=8, help="batches of every recipe in a round")
    parser.add_argument("--steps", type=int, default=2, help="training steps in a round")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print("| data | what | us a sample | samples a second (extremes) | loader's share |\n|---|---|---|---|---|")
    for title, name, root, frames in (
        ("MNIST, 28 x 28", "mnist", "mnist", None),
        ("CIFAR-10 (JPEG copy), 3 x 32 x 32", "cifar10-jpeg", "", None),
        ("N-MNIST, 4 frames of 2 x 34 x 34", "nmnist-small", "", 4),
        ("N-MNIST, 8 frames of 2 x 34 x 34", "nmnist-small", "", 8),
    ):
        splits = load(name, options.data_root / root, options.samples, frames)
        recipes = IMAGES if frames is None else EVENTS
        size = options.batch_size
        calls = {recipe: feeding(splits, value, size, options.batches) for recipe, value in recipes.items()}
        calls["step"] = training(splits, frames or 4, size, options.steps)
        print("\n".join(rows(title, measure(calls, options.rounds))), flush=True)


if __name__ == "__main__":
    main()
