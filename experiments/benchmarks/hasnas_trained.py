"""Are the picks within HASNAS's four limits any good? Trained, beside feasible cells drawn at random; prints Markdown.

    python experiments/benchmarks/hasnas_trained.py table --data cifar10.npz
    python experiments/benchmarks/hasnas_trained.py train --data-root DATA --out DIR

`table` asks SpikeNAS-Bench, whose cells were all trained to the end on CIFAR-10 (128 channels, T = 5): its cells are
priced on the macro of `hasnas_budgets.py` (the head is averaged, so that it keeps to the limits), what fits is ranked
by the default score, and the test accuracy of the pick stands beside that of feasible cells drawn at random.
`train` picks in SNASNet's space for two chips, as `hasnas_budgets.py` does, and trains the pick and ten feasible cells
for each chip on a CPU: the cells are those that the chip prices at 128 channels, trained with an eighth of them on few
images of the CIFAR-10 JPEG copies, all alike; beside them the pick at 64 channels, where deeper cells fit. A killed run
goes on; each network reads its test images once.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from hasnas_budgets import BUDGET, CHIPS, MACRO, Search
from intervals import interval
from numpy.typing import NDArray

from hasnas.cim_estimator import Activity, load_hardware
from hasnas.files import write_atomic
from hasnas.nas.bench.table import BenchmarkTable, read_table
from hasnas.nas.budget.pricer import Pricer
from hasnas.nas.config.training import AugmentationSection, RetrainSection
from hasnas.nas.data.samples import Splits, load_splits
from hasnas.nas.scoring import DEFAULT_SCORE, SCORES, ScoringTask
from hasnas.nas.scoring.counters import Depth
from hasnas.nas.training.evaluation import evaluate
from hasnas.nas.training.retrain import retrain
from hasnas.search_spaces.snasnet import SNASNetSpace
from hasnas.search_spaces.space import Codes
from hasnas.search_spaces.spikenas_bench import SpikeNASBenchSpace, id_of_codes

DRAWN, TIMES = 10, 1000
CHAINS = ((3, 0, 0, 0, 3, 0), (0, 0, 3, 0, 0, 0))  # of 3x3 convolutions behind neurons with threshold 1
TRAINED_CHIPS = (CHIPS[0], CHIPS[4])
WIDTH, NARROW, PART = 128, 64, 8  # channels that are priced, and the part of them that is trained
SMALL = replace(MACRO, timesteps=2, stem_stride=2, final_pool=8, hidden=0, votes=1, dropout=0.0)
CHOOSING, TESTING = 0.2, 1.0  # as many samples as are trained with, times this


def from_table(table: BenchmarkTable) -> None:
    """Picks and random feasible cells, looked up."""
    space = SpikeNASBenchSpace(MACRO)
    canonical, connected = space.canonical(table.codes)
    print("| chip | fit | pick | its test accuracy | depth counter's | plain chain | ten at random: mean | "
          "best by validation | best that fits | share that beats the pick | CPU s: price, score |\n"
          + "|---" * 11 + "|")  # fmt: skip
    for name, changes in CHIPS:
        pricer = Pricer(space, load_hardware(name, changes), Activity.dense())
        start = time.process_time()
        rows = np.flatnonzero(connected)
        rows = rows[BUDGET.check(pricer.costs(canonical[rows])).feasible]
        score = SCORES.get(DEFAULT_SCORE)()(ScoringTask(space), canonical[rows]).total
        seconds = time.process_time() - start
        depth = SCORES.get("depth")()(ScoringTask(space), canonical[rows]).total
        tied = rows[score >= score.max() - 1e-9]  # drawn in several ways, trained each by itself
        pick, rng = float(table.test[tied].mean()), np.random.default_rng(0)
        drawn = rng.choice(rows, (TIMES, DRAWN))
        best = table.test[drawn[np.arange(TIMES), table.validation[drawn].argmax(axis=1)]]
        tests = table.test[rows]
        codes = "".join(map(str, canonical[tied[0]].tolist()))
        print(f"| {name} {changes['crossbar.size']} | {len(rows)} / {connected.sum()} | {codes} | **{pick:.2f}** | "
              f"{table.test[rows[depth == depth.max()]].mean():.2f} | {_chain_of(table, set(rows.tolist())):.2f} | "
              f"{table.test[drawn].mean():.2f} | {best.mean():.2f} | {tests.max():.2f} | "
              f"{np.mean(tests > pick):.1%} | {seconds:.2f} |", flush=True)  # fmt: skip


def _chain_of(table: BenchmarkTable, fitting: set[int]) -> float:
    """Test accuracy of the plain chain with most convolutions, two at most, that fits; NaN if none does."""
    for codes in CHAINS:
        row = table.row(id_of_codes(codes))
        if row in fitting:
            return float(table.test[row])
    return float("nan")


@dataclass(frozen=True)
class Chosen:
    """The cells that are trained for one chip at one width.

    Args:
        chip: its name and the size of its crossbars.
        width: channels.
        codes: all that fit, the best by score first, `[N, 6]`.
        seconds: processor time of price, score and pick.
    """

    chip: str
    width: int
    codes: Codes
    seconds: float

    def drawn(self) -> Codes:
        """Cells that fit, drawn at random, `[DRAWN, 6]`; the pick is not among them."""
        return self.codes[np.random.default_rng(0).choice(len(self.codes) - 1, DRAWN, replace=False) + 1]


def chosen(name: str, changes: dict[str, str], width: int) -> Chosen:
    """What fits a chip, ranked."""
    space = SNASNetSpace(replace(MACRO, channels=width))
    search = Search(space, Pricer(space, load_hardware(name, changes), Activity.dense()), 40_000)
    start = time.process_time()
    found = search.run(0)
    seconds = time.process_time() - start
    if found is None:
        raise SystemExit(f"nothing fits {name}")
    return Chosen(f"{name} {changes['crossbar.size']}", width, found[0], seconds)


def trained(
    codes: NDArray[np.integer], width: int, splits: Splits, settings: RetrainSection, seed: int, out: Path
) -> tuple[float, float]:
    """Test accuracy of a cell in percent, and the processor time of its training."""
    path = out / f"{''.join(map(str, codes.tolist()))}_{width}_{seed}.json"
    if not path.exists():
        start = time.process_time()
        tree = SNASNetSpace(replace(SMALL, channels=width // PART)).decode(codes.tolist()).to_json()
        result = retrain(tree, splits, settings, seed, path.with_suffix(""))
        found = {"test": 100 * evaluate(result.network(tree), splits.test), "cpu_s": time.process_time() - start}
        write_atomic(path, json.dumps(found) + "\n")
    found = json.loads(path.read_text())
    return found["test"], found["cpu_s"]


def few_images(root: Path, count: int) -> Splits:
    """The first images of each part, so many to train on; the training split is shuffled once."""
    splits = load_splits("cifar10-jpeg", root, 0.1, 0)
    order = torch.randperm(len(splits.train), generator=torch.Generator().manual_seed(0))
    return replace(
        splits,
        train=splits.train.take(order[:count]),
        validation=splits.validation.take(torch.arange(int(CHOOSING * count))),
        test=splits.test.take(torch.arange(int(TESTING * count))),
    )


def train_picks(root: Path, out: Path, seeds: list[int], images: int, epochs: int) -> None:
    """Train the picks and the cells drawn, and print the table."""
    torch.set_num_threads(1)
    out.mkdir(parents=True, exist_ok=True)
    splits = few_images(root, images)
    settings = RetrainSection(
        epochs=epochs, batch_size=50, learning_rate=5e-3, augmentation=AugmentationSection(flip=0.5)
    )
    print(f"| chip | seed | pick at {WIDTH} channels | at {NARROW} | ten at random: mean (95 %) | best of the ten | "
          "behind the pick | depth of the picks | CPU s: search, a training |\n" + "|---" * 9 + "|")  # fmt: skip
    for seed in seeds:
        for chip in TRAINED_CHIPS:
            wide, narrow = (chosen(*chip, width) for width in (WIDTH, NARROW))
            pick, _ = trained(wide.codes[0], WIDTH, splits, settings, seed, out)
            other, _ = trained(narrow.codes[0], NARROW, splits, settings, seed, out)
            tests, seconds = np.array([trained(codes, WIDTH, splits, settings, seed, out) for codes in wide.drawn()]).T
            depths = (Depth()(ScoringTask(SNASNetSpace(MACRO)), each.codes[:1]).total[0] for each in (wide, narrow))
            print(f"| {wide.chip} | {seed} | **{pick:.1f}** | {other:.1f} | "
                  f"{interval(tests, '.1f')} | {tests.max():.1f} | "
                  f"{np.sum(tests < pick)} of {DRAWN} | {', '.join(f'{depth:g}' for depth in depths)} | "
                  f"{wide.seconds:.2f}, {seconds.mean():.0f} |", flush=True)  # fmt: skip


def main() -> None:
    """Look up, or train."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("table", "train"))
    parser.add_argument("--data", type=Path, help="SpikeNAS-Bench's cifar10.npz")
    parser.add_argument("--data-root", type=Path, help="folder of cifar10_jpeg.npz")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--images", type=int, default=1000, help="to train on; as many are tested")
    parser.add_argument("--epochs", type=int, default=4)
    given = parser.parse_args()
    if given.part == "table":
        from_table(read_table(given.data))
    else:
        train_picks(given.data_root, given.out, given.seeds, given.images, given.epochs)


if __name__ == "__main__":
    main()
