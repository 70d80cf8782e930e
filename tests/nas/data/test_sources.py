from pathlib import Path

import numpy as np
import pytest

from hasnas.datasets.encoded import Coding
from hasnas.datasets.frames import Framing
from hasnas.datasets.source import DATASETS
from hasnas.datasets.tonic_adapter import TonicDataset
from hasnas.errors import BadInputError
from hasnas.nas.config.dataset import DatasetSection, EncodingSection, FramingSection
from hasnas.nas.data.sources import check_timesteps, open_source


def test_recordings_are_framed_as_asked():
    card = open_source("nmnist-small", None, Framing(timesteps=3, by="count")).card
    assert card.timesteps == 3
    check_timesteps(card, 3, framed=True)
    with pytest.raises(BadInputError, match=r"3 frames a sample, but the network 5 timesteps; set dataset.framing: "):
        check_timesteps(card, 5, framed=True)
    check_timesteps(DATASETS.get("digits").card, 7, framed=False)


def test_own_data_need_a_place(tmp_path: Path):
    for name in ("arrays", "image-folder"):
        with pytest.raises(BadInputError, match=r"give its file or folder as dataset\.root"):
            open_source(name, None)
    inputs = np.arange(1200).astype(np.uint8).reshape(10, 3, 2, 4, 5)
    np.savez(tmp_path / "mine.npz", inputs=inputs, targets=np.arange(10) % 2)
    card = open_source("arrays", tmp_path / "mine.npz").card
    assert (card.timesteps, card.input_shape, card.outputs) == (3, (2, 4, 5), 2)
    with pytest.raises(BadInputError, match=r"set space\.macro\.timesteps to 3"):
        check_timesteps(card, 4, framed=False)


def test_static_samples_take_no_frames():
    with pytest.raises(BadInputError, match="has no event recordings"):
        open_source("mnist", None, Framing())


def test_images_can_be_encoded_and_recordings_not():
    card = open_source("digits", None, Coding("delta", timesteps=5)).card
    assert (card.timesteps, card.input_shape) == (5, (2, 8, 8))
    with pytest.raises(BadInputError, match=r"has event recordings; use dataset\.framing"):
        open_source("nmnist-small", None, Coding("poisson", timesteps=5))


def test_a_config_chooses_frames_or_an_encoding():
    section = DatasetSection(name="digits", encoding=EncodingSection(name="poisson", timesteps=6, seed=3))
    assert section.chosen_framing == Coding("poisson", 6, 3)
    with pytest.raises(ValueError, match="remove one"):
        DatasetSection(
            name="digits", framing=FramingSection(frames=4), encoding=EncodingSection(name="delta", timesteps=4)
        )


def test_tonic_is_asked_for_by_its_prefix():
    source = open_source("tonic:NMNIST", None, Framing(timesteps=6))
    assert isinstance(source, TonicDataset)
    assert (source.dataset, source.framing.timesteps) == ("NMNIST", 6)


def test_every_choice_of_frames_can_be_made_in_a_config():
    section = DatasetSection(
        name="nmnist", framing=FramingSection(frames=4, by="count", denoise_us=50, unsorted="sort", largest_count=3)
    )
    assert section.chosen_framing == Framing(4, "count", 50, "sort", 3)
