"""Ledgers of every released version are read, and gone on with, by this one."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import hasnas
from hasnas.errors import BadInputError
from hasnas.nas.history import formats
from hasnas.nas.history.ledger import Ledger, read_ledger
from hasnas.nas.history.records import checked, encode_line
from hasnas.nas.history.trial import Trial
from hasnas.nas.run import resume_run

GOLDEN = Path(__file__).parents[2] / "golden"
RELEASES = sorted(path.name for path in (GOLDEN / "runs").iterdir())


def read_in(directory: Path) -> dict[str, Any]:
    spec = importlib.util.spec_from_file_location("make_runs", GOLDEN / "make_runs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: dict[str, Any] = module.read_in(directory)
    return found


def test_this_version_has_golden_runs():
    assert hasnas.__version__ in RELEASES, "python tests/golden/make_runs.py"


@pytest.mark.parametrize("version", RELEASES)
@pytest.mark.parametrize("name", ["scored", "trained"])
def test_runs_of_every_release_are_read(version: str, name: str):
    directory = GOLDEN / "runs" / version / name
    expected = json.loads((directory / "expected.json").read_text())
    assert json.loads(json.dumps(read_in(directory))) == expected
    assert expected["trials"]
    assert bool(expected["rungs"]) == (name == "trained")


@pytest.mark.slow
@pytest.mark.parametrize("version", RELEASES)
@pytest.mark.parametrize("elsewhere", [False, True], ids=["here", "elsewhere"])
def test_runs_of_every_release_are_gone_on_with(
    version: str, elsewhere: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    """Also where its first candidate was never proposed, as on a processor that rounds otherwise."""
    monkeypatch.setattr("matplotlib.figure.Figure.draw", lambda *_: None)  # pictures would take most of the time
    shutil.copytree(GOLDEN / "runs" / version / "scored", tmp_path / "run")
    path = tmp_path / "run" / "ledger.jsonl"
    if elsewhere:
        lines = path.read_bytes().splitlines(keepends=True)
        first = next(place for place, line in enumerate(lines) if b'"kind":"trial"' in line)
        kept = [json.loads(checked(line)) | {"id": number} for number, line in enumerate(lines[first + 1 :])]
        path.write_bytes(b"".join([*lines[:first], *map(encode_line, kept)]))
    before = read_ledger(path).trials
    finished = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    left = [path.with_name(f".half.bin.{process}.tmp") for process in (int(finished.stdout), os.getpid())]
    for file in left:
        file.write_text("half")
    resume_run(tmp_path / "run")
    assert [file.exists() for file in left] == [False, True], "what a killed process left is removed"
    said = capfd.readouterr().err
    assert ("search: trial 3 of the ledger, made on 'golden', is not what this" in said) == elsewhere
    after = read_ledger(path).trials
    assert after[: len(before)] == before
    assert len({trial.key for trial in after}) == len(after) == 8
    assert all(trial.state == "done" for trial in after)


def renamed(record: dict[str, Any]) -> dict[str, Any]:
    """A step from a format that called the stage of a trial its phase."""
    if "phase" in record:
        record["stage"] = record.pop("phase")
    return record


def test_records_of_an_older_format_are_brought_up_and_those_after_them_are_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    trial = Trial(0, "search", "k", (1,), {}, 7, "done").to_record()
    older = {name: value for name, value in trial.items() if name != "stage"} | {"phase": "search"}
    path = tmp_path / "ledger.jsonl"
    begins = {"kind": "event", "event": "start", "details": {}}
    with Ledger(path) as ledger:
        ledger.append({**begins, "details": formats.written_now()})
        ledger.append(older)
    monkeypatch.setattr(formats, "FORMAT", 2)
    monkeypatch.setitem(formats.STEPS, 1, renamed)
    with Ledger(path) as ledger:
        ledger.append({**begins, "event": "resume", "details": formats.written_now()})
        ledger.append({**trial, "id": 1, "message": '"format":9'})
        assert [record["kind"] for record in ledger.records] == ["event", "trial"] * 2
    assert [one.stage for one in read_ledger(path).trials] == ["search"] * 2
    with Ledger(path) as ledger:
        ledger.cut(2)
        assert ledger.records[1]["stage"] == "search"
        ledger.append(older)  # in format 1 again, as far as anybody knows
        assert ledger.records[2]["stage"] == "search"


def test_a_ledger_of_a_later_version_is_refused_in_one_line(tmp_path: Path):
    path = tmp_path / "ledger.jsonl"
    with Ledger(path) as ledger:
        told = {"kind": "event", "event": "start", "details": {"format": formats.FORMAT + 1, "hasnas": "9.9"}}
        with pytest.raises(BadInputError, match=r"later version of hasnas \(format 2, .* up to 1\); install"):
            ledger.append(told)
    with pytest.raises(BadInputError, match="later version of hasnas"):
        read_ledger(path)
