"""Small seeded georeferenced rasters, written as a test needs them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

GENEVA = (300000.0, 5150000.0)  # upper left corner in EPSG:32632


def ground(width: int, height: int, count: int = 3, dtype: str = "uint8", seed: int = 0) -> Any:
    """Fields, roads and grain: (count, height, width) in the range a type's imagery has."""
    if max(width, height) > 1440:  # made once and laid out like tiles
        piece = ground(min(width, 1440), min(height, 1440), count, dtype, seed)
        repeats = (1, -(-height // piece.shape[1]), -(-width // piece.shape[2]))
        return np.tile(piece, repeats)[:, :height, :width]
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    top = {"uint8": 255, "int8": 127, "uint16": 12000, "int16": 9000, "uint32": 1e6}.get(dtype, 1.0)
    bands = []
    for band in range(count):
        fields = rng.uniform(0.2, 0.8, (height // 48 + 1, width // 48 + 1))
        level = fields[y // 48, x // 48] + 0.1 * np.sin((x + band * 7) / 9.0) * np.cos(y / 11.0)
        level[(x % 96 < 4) | (y % 80 < 3)] = 0.95
        level += rng.normal(0, 0.02, level.shape)
        bands.append((level.clip(0.02, 1) * top).astype(dtype))
    return np.stack(bands)


def write(path: Path, data: Any = None, **profile: Any) -> Path:
    """Write a GeoTIFF and return its path.

    Args:
        path: File to write.
        data: (count, height, width); by default 320×300 pixels of three-band `ground`.
        profile: As rasterio.open; `crs`, `transform` and `driver` have defaults.  `overviews`
            adds some, `mask` (h, w) an internal mask, `colours` the colour interpretation,
            `tags` tags.
    """
    import rasterio
    from rasterio.transform import from_origin

    data = ground(320, 300) if data is None else np.asarray(data)
    overviews, mask = profile.pop("overviews", ()), profile.pop("mask", None)
    colours, tags = profile.pop("colours", None), profile.pop("tags", None)
    profile = {
        "driver": "GTiff",
        "crs": "EPSG:32632",
        "transform": from_origin(*GENEVA, 10, 10),
        "count": data.shape[0],
        "height": data.shape[1],
        "width": data.shape[2],
        "dtype": data.dtype.name,
        **profile,
    }
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True, GDAL_PAM_ENABLED=False),
        rasterio.open(path, "w", **profile) as dataset,
    ):
        dataset.write(data)
        if colours:
            dataset.colorinterp = colours
        if mask is not None:
            dataset.write_mask(mask)
        if tags:
            dataset.update_tags(**tags)
        if overviews:
            dataset.build_overviews(list(overviews))
    return path


def write_raster(
    path: Path, width: int, height: int, *, seed: int = 0, fill: int | None = None, **profile: Any
) -> Path:
    """As `write`, by size: seeded ground, or one value everywhere."""
    data = ground(width, height, seed=seed)
    return write(path, data if fill is None else np.full_like(data, fill), **profile)


def write_cog(path: Path, data: Any = None, **profile: Any) -> Path:
    """As `write`, as a COG."""
    from rasterio import shutil

    plain = write(path.with_suffix(".plain.tif"), data, **profile)
    shutil.copy(str(plain), str(path), driver="COG", blocksize=256, compress="deflate")
    plain.unlink()
    return path


def write_picture(path: Path, data: Any = None, *, world: str | None, prj: str | None) -> Path:
    """A PNG or JPEG with the world file and .prj given as text beside it, where given."""
    from PIL import Image

    data = ground(320, 300) if data is None else data
    Image.fromarray(np.moveaxis(data, 0, -1)).save(path)
    if world is not None:
        path.with_suffix(f".{path.suffix[1]}{path.suffix[-1]}w").write_text(world)
    if prj is not None:
        path.with_suffix(".prj").write_text(prj)
    return path


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """No file may grow beyond `size` bytes within: what stands for a full disk."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
