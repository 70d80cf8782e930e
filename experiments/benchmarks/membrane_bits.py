"""Membrane potentials in registers of few bits: validation accuracy on the digits.

    python experiments/benchmarks/membrane_bits.py --out results_membrane.md

Each seed trains one small network for each register width, float ones first. Beside it stands what the float network
gives when its membranes are only rounded after training. Accuracies are those of each training's best epoch on the
validation images that chose it; the test split is not read. Memory and energy are priced on the preset rram-22nm, dense
inputs, 16-bit membranes where the network does not say.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from hasnas.cim_estimator import estimate, load_hardware
from hasnas.files import write_atomic
from hasnas.nas.config.training import RetrainSection
from hasnas.nas.data.samples import Splits, load_splits
from hasnas.nas.training.evaluation import evaluate
from hasnas.nas.training.retrain import RetrainResult, retrain
from hasnas.search_spaces import Architecture, Edge, Genotype, Macro
from hasnas.search_spaces.lowering import lower

CELL = Genotype(3, (Edge(0, 1, "conv3x3"), Edge(1, 2, "conv3x3"), Edge(0, 2, "identity")))
MACRO = Macro((1, 8, 8), 10, timesteps=4, channels=8, hidden=0, votes=1, dropout=0.0, tau=2.0)
CHIP = "rram-22nm"
Row = dict[str, list[float]]


def architecture(bits: int) -> Architecture:
    """The network with membranes of some bits, 0 for float."""
    return Architecture((CELL, CELL), replace(MACRO, membrane_bits=bits))


def rounded(result: RetrainResult, bits: int, splits: Splits) -> float:
    """Validation accuracy of trained weights on membranes of other bits."""
    return evaluate(result.network(architecture(bits).to_json()), splits.validation)


def measure(bits: list[int], seeds: list[int], settings: RetrainSection, splits: Splits) -> dict[int, Row]:
    """Accuracies by bits: trained so, and rounded after training with float membranes; one of each for a seed."""
    rows: dict[int, Row] = {count: {"trained": [], "rounded": []} for count in bits}
    with tempfile.TemporaryDirectory() as folder:
        for seed in seeds:
            free = retrain(architecture(0).to_json(), splits, settings, seed, Path(folder) / f"float{seed}")
            for count in bits:
                path = Path(folder) / f"{count}_{seed}"
                own = retrain(architecture(count).to_json(), splits, settings, seed, path) if count else free
                rows[count]["trained"].append(own.merit)
                rows[count]["rounded"].append(rounded(free, count, splits))
                print(f"seed {seed}, {count or 'float'}: {own.merit:.2%}", flush=True)
    return rows


def spread(values: list[float]) -> str:
    """Mean and standard deviation over seeds, in percent."""
    return f"{100 * np.mean(values):.2f} ± {100 * np.std(values, ddof=1) if len(values) > 1 else 0:.2f}"


def table(rows: dict[int, Row]) -> str:
    """Markdown of what was found."""
    lines = [
        "| membranes | trained so, % | minus float, points | float, rounded after training, % | membrane memory, bit "
        "| neuron and membrane energy, nJ |",
        "|---|---|---|---|---|---|",
    ]
    for bits, row in rows.items():
        report = estimate(lower(architecture(bits).expand()), load_hardware(CHIP))
        energy = report.to_dict()["components"]["energy_j"]
        memory = int(report.memory_by_component_bits["membranes"])
        below = [own - free for own, free in zip(row["trained"], rows[0]["trained"], strict=True)]
        name = f"{bits} bits" if bits else "float (priced at 16 bits)"
        lines.append(
            f"| {name} | {spread(row['trained'])} | {spread(below)} | {spread(row['rounded'])} | {memory} | "
            f"{1e9 * (energy['neuron'] + energy['membrane']):.3f} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="the Markdown file")
    parser.add_argument("--data-root", type=Path)
    parser.add_argument("--bits", type=int, nargs="+", default=[16, 8, 6, 4, 3])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=6)
    options = parser.parse_args()
    torch.set_num_threads(1)
    start = time.process_time()
    splits = load_splits("digits", options.data_root, validation_share=0.2, seed=0)
    settings = RetrainSection(epochs=options.epochs, batch_size=32, learning_rate=5e-3)
    found = table(measure([0, *options.bits], options.seeds, settings, splits))
    note = (
        f"Digits, {len(splits.validation)} validation images, {len(options.seeds)} seeds (mean ± standard deviation), "
        f"{options.epochs} epochs, {MACRO.timesteps} timesteps, {MACRO.channels} channels, LIF with tau {MACRO.tau:g}; "
        f"prices: {CHIP}, dense inputs; {time.process_time() - start:.0f} CPU s.\n\n"
    )
    write_atomic(options.out, note + found)
    print(note + found)


if __name__ == "__main__":
    main()
