"""The cache of decoded arrays: made once, checked, made anew, never half there."""

import hashlib
import json
import multiprocessing
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest

from hasnas.datasets.cache import Allocate, cache_root, cached_arrays, fingerprint_of
from hasnas.errors import BadInputError


class Counter:
    def __init__(self) -> None:
        self.calls = 0

    def build(self, allocate: Allocate) -> tuple[np.ndarray, np.ndarray]:
        self.calls += 1
        inputs = allocate((3, 2), np.uint8)
        inputs[:] = 7
        return inputs, np.arange(3)


def test_arrays_are_decoded_once_and_mapped_read_only():
    counter = Counter()
    for _ in range(2):
        inputs, targets = cached_arrays("set", "1", counter.build)
    assert counter.calls == 1
    assert isinstance(inputs, np.memmap)
    assert inputs.tolist() == [[7, 7]] * 3
    assert targets.tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match="read-only"):
        inputs[0] = 1


@pytest.mark.parametrize("file", ["inputs.npy", "targets.npy", "digests.json"])
def test_a_damaged_cache_is_made_anew(private_cache: Path, file: str):
    counter = Counter()
    cached_arrays("set", "1", counter.build)
    path = private_cache / "set" / "1" / file
    content = bytearray(path.read_bytes())
    content[-2] ^= 1
    path.write_bytes(content)
    with pytest.warns(UserWarning, match=r"decoding again") as warned:
        inputs, _ = cached_arrays("set", "1", counter.build)
    assert warned[0].filename == __file__, "the warning points at who asked"
    assert counter.calls == 2
    assert (inputs == 7).all()


def test_a_failed_build_leaves_nothing(private_cache: Path):
    def build(allocate: Allocate) -> tuple[np.ndarray, np.ndarray]:
        allocate((3, 2), np.uint8)
        raise BadInputError("image 2 is damaged")

    with pytest.raises(BadInputError, match="image 2"):
        cached_arrays("set", "1", build)
    assert list((private_cache / "set").iterdir()) == []


def test_a_cache_that_cannot_be_written_is_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("HASNAS_CACHE", str(tmp_path / "file"))
    with pytest.raises(BadInputError, match="HASNAS_CACHE"):
        cached_arrays("set", "1", Counter().build)


def test_the_fingerprint_follows_files_and_options(tmp_path: Path):
    file = tmp_path / "a"
    file.write_bytes(b"1")
    first = fingerprint_of([file], {"size": 3})
    assert fingerprint_of([file], {"size": 3}) == first
    assert len(first) == 16
    assert fingerprint_of([file], {"size": 4}) != first
    file.write_bytes(b"12")
    assert fingerprint_of([file], {"size": 3}) != first


@pytest.mark.parametrize("file", ["inputs.npy", "targets.npy"])
def test_a_cache_never_runs_what_somebody_put_there(private_cache: Path, file: str):
    counter = Counter()
    cached_arrays("set", "1", counter.build)
    folder = private_cache / "set" / "1"
    np.save(folder / file, np.array([{"an": "object"}], object), allow_pickle=True)
    digests = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in ("inputs.npy", "targets.npy")}
    (folder / "digests.json").write_text(json.dumps(digests))
    with pytest.raises(ValueError, match=r"allow_pickle=False|mapped"):
        cached_arrays("set", "1", counter.build)


@pytest.mark.parametrize("file", ["inputs.npy", "targets.npy"])
def test_a_cache_that_lacks_a_file_is_made_anew(private_cache: Path, file: str):
    counter = Counter()
    cached_arrays("set", "1", counter.build)
    (private_cache / "set" / "1" / file).unlink()
    with pytest.warns(UserWarning, match=rf"{file} is damaged; decoding again"):
        cached_arrays("set", "1", counter.build)
    assert counter.calls == 2


def test_each_dataset_and_fingerprint_has_its_own_arrays():
    counter = Counter()
    for name, fingerprint in (("set", "1"), ("set", "2"), ("other", "1"), ("set", "2")):
        cached_arrays(name, fingerprint, counter.build)
    assert counter.calls == 3


def test_another_process_may_have_been_faster(private_cache: Path):
    counter = Counter()
    cached_arrays("same", "1", counter.build)

    def build(allocate: Allocate) -> tuple[np.ndarray, np.ndarray]:
        shutil.copytree(private_cache / "same" / "1", private_cache / "set" / "1")
        return counter.build(allocate)

    assert cached_arrays("set", "1", build)[0].tolist() == [[7, 7]] * 3
    assert [path.name for path in (private_cache / "set").iterdir()] == ["1"]


def test_objects_are_never_stored():
    def build(allocate: Allocate) -> tuple[np.ndarray, np.ndarray]:
        return allocate((1, 1), np.uint8), np.array([{}], object)

    with pytest.raises(ValueError, match="Object arrays cannot be saved"):
        cached_arrays("set", "1", build)


def test_without_the_variable_the_cache_is_in_the_users_folder(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("HASNAS_CACHE")
    assert cache_root() == Path.home() / ".cache" / "hasnas" / "prepared"


def _open(folder: str) -> tuple[str, bool]:
    """What a process of its own gets of the cache: an error or nothing, and whether it decoded."""
    counter = Counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            inputs, _ = cached_arrays("set", folder, counter.build)
            return "" if (inputs == 7).all() else "other values", bool(counter.calls)
        except Exception as error:
            return repr(error), False


def test_a_damaged_cache_that_many_open_at_once_is_mended_once(private_cache: Path):
    cached_arrays("set", "1", Counter().build)
    with multiprocessing.get_context("fork").Pool(8) as pool:
        for _ in range(5):
            path = private_cache / "set" / "1" / "inputs.npy"
            content = bytearray(path.read_bytes())
            content[-2] ^= 1
            path.write_bytes(content)
            found = pool.map(_open, ["1"] * 24, chunksize=1)
            assert {error for error, _ in found} == {""}
            assert sum(decoded for _, decoded in found) == 1
