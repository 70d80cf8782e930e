from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hasnas.datasets.frames import Framing
from hasnas.datasets.source import DATASETS, DatasetCard, Samples
from hasnas.errors import BadInputError
from hasnas.nas.data.samples import Normalisation, Split, batches, load_splits, training_normalisation


class Blinks:
    """Sequences of event counts, with a task of choice."""

    def __init__(self, task: str) -> None:
        self.card = DatasetCard("blinks", "Blinks", task, (2, 3, 3), 2, {}, "none", "none", timesteps=4)

    def load(self, split: str, root: object = None) -> Samples:
        rng = np.random.default_rng(0 if split == "train" else 1)
        targets = np.arange(20) % 2 if self.card.task == "classification" else rng.random((20, 2), np.float32)
        return Samples(rng.integers(0, 3, (20, 4, 2, 3, 3)).astype(np.uint8), targets)


@pytest.fixture
def _blinks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DATASETS._loaded, "blinks", Blinks("classification"))
    monkeypatch.setitem(DATASETS._loaded, "gaze", Blinks("regression"))


def contents(split: Split) -> set[bytes]:
    return {sample.numpy().tobytes() for sample in split.inputs}


def test_the_test_split_does_not_depend_on_the_seed():
    splits = [load_splits("digits", None, 0.25, seed) for seed in (0, 1)]
    assert torch.equal(splits[0].test.targets, splits[1].test.targets)
    raw = [s.test.inputs * s.normalisation.deviation[0] + s.normalisation.mean[0] for s in splits]
    torch.testing.assert_close(raw[0], raw[1])
    assert not torch.equal(splits[0].validation.targets, splits[1].validation.targets)


def test_parts_do_not_overlap_and_keep_the_classes_in_proportion():
    splits = load_splits("digits", None, 0.2, seed=3)
    parts = [contents(part) for part in (splits.train, splits.validation)]
    assert not parts[0] & parts[1]
    assert len(splits.train) + len(splits.validation) == 1438
    shares = [torch.bincount(part.targets) / len(part) for part in (splits.train, splits.validation)]
    torch.testing.assert_close(shares[0], shares[1], atol=0.01, rtol=0)
    assert splits.classes == 10


def test_only_training_samples_decide_the_normalisation():
    splits = load_splits("digits", None, 0.2, seed=0)
    assert splits.train.inputs.mean().abs() < 1e-5
    assert (splits.train.inputs.std() - 1).abs() < 1e-5
    assert splits.test.inputs.mean().abs() > 1e-5


def test_a_constant_channel_stays_finite():
    inputs = torch.stack([torch.rand(6, 2, 2), torch.full((6, 2, 2), 0.5)], dim=1)
    normalisation = training_normalisation(Split(inputs, torch.zeros(6, dtype=torch.int64)))
    assert normalisation.deviation[1] == 1.0
    assert (normalisation.apply(inputs)[:, 1] == 0).all()


@pytest.mark.usefixtures("_blinks")
def test_sequences_keep_their_zeros():
    splits = load_splits("blinks", None, 0.3, seed=0)
    assert splits.normalisation == Normalisation((0.0, 0.0), (1.0, 1.0))
    assert set(splits.train.inputs.unique().tolist()) == {0.0, 1.0, 2.0}
    assert not splits.train.is_static
    inputs, _ = next(batches(splits.train, 5))
    assert inputs.shape == (4, 5, 2, 3, 3)
    assert torch.equal(inputs[:, 2], splits.train.inputs[2])


@pytest.mark.parametrize("scale", [1.0, 1e-5, 300.0])
def test_sequences_of_real_values_are_standardised(scale: float):
    generator = torch.Generator().manual_seed(0)
    wave = torch.randn(300, 4, 2, 1, 5, generator=generator) + torch.tensor([0.0, 7.0]).reshape(2, 1, 1)
    labels = torch.zeros(300, dtype=torch.int64)
    split = Split(wave * scale, labels)
    values = training_normalisation(split).apply(split.inputs)
    torch.testing.assert_close(values.mean((0, 1, 3, 4)), torch.zeros(2), atol=1e-4, rtol=0)
    torch.testing.assert_close(values.std((0, 1, 3, 4)), torch.ones(2), atol=1e-3, rtol=0)
    spikes = (wave.abs() > 2).float() * wave * scale  # one value in thirteen; the rest is silence
    found = training_normalisation(Split(spikes[:, :, :1], labels)).apply(spikes[:, :, :1])
    assert torch.equal(found == 0, spikes[:, :, :1] == 0)
    assert float(found[found != 0].square().mean()) == pytest.approx(1, rel=1e-4)
    assert training_normalisation(split, counts=True) == Normalisation((0.0, 0.0), (1.0, 1.0))


@pytest.mark.usefixtures("_blinks")
def test_regression_learns_standardised_values():
    splits = load_splits("gaze", None, 0.3, seed=0)
    scale, train = splits.normalisation.targets, splits.train.targets.double()
    assert scale is not None
    torch.testing.assert_close(train.mean(0), torch.zeros(2).double(), atol=1e-6, rtol=0)
    torch.testing.assert_close(train.std(0), torch.ones(2).double())
    raw = torch.from_numpy(Blinks("regression").load("test").targets)
    for part in (splits.test, splits.test.take(torch.arange(20))):
        assert part.unit is not None
        torch.testing.assert_close(part.targets * part.unit + torch.tensor(scale.mean), raw)
    assert splits.train.is_regression
    assert splits.train.targets.dtype == torch.float32
    assert splits.classes == 2
    assert next(batches(splits.train, 5))[1].shape == (5, 2)


def test_a_value_that_never_differs_stays_finite():
    targets = torch.tensor([[3.0, 0.0], [3.0, 1.0]])
    scale = training_normalisation(Split(torch.rand(2, 1, 2, 2), targets)).targets
    assert scale is not None
    assert scale.apply(targets)[:, 0].tolist() == [0.0, 0.0]


def test_a_rest_too_small_is_left_out_unless_it_is_all():
    def sizes(count: int) -> list[int]:
        split = Split(torch.zeros(count, 1, 1, 1), torch.zeros(count, dtype=torch.int64))
        return [len(targets) for _, targets in batches(split, 4, smallest=2)]

    assert [sizes(count) for count in (1, 4, 5, 6, 9)] == [[1], [4], [4], [4, 2], [4, 4]]


def test_a_users_arrays_are_read_from_their_place(tmp_path: Path):
    rng = np.random.default_rng(0)
    inputs = rng.integers(0, 255, (40, 1, 4, 4)).astype(np.uint8)
    np.savez(tmp_path / "mine.npz", inputs=inputs, targets=np.arange(40) % 4)
    splits = load_splits("arrays", tmp_path / "mine.npz", 0.25, seed=0)
    assert [len(part) for part in (splits.train, splits.validation, splits.test)] == [24, 8, 8]
    assert splits.classes == 4


@given(st.integers(1, 20), st.integers(1, 25), st.integers(0, 3))
def test_batches_hold_every_sample_once(count: int, batch_size: int, seed: int):
    split = Split(torch.arange(count).float().reshape(-1, 1, 1, 1), torch.arange(count))
    parts = list(batches(split, batch_size, torch.Generator().manual_seed(seed)))
    targets = torch.cat([target for _, target in parts])
    assert sorted(targets.tolist()) == list(range(count))
    assert torch.equal(torch.cat([inputs for inputs, _ in parts]).flatten().long(), targets)
    assert all(len(target) == batch_size for _, target in parts[:-1])
    again = list(batches(split, batch_size, torch.Generator().manual_seed(seed)))
    assert all(torch.equal(first[1], second[1]) for first, second in zip(parts, again, strict=True))


def test_without_a_generator_the_order_stays():
    split = Split(torch.zeros(5, 1, 2, 2), torch.arange(5))
    assert torch.cat([target for _, target in batches(split, 2)]).tolist() == [0, 1, 2, 3, 4]


@pytest.mark.usefixtures("_blinks")
def test_wrong_requests_are_refused():
    with pytest.raises(BadInputError, match="unknown dataset 'digitz'; did you mean 'digits'"):
        load_splits("digitz", None, 0.2, 0)
    with pytest.raises(BadInputError, match="has no event recordings; remove it"):
        load_splits("digits", None, 0.2, 0, Framing(timesteps=3))
    with pytest.raises(BadInputError, match=r"inputs \[2, 1, 1, 1\] and targets \[2\]"):
        Split(torch.zeros(2, 1, 1, 1), torch.zeros(2))
    with pytest.raises(BadInputError, match="share of 1"):
        load_splits("digits", None, 1.0, 0)
    with pytest.raises(BadInputError, match="batch_size is 0"):
        next(batches(Split(torch.zeros(1, 1, 1, 1), torch.zeros(1, dtype=torch.int64)), 0))
    with pytest.raises(BadInputError, match=r"inputs \[2, 3\]"):
        Split(torch.zeros(2, 3), torch.zeros(2, dtype=torch.int64))
