"""List, prepare, check, preview: what the command line shows."""

import functools
import hashlib
import http.server
import struct
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hasnas.datasets.commands import check, list_datasets, prepare, preview
from hasnas.datasets.mnist import MNIST
from hasnas.datasets.source import DATASETS, RemoteFile, Split
from hasnas.errors import BadInputError

NAME = "tiny-idx"


def idx(values: np.ndarray) -> bytes:
    return struct.pack(f">BBBB{values.ndim}I", 0, 0, 8, values.ndim, *values.shape) + values.tobytes()


CONTENT = {
    "train-images": idx(np.arange(4 * 784).astype(np.uint8).reshape(4, 28, 28)),
    "train-labels": idx(np.array([0, 1, 2, 9], np.uint8)),
    "test-images": idx(np.arange(7, 7 + 2 * 784).astype(np.uint8).reshape(2, 28, 28)),
    "test-labels": idx(np.array([1, 9], np.uint8)),
}


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def published(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A dataset whose four files are served on this machine."""
    folder = tmp_path_factory.mktemp("served")
    for name, content in CONTENT.items():
        (folder / name).write_bytes(content)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    url = f"http://127.0.0.1:{server.server_address[1]}"
    files = tuple(
        RemoteFile(name, hashlib.sha256(content).hexdigest(), f"{url}/{name}", len(content))
        for name, content in CONTENT.items()
    )
    card = replace(MNIST.card, name=NAME, title="Tiny", splits={"train": 4, "test": 2}, files=files)
    monkeypatch.setitem(DATASETS._loaded, NAME, replace(MNIST, card=card))
    yield
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.usefixtures("published")
def test_a_dataset_is_fetched_checked_and_then_present(tmp_path: Path):
    assert {row.card.name: row.state for row in list_datasets(tmp_path)}[NAME] == "absent"
    names: list[str] = []
    assert prepare(NAME, tmp_path, progress=lambda name, done, total: names.append(name)) == {"train": 4, "test": 2}
    assert list(dict.fromkeys(names)) == list(CONTENT)
    assert {row.card.name: row.state for row in list_datasets(tmp_path)}[NAME] == "present"
    findings = check(NAME, tmp_path)
    assert [finding.detail for finding in findings[:4]] == ["sha256 equal"] * 4
    assert findings[4].detail == "4 samples of 1 x 28 x 28, 0 to 1 in each of 10 classes"
    assert all(finding.good for finding in findings)


@pytest.mark.usefixtures("published")
def test_what_is_there_is_not_fetched_again(tmp_path: Path):
    prepare(NAME, tmp_path)
    (tmp_path / NAME / "test-labels").unlink()
    names: list[str] = []
    prepare(NAME, tmp_path, progress=lambda name, done, total: names.append(name))
    assert set(names) == {"test-labels"}


@pytest.mark.usefixtures("published")
def test_damage_is_found_and_said(tmp_path: Path):
    prepare(NAME, tmp_path)
    path = tmp_path / NAME / "train-images"
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)
    findings = {finding.what: finding for finding in check(NAME, tmp_path)}
    assert [what for what, finding in findings.items() if not finding.good] == [str(path), "train"]
    assert "not the official file" in findings["train"].detail
    with pytest.raises(BadInputError, match="not the official file"):
        prepare(NAME, tmp_path)


def test_states_tell_what_needs_no_files():
    states = {row.card.name: row.state for row in list_datasets(Path("/nowhere"))}
    assert states["digits"] == "included"
    assert states["arrays"] == states["image-folder"] == "yours"
    assert states["mnist"] == "absent"


@pytest.mark.slow
def test_digits_are_ready_and_can_be_seen(tmp_path: Path):
    assert prepare("digits") == {"train": 1438, "test": 359}
    preview("digits", tmp_path / "digits.png")
    assert (tmp_path / "digits.png").stat().st_size > 1000


def test_what_a_program_cannot_fetch_is_said(tmp_path: Path):
    with pytest.raises(BadInputError, match=r"DvsGesture.tar.gz cannot be downloaded by a program"):
        prepare("dvs128-gesture", tmp_path)


def test_a_regression_is_described(tmp_path: Path):
    np.savez(tmp_path / "a.npz", inputs=np.arange(40.0).reshape(10, 1, 2, 2), targets=np.arange(30.0).reshape(10, 3))
    assert check("arrays", tmp_path / "a.npz")[0].detail == "8 samples of 1 x 2 x 2, 3 targets each"
    assert prepare("arrays", tmp_path / "a.npz") == {"train": 8, "test": 2}


@pytest.mark.usefixtures("published")
def test_all_files_must_be_there_to_be_present(tmp_path: Path):
    def state() -> str:
        return {row.card.name: row.state for row in list_datasets(tmp_path)}[NAME]

    (tmp_path / NAME).mkdir()
    assert state() == "absent", "an empty folder"
    for name, content in CONTENT.items():
        assert state() == "absent"
        (tmp_path / name).write_bytes(content)
    assert state() == "present", "files right under the data root"


@pytest.mark.slow
def test_a_preview_is_of_training_samples_and_seed_0_by_default(tmp_path: Path):
    inputs = np.random.default_rng(0).random((60, 1, 2, 2), np.float32)
    np.savez(tmp_path / "a.npz", inputs=inputs, targets=np.arange(60.0))
    names: list[tuple[str, Split, int]] = [("0", "train", 0), ("1", "train", 1), ("2", "test", 0)]
    for name, split, seed in names:
        preview("arrays", tmp_path / name, tmp_path / "a.npz", split, seed)
    preview("arrays", tmp_path / "default", tmp_path / "a.npz")
    same = [(tmp_path / name).read_bytes() == (tmp_path / "default").read_bytes() for name, _, _ in names]
    assert same == [True, False, False]
