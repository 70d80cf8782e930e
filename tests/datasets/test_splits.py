"""Training and test splits compared: what cannot be of one dataset is refused, and the file to mend is named."""

from pathlib import Path

import numpy as np
import pytest

from hasnas.datasets.arrays import UserArrays
from hasnas.datasets.catalog import open_dataset
from hasnas.datasets.encoded import Coding, EncodedDataset
from hasnas.datasets.source import Samples
from hasnas.datasets.splits import compare_splits, content_digest, load_both, notes_on
from hasnas.errors import BadInputError

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (40, 1, 8, 8)).astype(np.uint8)
FLOATS = IMAGES.astype(np.float32)
CLASSES = np.arange(40) % 4
VALUES = RNG.normal(size=(40, 2)).astype(np.float32)


def folder(path: Path, train: tuple, test: tuple) -> UserArrays:
    for name, (inputs, targets) in (("train", train), ("test", test)):
        np.savez(path / f"{name}.npz", inputs=inputs, targets=targets)
    return UserArrays(path)


@pytest.mark.parametrize(
    "train, test",
    [
        ((IMAGES, CLASSES), (IMAGES[::-1], CLASSES)),
        ((FLOATS, CLASSES), (FLOATS[:3].astype(np.float64), CLASSES[:3])),
        ((FLOATS, VALUES), (FLOATS[::2], VALUES[::2])),
        ((IMAGES, VALUES), (IMAGES, VALUES * [0.5, 3] + [1, 0])),
        ((IMAGES, VALUES), (IMAGES[:3], VALUES[:3] / 1000)),  # three may lie near each other
        ((FLOATS, CLASSES), (FLOATS * 1.5, CLASSES)),  # another light is no other scale
        ((IMAGES, CLASSES > 1), (IMAGES, (CLASSES > 1).astype(np.int16))),
    ],
)
def test_splits_of_one_dataset_are_taken(train: tuple, test: tuple, tmp_path: Path):
    first, second = load_both(folder(tmp_path, train, test), None)
    assert (len(first), len(second)) == (len(train[0]), len(test[0]))


@pytest.mark.parametrize(
    "train, test, message",
    [
        ((IMAGES, CLASSES), (IMAGES, CLASSES.astype(np.float32)), r"targets are values .floats., but classes"),
        ((IMAGES, VALUES), (IMAGES, CLASSES), r"targets are classes .integers., but values"),
        ((IMAGES, VALUES), (IMAGES, VALUES[:, :1]), "1 targets for each sample, but 2"),
        ((IMAGES, VALUES), (IMAGES, VALUES * [1, 1000]), "target 1 runs from .*, but from .* in .*train"),
        ((IMAGES, VALUES * [1000, 1]), (IMAGES, VALUES), "target 0 runs from .*; bring both to one scale"),
        ((IMAGES, VALUES), (IMAGES, VALUES + [0, 273.15]), "target 1 runs from .*; bring both to one scale"),
        ((FLOATS, CLASSES), (IMAGES, CLASSES), "holds uint8, but .*train.npz float32"),
        ((IMAGES, CLASSES), (IMAGES / 255, CLASSES), "holds float32, but .*train.npz uint8"),
        ((IMAGES, CLASSES), (IMAGES[:, :, :, 1:], CLASSES), r"shape \[1, 8, 7\], but \[1, 8, 8\]"),
        ((IMAGES, CLASSES), (IMAGES[:, None], CLASSES), r"shape \[1, 1, 8, 8\], but \[1, 8, 8\]"),
        ((IMAGES, CLASSES), (IMAGES[:0], CLASSES[:0]), "holds no sample"),
        ((IMAGES, CLASSES), (IMAGES, CLASSES + 1), "class 4 does not occur in .*train.npz"),
        ((FLOATS, CLASSES), (FLOATS / 255, CLASSES), "bring both to one scale"),
        ((FLOATS / 255, CLASSES), (FLOATS, CLASSES), "bring both to one scale"),
        ((FLOATS / 255, CLASSES), ((FLOATS - 128) / 73, CLASSES), "bring both to one scale"),
        (((FLOATS - 128) / 73, CLASSES), (FLOATS / 255, CLASSES), "bring both to one scale"),
        ((IMAGES, CLASSES), (IMAGES * 0 + 7, CLASSES), "every value of every sample is 0.0274"),
        ((IMAGES, CLASSES), (np.repeat(IMAGES[:1], 40, 0), CLASSES), "all 40 samples are one and the same"),
    ],
)
def test_splits_that_differ_are_refused_and_the_test_file_is_named(
    train: tuple, test: tuple, message: str, tmp_path: Path
):
    with pytest.raises(BadInputError, match=message) as caught:
        load_both(folder(tmp_path, train, test), None)
    assert str(caught.value).startswith(str(tmp_path / "test.npz"))
    with pytest.raises(BadInputError, match=r"test.npz"):
        _ = UserArrays(tmp_path).card


@pytest.mark.parametrize(
    "inputs, targets, message",
    [
        (IMAGES, CLASSES * 0, "every sample has the label 0"),
        (IMAGES * 0, CLASSES, "every value of every sample is 0"),
        (IMAGES, np.stack([VALUES[:, 0], np.ones(40)], 1), "target 1 is 1 in every sample"),
    ],
)
def test_a_training_split_without_anything_to_learn_is_refused(inputs: np.ndarray, targets: np.ndarray, message: str,
                                                               tmp_path: Path):  # fmt: skip
    np.savez(tmp_path / "a.npz", inputs=inputs, targets=targets)
    with pytest.raises(BadInputError, match=message):
        load_both(UserArrays(tmp_path / "a.npz"), None)


def test_encodings_see_the_stored_values_compared():
    source = EncodedDataset(open_dataset("digits"), Coding("delta", timesteps=3))
    train, test = load_both(source, None)
    np.testing.assert_array_equal(train.inputs, source.load("train").inputs)
    np.testing.assert_array_equal(test.inputs, source.load("test").inputs)


def test_mistakes_that_only_look_like_data_are_told():
    def notes(inputs: np.ndarray, targets: np.ndarray, rows: slice = slice(0, 0)) -> tuple[str, ...]:
        other = Samples(inputs[::-1] + np.float32(0.5), targets[::-1])
        test = Samples(np.concatenate([inputs[rows], other.inputs]), np.concatenate([targets[rows], other.targets]))
        return notes_on(Samples(inputs, targets), test, ("train.npz", "test.npz"))

    assert notes(FLOATS, CLASSES) == ()
    assert notes(FLOATS, VALUES) == ()
    assert notes(FLOATS, CLASSES[:, None].astype(np.float32))[0].endswith("write .astype(int) for classes")
    assert notes(FLOATS, np.eye(4, dtype=np.float32)[CLASSES])[0].endswith("write .argmax(1) for classes")
    assert notes(FLOATS, CLASSES, slice(0, 3)) == (
        "3 of 43 samples of test.npz occur in train.npz too: its figure flatters",
    )
    assert "np.moveaxis" in notes(RNG.normal(size=(40, 8, 8, 3)).astype(np.float32), CLASSES)[0]
    assert notes_on(Samples(FLOATS, CLASSES), Samples(FLOATS[:1] + 1, CLASSES[:1]), ("a", "b")) == (
        "b holds no sample of 3 classes, among them class 1",
    )


def test_a_digest_says_what_samples_are_not_where_they_lie(tmp_path: Path):
    first = folder(tmp_path, (IMAGES, CLASSES), (IMAGES[::-1], CLASSES))
    digest = content_digest(*load_both(first, None))
    (tmp_path / "moved").mkdir()
    assert content_digest(*load_both(folder(tmp_path / "moved", (IMAGES, CLASSES), (IMAGES[::-1], CLASSES)), None)) == (
        digest
    )
    changed = IMAGES.copy()
    changed[7, 0, 3, 3] ^= 1
    others = [Samples(changed, CLASSES), Samples(IMAGES, (CLASSES + 1) % 4), Samples(IMAGES, CLASSES, 1 / 255)]
    assert len({content_digest(Samples(IMAGES, CLASSES)), *(content_digest(other) for other in others)}) == 4


def test_compared_are_samples_from_the_whole_split():
    mixed = np.concatenate([FLOATS[:20] / 255, FLOATS[20:]])
    with pytest.raises(BadInputError, match="one scale"):
        compare_splits(Samples(FLOATS[:20] / 255, CLASSES[:20]), Samples(mixed, CLASSES), ("a", "b"))
