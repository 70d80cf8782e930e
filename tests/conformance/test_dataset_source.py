"""What every registered dataset keeps to; one that can be read right here is read."""

import numpy as np
import pytest

from hasnas.datasets.source import DATASETS, SPLITS, DatasetSource, Split
from hasnas.errors import BadInputError


@pytest.mark.parametrize("name", DATASETS.names())
def test_card_tells_all_a_user_must_know(name: str):
    source = DATASETS.get(name)
    assert isinstance(source, DatasetSource)
    card = source.card
    assert card.name == name
    assert card.title
    assert card.licence
    assert card.citation
    assert len(card.input_shape) == 3
    assert card.task in ("classification", "regression")
    assert card.task == "regression" or not card.class_names or len(card.class_names) == card.classes
    assert all(len(digest) == 64 for digest in card.checksums.values())


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("name", ["digits"])
def test_samples_are_what_the_card_says(name: str, split: Split):
    source = DATASETS.get(name)
    card, samples = source.card, source.load(split)
    assert len(samples) == card.splits[split]
    frames = (card.timesteps,) if card.timesteps else ()
    assert samples.inputs.shape[1:] == (*frames, *card.input_shape)
    if card.task == "classification":
        assert samples.targets.dtype == np.int64
        assert np.unique(samples.targets).tolist() == list(range(card.classes))
    np.testing.assert_array_equal(samples.inputs, source.load(split).inputs)


@pytest.mark.parametrize("name", DATASETS.names())
def test_an_unknown_split_is_refused(name: str, tmp_path):
    with pytest.raises(BadInputError, match="choose train or test"):
        DATASETS.get(name).load("validation", tmp_path)
