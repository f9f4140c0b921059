"""What the map draws: scene tiles, footprints, chip pictures and the front-end's own files.

Handlers are sync, so Starlette runs them in threads.  A request names a collection and the id of a
scene or chip in it; no path or URL from a request is ever opened.  Answers that carry the version
they were asked for never change, and say so.
"""

from __future__ import annotations

import hashlib
import io
import math
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from pipeline.api import guarded
from pipeline.errors import DamagedError, NotFoundError, QueryError, SceneError
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
        scene = _scene(_collection(shelf, request), place["scene"])
        content = tile_png(scene, age_of(scene), place["z"], place["x"], place["y"])
        return _answer(request, content, "image/png")

    def footprints(request: Request) -> Response:
        collection = _collection(shelf, request)
        corners = collection.chips.corners.astype("<f8", copy=False)
        return _answer(request, corners.tobytes(), "application/octet-stream")

    def chip(request: Request) -> Response:
        collection = _collection(shelf, request)
        chip = request.path_params["chip"]
        content = chip_png(collection, chip, _size(request), _around(request))
        return _answer(request, content, "image/png")

    def preview(request: Request) -> Response:
        collection = _collection(shelf, request)
        return _answer(request, preview_png(collection), "image/png")

    return [
        Route(f"{root}/tiles/{{scene}}/{{z:int}}/{{x:int}}/{{y:int}}.png", guarded(tile)),
        Route(f"{root}/footprints.f64", guarded(footprints)),
        Route(f"{root}/chips/{{chip}}.png", guarded(chip)),
        Route(f"{root}/preview.png", guarded(preview)),
        Mount("/lookalike/assets/{version}", _Assets(directory=ASSETS, check_dir=False)),
    ]


def _collection(shelf: Shelf, request: Request) -> Collection:
    """The one asked for, by a former name too: a page open while it is renamed keeps its pictures.

    Raises:
        NotFoundError: If there is none that is or was called so.
    """
    name = request.path_params["name"]
    try:
        return shelf.collection(name)
    except NotFoundError:
        other = shelf.store.current(name)
        if not other:
            raise
        return shelf.collection(other)


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
def tile_png(scene: Scene, age: int, z: int, x: int, y: int) -> bytes:
    """One Web Mercator tile of a scene, stretched as its chips are; transparent where it is not.

    Args:
        scene: The scene.
        age: Modification time of its file, see `age_of`.
        z: Zoom level, 0 to 24.
        x: Column.
        y: Row, from the north.

    Raises:
        NotFoundError: If there is no such tile.
        DamagedError: If the scene's file cannot be read.
    """
    if not (0 <= z <= 24 and 0 <= x < 2**z and 0 <= y < 2**z):
        raise NotFoundError("There is no such tile", where=f"{z}/{x}/{y}")
    with _reading(scene, age) as reader:
        if not reader.tile_exists(x, y, z):
            return _empty_png()
        return _rendered(reader.tile(x, y, z, tilesize=TILE, indexes=scene.bands), scene)


@lru_cache(maxsize=64)
def _preview(scene: Scene, age: int) -> bytes:
    with _reading(scene, age) as reader:
        return _rendered(reader.preview(max_size=PREVIEW, indexes=scene.bands), scene)


def age_of(scene: Scene) -> int:
    """Modification time of a scene's file in nanoseconds, 0 for one elsewhere."""
    path = Path(scene.path)
    return path.stat().st_mtime_ns if path.exists() else 0


def preview_png(collection: Collection) -> bytes:
    """A small picture of a collection: its first scene."""
    scenes = list(collection.scenes.values())
    return _preview(scenes[0], age_of(scenes[0])) if scenes else _empty_png()


def chip_png(collection: Collection, chip: str, size: int = 256, around: int = 1) -> bytes:
    """The picture of one chip, `size` pixels a side.

    Args:
        collection: Where the chip is.
        chip: Its id.
        size: Pixels a side.
        around: How many chips wide the picture is, the chip in its middle: 3 shows its
            surroundings; what lies outside the scene is filled.

    Raises:
        NotFoundError: If the collection has no such chip.
    """
    table = collection.chips
    row = table.row_of(chip)
    scene = collection.scenes[table.scene_ids[int(table.scene[row])]]
    extent = collection.manifest.chip_size
    margin = (around - 1) * extent // 2
    window = (int(table.cols[row]) - margin, int(table.rows[row]) - margin)
    return _chip(scene, age_of(scene), window, extent * around, size)


@lru_cache(maxsize=1024)
def _chip(scene: Scene, age: int, window: tuple[int, int], extent: int, size: int) -> bytes:
    from pipeline.reader import SceneReader

    with SceneReader(scene) as reader:
        return _png(reader.picture(*window, extent, extent, size))


@contextmanager
def _reading(scene: Scene, age: int) -> Iterator[Any]:
    """This thread's open rio-tiler reader of a scene; a GDAL handle must not be shared by threads.

    Raises:
        DamagedError: If the file is missing or cannot be read.
    """
    from rasterio import Env
    from rasterio.errors import RasterioError

    from pipeline.raster import ENVIRONMENT

    readers: OrderedDict[tuple[str, int], Any] = _local.__dict__.setdefault(
        "readers", OrderedDict()
    )
    key = (scene.path, age)
    try:
        with Env(**ENVIRONMENT):
            if key not in readers:
                readers[key] = _opened(scene)
            readers.move_to_end(key)
            yield readers[key]
    except (RasterioError, SceneError) as error:
        raise DamagedError(
            "A scene's imagery cannot be read",
            where=scene.path,
            remedy="Put the file back, or delete the collection and build it again",
        ) from error
    while len(readers) > _READERS_A_THREAD:
        readers.popitem(last=False)[1].close()


def _opened(scene: Scene) -> Any:
    """A rio-tiler reader over a safely opened file.

    Where the nodata value may be a measurement, GDAL is told to ignore it; `_valid` judges it.
    """
    with _importing:  # rio-tiler's modules import one another: two threads at once get halves
        from rasterio.vrt import WarpedVRT
        from rio_tiler.io import Reader

    from pipeline.raster import is_url, open_dataset
    from pipeline.reader import ambiguous

    path = scene.path if is_url(scene.path) else Path(scene.path)
    dataset = open_dataset(path)
    if ambiguous(scene.nodata):
        # Without a value of its own here GDAL falls back to the file's; nothing equals NaN.
        dataset = WarpedVRT(dataset, nodata=None, src_nodata=math.nan, add_alpha=True)
    return Reader(scene.path, dataset=dataset)


def overview(scene: Scene, size: int) -> tuple[bytes, tuple[float, float, float, float]]:
    """A whole scene in Web Mercator, at most `size` pixels a side.

    Returns:
        WebP with transparency, and its west, south, east and north in EPSG:3857 metres.
    """
    from PIL import Image

    with _opened(scene) as reader:
        image = reader.part(
            scene.footprint.bounds,
            bounds_crs="EPSG:4326",
            dst_crs="EPSG:3857",
            indexes=scene.bands,
            max_size=size,
        )
    buffer = io.BytesIO()
    Image.fromarray(_pixels(image, scene)).save(buffer, "WEBP", quality=80)
    return buffer.getvalue(), tuple(image.bounds)


def _rendered(image: Any, scene: Scene) -> bytes:
    """RGBA PNG of a rio-tiler image, by the scene's own stretch."""
    return _png(_pixels(image, scene))


def _pixels(image: Any, scene: Scene) -> np.ndarray:
    """Uint8 (h, w, 4) of a rio-tiler image, by the scene's own stretch and nodata rule."""
    import numpy as np

    from pipeline.reader import stretched

    bands = image.array.data
    rgba = np.empty((*bands.shape[1:], 4), np.uint8)
    for i in range(3):
        rgba[..., i] = stretched(bands[i], scene.stretch, i)
    rgba[..., 3] = np.where(_valid(image, scene), 255, 0)
    return rgba


def _valid(image: Any, scene: Scene) -> np.ndarray:
    """Bool (h, w): where the image shows the scene, by the rule its chips follow."""
    import numpy as np
    from rasterio.warp import Resampling, reproject

    from pipeline.reader import ambiguous, collar_of, equals

    bands = image.array.data
    valid = image.mask > 0
    if bands.dtype.kind == "f":
        valid &= np.isfinite(bands).all(axis=0)
    if not ambiguous(scene.nodata):
        return valid
    doubtful = valid & equals(bands, scene.nodata, scene.dtype)
    if doubtful.any():
        collar = collar_of(scene)
        there = np.zeros(doubtful.shape, np.uint8)
        reproject(
            collar.astype(np.uint8),
            there,
            src_transform=_grid_of(scene, collar.shape),
            src_crs=scene.crs,
            dst_transform=image.transform,
            dst_crs=image.crs,
            resampling=Resampling.nearest,
        )
        valid &= ~(doubtful & (there > 0))
    return valid


def _grid_of(scene: Scene, shape: tuple[int, ...]) -> Any:
    """The affine transform of a decimated grid of the scene."""
    from affine import Affine

    full = Affine(*scene.transform[:6])
    return full @ Affine.scale(scene.width / shape[1], scene.height / shape[0])


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


def _around(request: Request) -> int:
    text = request.query_params.get("around", "1")
    if text not in ("1", "3", "5"):
        raise QueryError(
            "A chip picture is 1, 3 or 5 chips wide",
            where=text[:20],
            remedy="Leave around out for the chip alone",
        )
    return int(text)


def _answer(request: Request, content: bytes, media_type: str) -> Response:
    cache = IMMUTABLE if request.query_params.get("v") else BRIEF
    return Response(content, media_type=media_type, headers={"Cache-Control": cache})
