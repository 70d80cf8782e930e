"""Downloads that resume, are checked before they count, and appear whole or not at all."""

from __future__ import annotations

import hashlib
import http.client
import os
import re
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from hasnas.errors import BadInputError
from hasnas.files import sync_directory

from .archives import read_gzip
from .source import RemoteFile

Progress = Callable[[str, int, int], None]
"""Told the file's name, bytes so far and bytes in all (0 if unknown)."""

CHUNK = 1 << 18
TIMEOUT_S = 30.0
BROKEN = (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError)


def no_progress(name: str, done: int, total: int) -> None:
    """Progress that nobody watches."""


def digest_of(path: Path, algorithm: str) -> str:
    """A file's digest in hexadecimal.

    Args:
        path: the file.
        algorithm: `"sha256"` or `"md5"`.
    """
    with open(path, "rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def verify(file: RemoteFile, path: Path) -> str:
    """Compare a file on disk with what its publisher states.

    Args:
        file: the official file; SHA-256 is preferred, MD5 taken where only that is published.
        path: the file on disk.

    Returns:
        What was compared: `"sha256 equal"`, `"sha256 of the content equal"`, `"md5 equal"`, `"no published checksum"`.

    Raises:
        BadInputError: if the file differs.
    """
    if file.content_sha256:
        content = hashlib.sha256(read_gzip(path)).hexdigest()
        return expect(content, file.content_sha256, "sha256 of the content", path)
    unpacked_by_hand = file.name.endswith(".gz") and path.suffix != ".gz"
    for algorithm, expected in (("sha256", file.sha256), ("md5", file.md5)):
        if expected and not unpacked_by_hand:
            return expect(digest_of(path, algorithm), expected, algorithm, path)
    return "no published checksum"


def expect(actual: str, expected: str, what: str, path: Path) -> str:
    """Compare two digests and say which were equal; raises BadInputError where they differ."""
    if actual != expected:
        raise BadInputError(
            f"{path} is not the official file: its {what} is {actual[:16]}..., expected {expected[:16]}...; "
            "delete it and fetch it again"
        )
    return f"{what} equal"


def download(file: RemoteFile, target: Path, progress: Progress = no_progress, attempts: int = 3) -> None:
    """Fetch one official file; an interrupted download goes on where it stopped.

    The data go to `<target>.part`, are checked, synced and moved into place. A file without a published checksum is
    never resumed: nobody could tell whether its two halves belong together.

    Args:
        file: what to fetch.
        target: where it goes; its folder is made.
        progress: told after every chunk.
        attempts: how often a broken connection is taken up again.

    Raises:
        BadInputError: if there is no address, no network, no room, or the checksum is wrong.
    """
    if not file.url.startswith(("http://", "https://")):
        raise BadInputError(
            f"{file.name} cannot be downloaded by a program; fetch it from {file.url or 'its publisher'} "
            f"by hand and put it at {target}"
        )
    part = target.with_name(target.name + ".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if not (file.sha256 or file.md5):
            part.unlink(missing_ok=True)
        _fetch_with_retries(file, part, progress, attempts)
        _accept(file, part, target)
    except OSError as error:
        raise BadInputError(
            f"cannot write {target}: {error.strerror or error}; check that there are room and rights"
        ) from error


def _fetch_with_retries(file: RemoteFile, part: Path, progress: Progress, attempts: int) -> None:
    for attempt in range(1, attempts + 1):
        try:
            _fetch(file, part, progress)
            return
        except BROKEN as error:
            fatal = isinstance(error, urllib.error.HTTPError) and error.code < 500
            if fatal or attempt == attempts:
                reason = getattr(error, "reason", None) or error
                raise BadInputError(
                    f"cannot download {file.name} from {file.url} ({reason}); try again (what arrived is kept), "
                    f"or put the file at {part.with_suffix('')} by hand"
                ) from error


def _fetch(file: RemoteFile, part: Path, progress: Progress) -> None:
    have = part.stat().st_size if part.exists() else 0
    if file.size and have >= file.size:
        return
    headers = {"User-Agent": "hasnas", "Accept-Encoding": "identity"}
    request = urllib.request.Request(file.url, headers=headers | ({"Range": f"bytes={have}-"} if have else {}))
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT_S)
    except urllib.error.HTTPError as error:
        if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE and have:
            return  # nothing is left to send: the checksum decides whether what we have is the file
        raise
    with response:
        resumed = response.status == http.client.PARTIAL_CONTENT and _starts_at(response, have)
        start = have if resumed else 0
        length = int(response.headers.get("Content-Length") or 0)
        total = file.size or (start + length if length else 0)
        with open(part, "ab" if resumed else "wb") as out:
            _copy(response, out, file.name, (start, total), progress)


def _starts_at(response: http.client.HTTPResponse, offset: int) -> bool:
    match = re.match(r"bytes (\d+)-", response.headers.get("Content-Range") or "")
    return match is not None and int(match.group(1)) == offset


def _copy(
    response: http.client.HTTPResponse, out: BinaryIO, name: str, extent: tuple[int, int], progress: Progress
) -> None:
    done, total = extent
    while chunk := response.read(CHUNK):
        out.write(chunk)
        done += len(chunk)
        progress(name, done, total)
        if total and done > total:
            raise BadInputError(f"{name}: the server sends more than the {total} bytes announced; try another mirror")
    if done < total:
        raise ConnectionError(f"the connection broke off after {done} of {total} bytes")


def _accept(file: RemoteFile, part: Path, target: Path) -> None:
    if file.sha256 or file.md5:  # the address serves exactly this file, so the content's digest is not enough
        algorithm, expected = ("sha256", file.sha256) if file.sha256 else ("md5", file.md5)
        try:
            expect(digest_of(part, algorithm), expected, algorithm, part)
        except BadInputError:
            part.unlink()
            raise
    with open(part, "rb") as written:
        os.fsync(written.fileno())
    os.replace(part, target)
    sync_directory(target.parent)
