"""A disk that fills up in the middle of a run: one line, and the same command ends it well once there is room.

`experiments/faults/disk.py` tries every write, fsync and rename.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from hasnas.nas.cli import run_command
from hasnas.nas.history.ledger import equal_ledgers

CONFIG = """
name: tiny
dataset: {name: digits, subset: {train: 40, test: 10}}
space: {name: snasnet, macro: {channels: 2, timesteps: 2, hidden: 0, votes: 1, final_pool: 4, dropout: 0.0}}
hardware: rram-32nm
screen: {sample: 64}
supernet: {enabled: false}
search: {strategy: random, evaluations: 1, brief_epochs: 1}
retrain: {top: 1, epochs: 1, batch_size: 32}
"""


@pytest.mark.slow
def test_a_full_disk_stops_a_run_and_spoils_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("matplotlib.figure.Figure.draw", lambda *_: None)  # pictures would take most of the time
    Path("tiny.yaml").write_text(CONFIG)
    original, calls = os.replace, 0

    def search(directory: str, full_from: int) -> int:
        nonlocal calls
        calls = 0

        def replace(source: str, target: str) -> None:
            nonlocal calls
            calls += 1
            if calls >= full_from:
                raise OSError(errno.ENOSPC, "No space left on device")
            original(source, target)

        monkeypatch.setattr(os, "replace", replace)
        code = run_command(["search", "tiny.yaml", "--run-dir", directory])
        monkeypatch.setattr(os, "replace", original)
        return code

    assert search("undisturbed", 1000) == 0
    total = calls
    assert total > 6
    capsys.readouterr()
    directory = "full"
    assert search(directory, total // 2) == 1
    assert "No space left on device" in capsys.readouterr().err.splitlines()[-1]
    assert search(directory, 1000) == 0
    assert equal_ledgers("undisturbed/ledger.jsonl", f"{directory}/ledger.jsonl")
    assert not list(Path(directory).rglob("*.tmp"))
    for file in Path("undisturbed", "export").rglob("*.*"):
        assert Path(directory, *file.parts[1:]).read_bytes() == file.read_bytes()
