"""Pixels of a scene as chips, map tiles and queries see them: RGB after the scene's stretch.

Which pixels hold no data?  An alpha band or a mask states it, and a value that is not finite is no
data.  A declared nodata value of zero or above may also be a measurement, of dark water or a bright
roof: it counts only where it is connected to the scene's border.  A negative one (-9999, -32768,
-3.4e38) is never a measurement in imagery and counts everywhere.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from pipeline.errors import DamagedError, SceneError
from pipeline.imagery.formats import ENVIRONMENT, location, open_dataset
from pipeline.imagery.nodata import (
    collar_of,
    equals_nodata,
    is_ambiguous,
    read_bands,
    valid_pixels,
)

if TYPE_CHECKING:
    from types import TracebackType

    from rasterio import DatasetReader

    from pipeline.imagery.scene import Scene, Stretch

#: A thumbnail of a window of up to this many pixels is made from all of them.
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
        """Close the file."""
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

    def thumbnail(self, col: int, row: int, width: int, height: int, size: int) -> np.ndarray:
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

    def coverage(self, shape: tuple[int, int]) -> np.ndarray:
        """Where the scene has data, on a coarse grid: bool (rows, columns).

        Raises:
            DamagedError: If the scene's file cannot be read.
        """
        return self._read(0, 0, self.scene.width, self.scene.height, shape)[1]

    def _read(
        self, col: int, row: int, width: int, height: int, shape: tuple[int, int]
    ) -> tuple[np.ndarray, np.ndarray]:
        from rasterio import Env
        from rasterio.errors import RasterioError
        from rasterio.windows import Window

        scene, dataset = self.scene, self._open()
        window = Window(col, row, width, height)
        try:
            with Env(**ENVIRONMENT):
                data, mask = read_bands(dataset, scene.bands, window, shape)
        except RasterioError as error:
            raise _unreadable(scene, f"column {col}, row {row}") from error
        valid = valid_pixels(data, mask, scene.nodata, scene.dtype)
        if is_ambiguous(scene.nodata):
            doubtful = equals_nodata(data, scene.nodata, scene.dtype)
            if doubtful.any():
                valid &= ~(doubtful & self._collar(col, row, width, height, shape))
        rgb = np.empty((*shape, 3), np.uint8)
        for i in range(3):
            rgb[..., i] = self._apply_stretch(data[min(i, len(data) - 1)], i)
        if not valid.all():
            rgb[~valid] = 0
        return rgb, valid

    def _open(self) -> DatasetReader:
        from rasterio import Env

        if self._dataset is None:
            try:
                with Env(**ENVIRONMENT):
                    self._dataset = open_dataset(location(self.scene.path))
            except SceneError as error:
                raise _unreadable(self.scene, "") from error
            size = self._dataset.width, self._dataset.height
            if size != (self.scene.width, self.scene.height):
                raise _unreadable(self.scene, "its size has changed")
        return self._dataset

    def _apply_stretch(self, band: np.ndarray, i: int) -> np.ndarray:
        if band.dtype.itemsize > 2:
            return apply_stretch(band, self.scene.stretch, i)
        if self._tables is None:
            info = np.iinfo(band.dtype)
            every = np.arange(info.min, info.max + 1)
            self._tables = [apply_stretch(every, self.scene.stretch, j) for j in range(3)]
        low = np.iinfo(band.dtype).min
        return self._tables[i][band if low == 0 else band.astype(np.int32) - low]

    def _collar(
        self, col: int, row: int, width: int, height: int, shape: tuple[int, int]
    ) -> np.ndarray:
        """Whether each pixel of a window lies in the nodata collar along the scene's border."""
        scene, collar = self.scene, collar_of(self.scene)
        high, wide = collar.shape
        ys = row + (np.arange(shape[0]) + 0.5) * height / shape[0]
        xs = col + (np.arange(shape[1]) + 0.5) * width / shape[1]
        y = (ys * high / scene.height).astype(np.intp)
        x = (xs * wide / scene.width).astype(np.intp)
        return collar[np.ix_(y, x)]


def apply_stretch(values: np.ndarray, stretch: Stretch, band: int) -> np.ndarray:
    """Values of one display band as uint8; NaN becomes 0."""
    low, high = stretch.low[band], stretch.high[band]
    # Clipped first: a value far outside, such as an unusual nodata value, would overflow.
    scaled = (values.astype(np.float32).clip(low, high) - np.float32(low)) * np.float32(
        255.0 / (high - low)
    )
    return np.rint(np.nan_to_num(scaled.clip(0, 255))).astype(np.uint8)


def _unreadable(scene: Scene, where: str) -> DamagedError:
    return DamagedError(
        "The scene's imagery cannot be read" + (f" ({where})" if where else ""),
        where=scene.path,
        remedy="Put the file back, or delete the collection and build it again",
    )
