"""Query pictures: an image file in any usual format becomes 256×256 RGB pixels."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.errors import PictureError
from pipeline.imagery.chips import CHIP

if TYPE_CHECKING:
    from PIL import Image

MAX_PIXELS = 64_000_000
MAX_BYTES = 64 * 2**20
#: Minimum width and height in pixels.
LEAST_SIDE = 16
FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP")


def load(source: Path | bytes, *, name: str = "picture") -> np.ndarray:
    """A picture as uint8 (256, 256, 3) RGB: its central square, resized.

    CMYK, palette, grey, 16-bit, transparent and animated pictures are converted: of an animation
    the first frame, transparency over black, as chips show pixels without data.  The size is
    checked in the header, before anything is decoded.

    Raises:
        PictureError: If the file is no picture, is damaged, too small or too large.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    if isinstance(source, Path):
        name = source.name
        source = bytes_of(source)
    if len(source) > MAX_BYTES:
        raise too_large(name)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(source), formats=FORMATS)
            _check_size(image.size, name)
            image.seek(0)
            square = _eight_bit(ImageOps.exif_transpose(image))
    except (UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise PictureError(
            "This file cannot be read as an image",
            where=name,
            remedy="Use PNG, JPEG, WebP, TIFF, GIF or BMP",
        ) from error
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise PictureError(
            "This picture is damaged", where=name, remedy="Save it again and retry"
        ) from error
    fitted = ImageOps.fit(square, (CHIP, CHIP), Image.Resampling.BICUBIC)
    return np.asarray(fitted, np.uint8)


def bytes_of(path: Path) -> bytes:
    """The bytes of a picture file.

    Raises:
        PictureError: If it cannot be opened, or is too large.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise too_large(path.name)
        return path.read_bytes()
    except OSError as error:
        raise PictureError(
            "This picture cannot be opened", where=path, remedy="Check the path"
        ) from error


def too_large(name: str) -> PictureError:
    """The error for a file of more than `MAX_BYTES`."""
    return PictureError(
        f"This picture is larger than {MAX_BYTES >> 20} MB",
        where=name,
        remedy="Crop it to the object you are looking for",
    )


def _check_size(size: tuple[int, int], name: str) -> None:
    width, height = size
    if width * height > MAX_PIXELS:
        raise PictureError(
            f"This picture has {width}×{height} pixels, more than "
            f"{MAX_PIXELS // 1_000_000} megapixels",
            where=name,
            remedy="Crop it to the object you are looking for",
        )
    if min(width, height) < LEAST_SIDE:
        raise PictureError(
            f"This picture has {width}×{height} pixels; at least "
            f"{LEAST_SIDE}×{LEAST_SIDE} are needed to recognise anything",
            where=name,
            remedy="Use a larger picture",
        )


def _eight_bit(image: Image.Image) -> Image.Image:
    """A picture of any mode as 8-bit RGB."""
    from PIL import Image

    if image.mode.startswith(("I", "F")):
        values = np.asarray(image, np.float32)
        finite = values[np.isfinite(values)]
        low, high = np.percentile(finite, (2, 98)) if finite.size else (0.0, 1.0)
        scaled = np.nan_to_num((values - low) / max(high - low, 1e-6))
        return Image.fromarray((scaled.clip(0, 1) * 255).round().astype(np.uint8)).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        clear = image.convert("RGBA")
        ground = Image.new("RGBA", clear.size, (0, 0, 0, 255))
        return Image.alpha_composite(ground, clear).convert("RGB")
    return image.convert("RGB")
