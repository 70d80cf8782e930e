import errno
import io
import logging
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.plugins.custom_scalar import metadata as layout_metadata
from tensorboard.plugins.hparams import metadata as hparams_metadata

from hasnas.errors import BadInputError
from hasnas.nas.config.loading import dump_config
from hasnas.nas.config.run import RunConfig
from hasnas.nas.history.quality import REGRESSION
from hasnas.nas.history.trial import Trial
from hasnas.nas.tracking import TrackedRun, Tracker, create_tracker
from hasnas.nas.tracking.event_file import read_scalars
from hasnas.nas.tracking.run_facts import RunFacts, columns_of
from hasnas.nas.tracking.tensorboard_tracker import TensorBoardTracker


def accumulate(directory: Path) -> EventAccumulator:
    sizes = {"images": 0, "scalars": 0, "histograms": 0, "tensors": 0}
    return EventAccumulator(str(directory), size_guidance=sizes).Reload()


def curve(directory: Path, tag: str) -> list[tuple[int, float]]:
    return [(step, pytest.approx(value)) for name, step, value, _ in read_scalars(directory) if name == tag]


def page(directory: Path, tag: str) -> str:
    text: str = accumulate(directory).Tensors(tag)[-1].tensor_proto.string_val[0].decode()
    return text


@pytest.fixture(scope="module")
def view(tmp_path_factory: pytest.TempPathFactory, config: RunConfig, history: list[Trial]) -> Path:
    """What TensorBoard reads of a run that was told of live."""
    directory = tmp_path_factory.mktemp("runs") / "run"  # alone: what runs of one folder differ in is shown
    tracker: Tracker = create_tracker(TrackedRun(directory, config))
    for trial in history[:4]:
        tracker.on_trial(trial)
    for epoch in (1, 2, 3):
        tracker.on_epoch(f"retrained 1 {history[4].key[:8]}", epoch, {"loss": 1 / epoch})
    tracker.on_trial(history[4])
    tracker.close()
    return directory / "tensorboard"


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are composed and saved but empty, as drawing takes most of the time; those of `view` are drawn."""
    monkeypatch.setattr("matplotlib.figure.Figure.draw", lambda *_: None)


@pytest.mark.slow
def test_curves_follow_the_search(view: Path, history: list[Trial]):
    search = view / "search"
    assert curve(search, "search/validation accuracy") == [(0, 0.5), (1, 0.7), (2, 0.9), (3, 0.8)]
    assert curve(search, "search/best validation accuracy") == [(0, 0.5), (1, 0.7), (2, 0.7), (3, 0.8)]
    assert curve(search, "search/feasible share") == [(0, 1.0), (1, 1.0), (2, 2 / 3), (3, 3 / 4)]
    assert curve(search, "rejected/energy") == [(2, 1 / 3), (3, 1 / 4)]
    assert curve(search, "cost/energy (nJ)") == [(0, 400), (1, 600), (2, 2000), (3, 900)]
    # Each feasible candidate is better and dearer than those before it; the limit is 1 uJ, and the best accuracy 1.
    assert curve(search, "search/networks on the front") == [(0, 1), (1, 2), (2, 2), (3, 3)]
    volumes = [0.5 * 0.6, 0.5 * 0.6 + 0.2 * 0.4, 0.5 * 0.6 + 0.2 * 0.4, 0.5 * 0.6 + 0.2 * 0.4 + 0.1 * 0.1]
    assert curve(search, "search/hypervolume, validation accuracy and energy") == list(enumerate(volumes))
    found = accumulate(search)
    assert set(found.Tags()["images"]) == {
        "search/progress",
        "search/why rejected",
        *(f"accuracy against/{name}" for name in ("parameters", "memory", "area", "latency", "energy")),
    }
    assert "search/firing rates of layers" in found.Tags()["histograms"]
    front = page(search, "search/Pareto front")
    assert f"| search {history[3].key} | 80.00% |" in front
    assert f"| retrained 1 {history[4].key[:8]} | 95.00% | 94.00% |" in front
    assert "| energy | 1 uJ |  | 25.0% |" in page(search, "search/why rejected")


@pytest.mark.slow
def test_each_trained_network_has_its_card_and_curves_under_its_rank(view: Path, history: list[Trial]):
    name = f"retrained 1 {history[4].key[:8]}"
    assert {path.name for path in view.iterdir()} == {"search", "result", name}
    assert curve(view / name, "training/loss") == [(1, 1.0), (2, 0.5), (3, 1 / 3)]
    card = page(view / name, "network/card")
    assert "cell 1, 4 nodes: 0->3 conv3x3" in card
    assert "| energy | 500 nJ | 50% |" in card
    assert set(accumulate(view / name).Tags()["images"]) == {
        "network/genotype",
        "network/energy by component",
        "network/firing rates by layer",
    }


@pytest.mark.slow
def test_the_layout_draws_the_best_so_far_without_smoothing(view: Path):
    search = accumulate(view / "search")
    content = search.Tensors(layout_metadata.CONFIG_SUMMARY_TAG)[0].tensor_proto.string_val[0]
    charts = [chart for category in layout_pb2.Layout.FromString(content).category for chart in category.chart]
    margins = [chart.margin.series[0] for chart in charts if chart.margin.series]  # only these are never smoothed
    assert margins[0].value == "search/best validation accuracy"
    for series in margins:
        assert {series.value, series.lower, series.upper} <= set(search.Tags()["scalars"])
    shown = [tag for chart in charts for tag in chart.multiline.tag]
    unmatched = [tag for tag in shown if not any(re.fullmatch(tag, known) for known in search.Tags()["scalars"])]
    assert unmatched == ["training/validation_accuracy", "training/loss"]  # these are of the trainings


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn")
def test_the_row_of_a_run_is_declared_before_its_first_trial(tmp_path: Path, view: Path, config: RunConfig):
    create_tracker(TrackedRun(tmp_path / "run", config)).close()
    found = accumulate(tmp_path / "run" / "tensorboard" / "result").SummaryMetadata(hparams_metadata.EXPERIMENT_TAG)
    experiment = hparams_metadata.parse_experiment_plugin_data(found.plugin_data.content)
    assert [info.name.tag for info in experiment.metric_infos] == list(RunFacts("small").results)
    declared = {info.name: info.differs for info in experiment.hparam_infos}
    assert declared["budget.energy"]
    assert declared["space.macro.channels"]
    assert not declared["search.strategy"]  # as it is by default, and yet often what runs differ in
    assert "search.crossover" not in declared
    found = accumulate(view / "result")
    start = hparams_metadata.parse_session_start_info_plugin_data(
        found.SummaryMetadata(hparams_metadata.SESSION_START_INFO_TAG).plugin_data.content
    )
    assert set(start.hparams) > set(declared)
    assert start.hparams["budget.energy"].string_value == "1 uJ"
    assert start.hparams["search.crossover"].string_value == "false"
    assert set(found.Tags()["scalars"]) == set(RunFacts("small").results)
    assert curve(view / "result", "result/test accuracy") == [(4, 0.94)]


def test_runs_of_one_folder_show_what_they_differ_in(tmp_path: Path, config: RunConfig):
    other = config.model_copy(update={"search": config.search.model_copy(update={"crossover": True}), "seed": 8})
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "config.yaml").write_text(dump_config(other))
    columns = columns_of(config, tmp_path / "small")
    assert {key for key, differs in columns.items() if differs} == {"search.crossover", "seed"}
    assert "budget.energy" in columns


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn")
def test_a_resumed_run_shows_each_point_once(tmp_path: Path, view: Path, config: RunConfig, history: list[Trial]):
    name = f"retrained 1 {history[4].key[:8]}"
    tracker = create_tracker(TrackedRun(tmp_path / "run", config))
    for trial in history[:2]:
        tracker.on_trial(trial)
    for epoch in (1, 2):
        tracker.on_epoch(name, epoch, {"loss": 1 / epoch})
    # Killed here: nothing is closed, and a record is torn.
    (events,) = (tmp_path / "run" / "tensorboard" / name).iterdir()
    events.write_bytes(events.read_bytes()[:-2])
    resumed = create_tracker(TrackedRun(tmp_path / "run", config, history))
    resumed.on_epoch(name, 1, {"loss": 99.0})
    for epoch in (2, 3):
        resumed.on_epoch(name, epoch, {"loss": 1 / epoch})
    resumed.close()
    tracker.close()
    (later,) = (tmp_path / "run" / "tensorboard" / name).iterdir()
    assert later.name > events.name  # or else a TensorBoard that is open would not look into it
    for run in ("search", "result", name):
        points, live = (
            [(tag, step, value) for tag, step, value, _ in read_scalars(directory / run)]
            for directory in (tmp_path / "run" / "tensorboard", view)
        )
        assert sorted(points) == sorted(live)
        assert len({(tag, step) for tag, step, _ in points}) == len(points) > 2


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn")
def test_what_is_shown_already_is_left_until_there_is_more(
    tmp_path: Path, view: Path, config: RunConfig, history: list[Trial]
):
    shown = shutil.copytree(view, tmp_path / "run" / "tensorboard")
    before = {path.name for path in shown.rglob("events*")}
    create_tracker(TrackedRun(tmp_path / "run", config, history)).close()
    assert {path.name for path in shown.rglob("events*")} == before
    tracker = create_tracker(TrackedRun(tmp_path / "run", config, history))
    tracker.on_trial(replace(history[3], id=5, metrics={"validation_accuracy": 0.25}))
    tracker.close()
    assert not {path.name for path in shown.rglob("events*")} & before
    assert curve(shown / "search", "search/validation accuracy") == [(0, 0.5), (1, 0.7), (2, 0.9), (3, 0.8), (5, 0.25)]
    other = config.model_copy(update={"seed": 8})
    create_tracker(TrackedRun(tmp_path / "run", other, [*history, history[3]])).close()
    assert "| seed | 8 |" in page(shown / "search", "run/config")


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn")
def test_without_a_config_the_curves_are_still_there(tmp_path: Path, history: list[Trial]):
    tracker = TensorBoardTracker(tmp_path / "view")
    tracker.on_trial(history[0])
    tracker.close()
    tracker.close()
    tracker.on_trial(history[1])
    assert curve(tmp_path / "view" / "search", "search/validation accuracy") == [(0, 0.5)]


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn")
def test_a_regression_shows_errors(tmp_path: Path, config: RunConfig, errors: list[Trial]):
    tracker = create_tracker(TrackedRun(tmp_path / "run", config, errors, REGRESSION))
    tracker.close()
    view = tmp_path / "run" / "tensorboard"
    # The third breaks the budget, and of the others the first is the best all along.
    best = curve(view / "search", "search/best validation mean absolute error")
    assert [value for _, value in best] == [0.5] * 4
    assert curve(view / "result", "result/test mean absolute error")[-1] == (4, pytest.approx(0.94))
    front = page(view / "search", "search/Pareto front")
    assert "validation MAE | test MAE" in front
    assert "| 0.95 | 0.94 |" in front


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn")
def test_the_row_of_a_run_has_mean_and_deviation_over_seeds(tmp_path: Path, config: RunConfig, seeds: list[Trial]):
    several = config.model_copy(update={"retrain": config.retrain.model_copy(update={"seeds": 3})})
    tracker = create_tracker(TrackedRun(tmp_path / "run", several, seeds))
    tracker.close()
    view = tmp_path / "run" / "tensorboard"
    names = [f"retrained 1 {seeds[4].key[:8]}, seed {seed}" for seed in (3, 4, 5)]
    assert {path.name for path in view.iterdir()} == {"search", "result", *names}
    assert "Its training failed: MemoryError" in page(view / names[2], "network/card")
    assert curve(view / "result", "result/test accuracy")[-1] == (6, pytest.approx(0.92))
    tag = "result/test accuracy standard deviation over seeds"
    assert curve(view / "result", tag) == [(step, pytest.approx(0.04 / 2**0.5)) for step in (5, 6)]
    assert tag in RunFacts("small", seeds=3).results
    assert "| 92.00% ± 2.83% | 2 of 3 |" in page(view / "search", "search/Pareto front")


def test_names_stay_within_their_cells(tmp_path: Path):
    TensorBoardTracker(tmp_path, RunFacts("a|b", settings={"x|y": "1\n2"})).close()
    assert "| x\\|y | 1 2 |" in page(tmp_path / "search", "run/config")


def test_a_disk_that_refuses_ends_the_view_but_not_the_run(
    tmp_path: Path, history: list[Trial], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    tracker = TensorBoardTracker(tmp_path)

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tracker._file("search"), "add", refuse)
    with caplog.at_level(logging.WARNING):
        for trial in history:
            tracker.on_trial(trial)
        tracker.close()
    assert len([record for record in caplog.records if "No space left" in record.message]) == 1


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path, config: RunConfig):
    (tmp_path / "run").write_text("not a directory")
    with pytest.raises(BadInputError, match=r"cannot write .*tensorboard"):
        create_tracker(TrackedRun(tmp_path / "run", config))


def test_a_disk_that_is_full_at_the_end_stops_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    tracker = TensorBoardTracker(tmp_path / "tensorboard")

    class Full(io.BufferedWriter):
        def close(self) -> None:
            super().close()
            raise OSError(errno.ENOSPC, "No space left on device")

    tracker.on_epoch("supernet", 1, {"loss": 1.0})
    first, second = tracker._file("search"), tracker._file("supernet")
    monkeypatch.setattr(first, "_file", Full(io.FileIO(tmp_path / "full", "w")))
    tracker.close()
    tracker.close()
    assert second._file.closed
