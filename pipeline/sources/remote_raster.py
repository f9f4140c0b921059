"""Remote rasters: the facts in their headers, and copies of their windows."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.errors import LookalikeError, SceneError
from pipeline.geo.footprint import Georeference, footprint, gsd
from pipeline.imagery import geotiff
from pipeline.imagery.chips import CHIP
from pipeline.imagery.formats import georeference
from pipeline.imagery.metadata import crs_text, tagged_date
from pipeline.progress import OnProgress, Progress, silent
from pipeline.sources.pixel_grid import project

if TYPE_CHECKING:
    from rasterio import DatasetReader
    from shapely.geometry.base import BaseGeometry

    from pipeline.sources.http.range_file import RangeFile

SQUARE = 1024  # pixels; a window is copied in squares of this side


@dataclass(frozen=True)
class RasterFacts:
    """What a raster's header states.

    Attributes:
        footprint: Outline, EPSG:4326.
        crs: `EPSG:n` where there is one, else WKT.
        transform: Six affine coefficients.
        width: Pixels.
        height: Pixels.
        gsd: Metres per pixel on the ground, or None.
        bytes_per_pixel: Bytes of all bands of one pixel.
        datetime: Acquisition time, ISO 8601 UTC, or None.
    """

    footprint: BaseGeometry
    crs: str
    transform: tuple[float, ...]
    width: int
    height: int
    gsd: float | None
    bytes_per_pixel: int
    datetime: str | None = None


@contextmanager
def open_remote(remote: RangeFile) -> Iterator[DatasetReader]:
    """A GeoTIFF at an address as a rasterio dataset; only the ranges needed are read.

    GDAL asks our client for the bytes, so that timeouts, retries, refused addresses and renewed
    signatures are the same here as everywhere.

    Raises:
        ServiceError: If the address cannot be read.
        SceneError: If it is not a GeoTIFF.
    """
    import rasterio
    from rasterio.errors import RasterioIOError

    failures: list[LookalikeError] = []

    class Cursor(io.RawIOBase):
        """One of the handles that GDAL opens on the file, with a position of its own."""

        def __init__(self) -> None:
            self._at = 0

        def readable(self) -> bool:
            return True

        def seekable(self) -> bool:
            return True

        def tell(self) -> int:
            return self._at

        def seek(self, offset: int, whence: int = 0) -> int:
            self._at = {0: 0, 1: self._at, 2: len(remote)}[whence] + offset
            return self._at

        def read(self, count: int = -1) -> bytes:
            # An exception cannot cross GDAL: it is kept, and raised when GDAL has given up.
            if failures:
                return b""
            try:
                body = remote.read_at(self._at, count)
            except LookalikeError as error:
                failures.append(error)
                return b""
            self._at += len(body)
            return body

    name = "remote.tif"

    def opener(path: str, mode: str = "rb", **_: Any) -> Cursor:
        if Path(path).name != name:
            raise FileNotFoundError(path)
        return Cursor()

    quiet = {"GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR", "GDAL_PAM_ENABLED": "NO"}
    try:
        with rasterio.Env(**quiet), rasterio.open(name, opener=opener, driver="GTiff") as dataset:
            yield dataset
            if failures:
                raise failures[0]
    except RasterioIOError as error:
        if failures:
            raise failures[0] from error
        raise SceneError(
            "This is not a GeoTIFF that can be read", where=remote.where, remedy="Check the address"
        ) from error


def describe(dataset: DatasetReader, where: str | Path) -> RasterFacts:
    """What the header of an open raster states.

    Args:
        dataset: The open raster.
        where: Its file, whose world file and `.prj` are used; or the name for messages.

    Raises:
        SceneError: If it has no georeference.
    """
    own_crs, transform, _ = georeference(dataset, where)
    placement = Georeference(crs_text(own_crs), tuple(transform)[:6])
    width, height = dataset.width, dataset.height
    return RasterFacts(
        footprint(placement, width, height),
        placement.crs,
        placement.transform,
        width,
        height,
        gsd(placement, width, height),
        int(sum(np.dtype(dtype).itemsize for dtype in dataset.dtypes)),
        tagged_date(dataset),
    )


def window_under(
    geometry: BaseGeometry, crs: str, transform: Sequence[float], width: int, height: int
) -> tuple[int, int, int, int]:
    """The window (col, row, width, height) of a raster that an area needs.

    Grown to at least one chip where the raster allows it.

    Raises:
        SceneError: If the area does not touch the raster.
    """
    from rasterio.transform import Affine
    from shapely import get_coordinates

    points = get_coordinates(project(geometry, crs))
    a, b, c, d, e, f = tuple(~Affine(*transform))[:6]
    cols = a * points[:, 0] + b * points[:, 1] + c
    rows = d * points[:, 0] + e * points[:, 1] + f
    low = np.floor([cols.min() + 1e-6, rows.min() + 1e-6]).astype(int)
    high = np.ceil([cols.max() - 1e-6, rows.max() - 1e-6]).astype(int)
    limits = np.array([width, height])
    if (high <= 0).any() or (low >= limits).any():
        raise SceneError(
            "The area does not touch this raster", remedy="Choose another scene or another area"
        )
    low, high = np.maximum(low, 0), np.minimum(high, limits)
    low = np.maximum(0, np.minimum(low, high - CHIP))
    high = np.minimum(limits, np.maximum(high, low + CHIP))
    (col, row), (right, bottom) = low.tolist(), high.tolist()
    return col, row, right - col, bottom - row


def copy_window(
    dataset: DatasetReader,
    window: tuple[int, int, int, int],
    path: Path,
    progress: OnProgress = silent,
    *,
    stage: str = "Reading the area",
) -> Path:
    """Copy a window of an open raster, its mask and its palette into a tiled GeoTIFF.

    Raises:
        StorageError: If the disk is full.
    """
    from rasterio.enums import ColorInterp, MaskFlags
    from rasterio.windows import Window

    col, row, width, height = window
    squares = [
        (x, y, min(SQUARE, width - x), min(SQUARE, height - y))
        for y in range(0, height, SQUARE)
        for x in range(0, width, SQUARE)
    ]
    kinds = dataset.colorinterp
    masked = MaskFlags.per_dataset in dataset.mask_flag_enums[0] and ColorInterp.alpha not in kinds
    with geotiff.write(
        path,
        width=width,
        height=height,
        count=dataset.count,
        dtype=dataset.dtypes[0],
        crs=dataset.crs,
        transform=dataset.window_transform(Window(col, row, width, height)),
        nodata=dataset.nodata,
    ) as out:
        out.colorinterp = kinds
        if kinds[0] == ColorInterp.palette:
            out.write_colormap(1, dataset.colormap(1))
        for done, (x, y, w, h) in enumerate(squares):
            progress(Progress(stage, done, len(squares), "blocks", path.name))
            there, here = Window(col + x, row + y, w, h), Window(x, y, w, h)
            out.write(dataset.read(window=there), window=here)
            if masked:
                out.write_mask(dataset.read_masks(1, window=there), window=here)
    progress(Progress(stage, len(squares), len(squares), "blocks", path.name))
    return path
