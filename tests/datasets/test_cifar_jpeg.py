"""The JPEG copy of CIFAR-10: layout of its file, decoding, damage."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hasnas.datasets.cifar_jpeg import CIFAR10_JPEG, FILE
from hasnas.errors import BadInputError

SMALL = replace(CIFAR10_JPEG, card=replace(CIFAR10_JPEG.card, splits={}))
LABELS = np.array([4, 0, 9, 1, 2])
IN_TEST = np.array([False, True, False, False, True])


def plain_colour(value: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((32, 32, 3), value, np.uint8)).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def write(root: Path, **changed: np.ndarray) -> None:
    images = [plain_colour(40 * index) for index in range(5)]
    arrays = {
        "jpeg": np.frombuffer(b"".join(images), np.uint8),
        "offset": np.cumsum([0, *map(len, images)]),
        "label": LABELS,
        "is_test": IN_TEST,
    }
    np.savez(root / FILE, **(arrays | changed))


def test_each_split_holds_its_images(tmp_path: Path):
    write(tmp_path)
    train, test = SMALL.load("train", tmp_path), SMALL.load("test", tmp_path)
    assert train.targets.tolist() == [4, 9, 1]
    assert train.scale == 1 / 255
    assert test.targets.tolist() == [0, 2]
    brightness = np.concatenate([samples.inputs.mean(axis=(1, 2, 3)) for samples in (train, test)])
    np.testing.assert_allclose(brightness, [0, 80, 120, 40, 160], atol=2)


def test_the_second_load_needs_no_decoding(tmp_path: Path, private_cache: Path):
    write(tmp_path)
    first = SMALL.load("train", tmp_path)
    made = {path: path.stat().st_mtime_ns for path in private_cache.rglob("*")}
    np.testing.assert_array_equal(SMALL.load("train", tmp_path).inputs, first.inputs)
    assert {path: path.stat().st_mtime_ns for path in private_cache.rglob("*")} == made


@pytest.mark.parametrize(
    "changed, message",
    [
        ({"offset": np.array([0, 1, 2])}, "do not fit together"),
        ({"label": LABELS[:4]}, "do not fit together"),
        ({"offset": np.zeros(6, np.int64)}, "do not fit together"),
        ({"is_test": IN_TEST[:4]}, "do not fit together"),
        ({"jpeg": np.zeros(9, np.uint8), "offset": np.array([1, 2, 3, 4, 5, 9])}, "do not fit together"),
        ({"jpeg": np.zeros(9, np.uint8), "offset": np.array([0, 2, 3, 3, 5, 9])}, "do not fit together"),
        ({"jpeg": np.zeros(9, np.uint8), "offset": np.array([0, 4, 3, 4, 5, 9])}, "do not fit together"),
        ({"label": LABELS + 8}, "is outside 0 to 9"),
        ({"jpeg": np.zeros(5, np.uint8), "offset": np.arange(6)}, "image 0 is not a readable image"),
    ],
)
def test_files_that_do_not_hold_together_are_refused(changed: dict, message: str, tmp_path: Path):
    write(tmp_path, **changed)
    with pytest.raises(BadInputError, match=message):
        SMALL.load("train", tmp_path)
