"""A sheet of samples as a PNG image: the quickest check that data are what one thinks they are."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hasnas.files import write_atomic

from .source import DatasetCard, Samples

STATIC_COLUMNS = 8
INCHES_PER_IMAGE = 1.1
MAX_FRAMES = 12


def picture(frame: NDArray[np.float32], events: bool) -> NDArray[np.float32]:
    """One frame as a picture `[H, W, 3]` with values in [0, 1].

    Args:
        frame: `[C, H, W]`; three channels are colours, other numbers are averaged to grey.
        events: whether the two channels count OFF and ON events, shown in blue and red on white.

    >>> picture(np.zeros((2, 1, 1), np.float32), events=True).tolist()
    [[[1.0, 1.0, 1.0]]]
    """
    if events and len(frame) == 2:
        off, on = frame / max(float(frame.max()), 1.0)
        return np.stack([1 - off, 1 - np.maximum(off, on), 1 - on], axis=-1).astype(np.float32)
    colours = frame if len(frame) == 3 else np.repeat(frame.mean(0, keepdims=True), 3, axis=0)
    low, high = min(float(colours.min()), 0.0), max(float(colours.max()), 1.0)
    return np.ascontiguousarray(((colours - low) / (high - low)).transpose(1, 2, 0))


def write_sheet(card: DatasetCard, samples: Samples, path: Path, count: int = 32, seed: int = 0) -> None:
    """Write a PNG sheet of randomly chosen samples with their targets; sequences take one row each.

    Args:
        card: the dataset.
        samples: where to choose from.
        path: the PNG file.
        count: how many samples; a quarter of it for sequences.
        seed: seed of the choice.

    Raises:
        BadInputError: if the file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    sequences = samples.inputs.ndim == 5
    wanted = min(max(count // 4, 1) if sequences else count, len(samples))
    chosen = np.sort(np.random.default_rng(seed).choice(len(samples), wanted, replace=False))
    columns = min(samples.inputs.shape[1], MAX_FRAMES) if sequences else min(STATIC_COLUMNS, wanted)
    rows = wanted if sequences else -(-wanted // columns)
    figure = Figure(figsize=(columns * INCHES_PER_IMAGE, rows * (INCHES_PER_IMAGE + 0.2) + 0.4), layout="constrained")
    figure.suptitle(f"{card.title}: {wanted} of {len(samples)} samples", fontsize=8)
    axes = figure.subplots(rows, columns, squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
    for place, index in enumerate(chosen):
        row = axes[place] if sequences else axes.flat[place : place + 1]
        _draw(row, samples.floats(np.array([index]))[0], card, samples.targets[index])
    buffer = io.BytesIO()
    FigureCanvasAgg(figure).print_png(buffer)
    write_atomic(path, buffer.getvalue())


def _draw(axes: Any, values: NDArray[np.float32], card: DatasetCard, target: Any) -> None:
    frames = values if values.ndim == 4 else values[None]
    shown = np.linspace(0, len(frames) - 1, len(axes)).round().astype(int)
    for axis, index in zip(axes, shown, strict=True):
        axis.imshow(picture(frames[index], events=values.ndim == 4), interpolation="nearest")
    axes[0].set_title(_label(card, target), fontsize=6)
    if card.task == "regression" and np.size(target) == 2:
        *_, height, width = frames.shape
        axes[0].plot(target[0] * width - 0.5, target[1] * height - 0.5, "r+")


def _label(card: DatasetCard, target: Any) -> str:
    if card.task == "regression":
        return ", ".join(f"{value:.3g}" for value in np.ravel(target))
    return card.class_names[int(target)] if card.class_names else str(int(target))
