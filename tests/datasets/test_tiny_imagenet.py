"""Tiny-ImageNet-200: its folders and the table of its validation images."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hasnas.datasets.tiny_imagenet import FOLDER, TINY_IMAGENET
from hasnas.errors import BadInputError

SMALL = replace(TINY_IMAGENET, card=replace(TINY_IMAGENET.card, splits={}))


def save(path: Path, value: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((64, 64, 3), value, np.uint8)).save(path)


def write(root: Path) -> Path:
    folder = root / FOLDER
    for label, synset in enumerate(("n02", "n01")):
        for number in range(2):
            save(folder / "train" / synset / "images" / f"{synset}_{number}.JPEG", 100 * label + number)
        save(folder / "val" / "images" / f"val_{label}.JPEG", 200 + label)
    (folder / "wnids.txt").write_text("n02\nn01\n")
    (folder / "val" / "val_annotations.txt").write_text("val_1.JPEG\tn01\t0\t0\t9\t9\nval_0.JPEG\tn02\t0\t0\t9\t9\n")
    return folder


def test_classes_are_numbered_by_their_list(tmp_path: Path):
    write(tmp_path)
    train, test = SMALL.load("train", tmp_path), SMALL.load("test", tmp_path)
    assert train.targets.tolist() == [0, 0, 1, 1]
    assert train.scale == 1 / 255
    np.testing.assert_allclose(train.inputs.mean(axis=(1, 2, 3)), [0, 1, 100, 101], atol=1)
    assert test.targets.tolist() == [1, 0]
    np.testing.assert_allclose(test.inputs.mean(axis=(1, 2, 3)), [201, 200], atol=1)


def test_an_unknown_class_is_refused(tmp_path: Path):
    (write(tmp_path) / "val" / "val_annotations.txt").write_text("val_0.JPEG\tn99\t0\n")
    with pytest.raises(BadInputError, match="line 1: 'n99'"):
        SMALL.load("test", tmp_path)


def test_missing_images_are_refused(tmp_path: Path):
    (write(tmp_path) / "val" / "images" / "val_0.JPEG").unlink()
    with pytest.raises(BadInputError, match=r"val_0.JPEG is missing \(1 in all\)"):
        SMALL.load("test", tmp_path)


def test_an_incomplete_copy_is_refused(tmp_path: Path):
    write(tmp_path)
    with pytest.raises(BadInputError, match="4 samples in the train split"):
        TINY_IMAGENET.load("train", tmp_path)


def test_a_table_that_leads_out_of_its_folder_is_refused(tmp_path: Path):
    (write(tmp_path) / "val" / "val_annotations.txt").write_text("../val_0.JPEG\tn01\t0\n")
    with pytest.raises(BadInputError, match=r"val_annotations.txt, line 1"):
        SMALL.load("test", tmp_path)
