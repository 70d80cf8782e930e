"""Official files: where they are looked for, and what they may hold."""

from pathlib import Path

import numpy as np
import pytest

from hasnas.datasets.mnist import MNIST
from hasnas.datasets.official import MissingFileError, check_count, check_labels, find
from hasnas.errors import BadInputError


def test_the_datasets_own_folder_comes_first(tmp_path: Path):
    (tmp_path / "file").touch()
    assert find(MNIST.card, ["other", "file"], tmp_path) == tmp_path / "file"
    (tmp_path / "mnist").mkdir()
    (tmp_path / "mnist" / "file").touch()
    assert find(MNIST.card, ["other", "file"], tmp_path) == tmp_path / "mnist" / "file"
    with pytest.raises(MissingFileError, match="mnist: nothing is neither in"):
        find(MNIST.card, ["nothing"], tmp_path)


@pytest.mark.parametrize("labels, place", [([0, 10], 1), ([-1, 3], 0)])
def test_labels_out_of_range_are_named(labels: list[int], place: int):
    with pytest.raises(BadInputError, match=f"file: label {labels[place]} of sample {place} is outside 0 to 9"):
        check_labels(np.array(labels), 10, "file")


def test_labels_in_range_become_int64():
    assert check_labels(np.array([0, 9], np.uint8), 10, "file").dtype == np.int64


def test_the_card_decides_how_many_there_are():
    check_count(MNIST.card, "test", 10_000, "file")
    with pytest.raises(BadInputError, match="9999 samples in the test split, but MNIST has 10000"):
        check_count(MNIST.card, "test", 9_999, "file")
