"""Random variants of training batches, seeded; for images as RandAugment makes them, for events with their polarity."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from hasnas.nas.config.training import AugmentationSection

Operation = Callable[[Tensor, Tensor], Tensor]


def augment(inputs: Tensor, settings: AugmentationSection, generator: torch.Generator) -> Tensor:
    """One random variant of every sample of a batch.

    Sequences of event counts are mirrored, moved and thinned out, alike at all timesteps: their values stay counts,
    and the polarity of an event stays what it was. Static samples also meet `operations` of RandAugment's kind.

    Args:
        inputs: `[B, C, H, W]` static samples, standardised, or `[T, B, C, H, W]` event counts.
        settings: what may happen.
        generator: decides what does.

    Returns:
        A new tensor of the same shape.
    """
    static = inputs.dim() == 4
    frames = inputs.unsqueeze(0) if static else inputs
    if settings.flip:
        frames = flip(frames, _draws(frames, generator) < settings.flip)
    if settings.shift:
        offsets = torch.randint(-settings.shift, settings.shift + 1, (frames.shape[1], 2), generator=generator)
        frames = shift(frames, offsets)
    if not static:
        return drop_events(frames, settings.drop_events, generator) if settings.drop_events else frames
    return rand_augment(frames[0], settings.operations, settings.magnitude, generator)


def flip(frames: Tensor, chosen: Tensor) -> Tensor:
    """Mirror the chosen samples left and right; what became brighter still did.

    Args:
        frames: `[T, B, C, H, W]`.
        chosen: `[B]`, which samples.

    >>> flip(torch.arange(4.0).reshape(1, 2, 1, 1, 2), torch.tensor([True, False])).flatten().tolist()
    [1.0, 0.0, 2.0, 3.0]
    """
    return torch.where(chosen.reshape(-1, 1, 1, 1), frames.flip(-1), frames)


def shift(frames: Tensor, offsets: Tensor) -> Tensor:
    """Move samples by whole pixels; what leaves the frame is lost, zeros come in.

    Args:
        frames: `[T, B, C, H, W]`.
        offsets: `[B, 2]`, rows downwards and columns to the right.

    >>> shift(torch.ones(1, 1, 1, 2, 2), torch.tensor([[0, 1]])).flatten().tolist()
    [0.0, 1.0, 0.0, 1.0]
    """
    height, width = frames.shape[-2:]
    moved = torch.zeros_like(frames)
    for sample, (down, right) in enumerate(offsets.tolist()):
        rows, columns = height - abs(down), width - abs(right)
        if rows > 0 and columns > 0:
            source = frames[:, sample, :, max(-down, 0) :, max(-right, 0) :][..., :rows, :columns]
            moved[:, sample, :, max(down, 0) :, max(right, 0) :][..., :rows, :columns] = source
    return moved


def drop_events(frames: Tensor, largest: float, generator: torch.Generator) -> Tensor:
    """Lose each event independently, with a chance of its own for each sample.

    Args:
        frames: `[T, B, C, H, W]` counts of events.
        largest: largest chance.
        generator: draws the chances, uniform from 0, and the losses.
    """
    kept = 1 - largest * torch.rand(frames.shape[1], generator=generator).to(frames)
    return torch.binomial(frames, kept.reshape(-1, 1, 1, 1).expand_as(frames).contiguous(), generator=generator)


def rand_augment(images: Tensor, operations: int, magnitude: float, generator: torch.Generator) -> Tensor:
    """Operations drawn with equal chances, one after the other, each sample its own.

    The operations are: nothing, turn (up to 30 degrees), shear along rows or columns (up to 0.3), move along rows or
    columns (up to 30 %), stretch contrast, shift brightness, invert above a value (solarise), blank a square. Angles,
    shears and moves have a random sign; `magnitude` scales their range. Values are taken as standardised per channel,
    which is why equalise, posterise and colour changes of 8-bit images are not among them.

    Args:
        images: `[B, C, H, W]`.
        operations: how many for each sample; 0 changes nothing.
        magnitude: strength, 0 to 1.
        generator: draws operations, signs and places.

    Source: Cubuk et al., "RandAugment: Practical Automated Data Augmentation with a Reduced Search Space", CVPRW 2020.
    """
    for _ in range(operations):
        choices = torch.randint(0, len(OPERATIONS), (len(images),), generator=generator)
        signs = torch.randint(0, 2, (len(images),), generator=generator) * 2.0 - 1.0
        places = torch.rand(len(images), 2, generator=generator)
        strengths = torch.cat([(magnitude * signs).unsqueeze(1), places], dim=1)
        result = images.clone()
        for index, operation in enumerate(OPERATIONS):
            rows = (choices == index).nonzero().flatten()
            if len(rows):
                result[rows] = operation(images[rows], strengths[rows])
        images = result
    return images


def _affine(images: Tensor, matrix: Tensor) -> Tensor:
    grid = functional.affine_grid(matrix.to(images), list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, padding_mode="zeros", align_corners=False)


def _matrices(strengths: Tensor, row: int, column: int, largest: float) -> Tensor:
    matrix = torch.eye(2, 3).repeat(len(strengths), 1, 1)
    matrix[:, row, column] += largest * strengths[:, 0]
    return matrix


def _turn(images: Tensor, strengths: Tensor) -> Tensor:
    angle = strengths[:, 0] * math.radians(30)
    matrix = torch.zeros(len(images), 2, 3)
    matrix[:, 0, 0], matrix[:, 0, 1] = angle.cos(), -angle.sin()
    matrix[:, 1, 0], matrix[:, 1, 1] = angle.sin(), angle.cos()
    return _affine(images, matrix)


def _contrast(images: Tensor, strengths: Tensor) -> Tensor:
    mean = images.mean((1, 2, 3), keepdim=True)
    return mean + (images - mean) * (1 + 0.9 * strengths[:, :1, None, None])


def _brightness(images: Tensor, strengths: Tensor) -> Tensor:
    return images + 0.9 * strengths[:, :1, None, None]


def _solarise(images: Tensor, strengths: Tensor) -> Tensor:
    low, high = images.amin((1, 2, 3), keepdim=True), images.amax((1, 2, 3), keepdim=True)
    border = high - (high - low) * strengths[:, :1, None, None].abs()
    return torch.where(images > border, low + high - images, images)


def _blank(images: Tensor, strengths: Tensor) -> Tensor:
    height, width = images.shape[-2:]
    side = 0.5 * strengths[:, :1].abs()
    rows, columns = torch.arange(height) / height, torch.arange(width) / width
    top, left = strengths[:, 1:2] * (1 - side), strengths[:, 2:3] * (1 - side)
    inside_rows = (rows >= top) & (rows < top + side)
    inside_columns = (columns >= left) & (columns < left + side)
    hidden = (inside_rows[:, :, None] & inside_columns[:, None, :]).unsqueeze(1)
    return images.masked_fill(hidden, 0.0)


OPERATIONS: tuple[Operation, ...] = (
    lambda images, strengths: images,
    _turn,
    lambda images, strengths: _affine(images, _matrices(strengths, 0, 1, 0.3)),
    lambda images, strengths: _affine(images, _matrices(strengths, 1, 0, 0.3)),
    lambda images, strengths: _affine(images, _matrices(strengths, 0, 2, 0.6)),
    lambda images, strengths: _affine(images, _matrices(strengths, 1, 2, 0.6)),
    _contrast,
    _brightness,
    _solarise,
    _blank,
)


def mix(
    inputs: Tensor, targets: Tensor, classes: int, settings: AugmentationSection, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Samples mixed in pairs with their targets: mixup or cutmix.

        mixup    x = s x_i + (1 - s) x_j,                       y = s y_i + (1 - s) y_j
        cutmix   x_i outside, x_j inside of a rectangle,        s = share of the pixels outside

    with s from Beta(alpha, alpha), one for each batch; j is a permutation of the batch.

    Args:
        inputs: `[B, C, H, W]` or `[T, B, C, H, W]`.
        targets: `[B]` class indices.
        classes: number of classes.
        settings: alpha of each; both 0 returns everything as it is.
        generator: draws method, share, partners and rectangle.

    Returns:
        Inputs, and class probabilities `[B, classes]`.

    Source: Zhang et al., "mixup", ICLR 2018; Yun et al., "CutMix", ICCV 2019.
    """
    if not settings.mixup and not settings.cutmix:
        return inputs, targets
    cuts = settings.cutmix > 0 and (not settings.mixup or bool(torch.rand((), generator=generator) < 0.5))
    share = _beta(settings.cutmix if cuts else settings.mixup, generator)
    order = torch.randperm(len(targets), generator=generator)
    partners = inputs.index_select(inputs.dim() - 4, order)
    if cuts:
        inside = _rectangle(inputs.shape[-2], inputs.shape[-1], 1 - share, generator)
        share = 1 - float(inside.double().mean())
        mixed = torch.where(inside, partners, inputs)
    else:
        mixed = share * inputs + (1 - share) * partners
    one_hot = functional.one_hot(targets, classes).to(inputs.dtype)
    return mixed, share * one_hot + (1 - share) * one_hot[order]


def _beta(alpha: float, generator: torch.Generator) -> float:
    """One draw of Beta(alpha, alpha); torch draws it from its global generator only."""
    seed = int(torch.randint(2**62, (), generator=generator))
    return float(np.random.default_rng(seed).beta(alpha, alpha))


def _rectangle(height: int, width: int, area: float, generator: torch.Generator) -> Tensor:
    """A mask `[H, W]` of a rectangle of the image's proportions around a uniform centre, cut at the border."""
    row, column = torch.rand(2, generator=generator).tolist()
    tall, wide = round(height * math.sqrt(area)), round(width * math.sqrt(area))
    top, left = int(row * height) - tall // 2, int(column * width) - wide // 2
    mask = torch.zeros(height, width, dtype=torch.bool)
    mask[max(top, 0) : max(top + tall, 0), max(left, 0) : max(left + wide, 0)] = True
    return mask


def _draws(frames: Tensor, generator: torch.Generator) -> Tensor:
    return torch.rand(frames.shape[1], generator=generator)
