"""SpikeNAS-Bench as a table: every architecture of a space with its trained accuracies and firing rates."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hasnas.errors import BadInputError, nearest
from hasnas.files import DAMAGED_ARRAYS
from hasnas.search_spaces.macro import Macro
from hasnas.search_spaces.spikenas_bench import SpikeNASBenchSpace, codes_of_id

FloatArray = NDArray[np.float64]
REQUIRED = ("arch_id", "edge_ops", "epochs", "val_acc", "test_acc", "firing_rate")
EDGES = 6
RATES = 16
# Firing rates come in the order of the networks' modules, which is not the order of the genes.
RATE_PAIRS = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
REDUCTION_RATE, HEAD_RATE, CLASSIFIER_RATE = 12, 13, 14
# The macro on which the benchmark's networks were trained.
MACRO = Macro(input_shape=(3, 32, 32), classes=10, timesteps=5, channels=128, final_pool=2, hidden=1024, votes=10)


@dataclass(frozen=True, eq=False)
class BenchmarkTable:
    """Trained results of N architectures.

    Args:
        ids: benchmark number of each row, `[N]`.
        codes: choices of the six genes, `[N, 6]`.
        validation: accuracy after the last epoch in percent, `[N]`; a search may see it.
        test: test accuracy in percent, `[N]`; a search may not see it.
        rates: firing rates of the trained networks, `[N, 16]`, -1 where a layer is absent.
        epochs: training length, `[N]`.
    """

    ids: NDArray[np.int64]
    codes: NDArray[np.int16]
    validation: FloatArray
    test: FloatArray
    rates: FloatArray
    epochs: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def space(self) -> SpikeNASBenchSpace:
        """The space of the codes, on the benchmark's macro."""
        return SpikeNASBenchSpace(MACRO)

    @cached_property
    def _row_of_id(self) -> dict[int, int]:
        return {number: row for row, number in enumerate(self.ids.tolist())}

    def row(self, architecture_id: int) -> int:
        """The row of a benchmark number.

        Raises:
            BadInputError: if the table lacks it.
        """
        if architecture_id not in self._row_of_id:
            raise BadInputError(f"architecture {architecture_id} is not among the table's {len(self)}; use all of it")
        return self._row_of_id[architecture_id]


def read_table(path: Path | str) -> BenchmarkTable:
    """Read the benchmark's `.npz` file; objects in it are refused, every column is checked.

    Columns: `arch_id` `[N]`, `edge_ops` `[N, 6]`, `epochs` `[N]`, `val_acc` `[N, epochs]` in percent (NaN past the
    end), `test_acc` `[N]` in percent, `firing_rate` `[N, 16]` (-1 where a layer is absent). Others are ignored.

    Raises:
        BadInputError: naming the file and the column, if something is missing or cannot be.
    """
    columns = _read_columns(Path(path))
    for name in REQUIRED:
        if name not in columns:
            raise BadInputError(f"{path}: no column '{name}'{nearest(name, columns)}")
        if not np.issubdtype(columns[name].dtype, np.number) or np.issubdtype(columns[name].dtype, np.complexfloating):
            raise BadInputError(f"{path}: column '{name}' holds {columns[name].dtype}; give numbers")
    count = len(columns["arch_id"]) if columns["arch_id"].ndim == 1 else 0
    if not count:
        raise BadInputError(f"{path}: column 'arch_id' has shape {columns['arch_id'].shape}; give one number a row")
    wanted = {"edge_ops": (count, EDGES), "epochs": (count,), "test_acc": (count,), "firing_rate": (count, RATES)}
    for name, shape in wanted.items():
        if columns[name].shape != shape:
            raise BadInputError(f"{path}: column '{name}' has shape {columns[name].shape}; give {shape}")
    if columns["val_acc"].ndim != 2 or columns["val_acc"].shape[0] != count:
        raise BadInputError(f"{path}: column 'val_acc' has shape {columns['val_acc'].shape}; give ({count}, epochs)")
    return _table(str(path), columns)


def _read_columns(path: Path) -> dict[str, NDArray[np.generic]]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files if name in REQUIRED}
    except OSError as error:
        raise BadInputError(f"cannot read {path}: {error.strerror or error}; check the path") from error
    except DAMAGED_ARRAYS as error:
        raise BadInputError(f"{path} is not a whole .npz file of plain arrays ({error}); fetch it again") from error


def _table(path: str, columns: dict[str, NDArray[np.generic]]) -> BenchmarkTable:
    ids, codes, epochs = (_whole(path, name, columns[name]) for name in ("arch_id", "edge_ops", "epochs"))
    if len(np.unique(ids)) != len(ids):
        raise BadInputError(f"{path}: column 'arch_id' names an architecture twice; keep one row for each")
    if codes.min() < 0 or codes.max() > 4:
        raise BadInputError(f"{path}: column 'edge_ops' lies outside 0 to 4")
    expected = np.array([codes_of_id(int(number)) for number in ids])
    wrong = np.flatnonzero((codes != expected).any(axis=1))
    if len(wrong):
        raise BadInputError(
            f"{path}: architecture {ids[wrong[0]]} has edges {codes[wrong[0]].tolist()}, its number says "
            f"{expected[wrong[0]].tolist()}; numbers count in base 5, first edge first"
        )
    histories = np.asarray(columns["val_acc"], np.float64)
    if epochs.min() < 1 or epochs.max() > histories.shape[1]:
        raise BadInputError(f"{path}: column 'epochs' lies outside 1 to the {histories.shape[1]} of 'val_acc'")
    validation = histories[np.arange(len(ids)), epochs - 1]
    test, rates = np.asarray(columns["test_acc"], np.float64), np.asarray(columns["firing_rate"], np.float64)
    for name, values in (("val_acc", validation), ("test_acc", test)):
        if not ((values >= 0) & (values <= 100)).all():
            raise BadInputError(f"{path}: column '{name}' holds a final accuracy outside 0 to 100 percent")
    if not (((rates >= 0) & (rates <= 1)) | (rates == -1)).all():
        raise BadInputError(f"{path}: column 'firing_rate' holds values outside 0 to 1 (-1 where a layer is absent)")
    return BenchmarkTable(ids, codes.astype(np.int16), validation, test, rates, epochs)


def _whole(path: str, name: str, values: NDArray[np.generic]) -> NDArray[np.int64]:
    if not np.issubdtype(values.dtype, np.integer):
        raise BadInputError(f"{path}: column '{name}' holds {values.dtype} numbers; give whole numbers")
    return values.astype(np.int64)
