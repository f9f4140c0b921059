"""Pixels of a scene as every chip, tile and query sees them: RGB after the scene's own stretch.

Which pixels hold no data needs judgement.  An alpha band or mask says it outright, and what is not
a finite number is none.  A declared nodata value of zero or above is a value that dark water or a
bright roof may have too: it counts only where it reaches the scene's border.  A negative one
(-9999, -32768, -3.4e38) is no measurement in imagery and counts everywhere.
"""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.errors import DamagedError, SceneError

if TYPE_CHECKING:
    from types import TracebackType

    from rasterio import DatasetReader

    from pipeline.scene import Scene, Stretch

#: Longest side, in pixels, of the decimated picture on which the border's nodata is judged.
COLLAR_SIDE = 2048
#: Longest side of the decimated picture from which the stretch is taken.
SAMPLE_SIDE = 1024
_PERCENTILES = (2.0, 98.0)
#: A thumbnail of up to this many pixels is made from all of them.
_EXACT = 2048 * 2048


class SceneReader:
    """Reads windows of one scene.  A context manager for one thread: it holds one GDAL handle.

    Args:
        scene: The scene to read.

    Raises:
        DamagedError: On entering, if the scene's file is missing or damaged.
    """

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self._dataset: DatasetReader | None = None
        self._tables: list[np.ndarray] | None = None

    def __enter__(self) -> SceneReader:
        self._open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let the file go."""
        if self._dataset is not None:
            self._dataset.close()
            self._dataset = None

    def read(self, col: int, row: int, width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
        """A window at full resolution.

        Args:
            col: Leftmost pixel.
            row: Uppermost pixel.
            width: Pixels across.
            height: Pixels down.

        Returns:
            uint8 (height, width, 3) red, green, blue after the stretch, black where there is no
            data; and bool (height, width), whether there is data.

        Raises:
            SceneError: If the window is empty or reaches outside the scene.
            DamagedError: If the scene's file cannot be read there.
        """
        scene = self.scene
        inside = col >= 0 and row >= 0 and col + width <= scene.width
        if width < 1 or height < 1 or not inside or row + height > scene.height:
            raise SceneError(
                f"The window {width}×{height} at column {col}, row {row} is not inside the scene "
                f"of {scene.width}×{scene.height} pixels",
                where=scene.id,
                remedy="Ask for a window inside it",
            )
        return self._read(col, row, width, height, (height, width))

    def picture(self, col: int, row: int, width: int, height: int, size: int) -> np.ndarray:
        """A window as a square thumbnail; what lies outside the scene or has no data is black.

        Args:
            col: Leftmost pixel, may be negative.
            row: Uppermost pixel, may be negative.
            width: Pixels across.
            height: Pixels down.
            size: Side of the thumbnail in pixels.

        Returns:
            uint8 (size, size, 3).

        Raises:
            DamagedError: If the scene's file cannot be read there.
        """
        from PIL import Image

        left, top = max(col, 0), max(row, 0)
        right, bottom = min(col + width, self.scene.width), min(row + height, self.scene.height)
        canvas = np.zeros((size, size, 3), np.uint8)
        if right <= left or bottom <= top:
            return canvas
        x0, x1 = (round((x - col) * size / width) for x in (left, right))
        y0, y1 = (round((y - row) * size / height) for y in (top, bottom))
        x1, y1 = max(x1, x0 + 1), max(y1, y0 + 1)
        wide, high = right - left, bottom - top
        shrink = max(1, math.isqrt(wide * high // _EXACT)) if wide * high > _EXACT else 1
        shape = (max(1, high // shrink), max(1, wide // shrink))
        rgb, _ = self._read(left, top, wide, high, shape)
        part = Image.fromarray(rgb).resize((x1 - x0, y1 - y0), Image.Resampling.LANCZOS)
        canvas[y0:y1, x0:x1] = np.asarray(part)[: size - y0, : size - x0]
        return canvas

    def _read(
        self, col: int, row: int, width: int, height: int, shape: tuple[int, int]
    ) -> tuple[np.ndarray, np.ndarray]:
        from rasterio import Env
        from rasterio.errors import RasterioError
        from rasterio.windows import Window

        from pipeline.raster import ENVIRONMENT

        scene, dataset = self.scene, self._open()
        window = Window(col, row, width, height)
        try:
            with Env(**ENVIRONMENT):
                data, mask = read_bands(dataset, scene.bands, window, shape)
        except RasterioError as error:
            raise _unreadable(scene, f"column {col}, row {row}") from error
        valid = measured(data, mask, scene.nodata, scene.dtype)
        if ambiguous(scene.nodata):
            doubtful = equals(data, scene.nodata, scene.dtype)
            if doubtful.any():
                valid &= ~(doubtful & self._collar(col, row, width, height, shape))
        rgb = np.empty((*shape, 3), np.uint8)
        for i in range(3):
            rgb[..., i] = self._stretched(data[min(i, len(data) - 1)], i)
        if not valid.all():
            rgb[~valid] = 0
        return rgb, valid

    def _open(self) -> DatasetReader:
        from rasterio import Env

        from pipeline.raster import ENVIRONMENT, open_dataset

        if self._dataset is None:
            try:
                with Env(**ENVIRONMENT):
                    self._dataset = open_dataset(_place(self.scene.path))
            except SceneError as error:
                raise _unreadable(self.scene, "") from error
            found = self._dataset.width, self._dataset.height
            if found != (self.scene.width, self.scene.height):
                raise _unreadable(self.scene, "its size has changed")
        return self._dataset

    def _stretched(self, band: np.ndarray, i: int) -> np.ndarray:
        if band.dtype.itemsize > 2:
            return stretched(band, self.scene.stretch, i)
        if self._tables is None:
            info = np.iinfo(band.dtype)
            every = np.arange(info.min, info.max + 1)
            self._tables = [stretched(every, self.scene.stretch, j) for j in range(3)]
        low = np.iinfo(band.dtype).min
        return self._tables[i][band if low == 0 else band.astype(np.int32) - low]

    def _collar(
        self, col: int, row: int, width: int, height: int, shape: tuple[int, int]
    ) -> np.ndarray:
        """Whether each pixel of a window lies where nodata reaches the scene's border."""
        scene, collar = self.scene, collar_of(self.scene)
        high, wide = collar.shape
        ys = row + (np.arange(shape[0]) + 0.5) * height / shape[0]
        xs = col + (np.arange(shape[1]) + 0.5) * width / shape[1]
        y = (ys * high / scene.height).astype(np.intp)
        x = (xs * wide / scene.width).astype(np.intp)
        return collar[np.ix_(y, x)]


def collar_of(scene: Scene) -> np.ndarray:
    """Where a scene's nodata value reaches its border, on a decimated grid: bool (h, w)."""
    path = _place(scene.path)
    age = path.stat().st_mtime_ns if isinstance(path, Path) else 0
    return _collar(scene.path, age, scene.nodata, scene.dtype)


def read_bands(
    dataset: DatasetReader,
    bands: tuple[int, ...],
    window: Any = None,
    shape: tuple[int, int] | None = None,
) -> tuple[np.ndarray, np.ndarray | None]:
    """Bands as they are stored, and the mask the raster has besides a nodata value.

    Returns:
        (n, h, w) in the raster's type, one band only where all of `bands` are the same; and uint8
        (h, w), 0 where there is no data, or None.
    """
    from rasterio.enums import ColorInterp, MaskFlags, Resampling

    distinct = list(dict.fromkeys(bands))
    wanted = distinct if len(distinct) == 1 else list(bands)
    how = {"window": window, "resampling": Resampling.nearest}
    if shape:
        data = dataset.read(wanted, out_shape=(len(wanted), *shape), **how)
    else:
        data = dataset.read(wanted, **how)
    size = {"out_shape": shape} if shape else {}
    if ColorInterp.alpha in dataset.colorinterp:
        alpha = dataset.colorinterp.index(ColorInterp.alpha) + 1
        return data, dataset.read(alpha, **size, **how) > 0
    flags = dataset.mask_flag_enums[bands[0] - 1]
    if MaskFlags.per_dataset in flags:
        return data, dataset.read_masks(bands[0], **size, **how)
    return data, None


def measured(
    data: np.ndarray, mask: np.ndarray | None, nodata: float | None, dtype: str
) -> np.ndarray:
    """Where there is data, as far as a pixel alone tells: bool (h, w) for bands (n, h, w)."""
    if data.dtype.kind == "f":
        valid = np.isfinite(data).all(axis=0)
    else:
        valid = np.ones(data.shape[1:], bool)
    if mask is not None:
        valid &= mask > 0
    if nodata is not None and math.isfinite(nodata) and not ambiguous(nodata):
        valid &= ~equals(data, nodata, dtype)
    return valid


def ambiguous(nodata: float | None) -> bool:
    """Whether a real measurement may have the nodata value, so that its place must decide."""
    return nodata is not None and math.isfinite(nodata) and nodata >= 0


def equals(data: np.ndarray, nodata: float | None, dtype: str) -> np.ndarray:
    """Where all bands hold the nodata value, compared in the raster's own type."""
    if nodata is None:
        return np.zeros(data.shape[1:], bool)
    if data.dtype.kind == "f":
        return (data == np.asarray(nodata, dtype)).all(axis=0)
    return (data == nodata).all(axis=0)


def stretched(values: np.ndarray, stretch: Stretch, band: int) -> np.ndarray:
    """Values of one display band as uint8; what is not a number becomes 0."""
    low, high = stretch.low[band], stretch.high[band]
    # Clipped first: a value far outside, such as an odd nodata, would overflow.
    scaled = (values.astype(np.float32).clip(low, high) - np.float32(low)) * np.float32(
        255.0 / (high - low)
    )
    return np.rint(np.nan_to_num(scaled.clip(0, 255))).astype(np.uint8)


def sample(
    dataset: DatasetReader, bands: tuple[int, int, int], nodata: float | None
) -> tuple[np.ndarray, np.ndarray]:
    """A decimated picture of the whole raster: bands (3, h, w) as stored, and where data is."""
    step = max(1, math.ceil(max(dataset.width, dataset.height) / SAMPLE_SIDE))
    shape = (max(1, dataset.height // step), max(1, dataset.width // step))
    data, mask = read_bands(dataset, bands, None, shape)
    dtype = dataset.dtypes[0]
    valid = measured(data, mask, nodata, dtype)
    if ambiguous(nodata):
        valid &= ~reaching_border(equals(data, nodata, dtype))
    return np.broadcast_to(data, (3, *shape)), valid


def percentiles(data: np.ndarray, valid: np.ndarray) -> tuple[list[float], list[float]]:
    """The 2 % and 98 % levels of each display band over valid pixels, never equal."""
    lows, highs = [], []
    for band in data:
        low, high = (float(level) for level in np.percentile(band[valid], _PERCENTILES))
        if not high > low:
            low, high = float(band[valid].min()), float(band[valid].max())
        lows.append(low)
        highs.append(high if high > low else low + max(1.0, abs(low) * 1e-3))
    return lows, highs


@lru_cache(maxsize=8)
def _collar(path: str, age: int, nodata: float, dtype: str) -> np.ndarray:
    """Where nodata reaches the border, decimated, grown by a pixel: bool (h, w).

    Judged on every band but alpha; `age` lets a changed file be read anew.
    """
    from rasterio.enums import ColorInterp

    from pipeline.raster import open_raster

    with open_raster(_place(path)) as dataset:
        step = max(1, math.ceil(max(dataset.width, dataset.height) / COLLAR_SIDE))
        shape = (max(1, dataset.height // step), max(1, dataset.width // step))
        same = np.ones(shape, bool)
        for band, kind in zip(dataset.indexes, dataset.colorinterp, strict=True):
            if kind != ColorInterp.alpha:
                same &= equals(read_bands(dataset, (band,), None, shape)[0], nodata, dtype)
    return _grown(reaching_border(same))


def reaching_border(mask: np.ndarray) -> np.ndarray:
    """The part of a bool mask (h, w) that is connected to its border, by edges.

    The mask is taken as horizontal runs; marks spread from run to touching run, all at once, so
    the time follows the number of runs and not the area.
    """
    high, wide = mask.shape
    padded = np.zeros((high, wide + 2), np.int8)
    padded[:, 1:-1] = mask
    change = np.diff(padded, axis=1)
    rows, starts = np.nonzero(change == 1)
    ends = np.nonzero(change == -1)[1]
    marked = (rows == 0) | (rows == high - 1) | (starts == 0) | (ends == wide)
    # Runs in reading order: those that touch a run in the row above or below are neighbours here.
    opening, closing = rows * (wide + 1) + starts, rows * (wide + 1) + ends
    fresh = np.flatnonzero(marked)
    while len(fresh):
        touched = []
        for step in (-(wide + 1), wide + 1):
            first = np.searchsorted(closing, opening[fresh] + step, side="right")
            after = np.searchsorted(opening, closing[fresh] + step, side="left")
            touched.append(_ranges(first, after))
        candidates = np.concatenate(touched)
        fresh = np.unique(candidates[~marked[candidates]])
        marked[fresh] = True
    edges = np.zeros((high, wide + 1), np.int8)
    edges[rows[marked], starts[marked]] = 1
    edges[rows[marked], ends[marked]] -= 1
    return np.cumsum(edges, axis=1, dtype=np.int8)[:, :wide].astype(bool)


def _ranges(first: np.ndarray, after: np.ndarray) -> np.ndarray:
    """The integers of several half-open ranges, one range after the other."""
    lengths = np.maximum(after - first, 0)
    before = np.cumsum(lengths) - lengths
    return np.arange(lengths.sum()) + np.repeat(first - before, lengths)


def _grown(mask: np.ndarray) -> np.ndarray:
    grown = mask.copy()
    grown[1:] |= mask[:-1]
    grown[:-1] |= mask[1:]
    grown[:, 1:] |= grown[:, :-1].copy()
    grown[:, :-1] |= grown[:, 1:].copy()
    return grown


def _place(path: str) -> str | Path:
    from pipeline.raster import Stored, is_url

    return path if isinstance(path, Stored) or is_url(path) else Path(path)


def _unreadable(scene: Scene, where: str) -> DamagedError:
    return DamagedError(
        "The scene's imagery cannot be read" + (f" ({where})" if where else ""),
        where=scene.path,
        remedy="Put the file back, or delete the collection and build it again",
    )
