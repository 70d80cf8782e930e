"""Files are whole or absent, whatever stands where one shall be written."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from hasnas.errors import BadInputError
from hasnas.files import is_there, make_directory, read_text, sha256_of, write_atomic


def test_a_link_stays_one_and_what_it_leads_to_is_written(tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    link, target = tmp_path / "report.html", tmp_path / "site" / "index.html"
    link.symlink_to(target)
    write_atomic(link, "new")
    assert link.is_symlink()
    assert target.read_text(encoding="utf-8") == "new"
    assert [path.name for path in target.parent.iterdir()] == ["index.html"]


def test_a_pipe_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_atomic(pipe, "page")
    assert os.read(reader, 10) == b"page"
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    os.close(reader)


@pytest.mark.skipif(not Path("/dev/stdout").exists(), reason="no such name here")
def test_output_that_is_added_to_a_file_keeps_what_was_there(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("earlier\n", encoding="utf-8")
    code = "from hasnas.files import write_atomic as w; print('a', flush=True); w('/dev/stdout', 'page\\n'); print('b')"
    with log.open("ab") as output:
        subprocess.run([sys.executable, "-c", code], stdout=output, check=True)
    assert log.read_text(encoding="utf-8") == "earlier\na\npage\nb\n"
    assert [path.name for path in tmp_path.iterdir()] == ["log"]


@pytest.mark.parametrize("name", ["", ".", "..", "folder/", "no/such/file", "file/below", "loop", "x" * 300])
def test_a_path_that_holds_no_file_is_one_line_and_nothing_is_left(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    Path("file").write_text("old", encoding="utf-8")
    Path("loop").symlink_to("loop")
    with pytest.raises(BadInputError, match="cannot write"):
        write_atomic(name, "new")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "folder", "loop"]


def test_what_stands_in_the_way_of_a_directory_or_of_looking_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(BadInputError, match=r"cannot write .*file"):
        make_directory(tmp_path / "file")
    with pytest.raises(BadInputError, match="File name too long"):
        is_there(tmp_path / ("x" * 300))


@pytest.mark.parametrize("read", [read_text, sha256_of])
def test_a_device_is_not_read_to_an_end_that_it_may_not_have(read) -> None:
    with pytest.raises(BadInputError, match=r"^/dev/zero is a device, .*; name a file$"):
        read("/dev/zero")
