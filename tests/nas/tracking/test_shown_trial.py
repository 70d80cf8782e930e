"""`hasnas show`: one trial beside what its run asked for."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from hasnas import BadInputError, open_run
from hasnas.nas.budget.budget import Budget
from hasnas.nas.cli import run_command
from hasnas.nas.history.ledger import Ledger
from hasnas.nas.history.rung import RungRecord
from hasnas.nas.history.trial import Trial
from hasnas.nas.tracking.shown_trial import ShownTrial


def test_a_trial_that_breaks_the_budget_is_shown(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["show", str(run), "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "trial 2, search: infeasible"
    assert "  costs: breaks energy by 2x" in lines
    (energy,) = [line.split() for line in lines if line.strip().startswith("energy ")]
    assert energy == ["energy", "2", "uJ", "1", "uJ", "200.0%"]
    (parameters,) = [line.split() for line in lines if line.strip().startswith("parameters ")]
    assert parameters == ["parameters", "102", "5,000", "2.0%"]
    assert "    cell 1, 4 nodes: 0->3 identity, 1->3 identity, 3->1 identity (a timestep later)" in lines
    assert any(line.split() == ["validation_accuracy", "90.00%"] for line in lines)
    assert any(line.endswith("2.0 s after the run began") for line in lines)


def test_what_is_better_than_a_least_value_uses_less_than_the_limit(history: list[Trial]) -> None:
    trial = replace(history[0], costs={**history[0].costs, "throughput_hz": 100.0})
    shown = ShownTrial(trial, Budget({"throughput": 50.0})).describe()
    (throughput,) = [line.split() for line in shown.splitlines() if "throughput" in line]
    assert throughput == ["throughput", "100", "Hz", "at", "least", "50", "Hz", "50.0%"]


def test_json_holds_the_record_and_the_limits(
    run: Path, history: list[Trial], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(["show", str(run), "2", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert {name: found[name] for name in ("id", "key", "seed")} == {"id": 2, "key": history[2].key, "seed": 3}
    assert found["limits"] == {"parameters": 5000, "energy": 1e-6}
    assert found["over_limit"] == pytest.approx({"parameters": 102 / 5000, "energy": 2.0})
    assert not found["fits"]


def test_a_key_shows_every_trial_of_its_network(run: Path, history: list[Trial]) -> None:
    key = history[0].key
    with Ledger(run / "ledger.jsonl") as ledger:
        ledger.append(RungRecord(0, 0, key, 1, 0.5, 0.25, "done", {"validation_accuracy": 0.5}).to_record())
        ledger.append(replace(history[1], id=5, key=f"{key[:6]}-other", costs={}).to_record())
    found = open_run(run).show(key[:9])
    assert [(one.trial.id, one.trial.stage, len(one.rungs)) for one in found] == [(0, "search", 1), (4, "retrain", 0)]
    assert "0     1       50%        25%   done   50.00%" in found[0].describe()
    assert "costs: not priced" in open_run(run).show(5)[0].describe()
    with pytest.raises(BadInputError, match="begins 2 keys of"):
        open_run(run).show(key[:6])


@pytest.mark.parametrize("which", ["7", "absent", ""])
def test_a_trial_that_is_not_there_is_one_line(run: Path, which: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["show", str(run), which]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"small has no trial '{which}'; its trials are 0 to 4" in line


def test_a_run_without_trials_says_so(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run / "ledger.jsonl").unlink()
    assert run_command(["show", str(run), "0"]) == 2
    assert "it has none yet" in capsys.readouterr().err
