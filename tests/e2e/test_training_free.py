"""A run whose candidates are ranked by a score: nothing is trained but what it returns."""

from __future__ import annotations

import csv
import json
import math
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hasnas.errors import MachineFaultError
from hasnas.nas.executors import in_process
from hasnas.nas.history.goal import front
from hasnas.nas.history.ledger import equal_ledgers, read_ledger
from hasnas.nas.run import resume_run, start_run
from hasnas.nas.tracking.event_file import read_scalars
from hasnas.nas.tracking.status import run_status
from hasnas.nas.tracking.status_text import describe_status

pytestmark = pytest.mark.slow

SCORED = ["search.score=trainability", "search.strategy=cell_by_cell", "search.evaluations=12", "search.batch=4"]
SHORT = ["retrain.top=1", "retrain.epochs=1"]
METRIC = "score/trainability"


@pytest.fixture(scope="module")
def scored(viewed_config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An undisturbed run."""
    directory = tmp_path_factory.mktemp("scored") / "run"
    return start_run(viewed_config, [*SCORED, *SHORT], run_directory=directory)


def test_candidates_carry_their_score_and_its_parts(scored: Path) -> None:
    searched = [trial for trial in read_ledger(scored / "ledger.jsonl").trials if trial.stage == "search"]
    assert len(searched) == 12
    for trial in searched:
        assert trial.state == "done"
        assert math.isfinite(trial.metrics[METRIC])
        assert {"score part/depth", "score part/isometry", "score part/balance"} <= set(trial.metrics)
        assert trial.costs["parameters"] <= 1900


def test_no_supernet_is_trained_and_the_best_is_returned(scored: Path) -> None:
    assert not list((scored / "checkpoints").glob("supernet*"))
    trials = read_ledger(scored / "ledger.jsonl").trials
    searched = [trial for trial in trials if trial.stage == "search"]
    returned = [trial for trial in trials if trial.stage == "retrain"]
    assert [trial.key for trial in returned] == [front(searched)[0].key]
    assert front(searched)[0].metrics[METRIC] == max(trial.metrics[METRIC] for trial in searched)
    assert 0 <= returned[0].metrics["test_accuracy"] <= 1
    assert (scored / "export" / returned[0].key / "network.nir").stat().st_size > 0


def test_every_view_names_the_score(scored: Path) -> None:
    rows = list(csv.DictReader((scored / "pareto.csv").open()))
    assert float(rows[0]["trainability"]) >= float(rows[1]["trainability"])
    assert rows[0]["validation_accuracy"] == "" != rows[-1]["validation_accuracy"]
    assert "<th>trainability</th>" in (scored / "report.html").read_text()
    tags = {tag for tag, *_ in read_scalars(scored / "tensorboard" / "search")}
    assert {"search/trainability", "search/best trainability", "score/balance"} <= tags
    assert "search/validation accuracy" not in tags
    status = run_status(scored)
    assert {stage["stage"]: stage["state"] for stage in status["stages"]}["supernet"] == "off"
    assert "TRAINABILITY" in describe_status(status)
    json.dumps(status)


def test_a_stopped_run_goes_on_by_replay_and_a_fault_of_the_disk_is_no_result(scored: Path, tmp_path: Path) -> None:
    """The folder where trainings are kept is a link to nowhere until somebody mends it."""
    directory = tmp_path / "torn"
    shutil.copytree(scored, directory, ignore=shutil.ignore_patterns("checkpoints", "export"))
    ledger = directory / "ledger.jsonl"
    lines = ledger.read_bytes().splitlines(keepends=True)
    tenth = [number for number, line in enumerate(lines) if b'"kind":"trial"' in line][9]  # amid a batch
    ledger.write_bytes(b"".join(lines[:tenth]))
    (directory / "checkpoints").symlink_to(tmp_path / "absent" / "disk")
    with pytest.raises(MachineFaultError, match=r"retrain stopped: the machine failed, not a network: .*--resume"):
        resume_run(directory, changes=["tracking=[]"])
    assert [trial.stage for trial in read_ledger(ledger).trials] == ["search"] * 12
    (tmp_path / "absent" / "disk").mkdir(parents=True)
    resume_run(directory)
    assert equal_ledgers(scored / "ledger.jsonl", ledger)


def test_scores_of_running_networks_get_training_images(
    tiny_config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = ["search.score=synflow", "search.strategy=random", "search.evaluations=2", "retrain.enabled=false"]
    one, attempt, begun = tmp_path / "one", in_process.attempt, list[object]()

    def interrupted(function: Callable[[Any], Any], task: Any) -> Any:
        begun.append(task)
        if len(begun) == 2:
            raise KeyboardInterrupt
        return attempt(function, task)

    monkeypatch.setattr(in_process, "attempt", interrupted)
    with pytest.raises(KeyboardInterrupt):
        start_run(tiny_config, network, run_directory=one)
    assert len(read_ledger(one / "ledger.jsonl").trials) == 1, "what was scored before in the batch is on disk"
    resume_run(one)
    two = start_run(tiny_config, network, run_directory=tmp_path / "two", workers=2)
    assert equal_ledgers(one / "ledger.jsonl", two / "ledger.jsonl")
    searched = read_ledger(one / "ledger.jsonl").trials
    assert len(searched) == 2
    assert all(math.isfinite(trial.metrics["score/synflow"]) for trial in searched)


def test_an_unknown_score_is_refused_in_one_line(tiny_config: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hasnas", "search", str(tiny_config), "search.score=trainabilty"]
    result = subprocess.run([*command, "--run-dir", str(tmp_path / "no")], capture_output=True, text=True)
    assert result.returncode == 2
    assert "unknown search.score 'trainabilty'; did you mean 'trainability'" in result.stderr
