"""Speech that ships with sktime, and the reader of its files."""

from pathlib import Path

import numpy as np
import pytest

from hasnas.datasets.catalog import open_dataset
from hasnas.datasets.choices import Choices, SignalShape
from hasnas.datasets.ts_files import read_ts
from hasnas.errors import BadInputError

HEAD = "# free text\n@problemName x\n@timeStamps false\n@classLabel true one two\n@data\n"


def test_utterances_are_those_of_the_package():
    source = open_dataset("japanese-vowels")
    train, test = source.load("train"), source.load("test")
    assert (train.inputs.shape, test.inputs.shape) == ((270, 12, 1, 29), (370, 12, 1, 29))
    assert train.inputs[0, 0, 0, :2].tolist() == pytest.approx([1.860936, 1.891651])
    assert np.bincount(train.targets).tolist() == [30] * 9
    assert np.bincount(test.targets).tolist() == [31, 35, 88, 44, 29, 24, 40, 50, 29]
    first = train.inputs[0, 0, 0]
    assert first[-1] == first[-2]  # a shorter utterance is filled with its last frame
    by_frame = open_dataset("japanese-vowels", framing=Choices(signals=SignalShape(frames=29)))
    assert by_frame.load("train").inputs.shape == (270, 29, 12, 1, 1)
    assert (by_frame.card.input_shape, by_frame.card.timesteps) == ((12, 1, 1), 29)


def test_series_of_several_dimensions_and_lengths(tmp_path: Path):
    (tmp_path / "a.ts").write_text(HEAD + "1,2:3,4:two\n5,6,7:8,9,10:one\n")
    read = read_ts(tmp_path / "a.ts")
    assert [values.tolist() for values in read.values] == [[[1, 2], [3, 4]], [[5, 6, 7], [8, 9, 10]]]
    assert (read.targets.tolist(), read.classes) == ([1, 0], ("one", "two"))


def test_a_set_of_the_archive_is_a_signal(tmp_path: Path):
    (tmp_path / "Beats_TRAIN.ts").write_text(HEAD + "1,2:3,4:two\n5,6,7:8,9,10:one\n")
    (tmp_path / "Beats_TEST.ts").write_text(HEAD + "1,2,3,4:5,6,7,8:two\n")
    source = open_dataset("signal", tmp_path)
    train, test = source.load("train"), source.load("test")
    assert train.inputs.tolist() == [[[[1, 2, 2, 2]], [[3, 4, 4, 4]]], [[[5, 6, 7, 7]], [[8, 9, 10, 10]]]]
    assert (train.targets.tolist(), test.targets.tolist(), source.card.class_names) == ([1, 0], [1], ("one", "two"))
    (tmp_path / "Beats_TEST.ts").write_text(HEAD.replace("one two", "two one") + "1,2:5,6:two\n")
    with pytest.raises(BadInputError, match=r"Beats_TEST\.ts has other classes or dimensions than Beats_TRAIN\.ts"):
        open_dataset("signal", tmp_path).load("train")
    (tmp_path / "Other_TRAIN.ts").write_text(HEAD + "1,2:one\n")
    with pytest.raises(BadInputError, match="holds 2 sets"):
        open_dataset("signal", tmp_path).load("train")


@pytest.mark.parametrize(
    "text, message",
    [
        (HEAD, "holds no series"),
        (HEAD + "1,2:3:one\n", "a.ts:6: its dimensions are no numbers or not equally long"),
        (HEAD + "1,?:one\n", "a.ts:6: its dimensions are no numbers"),
        (HEAD + "1,NaN:one\n", "a.ts:6: no values, or some are missing"),
        (HEAD + "1,1e20:one\n", "a.ts:6 holds values beyond 1e+18"),
        (HEAD + "1,2:three\n", "class 'three' does not fit"),
        (HEAD + "1,2:one\n1:2:one\n", "a series of 2 dimensions"),
        (HEAD.replace("true", "false") + "1,2\n", "only series with class labels"),
    ],
)
def test_files_that_do_not_fit_are_named(tmp_path: Path, text: str, message: str):
    (tmp_path / "a.ts").write_text(text)
    with pytest.raises(BadInputError) as refused:
        read_ts(tmp_path / "a.ts")
    assert message in str(refused.value)
    with pytest.raises(BadInputError, match="check the path"):
        read_ts(tmp_path / "absent.ts")
