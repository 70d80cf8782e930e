"""Encoded images (JPEG, PNG, ...) turned into arrays, one thread or many."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from hasnas.errors import BadInputError

SUFFIXES = (".jpeg", ".jpg", ".png", ".bmp", ".ppm", ".pgm", ".webp", ".tif", ".tiff")
BATCH = 256


def decode_image(
    data: bytes | Path, channels: int, size: tuple[int, int] | None, where: str | Path
) -> NDArray[np.uint8]:
    """One image as `[C, H, W]`.

    Args:
        data: encoded image, or the file that holds it.
        channels: 1 for grey, 3 for colour; the image is converted.
        size: wanted (height, width): the image is scaled so that it covers this, then cropped around the centre; None
            keeps its own.
        where: what to call the image in a message.

    Raises:
        BadInputError: if it is no image, damaged, or so large that it must be a bomb.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data) if isinstance(data, bytes) else data) as image:
                converted = image.convert("L" if channels == 1 else "RGB")
    except (OSError, ValueError, SyntaxError, UnidentifiedImageError, Image.DecompressionBombError,
            Image.DecompressionBombWarning) as error:  # fmt: skip
        raise BadInputError(f"{where} is not a readable image ({error}); remove it or fetch it again") from error
    pixels = np.asarray(_cover(converted, size) if size else converted)
    return pixels[None] if channels == 1 else np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _cover(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    height, width = size
    scale = max(height / image.height, width / image.width)
    if scale != 1:
        scaled = (max(width, round(image.width * scale)), max(height, round(image.height * scale)))
        image = image.resize(scaled, Image.Resampling.BILINEAR)
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image.crop((left, top, left + width, top + height))


def decode_all(decode: Callable[[int], NDArray[np.uint8]], out: NDArray[np.uint8]) -> None:
    """Fill `out[i]` with `decode(i)`; the codecs release the interpreter, so threads share the work.

    Args:
        decode: gives the image of an index; must fit `out`.
        out: array `[N, C, H, W]` to fill.
    """

    def fill(start: int) -> None:
        for index in range(start, min(start + BATCH, len(out))):
            out[index] = decode(index)

    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        for _ in pool.map(fill, range(0, len(out), BATCH)):
            pass


def image_files(folder: Path) -> list[Path]:
    """The images in a folder and its subfolders, sorted by name."""
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())


def decode_files(files: Sequence[Path], channels: int, size: tuple[int, int], out: NDArray[np.uint8]) -> None:
    """Fill `out` with the images in files, each brought to the same size."""
    decode_all(lambda index: decode_image(files[index], channels, size, files[index]), out)
