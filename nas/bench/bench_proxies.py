"""What `hasnas bench proxies` prints: training-free scores judged by the accuracies of trained networks."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau, spearmanr

from hasnas.errors import BadInputError
from hasnas.nas.scoring import BASELINES, NETWORK_SCORES, SCORES, ScoringTask
from hasnas.nas.scoring.counters import Counts

from .table import BenchmarkTable, read_table

FloatArray = NDArray[np.float64]
Rows = NDArray[np.int64]
GRADIENT_SCORES = ("snip", "zico", "jacobian")
RESAMPLES = 300


@dataclass(frozen=True)
class NetworkSettings:
    """How scores that run networks are judged.

    Args:
        networks: how many architectures, drawn systematically over depth and number of convolutions.
        channels, timesteps: of the networks.
        batch: images of a forward pass.
        gradient_batch: images where gradients are needed.
    """

    networks: int = 360
    channels: int = 32
    timesteps: int = 3
    batch: int = 32
    gradient_batch: int = 16


def bench_proxies(
    data: Path | str,
    names: Sequence[str] | None = None,
    *,
    images: Path | None = None,
    settings: NetworkSettings | None = None,
    seed: int = 0,
    report: Callable[[str], None] | None = None,
) -> list[dict[str, Any]]:
    """Rank correlation of training-free scores with the test accuracy of the trained networks.

    Counters and mean-field scores are judged on all architectures, scores that run networks on a systematic part.

    Args:
        data: the benchmark's `.npz` file.
        names: registered scores; all unless given, without images all that need none.
        images: the CIFAR-10 JPEG copies, a file or its folder, for the scores that run networks.
        settings: of the scores that run networks.
        seed: of the weights.
        report: told each score as it begins.

    Returns:
        See `proxy_row`.

    Raises:
        BadInputError: if a file or a score cannot be used, or a score that runs networks has no images.
    """
    table = read_table(data)
    chosen = list(names or [name for name in SCORES.names() if images is not None or name not in NETWORK_SCORES])
    for name in chosen:
        SCORES.get(name)
        if name in NETWORK_SCORES and images is None:
            raise BadInputError(f"score '{name}' runs networks; give --images")
    used = settings or NetworkSettings()
    batch = None if images is None else read_images(images, used.batch)
    found = []
    for name in chosen:
        if report is not None:
            report(name)
        if name in NETWORK_SCORES and batch is not None:
            count = used.gradient_batch if name in GRADIENT_SCORES else used.batch
            macro = replace(table.space.macro, channels=used.channels, timesteps=used.timesteps)
            task = ScoringTask(replace(table.space, macro=macro), batch[0][:count], batch[1][:count], seed)
            row = proxy_row(table, name, systematic_rows(table, used.networks), task)
            found.append({**row, "batch": count, "arithmetic": _arithmetic_of(name)})
        else:
            row = proxy_row(table, name, np.arange(len(table)), ScoringTask(table.space))
            found.append({**row, "batch": 0, "arithmetic": "float64"})
    return found


def _arithmetic_of(name: str) -> str:
    """The numbers that convolutions are computed with on this machine."""
    from hasnas.nas.scoring.arithmetic import detected
    from hasnas.nas.scoring.forward_scores import ForwardScore

    score = SCORES.get(name)
    return detected() if isinstance(score, type) and issubclass(score, ForwardScore) else "float32"


def proxies_table(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """The rows for people, with what the strongest counter and the number of convolutions reach beside them."""
    heading = ("SCORE", "SPEARMAN", "95 %", "ALIVE", "KENDALL", "TOP", "DEPTH ALONE", "WITH CONVS", "CPU S", "N")
    lines = [
        (
            row["name"],
            f"{row['spearman']:.3f}",
            f"{row['low']:.2f}..{row['high']:.2f}",
            f"{row['spearman_alive']:.3f}",
            f"{row['kendall']:.3f}",
            f"{row['top_share']:.2f}",
            f"{row['baseline_depth']:.3f}",
            f"{row['with_live_convs']:.2f}",
            f"{row['cpu_s']:.1e}",
            str(row["n"]),
        )
        for row in rows
    ]
    return [heading, *lines]


def systematic_rows(table: BenchmarkTable, count: int) -> Rows:
    """Every n-th row of the table ordered by depth, then by live convolutions, then by number.

    Raises:
        BadInputError: if there are not as many rows.
    """
    if not 3 <= count <= len(table):
        raise BadInputError(f"{count} networks asked for; give 3 to {len(table)}")
    counts = Counts(table.space, table.codes)
    depth = np.where(counts.connected, counts.depth, -1)
    order = np.lexsort([table.ids, counts.live_convs, depth])
    return np.sort(order[np.linspace(0, len(order) - 1, count).round().astype(int)])


def read_images(path: Path, count: int) -> tuple[Any, Any]:
    """Normalised images `[count, 3, 32, 32]` of the training split and their classes, as tensors.

    Raises:
        BadInputError: if the file cannot be used.
    """
    import torch

    from hasnas.datasets.cifar_jpeg import CIFAR10_JPEG

    samples = CIFAR10_JPEG.load("train", path if path.is_dir() else path.parent)
    images = torch.tensor(np.asarray(samples.inputs[:count])).float() / 255
    spread, mean = torch.std_mean(images, dim=(0, 2, 3), keepdim=True)
    return (images - mean) / spread, torch.tensor(np.asarray(samples.targets[:count]))


def proxy_row(table: BenchmarkTable, name: str, rows: Rows, task: ScoringTask) -> dict[str, Any]:
    """One score on some rows of the table.

    Returns:
        `name`, `spearman`, `kendall`, `cpu_s` (of one candidate) and `n`; `low` and `high`, the bootstrap interval
        (95 %) of Spearman's correlation; the same correlations among connected candidates (`spearman_alive`,
        `kendall_alive`) and among those of equal depth (`spearman_at_depth_1` ...); `top_share`: the share of the best
        1 % by test accuracy within the best 10 % by score; `with_live_convs`: correlation with the number of
        convolutions; and what the counters reach on the same rows (`baseline_depth` ...).
    """
    score = SCORES.get(name)()
    score(task, table.codes[rows[:2]])  # what is made once for a space is not the price of a candidate
    start = time.process_time()
    total = score(task, table.codes[rows]).total
    seconds = (time.process_time() - start) / len(rows)
    test, counts = table.test[rows], Counts(table.space, table.codes[rows])
    alive, value = counts.connected, as_ranked(total)
    low, high = bootstrap(value, test)
    levels = {level: alive & (counts.depth == level) for level in (1, 2, 3)}
    within = {f"spearman_at_depth_{level}": spearman(value[rows], test[rows]) for level, rows in levels.items()}
    baselines = {f"baseline_{one}": _baseline(one, table, rows) for one in BASELINES}
    return {
        "name": name,
        "spearman": spearman(value, test),
        "kendall": _kendall(value, test),
        "cpu_s": seconds,
        "n": len(rows),
        "low": low,
        "high": high,
        "spearman_alive": spearman(value[alive], test[alive]),
        "kendall_alive": _kendall(value[alive], test[alive]),
        **within,
        "top_share": top_share(value, test),
        "with_live_convs": spearman(value, counts.live_convs),
        **baselines,
    }


def as_ranked(total: FloatArray) -> FloatArray:
    """Scores with disconnected candidates last together, and what is not a number among them."""
    finite = total[np.isfinite(total)]
    lowest = float(finite.min()) - 1 if len(finite) else 0.0
    return np.where(np.isfinite(total), total, lowest)


def _baseline(name: str, table: BenchmarkTable, rows: Rows) -> float:
    total = SCORES.get(name)()(ScoringTask(table.space), table.codes[rows]).total
    return spearman(as_ranked(total), table.test[rows])


def top_share(value: FloatArray, truth: FloatArray, best: float = 0.01, kept: float = 0.1) -> float:
    """Expected share of the best 1 % that lies within the 10 % of highest score, ties broken at random.

    >>> top_share(np.arange(200.0), np.arange(200.0))
    1.0
    """
    count, keep = max(round(best * len(truth)), 1), max(round(kept * len(truth)), 1)
    top = np.argsort(-truth, kind="stable")[:count]
    bound = np.sort(value)[-keep]
    above, at = value > bound, value == bound
    chance = np.where(above, 1.0, at * (keep - above.sum()) / max(at.sum(), 1))
    return float(chance[top].mean())


def bootstrap(value: FloatArray, truth: FloatArray, seed: int = 0) -> tuple[float, float]:
    """95 % interval of Spearman's correlation when architectures are drawn again, with repeats."""
    rng = np.random.default_rng(seed)
    draws = (rng.integers(len(value), size=len(value)) for _ in range(RESAMPLES))
    found = [spearman(value[draw], truth[draw]) for draw in draws]
    low, high = np.quantile(found, (0.025, 0.975))
    return float(low), float(high)


def spearman(value: FloatArray, truth: FloatArray) -> float:
    """Spearman's correlation; 0 where one side does not vary or there are fewer than three."""
    if len(value) < 3 or not np.ptp(value) or not np.ptp(truth):
        return 0.0
    return float(spearmanr(value, truth).statistic)


def _kendall(value: FloatArray, truth: FloatArray) -> float:
    return float(kendalltau(value, truth).statistic) if len(value) > 2 and np.ptp(value) else 0.0
