"""Query pictures: whatever a user drops is read, or a message says why not."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.errors import PictureError
from pipeline.search.picture import load


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def gradient(mode: str = "RGB", size: tuple[int, int] = (300, 200)) -> Image.Image:
    ramp = np.linspace(0, 255, size[0] * size[1]).reshape(size[1], size[0]).astype(np.uint8)
    return Image.fromarray(np.stack([ramp, ramp // 2, 255 - ramp], axis=-1)).convert(mode)


@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        ("RGB", "PNG"), ("RGB", "JPEG"), ("RGB", "WEBP"), ("RGB", "BMP"), ("L", "PNG"),
        ("P", "GIF"), ("RGBA", "PNG"), ("LA", "PNG"), ("CMYK", "JPEG"), ("CMYK", "TIFF"),
        ("1", "PNG"),
    ],
)  # fmt: skip
def test_every_common_kind_becomes_a_256_pixel_rgb_square(mode: str, kind: str) -> None:
    pixels = load(encoded(gradient(mode), kind))
    assert pixels.shape == (256, 256, 3)
    assert pixels.dtype == np.uint8
    assert pixels.std() > 10


def test_cmyk_looks_like_its_rgb_original() -> None:
    plain, cmyk = load(encoded(gradient())), load(encoded(gradient("CMYK"), "TIFF"))
    assert np.abs(plain.astype(int) - cmyk).mean() < 3


def test_sixteen_bit_picture_keeps_its_contrast() -> None:
    values = np.tile(np.linspace(300, 900, 256).astype(np.uint16), (256, 1))
    pixels = load(encoded(Image.fromarray(values)))
    assert pixels[0, 5].max() < 10
    assert pixels[0, -5].min() > 245


def test_float_picture_with_holes_is_read() -> None:
    values = np.tile(np.linspace(-1, 1, 256).astype(np.float32), (256, 1))
    values[:20] = np.nan
    assert load(encoded(Image.fromarray(values), "TIFF")).std() > 10


def test_animation_shows_its_first_frame() -> None:
    frames = [Image.new("RGB", (64, 64), colour) for colour in ("red", "blue")]
    stream = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert load(stream)[128, 128].tolist() == [255, 0, 0]


def test_transparency_is_shown_over_black() -> None:
    clear = Image.new("RGBA", (64, 64), (255, 255, 255, 0))
    assert load(encoded(clear)).max() == 0


def test_picture_lying_on_its_side_is_turned_upright() -> None:
    image = Image.new("RGB", (64, 64), "black")
    image.paste("white", (0, 0, 32, 64))
    exif = Image.Exif()
    exif[0x0112] = 6
    upright = load(encoded(image, "JPEG", exif=exif, quality=95))
    assert upright[40, 128].min() > 200
    assert upright[215, 128].max() < 60


def test_the_central_square_is_used() -> None:
    image = Image.new("RGB", (300, 100), "red")
    image.paste("blue", (100, 0, 200, 100))
    assert load(encoded(image))[128, 128].tolist() == [0, 0, 255]


@pytest.mark.parametrize(
    "content", [b"", b"hello, I am a text file named .png", b"\x89PNG\r\n\x1a\n", b"GIF89a"]
)
def test_what_is_no_picture_is_refused_by_name(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "notes.png"
    path.write_bytes(content)
    with pytest.raises(PictureError, match=r"notes\.png"):
        load(path)


def test_truncated_picture_is_refused() -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (200, 200, 3), np.uint8))
    content = encoded(noise)
    with pytest.raises(PictureError, match="damaged"):
        load(content[: len(content) // 2])


def test_one_pixel_is_too_small() -> None:
    with pytest.raises(PictureError, match="1×1"):
        load(encoded(Image.new("RGB", (1, 1))))


def bomb(side: int) -> bytes:
    """A PNG header that promises side × side pixels, with hardly any data behind it."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    data = zlib.compress(bytes(1000))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("side", [20_000, 100_000])
def test_bomb_is_refused_before_it_is_decoded(side: int) -> None:
    with pytest.raises(PictureError, match=f"{side}×{side}|cannot be read as an image"):
        load(bomb(side))


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match=r"gone\.png"):
        load(tmp_path / "gone.png")
