"""The seam of trackers, and the two ways in which a run uses this folder."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from hasnas.errors import BadInputError, HasnasError, one_line
from hasnas.extras import missing_extra
from hasnas.nas.config.plugins import TRACKERS
from hasnas.nas.history.quality import CLASSIFICATION, Quality
from hasnas.nas.history.trial import Trial
from hasnas.nas.history.worth import DataFacts
from hasnas.search_spaces.space import Gene

if TYPE_CHECKING:
    from hasnas.nas.config.run import RunConfig

logger = logging.getLogger(__name__)


class Tracker(Protocol):
    """Shows a run while it goes on. What it shows decides nothing, so it never stops a run."""

    def on_trial(self, trial: Trial) -> None:
        """A trial has been added to the ledger."""
        ...

    def on_epoch(self, stage: str, epoch: int, metrics: Mapping[str, float]) -> None:
        """A training has finished an epoch, counted from 1; one that was reported before is left as it is.

        Args:
            stage: `"supernet"`, or what `training_names` calls a training from scratch, `"retrained 1 b26abaa9"`.
            epoch: its number.
            metrics: of the epoch, `loss` and `validation_accuracy` or its like.
        """
        ...

    def close(self) -> None:
        """Bring everything up to date and let go of the files; closing twice is harmless."""
        ...


@dataclass(frozen=True)
class TrackedRun:
    """What a tracker is made with; whatever is registered in `TRACKERS` is called with one and returns a `Tracker`.

    Args:
        directory: of the run.
        config: of the run.
        trials: the ledger's trials so far. A resumed run has some, and a tracker shows each of them once.
        quality: by which the run's networks are judged.
        data: what is known of its samples.
        genes: of the space, in the order of `Trial.codes`.
    """

    directory: Path
    config: RunConfig
    trials: Sequence[Trial] = ()
    quality: Quality = CLASSIFICATION
    data: DataFacts | None = None
    genes: tuple[Gene, ...] = ()


class AllTrackers:
    """Tells several trackers; one that fails is left out from then on, with a line in the log.

    Args:
        trackers: name -> tracker.
    """

    def __init__(self, trackers: Mapping[str, Tracker]) -> None:
        self._trackers = dict(trackers)

    def on_trial(self, trial: Trial) -> None:
        """See `Tracker.on_trial`."""
        self._each(lambda tracker: tracker.on_trial(trial))

    def on_epoch(self, stage: str, epoch: int, metrics: Mapping[str, float]) -> None:
        """See `Tracker.on_epoch`."""
        self._each(lambda tracker: tracker.on_epoch(stage, epoch, metrics))

    def close(self) -> None:
        """See `Tracker.close`."""
        self._each(lambda tracker: tracker.close())

    def _each(self, tell: Callable[[Tracker], None]) -> None:
        for name, tracker in list(self._trackers.items()):
            error = _raised(tell, tracker)
            if error is not None:
                del self._trackers[name]
                reason = one_line(f"{type(error).__name__}: {error}")
                logger.warning("tracker %s is no longer updated: %s", name, reason)
                _raised(lambda failed: failed.close(), tracker)


def _raised(tell: Callable[[Tracker], None], tracker: Tracker) -> BaseException | None:
    """Whatever somebody's tracker raises, which must not cost the run; an interrupt is the user's."""
    try:
        tell(tracker)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return error
    return None


def create_tracker(run: TrackedRun) -> Tracker:
    """The trackers that the config names, brought up to date with the history.

    Raises:
        BadInputError: if one of them cannot be had or cannot begin.
    """
    return AllTrackers({name: _created(name, run) for name in run.config.tracking})


def _created(name: str, run: TrackedRun) -> Tracker:
    try:
        return TRACKERS.get(name)(run)
    except HasnasError:
        raise
    except ModuleNotFoundError as error:
        raise missing_extra(error, f"tracking: {name}") or error from error
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever somebody's tracker raises
        reason = one_line(f"{type(error).__name__}: {error}")
        raise BadInputError(f"tracking: {name} cannot begin: {reason}; mend that, or leave it out") from error

