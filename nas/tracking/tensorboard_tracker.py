"""TensorBoard as a view of the ledger: curves and figures of the search, and a row that compares the run to others."""

from __future__ import annotations

import logging
import math
import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from hasnas.files import unwritable
from hasnas.nas.history.returned import BASELINE_PREFIX, RetrainedNetwork, returned_networks, training_names
from hasnas.nas.history.trial import Trial
from hasnas.nas.history.worth import interval_of, rates_of_layers

from .board_pages import best_networks, config_page, front_page, layout, network_card, rejections
from .event_file import (
    EventFile,
    histogram,
    hparams_experiment,
    hparams_row,
    image,
    read_pages,
    read_scalars,
    scalar,
    scalars,
    text,
)
from .figures import progress, quality_against_cost, to_png
from .run_facts import DEVIATION, ENDS, RunFacts
from .search_curves import SearchCurves, costs_on_curves
from .tracker import TrackedRun

logger = logging.getLogger(__name__)

FOLDER = "tensorboard"
SEARCH, RESULT = "search", "result"  # what TensorBoard calls two of its runs; each training is one more
CONFIG_PAGE, FRONT_PAGE = "run/config", "search/Pareto front"
TRAINING = "training/"  # begins the tags of a training's curves
FIGURE_INTERVAL_S = 15.0
DRAWING_SHARE = 0.05  # of the time may be spent on drawing


def tensorboard_tracker(run: TrackedRun) -> TensorBoardTracker:
    """The tracker of a run, in its folder `tensorboard/`."""
    return TensorBoardTracker(run.directory / FOLDER, RunFacts.of(run), run.trials)


class TensorBoardTracker:
    """Writes a log directory for `tensorboard --logdir`.

    In TensorBoard the search is one run, each training from scratch another, named by rank and short key, so that
    their curves share a chart; a last one holds the row of the hparams page. The directory is deleted and written anew
    from the trials so far, as soon as it is to show something that it does not show already; only the epochs of
    trainings, which the ledger does not hold, are read from it before. A disk that refuses is reported once in the log
    and ends the view, not the run.

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
        self._retrained: list[Trial] = []
        self._curves = SearchCurves(self._facts)
        self._epochs: dict[tuple[str, str, int], None] = {}
        self._drawn_at, self._pause_s = time.monotonic(), FIGURE_INTERVAL_S
        self._stale, self._working = False, True
        self._files: dict[str, EventFile] = {}
        self._began = trials[0].time if trials else time.time()
        self._former: Sequence[Trial] | None = trials  # shown before, until the directory is written anew
        if trials and self._is_shown(trials):
            return
        try:
            self._begin(trials)
        except OSError as error:
            raise unwritable(self._directory, error) from error

    def _is_shown(self, trials: Sequence[Trial]) -> bool:
        """Whether the directory shows exactly these trials of this config already."""
        pages = read_pages(self._directory / SEARCH)
        config, front = pages.get(CONFIG_PAGE), pages.get(FRONT_PAGE)
        if config is None or front is None or config[2] != config_page(self._facts):
            return False
        return front[:2] == (len(trials) - 1, trials[-1].time)

    def _begin(self, trials: Sequence[Trial]) -> None:
        """Write the directory anew."""
        self._former, epochs = None, self._known_epochs()
        shutil.rmtree(self._directory, ignore_errors=True)
        self._write_declarations(self._began)
        for stage, points in epochs.items():
            self._write_epochs(stage, points)
        for trial in trials:
            self._write_trial(trial)
        if trials:
            self._draw()

    def on_trial(self, trial: Trial) -> None:
        """See `Tracker.on_trial`."""
        self._guarded(lambda: self._show(trial))

    def on_epoch(self, stage: str, epoch: int, metrics: Mapping[str, float]) -> None:
        """See `Tracker.on_epoch`."""
        now = time.time()
        points = [(f"{TRAINING}{name}", epoch, value, now) for name, value in metrics.items()]
        self._guarded(lambda: self._write_epochs(stage, points))

    def close(self) -> None:
        """See `Tracker.close`."""
        if self._stale:
            self._guarded(self._draw)
        for file in self._files.values():
            with suppress(OSError):  # what it still held cannot be written; that was said before
                file.close()
        self._working = False

    def _guarded(self, action: Any) -> None:
        if not self._working:
            return
        try:
            if self._former is not None:
                self._begin(self._former)
            action()
        except OSError as error:
            self._working = False
            logger.warning("TensorBoard is no longer updated: cannot write %s: %s", self._directory, error)

    def _file(self, name: str) -> EventFile:
        """The file of one of TensorBoard's runs, opened when there is something to write."""
        if name not in self._files:
            self._files[name] = EventFile(self._directory / name, self._began)
        return self._files[name]

    def _known_epochs(self) -> dict[str, list[tuple[str, int, float, float]]]:
        """The epochs of each training that are there already."""
        folders = sorted(path for path in self._directory.glob("*") if path.is_dir())
        found = {folder.name: read_scalars(folder) for folder in folders if folder.name not in (SEARCH, RESULT)}
        return {name: [point for point in points if point[0].startswith(TRAINING)] for name, points in found.items()}

    def _show(self, trial: Trial) -> None:
        self._write_trial(trial)
        self._stale = True
        if time.monotonic() - self._drawn_at > self._pause_s:
            self._draw()

    def _write_declarations(self, now: float) -> None:
        """The pages that are known from the start; columns of the row that are declared later would be lost."""
        facts, search = self._facts, self._file(SEARCH)
        search.add(0, now, [text(CONFIG_PAGE, config_page(facts)), layout(facts), *rejections({}, facts)])
        if facts.settings:
            columns = {key: facts.settings[key] for key in facts.columns}
            apart = {key for key, differs in facts.columns.items() if differs}
            values = [hparams_experiment(columns, apart, facts.results), hparams_row(facts.settings, now)]
            self._file(RESULT).add(0, now, values)

    def _write_epochs(self, stage: str, points: Iterable[tuple[str, int, float, float]]) -> None:
        for tag, epoch, value, when in points:
            if (stage, tag, epoch) not in self._epochs and math.isfinite(value):
                self._epochs[stage, tag, epoch] = None
                self._file(stage).add(epoch, when, [scalar(tag, value)])

    def _write_trial(self, trial: Trial) -> None:
        step = len(self._trials)  # not its number: TensorBoard drops points that are followed by an earlier step
        self._trials.append(trial)
        if trial.stage == "search":
            values = scalars(self._curves.add(trial))
            rates = list(rates_of_layers(trial.metrics).values())
            values += [histogram("search/firing rates of layers", rates)] if rates else []
            self._file(SEARCH).add(step, trial.time, values)
        else:
            self._retrained.append(trial)
            name = self._names()[trial.id]
            self._file(name).add(step, trial.time, network_card(trial, name, self._facts))
        self._file(RESULT).add(step, trial.time, scalars(self._results()))

    def _names(self) -> dict[int, str]:
        """Number of each training's trial -> what it is called."""
        keys = [(trial.stage, trial.key, trial.seed) for trial in self._retrained]
        names = training_names(keys, self._facts.seeds)
        return {trial.id: name for trial, name in zip(self._retrained, names, strict=True)}

    def _results(self) -> dict[str, float]:
        """The network that the run would return now: a retrained one as soon as there is one."""
        networks, quality = returned_networks(self._retrained, self._facts.seeds), self._facts.goal.quality
        best = networks[0].summary if networks else self._curves.leader
        if best is None:
            return {}
        return {
            f"result/validation {quality.name}": best.metrics.get(quality.validation, math.nan),
            f"result/test {quality.name}": best.metrics.get(quality.test, math.nan),
            **(self._deviations(networks[0]) if networks and self._facts.seeds > 1 else {}),
            **(self._interval(networks[0]) if networks else {}),
            **self._compared(),
            **self._best_score(),
            **{f"result/{shown}": value for shown, value in costs_on_curves(best, self._facts.costs).items()},
            "result/feasible share": self._curves.feasible_share,
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
        best, goal = self._curves.leader, self._facts.goal
        if best is None or goal.score is None:
            return {}
        return {f"result/{goal.label}": best.metrics.get(goal.metric, math.nan)}

    def _draw(self) -> None:
        """The figures and the text of the front, as of the last trial."""
        begun, facts, goal, when = time.monotonic(), self._facts, self._facts.goal, self._trials[-1].time
        step, limits = len(self._trials) - 1, self._facts.budget.limits
        against = f"{goal.quality.name if goal.score is None else goal.label} against"
        pictures = {
            "search/progress": progress(self._trials, width=4.6),
            **{
                f"{against}/{one.name}": quality_against_cost(one, self._trials, limits, goal.objectives)
                for one in facts.costs
            },
        }
        values = [image(tag, to_png(figure)) for tag, figure in pictures.items()]
        retrained = best_networks(self._retrained, self._names(), self._best_of_baselines(), facts)
        page = text(FRONT_PAGE, front_page(self._trials, retrained, facts))
        self._file(SEARCH).add(step, when, [*values, page, *rejections(self._curves.broken, facts)])
        self._drawn_at, self._stale = time.monotonic(), False
        self._pause_s = max(FIGURE_INTERVAL_S, (self._drawn_at - begun) / DRAWING_SHARE)
