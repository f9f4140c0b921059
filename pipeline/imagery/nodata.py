"""Which pixels of a raster hold data."""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.imagery.formats import location, open_raster

if TYPE_CHECKING:
    from rasterio import DatasetReader
    from rasterio.windows import Window

    from pipeline.imagery.scene import Scene

#: Longest side, in pixels, of the decimated raster on which the collar is found.
COLLAR_SIDE = 2048


def collar_of(scene: Scene) -> np.ndarray:
    """The collar of nodata along a scene's border, on a decimated grid: bool (h, w)."""
    path = location(scene.path)
    age = path.stat().st_mtime_ns if isinstance(path, Path) else 0
    return _collar(scene.path, age, scene.nodata, scene.dtype)


def read_bands(
    dataset: DatasetReader,
    bands: tuple[int, ...],
    window: Window | None = None,
    shape: tuple[int, int] | None = None,
) -> tuple[np.ndarray, np.ndarray | None]:
    """Bands as they are stored, and the raster's mask or alpha band.

    Returns:
        (n, h, w) in the raster's type, one band only where all of `bands` are the same; and the
        mask (h, w), uint8 or bool, zero where there is no data, or None.
    """
    from rasterio.enums import ColorInterp, MaskFlags, Resampling

    distinct = list(dict.fromkeys(bands))
    indexes = distinct if len(distinct) == 1 else list(bands)
    options = {"window": window, "resampling": Resampling.nearest}
    if shape:
        data = dataset.read(indexes, out_shape=(len(indexes), *shape), **options)
    else:
        data = dataset.read(indexes, **options)
    size = {"out_shape": shape} if shape else {}
    if ColorInterp.alpha in dataset.colorinterp:
        alpha = dataset.colorinterp.index(ColorInterp.alpha) + 1
        return data, dataset.read(alpha, **size, **options) > 0
    flags = dataset.mask_flag_enums[bands[0] - 1]
    if MaskFlags.per_dataset in flags:
        return data, dataset.read_masks(bands[0], **size, **options)
    return data, None


def valid_pixels(
    data: np.ndarray, mask: np.ndarray | None, nodata: float | None, dtype: str
) -> np.ndarray:
    """Where bands (n, h, w) hold data, judged pixel by pixel: bool (h, w)."""
    if data.dtype.kind == "f":
        valid = np.isfinite(data).all(axis=0)
    else:
        valid = np.ones(data.shape[1:], bool)
    if mask is not None:
        valid &= mask > 0
    if nodata is not None and math.isfinite(nodata) and not is_ambiguous(nodata):
        valid &= ~equals_nodata(data, nodata, dtype)
    return valid


def is_ambiguous(nodata: float | None) -> bool:
    """Whether a measurement may equal the nodata value, so that its position must decide."""
    return nodata is not None and math.isfinite(nodata) and nodata >= 0


def equals_nodata(data: np.ndarray, nodata: float | None, dtype: str) -> np.ndarray:
    """Where all bands hold the nodata value, compared in the raster's own type."""
    if nodata is None:
        return np.zeros(data.shape[1:], bool)
    if data.dtype.kind == "f":
        return (data == np.asarray(nodata, dtype)).all(axis=0)
    return (data == nodata).all(axis=0)


@lru_cache(maxsize=8)
def _collar(path: str, age: int, nodata: float, dtype: str) -> np.ndarray:
    """As `collar_of`; where all bands but alpha hold the nodata value.

    `age` makes the cache miss when the file has changed.
    """
    from rasterio.enums import ColorInterp
    from scipy.ndimage import binary_dilation

    with open_raster(location(path)) as dataset:
        step = max(1, math.ceil(max(dataset.width, dataset.height) / COLLAR_SIDE))
        shape = (max(1, dataset.height // step), max(1, dataset.width // step))
        bare = np.ones(shape, bool)
        for band, kind in zip(dataset.indexes, dataset.colorinterp, strict=True):
            if kind != ColorInterp.alpha:
                bare &= equals_nodata(read_bands(dataset, (band,), None, shape)[0], nodata, dtype)
    # Decimation keeps one pixel of many, so the collar may reach a pixel further than it shows.
    return binary_dilation(reaching_border(bare), np.ones((3, 3), bool))


def reaching_border(mask: np.ndarray) -> np.ndarray:
    """The part of a bool mask (h, w) that is connected to its border, by edges."""
    from scipy.ndimage import label

    labels, count = label(mask)
    reaching = np.zeros(count + 1, bool)
    for border in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
        reaching[border] = True
    reaching[0] = False  # what is not in the mask
    return reaching[labels]
