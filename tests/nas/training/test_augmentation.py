import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hasnas.datasets import augment as recordings
from hasnas.datasets.events import Events
from hasnas.datasets.frames import Framing, frames
from hasnas.nas.config.training import AugmentationSection
from hasnas.nas.training.augmentation import OPERATIONS, augment, drop_events, flip, mix, rand_augment, shift

EVERYTHING = AugmentationSection(flip=0.5, shift=2, operations=2, drop_events=0.4)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def recording(seed: int, count: int = 60) -> Events:
    rng = np.random.default_rng(seed)
    t = np.sort(rng.integers(0, 1000, count))
    return Events.of(t, rng.integers(0, 6, count), rng.integers(0, 5, count), rng.integers(0, 2, count), (5, 6))


def framed(events: Events) -> torch.Tensor:
    return torch.from_numpy(frames(events, Framing(timesteps=1)).astype(np.float32)).unsqueeze(1)


@given(st.integers(0, 100), st.integers(-4, 4), st.integers(-4, 4))
def test_frames_move_as_recordings_do(seed: int, rows: int, columns: int):
    events = recording(seed)
    mirrored = flip(framed(events), torch.tensor([True]))
    assert torch.equal(mirrored, framed(recordings.flip_horizontal(events)))
    moved = shift(framed(events), torch.tensor([[rows, columns]]))
    assert torch.equal(moved, framed(recordings.shift(events, rows, columns)))


def test_dropped_events_are_single_ones():
    counts = torch.full((2, 400, 2, 3, 3), 10.0)
    thinned = drop_events(counts, 0.5, seeded())
    assert torch.equal(thinned, thinned.round())
    assert (thinned <= counts).all()
    lost = 1 - thinned.mean((0, 2, 3, 4)) / 10
    assert abs(float(lost.mean()) - 0.25) < 0.03
    assert float(lost.max()) < 0.65


@pytest.mark.parametrize("shape", [(6, 2, 5, 5), (3, 6, 2, 5, 5)])
def test_variants_are_seeded_and_keep_the_shape(shape: tuple[int, ...]):
    inputs = torch.randint(0, 4, shape, generator=seeded()).float()
    before = inputs.clone()
    first, again, other = (augment(inputs, EVERYTHING, seeded(seed)) for seed in (1, 1, 2))
    assert first.shape == inputs.shape
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(inputs, before)
    assert torch.equal(augment(inputs, AugmentationSection(), seeded()), inputs)


def test_every_operation_changes_images_within_bounds():
    images = torch.rand(4, 3, 8, 8, generator=seeded()) - 0.5
    strengths = torch.tensor([[1.0, 0.2, 0.3], [-1.0, 0.5, 0.1], [0.5, 0.9, 0.9], [-0.5, 0.0, 0.0]])
    for index, operation in enumerate(OPERATIONS):
        changed = operation(images, strengths)
        assert changed.shape == images.shape
        assert torch.isfinite(changed).all()
        assert torch.equal(changed, images) == (index == 0)
        torch.testing.assert_close(operation(images[1:2], strengths[1:2]), changed[1:2])


def test_no_strength_leaves_most_operations_without_effect():
    images = torch.rand(50, 1, 6, 6, generator=seeded())
    torch.testing.assert_close(rand_augment(images, 3, 0.0, seeded()), images, atol=1e-5, rtol=0)


@pytest.mark.parametrize("recipe", [AugmentationSection(mixup=1.0), AugmentationSection(cutmix=1.0)])
@pytest.mark.parametrize("shape", [(5, 1, 8, 8), (2, 5, 1, 8, 8)])
def test_targets_are_mixed_as_the_inputs_are(recipe: AugmentationSection, shape: tuple[int, ...]):
    targets = torch.arange(5)
    inputs = torch.arange(5.0).reshape(-1, 1, 1, 1).expand(shape).contiguous()
    for seed in range(20):
        mixed, soft = mix(inputs, targets, 5, recipe, seeded(seed))
        torch.testing.assert_close(soft.sum(1), torch.ones(5))
        assert ((soft > 0).sum(1) <= 2).all()
        mean = mixed.mean((-3, -2, -1)) if len(shape) == 4 else mixed.mean((0, -3, -2, -1))
        torch.testing.assert_close(mean, soft @ torch.arange(5.0))


def test_without_mixing_nothing_happens():
    inputs, targets = torch.rand(4, 1, 3, 3), torch.arange(4)
    mixed, same = mix(inputs, targets, 4, AugmentationSection(flip=1.0), seeded())
    assert mixed is inputs
    assert same is targets


def test_a_coin_decides_where_both_kinds_are_on():
    inputs = torch.arange(2.0).reshape(-1, 1, 1, 1).expand(2, 1, 8, 8).contiguous()
    recipe = AugmentationSection(mixup=1.0, cutmix=1.0)
    mixed = [mix(inputs, torch.arange(2), 2, recipe, seeded(seed))[0] for seed in range(40)]
    binary = [bool(((x == 0) | (x == 1)).all()) for x in mixed]
    assert sum(binary) > 8
    assert not all(binary)
