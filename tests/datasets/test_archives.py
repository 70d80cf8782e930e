"""Archives that attack or are damaged: refused in one line, nothing outside, nothing left behind."""

import gzip
import io
import lzma
import stat
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from hasnas.datasets.archives import UnpackLimits, entries, is_archive, read_gzip, unpack
from hasnas.errors import BadInputError

CONTENT = {"a/1.bin": b"one" * 1000, "a/b/2.bin": b"two", "3.txt": b""}
FORMATS = ("x.tar", "x.tar.gz", "x.tgz", "x.tar.xz", "x.tar.bz2", "x.zip")


def write_archive(path: Path, content: dict[str, bytes]) -> Path:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
            for name, data in content.items():
                file.writestr(name, data)
        return path
    mode = {".tar": "w", ".gz": "w:gz", ".tgz": "w:gz", ".xz": "w:xz", ".bz2": "w:bz2"}[path.suffix]
    with tarfile.open(path, mode) as tar:
        for name, data in content.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def test_folders_among_the_entries_are_passed_over(tmp_path: Path):
    with tarfile.open(tmp_path / "x.tar", "w") as tar, zipfile.ZipFile(tmp_path / "x.zip", "w") as file:
        folder = tarfile.TarInfo("folder")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
        tar.addfile(tarfile.TarInfo("folder/a"))
        file.mkdir("folder")
        file.writestr("folder/a", b"")
    for name in ("x.tar", "x.zip"):
        assert [str(path) for path, _ in entries(tmp_path / name)] == ["folder/a"]


def write_special(path: Path, kind: bytes) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        info = tarfile.TarInfo("trap")
        info.type, info.linkname = kind, "/etc/passwd"
        tar.addfile(info)
    return path


def write_zip_link(path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        info = zipfile.ZipInfo("trap")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        file.writestr(info, "/etc/passwd")
    return path


def assert_refused(archive: Path, message: str) -> None:
    folder = archive.parent / "in" / "target"
    folder.parent.mkdir()
    with pytest.raises(BadInputError, match=message) as caught:
        unpack(archive, folder)
    assert "\n" not in str(caught.value)
    assert str(archive) in str(caught.value)
    assert list(folder.parent.iterdir()) == []
    assert {path.name for path in archive.parent.iterdir()} == {archive.name, "in"}


@pytest.mark.parametrize("name", FORMATS)
def test_sound_archives_come_out_whole(name: str, tmp_path: Path):
    unpack(write_archive(tmp_path / name, CONTENT), tmp_path / "out")
    found = {str(path.relative_to(tmp_path / "out")): path.read_bytes() for path in (tmp_path / "out").rglob("*.*")}
    assert found == CONTENT
    assert is_archive(tmp_path / name)


@pytest.mark.parametrize("format_", ["x.tar.gz", "x.zip"])
@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/tmp/evil", "..\\evil", "C:\\evil"])
def test_entries_that_lead_outside_are_refused(format_: str, name: str, tmp_path: Path):
    assert_refused(write_archive(tmp_path / format_, {"good": b"1", name: b"2"}), "leads out of its folder")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_in_tar_are_refused(kind: bytes, tmp_path: Path):
    assert_refused(write_special(tmp_path / "x.tar.gz", kind), "link or device")


def test_links_in_zip_are_refused(tmp_path: Path):
    assert_refused(write_zip_link(tmp_path / "x.zip"), "link or device")


@pytest.mark.parametrize("name", ["x.tar.gz", "x.tar.xz", "x.tar.bz2", "x.zip"])
def test_bombs_are_refused(name: str, tmp_path: Path):
    assert_refused(write_archive(tmp_path / name, {"zeros": bytes(8 << 20)}), "decompression bomb")


@pytest.mark.parametrize("name", ["x.tar.gz", "x.zip"])
def test_a_bomb_never_writes_more_than_its_cap(name: str, tmp_path: Path):
    limits = UnpackLimits(ratio=1, floor_bytes=100_000)
    members = entries(write_archive(tmp_path / name, {"zeros": bytes(4 << 20)}), limits)
    _, stream = next(members)
    written = 0

    def drain() -> None:
        nonlocal written
        while chunk := stream.read(4096):
            written += len(chunk)

    with pytest.raises(BadInputError, match="decompression bomb"):
        drain()
    assert 0 < written <= limits.floor_bytes


def test_a_bomb_in_many_small_files_is_refused(tmp_path: Path):
    content = {str(number): bytes(100_000) for number in range(50)}
    assert_refused(write_archive(tmp_path / "x.zip", content), "decompression bomb")


def test_too_many_entries_are_refused(tmp_path: Path):
    archive = write_archive(tmp_path / "x.tar", {str(number): b"" for number in range(5)})
    with pytest.raises(BadInputError, match="more than 4 entries"):
        list(entries(archive, UnpackLimits(entries=4)))


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "x.tar"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.95])
def test_truncated_archives_are_refused(name: str, share: float, tmp_path: Path):
    noise = np.random.default_rng(0).bytes(20_000)
    archive = write_archive(tmp_path / name, {"a": noise, "b": noise})
    archive.write_bytes(archive.read_bytes()[: int(share * archive.stat().st_size)])
    assert_refused(archive, "damaged or truncated")


@pytest.mark.parametrize("name", ["x.tar.gz", "x.tar.xz", "x.zip"])
def test_a_flipped_bit_is_found_or_harmless(name: str, tmp_path: Path):
    rng = np.random.default_rng(1)
    content = {"a": rng.bytes(3000)}
    whole = write_archive(tmp_path / name, content).read_bytes()
    for bit in rng.choice(8 * len(whole), 60, replace=False):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << (bit % 8)
        (tmp_path / name).write_bytes(damaged)
        try:
            found = {str(path): stream.read() for path, stream in entries(tmp_path / name)}
        except BadInputError:
            continue
        assert list(found.values()) == list(content.values())


def test_an_entry_that_stands_twice_is_refused(tmp_path: Path):
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        for _ in range(2):
            tar.addfile(tarfile.TarInfo("same"))
    assert_refused(tmp_path / "x.tar", "twice")


def test_an_encrypted_zip_is_refused(tmp_path: Path):
    archive = write_archive(tmp_path / "x.zip", {"a": b"1"})
    content = bytearray(archive.read_bytes())
    content[content.find(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(content)
    assert_refused(archive, "encrypted; unpack it by hand")


def test_an_existing_folder_is_not_touched(tmp_path: Path):
    archive = write_archive(tmp_path / "x.zip", CONTENT)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("kept")
    with pytest.raises(BadInputError, match="cannot unpack"):
        unpack(archive, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine"]


def test_gzip_files_and_plain_ones_read_alike(tmp_path: Path):
    (tmp_path / "a.gz").write_bytes(gzip.compress(b"data", mtime=0))
    (tmp_path / "a").write_bytes(b"data")
    assert read_gzip(tmp_path / "a.gz") == read_gzip(tmp_path / "a") == b"data"


@pytest.mark.parametrize(
    "content, message",
    [
        (gzip.compress(bytes(4 << 20), mtime=0), "decompression bomb"),
        (gzip.compress(b"data", mtime=0)[:-3], "damaged or truncated"),
        (lzma.compress(b"data"), "damaged or truncated"),
        (b"", "damaged or truncated"),
    ],
)
def test_bad_gzip_files_are_refused(content: bytes, message: str, tmp_path: Path):
    (tmp_path / "a.gz").write_bytes(content)
    if content:
        with pytest.raises(BadInputError, match=message):
            read_gzip(tmp_path / "a.gz")
    else:
        assert read_gzip(tmp_path / "a.gz") == b""  # no member at all: the format's reader finds it too short


def test_an_archive_may_unpack_to_a_hundred_times_its_size():
    limits = UnpackLimits()
    assert limits.cap(10**7) == 10**9
    assert limits.cap(10) == 1024**2, "a small file of zeros passes"
    assert limits.cap(10**12) == 64 * 1024**3
    assert limits.entries == 2_000_000


@pytest.mark.parametrize("name", ["x.tar", "x.tar.gz", "x.zip"])
def test_a_stream_gives_as_many_bytes_as_are_asked_for(name: str, tmp_path: Path):
    members = entries(write_archive(tmp_path / name, {"a": b"0123456789"}))
    _, stream = next(members)
    assert [stream.read(size) for size in (0, 4, 3, -1, 5)] == [b"", b"0123", b"456", b"789", b""]


def test_a_member_that_fills_its_cap_is_read(tmp_path: Path):
    archive = write_archive(tmp_path / "x.zip", {"a": b"0123456789"})
    for room, fits in ((10, True), (9, False)):
        members = entries(archive, UnpackLimits(ratio=0, floor_bytes=room))
        _, stream = next(members)
        if fits:
            assert stream.read() == b"0123456789"
        else:
            with pytest.raises(BadInputError, match="bomb"):
                stream.read()
