"""Successive halving in a run: every rung in the ledger, the same for any number of workers and after any stop."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from hasnas.conformance.strategy import Unwatched
from hasnas.errors import BadInputError, HasnasError
from hasnas.nas.config.loading import config_from_tree, load_config
from hasnas.nas.executors import Executor, create_executor
from hasnas.nas.history.goal import merit
from hasnas.nas.history.ledger import Ledger, equal_ledgers, read_ledger
from hasnas.nas.history.trial import Trial
from hasnas.nas.stages.context import RunContext
from hasnas.nas.stages.progress import Console
from hasnas.nas.stages.screen import run_screen
from hasnas.nas.stages.search import run_search

CONFIG = """
name: halving
seed: 5
dataset: {name: digits, validation_share: 0.3}
space:
  name: snasnet
  nodes: 3
  feedback: false
  macro: {channels: 2, timesteps: 2, hidden: 0, votes: 1, final_pool: 4}
hardware: rram-32nm
supernet: {enabled: false}
search:
  strategy: random
  evaluations: 6
  batch: 6
  multi_fidelity: {epochs: [1, 2, 3], data: [0.25, 0.5, 1], timesteps: [0.5, 1, 1], keep: 0.5}
retrain: {enabled: false, batch_size: 64}
"""


def run(directory: Path, executor: Executor, changes: list[str] | None = None) -> Path:
    """Screen and search; a ledger that is there already is gone on with."""
    directory.mkdir(exist_ok=True)
    (directory / "config.yaml").write_text(CONFIG)
    config = load_config(directory / "config.yaml", changes or [])
    with Ledger(directory / "ledger.jsonl") as ledger:
        trials = [Trial.from_record(record) for record in ledger.records if record.get("kind") == "trial"]
        context = RunContext(config, Console(), directory, ledger, executor, Unwatched(), trials)
        run_screen(context)
        run_search(context)
    return directory / "ledger.jsonl"


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ledger of a run in one process."""
    return run(tmp_path_factory.mktemp("alone"), create_executor(1))


@pytest.mark.slow
def test_the_best_of_each_rung_go_on(alone: Path) -> None:
    contents = read_ledger(alone)
    rungs = [[rung for rung in contents.rungs if rung.rung == number] for number in range(3)]
    assert [len(members) for members in rungs] == [6, 3, 2]
    for below, above in itertools.pairwise(rungs):
        best = sorted(below, key=lambda rung: (-merit(rung.metrics), rung.trial))[: len(above)]
        assert sorted(rung.trial for rung in best) == [rung.trial for rung in above]
    assert [(members[0].epochs, members[0].data, members[0].timesteps) for members in rungs] == [
        (1, 0.25, 0.5),
        (2, 0.5, 1.0),
        (3, 1.0, 1.0),
    ]
    assert all(rung.state == "done" and rung.costs["energy_j"] > 0 for rung in contents.rungs)


@pytest.mark.slow
def test_each_candidate_is_told_by_its_last_rung(alone: Path) -> None:
    contents = read_ledger(alone)
    last = {rung.trial: rung for rung in contents.rungs}
    assert [trial.id for trial in contents.trials] == list(range(6))
    for trial in contents.trials:
        assert trial.metrics == {**last[trial.id].metrics, "rung": last[trial.id].rung, "epochs": last[trial.id].epochs}
        assert trial.costs["energy_j"] > last[trial.id].costs["energy_j"], "priced with every input spiking"


@pytest.mark.slow
def test_neither_workers_nor_interruptions_change_the_ledger(alone: Path, tmp_path: Path) -> None:
    executor = create_executor(2)
    assert equal_ledgers(alone, run(tmp_path / "together", executor))
    executor.close()
    lines = alone.read_text().splitlines(keepends=True)
    rungs = [number for number, line in enumerate(lines) if '"kind":"rung"' in line]
    trials = [number for number, line in enumerate(lines) if '"kind":"trial"' in line]
    for name, cut in (("second rung", rungs[7]), ("trials", trials[3])):
        (tmp_path / name).mkdir()
        (tmp_path / name / "ledger.jsonl").write_text("".join(lines[:cut]))
        assert equal_ledgers(alone, run(tmp_path / name, create_executor(1))), name


@pytest.mark.slow
def test_a_silent_network_is_given_up_in_its_first_epoch(tmp_path: Path) -> None:
    with pytest.raises(HasnasError, match="all 2 candidates of the search failed; the first: nothing reaches"):
        run(tmp_path, create_executor(1), ["space.macro.threshold=1e6", "search.evaluations=2"])
    contents = read_ledger(tmp_path / "ledger.jsonl")
    assert [rung.rung for rung in contents.rungs] == [0, 0]
    for trial in contents.trials:
        assert trial.state == "failed"
        assert "nothing reaches its output any more" in trial.message
        assert trial.metrics["firing_rate"] == 0


@pytest.mark.slow
def test_what_breaks_the_budget_by_its_measured_spikes_is_dropped(alone: Path, tmp_path: Path) -> None:
    """Prices are too low where the screen assumes that next to nothing spikes."""
    energies = sorted(rung.costs["energy_j"] for rung in read_ledger(alone).rungs if rung.rung == 0)
    limit = f"budget={{energy: {np.mean(energies[2:4]):.6g} J}}"
    cheap = ["screen.activity=assumed", "screen.rate=0.0001", limit]
    contents = read_ledger(run(tmp_path, create_executor(1), cheap))
    first = [rung for rung in contents.rungs if rung.rung == 0]
    dropped = {rung.trial for rung in first if rung.state == "infeasible"}
    assert 0 < len(dropped) < 6
    assert all((rung.state == "infeasible") == (rung.costs["energy_j"] > np.mean(energies[2:4])) for rung in first)
    assert not dropped & {rung.trial for rung in contents.rungs if rung.rung > 0}
    last = {rung.trial: rung for rung in contents.rungs}  # spikes may grow too many at a later rung
    for trial in contents.trials:
        assert trial.state == last[trial.id].state
        assert bool(trial.verdict) == (trial.state == "infeasible")


JOINT = [
    "hardware={preset: rram-32nm, searched: {crossbar.size: [64, 256], device.cell_bits: [1, 4]}}",
    "retrain.searched={learning_rate: [0.001, 0.03]}",
    "search.strategy=q_learning",
    "search.evaluations=4",
    "search.batch=2",
    "screen.sample=50",
]


@pytest.mark.slow
def test_candidates_of_a_joint_space_climb_with_their_own_chip_and_training(tmp_path: Path) -> None:
    whole = run(tmp_path / "whole", create_executor(1), JOINT)
    contents = read_ledger(whole)
    assert len({trial.training["learning_rate"] for trial in contents.trials}) == 2
    assert all(trial.state == "done" for trial in contents.trials)
    for trial in contents.trials:
        rungs = [rung for rung in contents.rungs if rung.trial == trial.id]
        assert rungs[0].costs["energy_j"] < trial.costs["energy_j"]
        assert all(rung.costs["area_m2"] == pytest.approx(trial.costs["area_m2"]) for rung in rungs), "its own chip"
    lines = whole.read_text().splitlines(keepends=True)
    cut = [number for number, line in enumerate(lines) if '"kind":"trial"' in line][3]
    (tmp_path / "stopped").mkdir()
    (tmp_path / "stopped" / "ledger.jsonl").write_text("".join(lines[:cut]))
    assert equal_ledgers(whole, run(tmp_path / "stopped", create_executor(1), JOINT))


@pytest.mark.parametrize(
    ("search", "said"),
    [
        ({"multi_fidelity": {"epochs": [1, 2]}}, "search.multi_fidelity trains candidates by themselves"),
        ({"multi_fidelity": {"epochs": [1, 2]}, "score": "depth"}, "score ranks candidates without training them"),
        ({"multi_fidelity": {"epoch": [1, 2]}}, "did you mean 'epochs'"),
    ],
)
def test_rungs_where_nothing_is_trained_are_refused(search: dict, said: str) -> None:
    tree = {"name": "a", "dataset": {"name": "digits"}, "hardware": "rram-32nm", "search": search}
    with pytest.raises(BadInputError, match=said):
        config_from_tree(tree, "a.yaml")
