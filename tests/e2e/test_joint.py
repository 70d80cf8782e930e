"""A run that searches network, chip and training together: each candidate is trained and priced with its own."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest

from hasnas.cim_estimator import Activity, estimate, load_hardware
from hasnas.cim_estimator.model.population import MANY_CHIPS
from hasnas.nas.cli import run_command
from hasnas.nas.config.loading import load_config
from hasnas.nas.history.checkpoint import load_checkpoint
from hasnas.nas.history.ledger import equal_ledgers, read_ledger
from hasnas.nas.history.trial import Trial
from hasnas.nas.run import resume_run, start_run
from hasnas.nas.tracking.event_file import read_scalars
from hasnas.nas.tracking.status import run_status
from hasnas.nas.tracking.status_text import describe_status
from hasnas.nas.training.folders import BEST_FILE, read_activity, retrain_directory
from hasnas.search_spaces.architecture import Architecture
from hasnas.search_spaces.lowering import lower

pytestmark = pytest.mark.slow

CHIP = "{crossbar.size: [64, 128], crossbar.columns_per_adc: [8, 128], adc.bits: [4, 5], clock_hz: {from: 200 MHz, to: 1 GHz, steps: 9, scale: log}}"  # noqa: E501
TRAINING = "{learning_rate: {from: 1e-3, to: 1e-2, steps: 2, scale: log}, method: [surrogate, threshold_balance]}"
OVERRIDES = [
    "hardware={preset: rram-32nm, searched: " + CHIP + "}", f"retrain.searched={TRAINING}", "space.nodes=3",
    "supernet.enabled=false", "search.strategy=nsga2", "search.objectives=[accuracy, energy, area]",
    "search.brief_epochs=1", "search.evaluations=4", "search.batch=2", "retrain.top=2", "retrain.epochs=1",
]  # fmt: skip


@pytest.fixture(scope="module")
def run(viewed_config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return start_run(viewed_config, OVERRIDES, run_directory=tmp_path_factory.mktemp("joint") / "run")


def trials_of(run: Path) -> list[Trial]:
    return read_ledger(run / "ledger.jsonl").trials


def test_every_trial_says_its_chip_and_its_training(run: Path) -> None:
    trials = trials_of(run)
    assert [trial.stage for trial in trials] == ["search"] * 4 + ["retrain"] * 2
    for trial in trials:
        assert list(trial.hardware) == ["adc.bits", "clock_hz", "crossbar.columns_per_adc", "crossbar.size"]
        assert list(trial.training) == ["learning_rate", "method"]
        assert (trial.hardware["crossbar.size"], trial.hardware["crossbar.columns_per_adc"]) != (64, 128)
    searched = {trial.key: trial for trial in trials if trial.stage == "search"}
    assert len(searched) == 4
    assert len({json.dumps(dict(trial.hardware)) for trial in searched.values()}) > 1
    for trial in trials[4:]:
        assert trial.choices == searched[trial.key].choices


def test_the_final_price_is_that_of_the_own_chip(run: Path) -> None:
    section = load_config(run / "config.yaml").hardware
    for trial in trials_of(run)[4:]:
        activity = read_activity(retrain_directory(run, trial.trained_as, trial.seed))
        chip = load_hardware("rram-32nm", section.settings_of(trial.hardware))
        assert chip.crossbar.columns == trial.hardware["crossbar.size"]
        graph = Architecture.from_json(trial.architecture).expand()
        report = estimate(lower(graph, activity), chip, Activity.measured())
        assert trial.costs["energy_j"] == pytest.approx(float(report.energy_j), rel=1e-12)
        assert trial.costs["area_m2"] == pytest.approx(float(report.area_m2), rel=1e-12)


def test_each_is_trained_and_exported_as_it_was_chosen(run: Path) -> None:
    for trial in trials_of(run)[4:]:
        meta = load_checkpoint(retrain_directory(run, trial.trained_as, trial.seed) / BEST_FILE)[1]
        assert meta["settings"]["learning_rate"] == trial.training["learning_rate"]
        if trial.state == "done":
            card = json.loads((run / "export" / trial.key / "card.json").read_text())
            assert (card["hardware"], card["training"]) == (dict(trial.hardware), dict(trial.training))
    folders = {path.name for path in (run / "checkpoints" / "brief").iterdir()}
    assert folders == {trial.trained_as for trial in trials_of(run)[:4]}


def test_every_view_shows_chips_and_trainings(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, page = run_status(run), (run / "report.html").read_text()
    assert "chip and training of each:" in describe_status(status)
    (row, *_) = csv.DictReader((run / "pareto.csv").open())
    tags = {tag for tag, *_ in read_scalars(run / "tensorboard" / "search")}
    for name in ("hardware/adc.bits", "training/learning_rate"):
        assert name in status["front"][0]["choices"]
        assert float(row[name]) > 0
        assert f"chosen/{name}" in tags
    assert ">crossbar.columns_per_adc<" in page
    best = status["returned"][0]
    assert run_command(["estimate", str(run), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["energy_j"] == pytest.approx(best["energy_j"], rel=1e-9)


def test_an_interrupted_run_ends_the_same(run: Path, tmp_path: Path) -> None:
    stopped = tmp_path / "stopped"
    shutil.copytree(run, stopped)
    lines = (run / "ledger.jsonl").read_text().splitlines(keepends=True)
    third = [number for number, line in enumerate(lines) if '"kind":"trial"' in line][2]
    (stopped / "ledger.jsonl").write_text("".join(lines[:third]))
    shutil.rmtree(stopped / "checkpoints")
    resume_run(stopped, changes=["tracking=[]"])
    assert equal_ledgers(run / "ledger.jsonl", stopped / "ledger.jsonl")


def test_large_batches_resume_to_the_last_bit(tiny_config: Path, tmp_path: Path) -> None:
    scored = ["search.score=depth", "search.strategy=random", "search.evaluations=80", "search.batch=80"]
    scored += ["space.nodes=3"]  # which takes no time to screen
    whole = start_run(tiny_config, [OVERRIDES[0], *scored, "retrain.enabled=false"], run_directory=tmp_path / "whole")
    trials = trials_of(whole)
    assert len({json.dumps(dict(trial.hardware)) for trial in trials}) >= MANY_CHIPS
    assert not any(trial.training for trial in trials)
    stopped = tmp_path / "stopped"
    shutil.copytree(whole, stopped)
    lines = (whole / "ledger.jsonl").read_text().splitlines(keepends=True)
    late = [number for number, line in enumerate(lines) if '"kind":"trial"' in line][70]
    (stopped / "ledger.jsonl").write_text("".join(lines[:late]))
    resume_run(stopped)
    assert equal_ledgers(whole / "ledger.jsonl", stopped / "ledger.jsonl")


@pytest.mark.parametrize(
    ("override", "code", "message"),
    [
        ("hardware.searched.adc.bitz=[4]", 2, "unknown key 'adc.bitz'; did you mean 'adc.bits'"),
        ("hardware.searched.adc.bits=[0, 4]", 2, "adc.bits is 0; give at least 1"),
        ("hardware.searched.crossbar.columns_per_adc=[512]", 2, "combinations contradicts itself"),
        ("hardware.overrides.adc.bits=4", 2, "hardware.searched.adc.bits is fixed by hardware.overrides as well"),
        ("retrain.learning_rate=0.02", 2, "searched.learning_rate is fixed by learning_rate (0.02) as well"),
        ("budget={area: 1 um2}", 3, "no architecture fits the budget"),
    ],
)
def test_bad_input_is_one_line(
    tiny_config: Path, tmp_path: Path, override: str, code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = tmp_path / "run"
    assert run_command(["search", str(tiny_config), *OVERRIDES, override, "--run-dir", str(directory)]) == code
    assert message in capsys.readouterr().err.splitlines()[-1]
    assert directory.exists() == (code == 3)  # what cannot be used is refused before anything is made
