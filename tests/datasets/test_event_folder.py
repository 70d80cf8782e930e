"""A folder of one's own recordings, in the formats people keep them in."""

import io
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io

from hasnas.datasets.catalog import open_dataset
from hasnas.datasets.choices import Choices, Subset
from hasnas.datasets.event_folder import EventFolder, parse
from hasnas.datasets.events import Events
from hasnas.datasets.frames import Framing
from hasnas.errors import BadInputError

COLUMNS = {"t": [0, 10, 20, 90], "x": [0, 1, 2, 3], "y": [0, 0, 1, 1], "p": [1, 0, 1, 0]}


def zip_file() -> bytes:
    """A zip file that holds a text."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("x.txt", "x")
    return buffer.getvalue()


def write(folder: Path, count: int = 5, **changed: list) -> None:
    for name in ("left", "right"):
        for number in range(count):
            path = folder / name / f"{number}.npz"
            path.parent.mkdir(parents=True, exist_ok=True)
            columns = COLUMNS | changed
            moved = np.array(columns["x"]) if name == "left" else 3 - np.array(columns["x"])
            np.savez(path, **(columns | {"x": moved, "t": np.array(columns["t"]) + number}))


def opened(folder: Path, **choices: object) -> EventFolder:
    return open_dataset("event-folder", folder, Choices(Framing(2), sensor=(2, 4), **choices))  # type: ignore[arg-type, return-value]


def test_recordings_become_frames(tmp_path: Path):
    write(tmp_path)
    source = opened(tmp_path)
    card = source.card
    assert (card.input_shape, card.timesteps, card.class_names) == ((2, 2, 4), 2, ("left", "right"))
    assert dict(card.splits) == {"train": 8, "test": 2}
    train = source.load("train")
    assert train.inputs.shape == (8, 2, 2, 2, 4)
    assert train.inputs[0].nonzero()[0].tolist() == [0, 0, 0, 1]  # t = 0, 10, 20 are in the first half of 0 to 90
    assert np.argwhere(train.inputs[0])[:, 1:].tolist() == [[0, 0, 1], [1, 0, 0], [1, 1, 2], [0, 1, 3]]
    assert np.bincount(source.load("test").targets).tolist() == [1, 1]


def test_train_and_test_folders_and_parts_of_them(tmp_path: Path):
    write(tmp_path / "train", 4)
    write(tmp_path / "test", 3)
    source = opened(tmp_path, subset=Subset(train=4, test=2))
    assert dict(source.card.splits) == {"train": 4, "test": 2}
    assert np.bincount(source.load("train").targets).tolist() == [2, 2]
    with pytest.raises(BadInputError, match=r"dataset.subset.test is 7, but there are 6 recordings"):
        opened(tmp_path, subset=Subset(test=7)).load("test")


def test_the_camera_must_be_known(tmp_path: Path):
    write(tmp_path)
    with pytest.raises(BadInputError, match=r"1.npz reaches 2 x 4.; give dataset.sensor: \[HEIGHT, WIDTH\]"):
        _ = open_dataset("event-folder", tmp_path).card


def structured(names: tuple[str, ...] = ("t", "x", "y", "p")) -> np.ndarray:
    return np.rec.fromarrays([np.array(COLUMNS[name]) for name in COLUMNS], names=",".join(names))


@pytest.mark.parametrize("kind", ["npz", "npy", "csv", "txt", "mat", "h5", "structured", "spelled", "minus", "float"])
def test_formats_hold_the_same_events(kind: str, tmp_path: Path):
    path = tmp_path / f"a.{kind if kind in ('npz', 'npy', 'csv', 'txt', 'mat', 'h5') else 'npz'}"
    rows = list(zip(*COLUMNS.values(), strict=True))
    if kind == "npy":
        np.save(path, structured())
    elif kind in ("csv", "txt"):
        mark = "," if kind == "csv" else " "
        head = mark.join(COLUMNS) if kind == "csv" else "# " + mark.join(COLUMNS)
        path.write_text("\n".join([head, *(mark.join(map(str, row)) for row in rows)]))
    elif kind == "mat":
        scipy.io.savemat(path, {name: np.array(column) for name, column in COLUMNS.items()})
    elif kind == "h5":
        with h5py.File(path, "w") as file:
            file.create_group("events").update({name: np.array(column) for name, column in COLUMNS.items()})
    elif kind == "structured":
        np.savez(path, events=structured(("timestamp", "x", "y", "polarity")))
    elif kind == "spelled":
        np.savez(path, ts=COLUMNS["t"], xs=COLUMNS["x"], ys=COLUMNS["y"], pol=COLUMNS["p"])
    elif kind == "minus":
        np.savez(path, **(COLUMNS | {"p": [1, -1, 1, -1]}))
    else:
        np.savez(path, **(COLUMNS | {"t": np.array(COLUMNS["t"], float)}))
    events = parse(path.read_bytes(), (2, 4), path)
    assert columns_of(events) == COLUMNS


@pytest.mark.parametrize("ending, encoding", [("dat", "dat"), ("raw", "evt3"), ("raw", "evt2")])
def test_recordings_of_prophesee_are_read_by_a_package(ending: str, encoding: str, tmp_path: Path):
    expelliarmus = pytest.importorskip("expelliarmus")
    path = tmp_path / f"a.{ending}"
    kind = np.dtype([("t", np.int64), ("x", np.int16), ("y", np.int16), ("p", np.uint8)])
    array = np.array(list(zip(*COLUMNS.values(), strict=True)), kind)
    expelliarmus.Wizard(encoding=encoding).save(fpath=str(path), arr=array)
    assert columns_of(parse(path.read_bytes(), (2, 4), path)) == COLUMNS


def columns_of(events: Events) -> dict[str, list[int]]:
    return {"t": events.t_us.tolist(), "x": events.x.tolist(), "y": events.y.tolist(), "p": events.p.tolist()}


@pytest.mark.parametrize(
    "changed, message",
    [
        ({"t": [0.0, 0.1, 0.2, 0.9]}, "t of event 1 is .*, a fraction; times are microseconds"),
        ({"x": [0, 1, 2, -3]}, "off the 4 x 2 sensor"),
        ({"p": [0, 1, 2, 3]}, "polarities are 0, 1, 2, 3"),
        ({"t": [0, 10, 5, 90]}, "time goes back"),
        ({"y": [0, 0, 1]}, "different lengths"),
    ],
)
def test_recordings_that_cannot_be_are_refused(changed: dict, message: str, tmp_path: Path):
    write(tmp_path, **changed)
    with pytest.raises(BadInputError, match=message):
        opened(tmp_path).load("train")


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("a.npz", b"no", "not a readable recording"),
        ("a.npz", zip_file(), "holds 'x.txt', which is no array"),
        ("a.csv", b"1,2,3,4\n", "does not name the columns"),
        ("a.csv", b"t,x,y\n1,2,3\n", "has no column p; it has t, x, y"),
        ("a.csv", b"t,x,y,p\n1,2,3\n", "row 2 has 3 columns, not 4"),
        ("a.aedat", b"no", "not an AEDAT 2.0 file"),
    ],
)
def test_files_that_hold_no_events_are_named(name: str, content: bytes, message: str, tmp_path: Path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadInputError, match=message):
        parse(content, (2, 4), tmp_path / name)


def test_quotes_and_marks_of_spreadsheets_are_no_part_of_a_column(tmp_path: Path):
    plain = b"t,x,y,p\n1,2,0,1\n5,3,1,0\n"
    quoted = b'\xef\xbb\xbf"t";"x";"y";"p"\r\n"1";"2";"0";"1"\r\n"5";"3";"1";"0"\r\n'
    found = [parse(content, (2, 4), tmp_path / "a.csv") for content in (plain, quoted)]
    assert repr(found[0]) == repr(found[1])
    assert "3" in repr(found[0])
