"""Encoded images (JPEG, PNG, ...) turned into arrays, one thread or many."""

from __future__ import annotations

import io
import os
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from hasnas.errors import BadInputError

from .folders import sample_files

SUFFIXES = (".jpeg", ".jpg", ".png", ".bmp", ".ppm", ".pgm", ".webp", ".tif", ".tiff")
BATCH = 256
ORIENTATION = 0x0112  # the tag of EXIF that says how the camera was held
WIDE = re.compile(";16[BLN]$")  # in the raw mode of a file of 16 bits a colour


def decode_image(
    data: bytes | Path, channels: int, size: tuple[int, int] | None, where: str | Path
) -> NDArray[np.uint8]:
    """One image as `[C, H, W]` bytes.

    Args:
        data: encoded image, or the file that holds it; turned as its EXIF says, its transparent parts white.
        channels: 1 for grey, 3 for colour; the image is converted. Images of 16 bits are scaled by their depth.
        size: wanted (height, width): the image is scaled so that it covers this, then cropped around the centre; None
            keeps its own.
        where: what to call the image in a message.

    Raises:
        BadInputError: if it is no image, damaged, of several pages, of colours of 16 bits, of floats outside 0 to 1, or
            so large that it must be a bomb.
    """
    with _opened(data, where) as image:
        if _is_deep(image):
            return np.rint(_deep(image, channels, size, where) * 255).astype(np.uint8)
        converted = _flat(image, channels)
    pixels = np.asarray(_cover(converted, size) if size else converted)
    return pixels[None] if channels == 1 else np.ascontiguousarray(pixels.transpose(2, 0, 1))


def decode_deep(data: bytes | Path, channels: int, size: tuple[int, int], where: str | Path) -> NDArray[np.float32]:
    """One image as `[C, H, W]` floats in [0, 1], for folders with images of more than 8 bits; see `decode_image`."""
    with _opened(data, where) as image:
        if _is_deep(image):
            return _deep(image, channels, size, where)
    return np.multiply(decode_image(data, channels, size, where), np.float32(1 / 255), dtype=np.float32)


@contextmanager
def _opened(data: bytes | Path, where: str | Path) -> Iterator[Image.Image]:
    """The image, turned upright; whatever goes wrong with it is one line."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data) if isinstance(data, bytes) else data) as image:
                if getattr(image, "n_frames", 1) > 1:
                    raise BadInputError(f"{where} holds {image.n_frames} pages; save each as an image of its own")  # type: ignore[attr-defined]
                if _loses_depth(image):
                    raise BadInputError(
                        f"{where} holds colours of 16 bits, of which the lower 8 would be lost; save it with 8 bits"
                    )
                turned = image.getexif().get(ORIENTATION, 1) != 1
                yield ImageOps.exif_transpose(image) if turned else image
    except BadInputError:
        raise
    except FileNotFoundError as error:
        raise BadInputError(f"{where} is missing; check the path") from error
    except Exception as error:  # decoders raise whatever a damaged file leads them to
        raise BadInputError(f"{where} is not a readable image ({error}); remove it or fetch it again") from error


def _loses_depth(image: Image.Image) -> bool:
    """Whether the file has colours of 16 bits, which Pillow opens as 8."""
    tiles = getattr(image, "tile", None)
    if _is_deep(image) or not tiles:
        return False
    codec, _, _, arguments = tiles[0]
    raw, *rest = arguments if isinstance(arguments, tuple) else (arguments,)
    return bool(WIDE.search(str(raw))) or (codec == "ppm" and rest[0] > 255)


def _is_deep(image: Image.Image) -> bool:
    return image.mode.startswith("I") or image.mode == "F"


def _flat(image: Image.Image, channels: int) -> Image.Image:
    """In grey or colour, what is transparent becoming white."""
    mode = "L" if channels == 1 else "RGB"
    if not image.has_transparency_data:
        return image.convert(mode)
    shown = image.convert("RGBA")
    white = Image.new("RGBA", shown.size, "white")
    return Image.alpha_composite(white, shown).convert(mode)


def _deep(image: Image.Image, channels: int, size: tuple[int, int] | None, where: str | Path) -> NDArray[np.float32]:
    """Grey values of 16 bits or floats as `[C, H, W]` in [0, 1]."""
    values = np.asarray(image)
    top = 1.0 if values.dtype.kind == "f" else 65535.0
    low, high = float(values.min()), float(values.max())
    if not (low >= 0 and high <= top):
        raise BadInputError(
            f"{where} holds values from {low:g} to {high:g}, not from 0 to {top:g}; scale them before they are saved"
        )
    scaled = Image.fromarray((values.astype(np.float64) / top).astype(np.float32))
    grey = np.clip(np.asarray(_cover(scaled, size) if size else scaled, np.float32), 0, 1)
    return np.repeat(grey[None], channels, axis=0)


def _cover(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    height, width = size
    scale = max(height / image.height, width / image.width)
    if scale != 1:
        scaled = (max(width, round(image.width * scale)), max(height, round(image.height * scale)))
        image = image.resize(scaled, Image.Resampling.BILINEAR)
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image.crop((left, top, left + width, top + height))


def decode_all(decode: Callable[[int], NDArray[Any]], out: NDArray[Any]) -> None:
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
    """The images in a folder and its subfolders, sorted by name, without hidden ones."""
    return sample_files(folder, SUFFIXES)


def decode_files(files: Sequence[Path], channels: int, size: tuple[int, int], out: NDArray[Any]) -> None:
    """Fill `out` with the images in files, each brought to the same size: bytes, or floats in [0, 1] if `out` is."""
    decode = decode_image if out.dtype == np.uint8 else decode_deep
    decode_all(lambda index: decode(files[index], channels, size, files[index]), out)


def survey(files: Sequence[Path]) -> tuple[dict[tuple[int, int], Path], bool]:
    """What the heads of image files say.

    Returns:
        (Height, width) of the upright images -> the first file of that size; whether any has more than 8 bits.
    """

    def head(path: Path) -> tuple[tuple[int, int], bool]:
        with _opened(path, path) as image:
            return (image.height, image.width), _is_deep(image)

    sizes: dict[tuple[int, int], Path] = {}
    deep = False
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        for path, (size, is_deep) in zip(files, pool.map(head, files), strict=True):
            sizes.setdefault(size, path)
            deep |= is_deep
    return sizes, deep
