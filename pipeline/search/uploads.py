"""Query pictures: uploaded ones are kept, and any query can be shown as one.

An uploaded picture is kept with its collection, so that a link or a saved search can reopen it: the
256×256 pixels that were embedded, under their checksum.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

import numpy as np

from pipeline.collection.chip_pictures import chip_png
from pipeline.errors import NotFoundError
from pipeline.files import replacing
from pipeline.imagery.render import encode_image
from pipeline.search import picture
from pipeline.search.boxes import cut_out

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.collection.collection import Collection
    from pipeline.search.recipe import Recipe

_ID = re.compile(r"[0-9a-f]{16}")


def keep(collection: Collection, content: bytes, name: str) -> str:
    """Keep an uploaded picture.

    Args:
        collection: The collection to search with it.
        content: The uploaded file.
        name: The file's name, for messages.

    Returns:
        Its id, the same for the same pixels.

    Raises:
        PictureError: If it cannot be used.
        StorageError: If it cannot be written.
    """
    pixels = picture.load(content, name=name)
    identity = hashlib.sha256(pixels.tobytes()).hexdigest()[:16]
    path = _path(collection, identity)
    if not path.exists():
        with replacing(path) as temporary:
            temporary.write_bytes(encode_image(pixels, "PNG"))
    return identity


def png(collection: Collection, identity: str) -> bytes:
    """The kept picture as PNG.

    Raises:
        NotFoundError: If no picture has this id.
    """
    path = _path(collection, identity) if _ID.fullmatch(identity) else None
    if path is None or not path.is_file():
        raise NotFoundError(
            "This query picture does not exist", where=identity[:40], remedy="Upload it again"
        )
    return path.read_bytes()


def pixels(collection: Collection, identity: str) -> np.ndarray:
    """The kept picture as uint8 (256, 256, 3).

    Raises:
        NotFoundError: If no picture has this id.
    """
    return picture.load(png(collection, identity), name=identity)


def query_png(collection: Collection, recipe: Recipe) -> bytes | None:
    """A recipe's start as PNG, 256×256, or None if it has none.

    Raises:
        NotFoundError: If the chip, the place or the kept picture does not exist.
        DamagedError: If the imagery cannot be read.
    """
    if recipe.picture:
        return png(collection, recipe.picture)
    if recipe.box:
        return encode_image(cut_out(collection, recipe.box).pixels, "PNG")
    table = collection.chips
    if recipe.at:
        return chip_png(collection, table.row_at(*recipe.at))
    chip = recipe.chip or next(iter(recipe.good), None)
    return chip_png(collection, table.row_of(chip)) if chip else None


def _path(collection: Collection, identity: str) -> Path:
    return collection.path / "searches" / "pictures" / f"{identity}.png"
