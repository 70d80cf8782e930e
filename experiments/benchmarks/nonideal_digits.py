"""Accuracy of a trained digits network on imperfect chips: curves over variation and stuck cells, and the presets.

python experiments/benchmarks/nonideal_digits.py --out /tmp/nonideal --chips 20 --seed 0
python experiments/benchmarks/nonideal_digits.py --run RUN_DIRECTORY --set cell_bits=4 --set weight_bits=5
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch

from hasnas.cim_estimator.nonideal import NonidealSpec, load_nonideal, nonideal_names
from hasnas.nas.config.training import RetrainSection
from hasnas.nas.data.samples import Split, load_splits
from hasnas.nas.export.run_export import load_trained, returned_trials
from hasnas.nas.imperfect_chips import ChipAccuracy, evaluate_on_chips
from hasnas.nas.training.retrain import retrain
from hasnas.search_spaces import Architecture, Edge, Genotype, Macro
from hasnas.search_spaces.network import SpikingNetwork

VARIATIONS = (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3)
ADC_BITS = (3, 4, 5, 6, 8)
STUCK = (0.0, 0.01, 0.02, 0.03, 0.04, 0.05)
BASE = NonidealSpec(
    name="8-bit weights on 2-bit cells, on/off 150",
    on_resistance_ohm=6e3,
    off_resistance_ohm=9e5,
    cell_bits=2,
    weight_bits=8,
    input_bits=8,
)
CELL = Genotype(4, (Edge(0, 1, "conv3x3"), Edge(0, 2, "conv1x1"), Edge(1, 3, "conv3x3"), Edge(2, 3, "identity")))


def trained_network(options: argparse.Namespace) -> tuple[SpikingNetwork, Split]:
    """The best network of a run, or a small one trained here, and the test split."""
    splits = load_splits("digits", None, validation_share=0.2, seed=options.seed)
    if options.run:
        return load_trained(options.run, returned_trials(options.run)[0]).network, splits.test
    macro = Macro((1, 8, 8), classes=10, timesteps=4, channels=16, hidden=32, votes=1, final_pool=2, dropout=0.0)
    architecture = Architecture((CELL, CELL), macro).to_json()
    result = retrain(architecture, splits, RetrainSection(), options.seed, options.out / f"digits-{options.seed}")
    return result.network(architecture), splits.test


def row(label: str, result: ChipAccuracy, seconds: float) -> str:
    """One line of a table."""
    return f"| {label} | {result.mean:.2%} | {result.std:.2%} | {result.worst:.2%} | {seconds:.1f} |"


def table(
    title: str, devices: dict[str, NonidealSpec], network: SpikingNetwork, test: Split, chips: int, seed: int
) -> float:
    """Print accuracy on each device; seconds it took."""
    print(f"\n| {title} | mean | std over chips | worst chip | s |\n|---|---|---|---|---|")
    total = 0.0
    for label, device in devices.items():
        start = time.perf_counter()
        result = evaluate_on_chips(network, test, device, chips, seed)
        seconds = time.perf_counter() - start
        total += seconds
        print(row(label, result, seconds), flush=True)
    return total


def main() -> None:
    """Train or load, then print the curves."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path)
    parser.add_argument("--out", type=Path, default=Path("/tmp/nonideal"))
    parser.add_argument("--chips", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change the curves' device")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    network, test = trained_network(options)
    with torch.no_grad():
        software = float((network(test.inputs).argmax(1) == test.targets).float().mean())
    size = sum(parameter.numel() for parameter in network.parameters())
    print(f"{size:,} parameters, software accuracy {software:.2%} on {len(test)} test samples, {options.chips} chips")
    common = (network, test, options.chips, options.seed)
    base = BASE.with_changes(dict(item.split("=", 1) for item in options.set))
    variation = {f"{v:.0%}": base.with_changes({"device_variation": v}) for v in VARIATIONS}
    stuck = {f"{s:.0%}": base.with_changes({"stuck_on": s / 2, "stuck_off": s / 2}) for s in STUCK}
    before = time.process_time()
    seconds = table("variation (of G, device to device)", variation, *common)
    seconds += table("stuck cells (half at G_on, half at G_off)", stuck, *common)
    print(f"\nboth curves: {seconds:.1f} s, {time.process_time() - before:.1f} CPU s")
    varied = base.with_changes({"device_variation": 0.1})
    converters = {f"{bits} bits": varied.with_changes({"adc_bits": bits}) for bits in ADC_BITS}
    table("ADC, 10 % variation", converters, *common)
    table("preset", {name: load_nonideal(name) for name in nonideal_names()}, *common)


if __name__ == "__main__":
    main()
