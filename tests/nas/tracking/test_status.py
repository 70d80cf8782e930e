"""A run's status is read from what it wrote, whole, live or damaged."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hasnas.errors import BadInputError
from hasnas.nas.config.loading import dump_config, load_config
from hasnas.nas.history.ledger import Ledger
from hasnas.nas.history.rung import RungRecord
from hasnas.nas.history.trial import Trial
from hasnas.nas.history.worth import DataFacts
from hasnas.nas.tracking.status import list_runs, run_status
from hasnas.nas.tracking.status_text import describe_runs, describe_status

CONFIG = """
name: small
dataset: {name: digits}
hardware: spikesim-65nm-rram
budget: {parameters: 1000, energy: 2 uJ}
export: {enabled: false}
"""
COSTS = {"parameters": 900.0, "memory_bits": 8e3, "area_m2": 5e-7, "latency_s": 1e-3, "energy_j": 1e-6}


def trial(number: int, stage: str, accuracy: float, energy_j: float = 1e-6, **metrics: float) -> Trial:
    scores = {"validation_accuracy": accuracy, **metrics}
    return Trial(number, stage, f"key{number}", (number,), {}, 0, "done", scores, {**COSTS, "energy_j": energy_j})


def event(name: str, stage: str, time: float) -> dict:
    return {"kind": "event", "event": name, "stage": stage, "time": time, "details": {}}


SEARCHED = [trial(0, "search", 0.5), trial(1, "search", 0.6, energy_j=2e-6), trial(2, "search", 0.4)]
FAILED = Trial(3, "search", "key3", (3,), {}, 0, "failed", costs=COSTS, message="MemoryError")
RETRAINED = [trial(4, "retrain", 0.8, test_accuracy=0.7), trial(5, "retrain", 0.9, test_accuracy=0.6)]
RATIOS = ((0.5, 0.5), (2.0, 2.0), (0.5, 2.0), (2.0, 2.0))
OVER = Trial(6, "retrain", "key6", (6,), {}, 0, "infeasible", {"validation_accuracy": 0.99}, COSTS, {"energy": 1.5})


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run that was stopped in its retraining."""
    directory = tmp_path / "small"
    directory.mkdir()
    (directory / "config.yaml").write_text(CONFIG)
    (directory / "config.yaml").write_text(dump_config(load_config(directory / "config.yaml")))
    with Ledger(directory / "ledger.jsonl") as ledger:
        ledger.append(event("start", "run", 0.0))
        ledger.append(event("stage_begin", "screen", 1.0))
        ledger.append(event("stage_end", "screen", 3.5))
        ledger.append(event("stage_begin", "search", 4.0))
        for one in [*SEARCHED, FAILED]:
            ledger.append(one.to_record())
        ledger.append(event("stage_end", "search", 6.0))
        ledger.append(event("stage_begin", "retrain", 6.0))
        for one in [*RETRAINED, OVER]:
            ledger.append(one.to_record())
        ledger.append(event("stage_begin", "export", 7.0))  # as a run notes of a stage that is off, too
        ledger.append(event("stage_end", "export", 7.01))
    np.savez_compressed(
        directory / "screen.npz",
        codes=np.zeros((4, 1), np.int16),
        connected=np.array([True, True, True, False]),
        feasible=np.array([True, False, False, False]),
        costs=np.ones((4, 5)),
        cost_over_limit=np.array([[first, *[np.nan] * 3, last] for first, last in RATIOS]),
        columns=np.array(["parameters", "memory", "area", "latency", "energy"]),
        complete=np.array(True),
    )
    return directory


def test_everything_is_told(run: Path):
    status = run_status(run)
    assert json.loads(json.dumps(status)) == status
    assert (status["name"], status["state"], status["seed"]) == ("small", "stopped", 0)
    assert status["budget"] == {"parameters": 1000, "energy": 2e-6}
    assert [(stage["stage"], stage["state"], stage["seconds"]) for stage in status["stages"]] == [
        ("screen", "done", 2.5), ("supernet", "pending", 0.0), ("search", "done", 2.0), ("retrain", "stopped", 0.0),
        ("export", "off", 0.0),
    ]  # fmt: skip
    assert status["trials"] == {"total": 4, "done": 3, "infeasible": 0, "failed": 1}
    assert status["feasible_share"] == pytest.approx(1 / 3)
    assert status["screen"]["rejected_share"] == {"parameters": pytest.approx(1 / 3), "energy": pytest.approx(2 / 3)}
    assert [network["key"] for network in status["front"]] == ["key1", "key0"]
    assert [network["key"] for network in status["returned"]] == ["key5", "key4"]
    winner = status["returned"][0]
    assert (winner["validation_accuracy"], winner["test_accuracy"], winner["fits"]) == (0.9, 0.6, True)
    assert {name: winner[name] for name in COSTS} == COSTS
    assert status["damage"] is None


def test_the_text_holds_the_same(run: Path):
    text = describe_status(run_status(run))
    for part in ("small: stopped", "parameters 1,000, energy 2 uJ", "screen done (2.5 s)", "export off", "4 (3 done"):
        assert part in text
    assert "33.3% of 3 connected architectures fit; rejected by: parameters 33.3%, energy 66.7%" in text
    assert "90.00%" in text
    assert "60.00%" in text
    assert "1 uJ" in text


def test_chips_and_trainings_are_told(run: Path):
    assert "choices" not in run_status(run)["front"][0]
    chosen = replace(trial(7, "search", 0.99), hardware={"crossbar.size": 128}, training={"learning_rate": 0.01})
    with Ledger(run / "ledger.jsonl") as ledger:
        ledger.append(chosen.to_record())
    status = run_status(run)
    assert status["front"][0]["choices"] == {"hardware/crossbar.size": 128, "training/learning_rate": 0.01}
    assert "KEY   crossbar.size  training/learning_rate" in describe_status(status)
    assert "key7  128            0.01" in describe_status(status)


def rung(trial: int, number: int, state: str, accuracy: float | None, epochs: int) -> dict:
    metrics = {} if accuracy is None else {"validation_accuracy": accuracy}
    return RungRecord(trial, number, "key", epochs, 0.5, 0.25, state, metrics).to_record()


RUNGS = [
    rung(0, 0, "done", 0.4, 3),
    rung(1, 0, "failed", None, 1),
    rung(2, 0, "infeasible", 0.5, 3),
    rung(0, 1, "done", 0.6, 9),
]


def test_rungs_are_counted(run: Path):
    assert run_status(run)["rungs"] == []
    assert "successive halving" not in describe_status(run_status(run))
    with Ledger(run / "ledger.jsonl") as ledger:
        for one in RUNGS:
            ledger.append(one)
    status = run_status(run)
    columns = ("candidates", "failed", "infeasible", "best", "epochs")
    shown = [tuple(row[name] for name in columns) for row in status["rungs"]]
    assert shown == [(3, 1, 1, 0.5, 3), (1, 0, 0, 0.6, 9)]
    assert json.loads(json.dumps(status)) == status
    lines = describe_status(status).splitlines()
    place = next(number for number, line in enumerate(lines) if "rungs of successive halving" in line)
    assert lines[place + 2].split() == ["0", "3", "50%", "25%", "3", "1", "1", "50.00%"]


def test_a_live_run_is_running(run: Path):
    with Ledger(run / "ledger.jsonl") as ledger:
        status = run_status(run)
        assert status["state"] == "running"
        assert {stage["stage"]: stage["state"] for stage in status["stages"]}["retrain"] == "running"
        ledger.append(event("stage_end", "retrain", 9.0))
        ledger.append(event("end", "run", 9.0))
    assert run_status(run)["state"] == "finished"


def test_damage_is_told_and_the_rest_is_shown(run: Path):
    ledger = run / "ledger.jsonl"
    ledger.write_bytes(ledger.read_bytes()[:-9])
    (run / "screen.npz").write_bytes(b"rubbish")
    status = run_status(run)
    assert "was not written completely" in status["damage"]
    assert status["feasible_share"] is None
    assert "damage:" in describe_status(status)
    assert len(status["returned"]) == 2


def test_a_run_that_has_only_begun_has_a_status(run: Path):
    (run / "ledger.jsonl").unlink()
    (run / "screen.npz").unlink()
    status = run_status(run)
    assert (status["state"], status["front"], status["returned"], status["screen"]) == ("stopped", [], [], None)
    assert "trials: 0" in describe_status(status)


def test_runs_are_listed(run: Path):
    runs = list_runs(run.parent)
    header, line = describe_runs(runs).splitlines()
    assert header.split() == ["RUN", "STATE", "TRIALS", "FEASIBLE", "TEST", "ENERGY"]
    assert line.split()[1:] == ["stopped", "4", "33.3%", "60.00%", "1", "uJ"]
    assert describe_runs(list_runs(run.parent / "absent")) == ""


def test_one_unreadable_run_does_not_hide_the_others(run: Path):
    broken = run.parent / "broken"
    broken.mkdir()
    (broken / "config.yaml").write_text("name: [")
    runs = list_runs(run.parent)
    assert [one["state"] for one in runs] == ["unreadable", "stopped"]
    assert "not valid YAML" in runs[0]["damage"]
    assert "unreadable" in describe_runs(runs)


def test_trainings_of_a_network_are_one_row(run: Path):
    text = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(text.replace("seeds: 1", "seeds: 3"))
    again = replace(RETRAINED[1], id=7, seed=1, metrics={"validation_accuracy": 0.5, "test_accuracy": 0.5})
    third = replace(RETRAINED[1], id=8, seed=2, state="failed", metrics={}, message="MemoryError")
    with Ledger(run / "ledger.jsonl") as ledger:
        for one in (again, third):
            ledger.append(one.to_record())
    status = run_status(run)
    assert json.loads(json.dumps(status)) == status
    first, second = status["returned"]
    assert (first["key"], first["trainings"]["trained"], first["trainings"]["seeds"]) == ("key4", 1, 3)
    assert (second["key"], second["id"], second["fits"]) == ("key5", 5, True)
    assert second["test_accuracy"] == pytest.approx(0.55)
    assert [one["state"] for one in second["trainings"]["each"]] == ["done", "done", "failed"]
    lines = [line.split() for line in describe_status(status).splitlines() if "key5" in line or "key4" in line]
    assert lines[0][:4] == ["key4", "80.00%", "70.00%", "1"]
    assert lines[1][:10] == ["key5", "70.00%", "±", "28.28%", "55.00%", "±", "7.07%", "2", "of", "3"]
    assert "70.00% (1 of 3 seeds)" in describe_runs(list_runs(run.parent))


def test_a_directory_without_a_run_is_refused(tmp_path: Path):
    with pytest.raises(BadInputError, match="holds no run"):
        run_status(tmp_path)


def test_what_a_figure_is_worth_stands_beside_it(run: Path):
    facts = DataFacts("classification", 10, 1150, 288, 359, 0.1, (0.1, 0.1), "ab")
    dead = {"test_accuracy": 0.11, "firing_rate/head.lif": 0.0, "firing_rate/stem.lif": 0.3}
    with Ledger(run / "ledger.jsonl") as ledger:
        ledger.append({**event("resume", "run", 7.0), "details": {"data": facts.to_json()}})
        ledger.append(trial(7, "retrain", 0.95, **dead).to_record())
    status = run_status(run)
    best, _, other = status["returned"]
    assert status["data"]["test"] == 359
    assert (best["key"], other["key"]) == ("key7", "key4")
    assert best["test_interval"] == pytest.approx([0.082, 0.147], abs=1e-3)
    assert len(best["warnings"]) == 2
    assert other["warnings"] == []
    told = describe_status(status)
    assert "data:   classification of 10 classes; samples: 1,150 to train, 288 to choose, 359 to test" in told
    assert "key7: test 8.17% to 14.66% with 95 % confidence" in told
    assert "warning: key7: head.lif never fires, so that the answer does not depend on the input" in told
    assert "warning: key7: no better than the most frequent class (10.0%)" in told
    assert "warning: key4" not in told


def test_a_baseline_that_has_no_network_says_why(run: Path):
    text = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(text.replace("baselines: []", "baselines: [chain, random]"))
    over = replace(OVER, id=7, stage="baseline random")
    with Ledger(run / "ledger.jsonl") as ledger:
        ledger.append(over.to_record())
    status = run_status(run)
    assert [(each["baseline"], each["tried"]) for each in status["baselines"]] == [("chain", 0), ("random", 1)]
    told = describe_status(status)
    assert "chain: no plain chain of this macro fits the budget" in told
    assert "random: none of 1 kept to the budget with its measured activity" in told
    assert [network["key"] for network in status["returned"]] == ["key5", "key4"]
