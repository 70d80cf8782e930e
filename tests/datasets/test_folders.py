"""Layouts of class folders: the usual ones are read, what can be read in two ways is refused."""

from pathlib import Path

import pytest

from hasnas.datasets.folders import Layout, read_layout
from hasnas.errors import BadInputError


def make(root: Path, *files: str) -> Path:
    for name in files:
        path = root / name
        if name.endswith("/"):
            path.mkdir(parents=True, exist_ok=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"")
    return root


def read(root: Path) -> Layout:
    return read_layout(root, (".png", ".jpg"), "images")


def shown(layout: Layout, root: Path) -> tuple[list[str], list[str]]:
    return tuple([f"{label} {path.relative_to(root)}" for path, label in part] for part in (layout.train, layout.test))


@pytest.mark.parametrize(
    "train, test",
    [
        ("train", "test"),
        ("training", "testing"),
        ("Train", "Test"),
        ("train_set", "test_set"),
        ("TRAIN", "valid"),
        ("train", "val"),
        ("training_images", "validation"),
    ],
)
def test_usual_spellings_of_splits_are_known(train: str, test: str, tmp_path: Path):
    make(tmp_path, f"{train}/a/1.png", f"{train}/b/2.png", f"{test}/b/3.PNG")
    layout = read(tmp_path)
    assert layout.classes == ("a", "b")
    assert shown(layout, tmp_path) == ([f"0 {train}/a/1.png", f"1 {train}/b/2.png"], [f"1 {test}/b/3.PNG"])


def test_classes_may_lie_right_under_the_root_and_numbers_are_in_order(tmp_path: Path):
    layout = read(make(tmp_path, *(f"{number}/1.png" for number in range(12))))
    assert layout.classes == tuple(str(number) for number in range(12))
    assert layout.test == ()


def test_what_programs_leave_behind_is_no_class_and_no_sample(tmp_path: Path):
    make(tmp_path, "a/1.png", "a/._1.png", "a/.ipynb_checkpoints/1-checkpoint.png", "b/1.png", "b/inner/2.png")
    make(tmp_path, ".ipynb_checkpoints/", "__MACOSX/a/1.png", "@eaDir/1.png", "README.md")
    layout = read(tmp_path)
    assert shown(layout, tmp_path)[0] == ["0 a/1.png", "1 b/1.png", "1 b/inner/2.png"]
    assert layout.notes == ()


def test_a_class_may_be_called_like_a_split_and_a_broken_link_is_not_passed_over(tmp_path: Path):
    make(tmp_path, "test strip/1.png", "blank/1.png")
    (tmp_path / "blank" / "2.png").symlink_to(tmp_path / "absent.png")
    layout = read(tmp_path)
    assert shown(layout, tmp_path)[0] == ["0 blank/1.png", "0 blank/2.png", "1 test strip/1.png"]


def test_unlabelled_test_images_leave_the_validation_folder_as_test_split(tmp_path: Path):
    layout = read(make(tmp_path, "train/a/1.png", "train/b/1.png", "val/a/2.png", "test/3.png", "test/4.png"))
    assert shown(layout, tmp_path)[1] == ["0 val/a/2.png"]
    assert layout.notes == ("val/ is the test split: the images of test/ have no class",)


def test_a_validation_folder_beside_a_test_folder_is_told_of(tmp_path: Path):
    layout = read(make(tmp_path, "train/a/1.png", "train/b/1.png", "valid/a/2.png", "test/b/3.png", "extra/c/4.png"))
    assert shown(layout, tmp_path)[1] == ["1 test/b/3.png"]
    assert [note.split(":")[0] for note in layout.notes] == ["valid/ is not used", str(tmp_path)]
    assert "extra" in layout.notes[1]


@pytest.mark.parametrize(
    "files, message",
    [
        (["a/1.png", "b/"], "b holds no images"),
        (["train-clean/a/1.png", "train-clean/b/1.png", "test-clean/a/1.png"], "look like parts of a dataset"),
        (["train2017/a/1.png", "val2017/a/1.png"], "look like parts of a dataset"),
        (["train/a/1.png", "train/b/1.png", "holdout/b/1.png"], "holdout holds classes of .*train too; call it test/"),
        (["a/1.png", "b/1.gif"], r"b holds no images, but 1 \.gif"),
        (["a/1.png"], "one class folder only, a"),
        (["data/a/1.png", "data/b/1.png"], "with a, b inside: if those are the classes, give"),
        (["data/train/a/1.png", "data/train/b/1.png"], "data holds train; give .*data as the root"),
        (["a/train/1.png", "a/test/2.png", "b/train/1.png", "b/test/2.png"], "put train/ and test/ above the classes"),
        (["train/a/1.png", "train/b/1.png", "training/a/1.png"], "train and training, which both name the train split"),
        (["test/a/1.png", "a/1.png", "b/1.png"], "holds test, but no train folder .and a, b."),
        (["train/1.png", "train/2.png", "test/a/1.png"], "train has no folders of images .2 images without a class"),
        (["train/a/1.png", "train/b/1.png", "test/1.png"], "test holds 1 images without a class"),
        (["train/a/1.png", "train/b/1.png", "test/"], "test holds 0 images without a class"),
        (["train/a/1.png", "train/b/1.png", "test/A/1.png"], "A: no such class in .*train; did you mean|A: no such"),
        (["train/a/1.png", "train/b/1.png", "test/a/"], "test holds no images"),
        (["fold1/a/1.png", "fold2/a/1.png"], "look like parts of a dataset"),
        ([], "has no folders of images .it is empty"),
        (["1.png"], "1 images without a class"),
    ],
)
def test_what_can_be_read_in_two_ways_or_in_none_is_refused(files: list[str], message: str, tmp_path: Path):
    with pytest.raises(BadInputError, match=message) as caught:
        read(make(tmp_path, *files))
    assert "\n" not in str(caught.value)


def test_a_missing_folder_is_called_missing(tmp_path: Path):
    with pytest.raises(BadInputError, match="nothing is missing"):
        read(tmp_path / "nothing")
    with pytest.raises(BadInputError, match=r"1.png is a file, not a folder"):
        read(make(tmp_path, "1.png") / "1.png")
