"""Returned networks beside plain chains and random candidates that were trained alike."""

from __future__ import annotations

from pathlib import Path

import pytest

from hasnas.nas.history.ledger import equal_ledgers, read_ledger
from hasnas.nas.history.trial import Trial
from hasnas.nas.run import resume_run, start_run
from hasnas.nas.tracking.event_file import read_scalars
from hasnas.nas.tracking.status import run_status
from hasnas.nas.tracking.status_text import describe_status
from hasnas.search_spaces.architecture import Architecture
from hasnas.search_spaces.chains import CONVOLUTION

pytestmark = pytest.mark.slow
QUICK = ["search.strategy=random", "search.evaluations=2", "search.score=depth", "retrain.top=1", "retrain.epochs=1",
         "export.enabled=false", "retrain.baselines=[chain, random]"]  # fmt: skip


def trained(directory: Path) -> dict[str, Trial]:
    return {trial.stage: trial for trial in read_ledger(directory / "ledger.jsonl").trials if trial.stage != "search"}


@pytest.fixture(scope="module")
def run(viewed_config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose networks are chosen by a score."""
    return start_run(viewed_config, QUICK, run_directory=tmp_path_factory.mktemp("baselines") / "run")


def test_a_chain_and_a_random_candidate_are_trained_as_the_returned_network_is(run: Path) -> None:
    found = trained(run)
    assert list(found) == ["retrain", "baseline chain", "baseline random"]
    assert {trial.seed for trial in found.values()} == {3}
    chain = Architecture.from_json(found["baseline chain"].architecture)
    assert {edge.operation for cell in chain.genotypes for edge in cell.edges} <= {CONVOLUTION, "identity"}
    assert all(edge.source < edge.target for cell in chain.genotypes for edge in cell.edges)
    assert chain.macro == Architecture.from_json(found["retrain"].architecture).macro
    for trial in found.values():
        assert trial.costs["parameters"] <= 1900
        assert trial.metrics["test_accuracy"] > 0.05
        assert trial.metrics["firing_rate"] > 0


def test_views_say_what_the_baselines_reached(run: Path) -> None:
    status, found = run_status(run), trained(run)
    assert [network["key"] for network in status["returned"]] == [found["retrain"].key]
    for told in status["baselines"]:
        trial, answer = found[f"baseline {told['baseline']}"], found["retrain"]
        assert (told["key"], told["tried"]) == (trial.key, 1)
        ahead = answer.metrics["test_accuracy"] - trial.metrics["test_accuracy"]
        assert told["ahead"] == pytest.approx(ahead, abs=1e-12)
        tag = f"result/{told['baseline']}, test accuracy"
        curve = [value for name, _, value, _ in read_scalars(run / "tensorboard" / "result") if name == tag]
        assert curve[-1] == pytest.approx(trial.metrics["test_accuracy"], rel=1e-6)
        for text in (describe_status(status), (run / "report.html").read_text()):
            assert f"{trial.metrics['test_accuracy']:.2%}" in text
            assert f"{told['baseline']} (best of 1" in text


def test_a_run_stopped_between_baselines_goes_on_to_the_same_history(run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    copy.mkdir()
    for name in ("config.yaml", "screen.npz"):
        (copy / name).write_bytes((run / name).read_bytes())
    lines = (run / "ledger.jsonl").read_bytes().splitlines(keepends=True)
    cut = next(number for number, line in enumerate(lines) if b'"stage":"baseline chain"' in line)
    (copy / "ledger.jsonl").write_bytes(b"".join(lines[:cut]))
    resume_run(copy, changes=["tracking=[]"])
    assert equal_ledgers(run / "ledger.jsonl", copy / "ledger.jsonl")
