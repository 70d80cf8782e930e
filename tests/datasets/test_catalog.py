"""Datasets by name, with their choices."""

from pathlib import Path

import numpy as np
import pytest

from hasnas.datasets.catalog import open_dataset
from hasnas.datasets.frames import Framing
from hasnas.errors import BadInputError


def test_frames_are_chosen_for_recordings_and_ignored_for_images():
    framing = Framing(timesteps=7, by="count")
    assert open_dataset("dvs128-gesture", framing=framing).card.timesteps == 7
    assert open_dataset("tonic:NMNIST", framing=framing).framing == framing  # type: ignore[attr-defined]
    assert open_dataset("digits", framing=framing).card.timesteps is None


def test_a_users_data_are_read_from_their_place(tmp_path: Path):
    np.savez(tmp_path / "a.npz", inputs=np.zeros((10, 1, 2, 2), np.float32), targets=np.arange(10) % 3)
    source = open_dataset("arrays", tmp_path / "a.npz")
    assert source.card.classes == 3
    assert len(source.load("test", tmp_path)) == 2


def test_an_unknown_name_points_at_the_nearest():
    with pytest.raises(BadInputError, match="did you mean 'mnist'"):
        open_dataset("minst")
