"""TensorBoard as a view of the ledger: curves and figures of the search, and a row that compares the run to others."""

from __future__ import annotations

import logging
import math
import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hasnas.errors import BadInputError
from hasnas.nas.budget import COST_FIELDS, LIMITS, Budget, format_cost
from hasnas.nas.objectives import ACCURACY, front, rank
from hasnas.nas.trial import Trial

from .event_file import (
    EventFile,
    histogram,
    hparams_experiment,
    hparams_row,
    image,
    read_scalars,
    scalar,
    scalars,
    text,
)
from .figures import TEST_ACCURACY, accuracy_against_cost, progress, to_png

if TYPE_CHECKING:
    from hasnas.nas.config import RunConfig

logger = logging.getLogger(__name__)

RATE_PREFIX = "firing_rate/"
FIGURE_INTERVAL_S = 15.0
# Costs as curves, in units in which networks on a chip give handy numbers.
SHOWN_COSTS = {
    "parameters": ("parameters", 1.0),
    "memory": ("memory (kbit)", 1e-3),
    "area": ("area (mm2)", 1e6),
    "latency": ("latency (us)", 1e6),
    "energy": ("energy (nJ)", 1e9),
}
# What the row of a run on the hparams page holds. One row for a run, not for a candidate: beyond 40 of them TensorBoard
# shows no curve until they are ticked one by one.
RESULTS = {
    "result/validation accuracy": "validation accuracy",
    "result/test accuracy": "test accuracy",
    **{f"result/{shown}": shown for shown, _ in SHOWN_COSTS.values()},
    "result/feasible share": "feasible share",
}


NOT_COMPARED: Any = {"name": True, "versions": True, "export": True, "dataset": {"root"}}


@dataclass(frozen=True)
class RunFacts:
    """What a tracker must know of a run beside its trials.

    Args:
        title: name of the run.
        budget: the limits.
        settings: dotted key -> number or text, the config's.
    """

    title: str
    budget: Budget = field(default_factory=Budget)
    settings: Mapping[str, str | float] = field(default_factory=dict)


class TensorBoardTracker:
    """Writes a log directory for `tensorboard --logdir`.

    The directory is deleted and written anew from the trials so far; only the epochs of trainings, which the ledger
    does not hold, are read from it before. A disk that refuses is reported once in the log and ends the view, not
    the run.

    Args:
        directory: the log directory.
        facts: of the run.
        trials: the history so far.

    Raises:
        BadInputError: if the directory cannot be written.
    """

    def __init__(self, directory: Path, facts: RunFacts | None = None, trials: Sequence[Trial] = ()) -> None:
        self._directory, self._facts = Path(directory), facts or RunFacts(Path(directory).name)
        self._trials: list[Trial] = []
        self._epochs: dict[tuple[str, int], None] = {}
        self._drawn_at, self._stale, self._working = -math.inf, False, True
        epochs = read_scalars(self._directory / "epochs")
        try:
            shutil.rmtree(self._directory, ignore_errors=True)
            began = trials[0].time if trials else time.time()
            folders = self._directory, self._directory / "search", self._directory / "epochs"
            self._run, self._search, self._training = (EventFile(folder, began) for folder in folders)
            self._write_declarations(began)
            self._write_epochs(epochs)
            for trial in trials:
                self._write_trial(trial)
        except OSError as error:
            raise BadInputError(f"cannot write {self._directory}: {error.strerror or error}; check the path") from error
        if trials:
            self._draw(trials[-1].time)

    @staticmethod
    def of_run(directory: Path, config: RunConfig, trials: Sequence[Trial]) -> TensorBoardTracker:
        """The tracker of a configured run."""
        settings = _flat(config.model_dump(mode="json", exclude=NOT_COMPARED))
        return TensorBoardTracker(directory, RunFacts(config.name, config.budget.limits(), settings), trials)

    def on_trial(self, trial: Trial) -> None:
        """See `Tracker.on_trial`."""
        self._guarded(lambda: self._show(trial))

    def on_epoch(self, stage: str, epoch: int, metrics: Mapping[str, float]) -> None:
        """See `Tracker.on_epoch`."""
        now = time.time()
        self._guarded(lambda: self._write_epochs((f"{stage}/{name}", epoch, v, now) for name, v in metrics.items()))

    def close(self) -> None:
        """See `Tracker.close`."""
        if self._stale:
            self._guarded(lambda: self._draw(time.time()))
        self._working = False
        for file in (self._run, self._search, self._training):
            file.close()

    def _guarded(self, action: Any) -> None:
        if not self._working:
            return
        try:
            action()
        except OSError as error:
            self._working = False
            logger.warning("TensorBoard is no longer updated: cannot write %s: %s", self._directory, error)

    def _show(self, trial: Trial) -> None:
        self._write_trial(trial)
        self._stale = True
        if time.monotonic() - self._drawn_at > FIGURE_INTERVAL_S:
            self._draw(trial.time)

    def _write_declarations(self, now: float) -> None:
        """The config as a page, and the columns and settings of the row: whatever is declared later would be lost."""
        budget = self._facts.budget.describe()
        rows = "\n".join(f"| {_cell(key)} | {_cell(value)} |" for key, value in self._facts.settings.items())
        page = f"# {_cell(self._facts.title)}\n\nBudget: {budget}\n\n| setting | value |\n|---|---|\n{rows}"
        self._search.add(0, now, [text("run/config", page)])
        if self._facts.settings:
            row = self._facts.settings
            kinds = {key: [value] if isinstance(value, str) else None for key, value in row.items()}
            self._run.add(0, now, [hparams_experiment(kinds, RESULTS), hparams_row(row, now)])

    def _write_epochs(self, points: Iterable[tuple[str, int, float, float]]) -> None:
        for tag, epoch, value, when in points:
            if (tag, epoch) not in self._epochs and math.isfinite(value):
                self._epochs[tag, epoch] = None
                self._training.add(epoch, when, [scalar(tag, value)])

    def _write_trial(self, trial: Trial) -> None:
        self._trials.append(trial)
        rates = {name: value for name, value in trial.metrics.items() if name.startswith(RATE_PREFIX)}
        values = self._search_curves() if trial.stage == "search" else []
        values += scalars(_curves(trial))
        values += scalars({f"{trial.stage} {name}": rate for name, rate in rates.items()})
        if rates:
            values.append(histogram(f"{trial.stage} firing rates of layers", list(rates.values())))
        self._search.add(trial.id, trial.time, values)
        self._run.add(trial.id, trial.time, scalars(self._results()))

    def _search_curves(self) -> list[Any]:
        """The best feasible accuracy so far, and the share of candidates that kept to the budget."""
        best = self._best("search")
        known = {} if best is None else {"search/best validation accuracy": best.metrics.get(ACCURACY, math.nan)}
        return scalars({**known, "search/feasible share": self._feasible_share()})

    def _results(self) -> dict[str, float]:
        """The network that the run would return now: a retrained one as soon as there is one."""
        best = self._best("retrain") or self._best("search")
        if best is None:
            return {}
        return {
            "result/validation accuracy": best.metrics.get(ACCURACY, math.nan),
            "result/test accuracy": best.metrics.get(TEST_ACCURACY, math.nan),
            **{f"result/{shown}": value for shown, value in _costs(best).items()},
            "result/feasible share": self._feasible_share(),
        }

    def _best(self, stage: str) -> Trial | None:
        found = (trial for trial in self._trials if trial.stage == stage and trial.state == "done")
        return min((trial for trial in found if not trial.verdict), key=rank, default=None)

    def _feasible_share(self) -> float:
        searched = [trial for trial in self._trials if trial.stage == "search"]
        return sum(not trial.verdict for trial in searched) / len(searched) if searched else math.nan

    def _draw(self, when: float) -> None:
        """The figures and the text of the front, as of the last trial."""
        step = self._trials[-1].id if self._trials else 0
        limits = self._facts.budget.limits
        pictures = {
            "search/progress": progress(self._trials, width=4.6),
            **{f"accuracy against/{name}": accuracy_against_cost(name, self._trials, limits) for name in LIMITS},
        }
        values = [image(tag, to_png(figure)) for tag, figure in pictures.items()]
        self._search.add(step, when, [*values, text("search/Pareto front", self._front_page())])
        self._drawn_at, self._stale = time.monotonic(), False

    def _front_page(self) -> str:
        header = "| stage | network | validation | test | " + " | ".join(LIMITS) + " |\n" + "|---" * 9 + "|\n"
        rows = []
        for stage in ("search", "retrain"):
            for trial in front([trial for trial in self._trials if trial.stage == stage]):
                accuracies = [_percent(trial.metrics.get(name, math.nan)) for name in (ACCURACY, TEST_ACCURACY)]
                costs = [format_cost(limit, trial.costs[COST_FIELDS[limit]]) for limit in LIMITS]
                rows.append("| " + " | ".join([stage, trial.key, *accuracies, *costs]) + " |")
        return header + "\n".join(rows)


def _curves(trial: Trial) -> dict[str, float]:
    """Points of a candidate under its number."""
    names = {ACCURACY: "validation accuracy", TEST_ACCURACY: "test accuracy", "firing_rate": "firing rate"}
    known = {f"{trial.stage}/{shown}": trial.metrics.get(name, math.nan) for name, shown in names.items()}
    return {**known, **{f"{trial.stage} cost/{shown}": value for shown, value in _costs(trial).items()}}


def _costs(trial: Trial) -> dict[str, float]:
    units = SHOWN_COSTS.items()
    return {shown: trial.costs.get(COST_FIELDS[limit], math.nan) * factor for limit, (shown, factor) in units}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _percent(value: float) -> str:
    return f"{value:.2%}" if math.isfinite(value) else ""


def _cell(value: Any) -> str:
    """Text that stays within a cell of a Markdown table."""
    return str(value).replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, str | float]:
    """Nested settings under dotted keys."""
    flat: dict[str, str | float] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            flat.update(_flat(value, f"{prefix}{key}."))
        else:
            flat[prefix + key] = value if _is_number(value) else _plain_text(value)
    return flat


def _plain_text(value: Any) -> str:
    """A setting as the YAML writes it."""
    if value is None or isinstance(value, bool):
        return str(value).lower()
    return ", ".join(str(item) for item in value) if isinstance(value, list | tuple) else str(value)
