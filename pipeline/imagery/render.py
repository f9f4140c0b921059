"""Scenes drawn as image files: map tiles, previews and windows."""

from __future__ import annotations

import io
import math
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.errors import DamagedError, NotFoundError, SceneError
from pipeline.imagery.formats import ENVIRONMENT, location, open_dataset
from pipeline.imagery.nodata import collar_of, equals_nodata, is_ambiguous
from pipeline.imagery.reader import SceneReader, apply_stretch

if TYPE_CHECKING:
    from affine import Affine
    from rasterio import DatasetReader
    from rio_tiler.io import Reader
    from rio_tiler.models import ImageData

    from pipeline.imagery.scene import Scene

TILE = 256
PREVIEW = 640
_READERS_A_THREAD = 4
_local = threading.local()
_importing = threading.Lock()


@lru_cache(maxsize=1024)
def tile_png(scene: Scene, age: int, z: int, x: int, y: int) -> bytes:
    """One Web Mercator tile of a scene, stretched as its chips are; transparent elsewhere.

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
            return empty_png()
        return _render(reader.tile(x, y, z, tilesize=TILE, indexes=scene.bands), scene)


@lru_cache(maxsize=64)
def scene_preview(scene: Scene, age: int) -> bytes:
    """PNG of a whole scene, at most `PREVIEW` pixels a side."""
    with _reading(scene, age) as reader:
        return _render(reader.preview(max_size=PREVIEW, indexes=scene.bands), scene)


def age_of(scene: Scene) -> int:
    """Modification time of a scene's file in nanoseconds, 0 for one elsewhere."""
    path = Path(scene.path)
    return path.stat().st_mtime_ns if path.exists() else 0


@lru_cache(maxsize=1024)
def window_png(scene: Scene, age: int, window: tuple[int, int], extent: int, size: int) -> bytes:
    """PNG, `size` pixels a side, of the square of `extent` pixels at a (column, row)."""
    with SceneReader(scene) as reader:
        pixels = reader.thumbnail(*window, extent, extent, size)
    return encode_image(pixels, "PNG", compress_level=1)


@contextmanager
def _reading(scene: Scene, age: int) -> Iterator[Reader]:
    """This thread's open rio-tiler reader of a scene.

    GDAL handles must not be shared by threads.  `age` makes the cache miss when the file changed.

    Raises:
        DamagedError: If the file is missing or cannot be read.
    """
    from rasterio import Env
    from rasterio.errors import RasterioError

    readers: OrderedDict[tuple[str, int], Reader] = _local.__dict__.setdefault(
        "readers", OrderedDict()
    )
    key = (scene.path, age)
    try:
        with Env(**ENVIRONMENT):
            if key not in readers:
                readers[key] = _open(scene)
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


def _open(scene: Scene) -> Reader:
    """A rio-tiler reader over a safely opened file.

    GDAL ignores a nodata value that may be a measurement; `_valid` judges it.
    """
    with _importing:  # rio-tiler's modules import one another: two threads get half of them
        from rasterio.vrt import WarpedVRT
        from rio_tiler.io import Reader

    dataset = open_dataset(location(scene.path))
    options = _north_up(dataset)
    if is_ambiguous(scene.nodata):
        # With None, GDAL falls back to the file's nodata value; no pixel equals NaN.
        options |= {"nodata": None, "src_nodata": math.nan, "add_alpha": True}
    if options:
        dataset = WarpedVRT(dataset, **options)
    return Reader(scene.path, dataset=dataset)


def _north_up(dataset: DatasetReader) -> dict[str, Any]:
    """Options of the `WarpedVRT` that shows a raster with its first row in the north.

    None are needed where it is so already.  Elsewhere rio-tiler would draw a preview as the rows
    come, and fail to find a window.
    """
    from rasterio.enums import ColorInterp
    from rasterio.transform import from_bounds

    grid = dataset.transform
    if grid.a > 0 > grid.e and not (grid.b or grid.d):
        return {}
    corners = [grid @ (x * dataset.width, y * dataset.height) for x in (0, 1) for y in (0, 1)]
    (west, east), (south, north) = ((min(line), max(line)) for line in zip(*corners, strict=True))
    side = math.sqrt(abs(grid.determinant))
    width, height = (max(1, round(span / side)) for span in (east - west, north - south))
    # A turned raster leaves the corners of the new grid empty.
    unmasked = dataset.nodata is None and ColorInterp.alpha not in dataset.colorinterp
    return {
        "crs": dataset.crs,
        "transform": from_bounds(west, south, east, north, width, height),
        "width": width,
        "height": height,
        "add_alpha": unmasked,
    }


def overview(scene: Scene, size: int) -> tuple[bytes, tuple[float, float, float, float]]:
    """A whole scene in Web Mercator, at most `size` pixels a side.

    Returns:
        WebP with transparency, and its west, south, east and north in EPSG:3857 metres.
    """
    with _open(scene) as reader:
        image = reader.part(
            scene.footprint.bounds,
            bounds_crs="EPSG:4326",
            dst_crs="EPSG:3857",
            indexes=scene.bands,
            max_size=size,
        )
    return encode_image(_pixels(image, scene), "WEBP", quality=80), tuple(image.bounds)


def _render(image: ImageData, scene: Scene) -> bytes:
    """RGBA PNG of a rio-tiler image, by the scene's own stretch."""
    return encode_image(_pixels(image, scene), "PNG", compress_level=1)


def _pixels(image: ImageData, scene: Scene) -> np.ndarray:
    """Uint8 (h, w, 4) of a rio-tiler image, by the scene's own stretch and nodata rule."""
    bands = image.array.data
    rgba = np.empty((*bands.shape[1:], 4), np.uint8)
    for i in range(3):
        rgba[..., i] = apply_stretch(bands[i], scene.stretch, i)
    rgba[..., 3] = np.where(_valid(image, scene), 255, 0)
    return rgba


def _valid(image: ImageData, scene: Scene) -> np.ndarray:
    """Bool (h, w): where the image holds data, by the rule that chips follow."""
    from rasterio.warp import Resampling, reproject

    bands = image.array.data
    valid = image.mask > 0
    if bands.dtype.kind == "f":
        valid &= np.isfinite(bands).all(axis=0)
    if not is_ambiguous(scene.nodata):
        return valid
    doubtful = valid & equals_nodata(bands, scene.nodata, scene.dtype)
    if doubtful.any():
        collar = collar_of(scene)
        covered = np.zeros(doubtful.shape, np.uint8)
        reproject(
            collar.astype(np.uint8),
            covered,
            src_transform=_grid_of(scene, collar.shape),
            src_crs=scene.crs,
            dst_transform=image.transform,
            dst_crs=image.crs,
            resampling=Resampling.nearest,
        )
        valid &= ~(doubtful & (covered > 0))
    return valid


def _grid_of(scene: Scene, shape: tuple[int, ...]) -> Affine:
    """The affine transform of a decimated grid of the scene."""
    from affine import Affine

    full = Affine(*scene.transform[:6])
    return full @ Affine.scale(scene.width / shape[1], scene.height / shape[0])


@lru_cache(maxsize=1)
def empty_png() -> bytes:
    """PNG of one transparent pixel."""
    return encode_image(np.zeros((1, 1, 4), np.uint8), "PNG", compress_level=1)


def encode_image(
    pixels: np.ndarray, format: str, *, quality: int = 88, compress_level: int = 6
) -> bytes:
    """Uint8 RGB or RGBA (h, w, 3 or 4) as the bytes of a file of one of Pillow's formats.

    Args:
        pixels: The image.
        format: "JPEG", "PNG" or "WEBP".
        quality: Of JPEG and WebP, 0 to 100.
        compress_level: Of PNG, 0 to 9; 1 is fast, for what is sent once.
    """
    from PIL import Image

    buffer = io.BytesIO()
    options = {"quality": quality, "compress_level": compress_level}
    Image.fromarray(pixels).save(buffer, format, **options)
    return buffer.getvalue()
