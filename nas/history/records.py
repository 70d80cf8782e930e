"""The records of a ledger's file: checked once, where each begins remembered, decoded when they are looked at."""

from __future__ import annotations

import hashlib
import json
import re
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any, Generic, TypeVar, overload

import orjson

from hasnas.errors import BadInputError

from .formats import brought_up, check_format

Record = dict[str, Any]
T = TypeVar("T")

_BEFORE, _BETWEEN, _AFTER = b'{"record":', b',"sha":"', b'"}\n'
_SHA_LENGTH = 16
_TAIL = len(_BETWEEN) + _SHA_LENGTH + len(_AFTER)
_KIND = re.compile(rb'"kind":"(\w+)"')
_FORMAT = re.compile(rb'"format":(\d+)')
_FORMS = {"event": str, "stage": str, "time": (int, float), "details": dict}  # of what is read of an event
_FORMS_OF_DETAILS = {"identity": str, "contents": dict, "data": dict, "former": str, "changes": list, "learned": list}


def encode_line(record: Mapping[str, Any]) -> bytes:
    """A record as the ledger stores it: itself, its checksum, a line feed.

    The checksum is the first 16 hexadecimal digits of BLAKE2b over the record's canonical JSON.

    Raises:
        BadInputError: if the record is not plain JSON data (NaN and infinity are not).

    >>> encode_line({"kind": "event", "event": "start"})
    b'{"record":{"event":"start","kind":"event"},"sha":"b928098ad2889ce1"}\\n'
    """
    try:
        text = canonical(record).encode()
    except (TypeError, ValueError) as error:
        raise BadInputError(f"a ledger record must be plain JSON data: {error}") from error
    return _BEFORE + text + _BETWEEN + _checksum(text) + _AFTER


def checked(line: bytes) -> bytes | None:
    """The canonical JSON in a stored line, or `None` if even one bit of the line is not as it was written.

    >>> checked(encode_line({"kind": "event"})), checked(b"{}")
    (b'{"kind":"event"}', None)
    """
    text = line[len(_BEFORE) : -_TAIL]
    if line[-_TAIL:] != _BETWEEN + _checksum(text) + _AFTER or not line.startswith(_BEFORE):
        return None
    return text


def read_event(record: Record) -> Record:
    """The record of an event, if what is read of it has the form that it should have.

    Raises:
        BadInputError: naming a field that has not.
    """
    _check_forms(record, _FORMS)
    _check_forms(record.get("details", {}), _FORMS_OF_DETAILS)
    return record


def _check_forms(fields: Record, forms: Mapping[str, Any]) -> None:
    for name, form in forms.items():
        if name in fields and not isinstance(fields[name], form):
            raise BadInputError(f"an event record is of another version ({name}); start a new run directory")


def canonical(record: Mapping[str, Any]) -> str:
    """Sorted keys, no spaces: equal records are equal texts."""
    return json.dumps(record, sort_keys=True, separators=(",", ":"), allow_nan=False)


class StoredRecords(Sequence[Record]):
    """Records of a file, one a line whose checksum was found to agree; nine bytes of memory for each, however long.

    Args:
        path: the file.

    Raises:
        BadInputError: on looking at a line that was cut off since it was added.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._ends = array("Q")
        self._kinds = bytearray()
        self._names: list[str] = []
        self._formats = [(0, 1)]  # place of a record -> format of those from there on

    @property
    def size(self) -> int:
        """Length in bytes of the lines that hold them."""
        return self._ends[-1] if self._ends else 0

    def add(self, line: bytes) -> None:
        """Take up the line that follows those before it; its checksum agrees.

        Raises:
            BadInputError: if it says that a later version of hasnas goes on from here.
        """
        kind = _kind(line[len(_BEFORE) : -_TAIL])
        if kind == "event" and (told := _FORMAT.search(line)):
            check_format(int(told[1]), str(self._path))
            self._formats.append((len(self), int(told[1])))
        if kind not in self._names:
            self._names.append(kind)
        self._kinds.append(self._names.index(kind))
        self._ends.append(self.size + len(line))

    def cut(self, count: int) -> None:
        """Forget all but the first `count`."""
        del self._ends[count:], self._kinds[count:]
        self._formats = [one for one in self._formats if one[0] < max(count, 1)]

    @property
    def mark(self) -> str:
        """Their number and the checksum of the last one: as long as it is the same, nothing was added."""
        if not self.size:
            return "0"
        with self._path.open("rb") as file:
            file.seek(self.size - _SHA_LENGTH - len(_AFTER))
            return f"{len(self)} {file.read(_SHA_LENGTH).decode()}"

    def end(self, count: int) -> int:
        """Length of the lines of the first `count`."""
        return self._ends[count - 1] if count else 0

    def of_kind(self, kind: str) -> Iterator[Record]:
        """The records of a kind."""
        return self.at(self.places(kind))

    def places(self, kind: str) -> array[int]:
        """Where the records of a kind stand."""
        if kind not in self._names:
            return array("Q")
        number = self._names.index(kind)
        return array("Q", (place for place, found in enumerate(self._kinds) if found == number))

    def at(self, places: Iterable[int]) -> Iterator[Record]:
        """The records at some places."""
        if not self._ends:  # there need be no file yet
            return
        try:
            with self._path.open("rb") as file:
                position = 0
                for place in places:
                    start = self._ends[place - 1] if place else 0
                    if start != position:
                        file.seek(start)
                    position = self._ends[place]
                    line = file.read(position - start)
                    record = _decoded(line[len(_BEFORE) : -_TAIL]) if line.endswith(_AFTER) else None
                    if record is None:
                        raise BadInputError(f"line {place + 1} of {self._path} was cut off meanwhile; look again")
                    yield brought_up(record, self._format_at(place))
        except OSError as error:
            raise BadInputError(f"cannot read {self._path}: {error.strerror or error}; check the path") from error

    def _format_at(self, place: int) -> int:
        return self._formats[bisect_right(self._formats, place, key=itemgetter(0)) - 1][1]

    def __len__(self) -> int:
        return len(self._ends)

    def __iter__(self) -> Iterator[Record]:
        return self.at(range(len(self)))

    @overload
    def __getitem__(self, place: int) -> Record: ...

    @overload
    def __getitem__(self, place: slice) -> list[Record]: ...

    def __getitem__(self, place: int | slice) -> Record | list[Record]:
        places = range(len(self))[place]
        return list(self.at(places)) if isinstance(places, range) else next(self.at([places]))


class OfKind(Sequence[T], Generic[T]):
    """What the records of one kind stand for, made anew whenever it is looked at.

    Args:
        records: of every kind.
        kind: of those that are meant.
        read: a record -> what it stands for.
    """

    def __init__(self, records: StoredRecords, kind: str, read: Callable[[Record], T]) -> None:
        self._records, self._read, self._places = records, read, records.places(kind)

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[T]:
        return map(self._read, self._records.at(self._places))

    @overload
    def __getitem__(self, place: int) -> T: ...

    @overload
    def __getitem__(self, place: slice) -> list[T]: ...

    def __getitem__(self, place: int | slice) -> T | list[T]:
        if isinstance(place, slice):
            return [self._read(record) for record in self._records.at(self._places[place])]
        return self._read(self._records[self._places[place]])


def _checksum(text: bytes) -> bytes:
    return hashlib.blake2b(text).hexdigest()[:_SHA_LENGTH].encode()


def _kind(text: bytes) -> str:
    """The kind of a record, found without decoding it wherever it is the only one of this name in it."""
    found = _KIND.findall(text)
    if len(found) == 1:
        return str(found[0], "ascii")
    return str((_decoded(text) or {}).get("kind", ""))


def _decoded(text: bytes) -> Record | None:
    """What a JSON text says, if it is an object."""
    try:
        record = orjson.loads(text)
    except orjson.JSONDecodeError:
        try:
            record = json.loads(text)  # which takes halves of surrogate pairs, as names of files may hold them
        except (ValueError, RecursionError):
            return None
    return record if isinstance(record, dict) else None
