"""What `hasnas bench proxies` prints: training-free scores judged by the accuracies of trained networks."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau

from hasnas.errors import BadInputError
from hasnas.nas.scoring import BASELINES, NETWORK_SCORES, SCORES, ScoringTask
from hasnas.nas.scoring.correlation import spearman
from hasnas.nas.scoring.counters import Counts
from hasnas.search_spaces.space import SearchSpace

from .cells_table import SUFFIX, CellsTable, read_cells
from .table import BenchmarkTable, read_table

FloatArray = NDArray[np.float64]
Rows = NDArray[np.int64]
GRADIENT_SCORES = ("snip", "zico", "jacobian")
RESAMPLES = 300
DEPTH = "depth"
SAMPLES = 64
Trained = BenchmarkTable | CellsTable


@dataclass(frozen=True)
class NetworkSettings:
    """How scores that run networks are judged.

    Args:
        networks: how many architectures at most, drawn systematically over depth and number of convolutions.
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
        data: the benchmark's `.npz` file, whole or a part, or a table of trained cells (see `read_cells`).
        names: registered scores; all unless given, without images all that need none.
        images: the CIFAR-10 JPEG copies, a file or its folder, for the scores that run networks. For a table of cells
            the folder of its dataset, on whose images its networks run and which mean-field scores measure.
        settings: of the scores that run networks.
        seed: of the weights.
        report: told each score as it begins.

    Returns:
        See `proxy_row`.

    Raises:
        BadInputError: if a file or a score cannot be used, or a score that runs networks has no images.
    """
    table = read_trained(Path(data))
    chosen = list(names or [name for name in SCORES.names() if images is not None or name not in NETWORK_SCORES])
    for name in chosen:
        SCORES.get(name)
        if name in NETWORK_SCORES and images is None:
            raise BadInputError(f"score '{name}' runs networks; give --images")
    used = settings or NetworkSettings()
    batch = None if images is None else images_of(table, images, max(used.batch, SAMPLES))
    found = []
    for name in chosen:
        if report is not None:
            report(name)
        if name in NETWORK_SCORES and batch is not None:
            count = used.gradient_batch if name in GRADIENT_SCORES else used.batch
            rows = systematic_rows(table, min(used.networks, len(table)))
            row = proxy_row(table, name, rows, network_task(table, batch, count, used, seed))
            found.append({**row, "batch": count, "arithmetic": _arithmetic_of(name)})
        else:
            samples = batch[0][:SAMPLES] if isinstance(table, CellsTable) and batch is not None else None
            row = proxy_row(table, name, np.arange(len(table)), ScoringTask(table.space, samples))
            found.append({**row, "batch": 0, "arithmetic": "float64"})
    return found


def read_trained(path: Path) -> Trained:
    """A table of either kind.

    Raises:
        BadInputError: see `read_table` and `read_cells`.
    """
    return read_cells(path) if path.suffix == SUFFIX else read_table(path)


def images_of(table: Trained, images: Path, count: int) -> tuple[Any, Any]:
    """Normalised training images of a table's dataset and their classes, as tensors.

    Raises:
        BadInputError: if the files cannot be used.
    """
    if isinstance(table, BenchmarkTable):
        return read_images(images, count)
    from hasnas.nas.data.samples import load_splits

    train = load_splits(table.dataset, images, validation_share=0.5, seed=0).train
    return train.inputs[:count], train.targets[:count]


def network_task(
    table: Trained, batch: tuple[Any, Any], count: int, used: NetworkSettings, seed: int = 0
) -> ScoringTask:
    """What scores that run networks are computed on; those of the benchmark run on smaller networks than trained."""
    space: SearchSpace = table.space
    if isinstance(table, BenchmarkTable):
        macro = replace(table.space.macro, channels=used.channels, timesteps=used.timesteps)
        space = replace(table.space, macro=macro)
    return ScoringTask(space, batch[0][:count], batch[1][:count], seed)


def _arithmetic_of(name: str) -> str:
    """The numbers that convolutions are computed with on this machine."""
    from hasnas.nas.scoring.arithmetic import detected
    from hasnas.nas.scoring.forward_scores import ForwardScore

    score = SCORES.get(name)
    return detected() if isinstance(score, type) and issubclass(score, ForwardScore) else "float32"


def proxies_table(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """The rows for people, with what the strongest counter and the number of convolutions reach beside them."""
    ranked = ("SPEARMAN", "95 %", "ALIVE", "KENDALL", "TOP", "MINUS DEPTH", "95 %")
    heading = ("SCORE", *ranked, "WITH CONVS", "CPU S", "N")
    lines = [
        (
            row["name"],
            f"{row['spearman']:.3f}",
            f"{row['low']:.2f}..{row['high']:.2f}",
            f"{row['spearman_alive']:.3f}",
            f"{row['kendall']:.3f}",
            f"{row['top_share']:.2f}",
            f"{row['minus_depth']:+.3f}",
            f"{row['minus_depth_low']:+.3f}..{row['minus_depth_high']:+.3f}",
            f"{row['with_live_convs']:.2f}",
            f"{row['cpu_s']:.1e}",
            str(row["n"]),
        )
        for row in rows
    ]
    return [heading, *lines]


def systematic_rows(table: Trained, count: int) -> Rows:
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


def proxy_row(table: Trained, name: str, rows: Rows, task: ScoringTask) -> dict[str, Any]:
    """One score on some rows of the table.

    Returns:
        `name`, `spearman`, `kendall`, `cpu_s` (of one candidate) and `n`; `low` and `high`, the bootstrap interval
        (95 %) of Spearman's correlation; the same correlations among connected candidates (`spearman_alive`,
        `kendall_alive`) and among those of equal depth (`spearman_at_depth_1` ...); `top_share`: the share of the best
        1 % by test accuracy within the best 10 % by score; `with_live_convs`: correlation with the number of
        convolutions; what the counters reach on the same rows (`baseline_depth` ...); `minus_depth`, the difference to
        the depth counter on the same rows, with its interval (95 %, both scores on the same draws).
    """
    score = SCORES.get(name)()
    score(task, table.codes[rows[:2]])  # what is made once for a space is not the price of a candidate
    start = time.process_time()
    total = score(task, table.codes[rows]).total
    seconds = (time.process_time() - start) / len(rows)
    test, counts = table.test[rows], Counts(table.space, table.codes[rows])
    depth = _counted(DEPTH, table, rows)
    alive, value = counts.connected, as_ranked(total)
    drawn, of_depth = bootstrap(test, value, depth).T
    (low, high), (minus_low, minus_high) = interval(drawn), interval(drawn - of_depth)
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
        "minus_depth": spearman(value, test) - spearman(depth, test),
        "minus_depth_low": minus_low,
        "minus_depth_high": minus_high,
    }


def as_ranked(total: FloatArray) -> FloatArray:
    """Scores with disconnected candidates last together, and what is not a number among them."""
    finite = total[np.isfinite(total)]
    lowest = float(finite.min()) - 1 if len(finite) else 0.0
    return np.where(np.isfinite(total), total, lowest)


def _baseline(name: str, table: Trained, rows: Rows) -> float:
    return spearman(_counted(name, table, rows), table.test[rows])


def _counted(name: str, table: Trained, rows: Rows) -> FloatArray:
    return as_ranked(SCORES.get(name)()(ScoringTask(table.space), table.codes[rows]).total)


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


def bootstrap(truth: FloatArray, *values: FloatArray, resamples: int = RESAMPLES) -> FloatArray:
    """Spearman's correlation of scores with the truth when architectures are drawn again, with repeats.

    Args:
        truth: `[n]`.
        values: scores, each `[n]`, all judged on the same draws.
        resamples: how often.

    Returns:
        `[resamples, scores]`.
    """
    rng = np.random.default_rng(0)
    draws = (rng.integers(len(truth), size=len(truth)) for _ in range(resamples))
    return np.array([[spearman(value[draw], truth[draw]) for value in values] for draw in draws])


def interval(drawn: FloatArray) -> tuple[float, float]:
    """What lies around 95 % of the draws."""
    low, high = np.quantile(drawn, (0.025, 0.975))
    return float(low), float(high)


def _kendall(value: FloatArray, truth: FloatArray) -> float:
    return float(kendalltau(value, truth).statistic) if len(value) > 2 and np.ptp(value) else 0.0
