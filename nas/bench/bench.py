"""What `hasnas bench spikenas` prints: strategies judged on the table of trained networks."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hasnas.cim_estimator import load_hardware
from hasnas.errors import BadInputError, nearest
from hasnas.nas.strategies import STRATEGIES

from .campaign import YARDSTICKS, Objective, Played, play
from .levels import OPERATIONS, cost_field, parse_budget
from .table import read_table

FloatArray = NDArray[np.float64]
DEFAULT_HARDWARE = "rram-32nm"
SHORT_NAMES = {"evolution": "regularized_evolution"}


def bench_spikenas(
    data: Path | str,
    strategy: str = "predictor",
    evaluations: int = 100,
    seeds: int = 20,
    *,
    feasible_share: float = 1.0,
    budget: str | None = None,
    cost: str = OPERATIONS,
    hardware: str | None = None,
    known_costs: bool = False,
    first_seed: int = 0,
) -> dict[str, Any]:
    """Search the trained architectures with one strategy, several times.

    Args:
        data: the benchmark's `.npz` file.
        strategy: a registered strategy (`evolution` is short for `regularized_evolution`), or a yardstick: `random_raw`
            draws repeats and disconnected architectures too, `random_cells` distinct cells uniformly,
            `random_repeated_cells` the same with repeats and at any cost.
        evaluations: networks each search may look up.
        seeds: how many searches.
        feasible_share: share of the distinct cells that the limit on `cost` keeps; 1 is no limit.
        budget: in place of the share, a level such as `50%`, or a limit on the cost such as `8e8` or `150 uJ`.
        cost: `synaptic_operations`, or a cost on a chip: `energy`, `latency`, `area`, `memory`, `parameters`.
        hardware: name or path of the chip's description, for costs on a chip.
        known_costs: admit cells by the costs of the trained networks, an oracle that is for yardsticks only.
        first_seed: the seeds count from here.

    Returns:
        `strategy`, `evaluations`, `seeds`; `test_accuracy` of the network chosen by validation, in percent; `regret` to
        the best test accuracy within the limit, in points; `hypervolume` relative to the true constrained front; each
        with mean and standard deviation over seeds; `feasible_share` of the returned designs (the front by validation
        accuracy and trained cost) and `evaluated_feasible_share` of all that were evaluated; `over_time` with all of it
        after 10, 20, 50, 100, ... evaluations; `cpu_s` of one search.

    Raises:
        BadInputError: if the file, the strategy or a number cannot be used.
    """
    known = sorted({*STRATEGIES.names(), *YARDSTICKS, *SHORT_NAMES})
    if strategy not in known:
        raise BadInputError(f"unknown search strategy '{strategy}'{nearest(strategy, known)}")
    for name, value in (("evaluations", evaluations), ("seeds", seeds)):
        if value < 1:
            raise BadInputError(f"{name} is {value}; give at least 1")
    field = cost_field(cost)
    share, limit = (feasible_share, None) if budget is None else parse_budget(budget, field)
    chip = None if field == OPERATIONS and hardware is None else load_hardware(hardware or DEFAULT_HARDWARE)
    objective = Objective(read_table(data), field, share, chip, limit)
    player, searches, seconds = SHORT_NAMES.get(strategy, strategy), [], []
    for seed in range(first_seed, first_seed + seeds):
        start = time.process_time()
        searches.append(play(objective, player, evaluations, seed, known_costs=known_costs))
        seconds.append(time.process_time() - start)
    return {
        "strategy": strategy,
        "evaluations": evaluations,
        "seeds": seeds,
        "cost": field,
        "limit": objective.limit,
        "cells_within_limit": int(objective.feasible.sum()),
        **_summary(searches, evaluations),
        "over_time": [{"evaluations": count, **_summary(searches, count)} for count in _milestones(evaluations)],
        "cpu_s": float(np.mean(seconds)),
    }


def over_time_table(report: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """What `bench_spikenas` found as rows of text, mean and standard deviation over seeds."""

    def spread(found: Mapping[str, float]) -> str:
        return f"{found['mean']:.4f} ± {found['std']:.4f}"

    rows: list[tuple[str, ...]] = [("EVALUATIONS", "TEST ACCURACY %", "REGRET", "HYPERVOLUME", "FEASIBLE")]
    for entry in report["over_time"]:
        figures = (spread(entry[name]) for name in ("test_accuracy", "regret", "hypervolume"))
        rows.append((str(entry["evaluations"]), *figures, f"{entry['feasible_share']:.1%}"))
    return rows


def _milestones(evaluations: int) -> list[int]:
    rounds = [factor * 10**power for power in range(1, 6) for factor in (1, 2, 3, 5)]
    return [count for count in rounds if count < evaluations] + [evaluations]


def _summary(searches: Sequence[Played], evaluations: int) -> dict[str, Any]:
    objective = searches[0].objective
    inside = objective.cell_of_row >= 0
    inside &= objective.feasible[np.maximum(objective.cell_of_row, 0)]
    best = float(objective.table.test[inside].max())
    accuracy = np.array([search.test_accuracy(evaluations) for search in searches])
    volume = np.array([search.relative_volume(evaluations) for search in searches])
    evaluated = [float(search.fits[:evaluations].mean()) if len(search.rows) else 0.0 for search in searches]
    designs = np.concatenate([search.fits[search.designs(evaluations)] for search in searches])
    return {
        "test_accuracy": _mean_and_spread(accuracy),
        "regret": _mean_and_spread(best - accuracy),
        "feasible_share": float(designs.mean()) if len(designs) else 0.0,
        "evaluated_feasible_share": float(np.mean(evaluated)),
        "hypervolume": _mean_and_spread(volume),
    }


def _mean_and_spread(values: FloatArray) -> dict[str, float]:
    return {"mean": float(values.mean()), "std": float(values.std(ddof=1)) if len(values) > 1 else 0.0}
