"""What a run would do, without doing it: size of the space, share that fits, estimated time."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from hasnas.nas.config.loading import load_config
from hasnas.search_spaces.space import size_text, space_size

from .context import Setup
from .preflight import preflight
from .progress import Console
from .screen import ScreenResult, check_feasible, price_space

REPEATS = 3
SCREEN_S = 2.0  # that a sample of a large space may take
STEP_S = 0.25  # that a step may take and be repeated
# Time of a trainer's step over that of a single path, as measured on SNASNet's forward space.
STEP_COST = {"darts": 4.5, "gumbel_darts": 4.5, "proxyless": 3.0}


@dataclass(frozen=True)
class Forecast:
    """A dry run's answer.

    Args:
        space_size: architectures as drawn.
        priced: how many of them were priced.
        feasible_share: share of the connected ones that fit the budget.
        rejected_share: limit -> share that it alone rejects.
        seconds: stage -> estimated time on this machine, one worker.
    """

    space_size: int
    priced: int
    feasible_share: float
    rejected_share: dict[str, float]
    seconds: dict[str, float]

    def to_json(self) -> dict[str, object]:
        """Plain data."""
        return {**asdict(self), "total_seconds": sum(self.seconds.values())}

    def describe(self) -> str:
        """The forecast for people."""
        rejected = ", ".join(f"{name} {share:.1%}" for name, share in self.rejected_share.items()) or "no limit"
        stages = ", ".join(f"{name} {value:.0f} s" for name, value in self.seconds.items())
        return (
            f"space: {size_text(self.space_size)} architectures as drawn, {self.priced:,} priced\n"
            f"fit the budget: {self.feasible_share:.1%} of the connected ones; rejected by each limit: {rejected}\n"
            f"estimated time with one worker: {sum(self.seconds.values()):.0f} s ({stages})"
        )


def dry_run(config_path: Path | str, overrides: Sequence[str] = (), checked: bool = False) -> Forecast:
    """What `start_run` would do: size of the space, share that fits the budget, estimated time. Writes nothing.

    Args:
        config_path: the YAML.
        overrides: dotted changes, `"budget.energy=2 uJ"`.
        checked: whether `preflight` was asked already.

    Raises:
        BadInputError: for anything wrong in the config.
        NothingFitsError: if the budget leaves nothing.
    """
    setup = Setup(load_config(config_path, overrides), Console())
    if not checked:
        preflight(setup)
    return forecast(setup)


def forecast(setup: Setup) -> Forecast:
    """Price the space and time a typical network's steps.

    Raises:
        NothingFitsError: if no priced architecture fits the budget.
        BadInputError: if an objective that is known beforehand is a number for none of them.
    """
    start = time.perf_counter()
    result = price_space(setup, SCREEN_S)
    screen_s = time.perf_counter() - start
    check_feasible(setup, result)
    summary = result.summary()
    return Forecast(
        space_size=space_size(setup.space),
        priced=len(result.codes),
        feasible_share=float(summary["feasible_share"]),
        rejected_share=result.rejected_share,
        seconds={"screen": screen_s, **_stage_seconds(setup, result)},
    )


def _stage_seconds(setup: Setup, result: ScreenResult) -> dict[str, float]:
    """Estimates from the steps of the feasible network with the median parameter count."""
    config = setup.config
    total = setup.card.splits.get("train", 0)
    validation = config.dataset.validation_share * total
    train = total - validation
    per_sample, per_sample_trained, making = _sample_seconds(setup, result, config.supernet.batch_size)
    calibration = config.search.calibration_batches * config.supernet.batch_size
    evaluation = (calibration + 2 * validation) * per_sample + 3 * making
    retrain_epoch = train * per_sample_trained + validation * per_sample
    if not config.supernet.enabled:
        rungs = config.search.multi_fidelity
        evaluation = (config.search.brief_epochs if rungs is None else rungs.epochs_of_one) * retrain_epoch
    trains_supernet = config.supernet.enabled and config.search.score is None
    step = STEP_COST.get(config.supernet.strategy, 1.0)
    if config.search.score is not None:
        evaluation = _score_seconds(setup, result)
    seconds = {
        "supernet": trains_supernet * config.supernet.epochs * train * per_sample_trained * step,
        "search": config.search.enabled * config.search.evaluations * evaluation,
        "retrain": config.retrain.enabled * config.retrain.trainings * config.retrain.epochs * retrain_epoch,
    }
    return {name: value for name, value in seconds.items() if value}


def _score_seconds(setup: Setup, result: ScreenResult) -> float:
    """Seconds that the training-free score takes for a candidate, on feasible ones."""
    from .scoring import score_candidates, score_tasks

    feasible = result.codes[result.feasible][: setup.config.search.batch]
    tasks = score_tasks(setup, [tuple(row) for row in setup.space.canonical(feasible)[0].tolist()])[:REPEATS]
    return _seconds(lambda: [score_candidates(task) for task in tasks]) / sum(len(task.codes) for task in tasks)


def _sample_seconds(setup: Setup, result: ScreenResult, batch_size: int) -> tuple[float, float, float]:
    """Seconds a sample takes forward, and forward with backward, on one thread; seconds to make a network."""
    import torch

    from hasnas.search_spaces.network import build_network

    feasible = np.flatnonzero(result.feasible)
    middle = feasible[np.argsort(result.costs["parameters"][feasible], kind="stable")[len(feasible) // 2]]
    begun = time.perf_counter()
    network = build_network(setup.space.decode(result.codes[middle]).expand(), seed=0)
    making = time.perf_counter() - begun
    macro = setup.space.macro

    def inputs(count: int) -> torch.Tensor:
        batch = (count, *macro.input_shape)
        return torch.rand(batch if macro.static_input else (macro.timesteps, *batch))

    def forward(batch: torch.Tensor) -> None:
        with torch.no_grad():
            network(batch)

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        few = inputs(2)
        per_sample = _seconds(lambda: forward(few)) / 2
        count = min(max(int(STEP_S / per_sample), 2), batch_size)  # photographs take seconds each
        batch = inputs(count)
        forward_s = _seconds(lambda: forward(batch)) / count if count > 2 else per_sample
        return forward_s, _seconds(lambda: network(batch).sum().backward()) / count, making
    finally:
        torch.set_num_threads(threads)


def _seconds(step: Callable[[], object]) -> float:
    """How long a step takes; only a quick one is repeated, the first not counted."""
    start = time.perf_counter()
    step()
    if (first := time.perf_counter() - start) > STEP_S:
        return first
    start = time.perf_counter()
    for _ in range(REPEATS):
        step()
    return (time.perf_counter() - start) / REPEATS
