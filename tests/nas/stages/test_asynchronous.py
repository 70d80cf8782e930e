"""Candidates proposed one by one and told as they are done: the ledger holds the order, and resuming repeats it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hasnas.conformance.strategy import Unwatched
from hasnas.errors import BadInputError
from hasnas.nas.config.loading import load_config
from hasnas.nas.config.plugins import STRATEGIES
from hasnas.nas.config.sections import SearchSection
from hasnas.nas.executors import Executor, Outcome, create_executor
from hasnas.nas.history.ledger import Ledger, equal_ledgers
from hasnas.nas.history.trial import Trial
from hasnas.nas.stages.context import RunContext
from hasnas.nas.stages.extending import extend
from hasnas.nas.stages.progress import Console
from hasnas.nas.stages.screen import run_screen
from hasnas.nas.stages.search import run_search

pytestmark = pytest.mark.slow

CONFIG = """
name: asynchronous
seed: 3
dataset: {name: digits, validation_share: 0.3}
space: {name: snasnet, nodes: 3, macro: {channels: 2, timesteps: 1, hidden: 0, votes: 1, final_pool: 4, dropout: 0.1}}
hardware: rram-32nm
budget: {parameters: 400}
search: {strategy: regularized_evolution, score: depth, asynchronous: true, evaluations: 20, population: 3, sample: 2}
retrain: {enabled: false}
"""


class Backwards(Executor):
    """So many at a time, of which the last to begin ends first, but for every third."""

    def __init__(self, workers: int) -> None:
        self.workers = workers

    def as_completed(self, function: Any, tasks: Any) -> Iterator[tuple[int, Outcome[Any]]]:
        source, running, ended = enumerate(tasks), list[tuple[int, Any]](), 0
        while True:
            while len(running) < self.workers and (taken := next(source, None)) is not None:
                running.append(taken)
            if not running:
                return
            number, task = running.pop(0 if ended % 3 == 2 else -1)
            ended += 1
            yield number, Outcome(function(task))

    def close(self) -> None: ...


def search(directory: Path, executor: Executor) -> list[Trial]:
    directory.mkdir(exist_ok=True)
    if not (directory / "config.yaml").exists():
        (directory / "config.yaml").write_text(CONFIG)
    config = load_config(directory / "config.yaml")
    with Ledger(directory / "ledger.jsonl") as ledger:
        trials = list(map(Trial.from_record, ledger.records.of_kind("trial")))
        context = RunContext(config, Console(), directory, ledger, executor, Unwatched(), trials)
        run_screen(context)
        run_search(context)
        return context.trials


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Trial]]:
    directory = tmp_path_factory.mktemp("asynchronous")
    return directory, search(directory, Backwards(4))


def test_the_ledger_holds_the_order_of_telling(run: tuple[Path, list[Trial]]):
    trials = run[1]
    assert [trial.id for trial in trials] == list(range(20))
    assert [trial.proposal for trial in trials][:4] == [3, 4, 0, 6]
    assert sorted(trial.proposal or 0 for trial in trials) == list(range(20))
    assert [trial.asked for trial in trials] == [*range(4, 20), 20, 20, 20, 20]
    assert len({trial.codes for trial in trials}) == 20


def test_a_stopped_search_is_replayed_exactly_and_goes_on(
    run: tuple[Path, list[Trial]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    lines = (run[0] / "ledger.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "config.yaml").write_text(CONFIG)
    told = [line for line in lines if '"kind":"trial"' in line]
    (tmp_path / "ledger.jsonl").write_text("".join(told[:11]))
    trials = search(tmp_path, create_executor(1))
    assert "not what this processor" not in capsys.readouterr().err, "evolution proposed again what it had proposed"
    assert trials[:11] == run[1][:11]
    assert sorted(trial.proposal or 0 for trial in trials) == list(range(20))
    assert len({trial.codes for trial in trials}) == 20
    flying = sorted(set(range(trials[10].asked or 0)) - {trial.proposal for trial in trials[:11]})
    assert [trial.proposal for trial in trials[11:14]] == flying, "what was evaluated when it stopped comes first"


def test_a_finished_search_is_left_as_it_is(run: tuple[Path, list[Trial]]):
    before = (run[0] / "ledger.jsonl").read_bytes()
    assert search(run[0], Backwards(2)) == run[1]
    assert (run[0] / "ledger.jsonl").read_bytes() == before


def test_more_evaluations_keep_all_that_were_told(run: tuple[Path, list[Trial]], tmp_path: Path):
    for name in ("config.yaml", "ledger.jsonl"):
        (tmp_path / name).write_bytes((run[0] / name).read_bytes())
    extend(tmp_path, ["search.evaluations=23"])
    trials = search(tmp_path, create_executor(1))
    assert trials[:20] == run[1]
    assert [trial.proposal for trial in trials[20:]] == [20, 21, 22]


def test_batches_are_as_before(tmp_path: Path):
    """A ledger of batches says nothing of telling, and does not depend on who ends first."""
    for name, executor in (("alone", create_executor(1)), ("backwards", Backwards(3))):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.yaml").write_text(CONFIG.replace("asynchronous: true", "batch: 4"))
        trials = search(tmp_path / name, executor)
        assert all("asked" not in trial.to_record() for trial in trials)
    assert equal_ledgers(tmp_path / "alone" / "ledger.jsonl", tmp_path / "backwards" / "ledger.jsonl")


def test_what_needs_batches_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(BadInputError, match=r"multi_fidelity compares the candidates of a batch"):
        SearchSection(asynchronous=True, multi_fidelity={"epochs": (1, 2)})
    monkeypatch.setattr(STRATEGIES.get("regularized_evolution"), "needs_batches", True, raising=False)
    with pytest.raises(BadInputError, match=r"'regularized_evolution' has to be told of a whole batch"):
        search(tmp_path, create_executor(1))
