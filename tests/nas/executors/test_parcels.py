"""What travels with a task: fetched once, put where it is expected, brought back from machines that see other files."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from hasnas.nas.data.needs import Needs, SplitsKey
from hasnas.nas.data.samples import load_splits
from hasnas.nas.executors.parcels import MARK, Packer, from_arrays, read_folder, unpack, write_folder

KEY: SplitsKey = ("digits", None, 0.3, 5, None)


@dataclass(frozen=True)
class Task:
    needs: Needs


class Store:
    """Keeps values; a reference is their number."""

    def __init__(self) -> None:
        self.values: list[Any] = []

    def put(self, value: Any) -> int:
        self.values.append(value)
        return len(self.values) - 1


def test_samples_are_stored_once_and_are_the_same_bits():
    store = Store()
    packer = Packer(store.put)
    first, second = (packer.parcel(Task(Needs(KEY))) for _ in range(2))
    assert first.samples == second.samples == 0
    splits, back = load_splits(*KEY), from_arrays(store.values[0])
    assert (back.normalisation, back.classes) == (splits.normalisation, splits.classes)
    for name in ("train", "validation", "test"):
        assert torch.equal(getattr(back, name).inputs, getattr(splits, name).inputs)
        assert torch.equal(getattr(back, name).targets, getattr(splits, name).targets)


def test_handed_over_samples_are_what_a_task_loads(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("hasnas.nas.data.samples._handed", {})
    store = Store()
    parcel = Packer(store.put).parcel(Task(Needs(KEY)))
    assert not unpack(parcel, store.values.__getitem__)
    assert load_splits(*KEY) is load_splits(*KEY)
    unpack(parcel, lambda reference: pytest.fail("what is there is not fetched again"))


def test_a_file_that_differs_is_put_in_its_place(tmp_path: Path):
    weights, store = tmp_path / "supernet.safetensors", Store()
    weights.write_bytes(b"weights")
    parcel = Packer(store.put).parcel(Task(Needs(files=(str(weights), "rram-typical"))))
    assert len(parcel.files) == 1
    unpack(parcel, lambda reference: pytest.fail("this machine has the file"))
    weights.write_bytes(b"others of before")
    unpack(parcel, store.values.__getitem__)
    assert weights.read_bytes() == b"weights"
    unpack(parcel, lambda reference: pytest.fail("it is as it was sent"))


def test_checkpoints_go_to_a_machine_that_does_not_see_them_and_come_back(tmp_path: Path):
    folder, store = tmp_path / "brief" / "ab12", Store()
    folder.mkdir(parents=True)
    (folder / "last.safetensors").write_bytes(b"epoch 1")
    parcel = Packer(store.put).parcel(Task(Needs(folder=str(folder))))
    assert not unpack(parcel, store.values.__getitem__), "it sees the folder itself"
    for path in (folder / "last.safetensors", folder.parent / MARK):  # as on another machine
        path.unlink()
    assert unpack(parcel, store.values.__getitem__)
    assert read_folder(folder) == {"last.safetensors": b"epoch 1"}


def test_nothing_is_written_outside_the_folder(tmp_path: Path):
    folder = tmp_path / "ab12"
    folder.mkdir()
    write_folder(folder, {"../outside": b"1", "/tmp/hasnas-outside": b"2", "logs/inside": b"3"})
    assert {path.name for path in tmp_path.rglob("*")} == {"ab12", "logs", "inside"}
    assert not Path("/tmp/hasnas-outside").exists()
