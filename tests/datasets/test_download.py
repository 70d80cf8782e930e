"""Downloads against a server on this machine: whole, resumed, cut off, falsified."""

import hashlib
import http.server
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from hasnas.datasets.download import download, verify
from hasnas.datasets.source import RemoteFile
from hasnas.errors import BadInputError

CONTENT = np.random.default_rng(0).bytes(700_000)
DIGEST = hashlib.sha256(CONTENT).hexdigest()
MD5 = hashlib.md5(CONTENT).hexdigest()
ERRORS = {"/gone": 404, "/broken": 500, "/refused": 416}


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves CONTENT; the path says how.

    /ranges, /plain (always from the start), /cut (drops the line half-way, once), /long (too much), /gone, /broken and
    /refused (errors 404, 500 and 416), /unsized (without a length), /elsewhere (the whole, called a part).
    """

    def do_GET(self) -> None:
        server = self.server
        assert isinstance(server, Server)
        server.requests.append((self.path, self.headers.get("Range")))
        wanted = re.match(r"bytes=(\d+)-", self.headers.get("Range") or "")
        start = int(wanted.group(1)) if wanted and self.path not in ("/plain", "/elsewhere") else 0
        if self.path in ERRORS:
            self.send_error(ERRORS[self.path])
            return
        if start >= len(CONTENT):
            self.send_error(416)
            return
        body = CONTENT[start:] + (b"x" * 1000 if self.path == "/long" else b"")
        self.send_response(206 if start or self.path == "/elsewhere" else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}")
        if self.path != "/unsized":
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        cut = self.path == "/cut" and len(server.requests) == 1
        self.wfile.write(body[: len(body) // 2] if cut else body)

    def log_message(self, format: str, *args: object) -> None:
        pass


class Server(http.server.ThreadingHTTPServer):
    requests: list[tuple[str, str | None]]


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server(("127.0.0.1", 0), Handler)
    running.requests = []
    thread = threading.Thread(target=running.serve_forever, args=(0.01,))
    thread.start()
    yield running
    running.shutdown()
    thread.join()
    running.server_close()


def remote(server: Server, path: str, sha256: str = DIGEST, size: int = len(CONTENT)) -> RemoteFile:
    return RemoteFile("data.bin", sha256, f"http://127.0.0.1:{server.server_address[1]}/{path}", size)


def test_a_file_arrives_whole_and_tells_its_progress(server: Server, tmp_path: Path):
    seen: list[tuple[str, int, int]] = []
    download(remote(server, "ranges"), tmp_path / "so" / "new" / "data.bin", lambda *step: seen.append(step))
    assert (tmp_path / "so" / "new" / "data.bin").read_bytes() == CONTENT
    assert seen[-1] == ("data.bin", len(CONTENT), len(CONTENT))
    assert [path.name for path in (tmp_path / "so" / "new").iterdir()] == ["data.bin"]


@pytest.mark.parametrize("path, resumed", [("ranges", True), ("plain", False)])
def test_an_interrupted_download_goes_on(server: Server, tmp_path: Path, path: str, resumed: bool):
    (tmp_path / "data.bin.part").write_bytes(CONTENT[:300_000])
    seen: list[int] = []
    download(remote(server, path), tmp_path / "data.bin", lambda name, done, total: seen.append(done))
    assert (tmp_path / "data.bin").read_bytes() == CONTENT
    assert server.requests == [(f"/{path}", "bytes=300000-")]
    assert (seen[0] > 300_000) == resumed


def test_a_broken_connection_is_taken_up_where_it_stopped(server: Server, tmp_path: Path):
    download(remote(server, "cut"), tmp_path / "data.bin")
    assert (tmp_path / "data.bin").read_bytes() == CONTENT
    assert [asked for _, asked in server.requests] == [None, f"bytes={len(CONTENT) // 2}-"]


def test_what_arrived_is_kept_when_the_attempts_are_used_up(server: Server, tmp_path: Path):
    with pytest.raises(BadInputError, match=r"broke off after 350000 of 700000 bytes.*what arrived is kept"):
        download(remote(server, "cut"), tmp_path / "data.bin", attempts=1)
    assert (tmp_path / "data.bin.part").read_bytes() == CONTENT[: len(CONTENT) // 2]
    assert not (tmp_path / "data.bin").exists()


@pytest.mark.parametrize("size", [len(CONTENT), 0])
def test_a_part_that_was_complete_already_is_accepted(server: Server, tmp_path: Path, size: int):
    (tmp_path / "data.bin.part").write_bytes(CONTENT)
    download(remote(server, "ranges", size=size), tmp_path / "data.bin")
    assert (tmp_path / "data.bin").read_bytes() == CONTENT
    assert len(server.requests) == (not size), "where the size is known nobody is asked"


def test_a_wrong_checksum_leaves_nothing(server: Server, tmp_path: Path):
    with pytest.raises(BadInputError, match="not the official file"):
        download(remote(server, "ranges", sha256="0" * 64), tmp_path / "data.bin")
    assert list(tmp_path.iterdir()) == []


def test_a_file_without_checksum_is_never_resumed(server: Server, tmp_path: Path):
    (tmp_path / "data.bin.part").write_bytes(b"of another version")
    download(remote(server, "ranges", sha256="", size=0), tmp_path / "data.bin")
    assert server.requests == [("/ranges", None)]
    assert (tmp_path / "data.bin").read_bytes() == CONTENT


def test_more_than_announced_is_refused(server: Server, tmp_path: Path):
    with pytest.raises(BadInputError, match="more than the 700000 bytes announced"):
        download(remote(server, "long"), tmp_path / "data.bin")


def test_a_missing_page_is_reported_at_once(server: Server, tmp_path: Path):
    with pytest.raises(BadInputError, match="Not Found"):
        download(remote(server, "gone"), tmp_path / "data.bin")
    assert len(server.requests) == 1
    (tmp_path / "data.bin.part").write_bytes(CONTENT[:1000])
    with pytest.raises(BadInputError, match="Not Found"):
        download(remote(server, "gone"), tmp_path / "data.bin")
    assert (tmp_path / "data.bin.part").read_bytes() == CONTENT[:1000], "what arrived is kept"


def test_a_server_that_is_not_there_is_reported(tmp_path: Path):
    with pytest.raises(BadInputError, match=r"cannot download .*\(\[Errno \d+\] Connection refused\)"):
        download(RemoteFile("data.bin", url="http://127.0.0.1:9/data.bin"), tmp_path / "data.bin")


@pytest.mark.parametrize("url", ["", "file:///etc/passwd", "ftp://host/data.bin"])
def test_only_the_web_is_asked(url: str, tmp_path: Path):
    with pytest.raises(BadInputError, match="cannot be downloaded by a program"):
        download(RemoteFile("data.bin", url=url), tmp_path / "data.bin")


def test_a_folder_that_cannot_be_made_is_reported(server: Server, tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(BadInputError, match="cannot write"):
        download(remote(server, "ranges"), tmp_path / "file" / "data.bin")


def test_verify_prefers_the_strongest_published_checksum(tmp_path: Path):
    (tmp_path / "a").write_bytes(b"data")
    sha256, md5 = hashlib.sha256(b"data").hexdigest(), hashlib.md5(b"data").hexdigest()
    assert verify(RemoteFile("a", sha256, md5="wrong"), tmp_path / "a") == "sha256 equal"
    assert verify(RemoteFile("a", md5=md5), tmp_path / "a") == "md5 equal"
    assert verify(RemoteFile("a"), tmp_path / "a") == "no published checksum"
    assert verify(RemoteFile("a.gz", "of the packed file"), tmp_path / "a") == "no published checksum"
    with pytest.raises(BadInputError, match="not the official file"):
        verify(RemoteFile("a", "0" * 64), tmp_path / "a")
    (tmp_path / "a.gz").write_bytes(b"data")
    assert verify(RemoteFile("a.gz", sha256), tmp_path / "a.gz") == "sha256 equal"


def test_a_server_in_trouble_is_asked_three_times(server: Server, tmp_path: Path):
    with pytest.raises(BadInputError, match="Internal Server Error"):
        download(remote(server, "broken"), tmp_path / "data.bin")
    assert len(server.requests) == 3


def test_a_refused_range_that_nobody_asked_for_is_an_error(server: Server, tmp_path: Path):
    with pytest.raises(BadInputError, match=r"cannot download .*Range Not Satisfiable"):
        download(remote(server, "refused"), tmp_path / "data.bin")


def test_a_part_from_elsewhere_is_not_appended(server: Server, tmp_path: Path):
    (tmp_path / "data.bin.part").write_bytes(CONTENT[:300_000])
    download(remote(server, "elsewhere"), tmp_path / "data.bin")
    assert (tmp_path / "data.bin").read_bytes() == CONTENT


@pytest.mark.parametrize("have", [0, 300_000])
@pytest.mark.parametrize("path, total", [("ranges", len(CONTENT)), ("unsized", 0)])
def test_a_size_that_is_not_known_is_the_servers(server: Server, tmp_path: Path, path: str, total: int, have: int):
    if have:
        (tmp_path / "data.bin.part").write_bytes(CONTENT[:have])
    seen: list[tuple[str, int, int]] = []
    download(remote(server, path, size=0), tmp_path / "data.bin", lambda *step: seen.append(step))
    assert (tmp_path / "data.bin").read_bytes() == CONTENT
    assert seen[-1] == ("data.bin", len(CONTENT), total)


def test_md5_is_enough_to_resume_and_to_refuse(server: Server, tmp_path: Path):
    url = remote(server, "ranges").url
    (tmp_path / "data.bin.part").write_bytes(CONTENT[:300_000])
    download(RemoteFile("data.bin", url=url, md5=MD5), tmp_path / "data.bin")
    assert server.requests == [("/ranges", "bytes=300000-")]
    with pytest.raises(BadInputError, match="its md5 is"):
        download(RemoteFile("data.bin", url=url, md5="0" * 32), tmp_path / "other.bin")
    assert [path.name for path in tmp_path.iterdir()] == ["data.bin"]
