"""Decoding images: sizes, colours, damage, bombs."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hasnas.datasets.images import decode_all, decode_image, image_files
from hasnas.errors import BadInputError


def png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def png_header(width: int, height: int) -> bytes:
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))


def test_colours_become_channels():
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    np.testing.assert_array_equal(decode_image(png(pixels), 3, None, "a"), pixels.transpose(2, 0, 1))
    assert decode_image(png(pixels), 1, None, "a").shape == (1, 5, 7)


def test_the_wanted_size_is_covered_and_cropped_at_the_centre():
    pixels = np.zeros((10, 30), np.uint8)
    pixels[:, 10:20] = 200
    assert (decode_image(png(pixels), 1, (10, 10), "a") == 200).all()
    assert decode_image(png(pixels), 3, (20, 8), "a").shape == (3, 20, 8)


@pytest.mark.parametrize(
    "shape, wanted, scaled, part",
    [
        ((4, 8), (2, 4), (2, 4), np.s_[:, :]),
        ((4, 8), (8, 16), (8, 16), np.s_[:, :]),
        ((4, 12), (2, 2), (2, 6), np.s_[:, 2:4]),
        ((12, 4), (2, 2), (6, 2), np.s_[2:4, :]),
        ((2, 9), (2, 2), (2, 9), np.s_[:, 3:5]),
        ((9, 2), (2, 2), (9, 2), np.s_[3:5, :]),
    ],
)
def test_scaled_until_it_covers_then_cropped(shape, wanted, scaled, part):
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    resized = Image.fromarray(pixels).resize(scaled[::-1], Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(decode_image(png(pixels), 1, wanted, "a")[0], np.asarray(resized)[part])


CUT = png(np.zeros((9, 9), np.uint8))[:40]


@pytest.mark.parametrize("content", [b"", b"no image", CUT, png_header(60_000, 60_000)])
def test_damage_and_bombs_are_refused(content: bytes):
    with pytest.raises(BadInputError, match="image 3 is not a readable image"):
        decode_image(content, 3, None, "image 3")


def test_all_places_are_filled_and_the_first_fault_is_told():
    out = np.zeros((600, 1, 1, 1), np.uint8)
    decode_all(lambda index: np.full((1, 1, 1), 1 + index % 255, np.uint8), out)
    assert out.ravel().tolist() == [1 + index % 255 for index in range(600)]
    with pytest.raises(BadInputError, match="a is not"):
        decode_all(lambda index: decode_image(b"x", 1, None, "a"), out)


def test_files_are_found_by_their_ending_and_sorted(tmp_path: Path):
    for name in ("b.png", "a.JPEG", "c.txt"):
        (tmp_path / name).touch()
    (tmp_path / "sub").mkdir()
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "sub" / "d.jpg").touch()
    assert [path.name for path in image_files(tmp_path)] == ["a.JPEG", "b.png", "d.jpg"]


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def test_a_photograph_is_turned_upright():
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: the first row is the right-hand side
    pixels = np.zeros((4, 8, 3), np.uint8)
    pixels[0] = 255
    content = encoded(Image.fromarray(pixels), "PNG", exif=exif)
    upright = decode_image(content, 1, None, "a")[0]
    assert upright.shape == (8, 4)
    assert upright[:, -1].tolist() == [255] * 8
    assert upright[:, :-1].max() == 0


def test_depth_decides_the_scale():
    values = np.array([[0, 1_000, 41_000, 65_535]], np.uint16)
    assert decode_image(png(values), 1, None, "a").tolist() == [[[0, 4, 160, 255]]]
    floats = encoded(Image.fromarray(np.array([[0, 0.5, 1]], np.float32)), "TIFF")
    assert decode_image(floats, 3, None, "a")[:, 0].tolist() == [[0, 128, 255]] * 3
    with pytest.raises(BadInputError, match="values from -1 to 300, not from 0 to 1"):
        decode_image(encoded(Image.fromarray(np.array([[-1, 300]], np.float32)), "TIFF"), 1, None, "a")


def test_colours_of_16_bits_are_refused_where_half_of_them_would_be_lost():
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 16, 2, 0, 0, 0))
    pixel = chunk(b"IDAT", zlib.compress(b"\0" + struct.pack(">HHH", 100, 200, 300)))
    deep = b"\x89PNG\r\n\x1a\n" + head + pixel + chunk(b"IEND", b"")
    for content in (deep, b"P6 1 1 65535\n" + struct.pack(">HHH", 100, 200, 300)):
        with pytest.raises(BadInputError, match=r"a\.png holds colours of 16 bits"):
            decode_image(content, 3, None, "a.png")
    assert decode_image(b"P6 1 1 255\n\1\2\3", 3, None, "a").ravel().tolist() == [1, 2, 3]


def test_what_is_transparent_is_white():
    drawing = np.zeros((1, 2, 4), np.uint8)  # black ink, and a pixel that shows the paper
    drawing[0, 0, 3] = 255
    assert decode_image(png(drawing), 1, None, "a").tolist() == [[[0, 255]]]


def test_several_pages_are_refused():
    pages = [Image.fromarray(np.full((2, 2), number, np.uint8)) for number in range(3)]
    with pytest.raises(BadInputError, match=r"a.tif holds 3 pages"):
        decode_image(encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:]), 1, None, "a.tif")
