"""The ledger keeps what was appended, notices what was not, and never builds on damage."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hasnas.errors import BadInputError, HasnasError, MachineFaultError
from hasnas.nas.history.ledger import Ledger, equal_ledgers, is_being_written, ledger_so_far, read_ledger
from hasnas.nas.history.records import checked, encode_line
from hasnas.nas.history.trial import Trial

RECORDS = [{"kind": "event", "event": "start", "time": 1.5}] + [
    Trial(number, "search", f"k{number}", (number,), {}, 7, "done", {"validation_accuracy": number / 7}).to_record()
    for number in range(5)
]
WHOLE = b"".join(encode_line(record) for record in RECORDS)
ON_TMP_PATH = settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.jsonl"
    with Ledger(path) as ledger:
        for record in RECORDS:
            ledger.append(record)
    return path


def aside(path: Path) -> list[Path]:
    return sorted(path.parent.glob("ledger.damaged-*.jsonl"))


def test_what_was_appended_is_read(path: Path):
    assert path.read_bytes() == WHOLE
    contents = read_ledger(path)
    assert (list(contents.records), contents.damage, contents.good_bytes) == (RECORDS, None, len(WHOLE))
    assert [trial.key for trial in contents.trials] == ["k0", "k1", "k2", "k3", "k4"]
    assert [event["event"] for event in contents.events] == ["start"]


def test_reopening_goes_on_where_it_stopped(path: Path):
    with Ledger(path) as ledger:
        assert list(ledger.records) == RECORDS
        assert ledger.damage is None
        ledger.append({"kind": "event", "event": "resume"})
    assert read_ledger(path).records[-1] == {"kind": "event", "event": "resume"}


@ON_TMP_PATH
@given(cut=st.integers(0, len(WHOLE) - 1))
def test_any_truncation_leaves_a_good_prefix(path: Path, cut: int):
    path.write_bytes(WHOLE[:cut])
    check_recovery(path, WHOLE[:cut])


@ON_TMP_PATH
@given(bit=st.integers(0, 8 * len(WHOLE) - 1))
def test_any_flipped_bit_leaves_the_records_before_it(path: Path, bit: int):
    damaged = bytearray(WHOLE)
    damaged[bit // 8] ^= 1 << bit % 8
    path.write_bytes(damaged)
    assert len(read_ledger(path).records) == WHOLE[: bit // 8].count(b"\n")
    assert read_ledger(path).damage
    check_recovery(path, bytes(damaged))


@ON_TMP_PATH
@given(tail=st.binary(min_size=1, max_size=80))
def test_any_garbage_after_the_records_is_set_aside(path: Path, tail: bytes):
    path.write_bytes(WHOLE + tail)
    check_recovery(path, WHOLE + tail)


def check_recovery(path: Path, content: bytes) -> None:
    """Opening keeps a good prefix, sets the rest aside, says so, and can be appended to."""
    for file in aside(path):
        file.unlink()
    expected = read_ledger(path)
    assert list(expected.records) == RECORDS[: len(expected.records)]
    with Ledger(path) as ledger:
        assert list(ledger.records) == list(expected.records)
        assert (ledger.damage is None) == (expected.good_bytes == len(content))
        ledger.append({"kind": "event", "event": "resume"})
    assert list(read_ledger(path).records) == [*expected.records, {"kind": "event", "event": "resume"}]
    assert b"".join(file.read_bytes() for file in aside(path)) == content[expected.good_bytes :]


def test_damage_is_told_in_one_line_and_kept_under_a_new_name_each_time(path: Path):
    for number in (1, 2):
        path.write_bytes(WHOLE[:-5])
        with Ledger(path) as ledger:
            assert ledger.damage is not None
            assert "line 6" in ledger.damage
            assert "5 records before it are good" in ledger.damage
            assert f"ledger.damaged-{number}.jsonl" in ledger.damage
            assert "\n" not in ledger.damage
    assert [file.name for file in aside(path)] == ["ledger.damaged-1.jsonl", "ledger.damaged-2.jsonl"]


@pytest.mark.slow
def test_a_second_writer_is_refused_in_one_line(path: Path):
    with Ledger(path):
        assert is_being_written(path)
        with pytest.raises(BadInputError, match="is being written by another process"):
            Ledger(path)
        script = "import sys; from hasnas.nas.history.ledger import Ledger; Ledger(sys.argv[1])"
        second = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=False)
        assert second.returncode
        assert "is being written by another process" in second.stderr
    assert not is_being_written(path)
    with Ledger(path):
        pass


def test_places_that_cannot_hold_a_ledger_are_refused(tmp_path: Path):
    with pytest.raises(BadInputError, match=r"cannot write to the ledger .*No such file"):
        Ledger(tmp_path / "absent" / "ledger.jsonl")
    with pytest.raises(BadInputError, match=r"cannot write to the ledger .*directory"):
        Ledger(tmp_path)
    with pytest.raises(BadInputError, match="cannot read the ledger"):
        read_ledger(tmp_path / "absent.jsonl")
    with pytest.raises(BadInputError, match=r"cannot read the ledger .*File name too long"):
        ledger_so_far(tmp_path / ("x" * 300))
    assert ledger_so_far(tmp_path / "absent.jsonl").trials == []
    assert not is_being_written(tmp_path / "absent.jsonl")


@pytest.mark.parametrize("record", [{"a": float("nan")}, {"a": float("inf")}, {"a": {1, 2}}])
def test_only_plain_data_is_appended(path: Path, record: dict):
    with Ledger(path) as ledger, pytest.raises(BadInputError, match="plain JSON data"):
        ledger.append(record)
    assert path.read_bytes() == WHOLE


LIMITED = """
import json, resource, signal, sys
from hasnas.errors import HasnasError
from hasnas.nas.history.ledger import Ledger
path, limit, record = sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
with Ledger(path) as ledger:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    for attempt in range(2):
        try:
            ledger.append(record)
        except HasnasError as error:
            print(error)
"""


@pytest.mark.parametrize("room", [0, 1, 40])
def test_a_full_disk_leaves_the_old_state_and_one_line(path: Path, room: int):
    """The kernel itself refuses to write beyond a limit, after part of the record."""
    arguments = [str(path), str(len(WHOLE) + room), '{"kind": "event", "event": "stage_begin", "stage": "search"}']
    done = subprocess.run([sys.executable, "-c", LIMITED, *arguments], capture_output=True, text=True, check=True)
    first, second = done.stdout.splitlines()
    assert "File too large; its 6 records are safe" in first
    assert "could not be written before" in second
    assert path.read_bytes() == WHOLE


@pytest.mark.parametrize("call", ["write", "fsync"])
@pytest.mark.parametrize("number", [1, 2, 3])
def test_the_nth_call_that_fails_leaves_the_records_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int
):
    path = tmp_path / "ledger.jsonl"
    ledger = Ledger(path)
    original, calls = getattr(os, call), []

    def failing(descriptor: int, *rest: bytes) -> int:
        calls.append(descriptor)
        if len(calls) == number:
            raise OSError(errno.ENOSPC, "No space left on device")
        return original(descriptor, *rest)

    monkeypatch.setattr(os, call, failing)
    for record in RECORDS[: number - 1]:
        ledger.append(record)
    with ledger, pytest.raises(HasnasError, match="No space left on device") as refused:
        ledger.append(RECORDS[number - 1])
    assert "\n" not in str(refused.value)
    assert path.read_bytes() == b"".join(encode_line(record) for record in RECORDS[: number - 1])


def test_an_interrupt_in_the_middle_of_a_write_leaves_no_half_record(path: Path, monkeypatch: pytest.MonkeyPatch):
    original = os.fsync

    def interrupted(descriptor: int) -> None:
        monkeypatch.setattr(os, "fsync", original)
        raise KeyboardInterrupt

    with Ledger(path) as ledger:
        monkeypatch.setattr(os, "fsync", interrupted)
        with pytest.raises(KeyboardInterrupt):
            ledger.append({"kind": "event", "event": "stage_end"})
        ledger.append({"kind": "event", "event": "interrupted"})
    assert list(read_ledger(path).records) == [*RECORDS, {"kind": "event", "event": "interrupted"}]


def test_equal_histories_are_equal_whatever_the_order_time_and_host(path: Path, tmp_path: Path):
    other = tmp_path / "other.jsonl"
    later = [{**record, "time": 99.0, "host": "elsewhere"} for record in reversed(RECORDS)]
    other.write_bytes(b"".join(encode_line(record) for record in later))
    assert equal_ledgers(path, other)
    changed = [{**record, "seed": 8} if record.get("id") == 2 else record for record in later]
    other.write_bytes(b"".join(encode_line(record) for record in changed))
    assert not equal_ledgers(path, other)
    other.write_bytes(b"".join(encode_line(record) for record in later[1:]))
    assert not equal_ledgers(path, other)
    other.write_bytes(WHOLE + b"x")
    assert not equal_ledgers(path, other)


def test_what_is_held_back_comes_with_the_next_record_or_not_at_all(tmp_path: Path):
    path = tmp_path / "ledger.jsonl"
    with Ledger(path) as ledger:
        ledger.append(RECORDS[0])
        mark = ledger.records.mark
        ledger.hold({"kind": "event", "event": "resume"})
    assert path.read_bytes() == encode_line(RECORDS[0])
    with Ledger(path) as ledger:
        assert ledger.records.mark == mark
        ledger.hold({"kind": "event", "event": "resume"})
        ledger.append(RECORDS[1])
        assert ledger.records.mark != mark
    assert list(read_ledger(path).records) == [RECORDS[0], {"kind": "event", "event": "resume"}, RECORDS[1]]


def test_lines_that_say_the_same_in_other_words_are_damage():
    line = encode_line({"kind": "event", "event": "start"})
    assert checked(line) == b'{"event":"start","kind":"event"}'
    assert checked(line.replace(b",", b", ")) is None
    assert checked(line[:-1]) is None
    assert checked(b"[1]\n") is None
    assert checked(b"{}\n") is None
    assert checked(b"[" * 100_000) is None


def test_a_disk_that_refuses_the_new_ledger_leaves_no_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def failing(descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", failing)
        with pytest.raises(MachineFaultError, match=r"cannot write .*ledger.jsonl: Input/output error"):
            Ledger(tmp_path / "ledger.jsonl")
    Ledger(tmp_path / "ledger.jsonl").close()
