"""The seam of trackers, and the two ways in which a run uses this folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from hasnas.nas.history.quality import CLASSIFICATION, Quality
from hasnas.nas.history.trial import Trial
from hasnas.nas.history.worth import DataFacts

if TYPE_CHECKING:
    from hasnas.nas.config.loading import RunConfig

FOLDER = "tensorboard"


class Tracker(Protocol):
    """Shows a run while it goes on. What it shows decides nothing, so it never stops a run."""

    def on_trial(self, trial: Trial) -> None:
        """A trial has been added to the ledger."""
        ...

    def on_epoch(self, stage: str, epoch: int, metrics: Mapping[str, float]) -> None:
        """A training has finished an epoch, counted from 1; one that was reported before is left as it is."""
        ...

    def close(self) -> None:
        """Bring everything up to date and let go of the files; closing twice is harmless."""
        ...


def create_tracker(
    run_directory: Path,
    config: RunConfig,
    trials: Sequence[Trial],
    quality: Quality = CLASSIFICATION,
    data: DataFacts | None = None,
) -> Tracker:
    """A tracker that writes to `tensorboard/` in a run directory.

    What is there is deleted and written anew from the history; only epochs, which the ledger does not hold, are taken
    over.

    Args:
        run_directory: of the run.
        config: of the run.
        trials: the ledger's trials so far.
        quality: by which the run's networks are judged.
        data: what is known of its samples.

    Raises:
        BadInputError: if the directory is not writable.
    """
    from .tensorboard_tracker import TensorBoardTracker

    return TensorBoardTracker.of_run(run_directory / FOLDER, config, trials, quality, data)


def write_views(run_directory: Path) -> list[Path]:
    """Write `pareto.csv` and `report.html` from what a run directory holds.

    Returns:
        The files.

    Raises:
        BadInputError: if the directory holds no run or is not writable.
    """
    from .report import write_report
    from .tables import write_pareto

    return [write_pareto(run_directory), write_report(run_directory)]
