"""Preview sheets: pictures of images, of events, of regression targets."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from hasnas.datasets.digits import DIGITS
from hasnas.datasets.preview import _draw, picture, write_sheet
from hasnas.datasets.source import Samples
from hasnas.errors import BadInputError


def test_colours_grey_and_events_become_pictures():
    assert picture(np.ones((3, 2, 4), np.float32), events=False).shape == (2, 4, 3)
    grey = picture(np.array([0.0, 0.5], np.float32).reshape(1, 1, 2), events=False)
    assert grey.tolist() == [[[0, 0, 0], [0.5, 0.5, 0.5]]]
    both = np.zeros((2, 1, 4), np.float32)
    both[0, 0, 0], both[1, 0, 1], both[0, 0, 3] = 2, 2, 1
    assert picture(both, events=True)[0].tolist() == [[0, 0, 1], [1, 0, 0], [1, 1, 1], [0.5, 0.5, 1]]
    assert picture(both / 2, events=True)[0, 0].tolist() == [0, 0, 1], "one event is seen as clearly as many"
    assert picture(both / 4, events=False)[0, :, 0].tolist() == [0.25, 0.25, 0, 0.125], "the mean of both channels"
    assert picture(np.ones((1, 1, 1), np.float32), events=True).tolist() == [[[1, 1, 1]]], "one channel is grey"
    wide = np.array([-1, 1, 3], np.float32).reshape(1, 1, 3)
    assert picture(wide, events=False)[0, :, 0].tolist() == [0, 0.5, 1], "scaled to what can be seen"


@pytest.mark.slow
@pytest.mark.parametrize(
    "shape, targets, task",
    [
        ((40, 1, 8, 8), np.arange(40) % 10, "classification"),
        ((3, 3, 8, 8), np.arange(3), "classification"),
        ((9, 20, 2, 8, 8), np.arange(9), "classification"),
        ((9, 1, 8, 8), np.full((9, 2), 0.5, np.float32), "regression"),
    ],
)
def test_a_sheet_is_a_png_that_the_seed_decides(shape: tuple[int, ...], targets: np.ndarray, task, tmp_path: Path):
    inputs = np.random.default_rng(0).integers(0, 9, shape, np.uint8)
    samples = Samples(inputs, targets, scale=1 / 255 if len(shape) == 4 else 1.0)
    card = replace(DIGITS.card, task=task)
    for name in ("a.png", "b.png"):
        write_sheet(card, samples, tmp_path / name, seed=3)
    content = (tmp_path / "a.png").read_bytes()
    assert content == (tmp_path / "b.png").read_bytes()
    assert Image.open(io.BytesIO(content)).format == "PNG"


def test_a_sheet_that_cannot_be_written_is_reported(tmp_path: Path):
    with pytest.raises(BadInputError, match="cannot write"):
        write_sheet(DIGITS.card, DIGITS.load("test"), tmp_path / "nowhere" / "a.png", count=1)


def test_a_point_is_marked_where_its_target_says():
    axes = Figure().subplots(1, 1, squeeze=False)[0]
    card = replace(DIGITS.card, task="regression")
    _draw(axes, np.zeros((1, 4, 8), np.float32), card, np.array([0.25, 0.75]))
    # A quarter of 8 columns and three quarters of 4 rows; pixels are centred on whole numbers.
    assert axes[0].lines[0].get_xydata().tolist() == [[1.5, 2.5]]
    assert axes[0].get_title() == "0.25, 0.75"


def test_frames_are_shown_from_the_first_to_the_last():
    axes = Figure().subplots(1, 3, squeeze=False)[0]
    frames = np.zeros((5, 2, 1, 1), np.float32)
    frames[:, 1, 0, 0] = [0, 1, 0, 0, 1]
    _draw(axes, frames, DIGITS.card, 7)
    shown = [axis.images[0].get_array()[0, 0].tolist() for axis in axes]
    assert [pixel == [1, 1, 1] for pixel in shown] == [True, True, False]
    assert axes[0].get_title() == "7"


def test_only_a_pair_of_targets_is_a_point():
    axes = Figure().subplots(1, 1, squeeze=False)[0]
    _draw(axes, np.zeros((1, 4, 8), np.float32), replace(DIGITS.card, task="regression"), np.array([0.25, 0.75, 0.5]))
    assert len(axes[0].lines) == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    "shape, count, columns, rows",
    [
        ((40, 1, 2, 2), 32, 8, 4),
        ((40, 1, 2, 2), 9, 8, 2),
        ((3, 1, 2, 2), 32, 3, 1),
        ((9, 20, 2, 2, 2), 32, 12, 8),
        ((2, 3, 2, 2, 2), 32, 3, 2),
        ((9, 3, 2, 2, 2), 1, 3, 1),
    ],
)
def test_a_sheet_has_eight_pictures_or_twelve_frames_in_a_row(shape, count: int, columns: int, rows: int, tmp_path):
    samples = Samples(np.zeros(shape, np.uint8), np.zeros(shape[0], np.int64))
    write_sheet(DIGITS.card, samples, tmp_path / "a.png", count)
    # A hundred dots to the inch: a picture is 1.1 inches wide, 1.3 high with its title; 0.4 for the sheet's title.
    assert Image.open(tmp_path / "a.png").size == (110 * columns, 130 * rows + 40)


@pytest.mark.slow
def test_where_samples_end_the_sheet_stays_empty(tmp_path: Path):
    samples = Samples(np.zeros((9, 1, 2, 2), np.uint8), np.zeros(9, np.int64))
    write_sheet(DIGITS.card, samples, tmp_path / "a.png")
    sheet = np.asarray(Image.open(tmp_path / "a.png").convert("L"))
    black = (sheet[200:] == 0).mean(0) > 0.4  # columns of the second row's pictures
    assert black[:110].any()
    assert not black[120:].any()


@pytest.mark.slow
def test_the_seed_is_0_where_none_is_given(tmp_path: Path):
    samples = Samples(np.random.default_rng(0).random((40, 1, 2, 2), np.float32), np.zeros(40, np.int64))
    write_sheet(DIGITS.card, samples, tmp_path / "default", count=4)
    for seed in (0, 1):
        write_sheet(DIGITS.card, samples, tmp_path / str(seed), count=4, seed=seed)
        assert ((tmp_path / str(seed)).read_bytes() == (tmp_path / "default").read_bytes()) == (seed == 0)
