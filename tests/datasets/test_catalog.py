"""Datasets by name, with their choices."""

from pathlib import Path

import numpy as np
import pytest

from hasnas.datasets.catalog import open_dataset
from hasnas.datasets.frames import Framing
from hasnas.datasets.source import DATASETS
from hasnas.errors import BadInputError


def test_frames_are_chosen_for_recordings_and_ignored_for_images():
    framing = Framing(timesteps=7, by="count")
    assert open_dataset("dvs128-gesture", framing=framing).card.timesteps == 7
    assert open_dataset("tonic:NMNIST", framing=framing).framing == framing  # type: ignore[attr-defined]
    assert open_dataset("digits", framing=framing).card.timesteps is None


def test_a_users_data_are_read_from_their_place(tmp_path: Path):
    np.savez(tmp_path / "a.npz", inputs=np.arange(40.0).reshape(10, 1, 2, 2), targets=np.arange(10) % 3)
    source = open_dataset("arrays", tmp_path / "a.npz")
    assert source.card.classes == 3
    assert len(source.load("test", tmp_path)) == 2


def test_without_a_place_a_users_data_are_not_looked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("HASNAS_DATA_ROOT", str(tmp_path / "nothing"))
    assert open_dataset("arrays").card.outputs == 0
    assert open_dataset("digits", tmp_path).card.outputs == 10


def test_recordings_of_cifar10_dvs_are_fetched_from_figshare():
    numbers = {
        "airplane": 7712788, "automobile": 7712791, "bird": 7712794, "cat": 7712812, "deer": 7712815,
        "dog": 7712818, "frog": 7712842, "horse": 7712851, "ship": 7712836, "truck": 7712839,
    }  # fmt: skip
    assert {file.name: file.url for file in DATASETS.get("cifar10-dvs").card.files} == {
        f"{name}.zip": f"https://ndownloader.figshare.com/files/{number}" for name, number in numbers.items()
    }


def test_an_unknown_name_points_at_the_nearest():
    with pytest.raises(BadInputError, match="did you mean 'mnist'"):
        open_dataset("minst")


# As their publishers state them: shape of a frame, classes or values, samples of each split, bytes of the files.
PUBLISHED = {
    "bragg-peaks": ((1, 11, 11), 2, 55_548, 13_799, 0),
    "cifar10": ((3, 32, 32), 10, 50_000, 10_000, 170_052_171),
    "cifar10-dvs": ((2, 128, 128), 10, 9_000, 1_000, 0),
    "cifar10-jpeg": ((3, 32, 32), 10, 50_000, 10_000, 0),
    "cifar100": ((3, 32, 32), 100, 50_000, 10_000, 168_513_733),
    "digits": ((1, 8, 8), 10, 1_438, 359, 0),
    "japanese-vowels": ((12, 1, 29), 9, 270, 370, 0),
    "dvs128-gesture": ((2, 128, 128), 11, 1_176, 288, 0),
    "fashion-mnist": ((1, 28, 28), 10, 60_000, 10_000, 26_421_880 + 29_515 + 4_422_102 + 5_148),
    "mnist": ((1, 28, 28), 10, 60_000, 10_000, 9_912_422 + 28_881 + 1_648_877 + 4_542),
    "nmnist": ((2, 34, 34), 10, 60_000, 10_000, 0),
    "nmnist-small": ((2, 34, 34), 10, 1_000, 100, 0),
    "svhn": ((3, 32, 32), 10, 73_257, 26_032, 182_040_794 + 64_275_384),
    "tiny-imagenet": ((3, 64, 64), 200, 100_000, 10_000, 0),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_cards_say_what_is_published(name: str):
    card, (shape, outputs, train, test, size) = DATASETS.get(name).card, PUBLISHED[name]
    assert (card.name, card.input_shape, card.outputs, dict(card.splits)) == (
        name, shape, outputs, {"train": train, "test": test},
    )  # fmt: skip
    assert card.task == ("regression" if name == "bragg-peaks" else "classification")
    assert len(card.class_names) in (0, outputs)
    assert sum(file.size for file in card.files) == size
    assert {len(file.sha256) for file in card.files} <= {0, 64}
    assert {len(file.md5) for file in card.files} <= {0, 32}
    recorded = card.input_shape[0] == 2
    # Recordings are counted in ten frames by default.
    assert (card.timesteps, card.largest_count) == ((10, 255) if recorded else (None, 0))


def test_every_dataset_that_is_published_is_listed_here():
    own = {"arrays", "event-folder", "image-folder", "signal"}
    assert set(DATASETS.names()) - set(PUBLISHED) == {"bragg-generated", *own}
