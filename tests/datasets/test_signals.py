"""One-dimensional signals: arrays and files, brought to a length and a form."""

import io
import wave
import zipfile
from pathlib import Path

import numpy as np
import pytest

from hasnas.datasets.catalog import open_dataset
from hasnas.datasets.choices import Choices, SignalShape
from hasnas.datasets.signals import Signals, read_signal
from hasnas.errors import BadInputError

RNG = np.random.default_rng(0)
SIGNALS = RNG.normal(size=(40, 2, 24)).astype(np.float32)
CLASSES = np.arange(40) % 4


def archive_of(name: str, content: bytes) -> bytes:
    """A zip file that holds one file."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr(name, content)
    return buffer.getvalue()


def arrays(path: Path, inputs: np.ndarray = SIGNALS, targets: np.ndarray = CLASSES) -> Signals:
    np.savez(path / "a.npz", inputs=inputs, targets=targets)
    return Signals(path / "a.npz")


def write_wav(path: Path, values: np.ndarray, width: int) -> None:
    """Write whole numbers `[L, C]` of so many bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setparams((values.shape[1], width, 8000, 0, "NONE", ""))
        raw = values.astype("<i4").view(np.uint8).reshape(-1, 4)[:, :width]
        file.writeframes((raw ^ np.uint8(0)).tobytes() if width > 1 else (values + 128).astype(np.uint8).tobytes())


def test_arrays_become_maps_of_one_row(tmp_path: Path):
    source = arrays(tmp_path)
    train, test = source.load("train"), source.load("test")
    assert (train.inputs.shape, test.inputs.shape) == ((32, 2, 1, 24), (8, 2, 1, 24))
    assert (source.card.input_shape, source.card.outputs, source.card.timesteps) == ((2, 1, 24), 4, None)
    both = np.concatenate([train.inputs, test.inputs])[:, :, 0]
    assert {row.tobytes() for row in both} == {row.tobytes() for row in SIGNALS}
    assert arrays(tmp_path, SIGNALS[:, 0]).card.input_shape == (1, 1, 24)
    assert arrays(tmp_path, (SIGNALS * 1000).astype(np.int16)).load("train").inputs.dtype == np.float32
    values = arrays(tmp_path, targets=SIGNALS[:, :, 0])
    assert (values.card.task, values.card.outputs) == ("regression", 2)


def test_signals_are_averaged_folded_and_cut_into_frames(tmp_path: Path):
    source = arrays(tmp_path, np.arange(40 * 24.0).reshape(40, 24))
    folded = source.formed(SignalShape(every=2, rows=3)).load("train").inputs
    assert folded.shape == (32, 1, 3, 4)
    first = folded[0, 0, 0, 0] - 0.5  # mean of the first two values of the first training signal
    np.testing.assert_allclose(folded[0, 0], first + 0.5 + 2 * np.arange(12).reshape(3, 4))
    framed = source.formed(SignalShape(frames=4))
    assert framed.card.timesteps == 4
    assert framed.load("train").inputs.shape == (32, 4, 1, 1, 6)
    np.testing.assert_allclose(framed.load("train").inputs[0, :, 0, 0].ravel(), first + np.arange(24))
    assert source.formed(SignalShape(length=30)).load("train").inputs[0, 0, 0, 23:].tolist() == [first + 23] * 7
    with pytest.raises(BadInputError, match="cannot be cut into 5 frames of 5 rows"):
        source.formed(SignalShape(frames=5, rows=5)).load("train")


@pytest.mark.parametrize("width, top", [(1, 127), (2, 2**15 - 1), (3, 2**23 - 1), (4, 2**31 - 1)])
def test_wav_values_are_scaled_by_their_depth(width: int, top: int, tmp_path: Path):
    values = np.array([[0, top], [top // 2, -top], [-(top // 2), 0]])
    write_wav(tmp_path / "a.wav", values, width)
    signal = read_signal(tmp_path / "a.wav")
    assert signal.shape == (2, 3)
    np.testing.assert_allclose(signal, values.T / (top + 1), atol=1e-6)


@pytest.mark.parametrize(
    "text",
    ["a,b\n1,2\n3,4\n5,6\n", "1;2\n3;4\n5;6\n", "1\t2\n\n3\t4\n5\t6", "﻿x, y\n1, 2\n3, 4\n5, 6\n", "1 2\n3 4\n5 6"],
)
def test_csv_columns_are_channels(text: str, tmp_path: Path):
    (tmp_path / "a.csv").write_text(text, encoding="utf-8")
    assert read_signal(tmp_path / "a.csv").tolist() == [[1, 3, 5], [2, 4, 6]]


def test_a_folder_of_files_is_a_dataset(tmp_path: Path):
    for index, signal in enumerate(SIGNALS):
        path = tmp_path / f"class{CLASSES[index]}" / f"{index}.csv"
        path.parent.mkdir(exist_ok=True)
        np.savetxt(path, signal.T, delimiter=",")
    source = open_dataset("signal", tmp_path)
    assert source.card.class_names == ("class0", "class1", "class2", "class3")
    assert source.load("train").inputs.shape == (32, 2, 1, 24)
    np.savetxt(tmp_path / "class0" / "0.csv", SIGNALS[0].T[:20], delimiter=",")
    with pytest.raises(BadInputError, match=r"20 to 24 values, .* dataset.signal: .length: 24."):
        open_dataset("signal", tmp_path).load("train")
    chosen = open_dataset("signal", tmp_path, Choices(signals=SignalShape(length=20, rows=5)))
    assert chosen.load("test").inputs.shape == (8, 2, 5, 4)
    np.savetxt(tmp_path / "class0" / "0.csv", SIGNALS[0, 0])
    with pytest.raises(BadInputError, match=r"has 1 channels, .* 2; give all"):
        open_dataset("signal", tmp_path).load("train")


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("a.wav", b"RIFFxxxx", "not a readable signal"),
        ("a.csv", b"", "is empty"),
        ("a.csv", b"t\n", "holds no values|rows of 0"),
        ("a.csv", b"1,2\n3\n", "rows of 1 to 2 columns"),
        ("a.csv", b"1,x\n2,y\n", "not a readable signal"),
        ("a.csv", b"\xff\xfe\x00", "not a readable signal"),
        ("a.csv", b"1\nnan\n", "NaN"),
        ("a.npy", b"no", "not a readable signal"),
        ("a.npy", archive_of("x.txt", b"x"), "an archive of arrays, not one"),
        ("a.csv", b"1\n-1e20\n", r"a\.csv holds values beyond 1e\+18"),
    ],
)
def test_files_that_hold_no_signal_are_named(name: str, content: bytes, message: str, tmp_path: Path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadInputError, match=message) as caught:
        read_signal(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)


@pytest.mark.parametrize(
    "inputs, targets, message",
    [
        (SIGNALS[:, :, :, None], CLASSES, r"give numbers \[N, C, L\]"),
        (SIGNALS.astype(str), CLASSES, r"give numbers \[N, C, L\]"),
        (SIGNALS, CLASSES[:9], "40 samples but 9 targets"),
        (np.where(np.arange(40)[:, None, None] == 7, np.nan, SIGNALS), CLASSES, "first in sample 7"),
    ],
)
def test_arrays_that_are_no_signals_are_refused(
    inputs: np.ndarray, targets: np.ndarray, message: str, tmp_path: Path
):
    with pytest.raises(BadInputError, match=message):
        arrays(tmp_path, inputs, targets).load("train")


def test_a_folder_with_a_test_file_alone_lacks_its_training_file(tmp_path: Path):
    np.savez(tmp_path / "test.npz", inputs=SIGNALS, targets=CLASSES)
    with pytest.raises(BadInputError, match=r"train\.npz is missing .*holds test\.npz"):
        Signals(tmp_path).load("train")
