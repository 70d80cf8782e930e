"""E12: archives that lead out of their folder, hold links and devices, or unpack to a thousand times their size.

    python experiments/faults/archives.py

Each is unpacked as downloads are. Nothing may be written outside the target, nothing of a refused archive may stay, and
a bomb may write no more than the declared cap before it is stopped.
"""

from __future__ import annotations

import io
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from common import arguments, told

from hasnas.datasets.archives import UnpackLimits, unpack
from hasnas.errors import BadInputError

BOMB = 64 << 20
Make = Callable[[Path], object]


def tar(*members: tuple[str, bytes, str], mode: str = "w") -> Make:
    """A tar of members: name, kind (of `tarfile`), and where a link leads to or the content."""

    def make(path: Path) -> None:
        with tarfile.open(path, mode) as file:  # type: ignore[call-overload]
            for name, kind, content in members:
                info = tarfile.TarInfo(name)
                info.type = kind
                if kind == tarfile.REGTYPE:
                    data = content.encode()
                    info.size = len(data)
                    file.addfile(info, io.BytesIO(data))
                else:
                    info.linkname = content
                    file.addfile(info)

    return make


def zipped(*names: str) -> Make:
    """A zip of members with these names."""

    def make(path: Path) -> None:
        with zipfile.ZipFile(path, "w") as file:
            for name in names:
                file.writestr(name, "evil")

    return make


def zip_bomb(path: Path) -> None:
    """Zeros, a thousand times their size."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("zeros.bin", bytes(BOMB))


def zip_link(path: Path) -> None:
    """A symbolic link, as zips hold them."""
    with zipfile.ZipFile(path, "w") as file:
        info = zipfile.ZipInfo("link")
        info.external_attr = 0o120777 << 16
        file.writestr(info, "/etc/passwd")


def tar_bomb(path: Path) -> None:
    """Zeros, a thousand times their size."""
    with tarfile.open(path, "w:gz") as file:
        info = tarfile.TarInfo("zeros.bin")
        info.size = BOMB
        file.addfile(info, io.BytesIO(bytes(BOMB)))


REG, SYM, LINK = tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE
CASES: dict[str, tuple[str, Make]] = {
    "../": ("a.tar", tar(("ok.txt", REG, "x"), ("../evil.txt", REG, "x"))),
    "deep ../": ("a.tar.gz", tar(("a/b/../../../evil.txt", REG, "x"), mode="w:gz")),
    "absolute": ("a.tar.xz", tar(("/tmp/hasnas-evil.txt", REG, "x"), mode="w:xz")),
    "symlink out": ("a.tar.bz2", tar(("link", SYM, "/etc"), ("link/evil.txt", REG, "x"), mode="w:bz2")),
    "symlink within": ("a.tar", tar(("link", SYM, "../.."), ("link/evil.txt", REG, "x"))),
    "hard link": ("a.tar", tar(("link", LINK, "/etc/passwd"))),
    "device": ("a.tar", tar(("null", tarfile.CHRTYPE, ""))),
    "block device": ("a.tar", tar(("disk", tarfile.BLKTYPE, ""))),
    "fifo": ("a.tar", tar(("pipe", tarfile.FIFOTYPE, ""))),
    "zip ../": ("a.zip", zipped("ok.txt", "../evil.txt")),
    "zip backslash": ("a.zip", zipped("..\\evil.txt")),
    "zip absolute": ("a.zip", zipped("/tmp/hasnas-evil.txt")),
    "zip drive": ("a.zip", zipped("C:evil.txt")),
    "zip link": ("a.zip", zip_link),
    "zip bomb": ("a.zip", zip_bomb),
    "tar bomb": ("a.tar.gz", tar_bomb),
}


def main() -> int:
    """Unpack all; the exit code says whether the bar is met."""
    arguments(__doc__).parse_args()
    outside, kept, taken = 0, 0, list[str]()
    outer = Path("/tmp/hasnas-evil.txt")
    for name, (file, make) in CASES.items():
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            archive, target = folder / file, folder / "deep" / "target"
            target.parent.mkdir()
            make(archive)
            cap = UnpackLimits().cap(archive.stat().st_size)
            try:
                unpack(archive, target)
                taken.append(name)
            except BadInputError as error:
                line = str(error).replace(f"{folder}/", "")
                print(f"| {name} | {archive.stat().st_size:,} | {line} |", flush=True)
                taken += [f"{name}: more than a line"] if "\n" in line else []
            found = [path for path in folder.rglob("*") if path not in (archive, target, target.parent)]
            outside += sum(target not in path.parents for path in found) + outer.exists()
            kept += sum(path.lstat().st_size for path in found if path.is_file())
            assert kept <= cap
    figure = {"archives": len(CASES), "files outside": outside, "bytes kept": kept, "taken": taken}
    return told("E12", figure, "0 files outside; at most the declared cap", not (outside or kept or taken))


if __name__ == "__main__":
    sys.exit(main())
