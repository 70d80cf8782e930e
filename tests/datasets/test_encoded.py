"""Datasets given as spikes: what is drawn, once, and what is refused."""

from pathlib import Path

import numpy as np
import pytest

from hasnas.datasets.catalog import open_dataset
from hasnas.datasets.encoded import SAMPLES_AT_A_TIME, Coding, EncodedDataset
from hasnas.datasets.encoding import ENCODINGS, encode
from hasnas.datasets.source import DATASETS, Samples, Split
from hasnas.errors import BadInputError

DIGITS = DATASETS.get("digits")


@pytest.mark.parametrize("encoding, largest", [("poisson", 1), ("latency", 1), ("delta", 1), ("direct", 0)])
def test_the_card_says_whether_spikes_come_out(encoding: str, largest: int):
    assert EncodedDataset(DIGITS, Coding(encoding, timesteps=4)).card.largest_count == largest


@pytest.mark.parametrize("name", ENCODINGS.names())
def test_sequences_of_every_encoding(name: str):
    source = EncodedDataset(DIGITS, Coding(name, timesteps=4, seed=1))
    plain, encoded = DIGITS.load("train"), source.load("train")
    assert encoded.inputs.shape == (len(plain), 4, *source.card.input_shape)
    assert np.array_equal(encoded.targets, plain.targets)
    again = EncodedDataset(DIGITS, Coding(name, timesteps=4, seed=1)).load("train")
    assert np.array_equal(encoded.inputs, again.inputs)
    if ENCODINGS.get(name).spikes:
        assert set(np.unique(encoded.inputs)) == {0, 1}


def test_values_are_those_of_the_encoding():
    source = EncodedDataset(DIGITS, Coding("latency", timesteps=5))
    values = DIGITS.load("test").floats()
    expected = encode("latency", values, 5, np.random.default_rng(0)).swapaxes(0, 1)
    assert np.array_equal(source.load("test").floats(), expected)


def test_spikes_follow_the_values_and_differ_between_seeds_splits_and_parts():
    first, second = (EncodedDataset(DIGITS, Coding("poisson", 50, seed)).load("train").floats() for seed in (0, 1))
    values = DIGITS.load("train").floats()
    assert not np.array_equal(first, second)
    assert np.abs(first.mean(1) - values).mean() < 0.06
    assert not np.array_equal(first[:SAMPLES_AT_A_TIME], first[SAMPLES_AT_A_TIME : 2 * SAMPLES_AT_A_TIME])


class Loud:
    """Samples beyond 1."""

    card = DIGITS.card

    def load(self, split: str, root: object = None) -> Samples:
        return Samples(np.full((3, 1, 8, 8), 7, np.uint8), np.arange(3))


def test_what_cannot_be_encoded_is_refused():
    with pytest.raises(BadInputError, match=r"dataset 'digits', encoding poisson: values outside 0 to 1"):
        EncodedDataset(Loud(), Coding("poisson", 3)).load("train")
    with pytest.raises(BadInputError, match="did you mean 'poisson'"):
        Coding("poison", 3)
    for values in ({"timesteps": 0}, {"timesteps": 3, "seed": -1}):
        with pytest.raises(BadInputError, match="choose"):
            Coding("poisson", **values)


@pytest.mark.parametrize("split, number", [("train", 0), ("test", 1)])
def test_spikes_are_drawn_from_seed_split_and_place(split: Split, number: int):
    encoded = EncodedDataset(DIGITS, Coding("poisson", 3)).load(split).floats()
    values = DIGITS.load(split).floats()
    for start in range(0, len(values), 512):
        expected = encode("poisson", values[start : start + 512], 3, np.random.default_rng([0, number, start]))
        np.testing.assert_array_equal(encoded[start : start + 512], expected.swapaxes(0, 1))


def test_channels_are_multiplied():
    colours = EncodedDataset(DATASETS.get("cifar10"), Coding("delta", 4)).card
    assert (colours.input_shape, colours.timesteps) == ((6, 32, 32), 4)


def test_sequences_keep_their_own_timesteps(tmp_path: Path):
    inputs = np.random.default_rng(0).random((10, 3, 2, 4, 5), np.float32)
    np.savez(tmp_path / "a.npz", inputs=inputs, targets=np.arange(10) % 2)
    plain = open_dataset("arrays", tmp_path / "a.npz")
    encoded = open_dataset("arrays", tmp_path / "a.npz", Coding("direct", 3)).load("train")
    np.testing.assert_array_equal(encoded.inputs, plain.load("train").inputs)


def test_one_timestep_is_enough():
    assert EncodedDataset(DIGITS, Coding("direct", 1)).load("test").inputs.shape == (359, 1, 1, 8, 8)
