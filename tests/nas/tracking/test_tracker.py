"""Trackers are plug-ins; what one of them does wrong costs the view and not the run."""

import logging
from asyncio import CancelledError
from collections.abc import Mapping
from pathlib import Path

import pytest

from hasnas.errors import BadInputError
from hasnas.nas.config.loading import config_from_tree, config_identity
from hasnas.nas.config.plugins import TRACKERS
from hasnas.nas.config.run import RunConfig
from hasnas.nas.history.trial import Trial
from hasnas.nas.tracking import TrackedRun, create_tracker

TREE = {"name": "small", "dataset": {"name": "digits"}, "hardware": "rram-32nm"}
TOLD: list[object] = []


class Notes:
    """Keeps what it is told."""

    def __init__(self, run: TrackedRun) -> None:
        TOLD[:] = [run.config.name, *run.trials]

    def on_trial(self, trial: Trial) -> None:
        TOLD.append(trial)

    def on_epoch(self, stage: str, epoch: int, metrics: Mapping[str, float]) -> None:
        TOLD.append((stage, epoch, dict(metrics)))

    def close(self) -> None:
        TOLD.append("closed")


class Breaks(Notes):
    """Fails at the first trial, and is closed then."""

    def on_trial(self, trial: Trial) -> None:
        raise ConnectionError("no such server")


class Leaves(Notes):
    """Would end the process, as some clients do where nobody is logged in."""

    def on_trial(self, trial: Trial) -> None:
        raise SystemExit("log in\nfirst")

    def close(self) -> None:
        raise CancelledError


class Stops(Notes):
    """What Ctrl-C looks like while a tracker works."""

    def on_trial(self, trial: Trial) -> None:
        raise KeyboardInterrupt


class NeverBegins(Notes):
    def __init__(self, run: TrackedRun) -> None:
        raise PermissionError("log in\nfirst")


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = {"notes": Notes, "breaks": Breaks, "leaves": Leaves, "stops": Stops, "never_begins": NeverBegins}
    for name, kind in kinds.items():
        monkeypatch.setitem(TRACKERS._loaded, name, kind)


def tracked(config: RunConfig, directory: Path, *names: str) -> TrackedRun:
    return TrackedRun(directory, config.model_copy(update={"tracking": names}))


def test_a_tracker_that_fails_is_left_out_and_the_others_go_on(
    tmp_path: Path, config: RunConfig, history: list[Trial], caplog: pytest.LogCaptureFixture
):
    tracker = create_tracker(tracked(config, tmp_path, "breaks", "leaves", "notes"))
    with caplog.at_level(logging.WARNING):
        for trial in history[:2]:
            tracker.on_trial(trial)
        tracker.on_epoch("supernet", 1, {"loss": 0.5})
        tracker.close()
    assert ["small", "closed", *history[:2], ("supernet", 1, {"loss": 0.5}), "closed"] == TOLD
    assert [record.message for record in caplog.records] == [
        "tracker breaks is no longer updated: ConnectionError: no such server",
        "tracker leaves is no longer updated: SystemExit: log in\\nfirst",
    ]


def test_an_interrupt_is_not_the_trackers(tmp_path: Path, config: RunConfig, history: list[Trial]):
    tracker = create_tracker(tracked(config, tmp_path, "stops"))
    with pytest.raises(KeyboardInterrupt):
        tracker.on_trial(history[0])


def test_a_tracker_that_cannot_begin_is_told_in_one_line(tmp_path: Path, config: RunConfig):
    with pytest.raises(BadInputError) as refused:
        create_tracker(tracked(config, tmp_path, "never_begins"))
    assert str(refused.value).startswith("tracking: never_begins cannot begin: PermissionError: log in")
    assert "\n" not in str(refused.value)


def test_a_config_names_trackers_that_there_are(tmp_path: Path):
    chosen = config_from_tree({**TREE, "tracking": ["notes", "tensorboard"]}, "small.yaml")
    assert chosen.tracking == ("notes", "tensorboard")
    assert config_identity(chosen) == config_identity(config_from_tree(TREE, "small.yaml"))
    with pytest.raises(BadInputError, match="no such tracker; did you mean 'tensorboard'"):
        config_from_tree({**TREE, "tracking": ["tensorbord"]}, "small.yaml")
