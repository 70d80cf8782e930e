"""Event-camera datasets in their official layouts: N-MNIST, CIFAR10-DVS, DVS128 Gesture."""

import struct
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hasnas.datasets.cifar10_dvs import CIFAR10_DVS
from hasnas.datasets.dvs_gesture import DVS128_GESTURE
from hasnas.datasets.event_dataset import EventDataset
from hasnas.datasets.frames import Framing
from hasnas.datasets.nmnist import NMNIST, NMNIST_SMALL
from hasnas.datasets.source import SPLITS, RemoteFile
from hasnas.errors import BadInputError


def small(source: EventDataset) -> EventDataset:
    files = tuple(RemoteFile(file.name) for file in source.recorded.files)
    return replace(source, recorded=replace(source.recorded, splits={}, files=files), framing=Framing(timesteps=2))


def atis(times: list[int], x: int, y: int = 0) -> bytes:
    return b"".join(bytes([x, y, 0x80, t >> 8, t & 255]) for t in times)


def write_nmnist(root: Path) -> None:
    for digit, ident in ((7, "00002"), (3, "00001"), (7, "00003")):
        folder = root / "Train" / str(digit)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{ident}.bin").write_bytes(atis([0, 10, 20, 30], x=int(ident)))


def test_nmnist_comes_in_the_order_of_its_ids(tmp_path: Path):
    write_nmnist(tmp_path)
    samples = small(NMNIST).load("train", tmp_path)
    assert samples.targets.tolist() == [3, 7, 7]
    assert samples.inputs.shape == (3, 2, 2, 34, 34)
    assert samples.inputs[:, :, 1, 0, 1:4].tolist() == [[[2 * (a == b) for b in range(3)]] * 2 for a in range(3)]


def test_ids_order_the_recordings_and_digits_do_not(tmp_path: Path):
    for digit, ident in ((7, "00001"), (3, "00002"), (5, "00003")):
        (tmp_path / "Train" / str(digit)).mkdir(parents=True)
        (tmp_path / "Train" / str(digit) / f"{ident}.bin").write_bytes(atis([0, 10], x=1))
    assert small(NMNIST).load("train", tmp_path).targets.tolist() == [7, 3, 5]


def test_nmnist_is_read_from_its_archive(tmp_path: Path, private_cache: Path):
    write_nmnist(tmp_path / "unpacked")
    with zipfile.ZipFile(tmp_path / "Train.zip", "w") as file:
        for path in (tmp_path / "unpacked").rglob("*.bin"):
            file.write(path, path.relative_to(tmp_path / "unpacked"))
    loaded = small(NMNIST).load("train", tmp_path)
    np.testing.assert_array_equal(loaded.inputs, small(NMNIST).load("train", tmp_path / "unpacked").inputs)


def test_the_framing_is_part_of_the_cache(tmp_path: Path):
    write_nmnist(tmp_path)
    source = small(NMNIST)
    assert source.load("train", tmp_path).inputs.shape[1] == 2
    other = source.framed(Framing(timesteps=4, by="count"))
    assert other.card.timesteps == 4
    assert other.load("train", tmp_path).inputs.shape[1] == 4
    spikes = source.framed(Framing(timesteps=2, largest_count=1))
    assert (source.card.largest_count, spikes.card.largest_count) == (255, 1)
    assert (spikes.load("train", tmp_path).inputs.max(), source.load("train", tmp_path).inputs.max()) == (1, 2)


def test_recordings_give_the_events_themselves(tmp_path: Path):
    write_nmnist(tmp_path)
    events, label = next(small(NMNIST).recordings("train", tmp_path))
    assert label == 3
    assert events.t_us.tolist() == [0, 10, 20, 30]


@pytest.mark.parametrize(
    "content, message",
    [
        (atis([5, 3], x=1), "time goes back at event 1"),
        (atis([5], x=34), "off the 34 x 34 sensor"),
        (atis([5], x=1)[:-1], "truncated"),
    ],
)
def test_bad_recordings_are_named_and_not_cached(content: bytes, message: str, tmp_path: Path, private_cache: Path):
    write_nmnist(tmp_path)
    bad = tmp_path / "Train" / "7" / "00003.bin"
    bad.write_bytes(content)
    with pytest.raises(BadInputError, match=rf"{bad}.*{message}"):
        small(NMNIST).load("train", tmp_path)
    assert list(private_cache.rglob("inputs.npy")) == []


def test_a_known_disorder_can_be_sorted(tmp_path: Path):
    write_nmnist(tmp_path)
    (tmp_path / "Train" / "7" / "00003.bin").write_bytes(atis([5, 3], x=1))
    source = small(NMNIST).framed(Framing(timesteps=2, unsorted="sort"))
    assert source.load("train", tmp_path).inputs.sum() == 10


def test_a_label_that_is_no_digit_is_refused(tmp_path: Path):
    (tmp_path / "Train" / "ten").mkdir(parents=True)
    (tmp_path / "Train" / "ten" / "1.bin").touch()
    with pytest.raises(BadInputError, match="label 'ten' is outside 0 to 9"):
        NMNIST.load("train", tmp_path)


@pytest.mark.parametrize("source", [NMNIST, NMNIST_SMALL])
def test_an_incomplete_copy_is_refused(source: EventDataset, tmp_path: Path):
    write_nmnist(tmp_path / source.recorded.name)
    with pytest.raises(BadInputError, match="3 samples in the train split"):
        source.load("train", tmp_path)


def test_cifar10_dvs_holds_out_the_last_hundred_of_a_class(tmp_path: Path):
    for name in CIFAR10_DVS.recorded.class_names:
        folder = tmp_path / "cifar10-dvs" / name
        folder.mkdir(parents=True)
        for number in (0, 10, 9, 900):
            events = struct.pack(">II", 0, 7) + struct.pack(">II", (number % 7) << 8, 9)
            (folder / f"cifar10_{name}_{number}.aedat").write_bytes(b"#!AER-DAT2.0\r\n" + events)
    train, test = (small(CIFAR10_DVS).load(split, tmp_path) for split in ("train", "test"))
    assert train.targets.tolist() == [label for label in range(10) for _ in range(3)]
    assert test.targets.tolist() == list(range(10))
    rightmost = train.inputs[:3, 1, 1, 127].argmax(-1)  # numbers 0, 9, 10 in the second frame
    assert rightmost.tolist() == [127, 127 - 2, 127 - 3]


def test_cifar10_dvs_needs_the_official_names(tmp_path: Path):
    (tmp_path / "airplane").mkdir()
    (tmp_path / "airplane" / "one.aedat").touch()
    with pytest.raises(BadInputError, match="does not end in a number"):
        CIFAR10_DVS.load("train", tmp_path)


GESTURES = "class,startTime_usec,endTime_usec\n1,100,200\n11,200,301\n"


def write_gestures(root: Path, table: str = GESTURES) -> Path:
    folder = root / "DvsGesture"
    folder.mkdir(parents=True)
    words = b"".join(struct.pack("<II", x << 17 | 3, t) for t, x in ((50, 9), (100, 1), (199, 2), (200, 3), (300, 4)))
    content = b"#!AER-DAT3.1\r\n#!END-HEADER\r\n" + struct.pack("<HHIIIIII", 1, 1, 8, 4, 0, 5, 5, 5) + words
    (folder / "user01_led.aedat").write_bytes(content)
    (folder / "user01_led_labels.csv").write_text(table)
    (folder / "trials_to_train.txt").write_text("user01_led.aedat\n")
    return folder


def test_gestures_are_cut_out_by_their_times(tmp_path: Path):
    write_gestures(tmp_path)
    samples = small(DVS128_GESTURE).load("train", tmp_path)
    assert samples.targets.tolist() == [0, 10]
    assert samples.inputs[0, :, 1, 0, :5].tolist() == [[0, 1, 0, 0, 0], [0, 0, 1, 0, 0]]
    assert samples.inputs[1, :, 1, 0, :5].tolist() == [[0, 0, 0, 1, 0], [0, 0, 0, 0, 1]]


@pytest.mark.parametrize(
    "row, message",
    [("12,1,2", "line 2: label 12"), ("0,1,2", "label 0"), ("1,5,5", "before it starts"), ("1;2;3", "is not class")],
)
def test_damaged_tables_of_gestures_are_refused(row: str, message: str, tmp_path: Path):
    write_gestures(tmp_path, f"class,start,end\n{row}\n")
    with pytest.raises(BadInputError, match=message):
        DVS128_GESTURE.load("train", tmp_path)


def test_a_missing_recording_of_gestures_is_refused(tmp_path: Path):
    (write_gestures(tmp_path) / "user01_led.aedat").unlink()
    with pytest.raises(BadInputError, match=r"user01_led.aedat is missing"):
        DVS128_GESTURE.load("train", tmp_path)


def test_a_lone_recording_is_no_complete_copy(tmp_path: Path):
    (tmp_path / "Train" / "7").mkdir(parents=True)
    (tmp_path / "Train" / "7" / "00001.bin").write_bytes(atis([0, 10], x=1))
    with pytest.raises(BadInputError, match=r"Train/7: 1 samples in the train split, but N-MNIST has 60000"):
        NMNIST.load("train", tmp_path)
    assert len(small(NMNIST).load("train", tmp_path)) == 1


def pack(archive: Path, folder: Path) -> None:
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted(folder.rglob("*.*")):
            file.write(path, path.relative_to(folder))


def test_each_split_of_nmnist_has_its_archive(tmp_path: Path, private_cache: Path):
    for split, digit in (("Train", 3), ("Test", 8)):
        folder = tmp_path / "unpacked" / split / split / str(digit)
        folder.mkdir(parents=True)
        (folder / "00001.bin").write_bytes(atis([0, 10], x=1))
        pack(tmp_path / f"{split}.zip", tmp_path / "unpacked" / split)
    assert small(NMNIST).load("test", tmp_path).targets.tolist() == [8]
    assert small(NMNIST).load("train", tmp_path).targets.tolist() == [3]
    assert len(list((private_cache / "nmnist").glob("files-*"))) == 2, "unpacked under the name of the dataset"


def test_both_splits_of_the_small_nmnist_are_in_one_archive(tmp_path: Path):
    for split, digit in (("Train", 3), ("Test", 8)):
        (tmp_path / "unpacked" / split / str(digit)).mkdir(parents=True)
        (tmp_path / "unpacked" / split / str(digit) / "00001.bin").write_bytes(atis([0, 10], x=1))
    with tarfile.open(tmp_path / "nmnist_small.tar.xz", "w:xz") as tar:
        for split in ("Train", "Test"):
            tar.add(tmp_path / "unpacked" / split, split)
    loaded = [small(NMNIST_SMALL).load(split, tmp_path).targets.tolist() for split in SPLITS]
    assert loaded == [[3], [8]]


def test_a_damaged_archive_is_refused(tmp_path: Path, private_cache: Path):
    write_nmnist(tmp_path / "unpacked")
    pack(tmp_path / "Train.zip", tmp_path / "unpacked")
    (tmp_path / "Train.zip").write_bytes((tmp_path / "Train.zip").read_bytes()[:-30])
    with pytest.raises(BadInputError, match=r"Train.zip is damaged or truncated"):
        small(NMNIST).load("train", tmp_path)
    assert list(private_cache.rglob("files-*")) == []


def test_cifar10_dvs_has_an_archive_for_each_class(tmp_path: Path):
    for label, name in enumerate(CIFAR10_DVS.recorded.class_names):
        folder = tmp_path / "unpacked" / name
        (folder / name).mkdir(parents=True)
        content = b"#!AER-DAT2.0\r\n" + struct.pack(">II", label << 1, 7)
        (folder / name / f"cifar10_{name}_0.aedat").write_bytes(content)
        pack(tmp_path / f"{name}.zip", folder)
    train = small(CIFAR10_DVS).load("train", tmp_path)
    assert train.inputs[:, 0, 1, :, 127].argmax(-1).tolist() == [127 - label for label in range(10)]
