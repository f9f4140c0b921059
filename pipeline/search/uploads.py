"""Query pictures: those that users upload, and how any query looks.

An uploaded picture is kept with the collection, so that a link or a saved search can reopen it:
256×256 pixels, as the query was made from it, under their checksum.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

import numpy as np

from pipeline.collection.chip_pictures import chip_png
from pipeline.errors import NotFoundError
from pipeline.files import replacing
from pipeline.imagery.render import encoded
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
        collection: The collection it is to be looked for in.
        content: The uploaded file.
        name: What the file was called.

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
            temporary.write_bytes(encoded(pixels, "PNG"))
    return identity


def png(collection: Collection, identity: str) -> bytes:
    """The kept picture as PNG.

    Raises:
        NotFoundError: If there is none of this id.
    """
    path = _path(collection, identity) if _ID.fullmatch(identity) else None
    if path is None or not path.is_file():
        raise NotFoundError(
            "This query picture is not kept here", where=identity[:40], remedy="Upload it again"
        )
    return path.read_bytes()


def pixels(collection: Collection, identity: str) -> np.ndarray:
    """The kept picture as uint8 (256, 256, 3).

    Raises:
        NotFoundError: If there is none of this id.
    """
    return picture.load(png(collection, identity), name=identity)


def query_png(collection: Collection, recipe: Recipe) -> bytes | None:
    """The picture of a recipe's start, 256×256, or None where it starts from nothing one can see.

    Raises:
        NotFoundError: If the chip, the place or the kept picture is gone.
    """
    if recipe.picture:
        return png(collection, recipe.picture)
    if recipe.box:
        return encoded(cut_out(collection, recipe.box).pixels, "PNG")
    table = collection.chips
    if recipe.at:
        return chip_png(collection, table.row_at(*recipe.at))
    chip = recipe.chip or next(iter(recipe.good), None)
    return chip_png(collection, table.row_of(chip)) if chip else None


def _path(collection: Collection, identity: str) -> Path:
    return collection.path / "searches" / "pictures" / f"{identity}.png"
