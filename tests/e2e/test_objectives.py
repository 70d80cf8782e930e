"""Runs that look for what their config names: measured objectives, expressions, limits on both."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import pytest

from hasnas.nas.cli import run_command
from hasnas.nas.history.goal import front
from hasnas.nas.history.ledger import read_ledger
from hasnas.nas.run import start_run
from hasnas.nas.tracking.event_file import read_scalars
from hasnas.nas.tracking.status import run_status
from hasnas.nas.tracking.status_text import describe_status

pytestmark = pytest.mark.slow

RATIO = "energy*latency/accuracy"
OBJECTIVES = ["accuracy", RATIO, "training_time"]
TRAINED = [
    f"search.objectives=[accuracy, {RATIO}, training_time]",
    "search.strategy=nsga2", "supernet.enabled=false", "search.brief_epochs=1", "search.evaluations=3",
    "budget.accuracy=0.05", "budget.edp=1 J*s", "retrain.top=1", "retrain.epochs=2",
]  # fmt: skip
SCORED = ["search.score=depth", "search.strategy=nsga2", "retrain.enabled=false", "search.evaluations=3"]


@pytest.fixture(scope="module")
def trained(viewed_config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return start_run(viewed_config, TRAINED, run_directory=tmp_path_factory.mktemp("objectives") / "run")


def test_the_ledger_holds_every_objective(trained: Path) -> None:
    trials = read_ledger(trained / "ledger.jsonl").trials
    assert [trial.stage for trial in trials] == ["search"] * 3 + ["retrain"]
    for trial in trials:
        costs, accuracy = trial.costs, trial.metrics["validation_accuracy"]
        assert costs["accuracy"] == accuracy > 0
        assert costs[RATIO] == pytest.approx(costs["energy_j"] * costs["latency_s"] / accuracy)
        assert costs["training_time_s"] > 0
        assert ("accuracy" in trial.verdict) == (accuracy < 0.05)
    found = front([trial for trial in trials if trial.stage == "search"], OBJECTIVES)
    assert min((trial for trial in trials[:3] if not trial.verdict), key=lambda one: one.costs[RATIO]) in found


def test_every_view_shows_them(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = run_status(trained)
    text, page = describe_status(status), (trained / "report.html").read_text()
    assert status["objectives"] == OBJECTIVES
    assert f"objectives: accuracy, {RATIO}, training_time" in text
    assert "accuracy at least 0.05" in text
    (row, *_) = csv.DictReader((trained / "pareto.csv").open())
    curves = {tag for tag, *_ in read_scalars(trained / "tensorboard" / "search")}
    for name, field in ((RATIO, RATIO), ("training_time", "training_time_s"), ("edp", "energy_delay_js")):
        assert name.upper() in text
        assert f">{name}<" in page
        assert float(row[field]) > 0
        assert any(tag.startswith(f"cost/{name}") for tag in curves), name
        assert all(network[field] > 0 for network in status["front"] + status["returned"])
    assert run_command(["compare", str(trained)]) == 0
    assert f"BEST {RATIO.upper()}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("overrides", "code", "message"),
    [
        (["search.objectives=[acuracy]"], 2, "unknown cost 'acuracy'; did you mean 'accuracy'"),
        (["search.objectives=[energy**]"], 2, "is no expression of costs"),
        (["search.objectives=[accuracy]"], 2, "a search by depth trains no candidate"),
        (["search.score=null", "search.objectives=[score]"], 2, "candidates are trained, not scored"),
        (["search.score=null", "search.objectives=[device_accuracy]"], 2, "chips are perfect; set nonideal.device"),
        (["search.score=null", "budget.training_time=1 s"], 2, "switch the supernet off"),
        (["search.enabled=false", "search.objectives=[score]"], 2, "nothing is searched"),
        (["search.score=null", "search.objectives=[error]"], 2, "is a classification; name 'accuracy'"),
        (["search.objectives=[score, log(0-energy)]"], 2, "'log(0-energy)' is not a number for any of"),
        (["--dry-run", "search.objectives=[score, log(0-energy)]"], 2, "'log(0-energy)' is not a number for any of"),
        (["search.objectives=[log(0-score)]"], 2, "'log(0-score)' is not a number for any of 3 candidates"),
        (["budget={log(0-energy): 1}"], 3, "no architecture fits the budget"),
    ],
)
def test_bad_input_is_one_line(
    tiny_config: Path, tmp_path: Path, overrides: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert run_command(["search", str(tiny_config), *SCORED, *overrides, "--run-dir", str(run)]) == code
    last = capsys.readouterr().err.splitlines()[-1]
    assert message in last
    if run.exists():
        assert all(math.isfinite(trial.costs["energy_j"]) for trial in read_ledger(run / "ledger.jsonl").trials)
