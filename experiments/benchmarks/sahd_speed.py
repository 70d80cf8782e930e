"""SAHD: our scoring against SNASNet's own search loop, candidate by candidate in one process; prints Markdown.

    python experiments/benchmarks/sahd_speed.py --snasnet PATH --images cifar10_jpeg.npz --candidates 12 --batch 16

PATH is a checkout of the public repository (Intelligent-Computing-Lab-Yale/Neural-Architecture-Search-for-Spiking-
Neural-Networks). Its loop `find_best_neuroncell` runs from a temporary copy with these changes, none of which touches
its arithmetic: `spikingjelly.clock_driven` is today's `spikingjelly.activation_based`, `.cuda()` does nothing, batch
size and repeats are set from here (256 and 2 there), data come from this process instead of four new ones, candidates
are handed to it instead of drawn, dropout is 0, width as asked; with `--form first` the rescaling is the one of its
first commit (the last one multiplies by the number of neurons). Weights are drawn by its rules, once for each layer,
and copied into both.

Both sides see the same candidates, weights, images, timesteps and widths; times are processor seconds of this process.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import shutil
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import spikingjelly.activation_based
import torch
from spikenas_pick import batch_of
from torch import Tensor, nn

from hasnas.nas.scoring import ScoringTask
from hasnas.nas.scoring.arithmetic import ARITHMETICS, detected, error_of
from hasnas.nas.scoring.forward_scores import SahdMean, SahdNormalisedMean
from hasnas.search_spaces import Macro
from hasnas.search_spaces.snasnet import SNASNetSpace
from hasnas.search_spaces.space import sample

MODULES = ("model_snn", "searchcells", "searchcells.search_cell_snn")
PAIRS = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))  # the order of its modules


def patched(source: Path, folder: Path, changes: dict[str, str]) -> Any:
    """Its module `model_snn`, imported from a changed copy.

    Raises:
        SystemExit: if a line that is to be changed is not there.
    """
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns(".git"))
    text = (folder / "model_snn.py").read_text()
    for old, new in changes.items():
        if old not in text:
            raise SystemExit(f"{source}/model_snn.py has no line with: {old}")
        text = text.replace(old, new)
    (folder / "model_snn.py").write_text(text)
    sys.modules["spikingjelly.clock_driven"] = spikingjelly.activation_based
    for name in ("functional", "layer", "surrogate", "neuron"):
        today = importlib.import_module(f"spikingjelly.activation_based.{name}")
        sys.modules[f"spikingjelly.clock_driven.{name}"] = today
    torch.Tensor.cuda = lambda self, *given, **named: self  # type: ignore[method-assign]
    nn.Module.cuda = lambda self, *given, **named: self  # type: ignore[method-assign, assignment]
    for name in MODULES:
        sys.modules.pop(name, None)
    sys.path.insert(0, str(folder))
    try:
        return importlib.import_module("model_snn")
    finally:
        sys.path.remove(str(folder))


def weights_by_their_rules(space: SNASNetSpace, feedback: bool) -> dict[str, Tensor]:
    """Weights of every layer any candidate may have, by our names."""
    found: dict[str, Tensor] = {}
    macro = space.macro
    first, second = macro.cell_channels(2)
    torch.manual_seed(0)

    def conv(name: str, inputs: int, outputs: int, kernel: int) -> None:
        found[f"{name}.weight"] = nn.init.kaiming_uniform_(torch.empty(outputs, inputs, kernel, kernel), a=2)

    conv("stem.conv", 3, first, 3)
    for cell, channels in ((1, first), (2, second)):
        for low, high in PAIRS:
            for kernel in (1, 3):
                conv(f"cell{cell}.{low}_{high}.conv{kernel}x{kernel}.conv", channels, channels, kernel)
                if feedback:
                    conv(f"cell{cell}.{high}_{low}.conv{kernel}x{kernel}.conv", channels, channels, kernel)
    conv("reduction1.conv", first, second, 3)
    flat = second * (32 // 2 // macro.final_pool) ** 2
    found["head.hidden.weight"] = torch.empty(macro.hidden, flat).normal_(0, 0.01)
    found["head.classifier.weight"] = torch.empty(macro.classes * macro.votes, macro.hidden).normal_(0, 0.01)
    found["head.classifier.bias"] = torch.zeros(macro.classes * macro.votes)
    return found


def copy_weights(network: Any, matrix: Tensor, weights: dict[str, Tensor]) -> None:
    """Ours into its network, by name."""
    network.stem[0].weight.copy_(weights["stem.conv.weight"])
    network.downconv1[2].weight.copy_(weights["reduction1.conv.weight"])
    network.classifier[1].weight.copy_(weights["head.hidden.weight"])
    network.classifier[3].weight.copy_(weights["head.classifier.weight"])
    for number, cell in ((1, network.cell1), (2, network.cell2)):
        layers = [(pair, layer) for pair, layer in zip(PAIRS, cell.cell_architecture, strict=True)]
        if hasattr(cell, "cell_architecture_back"):
            back = [(row, column) for column in range(3) for row in range(column + 1, 4)]
            layers += list(zip(back, cell.cell_architecture_back, strict=True))
        for (source, target), layer in layers:
            kernel = {2: 1, 3: 3}.get(int(matrix[source, target]))
            if kernel:
                layer[1].weight.copy_(weights[f"cell{number}.{source}_{target}.conv{kernel}x{kernel}.conv.weight"])


class TheirLoop:
    """SNASNet's loop on chosen candidates: score and processor seconds, those of building the network apart.

    Args:
        module: its `model_snn`, patched.
        images: the batch.
        weights: of all layers.
        cell: `"forward"` or `"backward"`.
    """

    def __init__(self, module: Any, images: Tensor, weights: dict[str, Tensor], cell: str) -> None:
        self.module, self.weights = module, weights
        self.data = torch.utils.data.TensorDataset(images, torch.zeros(len(images), dtype=torch.long))
        self.arguments = argparse.Namespace(
            num_search=1, timestep=5, second_avgpooling=2, dataset="cifar100", celltype=cell, threshold=1.0, tau=4 / 3
        )
        self.building = self.copying = 0.0
        original = module.SNASNet

        def build(arguments: argparse.Namespace, matrix: Tensor) -> Any:
            start = time.process_time()
            network = original(arguments, matrix)
            self.building = time.process_time() - start
            copy_weights(network, matrix, self.weights)
            self.copying = time.process_time() - start - self.building
            return network

        module.build_network = build

    def __call__(self, matrix: Tensor) -> tuple[float, float, float]:
        """Score, seconds, and how many of them went into building the network."""
        self.module.connection_matrix_gen = lambda arguments, num_node, num_options: matrix.clone()
        said = io.StringIO()
        start = time.process_time()
        with contextlib.redirect_stdout(said):
            self.module.find_best_neuroncell(self.arguments, self.data)
        seconds = time.process_time() - start - self.copying
        score = float(said.getvalue().split("max score:")[1].split()[0])
        return score, seconds, self.building


def matrix_of(space: SNASNetSpace, codes: tuple[int, ...]) -> Tensor:
    """A candidate in its notation."""
    matrix = torch.zeros(4, 4, dtype=torch.long)
    for (low, high), code in zip(space.pairs, codes, strict=True):
        backward = code >= len(space.operations)
        operation = code - len(space.operations) + 1 if backward else code
        matrix[(high, low) if backward else (low, high)] = operation
    return matrix


def ours(score: Any, space: SNASNetSpace, codes: tuple[int, ...], task: ScoringTask) -> tuple[float, float]:
    """Our score of one candidate that shares with no other, and processor seconds."""
    start = time.process_time()
    ((_, parts),) = score.each({codes: space.decode(codes)}, task)
    return parts["mean"], time.process_time() - start


def summary(ratios: list[float]) -> str:
    """Median and extremes."""
    return f"{np.median(ratios):.2f}x ({min(ratios):.2f} to {max(ratios):.2f})"


def compare(given: argparse.Namespace) -> None:
    """Run and print."""
    feedback = given.cell == "backward"
    macro = replace(Macro(), classes=100, votes=5, channels=given.channels, dropout=0.0)
    space = SNASNetSpace(macro, feedback=feedback)
    images, _ = batch_of(given.images, given.batch)
    weights = weights_by_their_rules(space, feedback)
    changes = {
        "search_batchsize = 256": f"search_batchsize = {given.batch}",
        "repeat = 2": "repeat = 1",
        "num_workers=4": "num_workers=0",
        "searchnet = SNASNet(args, con_mat)": "searchnet = build_network(args, con_mat)",
        "layer.Dropout(0.5)": "layer.Dropout(0.0)",
    }
    if given.form == "first":
        changes["((1-sparsity) @ sparsity.t())) * neuron_num"] = "((1-sparsity) @ sparsity.t()))"
    if given.channels != 128:
        for base in (128, 256):
            changes[f"{base}*self.channel_ratio"] = f"{base * given.channels // 128}*self.channel_ratio"
        changes["self.first_out_channel = 128"] = f"self.first_out_channel = {given.channels}"
    score = SahdMean if given.form == "first" else SahdNormalisedMean
    task = ScoringTask(space, images)
    drawn = sample(space, np.random.default_rng(given.seed), 40 * given.candidates)
    drawn = drawn[(drawn[:, 2] > 0) & (drawn[:, 2] < len(space.operations))]
    codes = [tuple(row) for row in space.canonical(drawn)[0].tolist()][: given.candidates]
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        theirs = TheirLoop(patched(given.snasnet, Path(folder) / "copy", changes), images, weights, given.cell)
        kinds = [kind for kind in ARITHMETICS if error_of(kind) < 1] if not feedback else ["float32"]
        scores = {kind: score(kind, weights=weights) for kind in kinds}
        theirs(matrix_of(space, codes[0]))  # warms up
        for kind in kinds:
            ours(scores[kind], space, codes[0], task)
        rows: dict[str, list[float]] = {name: [] for name in ("theirs", "building", *kinds)}
        differences: dict[str, list[float]] = {kind: [] for kind in kinds}
        for one in codes:
            value, seconds, building = theirs(matrix_of(space, one))
            rows["theirs"].append(seconds)
            rows["building"].append(building)
            for kind in kinds:
                found, spent = ours(scores[kind], space, one, task)
                rows[kind].append(spent)
                differences[kind].append(abs(found - value))
            print("#", one, f"{value:.3f}", {name: round(times[-1], 2) for name, times in rows.items()}, flush=True)
        architectures = {one: space.decode(one) for one in codes}
        start = time.process_time()
        together = list((scores.get(detected()) or score(weights=weights)).each(architectures, task))
        spent = time.process_time() - start
    print(f"\n{given.cell} cells, {given.channels} channels, B = {given.batch}, T = 5, form '{given.form}', "
          f"{len(codes)} candidates, {len(together)} distinct; convolutions here take {detected()}\n")  # fmt: skip
    print("| ours | s a candidate | times faster, median (extremes) | in total | without building | max difference |")
    print("|---|---|---|---|---|---|")
    total, lean = sum(rows["theirs"]), sum(rows["theirs"]) - sum(rows["building"])
    for kind in kinds:
        mine = sum(rows[kind])
        each = summary([a / b for a, b in zip(rows["theirs"], rows[kind], strict=True)])
        print(f"| {kind}, one by one | {mine / len(codes):.3f} | {each} | {total / mine:.2f}x | {lean / mine:.2f}x "
              f"| {max(differences[kind]):.4f} |")  # fmt: skip
    print(f"| {detected()}, all together | {spent / len(codes):.3f} | | {total / spent:.2f}x | {lean / spent:.2f}x | |")
    times = np.array(rows["theirs"])
    print(f"\nSNASNet's loop: {times.mean():.3f} s a candidate (median {np.median(times):.3f}, {times.min():.2f} to "
          f"{times.max():.2f}), of it building the network {(total - lean) / len(codes):.3f} s")  # fmt: skip


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--snasnet", type=Path, required=True)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--candidates", type=int, default=12)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--channels", type=int, default=128)
    parser.add_argument("--cell", choices=("forward", "backward"), default="forward")
    parser.add_argument("--form", choices=("first", "last"), default="first")
    parser.add_argument("--seed", type=int, default=0)
    torch.set_num_threads(1)
    compare(parser.parse_args())


if __name__ == "__main__":
    main()
