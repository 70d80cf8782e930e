"""The report as a view of the run: written when the run ends, or is stopped."""

from __future__ import annotations

from collections.abc import Mapping

from hasnas.nas.history.trial import Trial
from hasnas.nas.tracking.tracker import TrackedRun

from .page import is_up_to_date, write_report


class ReportTracker:
    """Writes `report.html` into the run's directory once there is something to tell.

    Args:
        run: what is to be shown.
    """

    def __init__(self, run: TrackedRun) -> None:
        self._directory = run.directory
        self._anything = bool(run.trials) and not is_up_to_date(run.directory)

    def on_trial(self, trial: Trial) -> None:
        """See `hasnas.nas.tracking.Tracker.on_trial`."""
        self._anything = True

    def on_epoch(self, stage: str, epoch: int, metrics: Mapping[str, float]) -> None:
        """Learning curves are TensorBoard's."""

    def close(self) -> None:
        """Write the page, of a run that was stopped as well.

        Raises:
            BadInputError: if the ledger is damaged, or the directory is not writable.
        """
        if self._anything:
            write_report(self._directory)
        self._anything = False
