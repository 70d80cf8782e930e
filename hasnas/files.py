"""Files that are whole or absent, and harmless: atomic writes, checked reads, tables that spreadsheets do not run."""

from __future__ import annotations

import csv
import errno
import hashlib
import io
import json
import os
import stat
import sys
import zipfile
import zlib
from collections.abc import Iterable
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hasnas.errors import BadInputError, HasnasError, MachineFaultError, one_line

MOST_JSON_CHARACTERS = 64_000_000
# What reading a damaged or foreign .npz or .npy raises.
DAMAGED_ARRAYS = (
    OSError, ValueError, KeyError, EOFError, TypeError, AttributeError, OverflowError, MemoryError, NotImplementedError,
    RuntimeError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip
# Errors of writing that are no fault of a path: mended, the same command goes on.
OF_THE_MACHINE = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ENOMEM, errno.EMFILE, errno.ENFILE)


def write_atomic(path: Path | str, data: bytes | str) -> None:
    """Write a file so that a crash leaves the old content or the new one, never a part.

    The data go to a temporary file in the same directory, are synced, and replace the target in one step. A link stays
    one, what it leads to is written; a device, a pipe, and this process's own output (`/dev/stdout`, wherever that
    leads) are written to, never replaced.

    Args:
        path: the file to write; its directory must exist.
        data: bytes, or text to encode as UTF-8.

    Raises:
        BadInputError: if the directory cannot be written to.
        MachineFaultError: if the disk is full or fails.
    """
    content = data.encode() if isinstance(data, str) else data
    try:
        if Path(path).is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if (stream := _own_stream(Path(path))) is not None:
            with open(stream, "wb", closefd=False) as file:
                file.write(content)
        elif Path(path).exists() and not Path(path).is_file():
            Path(path).write_bytes(content)
        else:
            _replace(Path(path).resolve(), content)
    except (OSError, RuntimeError) as error:  # links that lead to each other are a RuntimeError
        raise unwritable(path, error) from error


def _own_stream(path: Path) -> int | None:
    """The descriptor of this process's output or errors, if a path is what they go to."""
    for descriptor in (1, 2):
        with suppress(OSError):  # it may be closed, and there need be nothing of that name
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor
    return None


def _replace(target: Path, content: bytes) -> None:
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
        sync_directory(target.parent)
    except OSError:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def make_directory(path: Path | str) -> Path:
    """Make a directory and those above it, where they are not there.

    Raises:
        BadInputError: if it cannot be made.
        MachineFaultError: if the disk is full or fails.
    """
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(path, error) from error
    return Path(path)


def remove_leftovers(directory: Path) -> None:
    """Remove what `write_atomic` had not finished in a folder and those below it when its process was killed."""
    for path in directory.rglob(".*.tmp"):
        number = path.name.split(".")[-2]
        if number.isdigit() and not _runs(int(number)):
            with suppress(OSError):
                path.unlink()


def _runs(process: int) -> bool:
    """Whether there is a process with this number; where asking would end it (Windows), there always is."""
    if sys.platform == "win32":
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def unwritable(path: Path | str, error: OSError | RuntimeError, remedy: str | None = None) -> HasnasError:
    """What to raise where a path could not be written: the machine's fault, or the path's; `remedy` for both."""
    number, reason = (error.errno, error.strerror) if isinstance(error, OSError) else (None, None)
    told = f"cannot write {path}: {reason or error}"
    if number in OF_THE_MACHINE:
        return MachineFaultError(f"{told}; {remedy or 'make room or mend the disk'}")
    return BadInputError(f"{told}; {remedy or 'check that the directory exists and may be written'}")


def sync_directory(directory: Path) -> None:
    """Make a rename in `directory` durable (a no-op where directories cannot be opened)."""
    try:
        descriptor = os.open(directory, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def expanded(path: Path | str, key: str) -> Path:
    """The path with the user's home in place of `~`.

    Args:
        path: as the user wrote it.
        key: what it stands for, for messages.

    Raises:
        BadInputError: if there is no such home.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        told = one_line(str(path))
        raise BadInputError(f"{key} is '{told}'; there is no such home folder, write the path out") from error


def read_text(path: Path | str, most: int | None = None) -> str:
    """The text of a file.

    Args:
        path: the file.
        most: characters that it may have; None means any number.

    Raises:
        BadInputError: if the file is missing, unreadable, endless, too long or not UTF-8.
    """
    _refuse_device(path)
    try:
        with open(path, encoding="utf-8-sig") as file:  # editors of Windows begin files with a mark
            text = file.read(-1 if most is None else most + 1)
    except UnicodeDecodeError as error:
        raise BadInputError(f"{path} is not a text file (byte {error.start} is not UTF-8); check the path") from error
    except OSError as error:
        raise BadInputError(f"cannot read {path}: {error.strerror or error}; check the path") from error
    except ValueError as error:  # a path with a NUL in it
        raise BadInputError(f"cannot read {str(path)!r}: {error}; check the path") from error
    if most is not None and len(text) > most:
        raise BadInputError(f"{path} has more than {most} characters; shorten it, or check the path")
    return text


def _refuse_device(path: Path | str) -> None:
    mode = 0
    with suppress(OSError, ValueError):  # what cannot be looked at is told where it is opened
        mode = os.stat(path).st_mode
    if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
        raise BadInputError(f"{path} is a device, whose content may have no end; name a file")


def read_json(path: Path | str) -> Any:
    """The content of a JSON file.

    Raises:
        BadInputError: if the file is missing, unreadable, too long or not complete JSON, or nested too deeply.
    """
    text = read_text(path, MOST_JSON_CHARACTERS)
    try:
        return json.loads(text)
    except RecursionError as error:
        raise BadInputError(f"{path} is nested too deeply for what it should hold; make it anew") from error
    except json.JSONDecodeError as error:
        raise BadInputError(
            f"{path} is not valid JSON (line {error.lineno}: {error.msg}); it may be truncated, make it anew"
        ) from error
    except ValueError as error:  # a number of thousands of digits
        raise BadInputError(f"{path} is not valid JSON ({str(error).partition(';')[0]}); make it anew") from error


def is_there(path: Path | str) -> bool:
    """Whether there is a file of this name.

    Raises:
        BadInputError: if that cannot be found out: a folder that may not be entered, a name that is too long.
    """
    try:
        return Path(path).is_file()
    except OSError as error:
        raise BadInputError(f"cannot read {path}: {error.strerror or error}; check the path") from error


def sha256_of(path: Path | str) -> str:
    """The SHA-256 of a file's content, in hexadecimal.

    Raises:
        BadInputError: if it is a device, whose content may have no end.
    """
    _refuse_device(path)
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def csv_text(rows: Iterable[Iterable[Any]]) -> str:
    """Rows as comma-separated values; a text that a spreadsheet would run as a formula gets an apostrophe before it.

    Source: OWASP, CSV Injection.

    >>> csv_text([("=1+1", "conv-1", -1.5, "-1.5")])
    "'=1+1,conv-1,-1.5,-1.5\\n"
    """
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(map(_harmless, row) for row in rows)
    return buffer.getvalue()


def _harmless(cell: Any) -> Any:
    if not isinstance(cell, str) or not cell.startswith(FORMULA_STARTS):
        return cell
    try:
        float(cell)
    except ValueError:
        return f"'{cell}"
    return cell


CARD_FILE = "card.json"


def check_listed(path: Path | str) -> None:
    """Refuse an exported file that is not what the card beside it says; files without such a card pass.

    Raises:
        BadInputError: if the content is not what was exported.
    """
    file = Path(path)
    try:
        card = json.loads((file.parent / CARD_FILE).read_text(encoding="utf-8"))
        listed = card["files"][file.name]
        ours = str(card["generator"]).startswith("hasnas")
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return
    if ours and file.is_file() and sha256_of(file) != listed:
        raise BadInputError(
            f"{file} is not what was exported: {file.parent / CARD_FILE} lists another SHA-256; one of them was "
            "changed or damaged, export the run anew (or keep a changed file in a folder of its own)"
        )


def sealed(data: dict[str, Any]) -> dict[str, Any]:
    """Data with a `digest` of all the rest, as cards carry it.

    >>> sealed({"a": 1})["digest"] == sealed({"a": 1, "digest": "old"})["digest"] != sealed({"a": 2})["digest"]
    True
    """
    rest = {key: value for key, value in data.items() if key != "digest"}
    text = json.dumps(rest, sort_keys=True)
    return {**rest, "digest": hashlib.sha256(text.encode()).hexdigest()}


def package_folder(name: str) -> Path:
    """Where a package lies; it is not imported, which would take seconds.

    Raises:
        ModuleNotFoundError: if it is not installed, as importing it does.

    >>> package_folder("sktme")
    Traceback (most recent call last):
        ...
    ModuleNotFoundError: No module named 'sktme'
    """
    found = find_spec(name)
    if found is None or found.origin is None:
        raise ModuleNotFoundError(f"No module named '{name}'", name=name)
    return Path(found.origin).parent
