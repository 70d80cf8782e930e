"""More asked of a run that is there: the same history as of a run that was asked for as much at once."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from hasnas.errors import BadInputError
from hasnas.files import write_atomic
from hasnas.nas.cli import run_command
from hasnas.nas.config.loading import load_config
from hasnas.nas.history.ledger import equal_ledgers, read_ledger
from hasnas.nas.run import resume_run, start_run
from hasnas.nas.stages import extending

CONFIG = """
name: small
dataset: {name: digits, subset: {train: 60, test: 20}}
space: {name: snasnet, macro: {channels: 2, timesteps: 2, hidden: 0, votes: 1, final_pool: 4, dropout: 0.0}}
hardware: rram-32nm
screen: {enabled: false}
supernet: {enabled: false}
search: {strategy: nsga2, evaluations: 5, batch: 2, population: 4, sample: 2, score: rate_balance}
retrain: {top: 1, epochs: 1, batch_size: 64}
export: {formats: [json]}
tracking: []
"""


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("small.yaml").write_text(CONFIG)


def run(directory: str, *changes: str) -> Path:
    return start_run("small.yaml", changes, directory)


def same(first: Path, second: Path) -> bool:
    return equal_ledgers(first / "ledger.jsonl", second / "ledger.jsonl")


@pytest.mark.slow
def test_networks_and_seeds_are_added_to_what_was_trained(monkeypatch: pytest.MonkeyPatch):
    more = ["search.evaluations=7", "retrain.seeds=2", "retrain.top=2"]
    small, whole = run("small"), run("whole", *more)
    before = read_ledger(small / "ledger.jsonl").trials
    with monkeypatch.context() as broken:  # a crash after the ledger's line and before the config's
        broken.setattr(extending, "write_atomic", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            resume_run(small, changes=more)
    assert load_config(small / "config.yaml").search.evaluations == 5
    assert run_command(["search", "--resume", str(small)]) == 0
    assert same(small, whole)
    kept = [*read_ledger(small / "ledger.before-1.jsonl").trials, *read_ledger(small / "ledger.jsonl").trials[:4]]
    assert {trial.key for trial in before} <= {trial.key for trial in kept}
    resume_run(small, changes=more)  # asked again, it is only checked
    assert not (small / "ledger.before-2.jsonl").exists()


@pytest.mark.slow
def test_evolution_goes_on():
    fixed = ["search.strategy=regularized_evolution", "retrain.enabled=false"]
    small, whole = run("small", *fixed), run("whole", *fixed, "search.evaluations=11")
    resume_run(small, changes=["search.evaluations=11"])
    assert same(small, whole)
    assert run("small", *fixed, "search.evaluations=11") == small  # the larger run's own command goes on with it


@pytest.mark.slow
def test_what_makes_another_run_is_refused_and_changes_nothing():
    small = run("small", "search.strategy=cell_by_cell", "retrain.enabled=false")
    ledger = (small / "ledger.jsonl").read_bytes()
    for changes, told in (
        (["seed=1"], "another run"),
        (["search.evaluations=4"], "already"),
        (["search.evaluations=9"], "spreads its steps"),
        (["search.evaluations=many"], "search.evaluations"),
    ):
        with pytest.raises(BadInputError, match=told):
            resume_run(small, changes=changes)
    assert (small / "ledger.jsonl").read_bytes() == ledger


@pytest.mark.slow
def test_a_config_that_was_edited_is_refused_by_all_that_read_it(capsys: pytest.CaptureFixture[str]):
    small = run("small", "retrain.enabled=false")
    text = (small / "config.yaml").read_text()
    write_atomic(small / "config.yaml", text.replace("timesteps: 2", "timesteps: 3"))
    for command in (["status"], ["export"], ["search", "--resume"], ["estimate"]):
        assert run_command([*command, str(small)]) == 2, command
        assert "was changed after the run had started" in capsys.readouterr().err
    shutil.move(small, "elsewhere")  # a run may be moved
    write_atomic(Path("elsewhere", "config.yaml"), text)
    assert run_command(["status", "elsewhere"]) == 0
