"""The ledger: the append-only history of a run, one checked line for each record. Everything else is a view of it."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from hasnas.errors import BadInputError, HasnasError, MachineFaultError
from hasnas.files import sync_directory, unwritable, write_atomic

from .records import OfKind, Record, StoredRecords, canonical, checked, encode_line, read_event
from .rung import RUNG, RungRecord
from .trial import VOLATILE_FIELDS, Trial

if sys.platform != "win32":
    import fcntl

_LOCK_ATTEMPTS, _LOCK_PAUSE_S = 5, 0.05


@dataclass(frozen=True)
class LedgerContents:
    """What a ledger holds.

    Args:
        records: every record up to the first damaged line, decoded when it is looked at.
        good_bytes: length of the lines that hold them.
        damage: one line about what follows them, or `None` if nothing does.
    """

    records: StoredRecords
    good_bytes: int
    damage: str | None = None

    @property
    def trials(self) -> list[Trial]:
        """The trial records, in the order they were written."""
        return list(self.stored_trials)

    @property
    def stored_trials(self) -> Sequence[Trial]:
        """The same, each made anew whenever it is looked at: for one pass over very many."""
        return OfKind(self.records, "trial", Trial.from_record)

    @property
    def rungs(self) -> list[RungRecord]:
        """How candidates stood at each rung, in the order they were written."""
        return list(map(RungRecord.from_record, self.records.of_kind(RUNG)))

    @property
    def events(self) -> list[Record]:
        """The event records, in the order they were written.

        Raises:
            BadInputError: if one is of another form.
        """
        return [read_event(record) for record in self.records.of_kind("event")]


def read_ledger(path: Path | str) -> LedgerContents:
    """The records of a ledger up to the first damaged line, each line checked.

    Raises:
        BadInputError: if the file cannot be read.
    """
    records = StoredRecords(Path(path))
    try:
        with open(path, "rb") as file:
            for line in file:
                if checked(line) is None:
                    what = "is damaged" if line.endswith(b"\n") else "was not written completely"
                    good = len(records)
                    damage = f"line {good + 1} of the ledger {path} {what}; the {good} records before it are good"
                    return LedgerContents(records, records.size, damage)
                records.add(line)
    except OSError as error:
        raise BadInputError(f"cannot read the ledger {path}: {error.strerror or error}; check the path") from error
    return LedgerContents(records, records.size)


def ledger_so_far(path: Path) -> LedgerContents:
    """What `read_ledger` finds; nothing of a run that has not begun, and has no ledger yet."""
    try:
        there = path.exists()
    except OSError as error:  # a folder that may not be entered, a name that is too long
        raise BadInputError(f"cannot read the ledger {path}: {error.strerror or error}; check the path") from error
    return read_ledger(path) if there else LedgerContents(StoredRecords(path), 0)


class Ledger:
    """A ledger open for writing, by one process at a time.

    A damaged tail (a torn last line after a crash, a flipped bit) is set aside as `<name>.damaged-N.jsonl` and cut off,
    and `damage` says so. Each record is on disk when `append` returns.

    Args:
        path: the file; made if absent, its directory must exist.

    Raises:
        BadInputError: if it cannot be opened or another process is writing to it.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "ledger.jsonl")
    >>> with Ledger(path) as ledger:
    ...     ledger.append({"kind": "event", "event": "start"})
    >>> list(read_ledger(path).records)
    [{'event': 'start', 'kind': 'event'}]
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._file = _open_locked(self.path)
        self._broken = False
        self._held: list[Mapping[str, Any]] = []
        try:
            contents = read_ledger(self.path)
            self.records = contents.records
            self.damage = contents.damage and self._set_aside(contents)
        except BaseException:
            self.close()
            raise

    def append(self, record: Mapping[str, Any]) -> None:
        """Write what was held back and a record, and wait until they are on disk.

        Raises:
            BadInputError: if the record is not plain JSON data.
            MachineFaultError: if the disk refuses; the records before it stay, and nothing more can be appended.
        """
        held, self._held = self._held, []
        for earlier in [*held, record]:
            self._append(earlier)

    def hold(self, record: Mapping[str, Any]) -> None:
        """Hold a record back until another is appended, and forget it if none is."""
        self._held.append(record)

    def _append(self, record: Mapping[str, Any]) -> None:
        if self._broken:
            raise HasnasError(f"the ledger {self.path} could not be written before; resume the run to go on")
        line = encode_line(record)
        start = os.fstat(self._file).st_size
        try:
            _write_all(self._file, line)
            os.fsync(self._file)
        except OSError as error:
            self._broken = True
            self._cut(start)
            raise MachineFaultError(
                f"cannot write to the ledger {self.path}: {error.strerror or error}; "
                f"its {len(self.records)} records are safe, make room and resume the run"
            ) from error
        except BaseException:  # an interrupt: leave no half record for the ones that may follow
            self._cut(start)
            raise
        self.records.add(line)

    def cut(self, count: int) -> None:
        """Keep the first `count` records; the others are set aside as `<name>.before-N.jsonl`.

        Raises:
            MachineFaultError: if the disk refuses.
        """
        if count < len(self.records):
            self._move_tail(self.records.end(count), "before")
            self.records.cut(count)

    def close(self) -> None:
        """Let go of the file and its lock; closing twice is harmless."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _cut(self, size: int) -> None:
        """Back to `size` bytes; where the disk refuses even that, the next reader finds a torn line and cuts it off."""
        try:
            os.ftruncate(self._file, size)
            os.fsync(self._file)
        except OSError:
            self._broken = True

    def _set_aside(self, contents: LedgerContents) -> str:
        """Keep the damaged tail in a file of its own, cut it off, and say so."""
        aside = self._move_tail(contents.good_bytes, "damaged")
        return f"{contents.damage}; going on from there, the damaged part is kept in {aside.name}"

    def _move_tail(self, size: int, word: str) -> Path:
        """Move what follows the first `size` bytes to `<name>.<word>-N.jsonl`."""
        with self.path.open("rb") as file:
            file.seek(size)
            tail = file.read()
        number = 1
        while (aside := self.path.with_name(f"{self.path.stem}.{word}-{number}{self.path.suffix}")).exists():
            number += 1
        write_atomic(aside, tail)
        try:
            os.ftruncate(self._file, size)
            os.fsync(self._file)
        except OSError as error:
            problem = error.strerror or error
            raise MachineFaultError(f"cannot cut the ledger {self.path}: {problem}; check the disk") from error
        return aside


def equal_ledgers(first: Path | str, second: Path | str) -> bool:
    """Whether two runs have the same history: equal trial records in the order of their ids, equal rungs before them.

    Time, host and event fields are ignored; a ledger with damage is not equal to any.
    """
    contents = read_ledger(first), read_ledger(second)
    if any(content.damage for content in contents):
        return False
    histories = [sorted(_comparable_lines(content)) for content in contents]
    return histories[0] == histories[1]


def is_being_written(path: Path | str) -> bool:
    """Whether a process holds the ledger open for writing."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        return not _lock(descriptor, exclusive=False)
    finally:
        os.close(descriptor)


def _comparable_lines(contents: LedgerContents) -> list[tuple[int, str, str]]:
    """Trials by their ids, and the rungs that they climbed, without what differs between equal runs."""
    lines = []
    for record in contents.records:
        stripped = {name: value for name, value in record.items() if name not in VOLATILE_FIELDS}
        if record.get("kind") == "trial":
            lines.append((record["id"], record["stage"], canonical(stripped)))
        elif record.get("kind") == RUNG:
            lines.append((record["trial"], RUNG, canonical(stripped)))
    return lines


def _open_locked(path: Path) -> int:
    """A descriptor for appending that no other process has; the lock goes with the process, however it ends."""
    existed = path.exists()
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
    except OSError as error:
        raise BadInputError(f"cannot write to the ledger {path}: {error.strerror or error}; check the path") from error
    # A reader that asks whether the ledger is in use holds it for a moment: try again before giving up.
    for _ in range(_LOCK_ATTEMPTS):
        if _lock(descriptor, exclusive=True):
            break
        time.sleep(_LOCK_PAUSE_S)
    else:
        os.close(descriptor)
        raise BadInputError(
            f"the ledger {path} is being written by another process; wait for it, or use another run directory"
        )
    try:
        if not existed:
            sync_directory(path.parent)
    except OSError as error:
        os.close(descriptor)
        raise unwritable(path, error) from error
    return descriptor


def _lock(descriptor: int, exclusive: bool) -> bool:
    """Whether the lock could be had; where the system has none (Windows), it always can."""
    if sys.platform == "win32":
        return True
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _write_all(descriptor: int, data: bytes) -> None:
    written = 0
    while written < len(data):
        written += os.write(descriptor, data[written:])
