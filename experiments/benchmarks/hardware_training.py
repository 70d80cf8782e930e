"""Training for the chip on MNIST: weights of few bits, and weights that vary from chip to chip.

    python experiments/benchmarks/hardware_training.py --data-root DATA --out DIR --split validation
    python experiments/benchmarks/hardware_training.py --data-root DATA --out DIR --split test

Each seed trains one small network four ways: float, 8-bit and 4-bit weights (one scale for each column), and 8-bit
weights with the variation of a chip drawn anew at each step. The variation is the smallest of a few that costs the
8-bit network of the first seed at least five points on validation images. Chips: 2-bit cells, on/off ratio 150. The
first command chooses and shows validation accuracies; the second reads the test split once, with what was stored.
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

from hasnas.cim_estimator.nonideal import NonidealSpec
from hasnas.files import write_atomic
from hasnas.nas.config.training import AugmentationSection, RetrainSection, TrainingNoiseSection
from hasnas.nas.data.samples import Split, load_splits
from hasnas.nas.imperfect_chips import evaluate_on_chips
from hasnas.nas.training.evaluation import evaluate
from hasnas.nas.training.retrain import retrain
from hasnas.search_spaces import Architecture, Edge, Genotype, Macro
from hasnas.search_spaces.network import SpikingNetwork
from hasnas.yaml_files import to_yaml

CELL = Genotype(3, (Edge(0, 1, "conv3x3"), Edge(1, 2, "conv3x3"), Edge(0, 2, "identity")))
MACRO = Macro((1, 28, 28), 10, timesteps=4, channels=8, stem_stride=2, hidden=0, votes=1, dropout=0.0)
VARIATIONS = (0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5)
COSTS_AT_LEAST = 0.05
CALIBRATED_ON = 1000
KINDS = ("float", "8 bits", "4 bits", "8 bits, noise-aware")


def device(variation: float) -> NonidealSpec:
    """8-bit weights on 2-bit cells; conductances vary from device to device by a share of themselves."""
    return NonidealSpec(
        name=f"variation {variation:g}",
        on_resistance_ohm=6e3,
        off_resistance_ohm=9e5,
        cell_bits=2,
        weight_bits=8,
        device_variation=variation,
    )


def device_file(variation: float, folder: Path) -> Path:
    """The device as a file that training reads."""
    path = folder / f"variation_{variation:g}.yaml"
    spec = device(variation)
    changed = {"on_resistance_ohm", "off_resistance_ohm", "cell_bits", "weight_bits", "device_variation"}
    write_atomic(path, to_yaml({"name": spec.name, **{name: getattr(spec, name) for name in sorted(changed)}}))
    return path


class Study:
    """Trainings and what they give, kept in a folder.

    Args:
        options: the command line.
    """

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        splits = load_splits("mnist", options.data_root, validation_share=0.1, seed=0)
        order = torch.randperm(len(splits.train), generator=torch.Generator().manual_seed(0))
        self.splits = replace(splits, train=splits.train.take(order[: options.images]))
        self.settings = RetrainSection(
            epochs=options.epochs,
            batch_size=100,
            learning_rate=5e-3,
            label_smoothing=0.05,
            augmentation=AugmentationSection(shift=1),
        )

    def trained(self, kind: str, seed: int, variation: float | None = None) -> SpikingNetwork:
        """One of the four networks of a seed."""
        bits = 0 if kind == "float" else int(kind[0])
        architecture = Architecture((CELL, CELL), replace(MACRO, weight_bits=bits)).to_json()
        settings, folder = self.settings, self.options.out / f"{kind.replace(' ', '_').replace(',', '')}_{seed}"
        if variation is not None:
            path = device_file(variation, self.options.out)
            settings = settings.with_changes({"noise": TrainingNoiseSection(device=str(path))})
        watched = replace(self.splits, validation=self.splits.validation.take(torch.arange(CALIBRATED_ON)))
        start = time.process_time()
        network = retrain(architecture, watched, settings, seed, folder).network(architecture)
        print(f"{kind}, seed {seed}: {time.process_time() - start:.0f} CPU s", flush=True)
        return network

    def variation(self) -> float:
        """The smallest that costs five points on validation images, on the chips of the first seed."""
        path = self.options.out / "variation.json"
        if not path.exists():
            few = self.splits.validation.take(torch.arange(CALIBRATED_ON))
            network = self.trained("8 bits", self.options.seeds[0])
            clean = evaluate(network, few)
            losses = {}
            for variation in VARIATIONS:
                found = evaluate_on_chips(network, few, device(variation), self.options.chips, seed=0)
                losses[variation] = clean - found.mean
                print(f"variation {variation:g} costs {100 * losses[variation]:.2f} points", flush=True)
                if losses[variation] >= COSTS_AT_LEAST:
                    break
            write_atomic(path, json.dumps(losses) + "\n")
        return float(list(json.loads(path.read_text()))[-1])

    def judged(self) -> Split:
        """What accuracies are measured on."""
        split = self.splits.validation if self.options.split == "validation" else self.splits.test
        return split.take(torch.arange(min(self.options.judged, len(split))))

    def row(self, seed: int, variation: float) -> dict[str, Any]:
        """Accuracies of a seed's four networks, without and with variation."""
        found: dict[str, Any] = {"seed": seed}
        for kind in KINDS:
            network = self.trained(kind, seed, variation if kind == KINDS[-1] else None)
            chips = evaluate_on_chips(network, self.judged(), device(variation), self.options.chips, seed=1 + seed)
            found[kind] = {"clean": evaluate(network, self.judged()), "chips": chips.per_chip}
        return found


def spread(values: list[float]) -> str:
    """Mean and standard deviation over seeds, in percent."""
    return f"{100 * np.mean(values):.2f} ± {100 * np.std(values, ddof=1) if len(values) > 1 else 0:.2f}"


def table(rows: list[dict[str, Any]], variation: float, split: str) -> str:
    """Markdown of what was found."""
    chips = len(rows[0]["float"]["chips"])
    lines = [
        f"{split} split, {len(rows)} seeds x {chips} chips, variation {variation:g}",
        "",
        "| weights | accuracy without variation | points below float | on varying chips | sd of chips | worst chip |",
        "|---|---|---|---|---|---|",
    ]
    for kind in KINDS:
        clean = [row[kind]["clean"] for row in rows]
        below = [row["float"]["clean"] - row[kind]["clean"] for row in rows]
        means = [float(np.mean(row[kind]["chips"])) for row in rows]
        over = float(np.mean([np.std(row[kind]["chips"], ddof=1) for row in rows]))
        worst = min(min(row[kind]["chips"]) for row in rows)
        lines.append(
            f"| {kind} | {spread(clean)} | {spread(below)} | {spread(means)} | {100 * over:.2f} | {worst:.2%} |"
        )
    plain, aware = ([row[kind] for row in rows] for kind in ("8 bits", KINDS[-1]))
    lost = [item["clean"] - float(np.mean(item["chips"])) for item in plain]
    won = [float(np.mean(a["chips"]) - np.mean(p["chips"])) for a, p in zip(aware, plain, strict=True)]
    shares = [w / max(cost, 1e-9) for w, cost in zip(won, lost, strict=True)]
    lines += ["", f"variation costs {spread(lost)} points, noise-aware training recovers {spread(shares)} % of that"]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-root", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--chips", type=int, default=20)
    parser.add_argument("--images", type=int, default=20000)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--judged", type=int, default=10000)
    parser.add_argument("--split", choices=("validation", "test"), required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    study = Study(options)
    variation = study.variation()
    rows = []
    for seed in options.seeds:
        rows.append(study.row(seed, variation))
        write_atomic(options.out / f"{options.split}.json", json.dumps(rows, indent=1) + "\n")
        print(table(rows, variation, options.split), flush=True)


if __name__ == "__main__":
    main()
