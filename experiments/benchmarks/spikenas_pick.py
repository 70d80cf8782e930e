"""SNASNet's search against ours on SpikeNAS-Bench: accuracy of the pick, and what it costs to find.

    python experiments/benchmarks/spikenas_pick.py --data cifar10.npz --images cifar10_jpeg.npz --cache sahd.jsonl sahd
    python experiments/benchmarks/spikenas_pick.py --data cifar10.npz --cache sahd.jsonl --seconds 14.2 report

`sahd` scores 5,000 candidates drawn as SNASNet draws them (uniform genes, input joined to output) by SAHD in its
published form, on the benchmark's macro (128 channels, T = 5) and one batch of CIFAR-10 JPEG copies. It may be stopped
and goes on where it was; draws come in rounds of 1,000, so that the first rounds are a sample of their own.
`report` takes the seconds that SNASNet's loop needs for one candidate from `sahd_speed.py`.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr

from hasnas.datasets.cifar_jpeg import CIFAR10_JPEG
from hasnas.nas.bench.table import BenchmarkTable, read_table
from hasnas.nas.scoring import SCORES, ScoringTask
from hasnas.nas.scoring.arithmetic import chosen
from hasnas.nas.scoring.forward_scores import SahdMean
from hasnas.search_spaces.space import Codes, sample
from hasnas.search_spaces.spikenas_bench import SpikeNASBenchSpace, id_of_codes

CANDIDATES, ROUND, SEEDS = 5000, 1000, 100
COUNTS = (1000, CANDIDATES, 15_625)
MEAN, DEVIATION = (0.4913, 0.4821, 0.4465), (0.2470, 0.2434, 0.2615)  # as in SNASNet's transforms


def batch_of(path: Path, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The first images of the training split, normalised, and their classes; any prefix is balanced."""
    samples = CIFAR10_JPEG.load("train", path.parent)
    images = torch.tensor(np.asarray(samples.inputs[:size])).float() / 255
    mean, deviation = (torch.tensor(values)[:, None, None] for values in (MEAN, DEVIATION))
    return (images - mean) / deviation, torch.tensor(np.asarray(samples.targets[:size]))


def draws_of(space: SpikeNASBenchSpace, count: int, seed: int) -> Codes:
    """Codes `[count, 6]` as drawn by SNASNet: every operation alike, edge from input to output present."""
    rng = np.random.default_rng(seed)
    drawn = sample(space, rng, 2 * count)
    return drawn[drawn[:, 2] > 0][:count]


def read_cache(path: Path) -> tuple[dict[tuple[int, ...], float], float]:
    """Scores by canonical codes so far, and the CPU seconds spent on them."""
    scores: dict[tuple[int, ...], float] = {}
    seconds = 0.0
    for line in path.read_text().splitlines() if path.exists() else []:
        record = json.loads(line)
        scores[tuple(record["codes"])] = record["score"]
        seconds += record["cpu_s"]
    return scores, seconds


def score_all(table: BenchmarkTable, images: torch.Tensor, path: Path, seed: int, arithmetic: str | None) -> None:
    """Score the draws round by round, a line for each distinct candidate."""
    space = table.space
    drawn = space.canonical(draws_of(space, CANDIDATES, seed))[0]
    task, score = ScoringTask(space, images), SahdMean(arithmetic)
    print(f"arithmetic {chosen(arithmetic)}, {len(np.unique(drawn, axis=0))} distinct candidates", flush=True)
    for start in range(0, CANDIDATES, ROUND):
        known, _ = read_cache(path)
        rows = {tuple(row) for row in drawn[start : start + ROUND].tolist()} - set(known)
        architectures = {row: space.decode(row) for row in sorted(rows)}
        with path.open("a") as file:
            before = time.process_time()
            for codes, parts in score.each(architectures, task):
                now = time.process_time()
                file.write(json.dumps({"codes": codes, "score": parts["mean"], "cpu_s": now - before}) + "\n")
                file.flush()
                before = now


def seconds_of(table: BenchmarkTable, name: str, count: int) -> float:
    """CPU seconds of a score on so many candidates, median of three goes; what is made once for a space is free."""
    score, task, spent = SCORES.get(name)(), ScoringTask(table.space), []
    for seed in range(4):
        codes = table.codes[_subset(table, seed, count)]
        start = time.process_time()
        score(task, codes)
        spent.append(time.process_time() - start)
    return float(np.median(spent[1:]))


def picks_of(table: BenchmarkTable, total: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Test accuracy of the pick among so many random candidates, for each seed; ties are broken at random."""
    found = []
    for seed in range(SEEDS):
        rows = _subset(table, seed, count)
        best = rows[total[rows] == total[rows].max()]
        found.append(table.test[np.random.default_rng([seed, 7]).choice(best)])
    return np.array(found)


def interval(values: NDArray[np.float64]) -> str:
    """Mean and 95 % bootstrap interval."""
    rng = np.random.default_rng(0)
    means = rng.choice(values, (4000, len(values))).mean(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    return f"{values.mean():.3f} [{low:.3f}, {high:.3f}]"


def report(table: BenchmarkTable, path: Path, seed: int, seconds: float) -> None:
    """Picks of SNASNet's search and of ours."""
    theirs = report_sahd(table, path, seed, seconds)
    picks: dict[tuple[str, int], NDArray[np.float64]] = {}
    cost: dict[tuple[str, int], float] = {}
    for name in ("trainability", "isometric_depth", "balanced_depth", "depth"):
        total = SCORES.get(name)()(ScoringTask(table.space), table.codes).total
        for count in COUNTS:
            picks[name, count], cost[name, count] = picks_of(table, total, count), seconds_of(table, name, count)
            print(f"{name}, {count} candidates: {interval(picks[name, count])} in {cost[name, count]:.4f} CPU-s, "
                  f"{CANDIDATES * seconds / cost[name, count]:,.0f}x less than SNASNet's loop; "
                  f"against its pick {interval(picks[name, count] - theirs)}")  # fmt: skip
    for name in ("trainability", "isometric_depth", "balanced_depth"):
        for count in COUNTS:
            gain = interval(picks[name, count] - picks["depth", len(table)])
            print(f"{name} on {count} ({cost[name, count]:.3f} CPU-s) - depth on all with random ties "
                  f"({cost['depth', len(table)]:.3f} CPU-s), paired: {gain}")  # fmt: skip


def report_sahd(table: BenchmarkTable, path: Path, seed: int, seconds: float) -> float:
    """Expected test accuracy of the pick by SAHD among the draws scored so far."""
    known, spent = read_cache(path)
    drawn = draws_of(table.space, CANDIDATES, seed)
    canonical = [tuple(row) for row in table.space.canonical(drawn)[0].tolist()]
    scored = np.array([key in known for key in canonical])
    whole = CANDIDATES if scored.all() else int(np.argmin(scored)) // ROUND * ROUND
    used = np.flatnonzero(scored if whole == 0 else np.arange(CANDIDATES) < whole)
    scores = np.array([known[canonical[index]] for index in used])
    tests = np.array([table.test[table.row(id_of_codes(codes))] for codes in drawn[used].tolist()])
    tied = np.flatnonzero(scores == scores.max())
    kind = "the first draws" if whole else "those scored so far, in no random order"
    print(f"SAHD: {len(used)} of {CANDIDATES} draws ({kind}), {len({canonical[i] for i in used})} distinct; "
          f"{len(tied)} tie for the best score")  # fmt: skip
    pick = list(canonical[used[tied[0]]])
    print(f"  pick {pick}: test accuracy {tests[tied].mean():.2f}; mean of all {tests.mean():.2f}")
    print(f"  Spearman of SAHD with test accuracy {spearmanr(scores, tests).statistic:.3f}")
    print(f"  our CPU time for {len(known)} distinct {spent:.0f} s; SNASNet's loop {CANDIDATES} x {seconds} s")
    return float(tests[tied].mean())


def _subset(table: BenchmarkTable, seed: int, count: int) -> NDArray[np.int64]:
    return np.random.default_rng([seed, 3]).choice(len(table), count, replace=False)


def main() -> None:
    """Score, or report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("sahd", "report"))
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--images", type=Path)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=float("nan"), help="of SNASNet's loop, for one candidate")
    parser.add_argument("--arithmetic")
    given = parser.parse_args()
    torch.set_num_threads(1)
    table = read_table(given.data)
    if given.part == "sahd":
        score_all(table, batch_of(given.images, given.batch)[0], given.cache, given.seed, given.arithmetic)
    else:
        report(table, given.cache, given.seed, given.seconds)


if __name__ == "__main__":
    main()
