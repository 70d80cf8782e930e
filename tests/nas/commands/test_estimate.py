"""The returned network of a run is priced on its own chip, with the activity that was measured on it."""

import io
import json
import sys
from pathlib import Path

import pytest

from hasnas.errors import BadInputError
from hasnas.nas.cli import run_command
from hasnas.nas.commands.estimate import Question, answer, read_activity, read_workload
from hasnas.nas.commands.options import steps_shown
from hasnas.nas.config.loading import dump_config, load_config
from hasnas.nas.config.training import RetrainSection
from hasnas.nas.data.needs import DataReference
from hasnas.nas.export.run_export import export_run
from hasnas.nas.history.ledger import Ledger
from hasnas.nas.history.trial import Trial
from hasnas.nas.training.retrain import ACTIVITY_FILE, RetrainTask, retrain_directory, run_retrain_task
from hasnas.search_spaces.architecture import Architecture
from hasnas.search_spaces.cells import Edge, Genotype
from hasnas.search_spaces.macro import Macro

CELL = Genotype(4, (Edge(0, 3, "conv1x1"),))
ARCHITECTURE = Architecture((CELL, CELL), Macro((1, 8, 8), timesteps=2, channels=2, hidden=0, votes=1, final_pool=4))
CONFIG = """
name: small
dataset: {name: digits}
hardware: {preset: spikesim-65nm-rram, overrides: {crossbar.size: 32}}
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that returned one network, trained for one epoch, and not another that broke the budget."""
    directory = tmp_path_factory.mktemp("runs") / "small"
    folder = retrain_directory(directory, ARCHITECTURE.key, 0)
    folder.mkdir(parents=True)
    (directory / "config.yaml").write_text(CONFIG)
    (directory / "config.yaml").write_text(dump_config(load_config(directory / "config.yaml")))
    settings = RetrainSection(epochs=1, batch_size=256)
    data = DataReference("digits", None, 0.3, 0)
    outcome = run_retrain_task(RetrainTask(ARCHITECTURE.to_json(), data, settings, 0, str(folder)))
    metrics = {"validation_accuracy": outcome.merit, "test_accuracy": outcome.test_accuracy}
    best = Trial(1, "retrain", ARCHITECTURE.key, (0,), ARCHITECTURE.to_json(), 0, "done", metrics)
    over = Trial(0, "retrain", "other", (1,), {}, 0, "infeasible", {"validation_accuracy": 1.0}, verdict={"area": 2.0})
    with Ledger(directory / "ledger.jsonl") as ledger:
        ledger.append(over.to_record())
        ledger.append(best.to_record())
    return directory


@pytest.mark.slow
def test_a_run_brings_network_hardware_and_measured_activity(run: Path, capsys: pytest.CaptureFixture[str]):
    (variant,) = answer(Question(run))
    (dense,) = answer(Question(run, activity="dense"))
    assert variant.report.parameters == ARCHITECTURE.expand().parameter_count
    assert variant.report.energy_j < dense.report.energy_j
    assert run_command(["estimate", str(run), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {name: told[name] for name in variant.report.costs()} == {
        name: float(value) for name, value in variant.report.costs().items()
    }


def test_the_hardware_of_the_run_is_changed_or_replaced(run: Path):
    (own,) = answer(Question(run))
    (larger,) = answer(Question(run, settings=["crossbar.size=128"]))
    (replaced,) = answer(Question(run, hardware=["spikesim-65nm-rram"], settings=["crossbar.size=32"]))
    assert larger.report.area_m2 != own.report.area_m2
    assert replaced.report.area_m2 == own.report.area_m2


def test_an_exported_network_costs_what_the_run_says(run: Path):
    export_run(run)
    folder = run / "export" / ARCHITECTURE.key
    hardware, settings = "spikesim-65nm-rram", ["crossbar.size=32"]
    dense = answer(Question(run, activity="dense"))[0].report.to_dict()
    assert answer(Question(folder / "architecture.json", [hardware], settings))[0].report.to_dict() == dense
    assert answer(Question(folder / "network.nir", [hardware], settings))[0].report.to_dict() == dense


def test_activity_that_was_not_measured_is_not_invented(run: Path):
    file = retrain_directory(run, ARCHITECTURE.key, 0) / ACTIVITY_FILE
    kept = file.read_text()
    file.unlink()
    try:
        with pytest.raises(BadInputError, match="holds no measured activity"):
            read_workload(run, measured=True)
        assert answer(Question(run, activity="0.2"))
    finally:
        file.write_text(kept)


def test_a_run_that_returned_nothing_is_told_how_to_go_on(run: Path, tmp_path: Path):
    (tmp_path / "config.yaml").write_text((run / "config.yaml").read_text())
    (tmp_path / "ledger.jsonl").touch()
    with pytest.raises(BadInputError, match="hasnas search --resume"):
        answer(Question(tmp_path))


@pytest.mark.parametrize("text", ["", "nan", "-0.1", "1.1", "hot"])
def test_impossible_activities_are_refused(text: str):
    with pytest.raises(BadInputError, match="activity"):
        read_activity(text)


def test_a_long_sweep_shows_on_a_terminal_how_far_it_is(monkeypatch: pytest.MonkeyPatch):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr("sys.stderr", Terminal())
    with steps_shown("rram-22nm", quick=4) as progress:
        for _ in range(4):
            progress(4)
    assert "rram-22nm" in sys.stderr.getvalue()
    assert "100%" in sys.stderr.getvalue()
    monkeypatch.setattr("sys.stderr", Terminal())
    with steps_shown("rram-22nm", quick=5) as progress:
        for _ in range(4):
            progress(4)
    assert not sys.stderr.getvalue()
