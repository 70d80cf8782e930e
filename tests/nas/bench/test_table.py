"""The benchmark's file: what is read from it, and one clear line for each way it may be wrong."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from hasnas.errors import BadInputError
from hasnas.nas.bench.table import read_table
from hasnas.search_spaces.spikenas_bench import codes_of_id

Columns = dict[str, np.ndarray]


def columns(ids: list[int] | None = None) -> Columns:
    """A small table in the benchmark's format; accuracies grow with the number."""
    numbers = np.array(ids if ids is not None else range(40), np.int16)
    history = np.full((len(numbers), 5), np.nan, np.float32)
    epochs = np.where(numbers % 2, 5, 3).astype(np.int16)
    for row, length in enumerate(epochs):
        history[row, :length] = np.linspace(20, 80 + numbers[row] % 7, length)
    return {
        "arch_id": numbers,
        "edge_ops": np.array([codes_of_id(int(number)) for number in numbers], np.int8),
        "epochs": epochs,
        "val_acc": history,
        "test_acc": (79 + numbers % 7).astype(np.float32),
        "firing_rate": np.full((len(numbers), 16), 0.1, np.float32),
        "params": np.zeros(len(numbers), np.int64),
    }


def written(path: Path, changed: Columns) -> Path:
    np.savez(path / "table.npz", **changed)
    return path / "table.npz"


def test_rows_are_read(tmp_path: Path) -> None:
    table = read_table(written(tmp_path, columns()))
    assert len(table) == 40
    assert table.codes[7].tolist() == [2, 1, 0, 0, 0, 0]
    assert table.validation[7] == 80, "the last epoch of a short training"
    assert table.validation[8] == 81
    assert table.row(12) == 12
    with pytest.raises(BadInputError, match="architecture 99"):
        table.row(99)


WRONG: dict[str, tuple[Columns, str]] = {
    "text": ({"test_acc": np.array(["a"] * 40)}, "'test_acc' holds"),
    "short": ({"test_acc": np.zeros(39)}, r"'test_acc' has shape \(39,\)"),
    "flat": ({"edge_ops": np.zeros(40, np.int8)}, "'edge_ops' has shape"),
    "history": ({"val_acc": np.zeros(40)}, "'val_acc' has shape"),
    "fractions": ({"arch_id": np.arange(40.0)}, "'arch_id' holds float64"),
    "twice": ({"arch_id": np.zeros(40, np.int16)}, "names an architecture twice"),
    "operations": ({"edge_ops": np.full((40, 6), 7, np.int8)}, "outside 0 to 4"),
    "other order": ({"edge_ops": np.zeros((40, 6), np.int8)}, "its number says"),
    "epochs": ({"epochs": np.full(40, 9, np.int16)}, "'epochs' lies outside 1 to the 5"),
    "unfinished": ({"epochs": np.full(40, 5, np.int16)}, "'val_acc' holds a final accuracy"),
    "accuracy": ({"test_acc": np.full(40, 101.0)}, "'test_acc' holds a final accuracy"),
    "not a number": ({"test_acc": np.full(40, np.nan)}, "'test_acc' holds a final accuracy"),
    "rates": ({"firing_rate": np.full((40, 16), 2.0)}, "'firing_rate' holds values"),
    "empty": ({"arch_id": np.zeros((0,), np.int16)}, "give one number a row"),
    "scalar": ({"arch_id": np.array(3)}, "give one number a row"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_columns(name: str, tmp_path: Path) -> None:
    changed, message = WRONG[name]
    path = written(tmp_path, columns() | changed)
    with pytest.raises(BadInputError, match=message) as caught:
        read_table(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_column(tmp_path: Path) -> None:
    kept = {name: values for name, values in columns().items() if name != "firing_rate"}
    with pytest.raises(BadInputError, match="no column 'firing_rate'"):
        read_table(written(tmp_path, kept))


def test_objects_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path, columns() | {"test_acc": np.array([{}] * 40, object)})
    with pytest.raises(BadInputError, match="plain arrays"):
        read_table(path)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 torn", b"text"])
def test_files_that_are_no_tables(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "table.npz"
    path.write_bytes(content)
    with pytest.raises(BadInputError, match=str(path)):
        read_table(path)


def test_truncated_and_absent_files(tmp_path: Path) -> None:
    path = written(tmp_path, columns())
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(BadInputError, match="fetch it again"):
        read_table(path)
    with pytest.raises(BadInputError, match="check the path"):
        read_table(tmp_path / "absent.npz")
    np.save(tmp_path / "single.npy", np.zeros(3))
    with pytest.raises(BadInputError, match="not a whole"):
        read_table(tmp_path / "single.npy")


if "HASNAS_DATA_ROOT" in os.environ:

    def test_the_published_table() -> None:
        table = read_table(Path(os.environ["HASNAS_DATA_ROOT"]) / "spikenas_bench" / "cifar10.npz")
        assert len(table) == 15_625
        assert int(table.ids[np.argmax(table.test)]) == 12_617
        connected = table.space.canonical(table.codes)[1]
        np.testing.assert_array_equal(connected, table.test > 15)
