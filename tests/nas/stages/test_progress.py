"""What the person who waits sees: something at least each minute, and every epoch wherever it is trained."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hasnas.nas.cli import run_command
from hasnas.nas.history.ledger import read_ledger
from hasnas.nas.scoring import SCORES, ScoreResult, ScoringTask
from hasnas.nas.scoring.counters import Depth
from hasnas.nas.stages import progress
from hasnas.nas.stages.progress import Console, StageBar, waiting
from hasnas.nas.stages.watch import EpochWatch, forget
from hasnas.nas.training.folders import EPOCHS_FILE
from hasnas.nas.training.retrain import note_epochs
from hasnas.search_spaces.space import Codes

YAML = """
name: b
dataset: {name: digits}
space: {name: snasnet, macro: {channels: 4, timesteps: 2, hidden: 0, votes: 1, dropout: 0.0}}
hardware: rram-32nm
screen: {enabled: false}
supernet: {enabled: false}
search: {enabled: false}
retrain: {top: 1, epochs: 400}
"""


def test_without_a_terminal_a_line_comes_while_nothing_is_counted(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(progress, "LINE_EVERY_S", 0.02)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with Console().bar("retrain", 75, "epoch") as bar:
        bar.update(3)
        bar.show({"loss": "0.4"})
        time.sleep(0.2)
    lines = sys.stderr.getvalue().splitlines()
    assert len(lines) >= 2
    assert set(lines) <= {"retrain: 0 of 75 epochs, 0 s", "retrain: 3 of 75 epochs, 0 s; loss 0.4"}


def test_what_cannot_be_counted_is_named_while_it_lasts(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(progress, "LINE_EVERY_S", 0.02)
    monkeypatch.setattr(progress, "FIRST_AFTER_S", 0.01)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with waiting("reading digits"):
        time.sleep(0.2)
    assert sys.stderr.getvalue().count("reading digits: 0 s\n") >= 2


def test_a_quiet_console_says_nothing(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(progress, "LINE_EVERY_S", 0.01)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    console = Console(quiet=True)
    with console.bar("search", 5, "net") as bar:
        bar.update(2)
        time.sleep(0.05)
    console.say("done")
    assert (sys.stderr.getvalue(), bar.n) == ("", 2)


def test_what_is_left_is_reckoned_from_what_this_start_has_done(monkeypatch: pytest.MonkeyPatch):
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    bar = StageBar("retrain", 100, "epoch", None)
    bar.begin_at(40)
    now[0] += 60
    bar.move_to(50)
    assert bar.line() == "retrain: 50 of 100 epochs, 1 min 0 s, about 5 min 0 s left"


def test_epochs_are_reported_once_and_in_order(tmp_path: Path):
    seen: list[tuple[int, int, dict[str, float]]] = []
    folders = [tmp_path / "a", tmp_path / "b"]
    watch = EpochWatch(folders, lambda index, epoch, metrics: seen.append((index, epoch, metrics)))
    watch.poll()
    notes = [note_epochs(folder) for folder in folders]
    notes[1](1, {"loss": 0.5})
    notes[0](1, {"loss": 0.4})
    watch.poll()
    notes[0](2, {"loss": 0.3})
    with (folders[1] / EPOCHS_FILE).open("a") as file:
        file.write('no record\n{"epoch": 2, "metr')
    watch.poll()
    watch.poll()
    assert seen == [(0, 1, {"loss": 0.4}), (1, 1, {"loss": 0.5}), (0, 2, {"loss": 0.3})]
    with (folders[1] / EPOCHS_FILE).open("a") as file:
        file.write('ics": {"loss": 0.2}}\n')
    with watch.watching():
        pass
    assert seen[-1] == (1, 2, {"loss": 0.2})
    forget(folders)
    assert not list(tmp_path.rglob(EPOCHS_FILE))


@pytest.mark.slow
def test_a_retraining_that_is_stopped_says_how_to_go_on(tmp_path: Path):
    (tmp_path / "b.yaml").write_text(YAML)
    # A shell starts its background jobs with interrupts ignored, and with them these tests and their children.
    heard = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    script = f"{heard}; from hasnas.nas.cli import main; main()"
    command = [sys.executable, "-c", script, "search", "b.yaml", "--run-dir", "r"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 600  # of a machine with much else to do
    while not (epochs := list(tmp_path.rglob(EPOCHS_FILE))) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=300)
    assert process.returncode == 130, told
    assert told.splitlines()[-1] == "hasnas: error: interrupted; go on with: hasnas search --resume r"
    assert "Traceback" not in told
    first = json.loads(epochs[0].read_text().splitlines()[0])
    assert first["epoch"] == 1
    assert 0 < first["metrics"]["merit"] <= 1
    assert (epochs[0].parent / "last.safetensors").exists()
    assert read_ledger(tmp_path / "r" / "ledger.jsonl").damage is None


class Ending(Depth):
    """Whoever asks for it is told to end."""

    def __call__(self, task: ScoringTask, codes: Codes) -> ScoreResult:
        os.kill(os.getpid(), signal.SIGTERM)
        return super().__call__(task, codes)


@pytest.mark.slow
def test_a_search_that_is_told_to_end_says_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(SCORES._loaded, "ending", Ending)
    Path("b.yaml").write_text(YAML)
    former = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        code = run_command(["search", "b.yaml", "search.enabled=true", "search.score=ending", "--run-dir", "r"])
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_IGN, "the command gives the handler back"
    finally:
        signal.signal(signal.SIGTERM, former)
    told = capsys.readouterr().err
    assert code == 130, told
    assert told.splitlines()[-1] == "hasnas: error: interrupted; go on with: hasnas search --resume r"
    ledger = read_ledger(tmp_path / "r" / "ledger.jsonl")
    assert (ledger.damage, ledger.trials) == (None, [])
