"""What the map draws: scene tiles, footprints, chip pictures and the front-end's own files.

Handlers are sync, so Starlette runs them in threads.  A request names a collection and the id of a
scene or chip in it; no path or URL from a request is ever opened.  Answers that carry the version
they were asked for never change, and say so.
"""

from __future__ import annotations

import hashlib
import io
import threading
from collections import OrderedDict
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from pipeline.api import guarded
from pipeline.errors import DamagedError, NotFoundError, QueryError
from pipeline.frontend import ASSETS

if TYPE_CHECKING:
    import numpy as np
    from starlette.requests import Request

    from pipeline.collection import Collection
    from pipeline.scene import Scene
    from pipeline.shelf import Shelf

TILE = 256
PICTURE_SIZES = (64, 128, 256, 512)
PREVIEW = 640
IMMUTABLE = "private, max-age=31536000, immutable"
BRIEF = "private, max-age=60"
_READERS_A_THREAD = 4
_local = threading.local()
_importing = threading.Lock()


def routes(shelf: Shelf) -> list[BaseRoute]:
    """The picture routes over one shelf of collections."""
    root = "/api/collections/{name}"

    def tile(request: Request) -> Response:
        place = request.path_params
        scene = _scene(shelf.collection(place["name"]), place["scene"])
        content = tile_png(_Source.of(scene), place["z"], place["x"], place["y"])
        return _answer(request, content, "image/png")

    def footprints(request: Request) -> Response:
        collection = shelf.collection(request.path_params["name"])
        corners = collection.chips.corners.astype("<f8", copy=False)
        return _answer(request, corners.tobytes(), "application/octet-stream")

    def chip(request: Request) -> Response:
        collection = shelf.collection(request.path_params["name"])
        content = chip_png(collection, request.path_params["chip"], _size(request))
        return _answer(request, content, "image/png")

    def preview(request: Request) -> Response:
        collection = shelf.collection(request.path_params["name"])
        return _answer(request, preview_png(collection), "image/png")

    return [
        Route(f"{root}/tiles/{{scene}}/{{z:int}}/{{x:int}}/{{y:int}}.png", guarded(tile)),
        Route(f"{root}/footprints.f64", guarded(footprints)),
        Route(f"{root}/chips/{{chip}}.png", guarded(chip)),
        Route(f"{root}/preview.png", guarded(preview)),
        Mount("/lookalike/assets/{version}", _Assets(directory=ASSETS, check_dir=False)),
    ]


class _Assets(StaticFiles):
    """Static files under a path that names their version, so that they may be kept for ever."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = IMMUTABLE
        return response


def assets_version() -> str:
    """Eight hexadecimal digits that change with any front-end file."""
    files = sorted([*ASSETS.glob("*.*"), *ASSETS.glob("vendor/*/.stamp")])
    stamps = [f"{path.name}:{path.stat().st_mtime_ns}" for path in files]
    return hashlib.sha256("\n".join(stamps).encode()).hexdigest()[:8]


@lru_cache(maxsize=1024)
def tile_png(source: _Source, z: int, x: int, y: int) -> bytes:
    """One Web Mercator tile of a scene, stretched as its chips are; transparent outside it."""
    if not (0 <= z <= 24 and 0 <= x < 2**z and 0 <= y < 2**z):
        raise NotFoundError("There is no such tile", where=f"{z}/{x}/{y}")
    reader = _reader(source)
    if not reader.tile_exists(x, y, z):
        return _empty_png()
    return _rendered(reader.tile(x, y, z, tilesize=TILE, indexes=source.bands), source)


@lru_cache(maxsize=64)
def _preview(source: _Source) -> bytes:
    image = _reader(source).preview(max_size=PREVIEW, indexes=source.bands)
    return _rendered(image, source)


def preview_png(collection: Collection) -> bytes:
    """A small picture of a collection: its first scene."""
    scenes = list(collection.scenes.values())
    return _preview(_Source.of(scenes[0])) if scenes else _empty_png()


def chip_png(collection: Collection, chip: str, size: int = 256) -> bytes:
    """The picture of one chip, `size` pixels a side.

    Raises:
        NotFoundError: If the collection has no such chip.
    """
    table = collection.chips
    row = table.row_of(chip)
    scene = collection.scenes[table.scene_ids[int(table.scene[row])]]
    window = (int(table.cols[row]), int(table.rows[row]))
    return _chip(_Source.of(scene), scene, window, collection.manifest.chip_size, size)


@lru_cache(maxsize=1024)
def _chip(source: _Source, scene: Scene, window: tuple[int, int], extent: int, size: int) -> bytes:
    from pipeline.scene import SceneReader

    with SceneReader(scene) as reader:
        return _png(reader.picture(*window, extent, extent, size))


@dataclass(frozen=True)
class _Source:
    """What a picture of a scene depends on: its file, the file's age, bands and stretch."""

    path: str
    age: int
    bands: tuple[int, ...]
    ranges: tuple[tuple[float, float], ...]

    @classmethod
    def of(cls, scene: Scene) -> _Source:
        path = Path(scene.path)
        age = path.stat().st_mtime_ns if path.exists() else 0
        ranges = tuple(zip(scene.stretch.low, scene.stretch.high, strict=True))
        return cls(scene.path, age, tuple(scene.bands), ranges)


def _reader(source: _Source) -> Any:
    """An open rio-tiler reader of this thread; a GDAL handle must not be shared by threads."""
    with _importing:  # rio-tiler's modules import one another: two threads at once get halves
        from rasterio.errors import RasterioIOError
        from rio_tiler.io import Reader

    readers: OrderedDict[_Source, Any] = _local.__dict__.setdefault("readers", OrderedDict())
    if source in readers:
        readers.move_to_end(source)
        return readers[source]
    try:
        readers[source] = Reader(source.path)
    except RasterioIOError as error:
        raise DamagedError(
            "A scene's imagery cannot be read",
            where=source.path,
            remedy="Put the file back, or delete the collection and build it again",
        ) from error
    while len(readers) > _READERS_A_THREAD:
        readers.popitem(last=False)[1].close()
    return readers[source]


def _rendered(image: Any, source: _Source) -> bytes:
    if image.data.dtype != "uint8" or source.ranges != ((0.0, 255.0),) * 3:
        image.rescale(in_range=source.ranges)
    return image.render(img_format="PNG", zlevel=1)


def _png(pixels: np.ndarray) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


@lru_cache(maxsize=1)
def _empty_png() -> bytes:
    import numpy as np

    return _png(np.zeros((1, 1, 4), np.uint8))


def _scene(collection: Collection, scene_id: str) -> Scene:
    scene = collection.scenes.get(scene_id)
    if scene is None:
        raise NotFoundError(
            "No such scene in this collection",
            where=scene_id[:80],
            remedy=f"`python -m pipeline info {collection.name} --json` lists its scenes",
        )
    return scene


def _size(request: Request) -> int:
    text = request.query_params.get("size", "256")
    if text not in map(str, PICTURE_SIZES):
        raise QueryError(
            "A chip picture's size is one of " + ", ".join(map(str, PICTURE_SIZES)),
            where=text[:20],
            remedy="Leave size out for 256",
        )
    return int(text)


def _answer(request: Request, content: bytes, media_type: str) -> Response:
    cache = IMMUTABLE if request.query_params.get("v") else BRIEF
    return Response(content, media_type=media_type, headers={"Cache-Control": cache})
