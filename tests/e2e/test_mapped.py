"""Runs whose networks are mapped: objectives and limits that only a mapping tells, and the same by `hasnas map`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hasnas.nas.cli import run_command
from hasnas.nas.history.ledger import read_ledger
from hasnas.nas.run import start_run

pytestmark = pytest.mark.slow

MAPPED = [
    "retrain.mapping=greedy.yaml", "retrain.mapping_samples=3", "retrain.top=1", "retrain.epochs=1",
    "retrain.simulate=barrier", "search.objectives=[accuracy, mapped_energy, simulated_latency, lifetime]",
    "search.strategy=nsga2",
    "supernet.enabled=false", "search.brief_epochs=1", "search.evaluations=2", "budget.lifetime=1 s",
    "budget.temperature=310 K",
]  # fmt: skip


def test_what_a_mapping_tells_is_looked_for_and_limited(
    tiny_config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("greedy.yaml").write_text("partitioner: greedy\nplacer: sequential\norder: heat\n")
    trials = read_ledger(start_run(tiny_config, MAPPED, run_directory=tmp_path / "run") / "ledger.jsonl").trials
    assert [trial.stage for trial in trials] == ["search", "search", "retrain"]
    for trial in trials:
        assert 0 < trial.costs["mapped_energy_j"] < 1e-6
        assert 0 < trial.metrics["mapped_latency_s"] < trial.costs["simulated_latency_s"] < 1e-3
        assert trial.metrics["simulated_energy_j"] > trial.costs["mapped_energy_j"] / 3
        assert 0 <= trial.metrics["simulated_accuracy"] <= 1
        assert trial.costs["lifetime_s"] > 1
        assert 300 < trial.costs["temperature_k"] < 310
        assert not trial.verdict
    capsys.readouterr()
    returned = trials[-1]
    assert run_command(["map", "run", "--recipe", "greedy.yaml", "--samples", "3", "--seed", "3", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["communication_energy_j"] / 3 == pytest.approx(returned.metrics["mapped_energy_j"])
    assert found["lifetime_s"] == pytest.approx(returned.metrics["lifetime_s"])
    assert found["temperature_k"] == pytest.approx(returned.metrics["temperature_k"])
    cooler = [text.replace("310 K", "300 K") for text in MAPPED]
    trials = read_ledger(start_run(tiny_config, cooler, run_directory=tmp_path / "cool") / "ledger.jsonl").trials
    assert [list(trial.verdict) for trial in trials] == [["temperature"]] * 2, "what works is warmer than the ambient"


@pytest.mark.parametrize(
    "changes, message",
    [
        (["search.objectives=[accuracy, lifetime]"], "networks are not mapped; set retrain.mapping"),
        (["search.objectives=[accuracy, simulated_energy]", "retrain.mapping=espine"], "set retrain.simulate"),
        (["retrain.simulate=free"], "retrain.simulate: networks are not mapped"),
        (["retrain.mapping=spinmap"], "retrain.mapping: unknown recipe 'spinmap'; did you mean 'spinemap'"),
        (["retrain.mapping=espine", "hardware=spikesim-65nm-rram"], "does not say what its cells carry"),
        (["retrain.mapping=espine", "search.score=depth", "budget.lifetime=1 h"], "trains no candidate"),
    ],
)
def test_what_cannot_be_mapped_is_said_before_anything_runs(
    tiny_config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], changes: list[str], message: str
) -> None:
    assert run_command(["search", str(tiny_config), *changes, "--run-dir", str(tmp_path / "run")]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "run").exists()
