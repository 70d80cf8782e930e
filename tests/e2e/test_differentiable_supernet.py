"""A run whose supernet learns which choices are good, under a penalty on energy."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hasnas.errors import BadInputError
from hasnas.nas.history.checkpoint import load_checkpoint
from hasnas.nas.history.layout import SUPERNET_FILE
from hasnas.nas.history.ledger import equal_ledgers, read_ledger
from hasnas.nas.run import resume_run, start_run
from hasnas.nas.stages.forecast import dry_run
from hasnas.nas.tracking.event_file import read_scalars

pytestmark = pytest.mark.slow

PENALISED = ["supernet.strategy=darts", "supernet.penalty={cost: energy_j, weight: 0.3}", "supernet.epochs=3"]
SHORT = ["search.evaluations=4", "retrain.top=1", "retrain.epochs=1"]


@pytest.fixture(scope="module")
def learned(viewed_config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An undisturbed run."""
    directory = tmp_path_factory.mktemp("learned") / "run"
    return start_run(viewed_config, [*PENALISED, *SHORT], run_directory=directory)


def test_what_was_learned_is_kept_and_searched_first(learned: Path) -> None:
    contents = read_ledger(learned / "ledger.jsonl")
    (event,) = (item for item in contents.records if item.get("event") == "architecture")
    found = event["details"]
    assert load_checkpoint(learned / SUPERNET_FILE)[1]["architecture"] == found
    assert found["costs"]["parameters"] <= 1900
    assert all(sum(row.values()) == pytest.approx(1) for row in found["probabilities"].values())
    assert found["penalty"]["cost"] == "energy_j"
    assert 0.5 < found["penalty"]["r_squared"] <= 1
    searched = [trial for trial in contents.trials if trial.stage == "search"]
    assert list(searched[0].codes) == found["codes"]
    assert len({trial.codes for trial in searched}) == 4


def test_the_probabilities_are_shown_over_time(learned: Path) -> None:
    points = read_scalars(learned / "tensorboard" / "supernet")
    for tag in ("training/loss", "training/probability/cell/0_3/conv1x1", "training/expected/energy_j"):
        assert [step for name, step, *_ in points if name == tag] == [1, 2, 3], tag


def test_a_run_killed_in_the_supernet_goes_on_to_the_same_history(
    tiny_config: Path, learned: Path, tmp_path: Path
) -> None:
    directory = tmp_path / "killed"
    command = [sys.executable, "-m", "hasnas", "search", str(tiny_config), *PENALISED, *SHORT]
    process = subprocess.Popen(
        [*command, "--run-dir", str(directory)], stderr=subprocess.PIPE, start_new_session=True
    )  # fmt: skip
    state, end = directory / "checkpoints" / "supernet.safetensors", time.monotonic() + 300
    while not state.exists() and process.poll() is None and time.monotonic() < end:
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    _, errors = process.communicate()
    assert process.returncode == -signal.SIGKILL, errors.decode()
    assert not (directory / SUPERNET_FILE).exists()
    resume_run(directory)
    assert equal_ledgers(learned / "ledger.jsonl", directory / "ledger.jsonl")
    first, second = (load_checkpoint(run / SUPERNET_FILE) for run in (learned, directory))
    assert first[1] == second[1]
    assert all(bool((first[0][name] == second[0][name]).all()) for name in first[0])


@pytest.mark.parametrize(
    "overrides, message",
    [
        (["space.feedback=true"], "mixes forward edges only"),
        (["space.name=autosnn", "space.macro.final_pool=2"], "need one gene for each edge"),
        (["supernet.strategy=random_one_shot"], "no choices that a penalty could act on"),
        (["supernet.penalty={weight: -1}"], "supernet.penalty.weight"),
        (["supernet.penalty={cost: training_time, weight: 1}"], "supernet.penalty.cost .* only known once a network"),
        (["supernet.strategy=dart"], "did you mean 'darts'"),
    ],
)
def test_what_cannot_be_mixed_is_refused_before_anything_runs(
    tiny_config: Path, overrides: list[str], message: str
) -> None:
    with pytest.raises(BadInputError, match=message):
        dry_run(tiny_config, [*PENALISED, *overrides])
