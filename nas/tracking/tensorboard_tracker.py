"""TensorBoard as a view of the ledger: curves and figures of the search, and a row that compares the run to others."""

from __future__ import annotations

import logging
import math
import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hasnas.files import unwritable
from hasnas.nas.budget.budget import Budget
from hasnas.nas.budget.costs import STANDARD, Cost
from hasnas.nas.history.goal import PART_PREFIX, SCORE_PREFIX, Goal, front, rank
from hasnas.nas.history.quality import CLASSIFICATION, Quality
from hasnas.nas.history.returned import BASELINE_PREFIX, RetrainedNetwork, returned_front, returned_networks
from hasnas.nas.history.trial import Trial
from hasnas.nas.history.worth import DataFacts, interval_of, warnings_on

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
from .figures import progress, quality_against_cost, to_png

if TYPE_CHECKING:
    from hasnas.nas.config.loading import RunConfig

logger = logging.getLogger(__name__)

RATE_PREFIX = "firing_rate/"
ENDS = ("accuracy, at least (95 %)", "accuracy, at most (95 %)")
DEVIATION = "standard deviation over seeds"
FIGURE_INTERVAL_S = 15.0
NOT_COMPARED: Any = {"name": True, "versions": True, "export": True, "dataset": {"root"}, "supernet": {"source"}}


@dataclass(frozen=True)
class RunFacts:
    """What a tracker must know of a run beside its trials.

    One row of the hparams page is a run, not a candidate: beyond 40 rows TensorBoard shows no curve until they are
    ticked one by one.

    Args:
        title: name of the run.
        budget: the limits.
        settings: dotted key -> number or text, the config's.
        goal: what candidates are ranked by.
        seeds: trainings of each chosen network.
        costs: that the run prices.
        baselines: what the returned networks are compared with.
        data: what is known of its samples.
    """

    title: str
    budget: Budget = field(default_factory=Budget)
    settings: Mapping[str, str | float] = field(default_factory=dict)
    goal: Goal = field(default_factory=Goal)
    seeds: int = 1
    costs: tuple[Cost, ...] = STANDARD
    baselines: tuple[str, ...] = ()
    data: DataFacts | None = None

    @property
    def results(self) -> dict[str, str]:
        """Tag -> name of what the row of the run holds."""
        scored = {} if self.goal.score is None else {f"result/{self.goal.label}": self.goal.label}
        judged = [f"{split} {self.goal.quality.name}" for split in ("validation", "test")]
        sure = [] if self.data is None or self.data.task != "classification" else [f"test {end}" for end in ENDS]
        judged += [f"{name} {DEVIATION}" for name in judged] if self.seeds > 1 else []
        compared = [f"{name}, test {self.goal.quality.name}" for name in self.baselines]
        priced = [cost.curve[0] for cost in self.costs]
        return {**{f"result/{name}": name for name in [*judged, *compared, *sure, *priced, "feasible share"]}, **scored}


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
        MachineFaultError: if the disk is full or fails.
    """

    def __init__(self, directory: Path, facts: RunFacts | None = None, trials: Sequence[Trial] = ()) -> None:
        self._directory, self._facts = Path(directory), facts or RunFacts(Path(directory).name)
        self._trials: list[Trial] = []
        self._leader: Trial | None = None
        self._retrained: list[Trial] = []
        self._searched = self._within = 0
        self._epochs: dict[tuple[str, int], None] = {}
        self._drawn_at, self._stale, self._working = time.monotonic(), False, True
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
            raise unwritable(self._directory, error) from error
        if trials:
            self._draw(trials[-1].time)

    @staticmethod
    def of_run(
        directory: Path,
        config: RunConfig,
        trials: Sequence[Trial],
        quality: Quality = CLASSIFICATION,
        data: DataFacts | None = None,
    ) -> TensorBoardTracker:
        """The tracker of a configured run."""
        settings = _flat(config.model_dump(mode="json", exclude=NOT_COMPARED))
        goal, seeds = Goal(config.search.score, quality, config.search.objectives), config.retrain.seeds
        return TensorBoardTracker(
            directory,
            RunFacts(
                config.name, config.budget, settings, goal, seeds, config.shown_costs, config.retrain.baselines, data
            ),
            trials,
        )

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
        for file in (self._run, self._search, self._training):
            with suppress(OSError):  # what it still held cannot be written; that was said before
                file.close()
        self._working = False

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
        data = "" if self._facts.data is None else f"Data: {self._facts.data.describe()}\n\n"
        page = f"# {_cell(self._facts.title)}\n\n{data}Budget: {budget}\n\n| setting | value |\n|---|---|\n{rows}"
        self._search.add(0, now, [text("run/config", page)])
        if self._facts.settings:
            row = self._facts.settings
            kinds = {key: [value] if isinstance(value, str) else None for key, value in row.items()}
            self._run.add(0, now, [hparams_experiment(kinds, self._facts.results), hparams_row(row, now)])

    def _write_epochs(self, points: Iterable[tuple[str, int, float, float]]) -> None:
        for tag, epoch, value, when in points:
            if (tag, epoch) not in self._epochs and math.isfinite(value):
                self._epochs[tag, epoch] = None
                self._training.add(epoch, when, [scalar(tag, value)])

    def _write_trial(self, trial: Trial) -> None:
        self._count(trial)
        rates = {name: value for name, value in trial.metrics.items() if name.startswith(RATE_PREFIX)}
        values = self._search_curves() if trial.stage == "search" else []
        values += scalars(_curves(trial, self._facts.goal.quality, self._facts.costs))
        values += scalars({f"{trial.stage} {name}": rate for name, rate in rates.items()})
        numbers = {name: value for name, value in trial.choices.items() if isinstance(value, int | float)}
        values += scalars({f"{trial.stage} {name}": float(value) for name, value in numbers.items()})
        if rates:
            values.append(histogram(f"{trial.stage} firing rates of layers", list(rates.values())))
        self._search.add(trial.id, trial.time, values)
        self._run.add(trial.id, trial.time, scalars(self._results()))

    def _count(self, trial: Trial) -> None:
        """Add a trial to what is known of all of them; no searched one is looked at again for the next."""
        self._trials.append(trial)
        if trial.stage != "search":
            self._retrained.append(trial)
            return
        self._searched += 1
        self._within += not trial.verdict
        if trial.state == "done" and not trial.verdict:
            self._leader = min(self._leader or trial, trial, key=rank)

    def _search_curves(self) -> list[Any]:
        """The best feasible candidate so far, and the share of candidates that kept to the budget."""
        best, goal = self._leader, self._facts.goal
        known = {} if best is None else {f"search/best {goal.label}": best.metrics.get(goal.metric, math.nan)}
        return scalars({**known, "search/feasible share": self._feasible_share()})

    def _results(self) -> dict[str, float]:
        """The network that the run would return now: a retrained one as soon as there is one."""
        networks, quality = returned_networks(self._retrained, self._facts.seeds), self._facts.goal.quality
        best = networks[0].summary if networks else self._leader
        if best is None:
            return {}
        return {
            f"result/validation {quality.name}": best.metrics.get(quality.validation, math.nan),
            f"result/test {quality.name}": best.metrics.get(quality.test, math.nan),
            **(self._deviations(networks[0]) if networks and self._facts.seeds > 1 else {}),
            **(self._interval(networks[0]) if networks else {}),
            **self._compared(),
            **self._best_score(),
            **{f"result/{shown}": value for shown, value in _costs(best, self._facts.costs).items()},
            "result/feasible share": self._feasible_share(),
        }

    def _deviations(self, network: RetrainedNetwork) -> dict[str, float]:
        quality = self._facts.goal.quality
        names = {"validation": quality.validation, "test": quality.test}
        return {
            f"result/{split} {quality.name} {DEVIATION}": network.deviation(name) for split, name in names.items()
        }

    def _interval(self, network: RetrainedNetwork) -> dict[str, float]:
        """Where the accuracy on all such samples lies with 95 % confidence."""
        limits = interval_of(network.summary.metrics, self._facts.goal.quality, self._facts.data)
        return {} if limits is None else {f"result/test {end}": limit for end, limit in zip(ENDS, limits, strict=True)}

    def _compared(self) -> dict[str, float]:
        """What the best network of each baseline reached."""
        quality = self._facts.goal.quality
        reached = {each.best.stage.removeprefix(BASELINE_PREFIX): each for each in self._best_of_baselines()}
        return {f"result/{name}, test {quality.name}": each.mean(quality.test) for name, each in reached.items()}

    def _best_of_baselines(self) -> list[RetrainedNetwork]:
        """The best network of each baseline that has one, by validation samples."""
        stages = [BASELINE_PREFIX + name for name in self._facts.baselines]
        found = [returned_networks(self._retrained, self._facts.seeds, stage) for stage in stages]
        return [networks[0] for networks in found if networks]

    def _best_score(self) -> dict[str, float]:
        """The score of the best candidate, where a score ranks them."""
        best, goal = self._leader, self._facts.goal
        if best is None or goal.score is None:
            return {}
        return {f"result/{goal.label}": best.metrics.get(goal.metric, math.nan)}

    def _feasible_share(self) -> float:
        return self._within / self._searched if self._searched else math.nan

    def _draw(self, when: float) -> None:
        """The figures and the text of the front, as of the last trial."""
        step = self._trials[-1].id if self._trials else 0
        limits = self._facts.budget.limits
        goal = self._facts.goal
        against = f"{goal.quality.name if goal.score is None else goal.label} against"
        pictures = {
            "search/progress": progress(self._trials, width=4.6),
            **{
                f"{against}/{one.name}": quality_against_cost(one, self._trials, limits, goal.objectives)
                for one in self._facts.costs
            },
        }
        values = [image(tag, to_png(figure)) for tag, figure in pictures.items()]
        self._search.add(step, when, [*values, text("search/Pareto front", self._front_page())])
        self._drawn_at, self._stale = time.monotonic(), False

    def _front_page(self) -> str:
        goal, quality = self._facts.goal, self._facts.goal.quality
        scored = [] if goal.score is None else [goal]
        several = self._facts.seeds > 1
        seeds = ["seeds"] if several else []
        columns = ["stage", "network", *(one.label for one in scored), *quality.columns, *seeds]
        columns += [cost.name for cost in self._facts.costs]
        chosen = list(dict.fromkeys(name for trial in self._trials for name in trial.choices))
        columns += chosen
        lines = ["| " + " | ".join(columns) + " |", "|---" * len(columns) + "|"]
        searched = front([trial for trial in self._trials if trial.stage == "search"], goal.objectives)
        rows = [(trial, RetrainedNetwork((trial,)), "") for trial in searched]
        networks = returned_front(self._retrained, self._facts.seeds, goal.objectives)
        rows += [(network.summary, network, network.counted) for network in [*networks, *self._best_of_baselines()]]
        for trial, network, counted in rows:
            scores = [one.show(trial.metrics.get(one.metric)) for one in scored]
            names = (quality.validation, quality.test)
            figures = [quality.show_mean(network.mean(name), network.deviation(name)) for name in names]
            costs = [cost.show(trial.costs.get(cost.field, math.nan)) for cost in self._facts.costs]
            seeds = [counted] if several else []
            fields = [_cell(trial.choices.get(name, "")) for name in chosen]
            lines.append("| " + " | ".join([trial.stage, trial.key, *scores, *figures, *seeds, *costs, *fields]) + " |")
        for returned in networks:
            warnings = warnings_on(returned.best.metrics, quality, self._facts.data)
            lines += [f"\nWarning: {returned.key}: {_cell(warning)}" for warning in warnings]
        return "\n".join(lines)


def _curves(trial: Trial, quality: Quality, costs: Sequence[Cost]) -> dict[str, float]:
    """Points of a candidate under its number."""
    judged = {quality.validation: f"validation {quality.name}", quality.test: f"test {quality.name}"}
    names = {**judged, "firing_rate": "firing rate"}
    known = {f"{trial.stage}/{shown}": trial.metrics.get(name, math.nan) for name, shown in names.items()}
    for prefix, shown in ((SCORE_PREFIX, ""), (PART_PREFIX, "part ")):
        found = {name: value for name, value in trial.metrics.items() if name.startswith(prefix)}
        known |= {f"{trial.stage}/{shown}{name.removeprefix(prefix)}": value for name, value in found.items()}
    return {**known, **{f"{trial.stage} cost/{shown}": value for shown, value in _costs(trial, costs).items()}}


def _costs(trial: Trial, costs: Sequence[Cost]) -> dict[str, float]:
    """Costs by the names of their curves, in their units."""
    return {cost.curve[0]: trial.costs.get(cost.field, math.nan) * cost.curve[1] for cost in costs}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


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
