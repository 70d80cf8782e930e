"""Speeds and accuracies on one GPU; JSON lines and a summary. Run by `check.sh`, which says what it needs.

- share of the bf16 peak: floating-point operations that torch counts in one step, over the time it takes, over what a
  large bf16 matrix product reaches on this device a moment before;
- supernet: steps of single paths; SAHD: candidates scored; training: steps of one network, ours beside SpikingJelly's
  neurons in the same network, in bf16 channels-last and, as its tutorials have it, in float32;
- accuracy: a cell that the default score finds and the plain chain of convolutions, each as wide as its parameters
  allow, on the same schedule of as many epochs as there is time for; the test split is read once for each.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from hasnas.nas.config.sections import SupernetSection
from hasnas.nas.config.training import AugmentationSection, RetrainSection
from hasnas.nas.data.samples import Split, Splits, load_splits
from hasnas.nas.scoring import DEFAULT_SCORE, SCORES, ScoringTask
from hasnas.nas.training.devices import current_device, describe, on_device, placed, precision_on
from hasnas.nas.training.evaluation import evaluate
from hasnas.nas.training.loop import EpochBatches
from hasnas.nas.training.parts import autocast
from hasnas.nas.training.retrain import retrain
from hasnas.search_spaces import Macro
from hasnas.search_spaces.lif_scan import compiler_works, use_lif_scan
from hasnas.search_spaces.network import SpikingNetwork, build_network
from hasnas.search_spaces.snasnet import CellSpace
from hasnas.search_spaces.space import sample

MOST_PARAMETERS = 4_000_000
CHAIN = (2, 0, 0, 2, 0, 2)
OPERATIONS = ("none", "identity", "conv3x3", "conv3x3_t0.5", "conv3x3_t1.5", "avgpool3x3")


@dataclass(frozen=True)
class Size:
    """How much of everything.

    Args:
        channels: of supernet and scored networks.
        batch: of all steps.
        steps: timed, after as many that are not.
        candidates: scored.
        drawn: cells that the score chooses from.
        parameters: that the trained networks may have.
        seconds: for both trainings together.
        matrix: side of the product that shows the peak.
    """

    channels: int = 96
    batch: int = 256
    steps: int = 12
    candidates: int = 24
    drawn: int = 4000
    parameters: int = MOST_PARAMETERS
    seconds: float = 260.0
    matrix: int = 8192


TINY = Size(4, 8, 1, 2, 50, 4000, 0.0, 64)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiny", action="store_true", help="every part on a CPU, on digits")
    parser.add_argument("--data", type=Path, default=Path(__file__).parent / "data")
    parser.add_argument("--out", type=Path, default=Path("runs/gpu_check"))
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    size = TINY if given.tiny else Size()
    with on_device("cpu" if given.tiny else "cuda") as device, (given.out / "check.jsonl").open("a") as file:

        def note(part: str, **figures: Any) -> None:
            line = json.dumps({"part": part, **figures})
            print(line, flush=True)
            file.write(line + "\n")
            file.flush()

        note("device", name=describe(device), torch=torch.__version__, compiler=compiler_works(device.type))
        peak = peak_flops(device, size.matrix)
        note("peak", bf16_tflops=peak / 1e12)
        splits = data(given)
        parts: dict[str, Callable[[], None]] = {
            "training": lambda: training_speed(splits, size, peak, note),
            "supernet": lambda: supernet_speed(splits, size, peak, note),
            "sahd": lambda: sahd_speed(splits, size, peak, note),
            "accuracy": lambda: accuracies(splits, size, note),
        }
        for name, run in parts.items():
            began = time.perf_counter()
            try:
                run()
            except Exception as error:  # one part that fails hides no other
                traceback.print_exc()
                note(name, failed=f"{type(error).__name__}: {error}")
            note("seconds", of=name, seconds=round(time.perf_counter() - began, 1))


def data(given: argparse.Namespace) -> Splits:
    """CIFAR-10 as JPEG copies; digits for a tiny run."""
    if given.tiny:
        return load_splits("digits", None, validation_share=0.2, seed=0)
    return load_splits("cifar10-jpeg", given.data, validation_share=0.04, seed=0)


def macro_of(splits: Splits, channels: int) -> Macro:
    """Three cells on shrinking maps, T = 4."""
    shape = tuple(splits.train.inputs.shape[1:])
    return Macro(shape, classes=splits.classes, timesteps=4, channels=channels, hidden=0, votes=1, final_pool=2,
                 dropout=0.1)  # fmt: skip


def space_of(splits: Splits, channels: int) -> CellSpace:
    """One cell, three times; of digits, whose maps are small, two times."""
    cells = 3 if splits.train.inputs.shape[-1] >= 32 else 2
    return CellSpace(macro_of(splits, channels), cells=cells, operations=OPERATIONS)


def seconds_of(step: Callable[[], object], repeats: int) -> float:
    """Median time of a step; as many before it are not counted."""
    times = []
    for number in range(2 * repeats):
        synchronise()
        began = time.perf_counter()
        step()
        synchronise()
        if number >= repeats:
            times.append(time.perf_counter() - began)
    return float(np.median(times))


def synchronise() -> None:
    """Wait for the GPU."""
    if current_device().type == "cuda":
        torch.cuda.synchronize()


def flops_of(step: Callable[[], object]) -> int:
    """Floating-point operations of a step, as torch counts those of convolutions and products."""
    with FlopCounterMode(display=False) as counter:
        step()
    return int(counter.get_total_flops())


def peak_flops(device: torch.device, side: int) -> float:
    """Floating-point operations a second of a large bf16 product."""
    left = torch.randn(side, side, device=device, dtype=torch.bfloat16)
    return 2 * side**3 / seconds_of(lambda: left @ left, 10)


def batch_of(splits: Splits, size: Size) -> tuple[Tensor, Tensor]:
    """Training samples on the device."""
    device = current_device()
    return splits.train.inputs[: size.batch].to(device), splits.train.targets[: size.batch].to(device)


def training_step(network: SpikingNetwork, splits: Splits, size: Size, precision: str) -> Callable[[], None]:
    """A step of AdamW."""
    inputs, targets = batch_of(splits, size)
    optimizer = torch.optim.AdamW(network.parameters(), 1e-3)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with autocast(inputs.device, precision):
            outputs = network(inputs)
        torch.nn.functional.cross_entropy(outputs.float(), targets).backward()
        optimizer.step()

    return step


def training_speed(splits: Splits, size: Size, peak: float, note: Callable[..., None]) -> None:
    """Ours (compiled scan, bf16, channels last) beside SpikingJelly's neurons in the same network."""
    device = current_device()
    graph = space_of(splits, size.channels).decode(CHAIN).expand()
    best = precision_on(device, "auto")
    forms = {"ours": (True, best, True), "spikingjelly_bf16": (False, best, True),
             "spikingjelly_float32": (False, "float32", False)}  # fmt: skip
    flops = flops_of(training_step(build_network(graph, 0).to(device).train(), splits, size, "float32"))
    for name, (scanned, precision, last) in forms.items():
        network = build_network(graph, 0).train()
        if scanned and device.type == "cuda":
            use_lif_scan(network)
        network = placed(network) if last else network.to(device)
        seconds = seconds_of(training_step(network, splits, size, precision), size.steps)
        note("training", form=name, images_per_s=size.batch / seconds, share_of_peak=flops / seconds / peak,
             gflop_per_image=flops / size.batch / 1e9)  # fmt: skip


def supernet_speed(splits: Splits, size: Size, peak: float, note: Callable[..., None]) -> None:
    """Steps of a supernet's training by random paths, loading and all."""
    from hasnas.nas.supernet.nni.oneshot import RandomOneShotTrainer

    space = space_of(splits, size.channels)
    paths = connected_cells(space, size, 50)
    few: Split = splits.train.take(torch.arange(size.batch * 2 * size.steps))
    moments: list[float] = []
    RandomOneShotTrainer().train(
        space,
        lambda rng: tuple(int(code) for code in paths[rng.integers(len(paths))]),
        few,
        settings=SupernetSection(epochs=1, batch_size=size.batch),
        seed=0,
        progress=lambda progress: moments.append(time.perf_counter()),
    )
    seconds = float(np.median(np.diff(moments)))
    each = []
    for codes in paths[:8]:
        network = build_network(space.decode(codes).expand(), 0).to(current_device()).train()
        each.append(flops_of(training_step(network, splits, size, "float32")))
    flops = float(np.mean(each))
    note("supernet", images_per_s=size.batch / seconds, share_of_peak=flops / seconds / peak,
         gflop_per_image=flops / size.batch / 1e9)  # fmt: skip


def sahd_speed(splits: Splits, size: Size, peak: float, note: Callable[..., None]) -> None:
    """Candidates scored by SAHD, one forward pass each."""
    space = space_of(splits, size.channels)
    codes = connected_cells(space, size, size.candidates)
    batch = min(size.batch, 64)
    task = ScoringTask(space, splits.train.inputs[:batch])
    score = SCORES.get("sahd")()
    score(task, codes[:1])
    synchronise()
    began = time.perf_counter()
    score(task, codes)
    synchronise()
    seconds = time.perf_counter() - began
    inputs, each = batch_of(splits, size)[0][:batch], []
    for one in codes[:8]:
        network = build_network(space.decode(one).expand(), 0).to(current_device()).train()
        with torch.no_grad():
            each.append(flops_of(partial(network, inputs)))
    note("sahd", candidates_per_s=len(codes) / seconds, images_per_s=len(codes) * batch / seconds,
         share_of_peak=float(np.mean(each)) * len(codes) / seconds / peak)  # fmt: skip


def connected_cells(space: CellSpace, size: Size, count: int) -> np.ndarray:
    """Distinct connected cells, drawn."""
    canonical, connected = space.canonical(sample(space, np.random.default_rng(0), size.drawn))
    distinct = np.unique(canonical[connected], axis=0)
    return distinct[np.random.default_rng(1).permutation(len(distinct))][:count]


def widest(splits: Splits, codes: Sequence[int], most: int) -> CellSpace:
    """The space in which a cell is as wide as its parameters allow, in steps of 8 channels (1 where few may be)."""
    unit = 8 if most > 100_000 else 1
    channels = unit
    while space_of(splits, channels + unit).decode(codes).expand().parameter_count <= most:
        channels += unit
    return space_of(splits, channels)


def searched(splits: Splits, size: Size) -> tuple[int, ...]:
    """The cell that the default score prefers, at a width that lets every cell fit."""
    space = space_of(splits, 8)
    codes = connected_cells(space, size, size.drawn)
    score = SCORES.get(DEFAULT_SCORE)()(ScoringTask(space, splits.train.inputs[:64]), codes)
    return tuple(int(code) for code in codes[score.order()[0]])


def loader(splits: Splits, settings: RetrainSection) -> Iterator[tuple[Tensor, Tensor]]:
    """Augmented batches on the device, without end."""
    generator = torch.Generator().manual_seed(0)
    while True:
        for inputs, targets in EpochBatches(splits, settings, lambda purpose: generator):
            yield inputs.to(current_device()), targets.to(current_device())


def accuracies(splits: Splits, size: Size, note: Callable[..., None]) -> None:
    """Test accuracy of the searched cell and of the plain chain, on one schedule."""
    networks = {"searched": searched(splits, size), "chain": CHAIN}
    spaces = {name: widest(splits, codes, size.parameters) for name, codes in networks.items()}
    settings = RetrainSection(
        batch_size=size.batch, learning_rate=4e-3, weight_decay=0.02, ema_decay=0.998, label_smoothing=0.1,
        warmup_epochs=1, augmentation=AugmentationSection(flip=0.5, shift=4),
    )  # fmt: skip
    if not size.seconds:
        splits = replace(splits, train=splits.train.take(torch.arange(64)))
    slowest = 0.0
    for name, codes in networks.items():
        network = placed(build_network(spaces[name].decode(codes).expand(), 0).train())
        if current_device().type == "cuda":
            use_lif_scan(network)
        step = training_step(network, splits, size, precision_on(current_device(), "auto"))
        slowest = max(slowest, seconds_of(step, size.steps))
    # Loading waits for no step, nor a step for loading; a quarter more for judging and starting.
    loading = seconds_of(partial(next, loader(splits, settings)), size.steps)
    note("loader", images_per_s=size.batch / loading)
    epoch = 1.25 * (slowest + loading) * len(splits.train) / size.batch
    settings = settings.with_changes({"epochs": max(1, int(size.seconds / len(networks) / epoch))})
    for name, codes in networks.items():
        architecture = spaces[name].decode(codes)
        began = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            result = retrain(architecture.to_json(), splits, settings, 0, Path(folder))
            test = evaluate(result.network(architecture.to_json()), splits.test)
        note("accuracy", network=name, codes=codes, data="CIFAR-10, JPEG copy" if size.seconds else "digits",
             test=test, validation=result.merit, epochs=settings.epochs, timesteps=architecture.macro.timesteps,
             parameters=architecture.expand().parameter_count, seconds=time.perf_counter() - began,
             images_per_s=settings.epochs * len(splits.train) / (time.perf_counter() - began))  # fmt: skip


if __name__ == "__main__":
    main()
