import errno
import io
import logging
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import metadata as hparams_metadata

from hasnas.errors import BadInputError
from hasnas.nas.config.loading import RunConfig
from hasnas.nas.history.quality import REGRESSION
from hasnas.nas.history.trial import Trial
from hasnas.nas.tracking import Tracker, create_tracker
from hasnas.nas.tracking.event_file import read_scalars
from hasnas.nas.tracking.tensorboard_tracker import RunFacts, TensorBoardTracker


def accumulate(directory: Path) -> EventAccumulator:
    sizes = {"images": 0, "scalars": 0, "histograms": 0, "tensors": 0}
    return EventAccumulator(str(directory), size_guidance=sizes).Reload()


def curve(directory: Path, tag: str) -> list[tuple[int, float]]:
    return [(step, pytest.approx(value)) for name, step, value, _ in read_scalars(directory) if name == tag]


def contents(directory: Path) -> dict[str, bytes]:
    return {
        path.relative_to(directory).as_posix(): path.read_bytes() for path in directory.rglob("*") if path.is_file()
    }


@pytest.mark.slow
def test_curves_follow_the_search(tmp_path: Path, config: RunConfig, history: list[Trial]):
    tracker: Tracker = create_tracker(tmp_path, config, [])
    for trial in history:
        tracker.on_trial(trial)
    tracker.close()
    search = tmp_path / "tensorboard" / "search"
    assert curve(search, "search/validation accuracy") == [(0, 0.5), (1, 0.7), (2, 0.9), (3, 0.8)]
    assert curve(search, "search/best validation accuracy") == [(0, 0.5), (1, 0.7), (2, 0.7), (3, 0.8)]
    assert curve(search, "search/feasible share") == [(0, 1.0), (1, 1.0), (2, 2 / 3), (3, 3 / 4)]
    assert curve(search, "search cost/energy (nJ)") == [(0, 400), (1, 600), (2, 2000), (3, 900)]
    assert curve(search, "search firing_rate/head.lif") == [(step, 0.3) for step in range(4)]
    assert curve(search, "retrain/test accuracy") == [(4, 0.94)]
    found = accumulate(search)
    assert set(found.Tags()["images"]) == {
        "search/progress",
        *(f"accuracy against/{name}" for name in ("parameters", "memory", "area", "latency", "energy")),
    }
    assert "search firing rates of layers" in found.Tags()["histograms"]
    front = found.Tensors("search/Pareto front")[-1].tensor_proto.string_val[0].decode()
    assert history[4].key in front
    assert "94.00%" in front


@pytest.mark.slow
def test_the_row_of_a_run_is_declared_before_its_first_trial(tmp_path: Path, config: RunConfig, history: list[Trial]):
    tracker = create_tracker(tmp_path, config, [])
    found = accumulate(tmp_path / "tensorboard").SummaryMetadata(hparams_metadata.EXPERIMENT_TAG)
    experiment = hparams_metadata.parse_experiment_plugin_data(found.plugin_data.content)
    assert [info.name.tag for info in experiment.metric_infos] == list(RunFacts("small").results)
    declared = {info.name for info in experiment.hparam_infos}
    assert {"seed", "budget.energy", "space.macro.channels", "search.strategy"} <= declared
    for trial in history:
        tracker.on_trial(trial)
    tracker.close()
    found = accumulate(tmp_path / "tensorboard")
    start = hparams_metadata.parse_session_start_info_plugin_data(
        found.SummaryMetadata(hparams_metadata.SESSION_START_INFO_TAG).plugin_data.content
    )
    assert set(start.hparams) == declared
    assert start.hparams["budget.energy"].string_value == "1 uJ"
    assert start.hparams["search.crossover"].string_value == "false"
    assert set(found.Tags()["scalars"]) == set(RunFacts("small").results)
    assert curve(tmp_path / "tensorboard", "result/test accuracy") == [(4, 0.94)]


@pytest.mark.slow
def test_resuming_writes_the_view_anew_and_keeps_the_epochs(tmp_path: Path, config: RunConfig, history: list[Trial]):
    whole = create_tracker(tmp_path / "whole", config, history)
    whole.close()
    tracker = create_tracker(tmp_path / "parts", config, [])
    for trial in history[:2]:
        tracker.on_trial(trial)
    for epoch in (1, 2):
        tracker.on_epoch("supernet", epoch, {"loss": 1.0 / epoch})
    # Killed here: nothing is closed, and a record is torn.
    (events,) = (tmp_path / "parts" / "tensorboard" / "epochs").iterdir()
    events.write_bytes(events.read_bytes()[:-2])
    resumed = create_tracker(tmp_path / "parts", config, history)
    resumed.on_epoch("supernet", 1, {"loss": 99.0})
    resumed.on_epoch("supernet", 2, {"loss": 0.5})
    resumed.on_epoch("supernet", 3, {"loss": 0.25})
    resumed.close()
    tracker.close()
    first, second = (contents(tmp_path / name / "tensorboard") for name in ("whole", "parts"))
    assert len(first) == len(second) == 3
    assert all(second[name] == data for name, data in first.items() if "epochs" not in name)
    epochs = tmp_path / "parts" / "tensorboard" / "epochs"
    assert curve(epochs, "supernet/loss") == [(1, 1.0), (2, 0.5), (3, 0.25)]


@pytest.mark.slow
def test_without_a_config_the_curves_are_still_there(tmp_path: Path, history: list[Trial]):
    tracker = TensorBoardTracker(tmp_path / "view")
    tracker.on_trial(history[0])
    tracker.close()
    tracker.close()
    tracker.on_trial(history[1])
    assert curve(tmp_path / "view" / "search", "search/validation accuracy") == [(0, 0.5)]


@pytest.mark.slow
def test_a_regression_shows_errors(tmp_path: Path, config: RunConfig, errors: list[Trial]):
    tracker = create_tracker(tmp_path, config, errors, REGRESSION)
    tracker.close()
    view = tmp_path / "tensorboard"
    # The third breaks the budget, and of the others the first is the best all along.
    best = curve(view / "search", "search/best validation mean absolute error")
    assert [value for _, value in best] == [0.5] * 4
    assert curve(view, "result/test mean absolute error")[-1] == (4, pytest.approx(0.94))
    page = accumulate(view / "search").Tensors("search/Pareto front")[-1].tensor_proto.string_val[0].decode()
    assert "validation MAE | test MAE" in page
    assert "| 0.95 | 0.94 |" in page


@pytest.mark.slow
def test_the_row_of_a_run_has_mean_and_deviation_over_seeds(tmp_path: Path, config: RunConfig, seeds: list[Trial]):
    several = config.model_copy(update={"retrain": config.retrain.model_copy(update={"seeds": 3})})
    tracker = create_tracker(tmp_path, several, seeds)
    tracker.close()
    view = tmp_path / "tensorboard"
    assert curve(view / "search", "retrain/test accuracy") == [(4, 0.94), (5, 0.9)]
    assert curve(view, "result/test accuracy")[-1] == (6, pytest.approx(0.92))
    tag = "result/test accuracy standard deviation over seeds"
    assert curve(view, tag) == [(step, pytest.approx(0.04 / 2**0.5)) for step in (5, 6)]
    assert tag in RunFacts("small", seeds=3).results
    page = accumulate(view / "search").Tensors("search/Pareto front")[-1].tensor_proto.string_val[0].decode()
    assert "| 92.00% ± 2.83% | 2 of 3 |" in page


def test_names_stay_within_their_cells(tmp_path: Path):
    TensorBoardTracker(tmp_path, RunFacts("a|b", settings={"x|y": "1\n2"})).close()
    page = accumulate(tmp_path / "search").Tensors("run/config")[0].tensor_proto.string_val[0].decode()
    assert "| x\\|y | 1 2 |" in page


def test_a_disk_that_refuses_ends_the_view_but_not_the_run(
    tmp_path: Path, history: list[Trial], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    tracker = TensorBoardTracker(tmp_path)

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tracker._search, "add", refuse)
    with caplog.at_level(logging.WARNING):
        for trial in history:
            tracker.on_trial(trial)
        tracker.close()
    assert len([record for record in caplog.records if "No space left" in record.message]) == 1


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path, config: RunConfig):
    (tmp_path / "run").write_text("not a directory")
    with pytest.raises(BadInputError, match=r"cannot write .*tensorboard"):
        create_tracker(tmp_path / "run", config, [])


def test_a_disk_that_is_full_at_the_end_stops_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    tracker = TensorBoardTracker(tmp_path / "tensorboard")

    class Full(io.BufferedWriter):
        def close(self) -> None:
            super().close()
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tracker._run, "_file", Full(io.FileIO(tmp_path / "full", "w")))
    tracker.close()
    tracker.close()
    assert tracker._search._file.closed
