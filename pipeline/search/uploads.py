"""Query pictures kept with a collection, so that a link or a saved search can reopen them.

What is kept is the 256×256 picture the query was made from, under the checksum of its pixels.
"""

from __future__ import annotations

import hashlib
import io
import re
from typing import TYPE_CHECKING

import numpy as np

from pipeline.errors import NotFoundError
from pipeline.files import replacing
from pipeline.search import picture

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.collection.collection import Collection

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
    from PIL import Image

    pixels = picture.load(content, name=name)
    identity = hashlib.sha256(pixels.tobytes()).hexdigest()[:16]
    path = _path(collection, identity)
    if not path.exists():
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "PNG")
        with replacing(path) as temporary:
            temporary.write_bytes(buffer.getvalue())
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


def _path(collection: Collection, identity: str) -> Path:
    return collection.path / "searches" / "pictures" / f"{identity}.png"
