"""Which operations of a config's space are worth searching: the analysis, and its table."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hasnas.nas.analysis.operations import AnalysisTask, Interval, OperationAnalysis, analyse_operations
from hasnas.nas.budget.costs import AREA, ENERGY, MEMORY
from hasnas.nas.budget.region import admission
from hasnas.nas.config.loading import load_config
from hasnas.nas.scoring.score import DEFAULT_SCORE
from hasnas.nas.tracking.aligned import align
from hasnas.search_spaces.space import Codes


def analyse(config: Path, overrides: list[str], score: str | None, samples: int) -> OperationAnalysis:
    """Analyse the operations of a config's space within its budget.

    Args:
        config: the YAML.
        overrides: dotted changes.
        score: a registered training-free score; by default the config's, or `trainability`.
        samples: feasible candidates for each set of operations.

    Raises:
        BadInputError: for whatever is wrong in the config, the score or the number of samples.
        NothingFitsError: if the budget leaves nothing.
    """
    chosen = score or load_config(config, overrides).search.score or DEFAULT_SCORE
    loaded = load_config(config, [*overrides, f"search.score={chosen}"])
    from hasnas.nas.history.goal import merit
    from hasnas.nas.stages.context import Setup
    from hasnas.nas.stages.progress import Console
    from hasnas.nas.stages.scoring import score_candidates, score_tasks

    setup = Setup(loaded, Console(quiet=True))

    def scores(codes: Codes) -> np.ndarray:
        tasks = score_tasks(setup, [tuple(row) for row in codes.tolist()])
        return np.array([merit(metrics) for task in tasks for metrics in score_candidates(task)])

    admits = admission(setup.pricer, setup.budget)
    task = AnalysisTask(setup.space, admits, setup.pricer.costs, scores, chosen, samples, seed=loaded.seed)
    return analyse_operations(task)


def describe(found: OperationAnalysis) -> str:
    """The analysis as a table, and the line to paste."""
    header = "OPERATION", "USED BY", "LEAVE ONE OUT", "TOP DECILE WITHOUT", "BEST WITHOUT", "ENERGY", "AREA", "MEMORY"
    rows: list[tuple[str, ...]] = [header]
    for effect in found.effects:
        costs = [
            cost.show(effect.cost_per_edge[cost.field]) if np.isfinite(effect.cost_per_edge[cost.field]) else ""
            for cost in (ENERGY, AREA, MEMORY)
        ]
        changes = _shown(effect.leave_one_out), _shown(effect.top_decile), _shown(effect.best)
        rows.append((effect.name, f"{effect.used_by:.1%}", *changes, *costs))
    full = found.full
    removed = [", ".join(step.removed) for step in found.removals]
    alike = f"the score cannot tell apart: {', '.join(found.undecided)}; leave out by cost, or compare trained networks"
    lines = [
        f"score {found.score} of {full.count:,} feasible candidates ({full.feasible_share:.1%} of the connected ones "
        f"fit): mean {full.mean:.3f}, best tenth {full.top_decile:.3f}, best {full.best:.3f}",
        align(rows),
        "removed, one after the other: " + ("; ".join(removed) or "nothing"),
        *([alike] if found.undecided else []),
        "judged by random candidates and by climbs from the best of them; nothing was trained",
        f"in {found.seconds:.1f} s; for the section 'space' of the config:",
        f"  {found.yaml}",
    ]
    return "\n".join(lines)


def _shown(change: Interval) -> str:
    if np.isnan(change.mean):
        return "-"
    if np.isinf(change.mean):
        return "nothing fits"
    return f"{change.mean:+.3f} [{change.low:+.3f}, {change.high:+.3f}]"
