"""Runs that were stopped or damaged: every command that reads one says so in a line, and shows what is there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hasnas.nas.cli import run_command
from hasnas.nas.history.records import encode_line


@pytest.fixture
def damaged(run: Path) -> Path:
    """The run with a flipped bit in the record of its third trial."""
    ledger = run / "ledger.jsonl"
    lines = ledger.read_bytes().splitlines(keepends=True)
    lines[3] = lines[3].replace(b'"seed":3', b'"seed":2')
    ledger.write_bytes(b"".join(lines))
    return run


def test_a_damaged_ledger_is_told_and_what_is_before_it_is_shown(
    damaged: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(["status", str(damaged)]) == 0
    assert "damage: " in capsys.readouterr().out
    assert run_command(["show", str(damaged), "1"]) == 0
    assert "trial 1, search: done" in capsys.readouterr().out
    assert run_command(["show", str(damaged), "3"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "has no trial '3'; its trials are 0 to 1" in line
    assert "damaged" in line
    assert run_command(["compare", str(damaged), "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["runs"]
    assert found["candidates"] == 2
    assert "line 4" in found["damage"]
    assert run_command(["compare", str(damaged)]) == 0
    assert "DAMAGE" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["status", "show", "compare", "export", "merge", "report", "estimate"])
@pytest.mark.parametrize("ledger", [None, b""])
def test_a_run_that_was_stopped_before_its_first_record_is_no_riddle(
    run: Path, ledger: bytes | None, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (run / "ledger.jsonl").unlink()
    if ledger is not None:
        (run / "ledger.jsonl").write_bytes(ledger)
    code = run_command([command, str(run), *(["0"] if command == "show" else [])])
    told = capsys.readouterr()
    if command == "status" or (command == "report" and ledger is not None):
        assert code == 0
    else:
        assert code == 2
        (line,) = told.err.splitlines()
        assert str(run) in line
        assert "objectives" not in line


def rewritten(run: Path, kind: str = "trial", **changes: object) -> None:
    """Every record of a kind in the run's ledger changed, with a checksum that agrees."""
    ledger = run / "ledger.jsonl"
    records = [json.loads(line)["record"] for line in ledger.read_bytes().splitlines()]
    changed = [{**record, **changes} if record["kind"] == kind else record for record in records]
    ledger.write_bytes(b"".join(map(encode_line, changed)))


@pytest.mark.parametrize("changes", [{"metrics": [1]}, {"costs": {"energy_j": "x"}}])
@pytest.mark.parametrize("command", ["status", "report"])
def test_trials_of_another_form_are_one_line(
    run: Path, command: str, changes: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    rewritten(run, **changes)
    assert run_command([command, str(run)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "a trial record is of another version" in line


@pytest.mark.parametrize("changes", [{"details": ["identity"]}, {"details": {"contents": [1]}}, {"time": "noon"}])
@pytest.mark.parametrize("command", ["status", "show", "search"])
def test_events_of_another_form_are_one_line(
    run: Path, command: str, changes: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    rewritten(run, "event", **changes)
    words = {"status": [str(run)], "show": [str(run), "0"], "search": ["--resume", str(run)]}[command]
    assert run_command([command, *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "an event record is of another version" in line


@pytest.mark.parametrize("command", ["compare", "merge"])
def test_candidates_of_which_nothing_was_measured_are_told(
    run: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    rewritten(run, metrics={})
    assert run_command([command, str(run)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "none of which anything was measured; leave it out" in line


def test_a_clock_that_was_set_back_gives_no_negative_times(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rewritten(run, time=1.0)
    ends = [{"kind": "event", "event": f"stage_{end}", "stage": "search", "time": time}
            for end, time in (("begin", 100.0), ("end", 50.0))]  # fmt: skip
    with (run / "ledger.jsonl").open("ab") as ledger:
        ledger.writelines(map(encode_line, ends))
    assert run_command(["status", str(run), "--json"]) == 0
    (search,) = (one for one in json.loads(capsys.readouterr().out)["stages"] if one["stage"] == "search")
    assert search["state"] == "done"
    assert search["seconds"] >= 0
    assert run_command(["show", str(run), "1"]) == 0
    assert "after the run began" not in capsys.readouterr().out


@pytest.mark.parametrize("command", ["status", "show", "compare", "export"])
def test_a_ledger_that_holds_nothing_sound_is_no_traceback(
    run: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (run / "ledger.jsonl").write_bytes(b"\x00\xff not a ledger\n" * 3)
    code = run_command([command, str(run), *(["0"] if command == "show" else [])])
    told = capsys.readouterr()
    if command == "status":
        assert code == 0
        assert "damage: " in told.out
    else:
        assert code == 2
        assert len(told.err.splitlines()) == 1


def test_an_unfinished_run_cannot_be_exported(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ledger = run / "ledger.jsonl"
    ledger.write_bytes(b"".join(ledger.read_bytes().splitlines(keepends=True)[:-1]))  # without the retrained network
    assert run_command(["export", str(run), "--to", "nir"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{run} has returned no network yet; go on: hasnas search --resume" in line
    assert not (run / "export").exists()
