"""Archives opened with distrust: nothing leaves the target folder, grows past its cap, or stays half done."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, BinaryIO, cast

from hasnas.errors import BadInputError
from hasnas.files import sync_directory

CHUNK = 1 << 20
DAMAGE = (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, gzip.BadGzipFile, OSError,
          NotImplementedError, ValueError, RuntimeError)  # fmt: skip


@dataclass(frozen=True)
class UnpackLimits:
    """How far an archive may grow.

    Args:
        ratio: unpacked bytes per byte of archive; images and events reach about 10, bombs 1,000.
        total_bytes: unpacked bytes whatever the ratio.
        floor_bytes: always allowed, so that small files of zeros pass.
        entries: number of files and folders.
    """

    ratio: float = 100.0
    total_bytes: int = 64 << 30
    floor_bytes: int = 1 << 20
    entries: int = 2_000_000

    def cap(self, archive_bytes: int) -> int:
        """Bytes that an archive of this length may unpack to."""
        return min(self.total_bytes, max(self.floor_bytes, int(self.ratio * archive_bytes)))


class _GuardedReader(io.RawIOBase):
    """Passes a stream on until the cap and puts what goes wrong into one line that names the archive."""

    def __init__(self, stream: IO[bytes], cap: int, where: Path) -> None:
        self._stream, self.left, self._where = stream, cap, where

    def read(self, size: int = -1) -> bytes:
        wanted = self.left + 1 if size < 0 else min(size, self.left + 1)
        try:
            data = self._stream.read(wanted)
        except DAMAGE as error:
            raise _damaged(self._where, error) from error
        self.left -= len(data)
        if self.left < 0:
            raise BadInputError(
                f"{self._where} unpacks to far more than its size allows (a decompression bomb?); nothing was kept, "
                "fetch the file again from its publisher"
            )
        return data


def _damaged(archive: Path, error: Exception) -> BadInputError:
    if isinstance(error, BadInputError):
        return error
    return BadInputError(
        f"{archive} is damaged or truncated ({error or type(error).__name__}); nothing was kept, fetch it again"
    )


def safe_name(name: str, where: Path) -> PurePosixPath:
    """The relative path of an entry.

    Raises:
        BadInputError: if the entry would leave the folder it is unpacked to.

    >>> safe_name("Train/5/1.bin", Path("a.tar"))
    PurePosixPath('Train/5/1.bin')
    >>> safe_name("../x", Path("a.tar"))
    Traceback (most recent call last):
        ...
    hasnas.errors.BadInputError: a.tar holds the entry '../x' that leads out of its folder; do not use this archive
    """
    path = PurePosixPath(name.replace("\\", "/"))
    outside = path.is_absolute() or ".." in path.parts or ":" in name.split("/")[0] or "\0" in name
    if outside:
        raise BadInputError(f"{where} holds the entry {name!r} that leads out of its folder; do not use this archive")
    return path


def is_archive(path: Path) -> bool:
    """Whether the name says that this is an archive `entries` can read.

    >>> is_archive(Path("a.tar.xz")), is_archive(Path("a.bin"))
    (True, False)
    """
    return path.name.endswith((".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2", ".zip"))


def entries(archive: Path, limits: UnpackLimits | None = None) -> Iterator[tuple[PurePosixPath, IO[bytes]]]:
    """The files of a tar or zip archive, one after the other, each as a stream to read before the next is asked for.

    Args:
        archive: `.tar`, `.tar.gz`, `.tar.xz`, `.tar.bz2` or `.zip`.
        limits: how far it may grow; by default `UnpackLimits()`.

    Raises:
        BadInputError: if the archive is damaged or truncated, leads out of its folder, holds links, devices or
            encrypted files, or grows past its cap.
    """
    limits = limits or UnpackLimits()
    try:
        cap = limits.cap(archive.stat().st_size)
        members = _zip_entries(archive, cap) if archive.suffix == ".zip" else _tar_entries(archive, cap)
        for count, member in enumerate(members):
            if count >= limits.entries:
                raise BadInputError(f"{archive} holds more than {limits.entries} entries; do not use this archive")
            if member is not None:
                yield member
    except DAMAGE as error:
        raise _damaged(archive, error) from error


def _tar_entries(archive: Path, cap: int) -> Iterator[tuple[PurePosixPath, IO[bytes]] | None]:
    with _decompressed(archive) as plain:
        guarded = _GuardedReader(plain, cap, archive)
        with tarfile.open(fileobj=cast(BinaryIO, guarded), mode="r|") as tar:
            for member in tar:
                path = safe_name(member.name, archive)
                if member.isdir():
                    yield None
                    continue
                if not member.isreg():
                    raise BadInputError(f"{archive} holds {member.name!r}, a link or device; do not use this archive")
                stream = cast(IO[bytes], tar.extractfile(member))
                yield path, cast(IO[bytes], _GuardedReader(stream, member.size, archive))
        while guarded.read(CHUNK):  # the codec's checksum stands at the end
            pass


def _decompressed(archive: Path) -> IO[bytes]:
    openers: dict[str, Callable[[Path], Any]] = {
        ".gz": gzip.open, ".tgz": gzip.open, ".xz": lzma.open, ".txz": lzma.open, ".bz2": bz2.open
    }  # fmt: skip
    opener = openers.get(archive.suffix)
    return cast(IO[bytes], opener(archive) if opener else open(archive, "rb"))


def _zip_entries(archive: Path, cap: int) -> Iterator[tuple[PurePosixPath, IO[bytes]] | None]:
    with zipfile.ZipFile(archive) as file:
        for info in file.infolist():
            path = safe_name(info.filename, archive)
            mode = info.external_attr >> 16
            if info.is_dir():
                yield None
                continue
            if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
                raise BadInputError(f"{archive} holds {info.filename!r}, a link or device; do not use this archive")
            if info.flag_bits & 1:
                raise BadInputError(f"{archive} holds {info.filename!r} encrypted; unpack it by hand")
            with file.open(info) as member:
                reader = _GuardedReader(member, cap, archive)
                yield path, cast(IO[bytes], reader)
                cap = reader.left


def unpack(archive: Path, target: Path, limits: UnpackLimits | None = None) -> None:
    """Unpack an archive into a new folder that appears whole or not at all.

    Args:
        archive: the archive.
        target: folder to make; must not exist.
        limits: how far the archive may grow.

    Raises:
        BadInputError: if the archive cannot be trusted (see `entries`) or the folder not be written.
    """
    staging = target.with_name(f".{target.name}.{os.getpid()}.part")
    shutil.rmtree(staging, ignore_errors=True)
    try:
        staging.mkdir(parents=True)
        for path, stream in entries(archive, limits):
            _write_entry(staging / path, stream, archive)
        os.rename(staging, target)
        sync_directory(target.parent)
    except OSError as error:
        raise BadInputError(f"cannot unpack {archive} to {target}: {error.strerror}; check room and rights") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _write_entry(path: Path, stream: IO[bytes], archive: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        raise BadInputError(f"{archive} holds {path.name!r} twice; do not use this archive")
    with open(path, "xb") as file:
        shutil.copyfileobj(stream, file, CHUNK)


def read_gzip(path: Path, limits: UnpackLimits | None = None) -> bytes:
    """The content of a `.gz` file (or of the same file unpacked already).

    Raises:
        BadInputError: if it is damaged, truncated or a bomb.
    """
    cap = (limits or UnpackLimits()).cap(path.stat().st_size)
    try:
        with gzip.open(path) if path.suffix == ".gz" else open(path, "rb") as stream:
            return _GuardedReader(cast(IO[bytes], stream), cap, path).read()
    except DAMAGE as error:
        raise _damaged(path, error) from error
