"""Optuna opens a run: genes by name, objectives with directions, what failed and what broke the budget."""

from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import StudyDirection
from optuna.trial import TrialState

from hasnas.nas.config.run import RunConfig
from hasnas.nas.history.quality import REGRESSION
from hasnas.nas.history.trial import Trial
from hasnas.nas.tracking import TrackedRun, create_tracker
from hasnas.search_spaces.space import Gene

GENES = (Gene("cell/0_3", ("conv3x3", "conv1x1", "identity", "avgpool3x3")),)
pytestmark = pytest.mark.slow


@pytest.fixture
def config(config: RunConfig) -> RunConfig:
    search = config.search.model_copy(update={"objectives": ("accuracy", "energy")})
    return config.model_copy(update={"tracking": ("optuna",), "search": search})


@pytest.fixture
def history(history: list[Trial]) -> list[Trial]:
    """As a run with objectives records it, the last candidate having failed."""
    told = [
        replace(trial, costs={**trial.costs, "accuracy": trial.metrics["validation_accuracy"]}) for trial in history
    ]
    told[3] = replace(told[3], state="failed", metrics={}, costs={}, message="MemoryError")
    return told


def load(directory: Path, name: str) -> optuna.Study:
    storage = JournalStorage(JournalFileBackend(str(directory / "optuna.journal")))
    return optuna.load_study(study_name=name, storage=storage)


def track(directory: Path, config: RunConfig, known: list[Trial], more: list[Trial]) -> None:
    tracker = create_tracker(TrackedRun(directory, config, known, genes=GENES))
    for trial in more:
        tracker.on_trial(trial)
    tracker.close()


def test_optuna_opens_a_run(tmp_path: Path, config: RunConfig, history: list[Trial]):
    track(tmp_path, config, [], history)
    study = load(tmp_path, "small")
    assert study.directions == [StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE]
    assert study.metric_names == ["accuracy", "energy"]
    states = [TrialState.COMPLETE, TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL]
    assert [trial.state for trial in study.trials] == states
    assert [trial.params for trial in study.trials] == [{"cell/0_3": name} for name in GENES[0].choices]
    assert study.trials[1].values == [0.7, 6e-7]
    assert {trial.number for trial in study.best_trials} == {0, 1}
    attributes = study.trials[2].user_attrs
    assert attributes["verdict"] == "breaks energy by 2x"
    assert attributes["energy (nJ)"] == pytest.approx(2000)
    assert max(study.trials[2].constraints.values()) == pytest.approx(1.0)
    assert max(study.trials[1].constraints.values()) <= 0
    assert study.trials[3].user_attrs["message"] == "MemoryError"
    (trained,) = load(tmp_path, "small, retrained").trials
    assert trained.user_attrs["network"] == f"retrained 1 {history[4].key[:8]}"
    assert trained.user_attrs["test_accuracy"] == 0.94


def test_trainings_are_judged_by_their_quality_whatever_ranked_the_candidates(
    tmp_path: Path, config: RunConfig, errors: list[Trial]
):
    scored = [replace(trial, metrics={"score/trainability": 2.0 + trial.id}) for trial in errors[:3]]
    search = config.search.model_copy(update={"score": "trainability", "objectives": ()})
    run = TrackedRun(tmp_path, config.model_copy(update={"search": search}), [*scored, errors[4]], REGRESSION)
    create_tracker(run).close()
    ranked, trained = load(tmp_path, "small"), load(tmp_path, "small, retrained")
    assert (ranked.metric_names, ranked.direction) == (["trainability"], StudyDirection.MAXIMIZE)
    assert [trial.values for trial in ranked.trials] == [[2.0], [3.0], None]
    assert (trained.metric_names, trained.direction) == (
        ["validation mean absolute error"],
        StudyDirection.MINIMIZE,
    )
    assert trained.trials[0].values == [0.95]


def test_a_resumed_run_holds_each_trial_once(tmp_path: Path, config: RunConfig, history: list[Trial]):
    track(tmp_path, config, [], history[:2])
    journal = tmp_path / "optuna.journal"
    before = journal.read_bytes()
    (tmp_path / "optuna.journal.lock").symlink_to("left by a process that was killed")
    track(tmp_path, config, history[:3], history[3:])  # the third is in the ledger only: the machine went down between
    assert journal.read_bytes().startswith(before)
    assert [trial.user_attrs["trial"] for trial in load(tmp_path, "small").trials] == [0, 1, 2, 3]
    whole = journal.read_bytes()
    track(tmp_path, config, history, [])
    assert journal.read_bytes() == whole


@pytest.mark.parametrize("damage", ["torn", "other trials", "nonsense"])
def test_a_journal_that_is_not_of_this_history_is_written_anew(
    tmp_path: Path, config: RunConfig, history: list[Trial], damage: str
):
    journal = tmp_path / "optuna.journal"
    if damage == "other trials":
        track(tmp_path, config, [], [history[1]])
    elif damage == "torn":
        track(tmp_path, config, [], history[:2])
        journal.write_bytes(journal.read_bytes()[:-9])
    else:
        journal.write_text("no journal\n")
    track(tmp_path, config, history[:3], history[3:])
    assert [trial.user_attrs["trial"] for trial in load(tmp_path, "small").trials] == [0, 1, 2, 3]
