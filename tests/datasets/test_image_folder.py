"""A user's folder of images, with and without a test folder."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hasnas.datasets.image_folder import ImageFolder
from hasnas.errors import BadInputError


def write(folder: Path, count: int, shape: tuple[int, int] = (6, 8)) -> None:
    for label, name in enumerate(("cat", "dog")):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            Image.fromarray(np.full((*shape, 3), 100 * label + number, np.uint8)).save(folder / name / f"{number}.png")


@pytest.mark.parametrize("test_folder", ["test", "val"])
def test_a_training_and_a_test_folder_are_the_splits(test_folder: str, tmp_path: Path):
    write(tmp_path / "train", 3)
    write(tmp_path / test_folder, 2)
    source = ImageFolder(tmp_path)
    card = source.card
    assert (card.input_shape, card.classes, card.class_names) == ((3, 6, 8), 2, ("cat", "dog"))
    assert dict(card.splits) == {"train": 6, "test": 4}
    samples = source.load("test")
    assert samples.inputs[:, 0, 0, 0].tolist() == [0, 1, 100, 101]
    assert samples.targets.tolist() == [0, 0, 1, 1]
    assert samples.scale == 1 / 255


def test_without_a_test_folder_a_fifth_of_each_class_is_held_out(tmp_path: Path):
    write(tmp_path, 10)
    source = ImageFolder().located(tmp_path)
    train, test = source.load("train"), source.load("test")
    assert np.bincount(test.targets).tolist() == [2, 2]
    together = sorted([*train.inputs[:, 0, 0, 0].tolist(), *test.inputs[:, 0, 0, 0].tolist()])
    assert together == [*range(10), *range(100, 110)]


def test_images_are_brought_to_the_wanted_size_and_channels(tmp_path: Path):
    write(tmp_path, 5)
    assert ImageFolder(tmp_path, size=(4, 4), channels=1).load("train").inputs.shape == (8, 1, 4, 4)


def test_folders_without_images_are_refused(tmp_path: Path):
    with pytest.raises(BadInputError, match="has no folders of images"):
        ImageFolder(tmp_path).load("train")
    (tmp_path / "cat").mkdir()
    with pytest.raises(BadInputError, match="holds no images"):
        ImageFolder(tmp_path).load("train")


def test_a_test_class_that_training_does_not_know_is_refused(tmp_path: Path):
    write(tmp_path / "train", 1)
    write(tmp_path / "test", 1)
    (tmp_path / "test" / "cow").mkdir()
    with pytest.raises(BadInputError, match="cow: no such class"):
        ImageFolder(tmp_path).load("test")


def test_a_damaged_image_is_named(tmp_path: Path, private_cache: Path):
    write(tmp_path, 5)
    (tmp_path / "dog" / "3.png").write_bytes(b"no image")
    with pytest.raises(BadInputError, match=r"dog/3.png is not a readable image"):
        [ImageFolder(tmp_path).load(split) for split in ("train", "test")]
    assert list(private_cache.rglob("*.part")) == []


def test_before_its_place_is_known_a_folder_has_no_size() -> None:
    card = ImageFolder(channels=1).card
    assert (card.input_shape, card.outputs, dict(card.splits)) == ((1, 0, 0), 0, {})


def test_images_of_several_sizes_are_refused_until_one_is_chosen(tmp_path: Path):
    write(tmp_path / "train", 2)
    write(tmp_path / "test", 1)
    Image.fromarray(np.zeros((3, 5, 3), np.uint8)).save(tmp_path / "train" / "cat" / "1.png")
    with pytest.raises(BadInputError, match=r"1.png 3 x 5 .* dataset.images"):
        _ = ImageFolder(tmp_path).card
    assert ImageFolder(tmp_path).shaped((6, 8), 1).load("train").inputs.shape[1:] == (1, 6, 8)
    assert ImageFolder(tmp_path, (6, 8)).shaped(None, None).card.input_shape == (3, 6, 8)


def test_images_of_16_bits_and_of_floats_keep_their_values(tmp_path: Path):
    values = np.linspace(1_000, 41_000, 24).astype(np.uint16).reshape(4, 6)
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        for number in range(5):
            Image.fromarray(values[:, ::-1] if name == "dog" else values).save(tmp_path / name / f"{number}.png")
    Image.fromarray((values / 65535).astype(np.float32)).save(tmp_path / "cat" / "5.tif")
    Image.fromarray((values >> 8).astype(np.uint8)).save(tmp_path / "cat" / "6.png")
    samples = ImageFolder(tmp_path, channels=1).load("train")
    assert (samples.inputs.dtype, samples.scale) == (np.float32, 1.0)
    for image, label in zip(samples.inputs, samples.targets, strict=True):
        expected = values[:, ::-1] if label else values
        np.testing.assert_allclose(image[0], expected / 65535, atol=1 / 200)


def test_a_damaged_first_image_is_named(tmp_path: Path):
    write(tmp_path / "train", 5)
    write(tmp_path / "test", 1)
    (tmp_path / "train" / "cat" / "0.png").write_bytes(b"no image")
    with pytest.raises(BadInputError, match=r"cat/0.png is not a readable image"):
        _ = ImageFolder(tmp_path).card
